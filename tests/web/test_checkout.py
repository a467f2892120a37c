"""Checkout: what is wrong stands at its field, one page is one order, and nobody pays another total than they saw."""

import asyncio
import re
from http.cookiejar import Cookie

import pytest

from store.contacts import Contacts
from tests.shop import eventually
from tests.web.browsing import Page, Visitor
from tests.web.buying import NEXT_DAY, STANDARD, bought, checks_out, new_email, order_on, puts_in_cart, ships_for
from tests.web.conftest import Site
from web.pages.customers import COOKIE


@pytest.fixture(autouse=True, scope="module")
async def _rates(site: Site) -> None:
    await ships_for(site.shop)


@pytest.fixture
async def buyer(site: Site) -> Visitor:
    """With two mugs of 10 dollars in the cart."""
    visitor = site.visitor()
    await puts_in_cart(visitor, await site.shop.lists(9, title="Mug"), 2)
    return visitor


async def _ordered_by(site: Site, email: str) -> list[str]:
    """The orders of a customer, once there is any."""
    return [order.order_id for order in await eventually(lambda: site.app.state.services.support.search(email))]


# -- what is wrong -----------------------------------------------------------------------------


async def test_there_is_no_checkout_without_a_cart(site: Site) -> None:
    visitor = site.visitor()
    assert (await visitor.get("/checkout")).path == "/cart"
    page = await visitor.get(f"/products/acme/{await site.shop.lists(9)}")
    csrf = page.form("/cart").fields["csrf"]
    assert Page(await visitor.client.post("/checkout", data={"csrf": csrf, "action": "place"})).path == "/cart"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("email", "", "an email address such as ada@example.com"),
        ("email", "ada", "an email address such as"),
        ("email", "ada@", "an email address such as"),
        ("email", "a@b@c.example", "an email address such as"),
        ("email", "ada lovelace@example.com", "an email address such as"),
        ("email", f"{'a' * 250}@example.com", "an email address such as"),
        ("name", " ", "Please fill this in."),
        ("name", "A" * 201, "This is too long."),
        ("line1", "", "Please fill this in."),
        ("line2", "x" * 201, "This is too long."),
        ("city", "", "Please fill this in."),
        ("region", "", "Please fill this in."),
        ("region", "Bavaria", "This does not fit the rest of the address."),
        ("postal_code", "", "Please fill this in."),
        ("postal_code", "ABC", "This does not fit the rest of the address."),
        ("phone", "1" * 201, "This is too long."),
        ("country", "XX", "Please choose a country."),
        ("country", "", "Please choose a country."),
        ("country", "united states", "Please choose a country."),
        ("card", "", "Please choose a card."),
        ("card", "tok_stolen_from_somewhere", "Please choose a card."),
        ("method", "", "Please choose how fast it should come."),
        ("method", "Bicycle", "Please choose how fast it should come."),
    ],
)
async def test_what_is_wrong_stands_at_its_field_and_nothing_is_ordered(
    site: Site, buyer: Visitor, field: str, value: str, words: str
) -> None:
    page = await checks_out(buyer, **{"line2": "at the back", field: value})
    assert (page.status, page.path) == (422, "/checkout")
    said = re.search(rf'<p class="error" id="error-{field}">([^<]*)</p>', page.html)
    assert said
    assert words in said[1]
    assert re.search(rf'aria-invalid="true" aria-describedby="error-{field}"', page.html)
    assert len(re.findall('class="error"', page.html)) == 1, "and nowhere else"
    typed = page.form("/checkout").fields
    if field not in ("line2", "country"):
        assert typed["line2"] == ["at the back"], "what was typed is kept"
    assert "Cart 2" in (await buyer.get("/cart")).text


async def test_everything_that_is_wrong_is_told_at_once(buyer: Visitor) -> None:
    page = await checks_out(buyer, email="", name="", line1="", city="", region="", postal_code="", card="")
    wrong = set(re.findall(r'id="error-(\w+)"', page.html))
    assert wrong == {"email", "name", "line1", "city", "region", "postal_code", "card"}
    assert "Please look at what is marked below" in page.text


