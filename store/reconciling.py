"""What reconciliation reads of many orders at once, and the stock and money that it gives back of closed ones."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Interval, Text

from domain.reconciling import VOIDED_AT_ONCE, FoundMoney, HeldMoney, MendedStock, OpenRow
from domain.taking_up import BY
from store.backorders import allocate_to_waiting
from store.database import Database
from store.movements import Movement, move_stock
from store.tables.insights import order_changes
from store.tables.orders import orders
from store.tables.stock import stock

_PAGE = 2_000


class Reconciling:
    """`activities.ports.ReconciliationStore`. What it changes it changes once: it looks again under the lock.

    Locks are taken in the order of `store/stock.py`: an order's row, then levels, then backorders.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_orders(self, after: str, grace: timedelta) -> tuple[OpenRow, ...]:
        """A page of them, by id; shorter than a page at the end. One statement."""
        async with self._database.statement() as connection:
            rows = await connection.execute(_OPEN, {"after": after, "grace": grace})
            return tuple(OpenRow.model_validate(row._asdict()) for row in rows)

    async def still_open(self, order_ids: Sequence[str]) -> frozenset[str]:
        async with self._database.statement() as connection:
            return frozenset((await connection.execute(_STILL_OPEN, {"ids": [*order_ids]})).scalars())

    async def open_or_young(self, order_ids: Sequence[str], grace: timedelta) -> frozenset[str]:
        """An order closes its rows a moment before its workflow ends. One statement."""
        async with self._database.statement() as connection:
            found = await connection.execute(_OPEN_OR_YOUNG, {"ids": [*order_ids], "grace": grace})
            return frozenset(found.scalars())

    async def now(self) -> datetime:
        """By the database's clock, which `saved_at` is of."""
        async with self._database.statement() as connection:
            now: datetime = (await connection.execute(select(func.now()))).scalar_one()
        return now

    # -- stock -------------------------------------------------------------------------

    async def release_dead_stock(
        self, grace: timedelta, dry_run: bool, lives: Callable[[], object] = lambda: None
    ) -> MendedStock:
        """Give back what closed or unknown orders hold or wait for, and mend levels that say another thing than the
        orders do. Three statements where there is nothing to do; `lives` is called after each transaction.
        """
        async with self._database.statement() as connection:
            holders = (await connection.execute(_DEAD_HOLDERS, {"grace": grace})).all()
            levels = (await connection.execute(_WRONG_LEVELS)).all()
            waiting = (await connection.execute(_DEAD_BACKORDERS)).all()
        if dry_run:
            wrong = {(row.location_id, row.seller_id, row.sku) for row in levels}
            return MendedStock.of(
                orders=_names((*holders, *waiting)),
                units=sum(row.quantity for row in holders),
                backorders=len(waiting),
                levels=["/".join(level) for level in sorted(wrong)],
            )
        # First, so that what is given back goes to nobody who is gone.
        stopped: list[Row[Any]] = []
        for order_id, own in groupby(waiting, key=lambda row: str(row.order_id)):
            stopped += await self._stop(order_id, own)
            lives()
        mended: list[str] = []
        not_mended: list[str] = []
        for level in levels:
            name = f"{level.location_id}/{level.seller_id}/{level.sku}"
            done = await self._mend_level(level)
            if done is not None:
                (mended if done else not_mended).append(name)
            lives()
        released: list[Row[Any]] = []
        for holder in holders:
            released += await self._release(holder, grace)
            lives()
        return MendedStock.of(
            orders=_names((*released, *stopped)),
            units=sum(row.quantity for row in released),
            backorders=len(stopped),
            levels=mended,
            not_mended=not_mended,
        )

    async def _release(self, holder: Row[Any], grace: timedelta) -> list[Row[Any]]:
        """One line's units at one location."""
        level = {"location": holder.location_id, "seller": holder.seller_id, "sku": holder.sku}
        async with self._database.transaction() as connection:
            await _lock_order(connection, holder.order_id)
            await _lock_level(connection, level)
            line = {"order": holder.order_id, "line": holder.line_id, "location": holder.location_id}
            row = (await connection.execute(_DEAD_HOLDER, {**line, "grace": grace})).one_or_none()
            reserved = (await connection.execute(_LEVEL_NOW, level)).one().reserved
            if row is None or row.quantity > reserved:  # a level that could not be mended, which a person must count
                return []
            # Named after the ledger as it stood: the same units are given back once, later ones again.
            key = f"{row.order_id}:reconciled:{row.last_movement}"
            place = {"location_id": row.location_id, "seller_id": row.seller_id, "sku": row.sku}
            of_order = {"line_id": row.line_id, "order_id": row.order_id}
            if row.quantity != row.moved:
                # Somebody wrote them past the ledger: it learns of them before they are given back.
                await _note_movement(connection, f"{key}:found", row.quantity - row.moved, {**place, **of_order})
            await move_stock(
                connection,
                [Movement(key=key, reason="reconciled", reserved_delta=-row.quantity, **place, **of_order)],
            )
            await allocate_to_waiting(connection, [(row.location_id, row.seller_id, row.sku)])
            words = f"{row.quantity} x {row.sku} at {row.location_id} given back: the order has ended and held it still"
            await _write_timeline(connection, row.order_id, "stock_reconciled", words)
        return [row]

    async def _mend_level(self, found: Row[Any]) -> bool | None:
        """None where it is right by now; false where more is held than is there."""
        level = {"location": found.location_id, "seller": found.seller_id, "sku": found.sku}
        async with self._database.transaction() as connection:
            await _lock_level(connection, level)
            row = (await connection.execute(_LEVEL_NOW, level)).one()
            surplus = row.reserved - row.held
            if surplus == 0:
                return None
            if row.held > row.on_hand:
                return False
            place = {"location_id": row.location_id, "seller_id": row.seller_id, "sku": row.sku}
            key = f"reconciled:{row.location_id}:{row.seller_id}:{row.sku}:{row.last_movement}"
            if row.reserved != row.moved:
                await _note_movement(connection, f"{key}:found", row.reserved - row.moved, {**place, "line_id": ""})
            await connection.execute(_SET_RESERVED, {**level, "reserved": row.held})
            await _note_movement(connection, key, -surplus, {**place, "line_id": ""}, "reconciled")
            if surplus > 0:
                await allocate_to_waiting(connection, [(row.location_id, row.seller_id, row.sku)])
        return True

    async def _stop(self, order_id: str, waiting: Iterable[Row[Any]]) -> list[Row[Any]]:
        """What one order waits for."""
        async with self._database.transaction() as connection:
            await _lock_order(connection, order_id)
            stopped = list(await connection.execute(_STOP, {"keys": [row.key for row in waiting]}))
            for row in stopped:
                words = f"Waits no more for {row.quantity - row.allocated} x {row.sku}: the order has ended"
                await _write_timeline(connection, order_id, "backorder_reconciled", words)
        return stopped

    # -- money -------------------------------------------------------------------------

    async def held_money(self, grace: timedelta) -> FoundMoney:
        """What closed orders have authorized and neither captured nor voided. One statement."""
        async with self._database.statement() as connection:
            rows = (await connection.execute(_HELD_MONEY, {"grace": grace, "at_most": VOIDED_AT_ONCE})).all()
        held = tuple(
            HeldMoney(
                order_id=row.order_id,
                amount=row.amount,
                # One that was asked for already is asked for again by its own key.
                key=row.under_way or f"{row.order_id}:void:reconciled:{row.moves}",
            )
            for row in rows
        )
        return FoundMoney(held=held, count=rows[0].altogether if rows else 0)

    async def note_voided(self, order_id: str, amount: int, words: str) -> None:
        async with self._database.transaction() as connection:
            await _write_timeline(connection, order_id, "money_reconciled", words)


