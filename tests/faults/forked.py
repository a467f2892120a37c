"""Workers of the fault harness, each a process of its own, forked from one that has imported everything already.

To start one so costs a tenth of a second and not two: it can be killed hundreds of times.
"""

import asyncio
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporalio.client import Client
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkerConfig

import usecases.outbox
import worker
from localstack.guard import PR_SET_PDEATHSIG
from tests.faults.dying import Death, Gate
from tests.faults.trouble import Trouble, install
from usecases.process import end_process
from usecases.settings import load_settings
from usecases.temporal import connect

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

STICKY_SECONDS = 2.0
"""How long a task waits for a worker that knew the order, and may be dead; ten in life."""

BACKOFF_SECONDS = 8
"""The longest that a row of the outbox waits for its next try; 300 in life."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Job:
    """What a worker is told. With `full` it drains the outbox and counts for insights too, as `worker.py` does."""

    task_queue: str
    environ: Mapping[str, str]
    log: Path
    full: bool = True
    trouble: Trouble | None = None
    death: Death | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


class ForkedWorker:
    """`start` it again after every `kill`."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        assert not self.running
        self._process = _FORKS.Process(target=_main, args=(self.job,), daemon=True)
        self._process.start()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return None if self._process is None else self._process.exitcode

    def kill(self) -> None:
        """SIGKILL, also of one that is frozen."""
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.pid is not None
        if self.running:
            os.kill(self._process.pid, number)

    def log_tail(self) -> str:
        return self.job.log.read_text(errors="replace")[-2000:] if self.job.log.exists() else ""


def _main(job: Job) -> None:
    """In the new process; ends it too."""
    # The fork server ends with the harness, and so do its children.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update({**job.environ, **job.settings})
    usecases.outbox.BACKOFF_SECONDS_MAX = BACKOFF_SECONDS
    asyncio.run(_serve(job))
    end_process(0)


async def _serve(job: Job) -> None:
    if job.trouble is not None:
        install(job.trouble)
    client = await connect()
    gate = Gate(client, job.death) if job.death is not None else None
    config = client.config()
    config["plugins"] = [_Harness(gate)]
    built = worker.build(Client(**config), load_settings(), job.task_queue)
    if job.full:
        async with worker.running(built):
            await asyncio.Event().wait()
    ends: list[Any] = [one.run() for one in built.workers]
    if gate is not None:
        ends.append(gate.follow())
    await asyncio.gather(*ends)


class _Harness(SimplePlugin):
    """What differs from a worker in life: no long wait for dead ones, and the gates of one that is to die."""

    def __init__(self, gate: Gate | None) -> None:
        super().__init__("openorders.faults", interceptors=[gate] if gate is not None else [])
        self._gate = gate

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        config = super().configure_worker(config)
        config["sticky_queue_schedule_to_start_timeout"] = timedelta(seconds=STICKY_SECONDS)
        if config.get("deployment_config") is None:
            # Without one the SDK hashes the code of every imported module, which takes longer than all else here.
            config["build_id"] = "faults"
        if self._gate is not None and config.get("workflows"):
            config["workflow_runner"] = self._gate.guarding(config["workflow_runner"])
        return config
