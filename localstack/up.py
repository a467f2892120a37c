"""`make up`: the servers and a worker on fixed ports, left running until Ctrl-C, with state kept in `.openorders/`.

OPENORDERS_STATE_DIR names another folder; `starter.py` finds the servers of the first one by itself.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from localstack.errors import LocalStackError
from localstack.ports import Ports
from localstack.process import ManagedProcess
from localstack.stack import Stack, ended_by_signals
from localstack.worker_process import state_dir, wait_until_ready
from workflows.names import SEARCH_ATTRIBUTES

COMMANDS_TO_TRY = (
    "starter.py stock load schemas/examples/catalog.json",
    "starter.py place schemas/examples/order.json",
    "starter.py status 1042",
)

# Read by `starter.py` in another terminal, which must find the same servers and know the database's password.
_ENVIRONMENT_FILE = "env"

# A worker that cannot start at all would otherwise be started hundreds of times a minute.
_RESTART_SECONDS = 2


def main() -> int:
    try:
        with ended_by_signals(), _stack() as stack, _environment_file(stack):
            worker = stack.worker()
            worker.start()
            wait_until_ready(worker)
            print(_table(stack), flush=True)
            _watch(worker)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0
    except LocalStackError as error:
        print(f"make up: {error}", file=sys.stderr)
        return 1


def _stack() -> Stack:
    return Stack(state_dir(), Ports.fixed(os.environ), search_attributes=SEARCH_ATTRIBUTES)


@contextmanager
def _environment_file(stack: Stack) -> Iterator[None]:
    path = stack.state_dir / _ENVIRONMENT_FILE
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in stack.addresses.items())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _watch(worker: ManagedProcess) -> NoReturn:
    while True:
        if not worker.ends_within(3600):
            continue
        print(f"The worker ended with {worker.exit_code}; {worker.log} ends:\n{worker.log_tail()}", flush=True)
        time.sleep(_RESTART_SECONDS)
        worker.start()
        print("The worker was started again: open orders go on.", flush=True)


def _table(stack: Stack) -> str:
    rows = [
        ("Orders in the Temporal UI", f"{stack.temporal.ui_url}/namespaces/default/workflows"),
        ("Mails", stack.mails.url),
        ("Database", stack.postgres.dsn),
        ("Temporal (TEMPORAL_ADDRESS)", stack.temporal.address),
        ("SMTP", f"{stack.mails.smtp_host}:{stack.mails.smtp_port}"),
        ("Logs", str(stack.state_dir)),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {value}" for name, value in rows]
    tries = [f"  .venv/bin/python {command}" for command in COMMANDS_TO_TRY]
    return "\n".join(["", *lines, "", "Try, in another terminal:", *tries, "", "Ctrl-C stops everything."])


if __name__ == "__main__":
    sys.exit(main())
