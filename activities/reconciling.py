"""What reconciliation looks at and mends; and the one step of an order that is taken up again."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta

from temporalio import activity

from activities.ports import LostOrders, ReconciliationStore, RunningOrders
from domain.reconciling import DeadOrder, Found, HalfWritten, HeldMoney, MendedStock, OpenRow, ReconcileInput
from domain.taking_up import FoundOrder, TakeUp

_SIDE_BY_SIDE = 20
_COMPARED_WITHIN = timedelta(hours=1)


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
        looked_at = 0
        known: set[str] = set()
        async for page in self._open_orders(grace):
            looked_at += len(page)
            known.update(row.order_id for row in page)
            missing += (row for row in page if row.order_id not in running)
            changed += (row for row in page if row.order_id in running and since <= row.saved_at < until)
        dead, ended = await self._fates(missing, grace)
        changed.sort(key=lambda row: row.saved_at)
        compared = changed[: look.compared_max]
        strangers = [order_id for order_id, long in running.items() if long and order_id not in known]
        return Found(
            looked_at=looked_at,
            compared=len(compared),
            not_compared=len(changed) - len(compared),
            dead=tuple(dead),
            ended=tuple(ended),
            half_written=tuple(await self._half_written(compared)),
            without_rows=tuple(await self._unknown(strangers)),
            # What was not compared now is compared next time.
            looked_until=changed[len(compared)].saved_at if len(changed) > len(compared) else until,
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

    async def _half_written(self, rows: list[OpenRow]) -> list[HalfWritten]:
        found = []
        for part in _parts(rows):
            versions = await asyncio.gather(*(self._orders.version(row.order_id) for row in part))
            found += [
                HalfWritten(order_id=row.order_id, version=row.version, known_version=version)
                for row, version in zip(part, versions, strict=True)
                if version is not None and version < row.version
            ]
            activity.heartbeat()
        return found

    async def _unknown(self, order_ids: list[str]) -> list[str]:
        """Running orders that are open in no row; those recorded a moment ago were in no page."""
        still_open: frozenset[str] = frozenset()
        if order_ids:
            still_open = await self._store.still_open(order_ids)
        return [order_id for order_id in order_ids if order_id not in still_open]

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


def _parts(rows: list[OpenRow]) -> Iterable[list[OpenRow]]:
    for start in range(0, len(rows), _SIDE_BY_SIDE):
        yield rows[start : start + _SIDE_BY_SIDE]
