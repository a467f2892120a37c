"""What a customer does in the shop: fill a cart, check out, and open the link in the mail that comes."""

import re
from typing import Any
from uuid import uuid4

from domain.catalog import Catalog, ShippingRate
from domain.shipping import ShippingMethod
from tests.shop import Shop, eventually
from tests.web.browsing import Page, Visitor
from tests.web.conftest import Site

STANDARD, NEXT_DAY = 499, 1999
"""What shipping costs in USD, for each parcel that leaves somewhere."""

ADA = {
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "line1": "12 Mill Street",
    "city": "Springfield",
    "region": "IL",
    "postal_code": "62701",
}


async def ships_for(shop: Shop, currency: str = "USD") -> None:
    """From now on things in this currency can be shipped, by two methods."""
    rates = {ShippingMethod.STANDARD: STANDARD, ShippingMethod.NEXT_DAY: NEXT_DAY}
    catalog = Catalog(
        shipping_rates=tuple(
            ShippingRate(currency=currency, method=method, per_shipment=price) for method, price in rates.items()
        )
    )
    assert await shop.inventory.load(catalog) is None


def new_email() -> str:
    return f"ada-{uuid4().hex[:8]}@example.com"


async def puts_in_cart(visitor: Visitor, sku: str, quantity: int = 1, *, seller: str = "acme") -> Page:
    page = await visitor.get(f"/products/{seller}/{sku}")
    return await visitor.submit(page, "/cart", quantity=str(quantity))


async def checks_out(visitor: Visitor, page: Page | None = None, /, **changes: Any) -> Page:
    """Fills in Ada's address with these changes, and presses the button that places the order."""
    page = page or await visitor.get("/checkout")
    return await visitor.submit(page, "/checkout", **{**ADA, "action": "place", **changes})


def order_on(page: Page) -> str:
    """The id of the order whose page this is."""
    found = re.fullmatch(r"/orders/([A-Za-z0-9_-]+)", page.path)
    assert found, f"{page.path} is no order's page: {page.text}"
    return found[1]


async def bought(site: Site, visitor: Visitor, *skus: str, **changes: Any) -> str:
    """Each of them once; gives the id of the order, recorded and checked."""
    for sku in skus:
        await puts_in_cart(visitor, sku)
    order_id = order_on(await checks_out(visitor, **changes))
    await site.shop.until(
        order_id, lambda status: status.status != "Pending" and bool(status.fulfillments or status.shortages)
    )
    return order_id


async def link_of(site: Site, order_id: str) -> str:
    """Where the newest mail to the customer leads to, as a path; those to sellers may come first."""

    async def link() -> str:
        for mail in reversed(await site.shop.mails(order_id)):
            if found := re.search(re.escape(str(site.shop.settings.web_url)) + r"(/o/[^\s\"<>]+)", mail.text):
                return found[1]
        return ""

    return await eventually(link)


async def customer_of(site: Site, order_id: str) -> Visitor:
    """Somebody who has followed the link in a mail."""
    visitor = site.visitor()
    page = await visitor.get(await link_of(site, order_id))
    assert page.path == f"/orders/{order_id}"
    return visitor


async def leaves(shop: Shop, order_id: str, fulfillment_id: str = "acme-1", **more: Any) -> None:
    """Packed, handed over and its label scanned: for a day the carrier has nothing more to say by itself."""
    await shop.packs(order_id, fulfillment_id)
    await shop.ships(order_id, fulfillment_id, **more)
    await shop.noted(order_id, "carrier_event")
