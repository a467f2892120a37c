"""The worker of the checkout as a process of its own, as an operator would run it."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from localstack.errors import LocalStackError
from localstack.process import ManagedProcess

CHECKOUT = Path(__file__).resolve().parent.parent

_STATE_DIR = CHECKOUT / ".openorders"
_READY = "openorders worker: ready"


def state_dir() -> Path:
    """Where the state of local servers is kept: ignored by git, or wherever a setting says."""
    return Path(os.environ.get("OPENORDERS_STATE_DIR") or _STATE_DIR)


def worker_process(
    environ: Mapping[str, str], log: Path, arguments: Sequence[str] = (), name: str = "worker"
) -> ManagedProcess:
    """`start()` it as often as needed: after `stop()` (SIGTERM), `kill()` (SIGKILL) or an end of its own."""
    command = [sys.executable, str(CHECKOUT / "worker.py"), *arguments]
    return ManagedProcess(name, command, log, environ=environ, folder=CHECKOUT)


def wait_until_ready(worker: ManagedProcess, seconds: float = 60) -> None:
    """Until it polls for work: the schema is there then, and stock can be loaded."""
    deadline = time.monotonic() + seconds
    while not worker.says(_READY):
        if not worker.running or time.monotonic() > deadline:
            raise LocalStackError(f"the worker did not start; {worker.log} ends:\n{worker.log_tail()}")
        time.sleep(0.1)
