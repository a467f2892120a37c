"""An empty workflow and its worker: what the server itself takes for the least that can be asked of it."""

import asyncio

from temporalio import workflow

QUEUE = "empty"


@workflow.defn
class EmptyWorkflow:
    @workflow.run
    async def run(self) -> None:
        return


async def serve() -> None:
    """Until killed; with the worker settings that ours has, where they matter."""
    from temporalio.worker import PollerBehaviorAutoscaling, Worker

    from usecases.temporal import connect

    client = await connect()
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[EmptyWorkflow],
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
