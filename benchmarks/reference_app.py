"""Temporal's own reference application on the same server: temporalio/reference-app-orders-go, played to its end.

It is no part of this project: whoever wants the comparison gives a checkout of it. It is built from there and run as
its documents say, a process for its workers and one for its APIs, which keep the SQLite file. Run by itself this
module plays many of its orders at once: `reference_app.py SHIPMENTS COUNT AT_ONCE PREFIX`.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from temporalio.client import Client, WorkflowHandle

from benchmarks.cpu import cpu_seconds
from benchmarks.driver import all_played
from benchmarks.history import History, history_of
from benchmarks.rates import AT_ONCE, WARM_UP, Cpu, Rate
from benchmarks.story import Pause
from localstack import ports
from localstack.errors import LocalStackError
from localstack.go_build import go_build
from localstack.process import ManagedProcess
from localstack.stack import Stack
from localstack.worker_process import CHECKOUT
from usecases.process import end_process
from usecases.temporal import connect

# Its names.
_WORKFLOW = "Order"
_TASK_QUEUE = "orders"
_CARRIER_UPDATE = "ShipmentCarrierUpdate"
_CARRIER_WORDS = ("dispatched", "delivered")
_APIS = ("BILLING", "ORDER", "SHIPMENT", "FRAUD")

_RPC_TIMEOUT = timedelta(minutes=2)
_QUIET_SECONDS = 0.3
_ASK_AGAIN_SECONDS_MIN = 0.1
_ASK_AGAIN_SECONDS_MAX = 2.0
_PATIENCE_SECONDS = 300

Handle = WorkflowHandle[Any, Any]


class ReferenceCounts(NamedTuple):
    """Of all workflows of one order together: its own, and one for each charge and each shipment."""

    shipments: int
    workflows: int
    events: int
    workflow_tasks: int
    history_bytes: int


class Reference(NamedTuple):
    counts: tuple[ReferenceCounts, ...]
    rates: tuple[Rate, ...]
    """With its APIs where ours has PostgreSQL."""


def checkout(text: str) -> Path:
    """For a command line, which is told before it has measured anything."""
    path = Path(text).resolve()
    if not (path / "cmd" / "oms").is_dir():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no checkout of temporalio/reference-app-orders-go: it has no cmd/oms"
        )
    return path


def measure(stack: Stack, checkout: Path, count: int) -> Reference:
    """Orders of one and of two shipments: counted one by one, then `count` of each as fast as they go."""
    with _running(stack, checkout) as (worker, apis):
        counts = asyncio.run(_count(stack))
        for shipments in (1, 2):
            _drive(stack, shipments, WARM_UP, "warm-up")
        return Reference(counts, tuple(_rate(stack, shipments, count, worker, apis) for shipments in (1, 2)))


async def play(client: Client, order_id: str, shipments: int, pause: Pause) -> None:
    """Place the order and bring each shipment to the customer, by the messages that its own APIs send."""
    # Its rule: the first thing comes from one warehouse, all others from another.
    items = [{"sku": f"MUG-{number}", "quantity": 1} for number in range(shipments)]
    order: Handle = await client.start_workflow(
        _WORKFLOW,
        {"id": order_id, "customerId": "c-1", "items": items},
        id=f"Order:{order_id}",
        task_queue=_TASK_QUEUE,
        rpc_timeout=_RPC_TIMEOUT,
    )
    await _booked(order, shipments)
    for shipment in _shipments(client, order_id, shipments):
        for word in _CARRIER_WORDS:
            await pause()
            await shipment.signal(_CARRIER_UPDATE, {"status": word}, rpc_timeout=_RPC_TIMEOUT)
    result = await order.result()
    assert result == {"status": "completed"}, result


def _shipments(client: Client, order_id: str, shipments: int) -> list[Handle]:
    return [client.get_workflow_handle(f"Shipment:{order_id}:{number + 1}") for number in range(shipments)]


async def _booked(order: Handle, shipments: int) -> None:
    """Asked as our own orders are, and as often."""
    wait = _ASK_AGAIN_SECONDS_MIN
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            await asyncio.sleep(wait)
            wait = min(2 * wait, _ASK_AGAIN_SECONDS_MAX)
            status = await order.query("status", rpc_timeout=_RPC_TIMEOUT)
            found = [one.get("shipment") for one in status["fulfillments"] or ()]
            if len(found) == shipments and all(one and one["status"] == "booked" for one in found):
                return


@contextmanager
def _running(stack: Stack, checkout: Path) -> Iterator[tuple[ManagedProcess, ManagedProcess]]:
    """Its workers and its APIs, on ports of their own."""
    folder = stack.state_dir / "reference"
    folder.mkdir()
    program = folder / "oms"
    go_build("./cmd/oms", checkout, program, folder / "build.log", "the reference application", os.environ, print)
    environ = dict(stack.environment)
    for api in _APIS:
        port = ports.choose(0, api)
        environ |= {f"{api}_API_PORT": str(port), f"{api}_API_URL": f"http://{ports.HOST}:{port}"}
    apis = ManagedProcess("APIs", [str(program), "api"], folder / "api.log", environ=environ, folder=folder)
    worker = ManagedProcess("worker", [str(program), "worker"], folder / "worker.log", environ=environ, folder=folder)
    with ExitStack() as ends:
        for process in (apis, worker):
            ends.callback(process.stop)
            process.start()
        _wait_until_ready(apis, worker, [int(environ[f"{api}_API_PORT"]) for api in _APIS])
        yield worker, apis


def _wait_until_ready(apis: ManagedProcess, worker: ManagedProcess, listening: Sequence[int]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (worker.says("Started Worker") and all(ports.answers(port) for port in listening)):
        for process in (apis, worker):
            if not process.running or time.monotonic() > deadline:
                raise LocalStackError(f"the reference application did not start:\n{process.log_tail()}")
        time.sleep(0.1)


async def _count(stack: Stack) -> tuple[ReferenceCounts, ...]:
    client = await Client.connect(stack.temporal.address)
    return tuple([await _count_one(client, shipments) for shipments in (1, 2)])


async def _count_one(client: Client, shipments: int) -> ReferenceCounts:
    """Each message meets an order that waits for it and does nothing else, as for our own counts."""
    order_id = f"count-{shipments}"
    own = [client.get_workflow_handle(f"Order:{order_id}"), *_shipments(client, order_id, shipments)]
    before = await _charges(client)
    await play(client, order_id, shipments, lambda: _quiet(own))
    charges = await _new_charges(client, before, shipments)
    handles = [*own, *(client.get_workflow_handle(charge) for charge in charges)]
    histories: list[History] = [await history_of(handle) for handle in handles]
    return ReferenceCounts(
        shipments=shipments,
        workflows=len(histories),
        events=sum(one.total for one in histories),
        workflow_tasks=sum(one.workflow_tasks for one in histories),
        history_bytes=sum(one.history_bytes for one in histories),
    )


async def _new_charges(client: Client, before: set[str], expected: int) -> set[str]:
    """They are named by chance, and what lists them is behind a little."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            charges = await _charges(client) - before
            if len(charges) >= expected:
                return charges
            await asyncio.sleep(_QUIET_SECONDS)


