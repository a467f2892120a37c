"""The order's page of its customer: opened by a signed link, and limited to that one order."""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.datastructures import FormData

from adapters.payments.tokens import TEST_CARDS
from domain.access import OF_CUSTOMERS
from domain.contacts import CustomerContact
from domain.mails import mail_from_row
from domain.model import OrderId
from domain.placing import Address
from domain.results import MoneyResult
from store.views.order import OrderDetail
from usecases.addresses import Field, address_form, checked_address
from usecases.errors import InvalidMessage, OrderError, OrderNotFound, Unreachable
from web.api.answers import Actions, look
from web.api.orders import must_have_room
from web.limits import Limit, note_wrong_guess, refuse_guessers
from web.pages.cookies import set_cookie
from web.pages.flashes import back_to, once_for
from web.pages.numbers import items_of, number_of
from web.pages.sessions import Form
from web.pages.shipments import STEPS, shipments_of
from web.pages.templates import render
from web.problems import not_found
from web.services import Services, UseServices

router = APIRouter()

COOKIE = "oo_order"
COOKIE_SECONDS = 60 * 60 * 24 * 30
LINK_GOOD_FOR = timedelta(days=180)
"""After the last change of an order that has ended."""

LINKS = Limit("link", 60, timedelta(minutes=15))


def allow_order(request: Request, response: Response, order_id: str) -> None:
    """From now on this browser may see this order: the cookie goes to the order's pages and to no other."""
    signed = request.app.state.services.signatures.sign("order-link", order_id)
    set_cookie(request, response, COOKIE, signed, COOKIE_SECONDS, path=f"/orders/{order_id}")


@router.get("/o/{token}")
async def follow_link(request: Request, token: str, services: UseServices) -> Response:
    """The link of a mail; from here on the address has no secret in it."""
    order_id = services.signatures.read("order-link", token)
    if not isinstance(order_id, str):
        await refuse_guessers(request, services, LINKS)
        await note_wrong_guess(request, services, LINKS)
        raise not_found("This link is not valid. Please open the one in your latest mail.")
    response = RedirectResponse(f"/orders/{order_id}", status_code=303)
    allow_order(request, response, order_id)
    return response


async def _own_order(request: Request, order_id: Annotated[OrderId, Path()], services: UseServices) -> str:
    """The same answer for an order that is not there and for one that this browser has no link to."""
    allowed = services.signatures.read("order-link", request.cookies.get(COOKIE, ""))
    if allowed != order_id or await services.contacts.is_erased(order_id):
        raise not_found("Please open the link in one of the mails about your order: it leads here.")
    return order_id


OwnOrder = Annotated[str, Depends(_own_order)]


@router.get("/orders/{order_id}")
async def order_page(request: Request, order_id: OwnOrder, services: UseServices) -> Response:
    detail = await services.views.order(order_id)
    customer = await services.contacts.customer(order_id)
    if detail is None or customer is None:
        # Placed a moment ago; or nobody works just now, and the order waits in Temporal.
        refused = await _why_refused(services, order_id)
        return await render(request, "order_new.html", order_id=order_id, refused=refused)
    _refuse_if_long_ended(detail)
    now = await look(services.orders, detail)
    return await render(
        request,
        "order.html",
        zone=customer.time_zone,
        order=detail,
        customer=customer,
        now=now or Actions(),
        unanswered=now is None,
        steps=STEPS,
        shipments=shipments_of(detail),
        cards=TEST_CARDS,
        fields=address_fields(customer.address),
        address=address_values(customer.address),
        once=once_for(request, services),
    )


async def _why_refused(services: Services, order_id: str) -> str:
    try:
        refusal = await services.orders.why_refused(order_id)
    except (OrderNotFound, Unreachable):  # this browser has placed it: nobody can tell it more just now
        return ""
    return "" if refusal is None else _for_people(refusal)


def _refuse_if_long_ended(order: OrderDetail) -> None:
    if order.order.closed and datetime.now(UTC) - order.changed_at > LINK_GOOD_FOR:
        raise not_found("This order was completed long ago: its page is not shown any more.")


def address_fields(address: Address) -> tuple[Field, ...]:
    """None for a country that nobody knows: then the address cannot be changed here."""
    try:
        return address_form(address.country).fields
    except KeyError:
        return ()


def address_values(address: Address) -> dict[str, str]:
    return {name: str(value) for name, value in address.model_dump().items()}


@router.get("/orders/{order_id}/mails")
async def mails_page(request: Request, order_id: OwnOrder, services: UseServices) -> Response:
    """Every mail about the order, as it was sent."""
    detail = await services.views.order(order_id)
    customer = await services.contacts.customer(order_id)
    if detail is None or customer is None:
        raise not_found("There are no mails yet.")
    _refuse_if_long_ended(detail)
    return await render(
        request, "order_mails.html", zone=customer.time_zone, order_id=order_id, mails=await _mails(services, order_id)
    )


