"""What a seller sees: its own fulfillments, and nothing that tells of anybody else's.

Every read is of one seller, in its condition: what is another's is not found, as what is not there.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, cast, false, func, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.matters import Matters
from domain.model import Frozen
from domain.placing import Address
from domain.progress import FulfillmentRow, ParcelRow
from domain.state import CancellationRequest, Issue
from domain.timeline import Entry
from domain.units import AT_REST
from store.database import Database
from store.tables.orders import (
    fulfillments,
    order_contacts,
    order_lines,
    order_units,
    orders,
    parcels,
    timeline,
)
from store.views.reading import PAGE_MAX, models

TO_HAND_OVER = ("Unshipped", "Packed", "PartiallyShipped")
"""Of a fulfillment, while something of it has not left. The index of the queue has the same words."""


class SellerFulfillment(FulfillmentRow):
    """A line of the queue: a seller's own part of an order."""

    order_id: str
    method: str
    units: dict[str, int]
    """Units by place."""


class QueuePage(Frozen):
    """`next` is what to give as `after` for the next page; None on the last one."""

    fulfillments: tuple[SellerFulfillment, ...]
    next: str | None = None


class QueueCounts(Frozen):
    """How much there is to hand over: late by now, due until the end of today and of tomorrow, and later."""

    late: int = 0
    today: int = 0
    tomorrow: int = 0
    later: int = 0
    on_hold: int = 0
    cancellations: int = 0
    """Of all of them, those on hold, and those whose cancellation waits for an answer."""


class SellerLine(Frozen):
    line_id: str
    sku: str
    title: str
    quantity: int
    """Units of this fulfillment, cancelled ones included."""

    unit_price: int
    units: dict[str, int]


class SellerParcel(ParcelRow):
    contents: dict[str, int]
    """Units by line."""


class SellerOrder(Frozen):
    """One fulfillment of a seller, with what it needs to pack and ship."""

    order_id: str
    seller: str
    placed_at: datetime
    method: str
    currency: str
    fulfillment: FulfillmentRow
    lines: tuple[SellerLine, ...]
    parcels: tuple[SellerParcel, ...]
    requests: tuple[CancellationRequest, ...]
    """Cancellations that it is to answer."""

    issues: tuple[Issue, ...]
    timeline: tuple[Entry, ...]
    """Numbered for the seller: 1, 2, 3, whatever else happened in the order."""

    ship_to: Address


class SellerViews:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def queue(
        self, seller: str, *, due_until: datetime | None = None, after: str | None = None, limit: int = 200
    ) -> QueuePage:
        """What the seller still has to hand over, the most urgent first. `after` is the `next` of the page before."""
        limit = min(limit, PAGE_MAX)
        query = _QUEUE.where(fulfillments.c.seller == seller).limit(limit + 1)
        if due_until is not None:
            query = query.where(fulfillments.c.due_at <= due_until)
        async with self._database.statement() as connection:
            if after is not None:
                query = query.where(await _behind(connection, seller, after))
            found = models(SellerFulfillment, await connection.execute(query))
        last = found[limit - 1] if len(found) > limit else None
        return QueuePage(fulfillments=found[:limit], next=last and f"{last.order_id}:{last.fulfillment_id}")

    async def counts(self, seller: str, now: datetime, today_ends: datetime, tomorrow_ends: datetime) -> QueueCounts:
        due = fulfillments.c.due_at
        waiting = [
            ("late", due < now),
            ("today", and_(due >= now, due <= today_ends)),
            ("tomorrow", and_(due > today_ends, due <= tomorrow_ends)),
            ("later", due > tomorrow_ends),
            ("on_hold", fulfillments.c.on_hold),
            ("cancellations", fulfillments.c.cancellation_asked),
        ]
        query = select(*(func.count(case((holds, 1))).label(name) for name, holds in waiting)).where(
            fulfillments.c.seller == seller, fulfillments.c.status.in_(TO_HAND_OVER)
        )
        async with self._database.statement() as connection:
            return QueueCounts.model_validate((await connection.execute(query)).one()._asdict())

    async def parts(self, seller: str, order_id: str) -> tuple[str, ...]:
        """The seller's fulfillments of an order; none where it has no part in it, and where there is no such order."""
        query = (
            select(fulfillments.c.fulfillment_id)
            .where(fulfillments.c.order_id == order_id, fulfillments.c.seller == seller)
            .order_by(fulfillments.c.fulfillment_id)
        )
        async with self._database.statement() as connection:
            return tuple(await connection.scalars(query))

    async def is_at_rest(self, seller: str, order_id: str) -> bool:
        """Nothing of the seller's part of the order waits for anything any more."""
        waiting = (
            select(order_units.c.line_id)
            .join_from(
                order_units,
                fulfillments,
                and_(
                    fulfillments.c.order_id == order_units.c.order_id,
                    fulfillments.c.fulfillment_id == order_units.c.fulfillment_id,
                ),
            )
            .where(
                order_units.c.order_id == order_id,
                fulfillments.c.seller == seller,
                order_units.c.quantity > 0,
                order_units.c.place.not_in(AT_REST),
            )
            .limit(1)
        )
        async with self._database.statement() as connection:
            return (await connection.scalar(waiting)) is None

    async def order(self, seller: str, order_id: str, fulfillment_id: str) -> SellerOrder | None:
        """None where there is no such fulfillment, or it is another seller's: told by one statement."""
        async with self._database.snapshot() as connection:
            row = (
                await connection.execute(
                    _PART.where(
                        fulfillments.c.seller == seller,
                        fulfillments.c.order_id == order_id,
                        fulfillments.c.fulfillment_id == fulfillment_id,
                    )
                )
            ).one_or_none()
            if row is None:
                return None
            own = await connection.execute(
                select(timeline)
                .where(timeline.c.order_id == order_id, timeline.c.fulfillment_id == fulfillment_id)
                .order_by(timeline.c.seq)
            )
            matters = Matters.model_validate(row.matters or {})
            return SellerOrder(
                **row._asdict(),
                fulfillment=FulfillmentRow.model_validate(row._asdict()),
                lines=models(SellerLine, await connection.execute(_lines(order_id, fulfillment_id))),
                parcels=models(SellerParcel, await connection.execute(_parcels(order_id, fulfillment_id))),
                requests=tuple(
                    asked
                    for asked in matters.requests
                    if asked.fulfillment_id == fulfillment_id and asked.answer_by is not None
                ),
                issues=tuple(issue for issue in matters.issues if issue.fulfillment_id == fulfillment_id),
                timeline=renumbered(models(Entry, own)),
            )

    async def timeline(self, seller: str, order_id: str, *, after: int = 0, limit: int = 1_000) -> tuple[Entry, ...]:
        """What happened in the seller's fulfillments of an order, numbered for the seller."""
        own = (
            select(fulfillments.c.fulfillment_id)
            .where(fulfillments.c.order_id == order_id, fulfillments.c.seller == seller)
            .scalar_subquery()
        )
        query = (
            select(timeline)
            .where(timeline.c.order_id == order_id, timeline.c.fulfillment_id.in_(own))
            .order_by(timeline.c.seq)
            .limit(after + limit)
        )
        async with self._database.statement() as connection:
            return renumbered(models(Entry, await connection.execute(query)))[after:]


