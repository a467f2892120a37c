"""Orders per second and CPU per order of each server, beside an empty workflow on the same servers in the same run."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from benchmarks import latency, story
from benchmarks.cpu import cpu_seconds
from benchmarks.latency import Waits
from localstack.process import ManagedProcess
from localstack.stack import Stack
from localstack.worker_process import CHECKOUT, wait_until_ready
from store.database import Database

EMPTY = "empty"
AT_ONCE = 20
"""Orders under way at a time: enough to keep two cores busy, few enough that no message waits long."""

WARM_UP = 10
_IDLE_SECONDS = 3.0
_PATIENCE_SECONDS = 300


Drive = Callable[[str, int, str], float]
"""Plays so many of something, whose ids begin so; gives the seconds that it took."""


class Cpu(NamedTuple):
    """Seconds, of all processes of each."""

    temporal: float
    worker: float
    postgres: float
    temporal_database: float = 0.0
    """The production server's own PostgreSQL; the development server keeps its state itself."""

    @property
    def total(self) -> float:
        return sum(self)

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(*(mine - its for mine, its in zip(self, other, strict=True)))


class Rate(NamedTuple):
    what: str
    played: int
    seconds: float
    cpu: Cpu

    @property
    def per_second(self) -> float:
        return self.played / self.seconds

    def cpu_ms(self, seconds: float) -> float:
        """Of one order, in milliseconds."""
        return 1000 * seconds / self.played


class Rates(NamedTuple):
    idle: Cpu
    """In a second in which nothing is asked of anybody."""

    empty: Rate
    orders: tuple[Rate, ...]
    workers: int
    waits: tuple[Waits, ...] = ()


def measure(stack: Stack, count: int, workers: int) -> Rates:
    """With real worker processes, and a driver and the empty workflow's worker in processes of their own."""
    processes = [stack.worker({"OPENORDERS_CARRIER": "manual"}) for _ in range(workers)]
    for process in processes:
        process.start()
        wait_until_ready(process)
    asyncio.run(open_shop(stack.postgres.dsn))
    with _empty_worker(stack) as empty_worker:
        prefix = f"{workers}-"
        _warm_up(stack, prefix)
        idle = _idle(stack, processes)
        empty = rate(stack, EMPTY, count, [empty_worker], prefix)
        orders = tuple(rate(stack, str(number), count, processes, prefix) for number in (1, 2))
        waits = latency.measure(stack, count, f"waits-{workers}")
    for process in processes:
        process.stop()
    return Rates(idle, empty, orders, workers, waits)


async def open_shop(dsn: str) -> None:
    database = Database(dsn)
    await story.open_shop(database)
    await database.close()


@contextmanager
def _empty_worker(stack: Stack) -> Iterator[ManagedProcess]:
    command = [sys.executable, "-m", "benchmarks.empty"]
    log = stack.state_dir / "empty-worker.log"
    process = ManagedProcess("empty worker", command, log, environ=stack.environment, folder=CHECKOUT)
    process.start()
    try:
        yield process
    finally:
        process.stop()


def _warm_up(stack: Stack, prefix: str) -> None:
    for what in (EMPTY, "1", "2"):
        warm_up(stack, what, prefix)


def warm_up(stack: Stack, what: str, prefix: str, drive: Drive | None = None) -> None:
    """Pools filled, code compiled, statements planned."""
    with _mails_awaited(stack, what, WARM_UP):
        (drive or by_driver(stack))(what, WARM_UP, f"{prefix}warm-up-{what}")


def rate(
    stack: Stack, what: str, count: int, workers: list[ManagedProcess], prefix: str, drive: Drive | None = None
) -> Rate:
    """CPU is taken until the last mail is out; the clock stops when the last order is closed."""
    before = _cpu(stack, workers)
    with _mails_awaited(stack, what, count):
        seconds = (drive or by_driver(stack))(what, count, rate_prefix(prefix, what))
    return Rate(what, count, seconds, _cpu(stack, workers) - before)


def rate_prefix(prefix: str, what: str) -> str:
    """Of the ids that are measured: behind it stands their number, from 0 on."""
    return f"{prefix}rate-{what}"


def by_driver(stack: Stack) -> Drive:
    """In a process of its own, whose CPU is not counted."""

    def drive(what: str, count: int, prefix: str) -> float:
        command = [sys.executable, "-m", "benchmarks.driver", what, str(count), str(AT_ONCE), prefix]
        answer = subprocess.run(
            command, env=stack.environment, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True
        )
        return float(answer.stdout)

    return drive


def _idle(stack: Stack, workers: list[ManagedProcess]) -> Cpu:
    before = _cpu(stack, workers)
    time.sleep(_IDLE_SECONDS)
    used = _cpu(stack, workers) - before
    return Cpu(*(seconds / _IDLE_SECONDS for seconds in used))


def _cpu(stack: Stack, workers: list[ManagedProcess]) -> Cpu:
    assert stack.postgres.process is not None
    return Cpu(
        temporal=cpu_seconds(stack.temporal.pid),
        worker=sum(cpu_seconds(worker.pid) for worker in workers),
        postgres=cpu_seconds(stack.postgres.process.pid),
        temporal_database=cpu_seconds(database) if (database := stack.temporal.database_pid) else 0.0,
    )


@contextmanager
def _mails_awaited(stack: Stack, what: str, count: int) -> Iterator[None]:
    mails = 0 if what == EMPTY else count * story.mails_of(story.SELLERS[: int(what)])
    expected = _mails(stack) + mails
    yield
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _mails(stack) < expected:
        assert time.monotonic() < deadline, f"{_mails(stack)} of {expected} mails came"
        time.sleep(0.1)


def _mails(stack: Stack) -> int:
    return sum(1 for _ in stack.mails.mailbox.folder.glob("*.eml"))