async def _charges(client: Client) -> set[str]:
    return {found.id async for found in client.list_workflows("WorkflowType = 'Charge'")}


async def _quiet(handles: Sequence[Handle]) -> None:
    lengths: list[int] = []
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            described = [(await handle.describe()).raw_description for handle in handles]
            now = [one.workflow_execution_info.history_length for one in described]
            busy = any(one.pending_activities or one.HasField("pending_workflow_task") for one in described)
            if now == lengths and not busy:
                return
            lengths = now
            await asyncio.sleep(_QUIET_SECONDS)


def _rate(stack: Stack, shipments: int, count: int, worker: ManagedProcess, apis: ManagedProcess) -> Rate:
    before = _cpu(stack, worker, apis)
    seconds = _drive(stack, shipments, count, "rate")
    return Rate(str(shipments), count, seconds, _cpu(stack, worker, apis) - before)


def _drive(stack: Stack, shipments: int, count: int, prefix: str) -> float:
    words = [str(shipments), str(count), str(AT_ONCE), f"{prefix}-{shipments}"]
    command = [sys.executable, "-m", "benchmarks.reference_app", *words]
    answer = subprocess.run(command, env=stack.environment, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    return float(answer.stdout)


def _cpu(stack: Stack, worker: ManagedProcess, apis: ManagedProcess) -> Cpu:
    database = stack.temporal.database_pid
    return Cpu(
        temporal=cpu_seconds(stack.temporal.pid),
        worker=cpu_seconds(worker.pid),
        postgres=cpu_seconds(apis.pid),
        temporal_database=cpu_seconds(database) if database else 0.0,
    )


async def _drive_here(shipments: int, count: int, at_once: int, prefix: str) -> float:
    client = await connect()

    async def order(name: str) -> None:
        await play(client, name, shipments, _no_pause)

    return await all_played(order, count, at_once, prefix)


async def _no_pause() -> None:
    return


if __name__ == "__main__":
    shipments, count, at_once, prefix = sys.argv[1:]
    print(asyncio.run(_drive_here(int(shipments), int(count), int(at_once), prefix)))
    end_process(0)
