"""`make up`: the servers, a worker and the web on fixed ports until Ctrl-C, with state kept in `.openorders/`.

OPENORDERS_STATE_DIR names another folder; `starter.py` finds the servers of the first one by itself.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from domain.access import Scope
from domain.keyring import BadKeys, read_keys, written
from localstack.errors import LocalStackError
from localstack.ports import Ports
from localstack.process import ManagedProcess
from localstack.stack import Stack, ended_by_signals
from localstack.worker_process import state_dir, wait_until_ready
from store.database import Database
from store.keys import Keys
from usecases.keys import new_key
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
_LOOK_SECONDS = 0.5
_KEY_LABEL = "make up"


def main() -> int:
    try:
        with ended_by_signals(), _stack() as stack, _environment_file(stack):
            processes = (stack.worker(), stack.web())
            for process in processes:
                process.start()
            for process in processes:
                wait_until_ready(process)
            print(_table(stack, asyncio.run(_support_key(stack))), flush=True)
            _watch(processes)
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
        file.writelines(f"{name}={value}\n" for name, value in (stack.addresses | _encryption()).items())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _encryption() -> dict[str, str]:
    """What whoever reads the file must know to read orders too; one line, whatever the keys were written on."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("OPENORDERS_ENCRYPTION")}
    if keys := settings.get("OPENORDERS_ENCRYPTION_KEYS"):
        try:
            settings["OPENORDERS_ENCRYPTION_KEYS"] = ",".join(written(*key) for key in read_keys(keys).items())
        except BadKeys as error:
            raise LocalStackError(f"OPENORDERS_ENCRYPTION_KEYS: {error}") from None
    return settings


async def _support_key(stack: Stack) -> str:
    """A fresh one at each start; that of the last start is revoked."""
    database = Database(stack.postgres.dsn, pool_size=1)
    keys = Keys(database)
    try:
        for row in await keys.all():
            if row.label == _KEY_LABEL and row.revoked_at is None:
                await keys.revoke(row.key_id)
        return await new_key(keys, Scope.SUPPORT, _KEY_LABEL)
    finally:
        await database.close()


def _watch(processes: Sequence[ManagedProcess]) -> NoReturn:
    while True:
        time.sleep(_LOOK_SECONDS)
        for process in processes:
            if process.running:
                continue
            print(f"The {process.name} ended with {process.exit_code}; {process.log} ends:", flush=True)
            print(process.log_tail(), flush=True)
            time.sleep(_RESTART_SECONDS)
            process.start()
            print(f"The {process.name} was started again: open orders go on.", flush=True)


def _table(stack: Stack, support_key: str) -> str:
    rows = [
        ("Shop, pages of orders", stack.web_url),
        ("Sign in as support with", support_key),
        ("API", f"{stack.web_url}/docs"),
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
