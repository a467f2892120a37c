"""Reconciliation from the outside: its schedule, a run by hand, and what it asks of the workflows of orders."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.reconciling import DeadOrder, HalfWritten, OpenRow, ReconcileInput, ReconcileReport
from domain.requests import Unavailable
from domain.results import StatusView
from domain.taking_up import BY, TakeUp
from usecases.errors import InvalidOrder, OrderClosed, OrderError, OrderNotFound, Unreachable
from usecases.orders import BODY_HASH, Orders
from workflows.names import RECONCILE, TAKE_UP, TASK_QUEUE, WORKFLOW, workflow_id

_ENDED_BADLY = {
    WorkflowExecutionStatus.TERMINATED: "its workflow was terminated",
    WorkflowExecutionStatus.FAILED: "its workflow failed",
    WorkflowExecutionStatus.TIMED_OUT: "its workflow ran out of time",
    WorkflowExecutionStatus.CANCELED: "its workflow was cancelled",
}
_GONE = "its workflow is not known to Temporal"
_QUERY_PATIENCE = timedelta(seconds=5)
_LOOK_PATIENCE = timedelta(seconds=5)
_LONGEST_RUN = timedelta(minutes=30)


# -- the schedule ----------------------------------------------------------------------------


def schedule_id(task_queue: str = TASK_QUEUE) -> str:
    return f"{task_queue}-reconcile"


async def register_schedule(client: Client, minutes: float, task_queue: str = TASK_QUEUE) -> bool:
    """Create it where it is missing, and write it anew where it is another one; 0 minutes take it away. Gives whether
    something changed.

    Several workers may do so at once. That somebody paused it, and why, stays as it is.
    """
    handle = client.get_schedule_handle(schedule_id(task_queue))
    if minutes == 0:
        try:
            await handle.delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True
    wanted = _schedule(timedelta(minutes=minutes), task_queue)
    try:
        await client.create_schedule(schedule_id(task_queue), wanted)
    except ScheduleAlreadyRunningError:
        if _kept_parts((await handle.describe()).schedule) == _kept_parts(wanted):
            return False

        def as_wanted(current: ScheduleUpdateInput) -> ScheduleUpdate:
            schedule = current.description.schedule
            schedule.spec, schedule.policy, schedule.action = wanted.spec, wanted.policy, wanted.action
            return ScheduleUpdate(schedule)

        await handle.update(as_wanted)
    return True


def _schedule(every: timedelta, task_queue: str) -> Schedule:
    action = ScheduleActionStartWorkflow(
        RECONCILE,
        _in_clear(ReconcileInput()),
        id=schedule_id(task_queue),
        task_queue=task_queue,
        execution_timeout=_LONGEST_RUN,
    )
    action.static_summary = _in_clear("Finds and mends what PostgreSQL and Temporal disagree on")
    return Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # After an outage one run sees all that the missed ones would have seen: the next one, or that which the first
        # worker triggers (`trigger_if_overdue`).
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
    )


def _kept_parts(schedule: Schedule) -> tuple[object, ...]:
    action = schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    return schedule.spec.intervals, schedule.policy, [*action.args], action.static_summary


def _in_clear(value: object) -> Payload:
    """A schedule keeps what it was given for good, and would so keep a key of today; here it is nobody's secret."""
    return pydantic_data_converter.payload_converter.to_payload(value)


async def last_finished(client: Client, task_queue: str = TASK_QUEUE) -> datetime | None:
    """When the newest run of the schedule that came to its end did so; where there is none, when the schedule was made.

    A run by hand is none of them. None: there is neither, since somebody took the schedule away. Raises `Unavailable`.
    """
    schedule = schedule_id(task_queue)
    # The newest end comes first.
    finished = client.list_workflows(
        f"TemporalScheduledById = '{schedule}' AND ExecutionStatus = 'Completed'",
        limit=1,
        page_size=1,
        rpc_timeout=_LOOK_PATIENCE,
    )
    try:
        async for run in finished:
            return run.close_time
        return (await client.get_schedule_handle(schedule).describe(rpc_timeout=_LOOK_PATIENCE)).info.created_at
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise Unavailable(f"Temporal: {error.status.name}") from None


