"""The same orders on Temporal's development server and on its production server on PostgreSQL, in one run.

With `--reference` Temporal's own reference application plays its orders on the development server, too.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks import reference_app, story
from benchmarks.counts import Counts, counter
from benchmarks.rates import EMPTY, Rate, Rates, measure
from benchmarks.reference_app import Reference
from benchmarks.report import Row, table
from benchmarks.sql_meter import SqlMeter
from localstack.errors import LocalStackError
from localstack.stack import Stack, ended_by_signals
from store.migrations import migrate
from usecases.process import end_process
from workflows.names import SEARCH_ATTRIBUTES

DEVELOPMENT = "development"
PRODUCTION = "production"

_CPU_AIM = 0.5
_RATE_AIM = 1.5
"""Ours to the reference application's."""


class BesideReference(NamedTuple):
    reference: Reference
    counts: tuple[Counts, ...]
    """Of our own orders."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description=__doc__)
    parser.add_argument("--orders", type=int, default=100, help="how many of each are measured")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    both = (DEVELOPMENT, PRODUCTION)
    parser.add_argument("--servers", nargs="+", choices=both, default=both, metavar="SERVER", help=" and ".join(both))
    parser.add_argument("--reference", type=Path, metavar="CHECKOUT", help="of temporalio/reference-app-orders-go")
    chosen = parser.parse_args()
    if chosen.reference and DEVELOPMENT not in chosen.servers:
        parser.error(f"--reference is measured on the {DEVELOPMENT} server: name it in --servers")
    measured: dict[str, Rates] = {}
    beside = None
    try:
        for server in chosen.servers:
            with ended_by_signals(), Stack.temporary(SEARCH_ATTRIBUTES, production=server == PRODUCTION) as stack:
                _say(f"Measuring {chosen.orders} of each on the {server} server ...")
                measured[server] = measure(stack, chosen.orders, chosen.workers)
                if chosen.reference and server == DEVELOPMENT:
                    _say("Measuring the reference application there ...")
                    beside = _beside_reference(stack, chosen.reference.resolve(), chosen.orders)
    except subprocess.CalledProcessError as error:
        print(f"benchmarks: not every order came to its end ({error}); see above", file=sys.stderr)
        return 1
    except LocalStackError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(f"\n{servers_table(measured, beside.reference if beside else None)}\n")
    if len(measured) == len(both):
        print(f"{ratios_table(measured)}\n")
    if beside:
        print(f"{reference_table(measured[DEVELOPMENT], beside)}\n")
    return 0


def servers_table(measured: Mapping[str, Rates], reference: Reference | None) -> str:
    parts = ("temporal", "its PostgreSQL", "worker", "our PostgreSQL")
    rows: list[Row] = [("measured", "per second", *parts, "CPU ms each", "of an empty one")]
    for server, rates in measured.items():
        named = [(_name(rate.what), rate) for rate in (rates.empty, *rates.orders)]
        if reference and server == DEVELOPMENT:
            named += [(f"reference, {rate.what} shipment(s) *", rate) for rate in reference.rates]
        rows += [_row(f"{server}: {name}", rate, rates.empty) for name, rate in named]
    one = next(iter(measured.values()))
    notes = [
        f"{one.empty.played} of each, {one.workers} worker process(es). On the {PRODUCTION} server all databases wait",
        f"for the disk; on the {DEVELOPMENT} server PostgreSQL does not, and Temporal keeps its own state, in SQLite.",
    ]
    if reference:
        notes.append("* its APIs, which keep a SQLite file, stand where our PostgreSQL stands.")
    return "\n".join([table(rows), "", *notes])


def ratios_table(measured: Mapping[str, Rates]) -> str:
    """The production server to the development server: of Temporal, all that keeps its state is part."""
    rows: list[Row] = [(f"{PRODUCTION} to {DEVELOPMENT}", "per second", "CPU of Temporal", "CPU of all")]
    pairs = zip(*((rates.empty, *rates.orders) for rates in (measured[PRODUCTION], measured[DEVELOPMENT])), strict=True)
    for production, development in pairs:
        rows.append(
            (
                _name(production.what),
                _times(production.per_second / development.per_second),
                _times(_server_ms(production) / _server_ms(development)),
                _times(production.cpu_ms(production.cpu.total) / development.cpu_ms(development.cpu.total)),
            )
        )
    return table(rows)


def reference_table(ours: Rates, beside: BesideReference) -> str:
    """Parcel by parcel: an order of ours with one seller beside one of theirs with one shipment."""
    theirs = beside.reference
    rows: list[Row] = [("beside the reference application", "1 parcel", "theirs", "2 parcels", "theirs")]
    counted = list(zip(beside.counts, theirs.counts, strict=True))
    rates = list(zip(ours.orders, theirs.rates, strict=True))

    def row(name: str, pairs: Iterable[Iterable[object]]) -> None:
        rows.append((name, *(str(cell) for pair in pairs for cell in pair)))

    row("workflows", [(1, their.workflows) for _, their in counted])
    row("history events", [(our.history.total, their.events) for our, their in counted])
    row("workflow tasks", [(our.history.workflow_tasks, their.workflow_tasks) for our, their in counted])
    row("history bytes", [(f"{our.history.history_bytes:,}", f"{their.history_bytes:,}") for our, their in counted])
    row("server CPU, ms", [(f"{_server_ms(our):.0f}", f"{_server_ms(their):.0f}") for our, their in rates])
    row(f"  our aim: <= {_CPU_AIM} x", [(_times(_server_ms(our) / _server_ms(their)), "") for our, their in rates])
    row("CPU of all, ms", [[f"{one.cpu_ms(one.cpu.total):.0f}" for one in pair] for pair in rates])
    row("orders per second", [[f"{one.per_second:.1f}" for one in pair] for pair in rates])
    row(f"  our aim: >= {_RATE_AIM} x", [(_times(our.per_second / their.per_second), "") for our, their in rates])
    return table(rows)


def _beside_reference(stack: Stack, checkout: Path, count: int) -> BesideReference:
    with SqlMeter() as meter:
        database_url = stack.postgres.create_database("counts")
        asyncio.run(migrate(database_url))
        counts = asyncio.run(_count_ours(stack, database_url, meter))
    return BesideReference(reference_app.measure(stack, checkout, count), counts)


async def _count_ours(stack: Stack, database_url: str, meter: SqlMeter) -> tuple[Counts, ...]:
    async with counter(stack, database_url, meter) as orders:
        return tuple([await orders.count(story.SELLERS[:number]) for number in (1, 2)])


def _row(name: str, rate: Rate, empty: Rate) -> Row:
    cpu = rate.cpu
    parts = (cpu.temporal, cpu.temporal_database, cpu.worker, cpu.postgres, cpu.total)
    times = rate.cpu_ms(cpu.total) / empty.cpu_ms(empty.cpu.total)
    return (name, f"{rate.per_second:.1f}", *(f"{rate.cpu_ms(part):.1f}" for part in parts), _times(times))


def _server_ms(rate: Rate) -> float:
    """Of Temporal and what keeps its state."""
    return rate.cpu_ms(rate.cpu.temporal + rate.cpu.temporal_database)


def _name(what: str) -> str:
    return "empty workflow" if what == EMPTY else f"order, {what} seller(s)"


def _times(ratio: float) -> str:
    return f"{ratio:.2f} x"


def _say(line: str) -> None:
    print(f"\n{line}\n", flush=True)


if __name__ == "__main__":
    end_process(main())
