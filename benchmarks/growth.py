"""What an order costs in PostgreSQL beside 1,000, 10,000 or 50,000 others in the database: time, CPU, rows looked at.

`python -m benchmarks.growth [SIZES] [--orders 30]` plays whole orders on a real worker, in turn on databases of each
size. Rows that sequential scans have read are counted by PostgreSQL: a plan that goes through a table that grows shows
there on any machine, however busy. A step may cost what it touches, and nothing for orders that it does not.
"""

import argparse
import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy import Connection, Engine, event, text
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

import worker
from benchmarks import story
from benchmarks.cpu import cpu_seconds
from benchmarks.population import populate
from benchmarks.report import Row, table
from localstack.stack import Stack, ended_by_signals
from store.database import Database
from store.insights.refreshing import Refreshing
from store.migrations import migrate
from usecases.insights_refresher import bring_up_to_date
from usecases.orders import Orders
from usecases.process import end_process
from usecases.settings import Settings
from workflows.names import SEARCH_ATTRIBUTES

SIZES = (1_000, 10_000, 50_000)
_TURNS = 3
"""Each size is played on so many times, between the others: what else the machine does hits all of them."""

_STATISTICS_SECONDS = 1.5
"""Until PostgreSQL has counted what ended connections have read."""

OUTBOX = "outbox: claim and send"
COUNTING = "insights: days of the 10 newest orders"
_KEEPS_CONSTANT = 200
"""Rows: a planner takes a scan for a table that small, whatever indexes it has."""


@dataclass
class Figures:
    """Of one size. Milliseconds of a step are those of its statements, as its caller waited for them."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By activity: one figure for each time that it ran."""

    postgres_cpu_ms: list[float] = field(default_factory=list)
    """Of an order, for each turn; what idle looks take is in it."""

    scanned: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By table: rows that sequential scans read, for each order."""

    fetched: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By table: rows that were read by an index, for each order."""


Results = Mapping[int, Figures]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[*SIZES], metavar="ORDERS")
    parser.add_argument("--orders", type=int, default=30, help="played on each size")
    chosen = parser.parse_args()
    with ended_by_signals(), Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        results = asyncio.run(measure(stack, chosen.sizes, chosen.orders, lambda line: print(line, flush=True)))
    print(growth_table(results))
    return 0


