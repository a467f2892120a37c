"""Plays many workflows at once from a process of its own: `driver.py WHAT COUNT AT_ONCE PREFIX`.

WHAT is `empty`, or the number of sellers of each order. Prints the seconds that it took.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.client import Client

from benchmarks import story
from benchmarks.empty import QUEUE
from usecases.orders import Orders
from usecases.process import end_process
from usecases.temporal import connect

_RPC_TIMEOUT = timedelta(minutes=2)
"""A machine that is busy with other things makes all of this slow, and not wrong."""

Play = Callable[[str], Awaitable[None]]


async def drive(what: str, count: int, at_once: int, prefix: str) -> float:
    return await drive_by(await connect(), what, count, at_once, prefix)


async def drive_by(client: Client, what: str, count: int, at_once: int, prefix: str) -> float:
    """Every single one must come to its end: one that does not raises here."""
    orders = Orders(client, rpc_timeout=_RPC_TIMEOUT)

    async def empty(name: str) -> None:
        await client.execute_workflow("EmptyWorkflow", id=name, task_queue=QUEUE)

    async def order(name: str) -> None:
        await story.play(orders, name, story.SELLERS[: int(what)], _no_pause)

    return await all_played(empty if what == "empty" else order, count, at_once, prefix)


async def all_played(play: Play, count: int, at_once: int, prefix: str) -> float:
    """The seconds that it took."""
    slots = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with slots:
            await play(f"{prefix}-{number}")

    started = time.monotonic()
    await asyncio.gather(*(one(number) for number in range(count)))
    return time.monotonic() - started


async def _no_pause() -> None:
    return


if __name__ == "__main__":
    what, count, at_once, prefix = sys.argv[1:]
    print(asyncio.run(drive(what, int(count), int(at_once), prefix)))
    end_process(0)
