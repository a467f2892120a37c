"""The command line as people use it: a process of its own, on servers of its own, with a worker process."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from localstack.process import ManagedProcess
from localstack.stack import Stack
from localstack.worker_process import CHECKOUT, wait_until_ready
from workflows.names import SEARCH_ATTRIBUTES


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal:
    """Types commands; `worker` may be stopped and started."""

    def __init__(self, stack: Stack, worker: ManagedProcess) -> None:
        self.stack = stack
        self.worker = worker

    def __call__(self, *words: str, stdin: str = "", **environment: str) -> Answer:
        done = subprocess.run(
            [sys.executable, "starter.py", *words],
            check=False,
            capture_output=True,
            text=True,
            input=stdin,
            env=self.stack.environment | environment,
            cwd=CHECKOUT,
            timeout=120,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def until(self, *words: str, path: str, value: Any) -> Any:
        """Ask with `--json` until the answer has this value."""
        for _ in range(60):
            answer = self(*words, "--json")
            if answer.code == 0 and answer.json.get(path) == value:
                return answer.json
            time.sleep(0.5)
        raise AssertionError(f"{words}: {path} never was {value!r}: {answer}")


@pytest.fixture(scope="session")
def starter() -> Iterator[Terminal]:
    """A stack of its own: the worker process takes the task queue that everybody's orders go to."""
    with Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        worker = stack.worker()
        worker.start()
        terminal = Terminal(stack, worker)
        wait_until_ready(worker)
        loaded = terminal("stock", "load", "schemas/examples/catalog.json")
        assert loaded.code == 0, loaded
        yield terminal
