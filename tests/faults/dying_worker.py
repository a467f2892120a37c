"""`worker.py`, but killed right after an activity of the name given: done in the store, told to nobody."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from temporalio import activity
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from temporalio.worker import Interceptor as WorkerInterceptor

import worker
from usecases.process import end_process
from usecases.settings import load_settings
from usecases.temporal import connect


class Dying(ClientInterceptor, WorkerInterceptor):
    def __init__(self, dies_after: str) -> None:
        self._dies_after = dies_after

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        dies_after = self._dies_after

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                answer = await super().execute_activity(input)
                if activity.info().activity_type == dies_after:
                    os.kill(os.getpid(), signal.SIGKILL)
                return answer

        return Inbound(next)


async def run(dies_after: str) -> None:
    config = (await connect()).config()
    config["interceptors"] = [Dying(dies_after)]
    async with worker.running(worker.build(Client(**config), load_settings())):
        print("openorders worker: ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
    end_process(0)
