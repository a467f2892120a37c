"""Support: find an order, see what needs a person, and do what the order would obey."""

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote, urlencode

from babel import Locale
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from adapters.mail.formats import Formats
from adapters.payments.tokens import TEST_CARDS
from domain.access import OUTSIDE_MESSAGES, Caller, may_send, sender
from domain.mails import mail_from_row
from domain.messages import AddNote
from domain.model import OrderId
from domain.results import MoneyResult
from store.views.support import FOUND_MAX
from usecases.errors import InvalidMessage, OrderError, OrderNotFound, Unreachable
from usecases.orders import decoded
from web.api.answers import Actions, age_seconds, look
from web.api.orders import must_have_room
from web.pages import support_forms, words
from web.pages.customers import address_fields, address_values, changes_of
from web.pages.flashes import back_to, once_for
from web.pages.sessions import Form, SupportPage, signed_in
from web.pages.templates import known_zone, render
from web.problems import not_found
from web.services import Services, UseServices
from workflows.names import workflow_id

router = APIRouter(prefix="/support")

AnOrderId = Annotated[OrderId, Path()]
_FIRST = 10


@router.get("")
async def start(
    request: Request,
    services: UseServices,
    caller: SupportPage,
    q: Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")] = "",
) -> Response:
    """One order that is found by its id is opened at once."""
    found = await services.support.search(q) if q.strip() else ()
    if len(found) == 1 and found[0].by in ("order id", "tracking number"):
        return RedirectResponse(f"/support/orders/{quote(found[0].order_id)}", status_code=303)
    return await render(
        request,
        "support.html",
        zone=services.settings.time_zone,
        caller=caller,
        q=q,
        found=found,
        found_max=FOUND_MAX,
        counts=await services.support.attention_counts(),
        waiting=(await services.support.attention(limit=_FIRST)).orders,
        standstills=await services.support.standstills(),
    )


@router.get("/attention")
async def attention(
    request: Request,
    services: UseServices,
    caller: SupportPage,
    word: Annotated[str | None, Query(pattern=r"^[a-z_]{1,40}$")] = None,
    after: OrderId | None = None,
) -> Response:
    page = await services.support.attention(word=word, after=after)
    more = {"after": page.next} | ({"word": word} if word else {})
    return await render(
        request,
        "support_attention.html",
        zone=services.settings.time_zone,
        caller=caller,
        word=word,
        orders=page.orders,
        counts=await services.support.attention_counts(),
        more=f"/support/attention?{urlencode(more)}" if page.next else "",
    )


@router.get("/orders/{order_id}")
async def order_page(request: Request, order_id: AnOrderId, services: UseServices, caller: SupportPage) -> Response:
    detail = await services.views.order(order_id)
    customer = await services.contacts.customer(order_id)
    if detail is None or customer is None:
        return await _without_rows(request, services, caller, order_id)
    now = await look(services.orders, detail)
    allowed = [message for message in OUTSIDE_MESSAGES if may_send(caller, message.name)]
    return await render(
        request,
        "support_order.html",
        zone=services.settings.time_zone,
        caller=caller,
        order=detail,
        customer=customer,
        now=now or Actions(),
        unanswered=now is None,
        age_seconds=age_seconds(detail),
        actions=[(message.name, now.about(message.name)) for message in allowed if now and now.about(message.name)],
        mails=await _mails(services, order_id),
        cards=TEST_CARDS,
        fields=address_fields(customer.address),
        address=address_values(customer.address),
        temporal_url=_temporal_url(services, order_id),
        once=once_for(request, services),
    )


async def _without_rows(request: Request, services: Services, caller: Caller, order_id: str) -> Response:
    """Placed a moment ago, or refused; or nobody works just now, and the order waits in Temporal."""
    try:
        refusal = await services.orders.why_refused(order_id)
    except OrderNotFound:
        raise not_found(f"There is no order {order_id}.") from None
    return await render(
        request,
        "support_order_new.html",
        caller=caller,
        order_id=order_id,
        refused="" if refusal is None else refusal.reason,
        temporal_url=_temporal_url(services, order_id),
    )


