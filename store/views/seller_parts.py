"""One part of an order, as its seller sees it, and which parts there are; nothing that tells of anybody else's.

Every read is of one seller, in its condition: what is another's is not found, as what is not there.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB

from domain.matters import Matters
from domain.model import Frozen
from domain.placing import Address
from domain.progress import FulfillmentRow, ParcelRow
from domain.state import CancellationRequest, Hold, Issue
from domain.timeline import Entry
from domain.units import AT_REST
from store.database import Database
from store.tables.orders import fulfillments, order_contacts, order_lines, order_units, orders, parcels, timeline
from store.tables.people import customer_keys
from store.vault import CONTACT, KEY_OF_CONTACT
from store.views.reading import models
from store.views.sellers import TO_HAND_OVER, is_of


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


class SellerParts:
    def __init__(self, database: Database) -> None:
        self._database = database

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
                        is_of(seller),
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
            person = self._database.vault.person(order_id, row)
            return SellerOrder(
                **{name: getattr(row, name) for name in _OF_ORDER},
                ship_to=person.earlier_addresses.get(fulfillment_id, person.address),
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
                timeline=_renumbered(models(Entry, own)),
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
            return _renumbered(models(Entry, await connection.execute(query)))[after:]


def _renumbered(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """A gap in the order's own numbers would tell that something else has happened."""
    return tuple(entry.model_copy(update={"seq": number}) for number, entry in enumerate(entries, start=1))


_OF_ORDER = ("order_id", "seller", "placed_at", "method", "currency")
_PART = (
    select(
        fulfillments,
        *(orders.c.placed_at, orders.c.method, orders.c.currency, orders.c.matters),
        *CONTACT,
    )
    .join_from(fulfillments, orders)
    .join(order_contacts, order_contacts.c.order_id == orders.c.order_id)
    .outerjoin(customer_keys, KEY_OF_CONTACT)
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
