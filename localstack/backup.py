"""`make backup` and `make restore`: both databases of `make up`, copied while orders are open, and put back.

Temporal's is copied first. Then PostgreSQL can only be ahead of it, never behind: an order takes up rows that are ahead
(docs/decisions/0018-rows-all-or-none.md), and can make up no rows that were lost.
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="localstack.backup", description=__doc__)
    parser.add_argument("command", choices=["backup", "restore"])
    parser.add_argument("folder", type=Path, help="where the copies are, or are to be")
    given = parser.parse_args(arguments)
    try:
        if given.command == "backup":
            back_up(state_dir(), given.folder)
        else:
            restore(given.folder, state_dir())
    except LocalStackError as error:
        print(f"{given.command}: {error}", file=sys.stderr)
        return 1
    print(f"{given.command}: done, {given.folder}")
    return 0


def back_up(state: Path, folder: Path) -> None:
    """Both, of servers that may run meanwhile."""
    if folder.exists() and any(folder.iterdir()):
        raise LocalStackError(f"{folder} holds something already")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # names and addresses are in both
    back_up_temporal(state, folder)
    back_up_postgres(Postgres(state / "postgres"), folder)


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
    """By `pg_dump`: one moment of the database."""
    with open(folder / POSTGRES_FILE, "wb") as file:
        _run(find_postgres_tools(), postgres, ["pg_dump", "--format=custom"], stdout=file)


def restore(folder: Path, state: Path) -> None:
    """Into an empty state folder; whatever runs there, or lies there, is refused."""
    for name in (TEMPORAL_FILE, POSTGRES_FILE):
        if not (folder / name).is_file():
            raise LocalStackError(f"there is no {name} in {folder}")
    for part in ("postgres", "temporal"):
        if (state / part).exists():
            raise LocalStackError(f"{state / part} is there already: move it away first")
    state.mkdir(parents=True, exist_ok=True)
    with file_lock(state / "lock", lambda: _refuse(state)):
        postgres = Postgres(state / "postgres")
        postgres.start()
        try:
            with open(folder / POSTGRES_FILE, "rb") as file:
                _run(find_postgres_tools(), postgres, ["pg_restore", "--exit-on-error", "--no-owner"], stdin=file)
        finally:
            postgres.stop()
        (state / "temporal").mkdir()
        shutil.copy(folder / TEMPORAL_FILE, state / "temporal" / TEMPORAL_FILE)


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
