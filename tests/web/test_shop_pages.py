"""The catalogue, its products and the cart, as somebody without an account walks through them."""

from datetime import UTC, datetime

import pytest
from babel import Locale
from itsdangerous import URLSafeSerializer

from adapters.mail.formats import Formats
from domain.access import Scope
from domain.catalog import Catalog, Listing, Seller
from domain.offers import Offer, Wish
from domain.placing import QUANTITY_MAX
from store.offers import Offers
from tests.web.browsing import Page, Visitor
from tests.web.buying import NEXT_DAY, STANDARD, puts_in_cart, ships_for
from tests.web.conftest import Site
from usecases.quotes import quote
from web.pages.carts import COOKIE, LINES_MAX
from web.pages.templates import known_zone


@pytest.fixture(autouse=True, scope="module")
async def _rates(site: Site) -> None:
    await ships_for(site.shop)


def _titles(page: Page) -> list[str]:
    return [part.split("<", 1)[0] for part in page.html.split('">')[1:] if part.startswith(("Gadget", "Gizmo"))]


# -- the catalogue -----------------------------------------------------------------------------


async def test_the_catalogue_is_searched_and_goes_on_page_by_page(site: Site) -> None:
    for number in range(26):
        await site.shop.lists(5, title=f"Gadget {number:02}", sku=f"GADGET_{number:02}")
    await site.shop.lists(5, title="Gizmo 100%", sku="GIZMO")
    visitor = site.visitor()
    page = await visitor.get("/?q=gaDGet")
    assert _titles(page) == [f"Gadget {number:02}" for number in range(24)]
    assert "Results for “gaDGet”" in page.text
    assert page.form("/").fields["q"] == ["gaDGet"]
    following = page.html.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    rest = await visitor.get(following)
    assert _titles(rest) == ["Gadget 24", "Gadget 25"]
    assert 'rel="next"' not in rest.html
    assert _titles(await visitor.get("/?q=get_03")) == ["Gadget 03"], "by SKU too, and _ is no wildcard"
    assert _titles(await visitor.get("/?q=100%25")) == ["Gizmo 100%"]
    assert _titles(await visitor.get("/?q=get%2503")) == []
    assert "Nothing has “unicorn” in its name" in (await visitor.get("/?q=%20unicorn")).text


@pytest.mark.parametrize(("on_hand", "words"), [(0, "Out of stock"), (3, "Only 3 left"), (5, "In stock")])
async def test_what_is_free_is_said_in_the_list_and_on_the_product(site: Site, on_hand: int, words: str) -> None:
    sku = await site.shop.lists(on_hand, title="Bowl", unit_price=1250, weight_grams=1500)
    listed = await site.visitor().get(f"/?q={sku}")
    product = await site.visitor().get(f"/products/acme/{sku}")
    for page in (listed, product):
        assert words in page.text
        assert "$12.50" in page.text
    assert ("we ask you what to do before anything is charged" in product.text) == (on_hand == 0)
    assert "1.5 kg" in product.text
    assert "Sold by Acme" in product.text


async def test_what_lies_with_the_network_ships_from_there(site: Site) -> None:
    sku = await site.shop.lists(5, at="FBA-1")
    assert "Ships from our fulfillment network" in (await site.visitor().get(f"/products/acme/{sku}")).text


async def test_a_product_shows_what_its_order_would_be_promised_now(site: Site) -> None:
    sku = await site.shop.lists(5)
    shown = {country: await _offers_shown(site, sku, country) for country in ("US", "JP")}
    for offers, page in shown.values():
        formats = Formats(Locale("en"), known_zone("UTC"))
        assert [(offer.method, offer.price) for offer in offers] == [("Standard", STANDARD), ("NextDay", NEXT_DAY)]
        for offer in offers:
            assert formats.window(offer.earliest_delivery, offer.deliver_by) in page.text
            assert formats.moment(offer.order_by) in page.text
    assert shown["JP"][1].form("").fields["country"] == ["JP"]


async def _offers_shown(site: Site, sku: str, country: str) -> tuple[tuple[Offer, ...], Page]:
    """The page and the offers of its moment: asked again where a cut-off lay between."""
    visitor, wish = site.visitor(), Wish(seller="acme", sku=sku, quantity=1)
    while True:
        before, page, after = (
            await quote(Offers(site.shop.database), [wish], country, "UTC", datetime.now(UTC)),
            await visitor.get(f"/products/acme/{sku}?country={country}"),
            await quote(Offers(site.shop.database), [wish], country, "UTC", datetime.now(UTC)),
        )
        if before == after:
            return after, page


async def test_what_nobody_can_ship_is_shown_without_dates(site: Site) -> None:
    listing = Listing(seller="homeless", sku="KITE", title="Kite", unit_price=100, currency="USD")
    seller = Seller(seller="homeless", name="Homeless", email="orders@homeless.example")
    assert await site.shop.inventory.load(Catalog(sellers=(seller,), listings=(listing,))) is None
    visitor = site.visitor()
    page = await visitor.get("/products/homeless/KITE")
    assert (page.status, "No shipping is offered in USD" in page.text) == (200, True)
    cart = await puts_in_cart(visitor, "KITE", seller="homeless")
    assert "not sold any more" in cart.text
    assert 'href="/checkout"' not in cart.html


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/products/acme/NOTHING", 404),
        ("/products/nobody/NOTHING", 404),
        ("/products/acme/%00", 422),
        ("/products/acme/NOTHING?country=usa", 422),
        ("/?q=%00", 422),
        (f"/?q={'x' * 101}", 422),
        ("/?after=%00", 422),
        ("/nowhere", 404),
    ],
)
async def test_what_is_not_there_and_what_is_no_address_are_told(site: Site, path: str, status: int) -> None:
    page = await site.visitor().get(path)
    assert page.status == status
    assert {404: "Not found", 422: "Something is not right"}[status] in page.text


