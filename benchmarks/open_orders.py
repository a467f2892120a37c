"""Very many orders open at once, waiting for their sellers: what they take while nothing happens, then all packed.

`python -m benchmarks.open_orders [--orders 20000] [--workers 1] [--cached 1000]`, on embedded servers of its own: idle
without orders, placing, idle with all of them open, two runs of reconciliation (which does not run by itself here),
half of them packed in a burst, the other half while the workers are stopped and started again. Exit code 0 where every
order was packed and everything adds up.
"""

import argparse
import asyncio
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text
from temporalio.client import Client

from benchmarks import story
from benchmarks.cpu import cpu_seconds
from benchmarks.open_orders_report import (
    BACK_AT,
    Burst,
    Look,
    Restart,
    Size,
    Sized,
    Used,
    bursts_table,
    idle_table,
    looks_table,
    sizes_table,
)
from domain.reconciling import ReconcileInput
from localstack.ports import HOST, choose
from localstack.process import ManagedProcess
from localstack.stack import Stack, ended_by_signals
from localstack.worker_process import wait_until_ready
from store.database import Database
from store.identities import violations
from usecases.errors import Unreachable
from usecases.orders import Orders
from usecases.process import end_process
from usecases.reconciliation import reconcile
from usecases.temporal import connect
from workflows.names import SEARCH_ATTRIBUTES

_SELLER = story.SELLERS[:1]
_RPC_TIMEOUT = timedelta(minutes=2)
_SETTLE_SECONDS = 5.0
_PATIENCE_SECONDS = 600
_WINDOW_SECONDS = 2.0
"""The rate after a restart is taken over so long."""
_PARTS = 10
"""Of the placing, each told of by itself: growth shows as a slope, a bound as its end."""


