"""One order whole: what was bought, where every unit is, the money, the mails, and what people are asked."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, Text, bindparam, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.matters import Matters
from domain.model import Frozen
from domain.outbox import OutboxKind
from domain.progress import FulfillmentRow, LineRow, ParcelRow
from domain.state import Totals
from domain.timeline import Entry
from store.database import Database
from store.tables.catalog import sellers
from store.tables.orders import fulfillments, line_money, order_lines, order_units, orders, parcels, timeline
from store.tables.outbox import outbox
from store.tables.payments import payments
from store.views.orders import OrderSummary
from store.views.reading import models


class OrderClock(Frozen):
    """Business time = `placed_at` + `factor` x what has passed on the server's clock since `recorded_at`."""

    placed_at: datetime
    recorded_at: datetime
    factor: float

    def business(self, server_time: datetime) -> datetime:
        return self.placed_at + (server_time - self.recorded_at) * self.factor

    def elapsed(self, business_time: datetime, server_time: datetime) -> timedelta:
        """How long ago that was, in real time."""
        return (self.business(server_time) - business_time) / self.factor


class OrderLine(LineRow):
    """With where its units are, and its money so far in minor units."""

    units: dict[str, int]
    captured: int
    refunded: int


class OrderFulfillment(FulfillmentRow):
    seller_name: str
    units: dict[str, int]


class OrderParcel(ParcelRow):
    contents: dict[str, int]
    """Units by line."""


class OrderPayment(Frozen):
    """Minor units of the order's currency."""

    payment_id: str
    kind: str
    amount: int
    status: str
    declined_because: str | None
    authorized: int
    captured: int
    refunded: int
    voided: int


class MailRow(Frozen):
    """A mail of an order: what it is and what became of it, not what it says."""

    key: str
    template: str
    to: str
    created_at: datetime
    attempts: int
    sent_at: datetime | None
    failed_at: datetime | None
    last_error: str | None


class UnitsRow(Frozen):
    line_id: str
    place: str
    fulfillment_id: str
    parcel_id: str
    quantity: int


class OrderDetail(Frozen):
    order: OrderSummary
    totals: Totals
    unpaid: int
    goodwill: int
    matters: Matters
    clock: OrderClock
    lines: tuple[OrderLine, ...]
    units: tuple[UnitsRow, ...]
    fulfillments: tuple[OrderFulfillment, ...]
    parcels: tuple[OrderParcel, ...]
    payments: tuple[OrderPayment, ...]
    timeline: tuple[Entry, ...]
    mails: tuple[MailRow, ...]

    @property
    def changed_at(self) -> datetime:
        """Business time of what is known last of it."""
        return max(self.order.updated_at, *(entry.received_at for entry in self.timeline))


class OrderViews:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def order(self, order_id: str) -> OrderDetail | None:
        """Of one moment: all of it is read in one snapshot."""
        async with self._database.snapshot() as connection:
            row = (await connection.execute(select(orders).where(orders.c.order_id == order_id))).one_or_none()
            return None if row is None else await _detail(connection, row)

    async def is_closed(self, order_id: str) -> bool:
        async with self._database.statement() as connection:
            return bool(await connection.scalar(select(orders.c.closed).where(orders.c.order_id == order_id)))

    async def timeline(self, order_id: str, *, after: int = 0, limit: int = 1_000) -> tuple[Entry, ...]:
        """Entries from the one behind `after` (a `seq`) on, for somebody who follows an order."""
        query = (
            select(timeline)
            .where(timeline.c.order_id == order_id, timeline.c.seq > after)
            .order_by(timeline.c.seq)
            .limit(limit)
        )
        async with self._database.statement() as connection:
            return models(Entry, await connection.execute(query))

    async def positions(self, order_ids: Sequence[str]) -> dict[str, int]:
        """The number of the newest entry in the timeline of each, where there is any."""
        newest = (
            select(timeline.c.seq)
            .where(timeline.c.order_id == _WATCHED.c.order_id)
            .order_by(timeline.c.seq.desc())
            .limit(1)
            .lateral("newest")
        )
        query = select(_WATCHED.c.order_id, newest.c.seq).join(newest, true())
        async with self._database.statement() as connection:
            found = await connection.execute(query, {"watched": list(order_ids)})
            return {row.order_id: row.seq for row in found}

    async def mails(self, order_id: str) -> tuple[MailRow, ...]:
        async with self._database.statement() as connection:
            return models(MailRow, await connection.execute(_mails(order_id)))

    async def mail_bodies(self, order_id: str) -> tuple[dict[str, Any], ...]:
        """As `domain.mails` wrote them, to be rendered again for people."""
        query = (
            select(outbox.c.body)
            .where(outbox.c.order_id == order_id, outbox.c.kind == OutboxKind.MAIL)
            .order_by(outbox.c.id)
        )
        async with self._database.statement() as connection:
            return tuple(await connection.scalars(query))


