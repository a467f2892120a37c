"""The worker of the checkout as a process of its own, as an operator would run it."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from localstack.process import ManagedProcess

CHECKOUT = Path(__file__).resolve().parent.parent


def worker_process(
    environ: Mapping[str, str], log: Path, arguments: Sequence[str] = (), name: str = "worker"
) -> ManagedProcess:
    """`start()` it as often as needed: after `stop()` (SIGTERM), `kill()` (SIGKILL) or an end of its own."""
    command = [sys.executable, str(CHECKOUT / "worker.py"), *arguments]
    return ManagedProcess(name, command, log, environ=environ, folder=CHECKOUT)
