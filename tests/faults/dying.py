"""A worker that kills itself at one point of one order: after event n of its history, or between a step and its report.

Before it does anything that makes an event, it looks how long the history is: when a workflow task has been handed to
it, and before it starts an activity. Meanwhile it follows the history, for events that others make. So it dies with
event n written and nothing of its own done since. Events that the server writes in one transaction are reached with
the last one of them; and a workflow task that was scheduled, with its start.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio import activity
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)

_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Death:
    """After `event` of the history, or after so many activities that were done and not reported."""

    workflow_id: str
    event: int | None = None
    activity: int | None = None


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Gate(Interceptor):
    def __init__(self, client: Client, death: Death) -> None:
        self._order = client.get_workflow_handle(death.workflow_id)
        self._death = death
        self._done = 0

    async def follow(self) -> None:
        """Die as soon as the event is there, whoever made it."""
        while self._death.event is not None:
            try:
                async for event in self._order.fetch_history_events(wait_new_event=True):
                    self.reached(event.event_id)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
            await asyncio.sleep(_LOOK_SECONDS)  # not placed yet

    def reached(self, events: int) -> None:
        if self._death.event is not None and events >= self._death.event:
            _die()

    def guarding(self, runner: WorkflowRunner) -> WorkflowRunner:
        return _GuardedRunner(runner, self)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        gate = self

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                await gate.before_activity()
                answer = await super().execute_activity(input)
                gate.after_activity()
                return answer

        return Inbound(next)

    async def before_activity(self) -> None:
        # A local one runs within a workflow task, which adds nothing to the history until it is completed.
        if self._death.event is not None and not activity.info().is_local:
            description = await self._order.describe()
            self.reached(description.history_length)

    def after_activity(self) -> None:
        self._done += 1
        if self._done == self._death.activity:
            _die()


class _GuardedRunner(WorkflowRunner):
    def __init__(self, real: WorkflowRunner, gate: Gate) -> None:
        self._real = real
        self._gate = gate

    def prepare_workflow(self, defn: Any) -> None:
        self._real.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _GuardedInstance(self._real.create_instance(det), self._gate)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._real.set_worker_level_failure_exception_types(types)


class _GuardedInstance(WorkflowInstance):
    def __init__(self, real: WorkflowInstance, gate: Gate) -> None:
        self._real = real
        self._gate = gate

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        if not any(job.HasField("remove_from_cache") for job in act.jobs):
            self._gate.reached(act.history_length)
        return self._real.activate(act)

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._real.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._real.get_external_store_context(command_info)

    def get_info(self) -> Any:
        return self._real.get_info()

    def get_thread_id(self) -> int | None:
        return self._real.get_thread_id()