async def _detail(connection: AsyncConnection, order: Row[Any]) -> OrderDetail:
    async def rows(query: Select[Any]) -> list[dict[str, Any]]:
        return [row._asdict() for row in await connection.execute(query)]

    order_id = order.order_id
    lines = await rows(
        select(order_lines, line_money.c.captured, line_money.c.refunded)
        .outerjoin(
            line_money,
            (line_money.c.order_id == order_lines.c.order_id) & (line_money.c.line_id == order_lines.c.line_id),
        )
        .where(order_lines.c.order_id == order_id)
        .order_by(order_lines.c.position, order_lines.c.line_id)
    )
    units = models(
        UnitsRow,
        await connection.execute(
            select(order_units)
            .where(order_units.c.order_id == order_id, order_units.c.quantity > 0)
            .order_by(order_units.c.line_id, order_units.c.place)
        ),
    )
    parts = await rows(
        select(fulfillments, sellers.c.name.label("seller_name"))
        .join(sellers, sellers.c.seller_id == fulfillments.c.seller)
        .where(fulfillments.c.order_id == order_id)
        .order_by(fulfillments.c.fulfillment_id)
    )
    boxes = await rows(select(parcels).where(parcels.c.order_id == order_id).order_by(parcels.c.parcel_id))
    paid = await connection.execute(
        select(payments).where(payments.c.order_id == order_id).order_by(payments.c.position)
    )
    entries = await connection.execute(select(timeline).where(timeline.c.order_id == order_id).order_by(timeline.c.seq))
    facts = order._asdict()
    return OrderDetail(
        order=OrderSummary.model_validate(facts),
        totals=Totals.model_validate(facts),
        unpaid=order.unpaid,
        goodwill=order.goodwill,
        matters=Matters.model_validate(order.matters or {}),
        clock=OrderClock.model_validate(facts),
        lines=tuple(
            OrderLine.model_validate(
                {**line, "captured": line["captured"] or 0, "refunded": line["refunded"] or 0}
                | {"units": _by(units, "place", line_id=line["line_id"])}
            )
            for line in lines
        ),
        units=units,
        fulfillments=tuple(
            OrderFulfillment.model_validate(
                {**part, "units": _by(units, "place", fulfillment_id=part["fulfillment_id"])}
            )
            for part in parts
        ),
        parcels=tuple(
            OrderParcel.model_validate({**box, "contents": _by(units, "line_id", parcel_id=box["parcel_id"])})
            for box in boxes
        ),
        payments=models(OrderPayment, paid),
        timeline=models(Entry, entries),
        mails=models(MailRow, await connection.execute(_mails(order_id))),
    )


def _by(units: tuple[UnitsRow, ...], field: str, **where: str) -> dict[str, int]:
    """Quantities of the units that are there, by one of their fields."""
    counts: dict[str, int] = {}
    for row in units:
        if all(getattr(row, name) == value for name, value in where.items()):
            key = getattr(row, field)
            counts[key] = counts.get(key, 0) + row.quantity
    return counts


_WATCHED = (
    func.unnest(bindparam("watched", type_=ARRAY(Text)))
    .table_valued(column("order_id", Text))
    .render_derived("watched")
)

# Left out of the body where it is the customer: domain.mails keeps values out that equal their default.
_TO = func.coalesce(outbox.c.body["to"].astext, "customer")


def _mails(order_id: str) -> Select[Any]:
    return (
        select(
            *(outbox.c.key, outbox.c.body["template"].astext.label("template"), _TO.label("to")),
            *(outbox.c.created_at, outbox.c.attempts, outbox.c.sent_at, outbox.c.failed_at, outbox.c.last_error),
        )
        .where(outbox.c.order_id == order_id, outbox.c.kind == OutboxKind.MAIL)
        .order_by(outbox.c.id)
    )
