"""How long a customer waits from placing to confirmed, beside an empty workflow's start and result, in turn.

Confirmed is an order whose payment is authorized and whose units are reserved: what its status says then is asked for
without a pause, so that no clock of ours is part of the figure. Run by itself it measures from a process of its own.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from benchmarks import story
from benchmarks.empty import QUEUE
from domain.results import StatusView
from localstack.stack import Stack
from localstack.worker_process import CHECKOUT
from usecases.errors import Refused
from usecases.orders import Orders
from usecases.process import end_process
from usecases.temporal import connect

LOAD_AT_ONCE = 10
"""Orders under way meanwhile where it is measured under load."""

_PATIENCE_SECONDS = 60


class Wait(NamedTuple):
    """Milliseconds."""

    p50: float
    p99: float


class Waits(NamedTuple):
    load: str
    empty: Wait
    order: Wait


def measure(stack: Stack, count: int, label: str) -> tuple[Waits, Waits]:
    """Idle, then under load; a worker and the empty workflow's worker must be running."""
    idle = _from_a_process(stack, count, f"{label}-idle")
    with _load(stack, 20 * count, f"{label}-load"):
        loaded = _from_a_process(stack, count, f"{label}-loaded")
    return Waits("idle", *idle), Waits(f"{LOAD_AT_ONCE} orders under way", *loaded)


def _from_a_process(stack: Stack, count: int, prefix: str) -> tuple[Wait, Wait]:
    command = [sys.executable, "-m", "benchmarks.latency", str(count), prefix]
    answer = subprocess.run(command, env=stack.environment, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    empty, order = json.loads(answer.stdout)
    return Wait(*empty), Wait(*order)


@contextmanager
def _load(stack: Stack, most: int, prefix: str) -> Iterator[None]:
    """Whole orders, one after another in each of so many places, until the end of the block."""
    command = [sys.executable, "-m", "benchmarks.driver", "1", str(most), str(LOAD_AT_ONCE), prefix]
    driver = subprocess.Popen(command, env=stack.environment, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    try:
        time.sleep(5)  # they are to be under way, and not to begin together
        yield
        assert driver.poll() is None, "the load ended before the measurement"
    finally:
        driver.kill()
        driver.wait()


async def waits(count: int, prefix: str) -> tuple[Wait, Wait]:
    client = await connect()
    orders = Orders(client)

    async def empty(number: int) -> None:
        await client.execute_workflow("EmptyWorkflow", id=f"{prefix}-{number}", task_queue=QUEUE)

    async def order(number: int) -> None:
        order_id = f"{prefix}-{number}"
        await orders.place(story.body(order_id, story.SELLERS[:1]))
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await _is_confirmed(orders, order_id):
                pass

    empties, placed = [], []
    for number in range(count):
        empties.append(await _timed(empty, number))
        placed.append(await _timed(order, number))
    return _wait(empties), _wait(placed)


async def _is_confirmed(orders: Orders, order_id: str) -> bool:
    try:
        status = await orders.query(order_id, "status")
    except Refused:  # not recorded yet
        return False
    assert isinstance(status, StatusView)
    return bool(status.fulfillments)


async def _timed(once: Callable[[int], Awaitable[None]], number: int) -> float:
    began = time.perf_counter()
    await once(number)
    return 1000 * (time.perf_counter() - began)


def _wait(times: list[float]) -> Wait:
    return Wait(p50=statistics.median(times), p99=statistics.quantiles(times, n=100, method="inclusive")[98])


if __name__ == "__main__":
    print(json.dumps(asyncio.run(waits(int(sys.argv[1]), sys.argv[2]))))
    end_process(0)
