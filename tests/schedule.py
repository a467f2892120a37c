"""Runs of reconciliation's schedule, triggered one after another."""

from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleOverlapPolicy

from domain.reconciling import ReconcileReport
from tests.shop import eventually
from usecases.reconciliation import schedule_id

NEVER_BY_ITSELF = 100.0 * 365 * 24 * 60
"""Minutes. Temporal counts intervals from 1970 on, so one that were short would end in the middle of some test."""


async def triggered(client: Client, task_queue: str, number: int) -> ReconcileReport:
    """The result of a run of the queue's schedule, the how many-th."""
    handle = client.get_schedule_handle(schedule_id(task_queue))
    # The schedule may not have heard yet that the run before has ended.
    await handle.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ONE)
    seen = await eventually(handle.describe, lambda seen: len(seen.info.recent_actions) >= number)
    newest = seen.info.recent_actions[-1].action
    assert isinstance(newest, ScheduleActionExecutionStartWorkflow)
    report: ReconcileReport = await client.get_workflow_handle(newest.workflow_id, result_type=ReconcileReport).result()
    return report
