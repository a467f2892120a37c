"""A worker with one setting of the engine changed: `lever_worker.py LEVER SOCKET`, as `benchmarks.levers` starts it.

None of it is offered to those who run workers: what gains is built in, and the rest would only be more to get wrong.
Who connects to SOCKET and writes `WHAT COUNT AT_ONCE PREFIX` has orders played by this very process.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import uvloop
from temporalio.client import Client, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.common import Priority
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    Interceptor,
    PollerBehaviorSimpleMaximum,
    StartActivityInput,
    StartLocalActivityInput,
    WorkerConfig,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle

import worker
from activities.payments import PaymentActivities
from benchmarks.driver import drive_by
from benchmarks.rates import AT_ONCE
from usecases.process import end_process
from usecases.settings import Settings, load_settings
from usecases.temporal import connect
from workflows.names import TASK_QUEUE


@dataclass(frozen=True)
class Lever:
    says: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of ours that are changed."""

    config: Callable[[WorkerConfig], WorkerConfig] | None = None
    """Changes what each of the SDK's workers is made with: the one that runs orders, and one for each outside party."""

    interceptors: tuple[ClientInterceptor, ...] = ()
    base: str = "default"
    """The lever that it is compared with."""

    loop_factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop

    placed_by_worker: bool = False
    """Played by the worker's own process, and not by one beside it."""


class _EagerStart(ClientInterceptor):
    """Asks for the first workflow task in the answer to the start: only a process with a worker of its own can."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _StartedEagerly(next)


class _StartedEagerly(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        return await super().start_workflow(replace(input, request_eager_start=True))


class _Outbound(ClientInterceptor, Interceptor):
    """Changes what orders ask of the engine; a client hands it on to its workers."""

    def __init__(self, outbound: type[WorkflowOutboundInterceptor]) -> None:
        self._outbound = outbound

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        changed = self._outbound

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(changed(outbound))

        return Inbound


class _OnOneQueue(WorkflowOutboundInterceptor):
    """On the orders' own queue: only activities of the queue that the worker takes orders from can be eager."""

    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
        return super().start_activity(replace(input, task_queue=None))


class _Regularly(WorkflowOutboundInterceptor):
    """Local steps as regular activities."""

    def start_local_activity(self, input: StartLocalActivityInput) -> ActivityHandle[Any]:
        return super().start_activity(
            StartActivityInput(
                activity=input.activity,
                args=input.args,
                activity_id=input.activity_id,
                task_queue=None,
                schedule_to_close_timeout=None,  # two seconds are for a local one, which waits in no queue
                schedule_to_start_timeout=None,
                start_to_close_timeout=input.start_to_close_timeout,
                heartbeat_timeout=None,
                retry_policy=input.retry_policy,
                cancellation_type=input.cancellation_type,
                headers=input.headers,
                disable_eager_execution=False,
                versioning_intent=None,
                summary=input.summary,
                priority=Priority.default,
                arg_types=input.arg_types,
                ret_type=input.ret_type,
            )
        )


def _fixed_pollers(config: WorkerConfig) -> WorkerConfig:
    config["workflow_task_poller_behavior"] = PollerBehaviorSimpleMaximum(5)
    config["activity_task_poller_behavior"] = PollerBehaviorSimpleMaximum(5)
    return config


def _not_eager(config: WorkerConfig) -> WorkerConfig:
    config["disable_eager_activity_execution"] = True
    return config


def _captures_too(config: WorkerConfig) -> WorkerConfig:
    """Where payments are tried for the first time, they are made in the end, too."""
    if not config["workflows"]:
        return config
    owners = {getattr(one, "__self__", None) for one in config["activities"]}
    (payments,) = (one for one in owners if isinstance(one, PaymentActivities))
    config["activities"] = [*config["activities"], payments.capture_payment, payments.void_payment]
    return config


LEVERS = {
    "default": Lever("as it is"),
    "sandbox": Lever("the sandbox on", {"workflow_sandbox": True}),
    "cache": Lever(f"a cache of 10 for {AT_ONCE} at a time", {"cached_orders_max": 10}),
    "pollers": Lever("5 pollers a queue, not autoscaled", config=_fixed_pollers),
    "loop": Lever("asyncio's own loop, not uvloop", loop_factory=asyncio.new_event_loop),
    "connections": Lever("database connections not kept", {"database_pool_size": 1, "database_pool_overflow": 19}),
    "eager-capture": Lever(
        "captures on the orders' queue, eager", config=_captures_too, interceptors=(_Outbound(_OnOneQueue),)
    ),
    "regular": Lever("local steps regular, eager", interceptors=(_Outbound(_Regularly),)),
    "regular-not-eager": Lever(
        "local steps regular, not eager", config=_not_eager, interceptors=(_Outbound(_Regularly),)
    ),
    "placed-here": Lever("placed by the worker's process", placed_by_worker=True),
    "eager-start": Lever(
        "placed there, started eagerly", interceptors=(_EagerStart(),), base="placed-here", placed_by_worker=True
    ),
}
"""By the word on the command line, which is also part of the ids of orders."""


class _Changed(SimplePlugin):
    def __init__(self, change: Callable[[WorkerConfig], WorkerConfig]) -> None:
        super().__init__("lever")
        self._change = change

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        return self._change(super().configure_worker(config))


def build(
    client: Client, settings: Settings, lever: Lever, task_queue: str = TASK_QUEUE
) -> tuple[Client, worker.OpenOrders]:
    """The worker, and a client whose orders it can take eagerly."""
    config = client.config()
    config["interceptors"] = [*config["interceptors"], *lever.interceptors]
    if lever.config is not None:
        config["plugins"] = [*config["plugins"], _Changed(lever.config)]
    client = Client(**config)
    return client, worker.build(client, settings.model_copy(update=dict(lever.settings)), task_queue)


async def serve(lever: Lever, socket: Path) -> None:
    """Until SIGTERM."""
    client, open_orders = build(await connect(), load_settings(), lever)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def play(asked: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        what, count, at_once, prefix = (await asked.readline()).decode().split()
        answer.write(f"{await drive_by(client, what, int(count), int(at_once), prefix)}\n".encode())
        answer.close()

    async with worker.running(open_orders), await asyncio.start_unix_server(play, socket):
        print("lever worker: ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    chosen = LEVERS[sys.argv[1]]
    with asyncio.Runner(loop_factory=chosen.loop_factory) as runner:
        runner.run(serve(chosen, Path(sys.argv[2])))
    end_process(0)
