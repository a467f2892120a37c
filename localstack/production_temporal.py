"""Temporal's server as in production: its four services in one process, on a PostgreSQL cluster of their own."""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from localstack import ports
from localstack.errors import LocalStackError
from localstack.go_build import Say, go_install, only_one, unfinished
from localstack.postgres import USER, Postgres
from localstack.process import ManagedProcess
from localstack.temporal import NAMESPACE, TemporalServer, without_temporal_settings
from localstack.temporal_binary import cache_dir
from localstack.worker_process import CHECKOUT

VERSION = "1.29.1"
"""The server that the command line client of `temporal_binary` carries, so that the two can be compared."""

CONFIG = CHECKOUT / "deploy" / "temporal"
"""`production.yaml`, which takes its values from the environment, and `dynamic.yaml`; compose uses them, too."""

DATABASES = {"temporal": "postgresql/v12/temporal", "temporal_visibility": "postgresql/v12/visibility"}
"""Each with its schema, as the schema tool carries them."""

ARGUMENTS = ("--config", ".", "--env", "production", "--allow-no-auth")
"""Of the server, before its root folder and `start`. Whoever reaches its port may do everything: keep it inside."""

_SERVER = f"go.temporal.io/server/cmd/server@v{VERSION}"
_SQL_TOOL = f"go.temporal.io/server/cmd/tools/sql@v{VERSION}"
_PORTS = (
    "FRONTEND_MEMBERSHIP_PORT",
    "HISTORY_PORT",
    "HISTORY_MEMBERSHIP_PORT",
    "MATCHING_PORT",
    "MATCHING_MEMBERSHIP_PORT",
    "WORKER_PORT",
    "WORKER_MEMBERSHIP_PORT",
)
_EXTENSION = "btree_gin"
"""Of the schema that orders are searched in."""

_RETENTION = "24h"
"""As on the development server."""

_SCHEMA_SECONDS = 120
_READY_SECONDS = 120


class Programs(NamedTuple):
    server: Path
    sql_tool: Path


def find_programs(environ: Mapping[str, str] = os.environ, say: Say = print) -> Programs:
    """Built once into the cache. Needs Go and takes minutes the first time, and says so."""
    home = cache_dir(environ) / f"temporal-server-{VERSION}"
    programs = Programs(home / "temporal-server", home / "temporal-sql-tool")
    if all(program.exists() for program in programs):
        return programs
    what = "Temporal's production server"
    with only_one(home, what, say), unfinished(home) as folder:
        for package, program in zip((_SERVER, _SQL_TOOL), programs, strict=True):
            # Whoever held the lock before us may have made it.
            if not program.exists():
                go_install(package, folder, f"{what} ({program.name})", "2 to 6", environ, say)
                (folder / package.partition("@")[0].rpartition("/")[2]).replace(program)
    return programs


class ProductionTemporal(TemporalServer):
    """In place of the development server, without pages: it writes to PostgreSQL, which waits for the disk."""

    def __init__(self, state_dir: Path, port: int = 0, *, search_attributes: Mapping[str, str] | None = None) -> None:
        super().__init__(state_dir, port, search_attributes=search_attributes)
        self.postgres = Postgres(state_dir / "postgres", extension=_EXTENSION)
        self._programs: Programs | None = None

    @property
    def ui_url(self) -> None:
        return None

    @property
    def database_pid(self) -> int | None:
        assert self.postgres.process is not None, "launch() comes first"
        return self.postgres.process.pid

    def launch(self) -> None:
        """Bring the schema up to date and set the server going."""
        if self.running:
            raise LocalStackError("Temporal is running already")
        self._programs = self._programs or find_programs()
        if not self.postgres.running:
            self.postgres.start()
        self._set_up_schema(self._programs.sql_tool)
        self._port = ports.choose(self._port, "OPENORDERS_TEMPORAL_PORT")
        self.process = ManagedProcess(
            "Temporal",
            [str(self._programs.server), *ARGUMENTS, "--root", str(CONFIG), "start"],
            self.state_dir / "temporal.log",
            environ=self.server_environment(),
        )
        self.process.start()

    def wait_until_ready(self) -> None:
        """Until a question about our search attributes is answered, which takes all four services."""
        assert self.process is not None, "launch() comes first"
        deadline = time.monotonic() + _READY_SECONDS
        while not (ports.answers(self._port) and self._says("operator", "cluster", "health") and self._registered()):
            if not self.process.running or time.monotonic() > deadline:
                self.process.kill()
                raise LocalStackError(f"Temporal did not start; {self.process.log} ends:\n{self.process.log_tail()}")
            time.sleep(0.2)

    def stop(self) -> None:
        super().stop()
        self.postgres.stop()

    def remove(self) -> None:
        self.stop()
        self.postgres.remove()

    def server_environment(self) -> dict[str, str]:
        """What `production.yaml` asks for; the ports of the services are free ones, new at every start."""
        return (
            without_temporal_settings(os.environ)
            | self._sql_environment()
            | {name: str(ports.choose(0, name)) for name in _PORTS}
            | {
                "FRONTEND_IP": ports.HOST,
                "FRONTEND_PORT": str(self._port),
                "DYNAMIC_CONFIG": str(CONFIG / "dynamic.yaml"),
            }
        )

    def _sql_environment(self) -> dict[str, str]:
        return {
            "SQL_PLUGIN": "postgres12",
            "SQL_HOST": ports.HOST,
            "SQL_PORT": str(self.postgres.port),
            "SQL_USER": USER,
            "SQL_PASSWORD": self.postgres.password,
        }

    def _set_up_schema(self, sql_tool: Path) -> None:
        for database, schema in DATABASES.items():
            for words in schema_commands(schema):
                answer = subprocess.run(
                    [sql_tool, "--database", database, *words],
                    check=False,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    env=without_temporal_settings(os.environ) | self._sql_environment(),
                    timeout=_SCHEMA_SECONDS,
                )
                if answer.returncode != 0:
                    raise LocalStackError(f"setting up {database} failed at {words[0]}:\n{answer.stdout[-2000:]}")

    def _registered(self) -> bool:
        """The namespace with its search attributes: made where they are not, and known to the services."""
        if not self._says("operator", "namespace", "describe", "--namespace", NAMESPACE):
            self._says("operator", "namespace", "create", "--namespace", NAMESPACE, "--retention", _RETENTION)
            return False
        if self._search_attributes and not self._asks_for(next(iter(self._search_attributes))):
            attributes = self._search_attributes.items()
            self._says(
                "operator",
                "search-attribute",
                "create",
                "--namespace",
                NAMESPACE,
                *(word for name, kind in attributes for word in ("--name", name, "--type", kind)),
            )
            return False
        return self._says("workflow", "count", "--namespace", NAMESPACE)

    def _asks_for(self, attribute: str) -> bool:
        return self._says("workflow", "count", "--namespace", NAMESPACE, "--query", f"{attribute} IS NULL")


def schema_commands(schema: str) -> tuple[tuple[str, ...], ...]:
    """Of the schema tool; all of them may be given again, which brings an older schema up to date."""
    return (
        ("create-database",),
        ("setup-schema", "--version", "0.0"),
        ("update-schema", "--schema-name", schema),
    )
