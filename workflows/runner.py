"""Runs workflows so that a replay does what the first run did, also where queries come between.

The engine's core may ask a workflow in two ways that leave it where no replay will find it:

- A query reaches a worker that does not know the order, while events wait for a worker that has died. To answer, the
  core takes the workflow past those events, outside of any workflow task: local steps are taken, and messages obeyed
  one by one that a replay will hear of together. Such a query is refused here: asked again, it is answered.
- Queries that came before a workflow task are asked in it, also while a local step is under way. With their answers the
  task is over, and what the end of the step leads to falls into the next one, after messages that came meanwhile; in a
  replay it comes before them. Such queries are left unanswered here: the server asks them anew, after the task.

See `HistoryUpdate::take_next_wft_sequence` and `ManagedRun::prepare_complete_resp` in temporalio/sdk-core, and
docs/decisions/0033-runs-that-replay.md.
"""

import threading  # noqa: TID251 - as below
import time  # noqa: TID251 - a worker runs this, and no workflow
from collections.abc import Sequence
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

TAKEN_OVER = "Unreachable: another worker takes the order over, ask again"
"""What a query is told that came too early; the first word is the type of the refusal, as in all of them."""

_LEGACY_QUERY = "legacy_query"
"""The id that the core gives to a query that comes outside of a workflow task."""

_REFUSED_MAX = 5
"""So many tasks, all about as old and over longer than a task may take, are rather a clock that was set anew."""


class ReplayableRunner(WorkflowRunner):
    """Wraps another runner."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner
        self._ages = TaskAges()

    def prepare_workflow(self, defn: Any) -> None:
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _ReplayableInstance(self._runner.create_instance(det), det, self._ages)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._runner.set_worker_level_failure_exception_types(types)


class TaskAges:
    """How long ago workflow tasks were started, by the server's clock, which may differ from ours. For many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead_ns: int | None = None
        self._refused: dict[int, int] = {}
        """When the task of which start was refused first."""

    def is_over(self, started_ns: int, now_ns: int, timeout_ns: int) -> bool:
        """Whether a task that the server started then has timed out long ago by our clock, so that there can be none.

        How far our clock is ahead is known from the youngest task; until then it is taken to be right. Where it is not,
        or is set anew, tasks are refused at first, and given again; then it is learnt from them.
        """
        with self._lock:
            if self._seems_over(now_ns - started_ns, timeout_ns):
                return self._refuse(started_ns, now_ns, timeout_ns)
            self._refused.clear()
            self._learn(now_ns - started_ns)
            return False

    def see(self, started_ns: int, now_ns: int, timeout_ns: int) -> None:
        """Learn from a task that is taken in any case."""
        with self._lock:
            if not self._seems_over(now_ns - started_ns, timeout_ns):
                self._learn(now_ns - started_ns)

    def _refuse(self, started_ns: int, now_ns: int, timeout_ns: int) -> bool:
        """Tasks of a worker that has died are over too, but no longer than for one timeout: then others have them."""
        age_ns = now_ns - started_ns
        alike = {start: at for start, at in self._refused.items() if abs(at - start - age_ns) < timeout_ns}
        self._refused = {started_ns: now_ns} | alike
        if len(self._refused) <= _REFUSED_MAX or now_ns - min(self._refused.values()) < timeout_ns:
            return True
        self._ahead_ns = min(at - start for start, at in self._refused.items())
        self._refused.clear()
        return False

    def _seems_over(self, age_ns: int, timeout_ns: int) -> bool:
        return age_ns - (self._ahead_ns or 0) >= timeout_ns

    def _learn(self, age_ns: int) -> None:
        self._ahead_ns = age_ns if self._ahead_ns is None else min(self._ahead_ns, age_ns)


class _ReplayableInstance(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance, det: WorkflowInstanceDetails, ages: TaskAges) -> None:
        self._instance = instance
        self._ages = ages
        self._timeout_ns = int(det.info.task_timeout.total_seconds() * 1e9)
        self._length = 0
        self._time_ns = 0
        self._local_steps: set[int] = set()
        self._versioning_behavior = 0

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        if any(job.HasField("remove_from_cache") for job in act.jobs):
            return self._instance.activate(act)
        if self._is_outside_of_a_task(act):
            return _refused(act)
        self._length, self._time_ns = act.history_length, act.timestamp.ToNanoseconds()
        if self._local_steps and _asks_within_a_task(act):
            return self._unanswered(act)
        self._local_steps -= {job.resolve_activity.seq for job in act.jobs if job.HasField("resolve_activity")}
        completion = self._instance.activate(act)
        for command in completion.successful.commands:
            if command.HasField("schedule_local_activity"):
                self._local_steps.add(command.schedule_local_activity.seq)
        self._versioning_behavior = completion.successful.versioning_behavior
        return completion

    def _is_outside_of_a_task(self, act: WorkflowActivation) -> bool:
        """New events, and no workflow task was started with them, or only one that has timed out since."""
        if act.is_replaying or self._length >= act.history_length:
            return False
        started_ns, now_ns = act.timestamp.ToNanoseconds(), time.time_ns()
        if self._length == 0:
            self._ages.see(started_ns, now_ns, self._timeout_ns)
            return False
        return self._ages.is_over(started_ns, now_ns, self._timeout_ns) or started_ns == self._time_ns

    def _unanswered(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        completion = WorkflowActivationCompletion(run_id=act.run_id)
        completion.successful.versioning_behavior = self._versioning_behavior  # type: ignore[assignment]
        return completion

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Any:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()


def _asks_within_a_task(act: WorkflowActivation) -> bool:
    """Queries only, and none that came by itself."""
    return bool(act.jobs) and all(
        job.HasField("query_workflow") and job.query_workflow.query_id != _LEGACY_QUERY for job in act.jobs
    )


def _refused(act: WorkflowActivation) -> WorkflowActivationCompletion:
    """The core tells the asker, and forgets the run."""
    completion = WorkflowActivationCompletion(run_id=act.run_id)
    completion.failed.failure.message = TAKEN_OVER
    completion.failed.failure.application_failure_info.type = "Unreachable"
    return completion
