"""The report of `benchmarks.open_orders`: what was measured, and its tables."""

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.report import Row, table

BACK_AT = 0.8
"""A rate counts as back at this share of the one before."""


class Size(NamedTuple):
    """Bytes: resident memory of the processes, and what lies on the disk."""

    worker: int
    temporal: int
    temporal_file: int
    database: int


class Sized(NamedTuple):
    """While orders are placed; no rate where none were just now."""

    orders: int
    per_second: float | None
    size: Size
    cached: float


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
    """When `BACK_AT` of the rate before was reached again."""

    replays: float


def sizes_table(sizes: Sequence[Sized]) -> str:
    rows: list[Row] = [
        ("open orders", "placed/s", "in cache", "worker MB", "temporal MB", "its file MB", "database MB")
    ]
    for one in sizes:
        rows.append(
            (
                f"{one.orders:,}",
                f"{one.per_second:.1f}" if one.per_second else ("" if one.orders == 0 else "at rest"),
                f"{one.cached:,.0f}",
                *(f"{figure / 1e6:,.1f}" for figure in one.size),
            )
        )
    first, last = sizes[0], sizes[-1]
    growth = Size(*((now - then) // max(1, last.orders) for then, now in zip(first.size, last.size, strict=True)))
    cached = max(1.0, last.cached - first.cached)
    return (
        f"{table(rows)}\n\nAn open order takes {growth.temporal / 1e3:.1f} KB of the server's memory, "
        f"{growth.temporal_file / 1e3:.1f} KB of its file and {growth.database / 1e3:.1f} KB of the database;\n"
        f"one in the cache {(last.size.worker - first.size.worker) / cached / 1e3:.0f} KB of the workers' memory."
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
        f"{table(rows)}\n\nAfter the restart: first answer {_seconds(restart.first_answer)}, {BACK_AT:.0%} of the "
        f"rate before {_seconds(restart.rate_back)};\n{restart.replays:.0f} orders were replayed, the workers take "
        f"{size.worker / 1e6:.0f} MB at the end."
    )


def _seconds(moment: float | None) -> str:
    return "never" if moment is None else f"after {moment:.1f} s"
