"""Stock as orders use it: reserved, given back, handed over, waited for."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Text, and_, bindparam, cast, func, literal, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.allocation import Level, allocate
from domain.effects import Reserve, StockItem, Want
from domain.progress import Progress
from domain.requests import Allocation, BackorderAllocation, LineShortage, Reservation
from domain.state import Substitute
from store.backorders import allocate_to_waiting, allocations_of, insert_backorder, stop_backorder
from store.database import Database
from store.movements import Movement, move_stock, move_stock_once
from store.progress import save_progress
from store.promises import promise_from
from store.recordsets import recordset
from store.tables.catalog import listings, locations
from store.tables.orders import order_contacts, order_lines, orders
from store.tables.stock import effects, stock


class Stock:
    """`activities.ports.StockStore`. Each call is one transaction, with the progress that belongs to it.

    Locks are taken in one order everywhere, so that no two calls can wait for each other: the order's own rows, then
    levels by location, seller and SKU, then backorders by the time of placing. Levels come late because all buyers of
    a SKU share them: nobody waits for one while somebody else's rows are written. The progress is saved at a repeated
    call too: the worker may have died before and come to know more since.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, order_id: str, effect: Reserve, progress: Progress | None) -> Reservation:
        async with self._database.transaction() as connection:
            await _save(connection, progress)
            return await _reserve(connection, order_id, effect)

    async def release(
        self, order_id: str, key: str, items: tuple[StockItem, ...], missing: bool, progress: Progress | None
    ) -> None:
        movements = [
            _movement(
                order_id, key, item, "missing" if missing else "released", on_hand=-item.quantity if missing else 0
            )
            for item in items
        ]
        async with self._database.transaction() as connection:
            await _save(connection, progress)
            if await move_stock(connection, movements) and not missing:
                await allocate_to_waiting(connection, {(i.location, i.seller, i.sku) for i in items})

    async def hand_over(self, order_id: str, key: str, items: tuple[StockItem, ...], progress: Progress | None) -> None:
        movements = [_movement(order_id, key, item, "handed_over", on_hand=-item.quantity) for item in items]
        async with self._database.transaction() as connection:
            await _save(connection, progress)
            await move_stock(connection, movements)

    async def register_backorder(
        self, order_id: str, key: str, want: Want, placed_at: datetime, progress: Progress | None
    ) -> None:
        async with self._database.transaction() as connection:
            await _save(connection, progress)
            # Units may have come in since they were found short, and nobody would offer them again.
            levels = await _lock_levels(connection, want)
            if await insert_backorder(connection, order_id, key, want, placed_at):
                # Where the seller has just missed them they are not, whatever the level says; what comes in later is.
                await allocate_to_waiting(connection, [level for level in levels if level[0] not in want.barred])

    async def cancel_backorder(
        self, order_id: str, key: str, backorder_key: str, progress: Progress | None
    ) -> tuple[BackorderAllocation, ...]:
        async with self._database.transaction() as connection:
            await _save(connection, progress)
            await stop_backorder(connection, backorder_key)
            return await allocations_of(connection, backorder_key)


async def _save(connection: AsyncConnection, progress: Progress | None) -> None:
    if progress is not None:
        await save_progress(connection, progress)


def _movement(order_id: str, key: str, item: StockItem, reason: str, *, on_hand: int) -> Movement:
    return Movement(
        key=key,
        location_id=item.location,
        seller_id=item.seller,
        sku=item.sku,
        reason=reason,
        on_hand_delta=on_hand,
        reserved_delta=-item.quantity,
        line_id=item.line_id,
        order_id=order_id,
    )


# -- the inventory check -----------------------------------------------------------


async def _reserve(connection: AsyncConnection, order_id: str, effect: Reserve) -> Reservation:
    rows = await _lock_available(connection, order_id, effect)
    if rows and rows[0].answered is not None:
        return Reservation.model_validate_json(rows[0].answered)
    levels = [_level(row) for row in rows]
    takes, short = allocate(effect.wants, levels)
    by_location = {row.location_id: row for row in rows}
    allocations = []
    for take in takes:
        row = by_location[take.location]
        dates = promise_from(row.profile, effect.placed_at, effect.method, effect.country, row.time_zone or "UTC")
        allocations.append(
            Allocation(
                line_id=take.line_id,
                location=take.location,
                quantity=take.quantity,
                ship_by=row.given_ship_by or dates.ship_by,
                deliver_by=row.given_deliver_by or dates.deliver_by,
            )
        )
    offers = await _substitutes(connection, order_id, effect.wants, short) if short else {}
    reservation = Reservation(
        allocations=tuple(allocations),
        shortages=tuple(
            LineShortage(line_id=line_id, quantity=quantity, substitutes=offers.get(line_id, ()))
            for line_id, quantity in short.items()
        ),
    )
    movements = [
        Movement(
            key=effect.key,
            location_id=take.location,
            seller_id=take.seller,
            sku=take.sku,
            reason="reserved",
            reserved_delta=take.quantity,
            line_id=take.line_id,
            order_id=order_id,
        )
        for take in takes
    ]
    if await move_stock_once(connection, effect.key, order_id, reservation.model_dump(mode="json"), movements):
        return reservation
    # Another try of the same effect was first.
    answer = await connection.scalar(select(cast(effects.c.result, Text)).where(effects.c.key == effect.key))
    assert answer is not None, effect.key
    return Reservation.model_validate_json(answer)


def _level(row: Row[Any]) -> Level:
    return Level(
        location=row.location_id,
        seller=row.seller_id,
        sku=row.sku,
        channel=row.channel,
        priority=row.priority,
        available=row.available,
    )