def renumbered(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """A gap in the order's own numbers would tell that something else has happened."""
    return tuple(entry.model_copy(update={"seq": number}) for number, entry in enumerate(entries, start=1))


async def _behind(connection: AsyncConnection, seller: str, after: str) -> ColumnElement[bool]:
    """What stands behind this fulfillment (`1042:acme-1`) in the queue; nothing behind one that is not the seller's."""
    order_id, _, fulfillment_id = after.partition(":")
    due_at = await connection.scalar(
        select(fulfillments.c.due_at).where(
            fulfillments.c.seller == seller,
            fulfillments.c.order_id == order_id,
            fulfillments.c.fulfillment_id == fulfillment_id,
        )
    )
    if due_at is None:
        return false()
    place = (fulfillments.c.due_at, fulfillments.c.order_id, fulfillments.c.fulfillment_id)
    return tuple_(*place) > tuple_(due_at, order_id, fulfillment_id)


def _places() -> Subquery:
    return (
        select(
            *(order_units.c.order_id, order_units.c.fulfillment_id, order_units.c.place),
            func.sum(order_units.c.quantity).label("quantity"),
        )
        .where(order_units.c.quantity > 0)
        .group_by(order_units.c.order_id, order_units.c.fulfillment_id, order_units.c.place)
        .subquery()
    )


def _queue() -> Select[Any]:
    places = _places()
    waiting = (
        select(func.jsonb_object_agg(places.c.place, places.c.quantity))
        .where(
            places.c.order_id == fulfillments.c.order_id,
            places.c.fulfillment_id == fulfillments.c.fulfillment_id,
        )
        .scalar_subquery()
    )
    return (
        select(fulfillments, orders.c.method, func.coalesce(waiting, cast({}, JSONB)).label("units"))
        .join_from(fulfillments, orders)
        .where(fulfillments.c.status.in_(TO_HAND_OVER))
        .order_by(fulfillments.c.due_at, fulfillments.c.order_id, fulfillments.c.fulfillment_id)
    )


_QUEUE = _queue()
_PART = (
    select(
        fulfillments,
        *(orders.c.placed_at, orders.c.method, orders.c.currency, orders.c.matters),
        order_contacts.c.address.label("ship_to"),
    )
    .join_from(fulfillments, orders)
    .join(order_contacts, order_contacts.c.order_id == orders.c.order_id)
)


def _lines(order_id: str, fulfillment_id: str) -> Select[Any]:
    own = (
        select(order_units.c.line_id, order_units.c.place, func.sum(order_units.c.quantity).label("quantity"))
        .where(
            order_units.c.order_id == order_id,
            order_units.c.fulfillment_id == fulfillment_id,
            order_units.c.quantity > 0,
        )
        .group_by(order_units.c.line_id, order_units.c.place)
        .subquery()
    )
    return (
        select(
            *(order_lines.c.line_id, order_lines.c.sku, order_lines.c.title, order_lines.c.unit_price),
            func.sum(own.c.quantity).label("quantity"),
            func.jsonb_object_agg(own.c.place, own.c.quantity).label("units"),
        )
        .join_from(order_lines, own, own.c.line_id == order_lines.c.line_id)
        .where(order_lines.c.order_id == order_id)
        .group_by(order_lines.c.order_id, order_lines.c.line_id)
        .order_by(order_lines.c.position, order_lines.c.line_id)
    )


def _parcels(order_id: str, fulfillment_id: str) -> Select[Any]:
    contents = (
        select(func.jsonb_object_agg(order_units.c.line_id, order_units.c.quantity))
        .where(
            order_units.c.order_id == order_id,
            order_units.c.parcel_id == parcels.c.parcel_id,
            order_units.c.quantity > 0,
        )
        .scalar_subquery()
    )
    return (
        select(parcels, func.coalesce(contents, cast({}, JSONB)).label("contents"))
        .where(parcels.c.order_id == order_id, parcels.c.fulfillment_id == fulfillment_id)
        .order_by(parcels.c.parcel_id)
    )
