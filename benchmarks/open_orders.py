"""Very many orders open at once, waiting for their sellers: what they take while nothing happens, then all packed.

`python -m benchmarks.open_orders [--orders 20000] [--workers 1] [--cached 1000]`, on embedded servers of its own: idle
without orders, placing, idle with all of them open, two runs of reconciliation (which does not run by itself here),
half of them packed in a burst, the other half while the workers are stopped and started again. Exit code 0 where every
order was packed and everything adds up.
"""

import argparse
import asyncio
import re
import statistics
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text
from temporalio.client import Client

from benchmarks import story
from benchmarks.cpu import cpu_seconds
from benchmarks.report import Row, table
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
"""The rate after a restart is taken over so long, and counts as back at this share of the one before:"""
_BACK_AT = 0.8
_PARTS = 10
"""Of the placing, each told of by itself: growth shows as a slope, a bound as its end."""


class Size(NamedTuple):
    """Bytes: resident memory of the processes, and what lies on the disk."""

    worker: int
    temporal: int
    temporal_file: int
    database: int


class Used(NamedTuple):
    """CPU in seconds, and counts, within some time."""

    worker_cpu: float
    temporal_cpu: float
    postgres_cpu: float
    transactions: float
    """In PostgreSQL; each look at the outbox is one."""

    workflow_tasks: float


class Look(NamedTuple):
    """A run of reconciliation."""

    compared: int
    seconds: float
    used: Used


class Burst(NamedTuple):
    packed: int
    seconds: float
    latencies: Sequence[float]
    """Seconds, of each update from its call to its answer, waiting for its turn not counted."""

    answered_at: Sequence[float]
    """Moments of `time.monotonic`, in order."""

    errors: Counter[str]

    @property
    def per_second(self) -> float:
        return self.packed / self.seconds


class Restart(NamedTuple):
    """Seconds from the start of the new processes; None where it never came."""

    first_answer: float | None
    rate_back: float | None
    replays: float


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
    sizes = [(0, 0.0, await run.size(), run.metric("temporal_sticky_cache_size"))]
    _say(f"{chosen.idle:.0f} s idle without orders ...")
    idle = [await run.idle(chosen.idle)]

    names = [f"open-{number}" for number in range(chosen.orders)]
    part = max(1, len(names) // _PARTS)
    for first in range(0, len(names), part):
        began = time.monotonic()
        await run.place(orders, names[first : first + part])
        seconds = time.monotonic() - began
        placed = min(first + part, len(names))
        sizes.append((placed, part / seconds, await run.size(), run.metric("temporal_sticky_cache_size")))
        _say(f"{placed} placed, {part / seconds:.1f}/s, worker {sizes[-1][2].worker / 1e6:.0f} MB")
    await run.at_rest()
    sizes.append((len(names), 0.0, await run.size(), run.metric("temporal_sticky_cache_size")))
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
            and sum(end - _WINDOW_SECONDS < one <= end for one in answers) / _WINDOW_SECONDS >= _BACK_AT * rate_before
        ),
        None,
    )
    return Restart(
        first_answer=answers[0] if answers else None,
        rate_back=back,
        replays=run.metric("temporal_workflow_task_replay_latency_seconds_count"),
    )


# -- tables ----------------------------------------------------------------------------


def sizes_table(sizes: Sequence[tuple[int, float, Size, float]]) -> str:
    rows: list[Row] = [
        ("open orders", "placed/s", "in cache", "worker MB", "temporal MB", "its file MB", "database MB")
    ]
    for count, rate, size, cached in sizes:
        rows.append(
            (
                f"{count:,}",
                f"{rate:.1f}" if rate else ("" if count == 0 else "at rest"),
                f"{cached:,.0f}",
                *(f"{figure / 1e6:,.1f}" for figure in size),
            )
        )
    first, last = sizes[0], sizes[-1]
    growth = Size(*((now - then) // max(1, last[0]) for then, now in zip(first[2], last[2], strict=True)))
    cached = max(1.0, last[3] - first[3])
    return (
        f"{table(rows)}\n\nAn open order takes {growth.temporal / 1e3:.1f} KB of the server's memory, "
        f"{growth.temporal_file / 1e3:.1f} KB of its file and {growth.database / 1e3:.1f} KB of the database;\n"
        f"one in the cache {(last[2].worker - first[2].worker) / cached / 1e3:.0f} KB of the workers' memory."
    )


def idle_table(idle: Sequence[Used], orders: int) -> str:
    return _used_table([("idle, a minute", "no order", f"{orders:,} open")], idle)


def looks_table(looks: Sequence[Look]) -> str:
    return _used_table(
        [
            ("a run of reconciliation", "nothing written since", "rows were written"),
            ("orders compared", *(f"{look.compared:,}" for look in looks)),
            ("seconds", *(f"{look.seconds:.1f}" for look in looks)),
        ],
        [look.used for look in looks],
    )


def _used_table(rows: list[Row], used: Sequence[Used]) -> str:
    names = ("worker, CPU s", "temporal, CPU s", "postgres, CPU s", "transactions in PostgreSQL", "workflow tasks")
    rows += [
        (name, *(f"{figure:.2f}" if "CPU" in name else f"{figure:.0f}" for figure in figures))
        for name, *figures in zip(names, *used, strict=True)
    ]
    return table(rows)


def bursts_table(burst: Burst, under_restart: Burst, restart: Restart, size: Size) -> str:
    rows: list[Row] = [("packed in a burst", "orders", "per second", "p50 ms", "p99 ms", "errors")]
    for name, one in (("undisturbed", burst), ("workers restarted", under_restart)):
        p = statistics.quantiles(one.latencies, n=100)
        rows.append(
            (
                name,
                f"{one.packed:,}",
                f"{one.per_second:.1f}",
                f"{1_000 * p[49]:.0f}",
                f"{1_000 * p[98]:.0f}",
                str(one.errors.total()),
            )
        )
    return (
        f"{table(rows)}\n\nAfter the restart: first answer {_seconds(restart.first_answer)}, {_BACK_AT:.0%} of the "
        f"rate before {_seconds(restart.rate_back)};\n{restart.replays:.0f} orders were replayed, the workers take "
        f"{size.worker / 1e6:.0f} MB at the end."
    )


def _seconds(moment: float | None) -> str:
    return "never" if moment is None else f"after {moment:.1f} s"


def _resident(pid: int) -> int:
    """Bytes. The worker is one process; so is Temporal."""
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) * 1024


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    end_process(main())