async def measure(
    stack: Stack, sizes: Sequence[int], orders: int, told: Callable[[str], None] = lambda _: None
) -> Results:
    """Orders of one seller from checkout to the doorstep, one after another."""
    client = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)
    urls = {}
    for size in sizes:
        told(f"{size:,} orders are written ...")
        urls[size] = await _filled(stack, size)
    results = {size: Figures() for size in sizes}
    each = max(1, orders // _TURNS)
    for turn in range(_TURNS):
        for size, url in urls.items():
            await _turn(stack, client, url, each, results[size])
        told(f"turn {turn + 1} of {_TURNS}")
    return results


async def _filled(stack: Stack, size: int) -> str:
    url = stack.postgres.create_database(f"growth_{size}")
    await migrate(url)
    await asyncio.to_thread(populate, url, size)
    database = Database(url)
    try:
        await story.open_shop(database)
        await bring_up_to_date(Refreshing(database, "UTC"))
    finally:
        await database.close()
    return url


async def _turn(stack: Stack, client: Client, url: str, count: int, figures: Figures) -> None:
    assert stack.postgres.process is not None
    settings = Settings(
        database_url=SecretStr(url),
        smtp_host=stack.mails.smtp_host,
        smtp_port=stack.mails.smtp_port,
        carrier="manual",
    )
    queue = f"growth-{uuid4().hex[:8]}"
    orders = Orders(client, task_queue=queue)

    async def no_pause() -> None:
        return

    async with worker.running(worker.build(client, settings, queue)):
        await story.play(orders, f"warm-{uuid4().hex[:8]}", story.SELLERS[:1], no_pause)
        scanned, fetched = await _read(stack, url)
        cpu = cpu_seconds(stack.postgres.process.pid)
        with _stopwatch(figures):
            for _ in range(count):
                await story.play(orders, f"grow-{uuid4().hex[:8]}", story.SELLERS[:1], no_pause)
        figures.postgres_cpu_ms.append(1_000 * (cpu_seconds(stack.postgres.process.pid) - cpu) / count)
    await asyncio.sleep(_STATISTICS_SECONDS)
    scanned_now, fetched_now = await _read(stack, url)
    played = _TURNS * count
    for sums, before, after in ((figures.scanned, scanned, scanned_now), (figures.fetched, fetched, fetched_now)):
        for name, rows in after.items():
            sums[name] += (rows - before[name]) / played
    figures.milliseconds[COUNTING].append(await _count(url))


async def _count(url: str) -> float:
    """Milliseconds of the insights of the newest orders' days, by a refresher that finds them changed."""
    database = Database(url)
    try:
        await bring_up_to_date(Refreshing(database, "UTC"))
        async with database.statement() as connection:
            await connection.execute(_CHANGED)
        began = time.perf_counter()
        await bring_up_to_date(Refreshing(database, "UTC"))
        return 1_000 * (time.perf_counter() - began)
    finally:
        await database.close()


_CHANGED = text("INSERT INTO order_changes (order_id) SELECT order_id FROM orders ORDER BY placed_at DESC LIMIT 10")


async def _read(stack: Stack, url: str) -> tuple[dict[str, int], dict[str, int]]:
    """Rows by table, over all that ever happened: by sequential scans, and by index."""
    database = Database(url)
    try:
        async with database.statement() as connection:
            rows = (await connection.execute(_READ)).all()
    finally:
        await database.close()
    return {row.relname: row.scanned for row in rows}, {row.relname: row.fetched for row in rows}


_READ = text(
    """
    SELECT relname, coalesce(seq_tup_read, 0) AS scanned, coalesce(idx_tup_fetch, 0) AS fetched
    FROM pg_stat_user_tables
    """
)


@contextmanager
def _stopwatch(figures: Figures) -> Iterator[None]:
    """Times every statement of this process, and adds those of one activity's run together."""
    runs: dict[tuple[str, Any], float] = defaultdict(float)

    def began(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        context.openorders_began = time.perf_counter()

    def ended(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if not hasattr(context, "openorders_began"):  # under way when we began to look
            return
        took = 1_000 * (time.perf_counter() - context.openorders_began)
        if activity.in_activity():
            info = activity.info()
            runs[info.activity_type, (info.workflow_run_id, info.activity_id, info.attempt)] += took
        else:
            runs[OUTBOX, uuid4()] += took

    event.listen(Engine, "before_cursor_execute", began)
    event.listen(Engine, "after_cursor_execute", ended)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", began)
        event.remove(Engine, "after_cursor_execute", ended)
        for (name, _), milliseconds in runs.items():
            figures.milliseconds[name].append(milliseconds)


def growth_table(results: Results) -> str:
    sizes = [*results]
    first, last = results[sizes[0]], results[sizes[-1]]
    rows: list[Row] = [("median ms of its statements", *(f"{size:,}" for size in sizes), "ratio")]
    for name in sorted(first.milliseconds):
        medians = [statistics.median(one.milliseconds[name] or [0.0]) for one in results.values()]
        rows.append((name, *(f"{median:.2f}" for median in medians), f"{medians[-1] / medians[0]:.2f}"))
    cpu = [statistics.median(one.postgres_cpu_ms) for one in results.values()]
    rows.append(("PostgreSQL's CPU ms an order", *(f"{one:.1f}" for one in cpu), f"{cpu[-1] / cpu[0]:.2f}"))
    looked: list[Row] = [("rows looked at, for an order", *(f"{size:,}" for size in sizes), "")]
    for what in ("scanned", "fetched"):
        for name in sorted(getattr(first, what)):
            figures = [getattr(one, what)[name] for one in results.values()]
            if max(figures) >= 1:
                grows = what == "scanned" and figures[-1] > max(_KEEPS_CONSTANT, 2 * figures[0])
                looked.append(
                    (
                        f"{name}, {'scanned' if what == 'scanned' else 'by index'}",
                        *(f"{one:,.1f}" for one in figures),
                        "grows" if grows else "",
                    )
                )
    assert last.milliseconds, "nothing was played"
    return f"{table(rows)}\n\n{table(looked)}"


if __name__ == "__main__":
    end_process(main())
