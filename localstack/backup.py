"""`make backup` and `make restore`: both databases of `make up`, copied while orders are open, and put back.

Temporal's is copied first. Then PostgreSQL can only be ahead of it, never behind: an order takes up rows that are ahead
(docs/decisions/0018-rows-all-or-none.md), and can make up no rows that were lost.

The keys of customers come last and into a file of their own: only its newest copy is to be kept, so that whoever was
erased since cannot be read in any copy of the data (docs/decisions/0030-a-data-key-per-customer.md).
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from localstack.errors import LocalStackError
from localstack.locks import file_lock
from localstack.ports import HOST
from localstack.postgres import DATABASE, USER, Postgres
from localstack.postgres_tools import PostgresTools, find_postgres_tools
from localstack.worker_process import state_dir

TEMPORAL_FILE = "temporal.db"
POSTGRES_FILE = "openorders.dump"
KEYS_FILE = "keys.dump"

KEY_TABLES = ("customer_keys", "search_key", "order_search")
"""Without the last one a guess whose mail address it was could be tried on the hashes in old copies."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="localstack.backup", description=__doc__)
    parser.add_argument("command", choices=["backup", "restore"])
    parser.add_argument("folder", type=Path, help="where the copies are, or are to be")
    parser.add_argument("--keys", type=Path, metavar="FILE", help=f"of the keys; {KEYS_FILE} in the folder by default")
    given = parser.parse_args(arguments)
    try:
        if given.command == "backup":
            back_up(state_dir(), given.folder, given.keys)
        else:
            restore(given.folder, state_dir(), given.keys)
    except LocalStackError as error:
        print(f"{given.command}: {error}", file=sys.stderr)
        return 1
    print(f"{given.command}: done, {given.folder}")
    return 0


def back_up(state: Path, folder: Path, keys: Path | None = None) -> None:
    """Both, of servers that may run meanwhile. A file of `keys` that is there is replaced by the newer one."""
    if folder.exists() and any(folder.iterdir()):
        raise LocalStackError(f"{folder} holds something already")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # what people typed is in both
    back_up_temporal(state, folder)
    postgres = Postgres(state / "postgres")
    back_up_postgres(postgres, folder)
    back_up_keys(postgres, keys or folder / KEYS_FILE)


def back_up_temporal(state: Path, folder: Path) -> None:
    """By SQLite's own online backup: one moment of the file, whoever writes to it meanwhile."""
    source = state / "temporal" / TEMPORAL_FILE
    if not source.exists():
        raise LocalStackError(f"there is no state of Temporal in {source.parent}")
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as live,
        closing(sqlite3.connect(folder / TEMPORAL_FILE)) as copy,
    ):
        live.backup(copy)


def back_up_postgres(postgres: Postgres, folder: Path) -> None:
    """By `pg_dump`: one moment of the database, without the keys."""
    without = [f"--exclude-table-data={table}" for table in KEY_TABLES]
    with open(folder / POSTGRES_FILE, "wb") as file:
        _run(find_postgres_tools(), postgres, ["pg_dump", "--format=custom", *without], stdout=file)


def back_up_keys(postgres: Postgres, file: Path) -> None:
    """After the data, so that it holds the key of everybody who is in them. Whole, or as it was before."""
    tables = [f"--table={table}" for table in KEY_TABLES]
    new = file.with_name(f"{file.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
        _run(find_postgres_tools(), postgres, ["pg_dump", "--format=custom", "--data-only", *tables], stdout=target)
        os.fsync(target.fileno())
    new.replace(file)


def restore(folder: Path, state: Path, keys: Path | None = None) -> None:
    """Into an empty state folder; whatever runs there, or lies there, is refused."""
    keys = keys or folder / KEYS_FILE
    for path in (folder / TEMPORAL_FILE, folder / POSTGRES_FILE, keys):
        if not path.is_file():
            raise LocalStackError(f"there is no {path.name} in {path.parent}")
    for part in ("postgres", "temporal"):
        if (state / part).exists():
            raise LocalStackError(f"{state / part} is there already: move it away first")
    state.mkdir(parents=True, exist_ok=True)
    with file_lock(state / "lock", lambda: _refuse(state)):
        postgres = Postgres(state / "postgres")
        postgres.start()
        try:
            restore_postgres(postgres, folder / POSTGRES_FILE, keys)
        finally:
            postgres.stop()
        (state / "temporal").mkdir()
        shutil.copy(folder / TEMPORAL_FILE, state / "temporal" / TEMPORAL_FILE)


def restore_postgres(postgres: Postgres, data: Path, keys: Path) -> None:
    """Into an empty database; the keys may be newer than the data."""
    for path in (data, keys):
        with open(path, "rb") as file:
            _run(find_postgres_tools(), postgres, ["pg_restore", "--exit-on-error", "--no-owner"], stdin=file)


def _refuse(state: Path) -> None:
    raise LocalStackError(f"something runs on {state}: stop it first")


def _run(tools: PostgresTools, postgres: Postgres, command: list[str], **files: object) -> None:
    """The password goes by the environment: arguments can be read by every user of the machine."""
    tool, *arguments = command
    port, password = postgres.reached_at()
    done = subprocess.run(
        [
            tools.path(tool),
            *arguments,
            f"--host={HOST}",
            f"--port={port}",
            f"--username={USER}",
            f"--dbname={DATABASE}",
        ],
        check=False,
        env={"PATH": os.defpath, "LC_ALL": "C", "PGPASSWORD": password},
        stderr=subprocess.PIPE,
        **files,  # type: ignore[call-overload]
    )
    if done.returncode != 0:
        raise LocalStackError(f"{tool} failed: {done.stderr.decode().strip()}")


if __name__ == "__main__":
    sys.exit(main())
