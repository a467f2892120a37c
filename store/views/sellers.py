"""What a seller has to do and has done, in lists: its own fulfillments, and nothing that tells of anybody else's.

Every read is of one seller, in its condition: what is another's is not found, as what is not there.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    select,
    true,
    tuple_,
    union,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.model import Frozen
from domain.placing import Channel
from domain.progress import FulfillmentRow
from domain.state import ParcelStage
from domain.units import Place
from store.database import Database
from store.tables.catalog import locations, sellers
from store.tables.orders import (
    fulfillments,
    order_lines,
    order_sellers,
    order_units,
    orders,
    parcels,
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


class PartItem(Frozen):
    """What lies in a part: units of one line, cancelled ones set aside."""

    sku: str
    title: str
    quantity: int


class SellerProfile(Frozen):
    name: str
    time_zone: str
    countries: dict[str, str | None]
    """Where each of the seller's locations is, as far as its calendar of holidays tells."""


class OrderPart(FulfillmentRow):
    """A part of an order in a list of orders."""

    order_id: str
    units: dict[str, int]
    tracking_numbers: tuple[str, ...]


class OrderParts(Frozen):
    """An order as its seller sees it in a list: by its own parts, never by the status of the whole."""

    order_id: str
    placed_at: datetime
    parts: tuple[OrderPart, ...]


class OrderPartsPage(Frozen):
    """`next` is what to give as `after` for the next page; None on the last one."""

    orders: tuple[OrderParts, ...]
    next: str | None = None


