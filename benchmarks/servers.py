"""The same orders on Temporal's development server and on its production server on PostgreSQL, in one run.

With `--reference` Temporal's own reference application plays its orders on the development server, too.
"""

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import reference_app, story
from benchmarks.counts import Counts, counter
from benchmarks.failures import told
from benchmarks.rates import EMPTY, Rate, Rates, measure
from benchmarks.reference_app import Reference
from benchmarks.report import Row, reference_table, server_ms, table, times, waits_table, workers
from benchmarks.sql_meter import SqlMeter
from localstack.stack import Stack, ended_by_signals
from store.migrations import migrate
from usecases.process import end_process
from workflows.names import SEARCH_ATTRIBUTES

DEVELOPMENT = "development"
PRODUCTION = "production"

Measured = Mapping[str, Sequence[Rates]]
"""Server to what was measured there, with each number of workers."""


class BesideReference(NamedTuple):
    reference: Reference
    counts: tuple[Counts, ...]
    """Of our own orders."""


@told
def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description=__doc__)
    parser.add_argument("--orders", type=int, default=100, help="how many of each are measured")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], metavar="N", help="worker processes, in turn")
    both = (DEVELOPMENT, PRODUCTION)
    parser.add_argument("--servers", nargs="+", choices=both, default=both, metavar="SERVER", help=" and ".join(both))
    parser.add_argument(
        "--reference", type=reference_app.checkout, metavar="CHECKOUT", help="of temporalio/reference-app-orders-go"
    )
    chosen = parser.parse_args()
    if chosen.reference and DEVELOPMENT not in chosen.servers:
        parser.error(f"--reference is measured on the {DEVELOPMENT} server: name it in --servers")
    measured: dict[str, list[Rates]] = {}
    beside = None
    for server in chosen.servers:
        with ended_by_signals(), Stack.temporary(SEARCH_ATTRIBUTES, production=server == PRODUCTION) as stack:
            measured[server] = []
            for number in chosen.workers:
                _say(f"Measuring {chosen.orders} of each on the {server} server, {workers(number)} ...")
                measured[server].append(measure(stack, chosen.orders, number))
            if chosen.reference and server == DEVELOPMENT:
                _say("Measuring the reference application there ...")
                beside = _beside_reference(stack, chosen.reference, chosen.orders)
    print(f"\n{servers_table(measured, beside.reference if beside else None)}\n")
    print(f"{waits_table({f'{server}, {workers(one.workers)}': one for server, one in _each(measured)})}\n")
    if len(measured) == len(both):
        print(f"{ratios_table(measured)}\n")
    if beside:
        print(f"{reference_table(measured[DEVELOPMENT][0], beside.counts, beside.reference)}\n")
    return 0


def servers_table(measured: Measured, reference: Reference | None) -> str:
    parts = ("Temporal", "its PostgreSQL", "worker", "our PostgreSQL")
    rows: list[Row] = [("measured", "per second", *parts, "CPU ms each", "of an empty one")]
    for server, rates in _each(measured):
        where = f"{server}, {workers(rates.workers)}"
        rows += [_row(f"{where}: {_name(one.what)}", one, rates.empty) for one in (rates.empty, *rates.orders)]
    if reference:
        empty = measured[DEVELOPMENT][0].empty
        rows += [_row(f"{DEVELOPMENT}: reference, {one.what} shipment(s) *", one, empty) for one in reference.rates]
    _, one = next(_each(measured))
    notes = [
        f"{one.empty.played} of each, CPU in ms for one. On the {PRODUCTION} server all databases wait",
        f"for the disk; on the {DEVELOPMENT} server PostgreSQL does not, and Temporal keeps its own state, in SQLite.",
    ]
    if reference:
        notes.append("* one worker; its APIs, which keep a SQLite file, stand where our PostgreSQL stands.")
    return "\n".join([table(rows), "", *notes])


def ratios_table(measured: Measured) -> str:
    """The production server to the development server: of Temporal, all that keeps its state is part."""
    rows: list[Row] = [(f"{PRODUCTION} to {DEVELOPMENT}", "per second", "CPU of Temporal", "CPU of all")]
    for there, here in zip(measured[PRODUCTION], measured[DEVELOPMENT], strict=True):
        pairs = zip((there.empty, *there.orders), (here.empty, *here.orders), strict=True)
        for production, development in pairs:
            rows.append(
                (
                    f"{workers(there.workers)}: {_name(production.what)}",
                    times(production.per_second / development.per_second),
                    times(server_ms(production) / server_ms(development)),
                    times(production.cpu_ms(production.cpu.total) / development.cpu_ms(development.cpu.total)),
                )
            )
    return table(rows)


def _each(measured: Measured) -> Iterator[tuple[str, Rates]]:
    for server, several in measured.items():
        for rates in several:
            yield server, rates


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
    of_empty = rate.cpu_ms(cpu.total) / empty.cpu_ms(empty.cpu.total)
    return (name, f"{rate.per_second:.1f}", *(f"{rate.cpu_ms(part):.1f}" for part in parts), times(of_empty))


def _name(what: str) -> str:
    return "empty workflow" if what == EMPTY else f"order, {what} seller(s)"


def _say(line: str) -> None:
    print(f"\n{line}\n", flush=True)


if __name__ == "__main__":
    end_process(main())
