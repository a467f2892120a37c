"""What reconciliation looks at and mends; and the one step of an order that is taken up again."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import NamedTuple, TypeVar

from temporalio import activity

from activities.ports import LostOrders, ReconciliationStore, RunningOrders
from domain.reconciling import (
    ASKED_AGAIN_MAX,
    NAMED_MAX,
    TAKEN_UP_AT_ONCE,
    DeadOrder,
    Found,
    HalfWritten,
    HeldMoney,
    MendedStock,
    OpenRow,
    ReconcileInput,
)
from domain.requests import Unavailable
from domain.taking_up import FoundOrder, TakeUp

_SIDE_BY_SIDE = 20
_COMPARED_WITHIN = timedelta(hours=1)
_Thing = TypeVar("_Thing")


class TakeUpActivities:
    def __init__(self, store: LostOrders) -> None:
        self._store = store

    @activity.defn
    async def take_up_order(self, message: TakeUp) -> FoundOrder:
        run_id = activity.info().workflow_run_id
        assert run_id is not None
        return await self._store.take_up(message.order_id, run_id)


class ReconcileActivities:
    """Each looks before it changes anything, and may run at any moment, twice, or beside another one."""

    def __init__(self, store: ReconciliationStore, orders: RunningOrders) -> None:
        self._store = store
        self._orders = orders

    @activity.defn
    async def find_lost_orders(self, look: ReconcileInput) -> Found:
        """Compare all open rows with all running workflows; and versions where rows were written of late."""
        grace = timedelta(seconds=look.grace_seconds)
        until = await self._store.now() - grace
        since = look.since or until - _COMPARED_WITHIN
        running = await self._orders.running(grace)
        missing: list[OpenRow] = []
        changed: list[OpenRow] = []
        again: list[OpenRow] = []
        looked_at = 0
        known: set[str] = set()
        async for page in self._open_orders(grace):
            looked_at += len(page)
            known.update(row.order_id for row in page)
            missing += (row for row in page if row.order_id not in running)
            living = [row for row in page if row.order_id in running and row.saved_at < until]
            changed += (row for row in living if row.saved_at >= since)
            again += (row for row in living if row.saved_at < since and row.order_id in look.ask_again)
        dead, ended = await self._fates(missing, grace)
        taken_up = dead[:TAKEN_UP_AT_ONCE] if len(dead) <= look.taken_up_max else []
        held_back = dead[len(taken_up) :]
        without_rows = await self._without_rows(
            [one for one, old in running.items() if old and one not in known], grace
        )
        changed.sort(key=lambda row: row.saved_at)
        first = changed[: look.compared_max]
        compared = await self._compare([*first, *again])
        left = changed[min(compared.asked, len(first)) :]
        not_asked_again = again[max(0, compared.asked - len(first)) :]
        unanswered = [*compared.unanswered, *(row.order_id for row in not_asked_again)]
        return Found(
            looked_at=looked_at,
            compared=compared.asked,
            not_compared=len(left),
            dead=tuple(taken_up),
            held_back=tuple(order.order_id for order in held_back[:NAMED_MAX]),
            held_back_count=len(held_back),
            ended=tuple(ended[:NAMED_MAX]),
            ended_count=len(ended),
            half_written=tuple(compared.half_written),
            unanswered=tuple(unanswered[:ASKED_AGAIN_MAX]),
            without_rows=tuple(without_rows[:NAMED_MAX]),
            without_rows_count=len(without_rows),
            # What was not compared now is compared next time.
            looked_until=left[0].saved_at if left else until,
        )

    async def _open_orders(self, grace: timedelta) -> AsyncIterator[tuple[OpenRow, ...]]:
        after = ""
        while page := await self._store.open_orders(after, grace):
            activity.heartbeat()
            yield page
            after = page[-1].order_id

    async def _fates(self, rows: list[OpenRow], grace: timedelta) -> tuple[list[DeadOrder], list[str]]:
        dead: list[DeadOrder] = []
        ended: list[str] = []
        for part in _parts(rows):
            fates = await asyncio.gather(*(self._orders.fate(row, grace) for row in part))
            # A workflow that has just ended had closed its row before; our page may be from before that.
            still = await self._store.still_open([row.order_id for row in part])
            for row, fate in zip(part, fates, strict=True):
                if fate is not None and row.order_id in still:
                    if isinstance(fate, DeadOrder):
                        dead.append(fate)
                    else:
                        ended.append(row.order_id)
            activity.heartbeat()
        return dead, ended

    async def _compare(self, rows: list[OpenRow]) -> "_Compared":
        half_written: list[HalfWritten] = []
        unanswered: list[str] = []
        asked = 0
        for part in _parts(rows):
            if len(unanswered) >= ASKED_AGAIN_MAX:
                break
            for row, version in zip(part, await asyncio.gather(*map(self._version, part)), strict=True):
                if isinstance(version, Unavailable):
                    unanswered.append(row.order_id)
                elif version is not None and version < row.version:
                    half_written.append(HalfWritten(order_id=row.order_id, version=row.version, known_version=version))
            asked += len(part)
            activity.heartbeat()
        return _Compared(half_written, unanswered, asked)

    async def _version(self, row: OpenRow) -> int | Unavailable | None:
        try:
            return await self._orders.version(row.order_id)
        except Unavailable as error:
            return error

    async def _without_rows(self, strangers: list[str], grace: timedelta) -> list[str]:
        """Those of them that run, and are open in no row, nor were a moment ago.

        The list may still have one that has ended. One that was recorded a moment ago was in no page, and one that
        closes its rows ends a moment later: so the rows are read last.
        """
        found: list[str] = []
        for part in _parts(strangers):
            runs = await asyncio.gather(*map(self._orders.runs, part))
            living = [order_id for order_id, one in zip(part, runs, strict=True) if one]
            if living:
                known = await self._store.open_or_young(living, grace)
                found += (order_id for order_id in living if order_id not in known)
            activity.heartbeat()
        return found

    @activity.defn
    async def take_up_lost_order(self, order: DeadOrder) -> bool:
        return await self._orders.take_up(order)

    @activity.defn
    async def write_rows_anew(self, order: HalfWritten) -> bool:
        return await self._orders.write_anew(order)

    @activity.defn
    async def release_dead_stock(self, look: ReconcileInput) -> MendedStock:
        return await self._store.release_dead_stock(timedelta(seconds=look.grace_seconds), look.dry_run)

    @activity.defn
    async def find_held_money(self, look: ReconcileInput) -> tuple[HeldMoney, ...]:
        return await self._store.held_money(timedelta(seconds=look.grace_seconds))

    @activity.defn
    async def note_voided_money(self, money: HeldMoney) -> None:
        words = f"{money.amount} in minor units was authorized still after the order's end: voided"
        await self._store.note_voided(money.order_id, money.amount, words)


class _Compared(NamedTuple):
    half_written: list[HalfWritten]
    unanswered: list[str]
    asked: int
    """So many of the rows, from the first on; the others are left where too many gave no answer."""


def _parts(things: list[_Thing]) -> Iterable[list[_Thing]]:
    for start in range(0, len(things), _SIDE_BY_SIDE):
        yield things[start : start + _SIDE_BY_SIDE]