async def _mails(services: Services, order_id: str) -> list[dict[str, Any]]:
    contact = await services.contacts.contact(order_id, "customer")
    assert contact is not None
    bodies = await services.views.mail_bodies(order_id)  # first: what comes in between has a row then
    sent = {row.key: row for row in await services.views.mails(order_id)}
    shown = []
    for body in reversed(bodies):
        mail = mail_from_row(body)
        if mail.to == "customer":
            shown.append({"row": sent[mail.key], "rendered": services.mails.render(mail, contact)})
    return shown


async def _changes(
    order_id: OwnOrder, services: UseServices, last_event_id: Annotated[int, Header(ge=0)] = 0
) -> AsyncIterator[ServerSentEvent]:
    must_have_room(services, order_id)
    return changes_of(services, order_id, last_event_id)


@router.get("/orders/{order_id}/events", response_class=EventSourceResponse)
async def events(
    stream: Annotated[AsyncIterator[ServerSentEvent], Depends(_changes)],
) -> AsyncIterator[ServerSentEvent]:
    """That something has changed, and not what: the page is fetched again and shows what a customer may see."""
    async for event in stream:
        yield event


async def _always() -> bool:
    return True


async def changes_of(
    services: Services, order_id: str, seen: int, may_see: Callable[[], Awaitable[bool]] = _always
) -> AsyncIterator[ServerSentEvent]:
    async with aclosing(services.watch.changes(order_id)) as changes:
        async for _ in changes:
            if not await may_see():
                return
            ended = await services.views.is_closed(order_id)
            position = (await services.views.positions([order_id])).get(order_id, 0)
            if position > seen:
                seen = position
                yield ServerSentEvent(event="entry", id=str(position), data={})
            if ended:
                yield ServerSentEvent(event="end", data={})
                return


# -- what a customer may do ---------------------------------------------------------------


@router.post("/orders/{order_id}/{message}")
async def send(request: Request, order_id: OwnOrder, message: str, form: Form, services: UseServices) -> Response:
    """The order decides; what it says stands on its page then."""
    if message not in OF_CUSTOMERS:
        raise not_found("There is no such page.")
    path = f"/orders/{order_id}"
    customer = await services.contacts.customer(order_id)
    if customer is None:
        raise not_found("The order is being recorded: please try again in a moment.")
    try:
        body = {"by": "customer", **_body(message, form, customer)}
        answer = await services.orders.update(order_id, message, body, update_id=_once(form, message, body))
    except Unreachable:
        told = "Your order could not be reached just now, and may have this already. To send the same again is safe."
        once = form.get("once", "")
        return back_to(request, path, "bad", told, once if isinstance(once, str) else "")
    except OrderError as error:
        return back_to(request, path, "bad", _for_people(error))
    if isinstance(answer, MoneyResult) and not answer.done:
        return back_to(request, path, "bad", f"That did not work: {answer.refused_because}.")
    return back_to(request, path, "ok", _DONE[message])


def _once(form: FormData, message: str, body: dict[str, Any]) -> str:
    """Of this page and these words: sent again with others, by whoever went back to it, it is another message."""
    words = json.dumps([str(form.get("once", "")), message, body], sort_keys=True)
    return f"page-{hashlib.sha256(words.encode()).hexdigest()[:32]}"


_DONE = {
    "cancel": "We have your cancellation. What became of it stands below.",
    "choose_for_shortage": "Thank you: we do as you chose.",
    "update_payment": "We are trying your other card.",
    "change_address": "We have your new address.",
    "confirm_delivery": "Thank you for telling us that it arrived.",
    "report_issue": "We are sorry, and have your report. You hear from us soon.",
}


def _for_people(error: OrderError) -> str:
    """The order's own words without the name of the field that they are about; one on the form, such as City, stays."""
    field, separator, words = error.reason.partition(": ")
    sentence = words if separator and " " not in field and field.islower() else error.reason
    return sentence[:1].upper() + sentence[1:] + ("" if sentence.endswith(".") else ".")


def _body(message: str, form: FormData, customer: CustomerContact) -> dict[str, Any]:
    """Raises `InvalidMessage` for what was left out."""
    text = {name: value.strip() for name, value in form.items() if isinstance(value, str)}
    match message:
        case "cancel":
            items = items_of(text)
            if not items and text.get("what") != "everything":
                raise InvalidMessage("Please say how many of which item, or choose the whole order")
            chosen = {} if text.get("what") == "everything" else {"items": items}
            return chosen | _given(text, "reason")
        case "choose_for_shortage":
            choice, _, sku = text.get("choice", "").partition(":")
            return _given(text, "line_id") | {"choice": choice} | ({"substitute_sku": sku} if sku else {})
        case "update_payment":
            amount = number_of(text.get("amount", "")) or 0
            return {"payments": [{"token": text.get("card", ""), "amount": amount}]}
        case "change_address":
            address = checked_address(customer.address.country, text)
            if not isinstance(address, Address):
                names = {field.name: field.label for field in address_form(customer.address.country).fields}
                raise InvalidMessage("; ".join(f"{names.get(name, name)}: {why}" for name, why in address.items()))
            return {"ship_to": address.model_dump(mode="json")}
        case "confirm_delivery":
            return _given(text, "parcel_id")
        case _:
            return _given(text, "parcel_id", "kind", "note")


def _given(text: dict[str, str], *names: str) -> dict[str, str]:
    return {name: text[name] for name in names if text.get(name)}
