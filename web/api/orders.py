"""Orders: placed, read, listed, followed."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from domain.access import Caller, Scope
from domain.model import Moment, OrderId, PartyId
from domain.placing import PlaceOrder
from domain.state import OrderStatus
from domain.timeline import Entry
from store.views.order import MailRow
from store.views.orders import OrderFilter, OrderPage, Sorting
from usecases.errors import InvalidOrder, OrderNotFound
from usecases.own_lines import OwnLines
from web.api.answers import (
    OrderAnswer,
    PlacedAnswer,
    SellerAnswer,
    TimelineAnswer,
    age_seconds,
    look,
)
from web.api.bodies import body_of, described
from web.api.callers import Backend, Marketplace, Merchant
from web.problems import RETRY_AFTER_SECONDS, HttpProblem, answers, not_found
from web.services import Services, UseServices

router = APIRouter(tags=["orders"])

AnOrderId = Annotated[OrderId, Path(description="The id that the order was placed with.", examples=["1042"])]
TIMELINE_PAGE = 200


@router.post(
    "/orders",
    status_code=201,
    summary="Place an order",
    responses={
        200: {"model": PlacedAnswer, "description": "The same order was placed before"},
        **answers(401, 403, 409, 413, 422, 503),
    },
    openapi_extra=described(PlaceOrder),
)
async def place(
    _: Backend,
    body: Annotated[PlaceOrder, Depends(body_of(PlaceOrder, InvalidOrder))],
    services: UseServices,
    response: Response,
) -> PlacedAnswer:
    """Idempotent by `order_id`: the same body again answers 200 and changes nothing, another body answers 409."""
    placed = await services.orders.place(body)
    response.status_code = 201 if placed.outcome == "new" else 200
    return PlacedAnswer.of(placed)


@router.get("/orders", summary="List orders", responses=answers(401, 403, 422, 503))
async def list_orders(
    services: UseServices,
    _: Marketplace,
    status: OrderStatus | None = None,
    seller: PartyId | None = None,
    attention: Annotated[str | None, Query(pattern=r"^[a-z_]{1,40}$", description="Such as `late`.")] = None,
    customer: PartyId | None = None,
    placed_from: Moment | None = None,
    placed_until: Moment | None = None,
    ship_by_until: Moment | None = None,
    open: bool = False,
    sort: Sorting = "newest",
    after: Annotated[OrderId | None, Query(description="The `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> OrderPage:
    """The newest first, or by ship-by date; all filters that are given must hold."""
    wanted = OrderFilter(
        status=status,
        seller=seller,
        attention=attention,
        customer_id=customer,
        placed_from=placed_from,
        placed_until=placed_until,
        ship_by_until=ship_by_until,
        open_only=open,
    )
    return await services.lists.orders(wanted, sort=sort, after=after, limit=limit)


@router.get("/orders/{order_id}", summary="Read an order", responses=answers(401, 403, 404, 422, 503))
async def read(order_id: AnOrderId, services: UseServices, caller: Merchant) -> OrderAnswer | SellerAnswer:
    """The whole order; for a seller's key its own part of it, and nothing that tells of others."""
    if caller.seller is not None:
        return await _own_part(services, caller.seller, order_id)
    detail = await services.views.order(order_id)
    if detail is None:
        raise await _without_rows(services, order_id)
    return OrderAnswer(
        **dict(detail),
        customer=await services.contacts.customer(order_id),
        now=await look(services.orders, detail),
        age_seconds=age_seconds(detail),
    )


async def _own_part(services: Services, seller: str, order_id: str) -> SellerAnswer:
    parts = [
        part
        for fulfillment_id in await services.seller_parts.parts(seller, order_id)
        if (part := await services.seller_parts.order(seller, order_id, fulfillment_id)) is not None
    ]
    if not parts:
        raise no_order(order_id)
    lines = OwnLines(await services.seller_parts.own_lines(seller, order_id))
    return SellerAnswer(order_id=order_id, fulfillments=tuple(lines.shown(part) for part in parts))


