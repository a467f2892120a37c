"""Stock movements: the ledger, the levels and who holds what, changed together in one statement."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import CTE, Select, and_, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from store.recordsets import insert_rows, once
from store.tables.stock import reservations, stock, stock_movements


class Movement(NamedTuple):
    """Units that come, go, are set aside or given back; `key` and the rest up to `sku` name it for good."""

    key: str
    location_id: str
    seller_id: str
    sku: str
    reason: str
    on_hand_delta: int = 0
    reserved_delta: int = 0
    line_id: str = ""
    order_id: str | None = None


async def move_stock(connection: AsyncConnection, movements: Iterable[Movement]) -> int:
    """Apply movements that have not been applied yet; gives how many. Locks the levels in key order."""
    rows = _merged(movements)
    if not rows:
        return 0
    moved = (await connection.execute(_MOVE, {"movements": rows})).one()
    # All of one effect is written at once, so all of it is new or none: else a key was used for two things.
    one_key = len({row["key"] for row in rows}) == 1
    assert not one_key or moved.applied in (0, len(rows)), f"{rows[0]['key']}: {moved.applied} of {len(rows)} are new"
    assert moved.complete, f"{rows[0]['key']}: moves stock that is not there, or that its line does not hold"
    return int(moved.applied)


async def move_stock_once(
    connection: AsyncConnection, key: str, order_id: str, result: dict[str, Any], movements: Sequence[Movement]
) -> bool:
    """Apply movements and keep `result` as the answer to `key`; false, and nothing done, where there is one already."""
    rows = _merged(movements)
    parameters = {"movements": rows, "effect": [{"key": key, "order_id": order_id, "result": result}]}
    moved = (await connection.execute(_MOVE_ONCE, parameters)).one()
    assert moved.applied == (len(rows) if moved.claimed else 0), key
    assert moved.complete, f"{key}: moves stock that is not there"
    return bool(moved.claimed)


def _merged(movements: Iterable[Movement]) -> list[dict[str, Any]]:
    """One row per line and level: an effect may name a line twice, once for each parcel."""
    rows: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for movement in movements:
        name = (movement.key, movement.line_id, movement.location_id, movement.seller_id, movement.sku)
        if name in rows:
            rows[name]["on_hand_delta"] += movement.on_hand_delta
            rows[name]["reserved_delta"] += movement.reserved_delta
        else:
            rows[name] = movement._asdict()
    return list(rows.values())


_LEVEL = ("location_id", "seller_id", "sku")
_BY_LEVEL = [stock.c[name] for name in _LEVEL]


def _moving(claimed: CTE | None) -> Select[Any]:
    """One statement: into the ledger; what was new there onto the levels, locked in key order; and onto the holders.

    The UPDATE meets the newest rows although its snapshot may be older than the locks: PostgreSQL takes the row that
    is locked and computes from that.
    """
    moved = (
        insert_rows(
            stock_movements,
            "movements",
            Movement._fields,
            only_if=None if claimed is None else exists(select(claimed.c.key)),
        )
        .on_conflict_do_nothing()
        .returning(stock_movements)
        .cte("moved")
    )
    change = (
        select(
            *(moved.c[name] for name in _LEVEL),
            func.sum(moved.c.on_hand_delta).label("on_hand"),
            func.sum(moved.c.reserved_delta).label("reserved"),
        )
        .group_by(*(moved.c[name] for name in _LEVEL))
        .cte("change")
    )
    locked = (
        select(*_BY_LEVEL, change.c.on_hand, change.c.reserved)
        .join_from(stock, change, and_(*(stock.c[name] == change.c[name] for name in _LEVEL)))
        .order_by(*_BY_LEVEL)
        .with_for_update(of=stock)
        .cte("locked")
    )
    levels = (
        update(stock)
        .where(*(stock.c[name] == locked.c[name] for name in _LEVEL))
        .values(on_hand=stock.c.on_hand + locked.c.on_hand, reserved=stock.c.reserved + locked.c.reserved)
        .returning(stock.c.sku)
        .cte("levels")
    )
    taking = insert(reservations).from_select(
        ["order_id", "line_id", *_LEVEL, "quantity"],
        select(*(moved.c[name] for name in ("order_id", "line_id", *_LEVEL, "reserved_delta"))).where(
            moved.c.reserved_delta > 0
        ),
    )
    taken = taking.on_conflict_do_update(
        index_elements=list(reservations.primary_key),
        set_={"quantity": reservations.c.quantity + taking.excluded.quantity},
    ).cte("taken")
    given_back = (
        update(reservations)
        .where(
            moved.c.reserved_delta < 0,
            *(reservations.c[name] == moved.c[name] for name in ("order_id", "line_id", "location_id")),
        )
        .values(quantity=reservations.c.quantity + moved.c.reserved_delta)
        .returning(reservations.c.line_id)
        .cte("given_back")
    )
    return select(
        _count(moved).label("applied"),
        and_(
            _count(change) == _count(levels),
            _count(given_back) == select(func.count()).where(moved.c.reserved_delta < 0).scalar_subquery(),
        ).label("complete"),
        *([] if claimed is None else [exists(select(claimed.c.key)).label("claimed")]),
    ).add_cte(taken)


def _count(part: CTE) -> Any:
    return select(func.count()).select_from(part).scalar_subquery()


_MOVE = _moving(None)
_MOVE_ONCE = _moving(once("effect"))