@pytest.mark.parametrize(
    ("country", "labels", "address"),
    [
        ("DE", {"Postal code", "City"}, {"city": "Berlin", "postal_code": "10623"}),
        ("BR", {"State", "Postal code"}, {"city": "Santos", "region": "SP", "postal_code": "11045-003"}),
        ("JP", {"Prefecture", "Postal code"}, {"region": "Tokyo", "postal_code": "154-0023"}),
        ("IE", {"County", "Eircode"}, {"city": "Dublin", "region": "Co. Dublin", "postal_code": "A65 F4E2"}),
        ("KR", {"District"}, {"region": "Seoul", "city": "Guro-gu", "district": "Oryu-dong", "postal_code": "08226"}),
        ("HK", {"Area", "City"}, {"region": "Kowloon", "city": "Kwun Tong"}),
        ("SG", {"Postal code"}, {"postal_code": "546080"}),
    ],
)
async def test_each_country_has_a_form_of_its_own(
    site: Site, buyer: Visitor, country: str, labels: set[str], address: dict[str, str]
) -> None:
    page = await buyer.submit(await buyer.get("/checkout"), "/checkout", country=country, action="refresh")
    assert (page.status, 'class="error"' in page.html) == (200, False)
    assert labels <= {label.strip() for label in re.findall(r"<label for=\"\w+\">([^<]*)", page.html)}
    typed = {name: _choice(page, name, value) for name, value in address.items()}
    email = new_email()
    page = await buyer.submit(
        page, "/checkout", email=email, name="Ada Lovelace", line1="Street 1", action="place", **typed
    )
    assert await _ordered_by(site, email) == [order_on(page)]
    customer = await Contacts(site.shop.database).customer(order_on(page))
    assert customer is not None
    kept = customer.address
    assert (kept.country, kept.line1, kept.line2) == (country, "Street 1", address.get("district", ""))
    assert kept.postal_code == address.get("postal_code", "")
    assert kept.city == address.get("city", {"JP": "東京都", "SG": "Singapore"}.get(country)), "some have no cities"


def _choice(page: Page, name: str, value: str) -> str:
    """The code of what the form offers under this name; where it offers nothing, what is typed."""
    select = re.search(rf'<select id="{name}".*?</select>', page.html, re.DOTALL)
    if select is None:
        return value
    offered = re.findall(r'<option value="([^"]*)"[^>]*>([^<]*)', select[0])
    return str(next(code for code, called in offered if value in (code, called)))


async def test_another_method_and_country_are_only_looked_at(buyer: Visitor) -> None:
    page = await buyer.get("/checkout")
    assert f"Total ${(2000 + STANDARD) / 100:.2f}" in page.text, "the cheapest, until somebody chooses"
    page = await buyer.submit(page, "/checkout", method="NextDay", email="half a wo", action="refresh")
    assert f"Total ${(2000 + NEXT_DAY) / 100:.2f}" in page.text
    assert (page.status, page.form("/checkout").fields["email"]) == (200, ["half a wo"])
    page = await buyer.submit(page, "/checkout", country="DE", action="refresh")
    assert page.form("/checkout").fields["method"] == ["NextDay"]
    assert page.path == "/checkout"


# -- one page, one order ------------------------------------------------------------------------


async def test_two_clicks_are_one_order(site: Site, buyer: Visitor) -> None:
    page, email = await buyer.get("/checkout"), new_email()
    both = await asyncio.gather(*(checks_out(buyer, page, email=email) for _ in range(2)))
    assert order_on(both[0]) == order_on(both[1])
    assert await _ordered_by(site, email) == [order_on(both[0])]
    assert (await checks_out(buyer, page, email=email)).path == "/cart", "the cart was emptied"


async def test_the_same_page_with_other_words_is_asked_again(site: Site, buyer: Visitor) -> None:
    """Whoever goes back to it with a cart that is full again."""
    page, email = await buyer.get("/checkout"), new_email()
    cart = buyer.client.cookies["oo_cart"]
    first = order_on(await checks_out(buyer, page, email=email))
    buyer.client.cookies.set("oo_cart", cart)
    again = await checks_out(buyer, page, email=email, line1="14 Mill Street")
    assert (again.status, "An order was placed from this page already" in again.text) == (409, True)
    assert await _ordered_by(site, email) == [first]
    second = order_on(await buyer.submit(again, "/checkout", action="place"))
    assert second != first
    await site.shop.until(second, lambda status: bool(status.fulfillments))
    assert sorted(await _ordered_by(site, email)) == sorted([first, second])


async def test_a_price_that_has_changed_is_looked_at_before_it_is_paid(site: Site) -> None:
    visitor = site.visitor()
    sku = await site.shop.lists(9, title="Mug")
    await puts_in_cart(visitor, sku, 2)
    page = await visitor.get("/checkout")
    await site.shop.lists(9, sku=sku, title="Mug", unit_price=1100)
    refused = await checks_out(visitor, page)
    assert (refused.status, "Prices or shipping have changed meanwhile" in refused.text) == (422, True)
    assert "Total $26.99" in refused.text
    order_id = order_on(await visitor.submit(refused, "/checkout", action="place"))
    status = await site.shop.until(order_id, lambda status: bool(status.fulfillments))
    assert status.totals.total == 2200 + STANDARD


