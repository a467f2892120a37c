"""The answer to a workflow type that nobody knows; without it such a start would hang for ever."""

from collections.abc import Sequence

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError


@workflow.defn(dynamic=True)
class UnknownWorkflow:
    @workflow.run
    async def run(self, arguments: Sequence[RawValue]) -> None:
        name = workflow.info().workflow_type
        raise ApplicationError(
            f"there is no workflow type {name!r}: start OrderWorkflow", type="UnknownWorkflow", non_retryable=True
        )
