"""What somebody is about to buy, kept in a signed cookie: no row, no session, until the order is placed."""

from collections.abc import Iterable
from typing import Any

from fastapi import Request, Response

from domain.offers import Wish
from domain.placing import QUANTITY_MAX
from web.pages.cookies import set_cookie
from web.services import Services

COOKIE = "oo_cart"
LINES_MAX = 30
"""As many as a cookie of 4 KB holds."""

_SECONDS = 60 * 60 * 24 * 30


def read_cart(request: Request, services: Services) -> tuple[Wish, ...]:
    """Empty where there is none, or it is none of ours."""
    found = services.signatures.read("cart", request.cookies.get(COOKIE, ""))
    return tuple(_wishes(found)) if isinstance(found, list) else ()


def _wishes(found: Iterable[Any]) -> Iterable[Wish]:
    for seller, sku, quantity in found:
        yield Wish(seller=seller, sku=sku, quantity=quantity)


def with_quantity(cart: tuple[Wish, ...], seller: str, sku: str, quantity: int) -> tuple[Wish, ...]:
    """So many units of it; none takes it out."""
    quantity = min(quantity, QUANTITY_MAX)
    others = [wish for wish in cart if (wish.seller, wish.sku) != (seller, sku)]
    place = next((i for i, wish in enumerate(cart) if (wish.seller, wish.sku) == (seller, sku)), len(others))
    if quantity > 0:
        others.insert(place, Wish(seller=seller, sku=sku, quantity=quantity))
    return tuple(others[:LINES_MAX])


def quantity_of(cart: tuple[Wish, ...], seller: str, sku: str) -> int:
    return next((wish.quantity for wish in cart if (wish.seller, wish.sku) == (seller, sku)), 0)


def cart_units(request: Request, services: Services) -> int:
    """For the number that stands beside the cart on every page."""
    return sum(wish.quantity for wish in read_cart(request, services)) if COOKIE in request.cookies else 0


def keep_cart(request: Request, response: Response, cart: tuple[Wish, ...]) -> None:
    services = request.app.state.services
    assert isinstance(services, Services)
    signed = services.signatures.sign("cart", [[wish.seller, wish.sku, wish.quantity] for wish in cart])
    set_cookie(request, response, COOKIE, signed, _SECONDS)


def forget_cart(response: Response) -> None:
    response.delete_cookie(COOKIE)
