"""An embedded PostgreSQL of our own: one cluster in the state folder, reached over 127.0.0.1 with a password."""

import hashlib
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

import psycopg
from psycopg import sql

from localstack import ports
from localstack.errors import LocalStackError
from localstack.postgres_tools import SHARED_PLACE, PostgresTools, find_postgres_tools
from localstack.process import ManagedProcess

USER = "openorders"
DATABASE = "openorders"

_SETTINGS = {
    "listen_addresses": ports.HOST,
    # No socket file: nothing to find a short path for, nothing left in /tmp after a crash.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "log_min_duration_statement": "2s",
}

# For databases that are thrown away after the test. Commits still reach the kernel before they are answered:
# with synchronous_commit off too, a killed server has lost what it had confirmed (seen).
_FORGETFUL = {"fsync": "off", "full_page_writes": "off"}

# The backends of a killed server hold its shared memory until they notice, and it cannot start before.
_START_AGAIN_SECONDS = 5
_READY_SECONDS = 60


class Postgres:
    """`durable=False` gives up safety against a power cut for speed; a kill of the server loses nothing either way.

    `extension` names one that its databases must be able to create.
    """

    def __init__(self, state_dir: Path, port: int = 0, *, durable: bool = True, extension: str | None = None) -> None:
        self.state_dir = state_dir
        self._port = port
        self._durable = durable
        self._extension = extension
        self._tools: PostgresTools | None = None
        self.process: ManagedProcess | None = None
        self._root = state_dir.resolve()

    @property
    def port(self) -> int:
        """Known after the first start, and the same for every start after it."""
        return self._port

    @property
    def data_dir(self) -> Path:
        return self._root / "data"

    @property
    def dsn(self) -> str:
        """Of the database that every start makes sure of, as SQLAlchemy wants it."""
        return self.dsn_of(DATABASE)

    @property
    def password(self) -> str:
        """Of `USER`, made with the cluster."""
        return self._password_file().read_text()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    def reached_at(self) -> tuple[int, str]:
        """Port and password of the server that runs on this state, whoever started it."""
        lock = self.data_dir / "postmaster.pid"
        if not lock.exists():
            raise LocalStackError(f"no PostgreSQL runs on {self.state_dir}")
        return int(lock.read_text().splitlines()[3]), self.password

    def dsn_of(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}:{self.password}@{ports.HOST}:{self.port}/{database}"

    def start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Create the cluster if there is none and set the server going; `wait_until_ready` does the rest."""
        self._tools = self._tools or find_postgres_tools(extension=self._extension)
        self._root = self._place()
        if not self.data_dir.exists():
            self._initialize()
        self._stop_orphan()
        self._port = ports.choose(self._port, "OPENORDERS_POSTGRES_PORT")
        self.process = self._server()
        self.process.start()

    def wait_until_ready(self) -> None:
        assert self.process is not None, "launch() comes first"
        started = time.monotonic()
        while not self._accepts_us():
            waited = time.monotonic() - started
            if not self.process.running and waited < _START_AGAIN_SECONDS:
                time.sleep(0.1)
                self.process.start()
            elif not self.process.running or waited > _READY_SECONDS:
                self.process.kill()
                raise LocalStackError(f"PostgreSQL did not start; {self.process.log} ends:\n{self.process.log_tail()}")
            time.sleep(0.05)
        if not self._exists(DATABASE):
            self.create_database(DATABASE)

    def stop(self) -> None:
        """The fast shutdown: open transactions are rolled back, clients are cut off."""
        if self.process is not None:
            self.process.stop(signal.SIGINT)

    def kill(self) -> None:
        """As a crash would: the next start recovers from the write-ahead log."""
        if self.process is not None:
            self.process.kill()

    def create_database(self, name: str, template: str | None = None) -> str:
        """A new database, empty or a copy of another one that nobody is connected to; returns its DSN."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        with self._connect() as connection:
            connection.execute(statement)
        return self.dsn_of(name)

    def drop_database(self, name: str) -> None:
        """Also while somebody is connected to it: they are cut off."""
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def remove(self) -> None:
        """Stop it and delete the cluster with all its databases."""
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)
        if self.state_dir.is_symlink():
            self.state_dir.unlink()

    def _place(self) -> Path:
        """The state folder itself, or where root's tools' user cannot reach it, one in a place that it can."""
        assert self._tools is not None
        user = self._tools.user
        if user is None:
            self.state_dir.mkdir(parents=True, exist_ok=True)
            return self.state_dir
        if not self.state_dir.is_symlink():
            self.state_dir.mkdir(parents=True, exist_ok=True)
            self.state_dir.chmod(0o755)
            if user.can_enter(self.state_dir):
                return self.state_dir
            self.state_dir.rmdir()
        reachable = SHARED_PLACE / (
            "cluster-" + hashlib.sha256(str(self.state_dir.absolute()).encode()).hexdigest()[:16]
        )
        reachable.mkdir(parents=True, exist_ok=True)
        if not self.state_dir.is_symlink():
            self.state_dir.symlink_to(reachable)
        return reachable

    def _initialize(self) -> None:
        """Into a folder beside the final one, so that an initdb cut short is never taken for a cluster."""
        assert self._tools is not None
        unfinished = self._root / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = self._password_file()
        password_file.unlink(missing_ok=True)
        with open(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
        if self._tools.user:
            for path in (unfinished, password_file):
                os.chown(path, self._tools.user.uid, self._tools.user.gid)
        answer = self._tools.run(
            "initdb",
            f"--pgdata={unfinished}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # Text sorts the same on every machine, whatever languages are installed there.
            "--no-locale",
            *([] if self._durable else ["--no-sync"]),
        )
        if answer.returncode != 0:
            raise LocalStackError(f"initdb failed: {answer.stdout.strip()}")
        unfinished.rename(self.data_dir)

    def _stop_orphan(self) -> None:
        """End a server that still runs on our data because whoever started it was killed."""
        assert self._tools is not None
        if self.running:
            raise LocalStackError("PostgreSQL is running already")
        if not os.access(self.data_dir, os.R_OK | os.X_OK):
            raise LocalStackError(f"{self.data_dir} belongs to another user: use it as them, or remove it")
        lock = self.data_dir / "postmaster.pid"
        if not lock.exists():
            return
        pid, _, _, port, *_ = [*lock.read_text().splitlines(), "", "", "", ""]
        if port.isdecimal() and self._is_ours(int(port)):
            self._tools.run("pg_ctl", "stop", "-D", str(self.data_dir), "--mode=fast", "--wait")
        elif _runs_something_else(pid):
            # The number of a server that was killed has gone to another program, as it does when a container
            # starts again; PostgreSQL would take that one for itself and refuse to start for ever.
            lock.unlink(missing_ok=True)

    def _is_ours(self, port: int) -> bool:
        try:
            with self._connect(port) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row == (str(self.data_dir),)

    def _server(self) -> ManagedProcess:
        assert self._tools is not None
        settings = _SETTINGS | {"port": str(self._port)} | ({} if self._durable else _FORGETFUL)
        return ManagedProcess(
            "PostgreSQL",
            [
                self._tools.path("postgres"),
                "-D",
                str(self.data_dir),
                *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
            ],
            self._root / "postgres.log",
            environ={"PATH": os.defpath, "LC_ALL": "C"},
            user=self._tools.user,
            signal_when_orphaned=signal.SIGINT,
        )

    def _accepts_us(self) -> bool:
        try:
            with self._connect():
                return True
        except psycopg.OperationalError:
            return False

    def _exists(self, database: str) -> bool:
        with self._connect() as connection:
            return connection.execute("SELECT FROM pg_database WHERE datname = %s", [database]).rowcount == 1

    def _connect(self, port: int | None = None) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=ports.HOST,
            port=port or self.port,
            user=USER,
            password=self.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def _password_file(self) -> Path:
        return self._root / "password"


def _runs_something_else(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() != "postgres"
    except OSError:
        return False
