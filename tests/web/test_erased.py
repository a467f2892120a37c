"""The pages of an order whose customer was erased: no errors, no person, and no way in for the customer."""

from domain.access import Scope
from domain.sealing import ERASED
from store.erasure import Erasures
from tests.shop import line
from tests.web.conftest import Site
from usecases.erasure import Erasure


async def test_staff_and_sellers_see_an_erased_order_and_its_customer_does_not(site: Site) -> None:
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists(5)))
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.delivers(order_id)
    await shop.ended(order_id)
    link = f"/o/{site.app.state.services.signatures.sign('order-link', order_id)}"
    customer = site.visitor()
    assert (await customer.client.get(link)).status_code == 200

    await Erasure(Erasures(shop.database), shop.client).order(order_id, "support")

    assert (await customer.client.get(link)).status_code == 404
    assert (await customer.client.get(f"/orders/{order_id}")).status_code == 404
    support, seller = await site.signed_in(Scope.SUPPORT), await site.signed_in(Scope.SELLER, "acme")
    backend = await site.api(Scope.BACKEND)
    for client, path in (
        (support.client, f"/support/orders/{order_id}"),
        (seller.client, f"/seller/orders/{order_id}/acme-1"),
        (backend, f"orders/{order_id}"),
        (backend, f"orders/{order_id}/timeline"),
        (backend, f"orders/{order_id}/fulfillments/acme-1"),
    ):
        answer = await client.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        assert "Lovelace" not in answer.text
    assert ERASED in (await support.client.get(f"/support/orders/{order_id}")).text
    found = await support.client.get("/support", params={"q": "Ada Lovelace"})
    assert order_id not in found.text
