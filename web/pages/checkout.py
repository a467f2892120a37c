"""Checkout: who, where to, how fast, paid by what; it ends on the order's page."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData

from adapters.payments.tokens import TEST_CARDS
from domain.offers import Offer, Wish
from domain.placing import Address, Email
from usecases.addresses import address_form, checked_address, countries
from usecases.errors import InvalidOrder, OrderConflict, Unreachable
from web.pages.carts import forget_cart, read_cart
from web.pages.customers import allow_order
from web.pages.sessions import Form
from web.pages.shop import COUNTRY, offers_for
from web.pages.templates import known_zone, render
from web.services import Services, UseServices

router = APIRouter()

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


class _Checkout(NamedTuple):
    """What was chosen so far, as the form has it, and what can be chosen for it."""

    values: Mapping[str, str]
    country: str
    cart: tuple[Wish, ...]
    offers: tuple[Offer, ...]

    @property
    def shown_country(self) -> str:
        """Whose form and dates are shown: the first one's where somebody has sent a country that nobody knows."""
        return self.country if self.country in dict(countries()) else COUNTRY

    @property
    def offer(self) -> Offer | None:
        """The chosen method's, else the cheapest."""
        chosen = [offer for offer in self.offers if offer.method == self.values.get("method")]
        return next(iter((*chosen, *self.offers)), None)

    @property
    def items(self) -> int:
        return sum(line.unit_price * line.quantity for line in self.offer.lines) if self.offer else 0

    @property
    def total(self) -> int:
        return self.items + (self.offer.price if self.offer else 0)


@router.get("/checkout")
async def ask(request: Request, services: UseServices) -> Response:
    checkout = await _checkout(services, read_cart(request, services), {})
    return await _page(request, checkout, {}) if checkout.cart else RedirectResponse("/cart", status_code=303)


@router.post("/checkout")
async def check_out(request: Request, form: Form, services: UseServices) -> Response:
    """`refresh` shows what another country or method would mean; `place` places the order."""
    checkout = await _checkout(services, read_cart(request, services), _texts(form))
    if not checkout.cart:
        return RedirectResponse("/cart", status_code=303)
    if form.get("action") != "place":
        return await _page(request, checkout, {})
    address = checked_address(checkout.country, checkout.values)
    wrong = {} if isinstance(address, Address) else address
    wrong |= _wrong(checkout)
    if wrong or not isinstance(address, Address) or checkout.offer is None:
        return await _page(request, checkout, wrong, status=422)
    order_id = _order_id(services, checkout.values)
    body = _body(services, order_id, checkout, checkout.offer, address)
    try:
        await services.orders.place(body)
    except InvalidOrder as error:
        return await _page(request, checkout, {"": error.reason}, status=422)
    except Unreachable:
        again = checkout._replace(values={**checkout.values, "order": services.signatures.sign("order-id", order_id)})
        problem = "Your order may not have arrived. Please press the button again: it is placed only once."
        return await _page(request, again, {"": problem}, status=503)
    except OrderConflict:
        started_anew = checkout._replace(values={**checkout.values, "order": ""})
        problem = "An order was placed from this page already. To place another one, please press the button again."
        return await _page(request, started_anew, {"": problem}, status=409)
    response = RedirectResponse(f"/orders/{order_id}", status_code=303)
    allow_order(request, response, order_id)
    forget_cart(response)
    return response


async def _checkout(services: Services, cart: tuple[Wish, ...], values: Mapping[str, str]) -> _Checkout:
    checkout = _Checkout(values, values.get("country", COUNTRY), cart, ())
    zone = values.get("time_zone") or "UTC"
    return checkout._replace(offers=await offers_for(services, cart, checkout.shown_country, zone))


def _texts(form: FormData) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _wrong(checkout: _Checkout) -> dict[str, str]:
    values, wrong = checkout.values, {}
    if not _is_email(values.get("email", "").strip()):
        wrong["email"] = "Please give an email address such as ada@example.com."
    if values.get("card") not in {token for token, _, _ in TEST_CARDS}:
        wrong["card"] = "Please choose a card."
    if checkout.offer is None or values.get("method") != checkout.offer.method:
        wrong["method"] = "Please choose how fast it should come."
    if values.get("total") != str(checkout.total):
        wrong["total"] = "Prices or shipping have changed meanwhile: please look at the new total, and order again."
    return wrong


def _is_email(text: str) -> bool:
    try:
        _EMAIL.validate_python(text)
    except ValidationError:
        return False
    return True


async def _page(request: Request, checkout: _Checkout, wrong: Mapping[str, str], status: int = 200) -> Response:
    services = request.app.state.services
    order = checkout.values.get("order") or services.signatures.sign("order-id", _new_order_id())
    return await render(
        request,
        "checkout.html",
        status=status,
        zone=known_zone(checkout.values.get("time_zone", "UTC")).key,
        values=checkout.values,
        wrong=wrong,
        order=order,
        country=checkout.country,
        countries=countries(),
        fields=address_form(checkout.shown_country).fields,
        offers=checkout.offers,
        chosen=checkout.offer,
        items=checkout.items,
        total=checkout.total,
        cards=TEST_CARDS,
    )


def _new_order_id() -> str:
    """Ten characters that are easy to read out, of 49 random bits."""
    return "".join(secrets.choice("23456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(10))


def _order_id(services: Services, values: Mapping[str, str]) -> str:
    """The one that the page was made with: two clicks on its button are one order."""
    found = services.signatures.read("order-id", values.get("order", ""))
    return found if isinstance(found, str) else _new_order_id()


def _body(services: Services, order_id: str, checkout: _Checkout, offer: Offer, address: Address) -> dict[str, Any]:
    email = checkout.values["email"].strip()
    numbers: dict[str, int] = {}
    lines = []
    for line in offer.lines:
        # Numbered within their seller: a number of the order's would tell each of the others.
        numbers[line.seller] = numbers.get(line.seller, 0) + 1
        lines.append(
            {
                "line_id": f"{line.seller}-{numbers[line.seller]}",
                "sku": line.sku,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "seller": line.seller,
                "channel": line.channel,
            }
        )
    return {
        "order_id": order_id,
        "customer": {
            "id": _customer_id(services, email),
            "name": address.name,
            "email": email,
            "time_zone": known_zone(checkout.values.get("time_zone", "UTC")).key,
        },
        "ship_to": address.model_dump(mode="json"),
        "currency": offer.currency,
        "lines": lines,
        "shipping": {"method": offer.method, "price": offer.price},
        "payments": [{"token": checkout.values["card"], "amount": checkout.total}],
    }


def _customer_id(services: Services, email: str) -> str:
    """Opaque, and the same for the same address: who comes back is known as the same customer."""
    assert services.settings.secret_key is not None
    secret = services.settings.secret_key.get_secret_value().encode()
    return f"c-{hmac.new(secret, email.lower().encode(), hashlib.sha256).hexdigest()[:20]}"