async def trigger_if_overdue(client: Client, minutes: float, task_queue: str = TASK_QUEUE) -> bool:
    """Have the schedule run now where its last run ended longer ago than its interval: nobody was there to run it, and
    the next one may be hours away. Gives whether it was triggered. Raises `Unavailable`.

    Several workers may do so at once; while one run goes on there is no other. A paused schedule stays so.
    """
    finished = await last_finished(client, task_queue)
    if finished is None or datetime.now(UTC) - finished <= timedelta(minutes=minutes):
        return False
    handle = client.get_schedule_handle(schedule_id(task_queue))
    try:
        if (await handle.describe(rpc_timeout=_LOOK_PATIENCE)).schedule.state.paused:
            return False
        await handle.trigger(rpc_timeout=_LOOK_PATIENCE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise Unavailable(f"Temporal: {error.status.name}") from None
    return True


async def reconcile(client: Client, look: ReconcileInput, task_queue: str = TASK_QUEUE) -> ReconcileReport:
    """One run now. Raises `Unreachable` where no worker ends it."""
    try:
        report: ReconcileReport = await client.execute_workflow(
            RECONCILE,
            look,
            id=f"{schedule_id(task_queue)}-by-hand-{uuid4().hex[:8]}",
            task_queue=task_queue,
            execution_timeout=_LONGEST_RUN,
            result_type=ReconcileReport,
        )
    except WorkflowFailureError as error:
        raise Unreachable(f"the run did not end: {error.cause}") from None
    except RPCError as error:
        raise Unreachable(f"Temporal: {error.message}") from None
    return report


# -- what it asks of the workflows of orders ---------------------------------------------------


class OrderWorkflows:
    """`activities.ports.RunningOrders`, by Temporal."""

    def __init__(
        self, client: Client, task_queue: str = TASK_QUEUE, query_patience: timedelta = _QUERY_PATIENCE
    ) -> None:
        """`query_patience` is for each of two tries to ask a running order."""
        self.query_patience = query_patience
        self._client = client
        self._task_queue = task_queue
        self._orders = Orders(client, task_queue=task_queue)

    async def running(self, grace: timedelta) -> dict[str, bool]:
        """By the server's list, a thousand a page; what it does not show is looked up one by one by `fate`."""
        query = f"WorkflowType = '{WORKFLOW}' AND ExecutionStatus = 'Running' AND TaskQueue = '{self._task_queue}'"
        old = datetime.now(UTC) - grace
        try:
            return {
                execution.id.removeprefix("order:"): execution.start_time < old
                async for execution in self._client.list_workflows(query, page_size=1_000)
            }
        except RPCError as error:
            raise Unavailable(f"Temporal: {error.status.name}") from None

    async def fate(self, row: OpenRow, grace: timedelta) -> DeadOrder | str | None:
        """The newest run of the order's id tells, whatever runs came before it."""
        try:
            found = await self._handle(row.order_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return DeadOrder(order_id=row.order_id, body_hash=row.body_hash, how=_GONE)
            raise Unavailable(f"Temporal: {error.status.name}") from None
        if found.status is WorkflowExecutionStatus.RUNNING or found.close_time is None:
            return None
        if datetime.now(UTC) - found.close_time < grace:
            return None
        how = _ENDED_BADLY.get(found.status or WorkflowExecutionStatus.FAILED)
        if how is None:
            # Placed again after its own workflow was gone: that run has ended at once with the order's result so far.
            if _first_run(found) == row.first_run_id:
                return "ended"
            how = _GONE
        why = await self._why(found)
        return DeadOrder(order_id=row.order_id, body_hash=row.body_hash, how=how, why=why)

    async def _why(self, found: WorkflowExecutionDescription) -> str:
        """The reason that was given with a termination."""
        if found.status is not WorkflowExecutionStatus.TERMINATED:
            return ""
        handle = self._client.get_workflow_handle(found.id, run_id=found.run_id)
        last: HistoryEvent | None = None
        try:
            async for event in handle.fetch_history_events(
                event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
            ):
                last = event
        except RPCError as error:
            raise Unavailable(f"Temporal: {error.status.name}") from None
        if last is None or last.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
            return ""
        return last.workflow_execution_terminated_event_attributes.reason[:1_000].replace("\x00", "")

    async def runs(self, order_id: str) -> bool:
        try:
            found = await self._handle(order_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise Unavailable(f"Temporal: {error.status.name}") from None
        return found.status is WorkflowExecutionStatus.RUNNING

    async def version(self, order_id: str) -> int | None:
        try:
            view = await self._orders.query(order_id, "status", patience=self.query_patience)
        except (OrderClosed, OrderNotFound):
            return None
        except OrderError as error:
            # It goes from one worker to another, or waits for a mended one.
            raise Unavailable(str(error)) from None
        assert isinstance(view, StatusView)
        return view.version

    async def take_up(self, order: DeadOrder) -> bool:
        message = TakeUp(order_id=order.order_id, how=order.how, why=order.why)
        try:
            await self._client.start_workflow(
                WORKFLOW,
                {TAKE_UP: message.model_dump(mode="json")},
                id=workflow_id(order.order_id),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                memo={BODY_HASH: order.body_hash},
                static_summary=f"taken up again: {order.how}",
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            raise Unavailable(f"Temporal: {error.status.name}") from None
        return True

    async def write_anew(self, order: HalfWritten) -> bool:
        """A note is a step like any other: it meets the rows that are ahead, and the order then writes all of them."""
        text = (
            f"The rows were of version {order.version}, by a step that nobody remembers; the order is at "
            f"{order.known_version}. All of them are written anew."
        )
        note = {"by": f"marketplace/{BY}", "text": text}
        try:
            await self._orders.update(order.order_id, "note", note, update_id=f"{BY}-{order.version}")
        except (OrderClosed, OrderNotFound, InvalidOrder):
            return False
        except Unreachable as error:
            raise Unavailable(str(error)) from None
        return True

    def _handle(self, order_id: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(workflow_id(order_id))


def _first_run(found: WorkflowExecutionDescription) -> str:
    return found.raw_description.workflow_execution_info.first_run_id or found.run_id
