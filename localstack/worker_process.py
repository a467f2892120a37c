"""The worker and the web server of the checkout as processes of their own, as an operator would run them."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from localstack.errors import LocalStackError
from localstack.process import ManagedProcess

CHECKOUT = Path(__file__).resolve().parent.parent

_STATE_DIR = CHECKOUT / ".openorders"
_READY = ": ready"
"""How both say it, behind their name."""


def state_dir() -> Path:
    """Where the state of local servers is kept: ignored by git, or wherever a setting says."""
    return Path(os.environ.get("OPENORDERS_STATE_DIR") or _STATE_DIR)


def worker_process(
    environ: Mapping[str, str], log: Path, arguments: Sequence[str] = (), name: str = "worker"
) -> ManagedProcess:
    """`start()` it as often as needed: after `stop()` (SIGTERM), `kill()` (SIGKILL) or an end of its own."""
    command = [sys.executable, str(CHECKOUT / "worker.py"), *arguments]
    return ManagedProcess(name, command, log, environ=environ, folder=CHECKOUT)


def web_process(environ: Mapping[str, str], log: Path, name: str = "web") -> ManagedProcess:
    return ManagedProcess(name, [sys.executable, "-m", "web"], log, environ=environ, folder=CHECKOUT)


def wait_until_ready(worker: ManagedProcess, seconds: float = 60) -> None:
    """Until a worker polls for work, or a web server listens: the schema is there then, and stock can be loaded."""
    deadline = time.monotonic() + seconds
    while not worker.says(_READY):
        if not worker.running or time.monotonic() > deadline:
            raise LocalStackError(f"{worker.name} did not start; {worker.log} ends:\n{worker.log_tail()}")
        time.sleep(0.1)
