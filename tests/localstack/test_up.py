"""`make up` as an operator runs it: killed with all that it started, it goes on with the orders that were open."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from localstack import ports
from localstack.up import COMMANDS_TO_TRY
from tests.encryption import NEW, OLD

CHECKOUT = Path(__file__).parents[2]
PORT_SETTINGS = ("POSTGRES", "TEMPORAL", "TEMPORAL_UI", "SMTP", "MAILS", "WEB")


@pytest.mark.slow
def test_after_a_kill_of_everything_a_second_up_carries_open_orders_on_to_delivered(
    state_dir: Path, tmp_path: Path
) -> None:
    settings = {f"OPENORDERS_{name}_PORT": str(ports.choose(0, name)) for name in PORT_SETTINGS}
    settings["OPENORDERS_STATE_DIR"] = str(state_dir)
    order = json.loads((CHECKOUT / "schemas" / "examples" / "order.json").read_text(encoding="utf-8"))
    order |= {"order_id": "up-1", "shipping": {"method": "NextDay", "price": 499}, "clock": {"factor": 8640.0}}
    body = tmp_path / "order.json"
    body.write_text(json.dumps(order), encoding="utf-8")

    with up(settings) as first:
        starter = Starter(state_dir)
        starter.run("stock", "load", "schemas/examples/catalog.json")
        starter.run("place", str(body))
        starter.until("up-1", lambda status: bool(status["fulfillments"]))
        packed = {"by": "seller:acme", "fulfillment_id": "acme-1"}
        contents = [{"line_id": "1", "sku": "MUG-BLUE", "quantity": 2}]
        starter.run("pack", "up-1", "--input", json.dumps(packed | {"parcels": [{"contents": contents}]}))
        children = children_of(first.pid)
        assert len(children) == 4  # PostgreSQL, Temporal, the worker, the web
        for pid in (first.pid, *children):
            kill(pid)

    with up(settings):
        assert starter.run("status", "up-1")["status"] == "Unshipped"
        starter.run("ship", "up-1", "--input", json.dumps(packed))
        starter.until("up-1", lambda status: status["status"] == "Delivered")
        assert starter.run("check") == {"violations": []}


@pytest.mark.slow
def test_the_commands_that_up_shows_work_as_they_stand(state_dir: Path) -> None:
    """With keys in the environment, as docs/encryption.md says."""
    settings = {f"OPENORDERS_{name}_PORT": str(ports.choose(0, name)) for name in PORT_SETTINGS}
    settings["OPENORDERS_ENCRYPTION_KEYS"] = f"{NEW}\n{OLD}"
    with up(settings | {"OPENORDERS_STATE_DIR": str(state_dir)}):
        starter = Starter(state_dir)
        answers = [starter.run(*command.split()[1:]) for command in COMMANDS_TO_TRY]
    assert answers[-1]["order_id"] == "1042"


class Starter:
    """`starter.py` in another terminal, told where the servers are by the file that `make up` writes."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    def run(self, *arguments: str) -> Any:
        file = dotenv_values(self._state_dir / "env")
        environment = os.environ | {name: value for name, value in file.items() if value is not None}
        answer = subprocess.run(
            [sys.executable, "starter.py", *arguments, "--json", "--timeout", "30"],
            check=False,
            capture_output=True,
            text=True,
            cwd=CHECKOUT,
            env=environment,
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def until(self, order_id: str, is_so: Callable[[Any], bool]) -> None:
        deadline = time.monotonic() + 120
        while not is_so(status := self.run("status", order_id)):
            assert time.monotonic() < deadline, status
            time.sleep(1)


@contextmanager
def up(settings: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """Inside, everything runs; ended with Ctrl-C unless it was killed."""
    with subprocess.Popen(
        [sys.executable, "-m", "localstack.up"],
        cwd=CHECKOUT,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            while not re.search("Ctrl-C stops everything", said):
                line = process.stdout.readline()
                assert line, said
                said += line
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def children_of(pid: int) -> list[int]:
    answer = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], check=True, capture_output=True, text=True)
    names = {int(line) for line in answer.stdout.split()}
    return sorted(names)


def kill(pid: int) -> None:
    # The kernel may be faster: it ends children whose parent has died.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