@router.get("/orders/{order_id}/timeline", summary="What happened", responses=answers(401, 403, 404, 422, 503))
async def timeline(
    order_id: AnOrderId,
    services: UseServices,
    caller: Merchant,
    after: Annotated[int, Query(ge=0, le=10**9, description="The `next` of the page before.")] = 0,
) -> TimelineAnswer:
    """Who did what, when and why, the oldest first."""
    await _must_see(services, caller, order_id)
    entries = await _entries(services, caller, order_id, after)
    more = len(entries) == TIMELINE_PAGE
    return TimelineAnswer(order_id=order_id, entries=entries, next=entries[-1].seq if more else None)


async def _stream(
    order_id: AnOrderId,
    services: UseServices,
    caller: Merchant,
    last_event_id: Annotated[
        int, Header(ge=0, le=10**9, description="The id of the last event that was seen: what came since follows.")
    ] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Refused before the stream begins, where an answer can still say so."""
    await _must_see(services, caller, order_id)
    must_have_room(services, order_id)
    return _follow(services, caller, order_id, last_event_id)


@router.get(
    "/orders/{order_id}/events",
    summary="Follow an order",
    response_class=EventSourceResponse,
    responses=answers(401, 403, 404, 422, 503),
)
async def events(
    stream: Annotated[AsyncIterator[ServerSentEvent], Depends(_stream)],
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: an `entry` for each line of the timeline, old ones first, and `end` when none will follow.
    A stream that ends without `end` goes on when it is asked for again.
    """
    async for event in stream:
        yield event


async def _follow(services: Services, caller: Caller, order_id: str, after: int) -> AsyncIterator[ServerSentEvent]:
    async with aclosing(services.watch.changes(order_id)) as changes:
        async for _ in changes:
            if await services.keys.find(caller.key_id) is None:
                return  # revoked meanwhile
            # Asked for first: whatever happened until then is in the entries that are read next.
            ended = await _has_ended(services, caller, order_id)
            while entries := await _entries(services, caller, order_id, after):
                for entry in entries:
                    yield ServerSentEvent(event="entry", id=str(entry.seq), data=entry)
                after = entries[-1].seq
            if ended:
                yield ServerSentEvent(event="end", data={"order_id": order_id})
                return


@router.get("/orders/{order_id}/mails", summary="Mails of an order", responses=answers(401, 403, 404, 422, 503))
async def mails(order_id: AnOrderId, services: UseServices, caller: Marketplace) -> list[MailRow]:
    """What was sent, to whom, and what became of it; not what it says."""
    await _must_see(services, caller, order_id)
    return list(await services.views.mails(order_id))


def must_have_room(services: Services, order_id: str) -> None:
    if not services.watch.has_room(order_id):
        detail = "Too many follow this at the moment."
        raise HttpProblem(503, "unreachable", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


# -- who sees what -------------------------------------------------------------------


def no_order(order_id: str) -> Exception:
    """In the same words for an order that is not there and for one that a seller has no part in."""
    return not_found(f"there is no order {order_id!r}")


async def _without_rows(services: Services, order_id: str) -> Exception:
    """Whoever reads right after placing may be there before the order's first step has written its rows."""
    try:
        refusal = await services.orders.why_refused(order_id)
    except OrderNotFound:
        return no_order(order_id)
    if refusal is not None:
        return not_found(f"order {order_id!r} was refused: {refusal.reason}")
    detail = f"order {order_id!r} was placed and is being recorded"
    return HttpProblem(404, "not-found", detail, headers={"Retry-After": "1"})


async def _must_see(services: Services, caller: Caller, order_id: str) -> None:
    if caller.scope is Scope.SELLER:
        assert caller.seller is not None
        seen = bool(await services.seller_parts.parts(caller.seller, order_id))
    else:
        seen = bool((await services.views.positions([order_id])).get(order_id))
    if not seen:
        raise no_order(order_id)


async def _has_ended(services: Services, caller: Caller, order_id: str) -> bool:
    """For a seller, when its own part has: the rest of the order is not its business."""
    if caller.seller is not None:
        return await services.seller_parts.is_at_rest(caller.seller, order_id)
    return await services.views.is_closed(order_id)


async def _entries(services: Services, caller: Caller, order_id: str, after: int) -> tuple[Entry, ...]:
    if caller.seller is not None:
        return await services.seller_parts.timeline(caller.seller, order_id, after=after, limit=TIMELINE_PAGE)
    return await services.views.timeline(order_id, after=after, limit=TIMELINE_PAGE)