class SellerViews:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def profile(self, seller: str) -> SellerProfile:
        places = (
            select(func.jsonb_object_agg(locations.c.location_id, locations.c.profile["holiday_country"]))
            .where(locations.c.seller_id == sellers.c.seller_id)
            .scalar_subquery()
        )
        query = select(
            sellers.c.name, sellers.c.time_zone, func.coalesce(places, cast({}, JSONB)).label("countries")
        ).where(sellers.c.seller_id == seller)
        async with self._database.statement() as connection:
            return SellerProfile.model_validate((await connection.execute(query)).one()._asdict())

    async def queue(
        self,
        seller: str | None,
        *,
        due_from: datetime | None = None,
        due_until: datetime | None = None,
        on_hold: bool | None = None,
        cancellation_asked: bool = False,
        after: str | None = None,
        limit: int = 200,
    ) -> QueuePage:
        """What the seller, or all of them, still has to hand over, the most urgent first; what the network ships is its
        business. `after` is the `next` of the page before.
        """
        limit = min(limit, PAGE_MAX)
        query = _QUEUE.where(is_of(seller)).limit(limit + 1)
        if due_from is not None:
            query = query.where(fulfillments.c.due_at >= due_from)
        if due_until is not None:
            query = query.where(fulfillments.c.due_at <= due_until)
        if on_hold is not None:
            query = query.where(fulfillments.c.on_hold if on_hold else ~fulfillments.c.on_hold)
        if cancellation_asked:
            query = query.where(fulfillments.c.cancellation_asked)
        async with self._database.statement() as connection:
            if after is not None:
                query = query.where(await _behind(connection, seller, after))
            found = models(SellerFulfillment, await connection.execute(query))
        last = found[limit - 1] if len(found) > limit else None
        return QueuePage(fulfillments=found[:limit], next=last and f"{last.order_id}:{last.fulfillment_id}")

    async def counts(self, seller: str, now: datetime, today_ends: datetime, tomorrow_ends: datetime) -> QueueCounts:
        due = fulfillments.c.due_at
        waiting = [
            # Of what is on hold the time stands still.
            ("late", and_(due < now, ~fulfillments.c.on_hold)),
            ("today", and_(due >= now, due <= today_ends, ~fulfillments.c.on_hold)),
            ("tomorrow", and_(due > today_ends, due <= tomorrow_ends, ~fulfillments.c.on_hold)),
            ("later", and_(due > tomorrow_ends, ~fulfillments.c.on_hold)),
            ("on_hold", fulfillments.c.on_hold),
            ("cancellations", fulfillments.c.cancellation_asked),
        ]
        query = select(*(func.count(case((holds, 1))).label(name) for name, holds in waiting)).where(
            fulfillments.c.seller == seller, *_TO_HAND_OVER_BY_SELLER
        )
        async with self._database.statement() as connection:
            return QueueCounts.model_validate((await connection.execute(query)).one()._asdict())

    async def items(self, seller: str, parts: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[PartItem, ...]]:
        """What lies in each of these parts of the seller, by order id and fulfillment id; nothing of others'."""
        found: dict[tuple[str, str], tuple[PartItem, ...]] = {}
        async with self._database.statement() as connection:
            for row in await connection.execute(_items(seller, list(parts))):
                key = (row.order_id, row.fulfillment_id)
                found[key] = (*found.get(key, ()), PartItem.model_validate(row._asdict()))
        return found

    async def orders(self, seller: str, *, after: str | None = None, limit: int = 50) -> OrderPartsPage:
        """Orders that the seller has a part in, the newest first. `after` is the `next` of the page before."""
        limit = min(limit, PAGE_MAX)
        place = (order_sellers.c.placed_at, order_sellers.c.order_id)
        # LATERAL, or all that was ever to fulfill might be read for one page.
        own = (
            select(fulfillments.c.order_id)
            .where(fulfillments.c.order_id == order_sellers.c.order_id, fulfillments.c.seller == seller)
            .limit(1)
            .lateral("own")
        )
        query = (
            select(order_sellers.c.order_id)
            .join_from(order_sellers, own, true())
            .where(order_sellers.c.seller == seller)
            .order_by(*(column.desc() for column in place))
            .limit(limit + 1)
        )
        async with self._database.statement() as connection:
            if after is not None:
                last = (
                    select(orders.c.placed_at)
                    .join_from(orders, fulfillments)
                    .where(orders.c.order_id == after, fulfillments.c.seller == seller)
                    .limit(1)
                )
                placed_at = await connection.scalar(last)
                if placed_at is None:
                    return OrderPartsPage(orders=())
                query = query.where(tuple_(*place) < tuple_(placed_at, after))
            found = list(await connection.scalars(query))
            shown = await _order_parts(connection, seller, found[:limit])
        return OrderPartsPage(orders=shown, next=found[limit - 1] if len(found) > limit else None)

    async def find(self, seller: str, text: str, *, limit: int = 50) -> tuple[OrderParts, ...]:
        """By the id of an order or the tracking number of a parcel, whole; among the seller's own, the newest first."""
        number = "".join(text.split()).upper()
        by_id = select(fulfillments.c.order_id).where(
            fulfillments.c.order_id == text.strip(), fulfillments.c.seller == seller
        )
        by_number = (
            select(fulfillments.c.order_id)
            .join_from(parcels, fulfillments, _OF_PARCEL)
            .where(func.upper(func.replace(parcels.c.tracking_number, " ", "")) == number)
            .where(fulfillments.c.seller == seller)
        )
        async with self._database.statement() as connection:
            found = list(await connection.scalars(union(by_id, by_number).limit(limit)))
            return await _order_parts(connection, seller, found)


def is_of(seller: str | None) -> ColumnElement[bool]:
    return true() if seller is None else fulfillments.c.seller == seller


async def _behind(connection: AsyncConnection, seller: str | None, after: str) -> ColumnElement[bool]:
    """What stands behind this fulfillment (`1042:acme-1`) in the queue; nothing behind one that is not the seller's."""
    order_id, _, fulfillment_id = after.partition(":")
    due_at = await connection.scalar(
        select(fulfillments.c.due_at).where(
            is_of(seller),
            fulfillments.c.order_id == order_id,
            fulfillments.c.fulfillment_id == fulfillment_id,
        )
    )
    if due_at is None:
        return false()
    place = (fulfillments.c.due_at, fulfillments.c.order_id, fulfillments.c.fulfillment_id)
    return tuple_(*place) > tuple_(due_at, order_id, fulfillment_id)


