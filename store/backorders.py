"""Backorders: who waits for which units, and whose they are when units come in."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, Text, and_, cast, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.allocation import Level, Take, allocate
from domain.effects import Want
from domain.outbox import OutboxKind
from domain.promise import YEAR_MAX
from domain.requests import Allocation, BackorderAllocation
from store.messages import message_body
from store.movements import Movement, move_stock
from store.promises import promise_from
from store.recordsets import insert_rows, recordset
from store.tables.catalog import locations
from store.tables.orders import order_contacts, orders
from store.tables.outbox import outbox
from store.tables.stock import backorder_allocations, backorders, stock

StockKey = tuple[str, str, str]
"""Location, seller and SKU."""


async def insert_backorder(
    connection: AsyncConnection, order_id: str, key: str, want: Want, placed_at: datetime
) -> bool:
    """False where it is there already."""
    statement = (
        insert(backorders)
        .values(
            key=key,
            order_id=order_id,
            line_id=want.line_id,
            seller_id=want.seller,
            channel=want.channel,
            sku=want.sku,
            quantity=want.quantity,
            placed_at=placed_at,
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(backorders.c.key)
    )
    return await connection.scalar(statement) is not None


async def stop_backorder(connection: AsyncConnection, key: str) -> None:
    """Nothing is allocated to it from now on. Waits for whoever is allocating to it just now."""
    await connection.execute(
        update(backorders).where(backorders.c.key == key, backorders.c.cancelled.is_(None)).values(cancelled=func.now())
    )


async def allocations_of(connection: AsyncConnection, key: str) -> tuple[BackorderAllocation, ...]:
    rows = await connection.execute(
        select(backorder_allocations, backorders.c.line_id)
        .join_from(backorder_allocations, backorders)
        .where(backorder_allocations.c.backorder_key == key)
        .order_by(backorder_allocations.c.number)
    )
    return tuple(
        BackorderAllocation(
            key=row.key,
            line_id=row.line_id,
            allocation=Allocation(
                line_id=row.line_id,
                location=row.location_id,
                quantity=row.quantity,
                ship_by=row.ship_by,
                deliver_by=row.deliver_by,
            ),
        )
        for row in rows
    )


async def allocate_to_waiting(connection: AsyncConnection, freed: Iterable[StockKey]) -> None:
    """Reserve what came free for those who wait, the order that was placed first before all others, and wake them.

    The caller holds the locks of these levels, so that nobody else hands out the same units.
    """
    keys = [dict(zip(("location_id", "seller_id", "sku"), key, strict=True)) for key in sorted(freed)]
    waiting = {row.key: row for row in await connection.execute(_WAITING, {"freed": keys})}
    if not waiting:
        return
    levels = (await connection.execute(_LEVELS, {"freed": keys})).all()
    profiles = {level.location_id: level.profile for level in levels}
    # A backorder's key stands for its line: lines of two orders may have the same id.
    wants = [
        Want(line_id=b.key, seller=b.seller_id, channel=b.channel, sku=b.sku, quantity=b.missing)
        for b in waiting.values()
    ]
    takes, _ = allocate(
        wants,
        [
            Level(
                location=level.location_id,
                seller=level.seller_id,
                sku=level.sku,
                channel=level.channel,
                priority=level.priority,
                available=level.available,
            )
            for level in levels
        ],
    )
    made: list[_Made] = []
    for take in takes:
        backorder = waiting[take.line_id]
        number = backorder.allocations + 1 + sum(m.backorder.key == backorder.key for m in made)
        made.append(_Made(backorder, number, take, _promised(backorder, take, profiles[take.location])))
    if made:
        await move_stock(connection, [_movement(m) for m in made])
        await connection.execute(_ALLOCATE, _allocation_rows(made))


_LAST_PROMISE = datetime(YEAR_MAX, 1, 1, tzinfo=UTC)


class _Made(NamedTuple):
    """Units of a level that go to a backorder, the how many-th such for it."""

    backorder: Row[Any]
    number: int
    take: Take
    allocation: Allocation

    @property
    def key(self) -> str:
        return f"{self.backorder.key}:{self.number}"


def _promised(backorder: Row[Any], take: Take, profile: str) -> Allocation:
    """The dates count from now on the order's own clock: those of its sale have mostly passed."""
    business_now = backorder.origin + (backorder.now - backorder.recorded_at) * backorder.factor
    # A fast clock may have left the years that promises are made for; that must not stop a delivery for everybody.
    business_now = min(business_now, _LAST_PROMISE)
    dates = promise_from(profile, business_now, backorder.method, backorder.country, backorder.time_zone or "UTC")
    return Allocation(
        line_id=backorder.line_id,
        location=take.location,
        quantity=take.quantity,
        ship_by=dates.ship_by,
        deliver_by=dates.deliver_by,
    )


