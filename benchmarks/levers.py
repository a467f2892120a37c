"""What each setting of the engine is worth: the same orders with one of them changed at a time, on one server.

A worker as it is and one with the change take turns (A B A B), each in a process of its own, so that a machine which
slows down meanwhile slows both.
"""

import argparse
import asyncio
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from temporalio.client import Client

from benchmarks.failures import told
from benchmarks.history import History, history_of
from benchmarks.lever_worker import LEVERS
from benchmarks.rates import AT_ONCE, Cpu, Drive, Rate, by_driver, open_shop, rate, rate_prefix, warm_up
from benchmarks.report import Row, table
from localstack.errors import LocalStackError
from localstack.process import ManagedProcess
from localstack.stack import Stack, ended_by_signals
from localstack.worker_process import CHECKOUT, wait_until_ready
from store.migrations import migrate
from usecases.process import end_process
from workflows.names import SEARCH_ATTRIBUTES, workflow_id

_WHAT = "1"
"""Orders with one seller."""

_PATIENCE_SECONDS = 1_800


class Turn(NamedTuple):
    rate: Rate
    histories: tuple[History, ...]
    """Of the orders that were measured."""


class Measured(NamedTuple):
    """Turn by turn."""

    base: tuple[Turn, ...]
    changed: tuple[Turn, ...]


@told
def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.levers", description=__doc__)
    parser.add_argument("--orders", type=int, default=100, help="how many are measured in each turn")
    parser.add_argument("--rounds", type=int, default=2, help="how often the two take turns")
    bases = {lever.base for lever in LEVERS.values()}
    names = [name for name in LEVERS if name not in bases]
    parser.add_argument("--levers", nargs="+", choices=names, default=names, metavar="LEVER", help=", ".join(names))
    chosen = parser.parse_args()
    measured: dict[str, Measured] = {}
    with ended_by_signals(), Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        open_for_orders(stack)
        for name in chosen.levers:
            print(f"Measuring: {LEVERS[name].says} ...", flush=True)
            measured[name] = measure(stack, name, chosen.orders, chosen.rounds)
    print(f"\n{levers_table(measured)}")
    return 0


def open_for_orders(stack: Stack) -> None:
    asyncio.run(migrate(stack.postgres.dsn))
    asyncio.run(open_shop(stack.postgres.dsn))


def measure(stack: Stack, name: str, orders: int, rounds: int) -> Measured:
    """The base and the lever in turn; `open_for_orders` comes first."""
    base, changed = LEVERS[name].base, name
    turns = [
        (turn(stack, base, orders, f"{name}-{number}-a-"), turn(stack, changed, orders, f"{name}-{number}-b-"))
        for number in range(rounds)
    ]
    return Measured(tuple(a for a, _ in turns), tuple(b for _, b in turns))


def turn(stack: Stack, name: str, orders: int, prefix: str) -> Turn:
    listens = stack.state_dir / "lever.sock"
    process = ManagedProcess(
        "lever worker",
        [sys.executable, "-m", "benchmarks.lever_worker", name, str(listens)],
        stack.state_dir / "lever-worker.log",
        environ=stack.environment | {"OPENORDERS_CARRIER": "manual"},
        folder=CHECKOUT,
    )
    process.start()
    try:
        wait_until_ready(process)
        drive = _by_worker(listens) if LEVERS[name].placed_by_worker else by_driver(stack)
        warm_up(stack, _WHAT, prefix, drive)
        measured = rate(stack, _WHAT, orders, [process], prefix, drive)
    finally:
        process.stop()
    return Turn(measured, asyncio.run(_histories(stack, rate_prefix(prefix, _WHAT), orders)))


def _by_worker(listens: Path) -> Drive:
    def drive(what: str, count: int, prefix: str) -> float:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(_PATIENCE_SECONDS)
            asking.connect(str(listens))
            asking.sendall(f"{what} {count} {AT_ONCE} {prefix}\n".encode())
            answer = asking.makefile().read()
        if not answer:
            raise LocalStackError("not every order that the worker itself placed came to its end: see its log")
        return float(answer)

    return drive


async def _histories(stack: Stack, prefix: str, count: int) -> tuple[History, ...]:
    client = await Client.connect(stack.temporal.address)
    handles = [client.get_workflow_handle(workflow_id(f"{prefix}-{number}")) for number in range(count)]
    return tuple([await history_of(handle) for handle in handles])


def levers_table(measured: Mapping[str, Measured]) -> str:
    """Ratios to the base, of all turns together and of each pair of turns."""
    heads = ("CPU of an order", "of Temporal", "of the worker", "orders/s", "pair by pair", "events", "tasks", "writes")
    rows: list[Row] = [("changed", *heads)]
    bases: dict[str, list[Turn]] = {}
    for name, one in measured.items():
        bases.setdefault(LEVERS[name].base, []).extend(one.base)
    for base, turns in bases.items():
        rate = _together(turns)
        parts = (rate.cpu.total, rate.cpu.temporal, rate.cpu.worker)
        cells = [f"{rate.cpu_ms(part):.0f} ms" for part in parts]
        rows.append((LEVERS[base].says, *cells, f"{rate.per_second:.1f}", "", *_counts(turns)))
        for name, one in measured.items():
            if LEVERS[name].base == base:
                rows.append((f"  {LEVERS[name].says}", *_ratios(one), *_counts(one.changed)))
    played = next(iter(measured.values())).base
    return (
        f"{table(rows)}\n\n"
        f"{len(played)} x {played[0].rate.played} orders with one seller, {AT_ONCE} at a time, one worker process. "
        "x: a ratio to the base row\n"
        "above, measured in turn with it; the base row is the mean of all its turns. Pair by pair: CPU of an order.\n"
        "Events, workflow tasks and writes (state transitions, by the server) are means: messages that come together\n"
        "share a task, so under load they are fewer than `make bench` counts. Where the worker's process places the\n"
        "orders, what that takes is the worker's, too."
    )


def _ratios(one: Measured) -> Sequence[str]:
    base, changed = _together(one.base), _together(one.changed)
    pairs = [_cpu_ratio(a.rate, b.rate) for a, b in zip(one.base, one.changed, strict=True)]
    return (
        f"{_cpu_ratio(base, changed):.2f} x",
        f"{changed.cpu_ms(changed.cpu.temporal) / base.cpu_ms(base.cpu.temporal):.2f} x",
        f"{changed.cpu_ms(changed.cpu.worker) / base.cpu_ms(base.cpu.worker):.2f} x",
        f"{changed.per_second / base.per_second:.2f} x",
        " ".join(f"{pair:.2f}" for pair in pairs),
    )


def _cpu_ratio(base: Rate, changed: Rate) -> float:
    return changed.cpu_ms(changed.cpu.total) / base.cpu_ms(base.cpu.total)


def _together(turns: Sequence[Turn]) -> Rate:
    rates = [turn.rate for turn in turns]
    cpu = Cpu(*(sum(parts) for parts in zip(*(rate.cpu for rate in rates), strict=True)))
    return Rate(_WHAT, sum(rate.played for rate in rates), sum(rate.seconds for rate in rates), cpu)


def _counts(turns: Sequence[Turn]) -> Sequence[str]:
    histories = [history for turn in turns for history in turn.histories]
    counts = ([one.total, one.workflow_tasks, one.transitions] for one in histories)
    return [f"{mean(column):.1f}" for column in zip(*counts, strict=True)]


if __name__ == "__main__":
    end_process(main())
