"""What lists and pages show: reads only, each a statement or a few, never the workflow."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Row, Select, and_, cast, exists, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from domain.model import Frozen
from domain.outbox import OutboxKind
from domain.progress import FulfillmentRow, LineRow, OrderRow, ParcelRow
from domain.timeline import Entry
from store.database import Database
from store.tables.catalog import listings, locations
from store.tables.orders import fulfillments, order_lines, order_units, orders, parcels, timeline
from store.tables.outbox import outbox
from store.tables.stock import backorders, reservations, stock

PAGE_MAX = 500


class OrderSummary(OrderRow):
    """A line of a list of orders; totals in minor units."""

    order_id: str
    customer_id: str
    currency: str
    total: int
    method: str
    placed_at: datetime
    updated_at: datetime


class OrderFilter(Frozen):
    """All that is given must hold; `open_only` leaves out orders that are at their end."""

    status: str | None = None
    seller: str | None = None
    attention: str | None = None
    customer_id: str | None = None
    ship_by_until: datetime | None = None
    open_only: bool = False


class OrderPage(Frozen):
    """`next` is the order id to be given for the next page; None on the last one."""

    orders: tuple[OrderSummary, ...]
    next: str | None = None


class SellerFulfillment(FulfillmentRow):
    """A seller's own part of an order, and nothing of anybody else's."""

    order_id: str
    method: str
    units: dict[str, int]
    """Units by place."""


class UnitsRow(Frozen):
    line_id: str
    place: str
    fulfillment_id: str
    parcel_id: str
    quantity: int


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


class OrderDetail(Frozen):
    order: OrderSummary
    lines: tuple[LineRow, ...]
    units: tuple[UnitsRow, ...]
    fulfillments: tuple[FulfillmentRow, ...]
    parcels: tuple[ParcelRow, ...]
    timeline: tuple[Entry, ...]
    mails: tuple[MailRow, ...]


class Holder(Frozen):
    """An order that holds units of a level."""

    order_id: str
    line_id: str
    quantity: int


class StockRow(Frozen):
    location: str
    seller: str
    sku: str
    title: str
    on_hand: int
    reserved: int
    waiting: int
    """Units on backorder for this seller and SKU, at whatever location they will come in."""

    held_by: tuple[Holder, ...]


class Views:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def orders(self, wanted: OrderFilter, *, after: str | None = None, limit: int = 50) -> OrderPage:
        """By ship-by date, those without one last. `after` is the `next` of the page before."""
        limit = min(limit, PAGE_MAX)
        query = _filtered(wanted).order_by(orders.c.ship_by, orders.c.order_id).limit(limit + 1)
        async with self._database.statement() as connection:
            if after is not None:
                ship_by = await connection.scalar(select(orders.c.ship_by).where(orders.c.order_id == after))
                query = query.where(_behind(ship_by, after))
            found = _all(OrderSummary, await connection.execute(query))
        return OrderPage(orders=found[:limit], next=found[limit - 1].order_id if len(found) > limit else None)

    async def order(self, order_id: str) -> OrderDetail | None:
        async with self._database.statement() as connection:
            row = (await connection.execute(_SUMMARY.where(orders.c.order_id == order_id))).one_or_none()
            if row is None:
                return None

            async def of_order(model: type[_Model], query: Select[Any]) -> tuple[_Model, ...]:
                return _all(model, await connection.execute(query))

            return OrderDetail(
                order=OrderSummary.model_validate(row._asdict()),
                lines=await of_order(
                    LineRow,
                    select(order_lines)
                    .where(order_lines.c.order_id == order_id)
                    .order_by(order_lines.c.position, order_lines.c.line_id),
                ),
                units=await of_order(
                    UnitsRow,
                    select(order_units).where(order_units.c.order_id == order_id, order_units.c.quantity > 0),
                ),
                fulfillments=await of_order(
                    FulfillmentRow,
                    select(fulfillments)
                    .where(fulfillments.c.order_id == order_id)
                    .order_by(fulfillments.c.fulfillment_id),
                ),
                parcels=await of_order(
                    ParcelRow, select(parcels).where(parcels.c.order_id == order_id).order_by(parcels.c.parcel_id)
                ),
                timeline=await of_order(
                    Entry, select(timeline).where(timeline.c.order_id == order_id).order_by(timeline.c.seq)
                ),
                mails=await of_order(MailRow, _mails(order_id)),
            )

    async def timeline(self, order_id: str, *, after: int = 0) -> tuple[Entry, ...]:
        """Entries from the one behind `after` (a `seq`) on, for somebody who follows an order."""
        query = select(timeline).where(timeline.c.order_id == order_id, timeline.c.seq > after).order_by(timeline.c.seq)
        async with self._database.statement() as connection:
            return _all(Entry, await connection.execute(query))

    async def fulfillments(
        self, seller: str, *, ship_by_until: datetime | None = None, limit: int = 200
    ) -> tuple[SellerFulfillment, ...]:
        """What a seller still has to hand over, the most urgent first; nothing of other sellers."""
        waiting = (
            select(func.jsonb_object_agg(_PLACES.c.place, _PLACES.c.quantity))
            .where(
                _PLACES.c.order_id == fulfillments.c.order_id,
                _PLACES.c.fulfillment_id == fulfillments.c.fulfillment_id,
            )
            .scalar_subquery()
        )
        query = (
            select(fulfillments, orders.c.method, func.coalesce(waiting, cast({}, JSONB)).label("units"))
            .join_from(fulfillments, orders)
            .where(fulfillments.c.seller == seller, fulfillments.c.status.in_(_TO_HAND_OVER))
            .order_by(fulfillments.c.ship_by, fulfillments.c.order_id, fulfillments.c.fulfillment_id)
            .limit(min(limit, PAGE_MAX))
        )
        if ship_by_until is not None:
            query = query.where(fulfillments.c.ship_by <= ship_by_until)
        async with self._database.statement() as connection:
            return _all(SellerFulfillment, await connection.execute(query))

    async def mails(self, order_id: str) -> tuple[MailRow, ...]:
        async with self._database.statement() as connection:
            return _all(MailRow, await connection.execute(_mails(order_id)))

    async def mail_bodies(self, order_id: str) -> tuple[dict[str, Any], ...]:
        """As `domain.mails` wrote them, to be rendered again for people."""
        query = (
            select(outbox.c.body)
            .where(outbox.c.order_id == order_id, outbox.c.kind == OutboxKind.MAIL)
            .order_by(outbox.c.id)
        )
        async with self._database.statement() as connection:
            return tuple(await connection.scalars(query))

    async def stock(self, *, seller: str | None = None, location: str | None = None) -> tuple[StockRow, ...]:
        """Levels with the orders that hold their reserved units."""
        query = _STOCK.order_by(stock.c.location_id, stock.c.seller_id, stock.c.sku)
        if seller is not None:
            query = query.where(stock.c.seller_id == seller)
        if location is not None:
            query = query.where(stock.c.location_id == location)
        async with self._database.statement() as connection:
            return _all(StockRow, await connection.execute(query))


_Model = TypeVar("_Model", bound=BaseModel)

_TO_HAND_OVER = ("Unshipped", "Packed", "PartiallyShipped")


def _all(model: type[_Model], rows: Iterable[Row[Any]]) -> tuple[_Model, ...]:
    return tuple(model.model_validate(row._asdict()) for row in rows)


_SUMMARY = select(*(orders.c[field] for field in OrderSummary.model_fields))


def _filtered(wanted: OrderFilter) -> Select[Any]:
    query = _SUMMARY
    if wanted.status is not None:
        query = query.where(orders.c.status == wanted.status)
    if wanted.attention is not None:
        # The second condition is that of the index.
        query = query.where(orders.c.attention.contains([wanted.attention]), orders.c.attention != [])
    if wanted.customer_id is not None:
        query = query.where(orders.c.customer_id == wanted.customer_id)
    if wanted.ship_by_until is not None:
        query = query.where(orders.c.ship_by <= wanted.ship_by_until)
    if wanted.open_only:
        query = query.where(~orders.c.closed)
    if wanted.seller is not None:
        sold = order_lines.c.order_id == orders.c.order_id
        query = query.where(exists().where(sold, order_lines.c.seller == wanted.seller))
    return query


def _behind(ship_by: datetime | None, order_id: str) -> ColumnElement[bool]:
    """Of the orders by ship-by date and id, NULL last, those after this one."""
    if ship_by is None:
        return and_(orders.c.ship_by.is_(None), orders.c.order_id > order_id)
    later = tuple_(orders.c.ship_by, orders.c.order_id) > tuple_(ship_by, order_id)
    return or_(later, orders.c.ship_by.is_(None))


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


_PLACES = (
    select(
        *(order_units.c.order_id, order_units.c.fulfillment_id, order_units.c.place),
        func.sum(order_units.c.quantity).label("quantity"),
    )
    .where(order_units.c.quantity > 0)
    .group_by(order_units.c.order_id, order_units.c.fulfillment_id, order_units.c.place)
    .subquery()
)


def _stock() -> Select[Any]:
    holder = func.jsonb_build_object(
        *("order_id", reservations.c.order_id, "line_id", reservations.c.line_id, "quantity", reservations.c.quantity)
    )
    held = (
        select(func.jsonb_agg(aggregate_order_by(holder, reservations.c.order_id, reservations.c.line_id)))
        .where(
            *(reservations.c[name] == stock.c[name] for name in ("location_id", "seller_id", "sku")),
            reservations.c.quantity > 0,
        )
        .scalar_subquery()
    )
    waiting = (
        select(func.sum(backorders.c.quantity - backorders.c.allocated))
        .join(locations, locations.c.location_id == stock.c.location_id)
        .where(
            *(backorders.c.seller_id == stock.c.seller_id, backorders.c.sku == stock.c.sku),
            backorders.c.channel == locations.c.channel,
            backorders.c.cancelled.is_(None),
        )
        .correlate(stock)
        .scalar_subquery()
    )
    return select(
        *(stock.c.location_id.label("location"), stock.c.seller_id.label("seller"), stock.c.sku, listings.c.title),
        *(stock.c.on_hand, stock.c.reserved),
        func.coalesce(waiting, 0).label("waiting"),
        func.coalesce(held, cast([], JSONB)).label("held_by"),
    ).join_from(stock, listings)


_STOCK = _stock()