async def _lock_available(connection: AsyncConnection, order_id: str, effect: Reserve) -> list[Row[Any]]:
    """Lock what is there of the wanted SKUs, with what promises need; empty levels are not worth a lock."""
    wanted = {(want.seller, want.sku, want.channel) for want in effect.wants}
    rows = await connection.execute(
        _AVAILABLE,
        {
            "key": effect.key,
            "order_id": order_id,
            "wanted": [
                {"seller_id": seller, "sku": sku, "channel": channel} for seller, sku, channel in sorted(wanted)
            ],
        },
    )
    return list(rows)


def _of_order(column: Any) -> Any:
    return select(column).where(column.table.c.order_id == bindparam("order_id", type_=Text)).scalar_subquery()


_wanted = recordset("wanted", [stock.c.seller_id, stock.c.sku, locations.c.channel])
_AVAILABLE = (
    select(
        *(stock.c.location_id, stock.c.seller_id, stock.c.sku, (stock.c.on_hand - stock.c.reserved).label("available")),
        *(locations.c.channel, locations.c.priority, cast(locations.c.profile, Text).label("profile")),
        _of_order(orders.c.given_ship_by).label("given_ship_by"),
        _of_order(orders.c.given_deliver_by).label("given_deliver_by"),
        _of_order(order_contacts.c.time_zone).label("time_zone"),
        select(cast(effects.c.result, Text))
        .where(effects.c.key == bindparam("key"))
        .scalar_subquery()
        .label("answered"),
    )
    .join_from(stock, locations, stock.c.location_id == locations.c.location_id)
    .join(
        _wanted,
        and_(
            stock.c.seller_id == _wanted.c.seller_id,
            stock.c.sku == _wanted.c.sku,
            locations.c.channel == _wanted.c.channel,
        ),
    )
    .where(stock.c.on_hand > stock.c.reserved)
    .order_by(stock.c.location_id, stock.c.seller_id, stock.c.sku)
    .with_for_update(of=stock)
)


# -- substitutes ---------------------------------------------------------------------


async def _substitutes(
    connection: AsyncConnection, order_id: str, wants: Iterable[Want], short: dict[str, int]
) -> dict[str, tuple[Substitute, ...]]:
    """What each short line could be replaced by: in the seller's order, in the order's currency, enough in stock."""
    rows = [
        {
            "line_id": want.line_id,
            "seller_id": want.seller,
            "sku": want.sku,
            "channel": want.channel,
            "on_hand": short[want.line_id],
        }
        for want in wants
        if want.line_id in short
    ]
    offers: dict[str, tuple[Substitute, ...]] = {}
    for row in await connection.execute(_SUBSTITUTES, {"order_id": order_id, "short": rows}):
        offer = Substitute(sku=row.sku, title=row.title, unit_price=row.unit_price)
        offers[row.line_id] = (*offers.get(row.line_id, ()), offer)
    return offers


def _with_substitutes() -> Select[Any]:
    short = recordset(
        "short", [order_lines.c.line_id, stock.c.seller_id, stock.c.sku, locations.c.channel, stock.c.on_hand]
    )
    wanted = listings.alias("wanted_listing")
    other = (
        func.unnest(wanted.c.substitutes)
        .table_valued("sku", with_ordinality="rank", joins_implicitly=True)
        .render_derived("other")
    )
    available = (
        select(func.sum(stock.c.on_hand - stock.c.reserved))
        .join_from(stock, locations, stock.c.location_id == locations.c.location_id)
        .where(
            stock.c.seller_id == short.c.seller_id,
            stock.c.sku == listings.c.sku,
            locations.c.channel == short.c.channel,
        )
        .scalar_subquery()
    )
    return (
        select(short.c.line_id, listings.c.sku, listings.c.title, listings.c.unit_price)
        .select_from(short)
        .join(wanted, and_(wanted.c.seller_id == short.c.seller_id, wanted.c.sku == short.c.sku))
        .join(other, true())
        .join(listings, and_(listings.c.seller_id == short.c.seller_id, listings.c.sku == other.c.sku))
        .where(listings.c.currency == _of_order(orders.c.currency), available >= short.c.on_hand)
        .order_by(short.c.line_id, other.c.rank)
    )


_SUBSTITUTES = _with_substitutes()


# -- backorders ----------------------------------------------------------------------


async def _lock_levels(connection: AsyncConnection, want: Want) -> list[tuple[str, str, str]]:
    """Lock the levels that the units may come to, made here where there was none: a receipt then waits for us, or we
    for it, and one of both sees the other.
    """
    places = (
        select(locations.c.location_id, literal(want.seller, Text), literal(want.sku, Text), literal(0), literal(0))
        .where(
            locations.c.channel == want.channel,
            or_(locations.c.seller_id == want.seller, locations.c.seller_id.is_(None)),
        )
        .order_by(locations.c.location_id)
    )
    names = ["location_id", "seller_id", "sku", "on_hand", "reserved"]
    await connection.execute(insert(stock).from_select(names, places).on_conflict_do_nothing())
    rows = await connection.execute(
        select(stock.c.location_id)
        .join_from(stock, locations, stock.c.location_id == locations.c.location_id)
        .where(stock.c.seller_id == want.seller, stock.c.sku == want.sku, locations.c.channel == want.channel)
        .order_by(stock.c.location_id)
        .with_for_update(of=stock)
    )
    return [(row.location_id, want.seller, want.sku) for row in rows]