@pytest.mark.parametrize("total", ["", "1", "0", "2499.0", "-2499", "lots"])
async def test_a_total_of_ones_own_is_refused(buyer: Visitor, total: str) -> None:
    page = await checks_out(buyer, total=total)
    assert (page.status, page.form("/checkout").fields["total"]) == (422, [str(2000 + STANDARD)])


async def test_a_method_chosen_without_its_total_is_refused(buyer: Visitor) -> None:
    """As by somebody without scripts, who has not pressed the button that updates the total."""
    page = await checks_out(buyer, method="NextDay")
    assert page.status == 422
    assert order_on(await buyer.submit(page, "/checkout", action="place"))


async def test_what_was_taken_off_sale_meanwhile_is_not_ordered(site: Site, buyer: Visitor) -> None:
    page = await buyer.get("/checkout")
    await buyer.submit(await buyer.get("/cart"), "/cart", sku="GONE", quantity="1")
    refused = await checks_out(buyer, page)
    assert (refused.status, "No shipping is offered for this cart" in refused.text) == (422, True)


# -- where it ends -----------------------------------------------------------------------------


async def test_it_ends_on_the_page_of_the_order(site: Site, buyer: Visitor) -> None:
    email = new_email()
    offered = await buyer.get("/checkout")
    page = await checks_out(buyer, offered, email=email, time_zone="America/New_York", phone="+1 555 0100")
    order_id = order_on(page)
    cookie = _cookie(buyer, COOKIE)
    assert (cookie.path, cookie.has_nonstandard_attr("HttpOnly")) == (f"/orders/{order_id}", True)
    status = await site.shop.until(order_id, lambda status: bool(status.fulfillments))
    page = await buyer.until(f"/orders/{order_id}", lambda page: "2 × Mug" in page.text)
    promised = status.fulfillments[0].deliver_by
    assert f'Promised</dt><dd>by <time datetime="{promised.isoformat()}"' in page.html
    assert "Dates and times are in the America/New_York time zone" in page.text
    assert "Cart" in page.text
    assert "Cart 2" not in page.text
    assert (status.totals.items, status.totals.shipping, status.method) == (2000, STANDARD, "Standard")
    customer = await Contacts(site.shop.database).customer(order_id)
    assert customer is not None
    assert (customer.email, customer.name, customer.address.phone) == (email, "Ada Lovelace", "+1 555 0100")
    assert re.fullmatch(r"[2-9A-HJKMNP-TV-Z]{10}", order_id), "easy to read out"


def _cookie(visitor: Visitor, name: str) -> Cookie:
    return next(cookie for cookie in visitor.client.cookies.jar if cookie.name == name)


async def test_who_comes_back_is_the_same_customer_and_nobody_can_tell_who(site: Site) -> None:
    sku, email = await site.shop.lists(9), new_email()
    orders = [await bought(site, site.visitor(), sku, email=one) for one in (email, email.upper(), new_email())]
    found = [await site.app.state.services.views.order(order_id) for order_id in orders]
    ids = [detail.order.customer_id for detail in found]
    assert ids[0] == ids[1] != ids[2]
    assert re.fullmatch(r"c-[0-9a-f]{20}", ids[0])


async def test_lines_are_numbered_within_their_seller_and_ship_as_they_were_offered(site: Site) -> None:
    """Numbers of the whole order would tell each seller of the others."""
    visitor = site.visitor()
    own, lamp, far = (
        await site.shop.lists(9),
        await site.shop.lists(9, seller="birch"),
        await site.shop.lists(9, at="FBA-1"),
    )
    for sku, seller in ((own, "acme"), (lamp, "birch"), (far, "acme")):
        await puts_in_cart(visitor, sku, seller=seller)
    order_id = order_on(await checks_out(visitor))
    status = await site.shop.until(order_id, lambda status: len(status.fulfillments) == 3)
    assert [(one.line_id, one.sku, one.channel) for one in status.lines] == [
        ("acme-1", own, "FBM"),
        ("birch-1", lamp, "FBM"),
        ("acme-2", far, "FBA"),
    ]
    assert status.totals.shipping == 3 * STANDARD, "for each parcel that leaves somewhere"


async def test_a_time_zone_that_nobody_knows_costs_no_order(site: Site) -> None:
    sku = await site.shop.lists(9)
    for zone in ("America", "../../etc/passwd", "Nowhere/" + "x" * 3_000):
        visitor = site.visitor()
        order_id = await bought(site, visitor, sku, time_zone=zone)
        page = await visitor.until(f"/orders/{order_id}", lambda page: "What you ordered" in page.text)
        assert "Dates and times are in the UTC time zone" in page.text