# -- the cart -----------------------------------------------------------------------------------


async def _sets(visitor: Visitor, sku: str, quantity: str) -> Page:
    """In the cart's own form for it."""
    page = await visitor.get("/cart")
    own = next(form for form in page.forms if form.fields.get("sku") == [sku])
    return Page(await visitor.client.post("/cart", data={**own.fields, "quantity": quantity}))


async def test_a_cart_adds_sets_and_takes_out(site: Site) -> None:
    visitor = site.visitor()
    mug = await site.shop.lists(9, title="Mug", unit_price=1000)
    pot = await site.shop.lists(1, title="Pot", unit_price=2500, seller="birch")
    assert "Your cart is empty" in (await visitor.get("/cart")).text
    page = await puts_in_cart(visitor, mug, 2)
    page = await puts_in_cart(visitor, mug, 3)
    page = await puts_in_cart(visitor, pot, 2, seller="birch")
    assert "Items $100.00" in page.text
    assert "Only 1 left" in page.text
    assert "Cart 7" in page.text, "the number beside the cart"
    assert "5 in your cart already" in (await visitor.get(f"/products/acme/{mug}")).text
    page = await _sets(visitor, mug, " 1 ")
    assert ("Items $60.00" in page.text, page.html.index("Mug") < page.html.index("Pot")) == (True, True)
    page = await _sets(visitor, pot, "0")
    assert ("Pot" in page.text, "Items $10.00" in page.text) == (False, True)
    page = await _sets(visitor, mug, "123456")
    assert page.form("/cart").fields["quantity"] == [str(QUANTITY_MAX)]
    for words in ("", "two", "-1", "1.5", "9" * 5_000):
        assert (await _sets(visitor, mug, words)).status == 422
    assert (await visitor.get("/cart")).form("/cart").fields["quantity"] == [str(QUANTITY_MAX)]


async def test_a_cart_holds_thirty_different_items_and_says_so(site: Site) -> None:
    visitor = site.visitor()
    skus = [await site.shop.lists(9, sku=f"{'THIRTY-' * 8}{number:08}") for number in range(LINES_MAX + 1)]
    for sku in skus[:-1]:
        assert (await puts_in_cart(visitor, sku)).path == "/cart"
    page = await puts_in_cart(visitor, skus[-1])
    assert "A cart holds 30 different items at most" in page.text
    assert skus[-1] not in page.html
    page = await puts_in_cart(visitor, skus[0], 4)
    assert (page.path, "Cart 34" in page.text) == ("/cart", True)
    assert len(visitor.client.cookies[COOKIE]) < 4_096 - 200, "browsers keep no more than that of a cookie"


async def test_what_is_not_sold_any_more_is_tidied_away(site: Site) -> None:
    visitor = site.visitor()
    mug = await site.shop.lists(9, title="Mug")
    page = await puts_in_cart(visitor, mug)
    await visitor.submit(page, "/cart", sku="GONE", quantity="2")
    page = await visitor.get("/cart")
    assert "Something in your cart is not sold any more" in page.text
    assert 'href="/checkout"' not in page.html
    page = await visitor.submit(page, "/cart/tidy")
    assert ("Mug" in page.text, "Cart 1" in page.text) == (True, True)
    assert 'href="/checkout"' in page.html
    assert not page.has_form("/cart/tidy")


async def test_things_in_several_currencies_are_ordered_apart(site: Site) -> None:
    visitor = site.visitor()
    await puts_in_cart(visitor, await site.shop.lists(9))
    page = await puts_in_cart(visitor, await site.shop.lists(9, currency="EUR"))
    assert "sold in several currencies" in page.text
    assert 'href="/checkout"' not in page.html


async def test_a_cart_that_is_none_of_ours_is_empty(site: Site) -> None:
    sku = await site.shop.lists(9)
    for secret, salt in (("another secret", "cart"), ("the same for web and worker", "session")):
        visitor = site.visitor()
        forged = URLSafeSerializer(secret, salt=salt).dumps([["acme", sku, 1]])
        visitor.client.cookies.set(COOKIE, str(forged))
        assert "Your cart is empty" in (await visitor.get("/cart")).text


async def test_a_field_that_cannot_be_kept_is_refused(site: Site) -> None:
    visitor = site.visitor()
    page = await visitor.get(f"/products/acme/{await site.shop.lists(9)}")
    assert (await visitor.submit(page, "/cart", sku="\x00")).status == 422
    assert "Your cart is empty" in (await visitor.get("/cart")).text


async def test_who_is_signed_in_sees_the_shop_with_a_navigation_of_their_own(site: Site) -> None:
    seller = await site.signed_in(Scope.SELLER, "acme")
    page = await seller.get("/")
    assert "To ship" in page.text
    assert page.has_form("/signout")
