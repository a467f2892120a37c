"""What placing an order by HTTP costs beside a bare `start_workflow` of the same order, in turn, on the same servers.

No worker runs: what is compared is the taking of an order, not its life.
"""

import asyncio
import json
import statistics
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import NamedTuple

from temporalio.client import Client

from benchmarks import story
from benchmarks.cpu import cpu_seconds
from domain.access import Scope
from localstack.ports import HOST
from localstack.stack import Stack
from localstack.worker_process import wait_until_ready
from store.database import Database
from store.keys import Keys
from store.migrations import migrate
from usecases.keys import new_key
from workflows.names import TASK_QUEUE, workflow_id

_WARM_UP = 20
_TURN = 25
"""So many of one way, then so many of the other: CPU time is told in hundredths of a second."""


class Way(NamedTuple):
    """Medians in milliseconds: until the order is taken, and the CPU of all processes, ours included, for it."""

    latency: float
    cpu: float


class Placing(NamedTuple):
    orders: int
    bare: Way
    http: Way


def measure(stack: Stack, orders: int) -> Placing:
    asyncio.run(migrate(stack.postgres.dsn))
    web = stack.web()
    web.start()
    wait_until_ready(web)
    try:
        return asyncio.run(_measure(stack, web.pid, orders))
    finally:
        web.stop()


async def _measure(stack: Stack, web: int, orders: int) -> Placing:
    database = Database(stack.postgres.dsn)
    client = await Client.connect(stack.temporal.address)
    try:
        await story.open_shop(database)
        key = await new_key(Keys(database), Scope.BACKEND, "bench")
    finally:
        await database.close()
    headers = {"Authorization": f"Bearer {key}"}
    with closing(HTTPConnection(HOST, stack.web_port, timeout=60)) as http:

        async def bare(name: str) -> None:
            body = story.body(name, story.SELLERS[:1])
            await client.start_workflow("OrderWorkflow", body, id=workflow_id(name), task_queue=TASK_QUEUE)

        async def by_http(name: str) -> None:
            http.request("POST", "/v1/orders", json.dumps(story.body(name, story.SELLERS[:1])), headers)
            answer = http.getresponse()
            said = answer.read()
            assert answer.status == 201, said

        for number in range(_WARM_UP):
            await bare(f"warm-bare-{number}")
            await by_http(f"warm-http-{number}")
        latencies: dict[str, list[float]] = {"bare": [], "http": []}
        cpu = {"bare": 0.0, "http": 0.0}
        for turn in range(orders // _TURN):
            for name, place in (("bare", bare), ("http", by_http)):
                before = _cpu(stack, web)
                for number in range(_TURN):
                    began = time.perf_counter()
                    await place(f"{name}-{turn}-{number}")
                    latencies[name].append(time.perf_counter() - began)
                cpu[name] += _cpu(stack, web) - before
    ways = {
        name: Way(1_000 * statistics.median(times), 1_000 * cpu[name] / len(times)) for name, times in latencies.items()
    }
    return Placing(len(latencies["bare"]), **ways)


def _cpu(stack: Stack, web: int) -> float:
    assert stack.temporal.process is not None
    assert stack.postgres.process is not None
    return time.process_time() + sum(
        cpu_seconds(pid) for pid in (stack.temporal.process.pid, stack.postgres.process.pid, web)
    )
