"""Builds of the worker that differ: copies of the checkout's code with a real change, run as processes of their own."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from localstack.process import ManagedProcess
from localstack.stack import Stack
from localstack.worker_process import CHECKOUT, wait_until_ready

_CODE = ("domain", "store", "adapters", "activities", "workflows", "usecases")


class Change(NamedTuple):
    """In one file: what stands there now, and what shall. With `before` empty the file is a new one."""

    path: str
    before: str
    after: str


def copy_with(changes: Sequence[Change], folder: Path) -> Path:
    """The code that a worker runs, changed; fails where a place that a change is for is not there any more."""
    for name in _CODE:
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "worker.py", folder)
    for path, before, after in changes:
        file = folder / path
        text = file.read_text() if before else ""
        assert before == text or text.count(before) == 1, f"{path} has not exactly one: {before}"
        file.write_text(text.replace(before, after) if before else after)
    return folder


class Build:
    """A worker of one build: the checkout's own code, or a changed copy of it."""

    def __init__(self, stack: Stack, build_id: str | None, code: Path = CHECKOUT, **environ: str) -> None:
        self.build_id = build_id
        self._named = {"OPENORDERS_BUILD_ID": build_id} if build_id else {}
        self.process = ManagedProcess(
            f"build {build_id or code.name}",
            [sys.executable, str(code / "worker.py")],
            stack.state_dir / f"worker-{build_id or code.name}.log",
            environ=stack.environment | environ | self._named,
            folder=code,
        )

    def start(self) -> "Build":
        self.process.start()
        wait_until_ready(self.process)
        return self

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        self.process.kill()