async def _changes(
    request: Request,
    order_id: AnOrderId,
    services: UseServices,
    _: SupportPage,
    last_event_id: Annotated[int, Header(ge=0)] = 0,
) -> AsyncIterator[ServerSentEvent]:
    if order_id not in await services.views.positions([order_id]):
        raise not_found(f"There is no order {order_id}, or nobody has recorded it yet.")
    must_have_room(services, order_id)

    async def may_see() -> bool:
        return await signed_in(request, services) is not None

    return changes_of(services, order_id, last_event_id, may_see)


@router.get("/orders/{order_id}/events", response_class=EventSourceResponse)
async def events(
    stream: Annotated[AsyncIterator[ServerSentEvent], Depends(_changes)],
) -> AsyncIterator[ServerSentEvent]:
    """That something has changed: the page is fetched again."""
    async for event in stream:
        yield event


def _temporal_url(services: Services, order_id: str) -> str:
    root = services.settings.temporal_ui_url
    if root is None:
        return ""
    return f"{root.rstrip('/')}/namespaces/{services.namespace}/workflows/{quote(workflow_id(order_id), safe='')}"


async def _mails(services: Services, order_id: str) -> list[dict[str, object]]:
    """To whom each was sent, with its subject and words."""
    bodies = await services.views.mail_bodies(order_id)  # first: what comes in between has a row then
    sent = {row.key: row for row in await services.views.mails(order_id)}
    shown: list[dict[str, object]] = []
    for body in reversed(bodies):
        row = sent[body["key"]]
        contact = await services.contacts.contact(order_id, row.to)
        rendered = services.mails.render(mail_from_row(body), contact) if contact else None
        shown.append({"row": row, "rendered": rendered})
    return shown


@router.post("/orders/{order_id}/erase")
async def erase(
    request: Request, order_id: AnOrderId, form: Form, services: UseServices, caller: SupportPage
) -> Response:
    """The person behind the order, or behind all orders of its customer; asked twice, since it is for good."""
    detail = await services.views.order(order_id)
    if detail is None:
        raise not_found(f"There is no order {order_id}, or nobody has recorded it yet.")
    path = f"/support/orders/{order_id}"
    if form.get("sure") != "yes":
        return back_to(request, path, "bad", "Nothing was erased: say that you are sure.")
    by = sender(caller) or caller.scope
    try:
        if form.get("what") == "customer":
            rows = await services.erasure.whole_customer(detail.order.customer_id, by)
        else:
            rows = (await services.erasure.order(order_id, by),)
    except OrderError as error:
        return back_to(request, path, "bad", error.reason)
    told = f"The person behind {len(rows)} orders was erased." if len(rows) > 1 else "The person was erased."
    return back_to(request, path, "ok", told)


@router.post("/orders/{order_id}/{name}")
async def send(
    request: Request, order_id: AnOrderId, name: str, form: Form, services: UseServices, caller: SupportPage
) -> Response:
    message = next((one for one in OUTSIDE_MESSAGES if one.name == name and may_send(caller, name)), None)
    detail = await services.views.order(order_id)
    customer = await services.contacts.customer(order_id)
    if message is None or detail is None or customer is None:
        raise not_found("There is no such page.")
    texts = {field: value.strip() for field, value in form.items() if isinstance(value, str)}
    formats = Formats(Locale("en"), known_zone(services.settings.time_zone))
    path = f"/support/orders/{order_id}"
    once = f"support-{texts.get('once', '')}"
    try:
        body = support_forms.body_of(name, texts, detail, customer.address.country, formats)
        answer = await services.delivery.deliver(
            caller, order_id, message, decoded(message.body, body, InvalidMessage), once
        )
        if name in support_forms.WITHOUT_REASON:
            await _note(services, caller, order_id, f"{words.label(name, words.MESSAGES)}: {texts['reason']}", once)
    except Unreachable as error:
        told = f"{error.reason}. The order may have it already; to send the same again is safe."
        return back_to(request, path, "bad", told, texts.get("once", ""))
    except OrderError as error:
        return back_to(request, path, "bad", error.reason)
    if isinstance(answer, MoneyResult) and not answer.done:
        return back_to(request, path, "bad", f"{answer.what}: {answer.refused_because}")
    return back_to(request, path, "ok", getattr(answer, "what", "The order has it."))


async def _note(services: Services, caller: Caller, order_id: str, text: str, once: str) -> None:
    note = next(message for message in OUTSIDE_MESSAGES if message.name == "note")
    await services.delivery.deliver(caller, order_id, note, AddNote(text=text), f"{once}-note")
