"""Whether a process lives and is ready, as it truly is: asked from outside, each check with its reason.

`live` never asks anybody else: a slow database must not get a process killed that waits for it. `ready` asks all that
the process works with, in a limited time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.requests import Unavailable

BEAT_SECONDS = 0.5
FROZEN_SECONDS = 10.0
"""An event loop that has not turned for so long is held up by something that should not be there."""

CHECK_SECONDS = 3.0
"""A party that takes longer to say that it is there is not."""

POLL_SECONDS = 90.0
"""A poll that finds nothing ends after a minute, and the next one begins."""

OK = "ok"


class NotReady(Exception):
    """The reason, which names no person, address or secret."""


Check = Callable[[], Awaitable[None]]
"""Raises `NotReady` or `Unavailable`."""


class Health:
    """`run` it in the event loop that is watched; ask it from any thread."""

    def __init__(
        self,
        needed: Mapping[str, Check],
        *,
        told: Mapping[str, Check] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`needed` must hold for the process to be ready; `told` is looked at and told of, and does not decide."""
        self._needed = dict(needed)
        self._told = dict(told or {})
        self._clock = clock
        self._beat = clock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._broken: str | None = None
        self.stopping = False

    async def run(self) -> None:
        """Until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._beat = self._clock()
            await asyncio.sleep(BEAT_SECONDS)

    def broke(self, reason: str) -> None:
        """Something that must run for ever has ended: only a new process helps."""
        self._broken = reason

    def live(self) -> tuple[bool, dict[str, str]]:
        """From any thread."""
        since = self._clock() - self._beat
        checks = {
            "event_loop": OK if since < FROZEN_SECONDS else f"has not turned for {since:.0f} s",
            "run": self._broken or OK,
        }
        return all(reason == OK for reason in checks.values()), checks

    def ready(self) -> tuple[bool, dict[str, str]]:
        """From any thread but that of the event loop."""
        live, checks = self.live()
        if not live or self._loop is None:
            return False, {**checks, "run": "starting"} if live else checks
        if self.stopping:
            return False, {"run": "stopping"}
        asked = asyncio.run_coroutine_threadsafe(self._ask(), self._loop)
        try:
            found = asked.result(CHECK_SECONDS + 2)
        except TimeoutError:
            asked.cancel()
            return False, {"event_loop": "gave no answer in time"}
        return all(found[name] == OK for name in self._needed), {**checks, **found}

    async def _ask(self) -> dict[str, str]:
        checks = {**self._needed, **self._told}
        reasons = await asyncio.gather(*(_reason(check) for check in checks.values()))
        return dict(zip(checks, reasons, strict=True))


async def _reason(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except (NotReady, Unavailable) as error:
        return str(error)
    except Exception as error:  # a probe answers, whatever is wrong; texts of others may hold anything
        return type(error).__name__
    return OK


# -- what a process may need ---------------------------------------------------------------


def schema(trouble: Callable[[], Awaitable[str | None]]) -> Check:
    async def check() -> None:
        if reason := await trouble():
            raise NotReady(reason)

    return check


def temporal(client: Client) -> Check:
    async def check() -> None:
        try:
            serves = await client.service_client.check_health(timeout=timedelta(seconds=CHECK_SECONDS))
        except (RPCError, RuntimeError):  # the second is of a lazy client that never could connect
            raise NotReady("does not answer") from None
        if not serves:
            raise NotReady("does not serve")

    return check


def pollers(client: Client, workflow_queue: str, activity_queues: Sequence[str]) -> Check:
    """Whether the server knows of a recent poll of ours on every queue: our own side would not notice one that died.

    Told apart by the identity of the client, which holds the process id and the host.
    """

    async def polls(queue: str, kind: "TaskQueueType.ValueType") -> bool:
        request = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        answer = await client.workflow_service.describe_task_queue(request, timeout=timedelta(seconds=CHECK_SECONDS))
        since = datetime.now(UTC) - timedelta(seconds=POLL_SECONDS)
        return any(
            poller.identity == client.identity and poller.last_access_time.ToDatetime(UTC) > since
            for poller in answer.pollers
        )

    async def check() -> None:
        wanted = [(workflow_queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)]
        wanted += [(queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY) for queue in activity_queues]
        try:
            found = await asyncio.gather(*(polls(*one) for one in wanted))
        except RPCError:
            raise NotReady("Temporal does not answer") from None
        idle = [queue for (queue, _), polled in zip(wanted, found, strict=True) if not polled]
        if idle:
            raise NotReady(f"nobody of this process polls {', '.join(sorted(set(idle)))}")

    return check


def turns(what: str, last_turn: Callable[[], float], seconds: float) -> Check:
    """For a loop that notes, by the monotonic clock, when it last began a round."""

    async def check() -> None:
        since = time.monotonic() - last_turn()
        if since > seconds:
            raise NotReady(f"{what} has not turned for {since:.0f} s")

    return check
