"""What reconciliation looks at and mends; and the one step of an order that is taken up again."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from temporalio import activity

from activities.ports import LostOrders, ReconciliationStore, RunningOrders
from domain.reconciling import (
    ASKED_AGAIN_MAX,
    NAMED_MAX,
    REWRITTEN_AT_ONCE,
    TAKEN_UP_AT_ONCE,
    DeadOrder,
    Found,
    FoundMoney,
    HalfWritten,
    HeldMoney,
    MendedStock,
    OpenRow,
    ReconcileInput,
)
from domain.requests import Unavailable
from domain.taking_up import FoundOrder, TakeUp

_SIDE_BY_SIDE = 20
_FIRST_LOOK = timedelta(hours=1)
_COMPARING_TIME = timedelta(minutes=2)
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

    def __init__(
        self, store: ReconciliationStore, orders: RunningOrders, comparing_time: timedelta = _COMPARING_TIME
    ) -> None:
        """After `comparing_time` no more orders are asked; what is mended besides must have its time, too."""
        self._store = store
        self._orders = orders
        self._comparing_time = comparing_time

    @activity.defn
    async def find_lost_orders(self, look: ReconcileInput) -> Found:
        """Compare all open rows with all running workflows; and versions where rows were written of late."""
        grace = timedelta(seconds=look.grace_seconds)
        until = await self._store.now() - grace
        since = (look.since or until - _FIRST_LOOK, look.since_order_id)
        ask_again = frozenset(look.ask_again)
        running = await self._orders.running(grace)
        missing: list[OpenRow] = []
        changed: list[OpenRow] = []
        again: list[OpenRow] = []
        looked_at = 0
        known: set[str] = set()

        def sort_living(rows: Iterable[OpenRow]) -> None:
            for row in rows:
                if row.saved_at < until and _place(row) >= since:
                    changed.append(row)
                elif row.saved_at < until and row.order_id in ask_again:
                    again.append(row)

        async for page in self._open_orders(grace):
            looked_at += len(page)
            known.update(row.order_id for row in page)
            missing += (row for row in page if row.order_id not in running)
            sort_living(row for row in page if row.order_id in running)
        dead, ended, living = await self._fates(missing, grace)
        sort_living(living)  # the list misses some for a moment, between two runs of an order for one
        taken_up = dead[:TAKEN_UP_AT_ONCE] if len(dead) <= look.taken_up_max else []
        held_back = dead[len(taken_up) :]
        without_rows = await self._without_rows(
            [one for one, old in running.items() if old and one not in known], grace
        )
        changed.sort(key=_place)
        first = changed[: look.compared_max]
        compared = await self._compare([*first, *again])
        left = changed[min(compared.asked, len(first)) :]
        not_asked_again = again[max(0, compared.asked - len(first)) :]
        unanswered = [*compared.unanswered, *(row.order_id for row in not_asked_again)]
        return Found(
            looked_at=looked_at,
            compared=compared.asked - len(compared.unanswered),
            not_compared=len(left),
            dead=tuple(taken_up),
            held_back=tuple(order.order_id for order in held_back[:NAMED_MAX]),
            held_back_count=len(held_back),
            ended=tuple(ended[:NAMED_MAX]),
            ended_count=len(ended),
            half_written=tuple(compared.half_written),
            unanswered=tuple(unanswered[:ASKED_AGAIN_MAX]),
            unanswered_count=len(unanswered),
            without_rows=tuple(without_rows[:NAMED_MAX]),
            without_rows_count=len(without_rows),
            # The next run begins with the first that was left, however many were written at its moment: nothing is
            # compared twice, or the same ones could use each run up. Otherwise a little before the end: a clock may be
            # behind.
            looked_until=left[0].saved_at if left else until - grace,
            looked_until_order_id=left[0].order_id if left else "",
        )

    async def _open_orders(self, grace: timedelta) -> AsyncIterator[tuple[OpenRow, ...]]:
        after = ""
        while page := await self._store.open_orders(after, grace):
            activity.heartbeat()
            yield page
            after = page[-1].order_id

    async def _fates(self, rows: list[OpenRow], grace: timedelta) -> "_Fates":
        fates = _Fates([], [], [])
        for part in _parts(rows):
            found = await asyncio.gather(*(self._orders.fate(row, grace) for row in part))
            # A workflow that has just ended had closed its row before; our page may be from before that.
            still = await self._store.still_open([row.order_id for row in part])
            for row, fate in zip(part, found, strict=True):
                if fate is None:
                    fates.living.append(row)
                elif row.order_id in still:
                    if isinstance(fate, DeadOrder):
                        fates.dead.append(fate)
                    else:
                        fates.ended.append(row.order_id)
            activity.heartbeat()
        return fates

    async def _compare(self, rows: list[OpenRow]) -> "_Compared":
        """From the first on, twenty at a time, until as many gave no answer or are behind as may, or time is up."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._comparing_time.total_seconds()
        answers: dict[str, int | Unavailable | None] = {}
        asking: dict[asyncio.Task[int | Unavailable | None], OpenRow] = {}
        silent = ahead = asked = 0
        try:
            while True:
                # Each that is being asked may turn out silent. The first is asked whatever the time: runs go on.
                while (
                    asked < len(rows)
                    and len(asking) < min(_SIDE_BY_SIDE, ASKED_AGAIN_MAX - silent)
                    and ahead < REWRITTEN_AT_ONCE
                    and (clock() < end or asked == 0)
                ):
                    asking[asyncio.create_task(self._version(rows[asked]))] = rows[asked]
                    asked += 1
                if not asking:
                    break
                done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    row = asking.pop(task)
                    answer = answers[row.order_id] = await task
                    silent += isinstance(answer, Unavailable)
                    ahead += isinstance(answer, int) and answer < row.version
                activity.heartbeat()
        finally:
            for task in asking:
                task.cancel()
        compared = _Compared([], [], asked)
        for row in rows[:asked]:
            version = answers[row.order_id]
            if isinstance(version, Unavailable):
                compared.unanswered.append(row.order_id)
            elif version is not None and version < row.version:
                half = HalfWritten(order_id=row.order_id, version=row.version, known_version=version)
                compared.half_written.append(half)
        return compared

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
        grace = timedelta(seconds=look.grace_seconds)
        return await self._store.release_dead_stock(grace, look.dry_run, activity.heartbeat)

    @activity.defn
    async def find_held_money(self, look: ReconcileInput) -> FoundMoney:
        return await self._store.held_money(timedelta(seconds=look.grace_seconds))

    @activity.defn
    async def note_voided_money(self, money: HeldMoney) -> None:
        words = f"{money.amount} in minor units was authorized still after the order's end: voided"
        await self._store.note_voided(money.order_id, money.amount, words)


class _Compared(NamedTuple):
    half_written: list[HalfWritten]
    unanswered: list[str]
    asked: int
    """So many of the rows, from the first on; the others are left where too many gave no answer or are
    behind, or time was up."""


class _Fates(NamedTuple):
    dead: list[DeadOrder]
    ended: list[str]
    living: list[OpenRow]
    """And those that ended a moment ago."""


def _place(row: OpenRow) -> tuple[datetime, str]:
    """In the order in which rows are compared; many are written at one moment by an import."""
    return row.saved_at, row.order_id


def _parts(things: list[_Thing]) -> Iterable[list[_Thing]]:
    for start in range(0, len(things), _SIDE_BY_SIDE):
        yield things[start : start + _SIDE_BY_SIDE]
