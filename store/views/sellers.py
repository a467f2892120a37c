"""What a seller sees: its own fulfillments, and nothing that tells of anybody else's.

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

from domain.matters import Matters
from domain.model import Frozen
from domain.placing import Address, Channel
from domain.progress import FulfillmentRow, ParcelRow
from domain.state import CancellationRequest, Hold, Issue, ParcelStage
from domain.timeline import Entry
from domain.units import AT_REST, Place
from store.database import Database
from store.tables.catalog import locations, sellers
from store.tables.orders import (
    fulfillments,
    order_contacts,
    order_lines,
    order_sellers,
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


class OwnLine(Frozen):
    """A line of the seller's, and the one that it was made to replace."""

    line_id: str
    replaces: str | None


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
    holds: tuple[Hold, ...] = ()
    """Those that stop it now."""

    requests: tuple[CancellationRequest, ...]
    """Cancellations that it is to answer."""

    issues: tuple[Issue, ...]
    timeline: tuple[Entry, ...]
    """Numbered for the seller: 1, 2, 3, whatever else happened in the order."""

    ship_to: Address
    """Where it goes; once it has left, where it went: what is changed for the rest of an order is not its business."""


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
        query = _QUEUE.where(_is_of(seller)).limit(limit + 1)
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

    async def order(self, seller: str | None, order_id: str, fulfillment_id: str) -> SellerOrder | None:
        """None where there is no such fulfillment, or it is another seller's: told by one statement. The marketplace
        need not say whose it is.
        """
        async with self._database.snapshot() as connection:
            row = (
                await connection.execute(
                    _PART.where(
                        _is_of(seller),
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
            # A hold on the order once all of the part has left would tell that something else has not.
            held = row.on_hold and row.status in TO_HAND_OVER
            return SellerOrder(
                **row._asdict(),
                fulfillment=FulfillmentRow.model_validate(row._asdict() | {"on_hold": held}),
                lines=models(SellerLine, await connection.execute(_lines(order_id, fulfillment_id))),
                parcels=models(SellerParcel, await connection.execute(_parcels(order_id, fulfillment_id))),
                holds=tuple(hold for hold in matters.holds if held and hold.fulfillment_id in (None, fulfillment_id)),
                requests=tuple(
                    asked
                    for asked in matters.requests
                    if asked.fulfillment_id == fulfillment_id and asked.answer_by is not None
                ),
                issues=tuple(issue for issue in matters.issues if issue.fulfillment_id == fulfillment_id),
                timeline=renumbered(models(Entry, own)),
            )

    async def own_lines(self, seller: str, order_id: str) -> tuple[OwnLine, ...]:
        """All of the seller's, in whatever fulfillment: as ordered, and behind those what replaces any of them."""
        query = (
            select(order_lines.c.line_id, order_lines.c.replaces)
            .where(order_lines.c.order_id == order_id, order_lines.c.seller == seller)
            .order_by(order_lines.c.position.nulls_last(), func.length(order_lines.c.line_id), order_lines.c.line_id)
        )
        async with self._database.statement() as connection:
            return models(OwnLine, await connection.execute(query))

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


def _is_of(seller: str | None) -> ColumnElement[bool]:
    return true() if seller is None else fulfillments.c.seller == seller


async def _behind(connection: AsyncConnection, seller: str | None, after: str) -> ColumnElement[bool]:
    """What stands behind this fulfillment (`1042:acme-1`) in the queue; nothing behind one that is not the seller's."""
    order_id, _, fulfillment_id = after.partition(":")
    due_at = await connection.scalar(
        select(fulfillments.c.due_at).where(
            _is_of(seller),
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
        row["on_hold"] = row["on_hold"] and row["status"] in TO_HAND_OVER  # see SellerViews.order
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


_PART = (
    select(
        fulfillments,
        *(orders.c.placed_at, orders.c.method, orders.c.currency, orders.c.matters),
        func.coalesce(
            order_contacts.c.earlier_addresses[fulfillments.c.fulfillment_id], order_contacts.c.address
        ).label("ship_to"),
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