def _movement(made: _Made) -> Movement:
    return Movement(
        key=made.key,
        location_id=made.take.location,
        seller_id=made.take.seller,
        sku=made.take.sku,
        reason="allocated",
        reserved_delta=made.take.quantity,
        line_id=made.backorder.line_id,
        order_id=made.backorder.order_id,
    )


def _allocation_rows(made: list[_Made]) -> dict[str, Any]:
    taken: dict[str, dict[str, Any]] = {}
    for m in made:
        of_backorder = taken.setdefault(m.backorder.key, {"key": m.backorder.key, "allocated": 0, "allocations": 0})
        of_backorder["allocated"] += m.take.quantity
        of_backorder["allocations"] += 1
    return {
        "taken": list(taken.values()),
        "made": [
            {
                "key": m.key,
                "backorder_key": m.backorder.key,
                "number": m.number,
                "location_id": m.take.location,
                "quantity": m.take.quantity,
                "ship_by": m.allocation.ship_by.isoformat(),
                "deliver_by": m.allocation.deliver_by.isoformat(),
            }
            for m in made
        ],
        "messages": [
            {
                "key": f"{m.key}:stock_allocated",
                "kind": OutboxKind.MESSAGE,
                "order_id": m.backorder.order_id,
                "body": message_body("stock_allocated", _message(m)),
            }
            for m in made
        ],
    }


def _message(made: _Made) -> dict[str, Any]:
    allocation = BackorderAllocation(key=made.key, line_id=made.backorder.line_id, allocation=made.allocation)
    return allocation.model_dump(mode="json")


# -- statements ----------------------------------------------------------------------


def _waiting() -> Select[Any]:
    """Open backorders of these SKUs, locked, in the order in which they are served, with what their promise needs."""
    freed = recordset("freed", [stock.c.seller_id, stock.c.sku])
    skus = select(freed.c.seller_id, freed.c.sku).distinct().subquery()
    return (
        select(
            backorders,
            (backorders.c.quantity - backorders.c.allocated).label("missing"),
            *(orders.c.method, orders.c.country, order_contacts.c.time_zone),
            *(orders.c.placed_at.label("origin"), orders.c.recorded_at, orders.c.factor, func.now().label("now")),
        )
        .join_from(backorders, skus, and_(backorders.c.seller_id == skus.c.seller_id, backorders.c.sku == skus.c.sku))
        .join(orders, orders.c.order_id == backorders.c.order_id)
        .outerjoin(order_contacts, order_contacts.c.order_id == backorders.c.order_id)
        .where(backorders.c.cancelled.is_(None), backorders.c.allocated < backorders.c.quantity)
        .order_by(backorders.c.placed_at, backorders.c.order_id, backorders.c.key)
        .with_for_update(of=backorders)
    )


def _levels() -> Select[Any]:
    freed = recordset("freed", [stock.c.location_id, stock.c.seller_id, stock.c.sku])
    return (
        select(
            *(stock.c.location_id, stock.c.seller_id, stock.c.sku),
            (stock.c.on_hand - stock.c.reserved).label("available"),
            *(locations.c.channel, locations.c.priority, cast(locations.c.profile, Text).label("profile")),
        )
        .join_from(stock, locations, stock.c.location_id == locations.c.location_id)
        .join(freed, and_(*(stock.c[name] == freed.c[name] for name in ("location_id", "seller_id", "sku"))))
    )


def _allocate() -> Select[Any]:
    taken = recordset("taken", [backorders.c.key, backorders.c.allocated, backorders.c.allocations])
    made = [column.name for column in backorder_allocations.columns]
    return select(literal(1)).add_cte(
        update(backorders)
        .where(backorders.c.key == taken.c.key)
        .values(
            allocated=backorders.c.allocated + taken.c.allocated,
            allocations=backorders.c.allocations + taken.c.allocations,
        )
        .cte("served"),
        insert_rows(backorder_allocations, "made", made).cte("noted"),
        insert_rows(outbox, "messages", ["key", "kind", "order_id", "body"]).cte("woken"),
    )


_WAITING = _waiting()
_LEVELS = _levels()
_ALLOCATE = _allocate()
