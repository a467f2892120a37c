"""Which build of the worker carries the orders on: Temporal's worker deployment versions, read and changed.

A worker with `OPENORDERS_BUILD_ID` polls as that build of the deployment `openorders`, and is given orders only once
its build is current, or a share of them while it ramps.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from usecases.errors import Refused, Unreachable
from workflows.names import DEPLOYMENT, TASK_QUEUE

logger = logging.getLogger("openorders.builds")

_POLLED_LATELY = timedelta(minutes=2)
"""A poll is answered or given up within a minute, so a worker that lives has polled since."""

_LOOK_SECONDS = 30.0
_SOON_SECONDS = 0.5
_TRIES = 10
_Status = RPCStatusCode


class Routing(NamedTuple):
    """What the server knows. `current` is None where workers without a build id get the orders."""

    current: str | None
    ramping: str | None
    ramp_percent: float
    decided: bool
    """Whether anybody has said yet which build is current, be it "none"."""

    builds: Mapping[str, datetime]
    """Build id to when it was first seen; the newest first."""

    conflict_token: bytes


class Builds:
    """Raises `Unreachable` where Temporal does not answer, and `Refused` where it will not."""

    def __init__(
        self, client: Client, task_queue: str = TASK_QUEUE, timeout: timedelta = timedelta(seconds=10)
    ) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeout = timeout

    async def routing(self) -> Routing | None:
        """None where no worker with a build id was ever seen."""
        request = DescribeWorkerDeploymentRequest(namespace=self._client.namespace, deployment_name=DEPLOYMENT)
        try:
            answer = await self._client.workflow_service.describe_worker_deployment(request, timeout=self._timeout)
        except RPCError as error:
            if error.status is _Status.NOT_FOUND:
                return None
            raise _told(error) from error
        info = answer.worker_deployment_info
        config = info.routing_config
        seen = [(one.deployment_version.build_id, _moment(one.create_time)) for one in info.version_summaries]
        return Routing(
            current=config.current_deployment_version.build_id or None,
            ramping=config.ramping_deployment_version.build_id or None,
            ramp_percent=config.ramping_version_percentage,
            decided=config.HasField("current_version_changed_time") or config.HasField("ramping_version_changed_time"),
            builds=dict(sorted(seen, key=lambda one: one[1], reverse=True)),
            conflict_token=answer.conflict_token,
        )

    async def polling(self) -> dict[str | None, datetime]:
        """Builds whose workers ask for orders now, None for those without one; to when the last one asked."""
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=self._task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        try:
            answer = await self._client.workflow_service.describe_task_queue(request, timeout=self._timeout)
        except RPCError as error:
            raise _told(error) from error
        found: dict[str | None, datetime] = {}
        for poller in answer.pollers:
            build, asked = _build_of(poller), _moment(poller.last_access_time)
            if datetime.now(UTC) - asked < _POLLED_LATELY:
                found[build] = max(asked, found.get(build, asked))
        return found

    async def make_current(self, build_id: str | None, *, conflict_token: bytes = b"", force: bool = False) -> None:
        """From now on it gets all orders, new and open ones. None: the workers without a build id do.

        The server refuses a build that lacks a task queue of the one before, or has no worker; `force` does without.
        With a token it is also refused where somebody has changed the routing since it was read.
        """
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self._client.namespace,
            deployment_name=DEPLOYMENT,
            build_id=build_id or "",
            conflict_token=conflict_token,
            identity=self._client.identity,
            ignore_missing_task_queues=force,
            allow_no_pollers=force,
        )
        service = self._client.workflow_service
        await self._set(
            lambda: service.set_worker_deployment_current_version(request, timeout=self._timeout),
            patient=not conflict_token,
        )

    async def ramp(self, build_id: str | None, percent: float) -> None:
        """So many percent of the orders, new and open, chosen by their ids, go to the build; 0 takes it all back."""
        request = SetWorkerDeploymentRampingVersionRequest(
            namespace=self._client.namespace,
            deployment_name=DEPLOYMENT,
            build_id=build_id or "",
            percentage=percent,
            identity=self._client.identity,
        )
        service = self._client.workflow_service
        await self._set(lambda: service.set_worker_deployment_ramping_version(request, timeout=self._timeout))

    async def _set(self, ask: Callable[[], Awaitable[object]], *, patient: bool = True) -> None:
        """The queues of a worker that has just started are taken up one after another; until then it is refused."""
        for _ in range(_TRIES if patient else 0):
            try:
                await ask()
                return
            except RPCError as error:
                if error.status not in (_Status.FAILED_PRECONDITION, _Status.NOT_FOUND):
                    raise _told(error) from error
                await asyncio.sleep(_SOON_SECONDS)
        try:
            await ask()
        except RPCError as error:
            raise _told(error) from error


async def follow(builds: Builds, own: str | None, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
    """Beside a worker, for as long as it runs: log what its build is given when that changes, and while orders wait.

    Where nobody has ever said which build is current, and no worker without a build id is there to carry the orders
    on, the build makes itself current: on a new installation orders would wait for ever otherwise.
    """
    told: str | None = None
    while True:
        pause = _LOOK_SECONDS
        try:
            routing, polling = await builds.routing(), await builds.polling()
            if own is not None and (routing is None or own not in routing.builds):
                pause = _SOON_SECONDS  # its first polls have not been taken up yet
            elif routing is not None:
                if own is not None and not routing.decided and None not in polling:
                    await builds.make_current(own, conflict_token=routing.conflict_token)
                    logger.info("no build was current: this one is now", extra={"build": own})
                    routing = await builds.routing() or routing
                words, waits = _situation(routing, own, polling)
                if words is not None and (words != told or waits):
                    logger.log(logging.WARNING if waits else logging.INFO, words)
                told = words
        except (Unreachable, Refused) as error:
            # A server that is away, or another worker that was faster: looked at again.
            logger.info("the builds could not be looked at", extra={"reason": str(error)})
        except Exception:
            # A bug here must not end the process that orders run in, nor this loop: a first build would never be
            # current.
            logger.exception("the builds could not be looked at")
        await sleep(pause)


def _situation(routing: Routing, own: str | None, polling: Mapping[str | None, datetime]) -> tuple[str | None, bool]:
    """One sentence on what a worker of the build is given, and whether orders wait though they need not."""
    if routing.current == own:
        return (None if own is None else f"build {own} is current: it gets the orders"), False
    if own is not None and routing.ramping == own:
        return f"build {own} ramps: it gets {routing.ramp_percent:g} % of the orders", False
    mine = "a worker without a build id" if own is None else f"build {own}"
    others = "workers without a build id get" if routing.current is None else f"build {routing.current} gets"
    remedy = f"`starter.py build current {own or '--none'}` gives them to it"
    if routing.current not in polling:
        return f"{others} the orders and none runs: orders wait, and {mine} is given none; {remedy}", True
    return f"{others} the orders; {mine} is given none; {remedy}", False


def _build_of(poller: PollerInfo) -> str | None:
    options = poller.deployment_options
    if options.worker_versioning_mode != WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED:
        return None
    return options.build_id


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def _told(error: RPCError) -> Unreachable | Refused:
    if error.status in (_Status.FAILED_PRECONDITION, _Status.INVALID_ARGUMENT, _Status.NOT_FOUND):
        return Refused(f"build: {error.message}")
    return Unreachable(f"Temporal did not answer: {error.message}")