async def _lock_order(connection: AsyncConnection, order_id: str) -> None:
    """Its own late steps lock it first, too; there is nothing to lock of an order that nobody knows."""
    await connection.execute(select(orders.c.order_id).where(orders.c.order_id == order_id).with_for_update())


async def _lock_level(connection: AsyncConnection, level: dict[str, str]) -> None:
    await connection.execute(
        select(stock.c.sku)
        .where(
            stock.c.location_id == level["location"],
            stock.c.seller_id == level["seller"],
            stock.c.sku == level["sku"],
        )
        .with_for_update()
    )


async def _note_movement(
    connection: AsyncConnection, key: str, reserved: int, names: dict[str, Any], reason: str = "found"
) -> None:
    """Into the ledger alone: the level says so already."""
    row = {"order_id": None, **names, "key": key, "reserved": reserved, "reason": reason}
    await connection.execute(_NOTE_MOVEMENT, row)


async def _write_timeline(connection: AsyncConnection, order_id: str, what: str, summary: str) -> None:
    """An order that has ended writes nothing any more, so its rows are written here; nothing for an unknown one."""
    row = {"order": order_id, "who": BY, "what": what, "summary": summary}
    if (await connection.execute(_WRITE_TIMELINE, row)).rowcount:
        await connection.execute(insert(order_changes).values(order_id=order_id))


def _names(rows: Iterable[Row[Any]]) -> list[str]:
    return [*dict.fromkeys(str(row.order_id) for row in rows)]


# -- statements ----------------------------------------------------------------------

_OPEN = (
    select(orders.c.order_id, orders.c.first_run_id, orders.c.body_hash, orders.c.version, orders.c.saved_at)
    .where(
        ~orders.c.closed,
        orders.c.order_id > bindparam("after", type_=Text),
        orders.c.recorded_at < func.now() - bindparam("grace", type_=Interval),
    )
    .order_by(orders.c.order_id)
    .limit(_PAGE)
)
_STILL_OPEN = select(orders.c.order_id).where(
    ~orders.c.closed, orders.c.order_id == func.any(bindparam("ids", type_=ARRAY(Text)))
)

_OPEN_OR_YOUNG = select(orders.c.order_id).where(
    orders.c.order_id == func.any(bindparam("ids", type_=ARRAY(Text))),
    ~orders.c.closed | (orders.c.saved_at >= func.now() - bindparam("grace", type_=Interval)),
)

