"""The shop: catalogue, product and cart."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from domain.offers import Offer, Source, Wish
from domain.placing import QUANTITY_MAX
from usecases.addresses import countries
from usecases.errors import InvalidMessage
from usecases.quotes import quote
from web.pages.carts import LINES_MAX, keep_cart, quantity_of, read_cart, with_quantity
from web.pages.numbers import number_of
from web.pages.sessions import Form, MaybeSignedIn
from web.pages.templates import render
from web.problems import not_found
from web.services import Services, UseServices

router = APIRouter()

COUNTRY = "US"
"""Where dates are shown for until somebody says another."""

_ITEMS = 24
_NO_NUL = r"^[^\x00]*$"


@router.get("/")
async def catalogue(
    request: Request,
    services: UseServices,
    caller: MaybeSignedIn,
    q: Annotated[str, Query(max_length=100, pattern=_NO_NUL)] = "",
    after: Annotated[str | None, Query(max_length=200, pattern=_NO_NUL)] = None,
) -> Response:
    q = q.strip()
    page = await services.offers.items(search=q or None, after=after, limit=_ITEMS)
    more = urlencode({"q": q, "after": page.next}) if page.next else ""
    return await render(request, "shop.html", caller=caller, items=page.items, q=q, more=more and f"/?{more}")


@router.get("/products/{seller}/{sku:path}")
async def product(
    request: Request,
    services: UseServices,
    caller: MaybeSignedIn,
    seller: Annotated[str, Path(pattern=_NO_NUL)],
    sku: Annotated[str, Path(pattern=_NO_NUL)],
    country: Annotated[str, Query(pattern=r"^[A-Z]{2}$")] = COUNTRY,
) -> Response:
    item = await services.offers.item(seller, sku)
    if item is None:
        raise not_found("There is no such product.")
    wish = Wish(seller=seller, sku=sku, quantity=1)
    return await render(
        request,
        "product.html",
        caller=caller,
        item=item,
        offers=await offers_for(services, (wish,), country, "UTC"),
        country=country,
        countries=countries(),
        quantity=quantity_of(read_cart(request, services), seller, sku),
    )


@router.get("/cart")
async def cart_page(request: Request, services: UseServices, caller: MaybeSignedIn, full: bool = False) -> Response:
    cart = read_cart(request, services)
    sources = await services.offers.sources(cart)
    lines = [(cart[source.position], source) for source in sources]
    trouble = _trouble(cart, sources)
    return await render(
        request,
        "cart.html",
        caller=caller,
        lines=lines,
        gone=len(cart) - len(lines),
        trouble=trouble,
        full=full,
        lines_max=LINES_MAX,
        currency=sources[0].currency if sources else "",
        items_total=sum(source.unit_price * wish.quantity for wish, source in lines),
    )


def _trouble(cart: tuple[Wish, ...], sources: tuple[Source, ...]) -> str:
    if len({source.currency for source in sources}) > 1:
        return "These items are sold in several currencies: please order them apart."
    return "Something in your cart is not sold any more: please take it out." if len(sources) < len(cart) else ""


@router.post("/cart")
async def change_cart(request: Request, form: Form, services: UseServices) -> Response:
    """`add` puts more of it in; `quantity` alone sets how many there are."""
    cart = read_cart(request, services)
    seller, sku = str(form.get("seller", "")), str(form.get("sku", ""))
    quantity = _quantity(str(form.get("quantity", "1")))
    if form.get("add"):
        quantity += quantity_of(cart, seller, sku)
    changed = with_quantity(cart, seller, sku, quantity)
    is_full = len(cart) == LINES_MAX and quantity > 0 and quantity_of(changed, seller, sku) == 0
    response = RedirectResponse("/cart?full=1" if is_full else "/cart", status_code=303)
    keep_cart(request, response, changed)
    return response


@router.post("/cart/tidy")
async def tidy_cart(request: Request, _: Form, services: UseServices) -> Response:
    """Take out what is not sold any more."""
    cart = read_cart(request, services)
    kept = tuple(cart[source.position] for source in await services.offers.sources(cart))
    response = RedirectResponse("/cart", status_code=303)
    keep_cart(request, response, kept)
    return response


def _quantity(text: str) -> int:
    quantity = number_of(text)
    if quantity is None:
        raise InvalidMessage("quantity: please give a number")
    return min(quantity, QUANTITY_MAX)


async def offers_for(services: Services, cart: tuple[Wish, ...], country: str, time_zone: str) -> tuple[Offer, ...]:
    """None where something cannot be bought; the cart's page says why."""
    try:
        return await quote(services.offers, cart, country, time_zone, datetime.now(UTC))
    except InvalidMessage:
        return ()