class Run:
    def __init__(self, stack: Stack, workers: int, cached: int, at_once: int) -> None:
        self.stack = stack
        self.at_once = at_once
        self.unreachable = 0
        """So often a call was made again, as nobody had answered it."""

        self._metrics = [f"{HOST}:{choose(0, 'a metrics port')}" for _ in range(workers)]
        self.workers: list[ManagedProcess] = [
            stack.worker(
                {
                    "OPENORDERS_CARRIER": "manual",
                    "OPENORDERS_CACHED_ORDERS_MAX": str(cached),
                    "OPENORDERS_RECONCILE_MINUTES": "0",
                    "OPENORDERS_METRICS_ADDRESS": address,
                }
            )
            for address in self._metrics
        ]
        self.database = Database(stack.postgres.dsn)

    def start_workers(self) -> None:
        for worker in self.workers:
            worker.start()
        for worker in self.workers:
            wait_until_ready(worker)

    # -- what is looked at ---------------------------------------------------------------

    async def size(self) -> Size:
        assert self.stack.temporal.process is not None
        files = self.stack.temporal.state_dir.glob("temporal.db*")
        return Size(
            worker=sum(_resident(worker.pid) for worker in self.workers),
            temporal=_resident(self.stack.temporal.process.pid),
            temporal_file=sum(file.stat().st_size for file in files),
            database=int(await self.scalar("SELECT pg_database_size(current_database())")),
        )

    async def sized(self, orders: int, per_second: float | None = None) -> Sized:
        return Sized(orders, per_second, await self.size(), self.metric("temporal_sticky_cache_size"))

    async def idle(self, seconds: float) -> Used:
        """In a minute in which nobody does anything."""
        before = await self._used()
        await asyncio.sleep(seconds)
        after = await self._used()
        return Used(*((then - now) * 60 / seconds for now, then in zip(before, after, strict=True)))

    async def reconciles(self, client: Client, look: ReconcileInput) -> Look:
        began, before = time.monotonic(), await self._used()
        report = await reconcile(client, look)
        seconds = time.monotonic() - began
        after = await self._used()
        assert not report.orders, report
        assert report.unanswered == 0, report
        return Look(report.compared, seconds, Used(*(then - now for now, then in zip(before, after, strict=True))))

    async def _used(self) -> tuple[float, float, float, float, float]:
        assert self.stack.temporal.process is not None
        assert self.stack.postgres.process is not None
        return (
            sum(cpu_seconds(worker.pid) for worker in self.workers),
            cpu_seconds(self.stack.temporal.process.pid),
            cpu_seconds(self.stack.postgres.process.pid),
            await self.scalar(_TRANSACTIONS),
            self.metric("temporal_workflow_task_execution_latency_seconds_count"),
        )

    def metric(self, name: str) -> float:
        """The sum over all labels and workers."""
        total = 0.0
        for address in self._metrics:
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
                told = answer.read().decode()
            total += sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", told, re.MULTILINE))
        return total

    async def scalar(self, query: str) -> float:
        async with self.database.statement() as connection:
            return float((await connection.execute(text(query))).scalar_one())

    async def until(self, query: str, at_least: float) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (found := await self.scalar(query)) < at_least:
            assert time.monotonic() < deadline, f"{found:.0f} of {at_least:.0f}: {query}"
            await asyncio.sleep(0.5)

    async def at_rest(self) -> None:
        """All mails are out, and PostgreSQL and Temporal have written what they held back."""
        await self.until("SELECT -count(*) FROM outbox WHERE sent_at IS NULL AND failed_at IS NULL", 0)
        await asyncio.sleep(_SETTLE_SECONDS)

    # -- what is done --------------------------------------------------------------------

    async def place(self, orders: Orders, names: Sequence[str]) -> None:
        """Until the last of them waits for its seller."""

        async def place(name: str) -> None:
            await self._again(lambda: orders.place(story.body(name, _SELLER)))

        before = await self.scalar(_OPEN)
        await self._all(place, names)
        await self.until(_OPEN, before + len(names))

    async def pack(self, orders: Orders, names: Sequence[str], meanwhile: Callable[[], None] | None = None) -> Burst:
        """All of them, so many at a time; `meanwhile` is called when a third is packed."""
        latencies: list[float] = []
        answered: list[float] = []
        errors: Counter[str] = Counter()
        called: asyncio.Task[None] | None = None

        async def pack(name: str) -> None:
            nonlocal called
            began = time.monotonic()
            try:
                await self._again(lambda: orders.update(name, "pack", story.pack(_SELLER[0]), update_id="pack"))
            except Exception as error:  # whatever it is, it is a figure of the report
                errors[f"{type(error).__name__}: {error}"[:100]] += 1
                return
            latencies.append(time.monotonic() - began)
            answered.append(time.monotonic())
            if meanwhile is not None and called is None and len(answered) >= len(names) // 3:
                called = asyncio.create_task(asyncio.to_thread(meanwhile))

        began = time.monotonic()
        await self._all(pack, names)
        seconds = time.monotonic() - began
        if called is not None:
            await called
        return Burst(len(answered), seconds, latencies, answered, errors)

    async def _again(self, call: Callable[[], Awaitable[object]]) -> None:
        """As a backend calls: what nobody answered is called again, and has one effect. Servers do stand still."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                await call()
            except Unreachable:
                if time.monotonic() > deadline:
                    assert self.stack.temporal.process is not None
                    _say(self.stack.temporal.process.log_tail(40))
                    raise
                self.unreachable += 1
                await asyncio.sleep(1)
            else:
                return

    async def _all(self, do: Callable[[str], Awaitable[None]], names: Sequence[str]) -> None:
        slots = asyncio.Semaphore(self.at_once)

        async def one(name: str) -> None:
            async with slots:
                await do(name)

        await asyncio.gather(*(one(name) for name in names))


_OPEN = "SELECT count(*) FROM orders WHERE status = 'Unshipped'"
_TRANSACTIONS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.open_orders", description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cached", type=int, default=1_000, help="orders that each worker keeps in memory")
    parser.add_argument("--at-once", type=int, default=40, help="calls under way at a time")
    parser.add_argument("--idle", type=float, default=60, help="seconds for each look at doing nothing")
    chosen = parser.parse_args()
    with ended_by_signals(), Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        wrong = asyncio.run(_measure(Run(stack, chosen.workers, chosen.cached, chosen.at_once), chosen))
    print("\n".join(wrong) or "every order was packed, and everything adds up")
    return 1 if wrong else 0


async def _measure(run: Run, chosen: argparse.Namespace) -> list[str]:
    run.start_workers()
    await story.open_shop(run.database)
    client = await connect(environ=run.stack.environment)
    orders = Orders(client, rpc_timeout=_RPC_TIMEOUT)
    await run.place(orders, [f"warm-{number}" for number in range(5)])
    await run.at_rest()
    sizes = [await run.sized(0)]
    _say(f"{chosen.idle:.0f} s idle without orders ...")
    idle = [await run.idle(chosen.idle)]

    names = [f"open-{number}" for number in range(chosen.orders)]
    part = max(1, len(names) // _PARTS)
    for first in range(0, len(names), part):
        began = time.monotonic()
        await run.place(orders, names[first : first + part])
        seconds = time.monotonic() - began
        placed = min(first + part, len(names))
        sizes.append(await run.sized(placed, part / seconds))
        _say(f"{placed} placed, {part / seconds:.1f}/s, worker {sizes[-1].size.worker / 1e6:.0f} MB")
    await run.at_rest()
    sizes.append(await run.sized(len(names)))
    _say(f"{chosen.idle:.0f} s idle with {len(names)} open ...")
    idle.append(await run.idle(chosen.idle))
    nothing_new = ReconcileInput(since=datetime.now(UTC))
    looks = [await run.reconciles(client, look) for look in (nothing_new, ReconcileInput())]
    print(sizes_table(sizes), idle_table(idle, len(names)), looks_table(looks), sep="\n\n", flush=True)

    half = len(names) // 2
    _say(f"{half} are packed ...")
    burst = await run.pack(orders, names[:half])
    _say(f"{len(names) - half} are packed, the workers start again meanwhile ...")
    started: list[float] = []

    def restart() -> None:
        for worker in run.workers:
            worker.stop()
        started.append(time.monotonic())
        run.start_workers()

    under_restart = await run.pack(orders, names[half:], restart)
    restarted = _after(started[0], under_restart, burst.per_second, run)
    print(bursts_table(burst, under_restart, restarted, await run.size()), flush=True)
    print(f"calls made again, as nobody had answered: {run.unreachable}")
    await run.at_rest()
    wrong = await violations(run.database)
    await run.database.close()
    for one in (burst, under_restart):
        wrong += [f"{count} x {error}" for error, count in one.errors.items()]
    if burst.packed + under_restart.packed != len(names):
        wrong.append(f"{burst.packed + under_restart.packed} of {len(names)} were packed")
    return wrong


def _after(start: float, burst: Burst, rate_before: float, run: Run) -> Restart:
    answers = [moment - start for moment in burst.answered_at if moment > start]
    back = next(
        (
            end
            for end in answers
            if end >= _WINDOW_SECONDS
            and sum(end - _WINDOW_SECONDS < one <= end for one in answers) / _WINDOW_SECONDS >= BACK_AT * rate_before
        ),
        None,
    )
    return Restart(
        first_answer=answers[0] if answers else None,
        rate_back=back,
        replays=run.metric("temporal_workflow_task_replay_latency_seconds_count"),
    )


def _resident(pid: int) -> int:
    """Bytes. The worker is one process; so is Temporal."""
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) * 1024


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    end_process(main())