_DEAD = """
    SELECT held.*, coalesce(moves.moved, 0) AS moved, coalesce(moves.last, 0) AS last_movement
    FROM reservations AS held LEFT JOIN orders USING (order_id)
    LEFT JOIN LATERAL (
        SELECT sum(reserved_delta) AS moved, max(id) AS last, max(at) AS newest FROM stock_movements AS moves
        WHERE moves.order_id = held.order_id AND moves.line_id = held.line_id
          AND moves.location_id = held.location_id
    ) AS moves ON true
    WHERE held.quantity > 0 AND (orders.order_id IS NULL OR closed)
      AND (newest IS NULL OR newest < now() - :grace) AND (saved_at IS NULL OR saved_at < now() - :grace)
"""
_grace = bindparam("grace", type_=Interval)
_DEAD_HOLDERS = text(_DEAD).bindparams(_grace)
_DEAD_HOLDER = text(
    f"{_DEAD} AND held.order_id = :order AND held.line_id = :line AND held.location_id = :location"
).bindparams(_grace)
_WRONG_LEVELS = text(
    """
    SELECT location_id, seller_id, sku FROM stock
    LEFT JOIN (
        SELECT location_id, seller_id, sku, sum(quantity) AS held FROM reservations WHERE quantity > 0 GROUP BY 1, 2, 3
    ) AS holders USING (location_id, seller_id, sku)
    WHERE reserved <> coalesce(held, 0)
    """
)
_LEVEL_NOW = text(
    """
    SELECT stock.*,
           (SELECT coalesce(sum(quantity), 0) FROM reservations AS held
            WHERE held.location_id = stock.location_id AND held.seller_id = stock.seller_id
              AND held.sku = stock.sku) AS held,
           (SELECT coalesce(sum(reserved_delta), 0) FROM stock_movements AS moves
            WHERE moves.location_id = stock.location_id AND moves.seller_id = stock.seller_id
              AND moves.sku = stock.sku) AS moved,
           (SELECT coalesce(max(id), 0) FROM stock_movements AS moves
            WHERE moves.location_id = stock.location_id AND moves.seller_id = stock.seller_id
              AND moves.sku = stock.sku) AS last_movement
    FROM stock WHERE location_id = :location AND seller_id = :seller AND sku = :sku
    """
)
_SET_RESERVED = text(
    "UPDATE stock SET reserved = :reserved WHERE location_id = :location AND seller_id = :seller AND sku = :sku"
)
_NOTE_MOVEMENT = text(
    """
    INSERT INTO stock_movements
           (key, line_id, location_id, seller_id, sku, on_hand_delta, reserved_delta, reason, order_id)
    VALUES (:key, :line_id, :location_id, :seller_id, :sku, 0, :reserved, :reason, :order_id)
    """
)
_DEAD_BACKORDERS = text(
    """
    SELECT key, order_id, backorders.sku, backorders.quantity FROM backorders LEFT JOIN orders USING (order_id)
    WHERE cancelled IS NULL AND allocated < backorders.quantity AND (orders.order_id IS NULL OR closed)
    ORDER BY order_id
    """
)
_STOP = text(
    """
    UPDATE backorders SET cancelled = now() FROM (
        SELECT key FROM backorders WHERE key = any(:keys) AND cancelled IS NULL
        ORDER BY placed_at, order_id, key FOR UPDATE
    ) AS locked
    WHERE backorders.key = locked.key
    RETURNING sku, quantity, allocated, order_id
    """
)
# A void that the provider refused has to run out at the bank. Each payment that holds money asks for its order: joined,
# PostgreSQL may read all orders instead, as it cannot know how few payments hold any. By chance, so that those which no
# run can void do not keep the others from it.
_HELD_MONEY = text(
    """
    SELECT order_id, sum(authorized - captured - voided)::bigint AS amount,
           (SELECT count(*) FROM money_moves AS moves WHERE moves.order_id = payments.order_id) AS moves,
           (SELECT min(plan_key) FROM money_moves AS moves
            WHERE moves.order_id = payments.order_id AND NOT settled AND moves.kind = 'void') AS under_way,
           count(*) OVER () AS altogether
    FROM payments
    WHERE authorized > captured + voided
      AND (SELECT closed AND saved_at < now() - :grace FROM orders WHERE orders.order_id = payments.order_id)
      AND NOT EXISTS (
        SELECT 1 FROM money_moves AS moves WHERE moves.order_id = payments.order_id
          AND moves.payment_id = payments.payment_id AND moves.kind = 'void' AND refused_because IS NOT NULL
      )
    GROUP BY order_id
    ORDER BY random() LIMIT :at_most
    """
).bindparams(_grace)
_WRITE_TIMELINE = text(
    """
    INSERT INTO timeline (order_id, seq, occurred_at, received_at, who, what, summary, why)
    SELECT order_id, (SELECT coalesce(max(seq), 0) + 1 FROM timeline AS own WHERE own.order_id = orders.order_id),
           updated_at, updated_at, :who, :what, :summary, ''
    FROM (SELECT * FROM orders WHERE order_id = :order AND closed FOR UPDATE) AS orders
    """
)