async def _order_parts(connection: AsyncConnection, seller: str, order_ids: Sequence[str]) -> tuple[OrderParts, ...]:
    """These orders, which are the seller's, with its parts of them; the newest first."""
    rows = [
        row._asdict()
        for row in await connection.execute(
            _ORDER_PARTS.where(fulfillments.c.seller == seller, fulfillments.c.order_id.in_(order_ids))
        )
    ]
    by_order: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        row["on_hold"] = row["on_hold"] and row["status"] in TO_HAND_OVER  # see `SellerParts.order`
        by_order.setdefault(row["order_id"], []).append(row)
    return tuple(
        OrderParts(
            order_id=order_id,
            placed_at=own[0]["placed_at"],
            parts=tuple(OrderPart.model_validate(row) for row in own),
        )
        for order_id, own in by_order.items()
    )


_OF_PARCEL = and_(
    fulfillments.c.order_id == parcels.c.order_id, fulfillments.c.fulfillment_id == parcels.c.fulfillment_id
)
_TO_HAND_OVER_BY_SELLER = (fulfillments.c.status.in_(TO_HAND_OVER), fulfillments.c.channel == Channel.FBM)


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


def _units_by_place() -> ColumnElement[Any]:
    places = _places()
    waiting = (
        select(func.jsonb_object_agg(places.c.place, places.c.quantity))
        .where(
            places.c.order_id == fulfillments.c.order_id,
            places.c.fulfillment_id == fulfillments.c.fulfillment_id,
        )
        .scalar_subquery()
    )
    return func.coalesce(waiting, cast({}, JSONB)).label("units")


_QUEUE = (
    select(fulfillments, orders.c.method, _units_by_place())
    .join_from(fulfillments, orders)
    .where(*_TO_HAND_OVER_BY_SELLER)
    .order_by(fulfillments.c.due_at, fulfillments.c.order_id, fulfillments.c.fulfillment_id)
)


def _list_of_orders() -> Select[Any]:
    numbers = (
        select(func.jsonb_agg(parcels.c.tracking_number))
        .where(_OF_PARCEL, parcels.c.tracking_number.is_not(None), parcels.c.stage != ParcelStage.UNPACKED)
        .scalar_subquery()
    )
    return (
        select(
            *(fulfillments, orders.c.placed_at, _units_by_place()),
            func.coalesce(numbers, cast([], JSONB)).label("tracking_numbers"),
        )
        .join_from(fulfillments, orders)
        .order_by(orders.c.placed_at.desc(), orders.c.order_id.desc(), fulfillments.c.fulfillment_id)
    )


_ORDER_PARTS = _list_of_orders()


def _items(seller: str, parts: list[tuple[str, str]]) -> Select[Any]:
    own = and_(
        order_units.c.order_id == fulfillments.c.order_id,
        order_units.c.fulfillment_id == fulfillments.c.fulfillment_id,
    )
    of_line = and_(order_lines.c.order_id == order_units.c.order_id, order_lines.c.line_id == order_units.c.line_id)
    return (
        select(
            *(fulfillments.c.order_id, fulfillments.c.fulfillment_id, order_lines.c.sku, order_lines.c.title),
            func.sum(order_units.c.quantity).label("quantity"),
        )
        .join_from(fulfillments, order_units, own)
        .join(order_lines, of_line)
        .where(
            *(fulfillments.c.seller == seller, order_units.c.quantity > 0, order_units.c.place != Place.CANCELLED),
            tuple_(fulfillments.c.order_id, fulfillments.c.fulfillment_id).in_(parts),
        )
        .group_by(fulfillments.c.order_id, fulfillments.c.fulfillment_id, order_lines.c.sku, order_lines.c.title)
        .order_by(func.min(order_lines.c.position), order_lines.c.sku)
    )
