"""The worker process: it carries orders on, sends the outbox, counts for insights, and keeps the schema."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import uvloop
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.inventory import InventoryActivities
from activities.orders import OrderActivities
from activities.payments import PaymentActivities
from activities.reconciling import ReconcileActivities, TakeUpActivities
from activities.shipping import CarrierActivities, NetworkActivities
from adapters.carriers.manual import ManualCarrier
from adapters.carriers.simulated import SimulatedCarrier
from adapters.mail.rendering import MailRenderer
from adapters.mail.smtp import SmtpMailer
from adapters.network.simulated import SimulatedNetwork
from adapters.payments.sandbox import PaymentSandbox
from domain.requests import Unavailable
from store.contacts import Contacts
from store.database import Database
from store.gauges import Gauges
from store.insights.refreshing import Refreshing
from store.messages import Messages
from store.migrations import SchemaTooNew, migrate, schema_trouble
from store.orders import Orders
from store.outbox import Outbox
from store.payments import Payments
from store.reconciling import Reconciling
from store.sandbox import NetworkSandboxBook, PaymentSandboxBook
from store.stock import Stock
from store.taking_up import TakingUp
from usecases import health
from usecases.builds import Builds, follow
from usecases.errors import Unreachable
from usecases.health import Health
from usecases.insights_refresher import InsightsRefresher
from usecases.links import order_pages, support_page
from usecases.logs import set_up_logging
from usecases.metrics import ActivityMeter, Meters, keep_looking, keep_looking_at_schedule
from usecases.outbox import OrderSignals, OutboxSender
from usecases.probes import probes_served
from usecases.process import end_process
from usecases.reconciliation import OrderWorkflows, last_finished, register_schedule, trigger_if_overdue
from usecases.registration import register_search_attributes
from usecases.settings import BadSettings, Settings, load_settings
from usecases.temporal import connect
from usecases.tracing import tracing
from workflows.arguments import reading_anything
from workflows.names import DEPLOYMENT, TASK_QUEUE, queue_of
from workflows.order import OrderWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.runner import ReplayableRunner
from workflows.unknown import UnknownWorkflow

logger = logging.getLogger("openorders.worker")

# Our own modules, and the libraries they build on, are imported once and not again per workflow:
# lint and replay tests guard determinism, and this halves the cost of a workflow task.
_PASSED_THROUGH = ("activities", "domain", "pydantic", "pydantic_core", "annotated_types", "zoneinfo", "workflows")

OUTBOX_TURN_SECONDS = 120.0
"""A round of the outbox takes its lease of forty seconds at most."""

INSIGHTS_TURN_SECONDS = 900.0
"""A day of a very large marketplace may be counted for five minutes."""


@dataclass(frozen=True)
class OpenOrders:
    """All that runs in a worker process, made by `build`: start it by `async with running(...)`."""

    database: Database
    workers: Sequence[Worker]
    sender: OutboxSender
    refresher: InsightsRefresher
    meters: Meters
    health: Health


def build(client: Client, settings: Settings, task_queue: str = TASK_QUEUE, *, traced: bool = False) -> OpenOrders:
    """Wire ports to adapters, one file per port, chosen by the settings. `traced` where the client is."""
    client = reading_anything(client)
    database = Database(
        settings.database_url,
        pool_size=settings.database_pool_size,
        overflow=settings.database_pool_overflow,
        wrapping=settings.wrapping(),
    )
    meters = Meters(database)
    messages = Messages(database)
    carrier = _carrier(settings, messages)
    network = SimulatedNetwork(NetworkSandboxBook(database), messages, settings.network_scenarios)
    payments = PaymentActivities(
        Payments(database), PaymentSandbox(PaymentSandboxBook(database)), local_max=max(1, settings.local_slots // 4)
    )
    orders = OrderActivities(Orders(database), support_page(settings.web_url))
    inventory = InventoryActivities(Stock(database))
    take_up = TakeUpActivities(TakingUp(database))
    reconcile = ReconcileActivities(Reconciling(database), OrderWorkflows(client, task_queue))
    # The same for all four, so that a step of an order goes to the build that asked for it.
    deployment = _deployment(settings.build_id)
    # One that hangs fills its own slots and stops nobody else.
    parties = {
        "payments": _methods(payments),
        "carriers": _methods(CarrierActivities(carrier)),
        "network": _methods(NetworkActivities(network)),
    }
    counting = [ActivityMeter(meters, {one.__name__: party for party, some in parties.items() for one in some})]
    main = Worker(
        client,
        task_queue=task_queue,
        workflows=[OrderWorkflow, ReconcileWorkflow, UnknownWorkflow],
        activities=[
            *(*_methods(orders), *_methods(inventory), *_methods(take_up), *_methods(reconcile)),
            payments.authorize_payment,  # tried here first, as a local activity
        ],
        workflow_runner=ReplayableRunner(_runner(settings, traced=traced)),
        interceptors=counting,
        max_cached_workflows=settings.cached_orders_max,
        max_concurrent_local_activities=settings.local_slots,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(initial=1),
        graceful_shutdown_timeout=timedelta(seconds=5),
        deployment_config=deployment,
    )
    outside = [
        Worker(
            client,
            task_queue=queue_of(task_queue, party),
            activities=activities,
            interceptors=counting,
            max_concurrent_activities=settings.party_slots,
            activity_task_poller_behavior=PollerBehaviorAutoscaling(initial=1),
            graceful_shutdown_timeout=timedelta(seconds=5),
            deployment_config=deployment,
        )
        for party, activities in parties.items()
    ]
    sender = OutboxSender(
        Outbox(database),
        contacts=Contacts(database),
        renderer=MailRenderer(settings.shop_name, settings.support_email),
        mailers=[_mailer(settings) for _ in range(settings.mail_connections)],
        carrier=carrier,
        signals=OrderSignals(client),
        page_url=order_pages(settings.web_url, settings.secret_key),
        tried=meters.outbox_try,
    )
    refresher = InsightsRefresher(Refreshing(database, settings.time_zone))
    activity_queues = [task_queue, *(queue_of(task_queue, party) for party in parties)]
    probes = Health(
        {
            "postgresql": database.answer,
            "schema": health.schema(lambda: schema_trouble(database)),
            "temporal": health.temporal(client),
            "pollers": health.pollers(client, task_queue, activity_queues),
            "outbox": health.turns("the sender", lambda: sender.last_turn, OUTBOX_TURN_SECONDS),
        },
        told={"insights": health.turns("the counting", lambda: refresher.last_turn, INSIGHTS_TURN_SECONDS)},
    )
    return OpenOrders(database, [main, *outside], sender, refresher, meters, probes)


def _runner(settings: Settings, *, traced: bool) -> WorkflowRunner:
    return workflow_runner(traced=traced) if settings.workflow_sandbox else UnsandboxedWorkflowRunner()


def workflow_runner(*, traced: bool = False) -> SandboxedWorkflowRunner:
    """The sandbox that orders run in in tests, and are replayed in: it refuses what is not deterministic."""
    passed = (*_PASSED_THROUGH, "opentelemetry") if traced else _PASSED_THROUGH
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*passed))


def _deployment(build_id: str | None) -> WorkerDeploymentConfig | None:
    """Orders move to the current build by themselves: pinned ones would keep old workers for weeks."""
    if build_id is None:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


def _carrier(settings: Settings, messages: Messages) -> ManualCarrier | SimulatedCarrier:
    if settings.carrier == "manual":
        return ManualCarrier()
    return SimulatedCarrier(messages, settings.carrier_scenarios)


def _methods(activities: object) -> list[Callable[..., Any]]:
    """The methods that are activities."""
    return [
        method
        for name in dir(activities)
        if hasattr(method := getattr(activities, name), "__temporal_activity_definition")
    ]


def _mailer(settings: Settings) -> SmtpMailer:
    return SmtpMailer(
        settings.smtp_host,
        settings.smtp_port,
        sender=settings.mail_sender,
        domain=settings.mail_domain,
        username=settings.smtp_user,
        password=settings.smtp_password,
        starttls=settings.smtp_starttls,
        reply_to=settings.support_email,
        timeout_seconds=settings.smtp_timeout_seconds,
    )


@asynccontextmanager
async def running(open_orders: OpenOrders) -> AsyncIterator[None]:
    """Workers poll and the outbox is drained while inside; at the end each finishes what it holds."""
    async with AsyncExitStack() as ends:
        ends.push_async_callback(open_orders.database.close)
        for name, loop in (("insights", open_orders.refresher.run), ("outbox", open_orders.sender.run)):
            task = asyncio.create_task(loop(), name=name)
            task.add_done_callback(partial(_noted, open_orders.health))
            ends.push_async_callback(_end, task)
        for worker in open_orders.workers:
            await ends.enter_async_context(worker)
        yield


def _noted(health: Health, task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        health.broke(f"the loop {task.get_name()} has ended")


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def watched(open_orders: OpenOrders, client: Client, settings: Settings) -> AsyncIterator[None]:
    """Probes and metrics are answered while inside, where an address for them is set."""
    meters = open_orders.meters
    loops = [open_orders.health.run()]
    if settings.health_address is not None:
        loops.append(keep_looking(Gauges(open_orders.database), meters.seen))
        if settings.reconcile_minutes:
            reconciled_at = meters.reconciled_at(settings.reconcile_minutes)
            loops.append(keep_looking_at_schedule(partial(last_finished, client), reconciled_at))
    async with AsyncExitStack() as ends:
        for loop in loops:
            ends.push_async_callback(_end, asyncio.create_task(loop))
        ends.enter_context(probes_served(settings.health_address, open_orders.health, meters.text))
        yield


async def run(settings: Settings) -> None:
    """Until SIGINT or SIGTERM."""
    with tracing("openorders-worker") as traces:
        interceptors = [traces.interceptor] if traces else []
        client = await connect(runtime=_runtime(settings), interceptors=interceptors)
        await migrate(settings.database_url)
        await register_search_attributes(client)
        await register_schedule(client, settings.reconcile_minutes)
        await _reconcile_what_was_missed(client, settings.reconcile_minutes)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        open_orders = build(client, settings, traced=traces is not None)
        async with watched(open_orders, client, settings), running(open_orders):
            logger.info(
                "ready", extra={"task_queue": TASK_QUEUE, "pid": os.getpid(), "build": settings.build_id or "none"}
            )
            print("openorders worker: ready", flush=True)
            following = asyncio.create_task(follow(Builds(client), settings.build_id), name="builds")
            following.add_done_callback(partial(_noted, open_orders.health))
            await stop.wait()
            open_orders.health.stopping = True
            await _end(following)


async def _reconcile_what_was_missed(client: Client, minutes: float) -> None:
    try:
        await trigger_if_overdue(client, minutes)
    except Unavailable as error:
        # No reason to carry no orders on: the schedule's next run sees the same.
        logger.warning("reconciliation was not triggered", extra={"cause": str(error)})


def _runtime(settings: Settings) -> Runtime:
    """The core's warnings come as lines of our log; metrics, where an address is set, are named as Temporal's published
    dashboards expect them.
    """
    prometheus = None
    if settings.metrics_address is not None:
        prometheus = PrometheusConfig(
            bind_address=settings.metrics_address,
            durations_as_seconds=True,
            unit_suffix=True,
            counters_total_suffix=True,
        )
    # Its fields hold the texts of failures, which may repeat what somebody typed.
    core = LogForwardingConfig(logging.getLogger("temporalio.core"), append_log_fields_to_message=False)
    quiet = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=core)
    return Runtime(telemetry=TelemetryConfig(logging=quiet, metrics=prometheus))


def main() -> int:
    try:
        settings = load_settings()
        set_up_logging(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except (BadSettings, Unreachable, Unavailable, SchemaTooNew) as error:
        print(f"worker: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    end_process(main())
