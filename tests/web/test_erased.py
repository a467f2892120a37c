"""The pages of an order whose customer was erased: no errors, no person, and no way in for the customer."""

from uuid import uuid4

from domain.access import Scope
from domain.sealing import ERASED
from store.erasure import Erasures
from tests.shop import Shop, line
from tests.web.browsing import Page
from tests.web.conftest import Site
from usecases.erasure import Erasure
from web.services import Services


def services_of(site: Site) -> Services:
    services = site.app.state.services
    assert isinstance(services, Services)
    return services


async def _ended(shop: Shop, **customer: str) -> str:
    body = shop.body(line(await shop.lists(5)))
    body["customer"] |= customer
    order_id = await shop.checked(body)
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.delivers(order_id)
    await shop.ended(order_id)
    return order_id


async def test_programs_erase_an_order_or_a_customer_and_are_told_while_one_is_open(site: Site) -> None:
    shop, customer = site.shop, f"c-{uuid4().hex[:8]}"
    first, second = await _ended(shop, id=customer), await _ended(shop, id=customer)
    open_order = shop.body(line(await shop.lists(5)))
    open_order["customer"]["id"] = customer
    still_open = await shop.checked(open_order)
    backend, support = await site.api(Scope.BACKEND), await site.api(Scope.SUPPORT)

    for path in (f"orders/{still_open}/erase", f"customers/{customer}/erase"):
        refused = await backend.post(path)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:openorders:refused")
        assert still_open in refused.json()["detail"]
    assert not await services_of(site).contacts.is_erased(first), "none of them, while one is open"
    for path in ("orders/no-such-order/erase", "customers/nobody/erase"):
        assert (await backend.post(path)).status_code == 404

    refused_start = await shop.place(shop.body(line("NO-SUCH")))
    assert await shop.orders.refusal(refused_start) is not None
    done = await backend.post(f"orders/{refused_start}/erase")
    assert (done.status_code, done.json()["orders"][0]["outcome"]) == (200, "erased"), "it left no row"

    done = await support.post(f"orders/{first}/erase")
    assert (done.status_code, done.json()) == (200, {"orders": [{"order_id": first, "outcome": "erased"}]})
    told = (await backend.get(f"orders/{first}/timeline")).json()["entries"]
    assert [one["who"].partition("/")[0] for one in told if one["what"] == "erased"] == ["support"]

    await shop.update(still_open, "cancel")
    await shop.ended(still_open)
    done = await backend.post(f"customers/{customer}/erase")
    outcomes = {one["order_id"]: one["outcome"] for one in done.json()["orders"]}
    assert outcomes == {first: "erased_before", second: "erased", still_open: "erased"}
    for order_id in outcomes:
        answer = (await backend.get(f"orders/{order_id}")).json()
        assert (answer["customer"]["name"], answer["customer"]["email"]) == (ERASED, "")


async def test_support_erases_on_the_page_of_an_order_and_must_be_sure(site: Site) -> None:
    shop, customer = site.shop, f"c-{uuid4().hex[:8]}"
    support = await site.signed_in(Scope.SUPPORT)
    order_id, other = await _ended(shop, id=customer), await _ended(shop, id=customer)
    path = f"/support/orders/{order_id}"
    form = f"{path}/erase"
    forged = await support.client.post(form, data={"sure": "yes", "what": "order"})
    assert forged.status_code == 403
    page = await support.submit(await support.get(path), form)
    assert "Nothing was erased: say that you are sure." in page.text
    assert "Lovelace" in page.text
    page = await support.submit(page, form, sure="yes", what="customer")
    assert "The person behind 2 orders was erased." in page.text
    for one in (order_id, other):
        page = await support.get(f"/support/orders/{one}")
        assert "Lovelace" not in page.text
        assert not page.has_form(f"/support/orders/{one}/erase")
    assert (await support.client.post("/support/orders/nobody/erase")).status_code == 403, "without a form of ours"


async def test_an_open_order_is_not_offered_to_be_erased_and_refused_all_the_same(site: Site) -> None:
    shop = site.shop
    support = await site.signed_in(Scope.SUPPORT)
    order_id = await shop.placed(line(await shop.lists(5)))
    path = f"/support/orders/{order_id}"
    page = await support.get(path)
    assert not page.has_form(f"{path}/erase")
    csrf = page.form("/signout").fields["csrf"][0]
    for what in ("order", "customer"):
        answer = await support.client.post(f"{path}/erase", data={"csrf": csrf, "sure": "yes", "what": what})
        assert "open" in Page(answer).text
    assert not await services_of(site).contacts.is_erased(order_id)
    assert "Lovelace" in (await support.get(path)).text


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
