"""`make bench`: counts what an order costs, measures rates, waits, placing over HTTP, and every page at three sizes.

With a checkout of Temporal's own reference application its orders are played beside ours, on the same server.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks import pages, placing, reference_app, story
from benchmarks.commit_check import CommitCheck
from benchmarks.counts import Counts, counter
from benchmarks.failures import told
from benchmarks.rates import measure
from benchmarks.report import (
    HISTORY,
    counts_table,
    history_line,
    placing_table,
    rates_table,
    reference_table,
    waits_table,
    workers,
)
from benchmarks.sql_meter import SqlMeter
from localstack.stack import Stack, ended_by_signals
from store.migrations import migrate
from usecases.process import end_process
from workflows.names import SEARCH_ATTRIBUTES

_DATABASE = "counts"
_BACKENDS_END_SECONDS = 1.0
_PLACED = 500

_REFERENCE = "OPENORDERS_REFERENCE"
_OTHERS = """Measured by commands of their own:
  python -m benchmarks.servers   the same rates and waits on the development and on the production server
  python -m benchmarks.levers    what each setting of the engine is worth
  make bench-oversell            many buyers for the last units, and what a reservation costs
  make bench-open                20,000 orders open at once
  make bench-growth              databases of 1,000, 10,000 and 50,000 orders"""


@told
def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--orders", type=int, default=100, help="how many of each are measured; 0: only count")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], metavar="N", help="worker processes, in turn")
    parser.add_argument("--record", action="store_true", help=f"add a line to {HISTORY.name}")
    parser.add_argument("--pages", type=int, nargs="*", default=[*pages.SIZES], metavar="ORDERS", help="sizes; or none")
    parser.add_argument(
        "--reference",
        type=reference_app.checkout,
        default=os.environ.get(_REFERENCE) or None,
        metavar="CHECKOUT",
        help=f"of temporalio/reference-app-orders-go; or in {_REFERENCE}",
    )
    chosen = parser.parse_args()
    theirs = None
    with ended_by_signals(), Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        counts = _count(stack)
        if chosen.orders == 0:
            return 0
        print(f"\nMeasuring {chosen.orders} of each ...\n", flush=True)
        rates = [measure(stack, chosen.orders, number) for number in chosen.workers]
        if chosen.reference:
            print("Measuring the reference application ...\n", flush=True)
            theirs = reference_app.measure(stack, chosen.reference, chosen.orders)
        for measured in rates:
            print(rates_table(measured), "\n")
        print(waits_table({workers(measured.workers): measured for measured in rates}), "\n", flush=True)
        if theirs:
            print(reference_table(rates[0], counts, theirs), "\n", flush=True)
    with ended_by_signals(), Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        print("\nPlacing by HTTP ...\n", flush=True)
        print(placing_table(placing.measure(stack, _PLACED)), flush=True)
    if chosen.pages:
        print("\nTiming every page ...\n", flush=True)
        print(pages.pages_table(pages.measure(chosen.pages, lambda line: print(line, flush=True))))
    if chosen.record:
        with HISTORY.open("a") as history:
            history.write(history_line(counts, rates[0], datetime.now(UTC).date()))
    print(f"\n{_OTHERS}")
    return 0


def _count(stack: Stack) -> Sequence[Counts]:
    """In a database of its own, whose commits PostgreSQL counts too."""
    print("Counting an order with one seller, and one with two ...\n", flush=True)
    check = CommitCheck(stack, _DATABASE)
    with check.undisturbed(), SqlMeter() as meter:
        database_url = stack.postgres.create_database(_DATABASE)
        asyncio.run(migrate(database_url))
        meter.reset()
        time.sleep(_BACKENDS_END_SECONDS)
        before = check.commits()
        counts = asyncio.run(_count_orders(stack, database_url, meter))
        time.sleep(_BACKENDS_END_SECONDS)
        print(counts_table(counts, meter, check.commits() - before), flush=True)
    return counts


async def _count_orders(stack: Stack, database_url: str, meter: SqlMeter) -> Sequence[Counts]:
    async with counter(stack, database_url, meter) as orders:
        return [await orders.count(story.SELLERS[:number]) for number in (1, 2)]


if __name__ == "__main__":
    end_process(main())
