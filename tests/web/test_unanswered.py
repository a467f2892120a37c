"""Forms whose answer got lost: the page says that it may have arrived, and sent again it has one effect."""

from typing import Any

import pytest

from domain.access import Scope
from tests.shop import Shop, line
from tests.web.browsing import Page
from tests.web.buying import checks_out, customer_of, order_on, puts_in_cart, ships_for
from tests.web.conftest import Site
from usecases.errors import Unreachable
from usecases.orders import Orders
from web.pages.customers import COOKIE


@pytest.fixture
def lost(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every first answer of an order gets lost on its way back; what was lost stands in the list."""
    orders: Orders = site.app.state.services.orders
    gone: list[str] = []

    def losing(name: str) -> None:
        really = getattr(orders, name)

        async def lose_the_first(*arguments: Any, **named: Any) -> Any:
            answer = await really(*arguments, **named)
            if name not in gone:
                gone.append(name)
                raise Unreachable("Temporal: no answer in time")
            return answer

        monkeypatch.setattr(orders, name, lose_the_first)

    losing("update")
    losing("place")
    return gone


async def _cancelled(shop: Shop, order_id: str) -> int:
    return (await shop.status(order_id)).lines[0].units.get("cancelled", 0)


async def test_a_customers_form_sent_again_has_one_effect(site: Site, lost: list[str]) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(), 5))
    customer = await customer_of(site, order_id)
    path = f"/orders/{order_id}"

    async def cancels(page: Page) -> Page:
        return await customer.submit(page, f"{path}/cancel", what="some", **{"units-1": "2"})

    page = await cancels(await customer.get(path))
    assert lost == ["update"]
    assert "may have this already" in page.text
    page = await cancels(page)
    assert "We have your cancellation." in page.text
    assert await _cancelled(site.shop, order_id) == 2
    await cancels(page)  # of a page that knows of its answer it is another one
    assert await _cancelled(site.shop, order_id) == 4


async def test_supports_form_sent_again_has_one_effect(site: Site, lost: list[str]) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(), 5))
    support = await site.signed_in(Scope.SUPPORT)
    path = f"/support/orders/{order_id}"

    async def notes(page: Page) -> Page:
        return await support.submit(page, f"{path}/note", reason="they have called")

    page = await notes(await support.get(path))
    assert lost == ["update"]
    assert "may have it already" in page.text
    await notes(page)
    assert (await site.shop.timeline(order_id)).count("note") == 1


async def test_an_order_placed_again_from_the_same_page_is_one(site: Site, lost: list[str]) -> None:
    await ships_for(site.shop)
    buyer = site.visitor()
    await puts_in_cart(buyer, await site.shop.lists(9), 2)
    page = await checks_out(buyer)
    assert (page.status, lost) == (503, ["place"])
    assert "it is placed only once" in page.text
    assert page.form("/checkout").fields["name"] == ["Ada Lovelace"]
    order_id = order_on(await buyer.submit(page, "/checkout", action="place"))
    assert (await site.shop.until(order_id, lambda status: bool(status.fulfillments))).status == "Unshipped"
    placed = await site.app.state.services.support.search("ada@example.com")
    assert [one.order_id for one in placed].count(order_id) == 1
    assert len({one.order_id for one in placed if one.order_id[:4] == order_id[:4]}) == 1


async def test_whoever_waits_for_an_order_is_told_that_it_was_refused(site: Site) -> None:
    """A thing that went out of the catalog between the look at it and the order's own."""
    shop = site.shop
    body = shop.body(line("gone", 1))
    order_id = body["order_id"]
    await shop.client.start_workflow("OrderWorkflow", body, id=f"order:{order_id}", task_queue=shop.task_queue)
    visitor = site.visitor()
    visitor.client.cookies.set(COOKIE, site.app.state.services.signatures.sign("order-link", order_id))
    page = await visitor.until(f"/orders/{order_id}", lambda page: "was not accepted" in page.text)
    assert "Acme has no 'gone' to sell. Nothing was charged." in page.text
    assert "http-equiv" not in page.html
