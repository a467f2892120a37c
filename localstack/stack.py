"""All servers that openorders needs, started together and ended together."""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Self

from localstack.errors import LocalStackError
from localstack.locks import file_lock
from localstack.mailsink import MailSink
from localstack.ports import HOST, Ports, choose
from localstack.postgres import Postgres
from localstack.process import ManagedProcess
from localstack.production_temporal import ProductionTemporal
from localstack.temporal import NAMESPACE, TemporalServer, without_temporal_settings
from localstack.temporal_binary import find_temporal
from localstack.worker_process import web_process, worker_process

_ENCRYPTION_KEYS = ("OPENORDERS_ENCRYPTION_KEYS", "OPENORDERS_ENCRYPTION_KEYS_FILE")


class Stack:
    """PostgreSQL, Temporal and a mail sink with their state in one folder; a context manager.

    `durable=False` is for state that is thrown away: PostgreSQL then does not wait for the disk. `production=True`
    takes Temporal's production server in place of its development server.
    """

    def __init__(
        self,
        state_dir: Path,
        ports: Ports | None = None,
        *,
        search_attributes: Mapping[str, str] | None = None,
        durable: bool = True,
        production: bool = False,
        say: Callable[[str], None] = print,
    ) -> None:
        ports = ports or Ports()
        self.state_dir = state_dir.absolute()
        self.postgres = Postgres(self.state_dir / "postgres", ports.postgres, durable=durable)
        temporal_dir = self.state_dir / "temporal"
        self.temporal: TemporalServer = (
            ProductionTemporal(temporal_dir, ports.temporal, search_attributes=search_attributes)
            if production
            else TemporalServer(temporal_dir, ports.temporal, ports.temporal_ui, search_attributes=search_attributes)
        )
        self.mails = MailSink(self.state_dir / "mails", ports.smtp, ports.mails)
        self._web_port = ports.web
        if any(os.environ.get(name) for name in _ENCRYPTION_KEYS):
            self.temporal.codec_endpoint = f"{self.web_url}/codec"
        self._secret_key = _kept_secret(self.state_dir / "secret") if durable else secrets.token_urlsafe(32)
        self._workers: list[ManagedProcess] = []
        self._say = say
        self._ends = ExitStack()

    @classmethod
    @contextmanager
    def temporary(
        cls,
        search_attributes: Mapping[str, str] | None = None,
        say: Callable[[str], None] = print,
        *,
        production: bool = False,
    ) -> "Iterator[Stack]":
        """A running stack on free ports that leaves nothing behind, for the demo and the tests.

        With `production`, its databases wait for the disk, too.
        """
        with tempfile.TemporaryDirectory(prefix="openorders-", ignore_cleanup_errors=True) as folder:
            # Where we are root, PostgreSQL's user must get through to its part.
            os.chmod(folder, 0o755)
            stack = cls(
                Path(folder),
                search_attributes=search_attributes,
                durable=production,
                production=production,
                say=say,
            )
            try:
                with stack:
                    yield stack
            finally:
                stack.remove()

    @property
    def environment(self) -> dict[str, str]:
        """Our own environment, with a developer's settings for other servers replaced by the ones of these."""
        return without_temporal_settings(os.environ) | self.addresses

    @property
    def addresses(self) -> dict[str, str]:
        """Just the settings that name these servers."""
        return {
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "OPENORDERS_DATABASE_URL": self.postgres.dsn,
            "OPENORDERS_SMTP_HOST": self.mails.smtp_host,
            "OPENORDERS_SMTP_PORT": str(self.mails.smtp_port),
            "OPENORDERS_WEB_ADDRESS": f"{HOST}:{self.web_port}",
            "OPENORDERS_WEB_URL": self.web_url,
            "OPENORDERS_SECRET_KEY": self._secret_key,
        } | ({"OPENORDERS_TEMPORAL_UI_URL": ui_url} if (ui_url := self.temporal.ui_url) else {})

    @property
    def web_port(self) -> int:
        """Known from the first question on, and the same from then on."""
        if self._web_port == 0:
            self._web_port = choose(0, "OPENORDERS_WEB_PORT")
        return self._web_port

    @property
    def web_url(self) -> str:
        return f"http://{HOST}:{self.web_port}"

    def start(self) -> None:
        """Side by side where they take long; all or none of them run afterwards."""
        temporal_binary = find_temporal(say=self._say)
        with ExitStack() as ends:
            ends.enter_context(file_lock(self.state_dir / "lock", self._refuse_second))
            self.temporal.use(temporal_binary)
            ends.callback(self.temporal.stop)
            self.temporal.launch()
            ends.callback(self.postgres.stop)
            self.postgres.launch()
            ends.callback(self.mails.stop)
            self.mails.start()
            self.postgres.wait_until_ready()
            self.temporal.wait_until_ready()
            self._ends = ends.pop_all()

    def stop(self) -> None:
        """Workers first, so that none of them complains of servers that are gone."""
        for worker in self._workers:
            worker.stop()
        self._ends.close()

    def remove(self) -> None:
        """Stop everything and delete its state, also the part of it that root keeps elsewhere."""
        self.stop()
        self.temporal.remove()
        self.postgres.remove()
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def remove_leftovers(self) -> None:
        """Delete what a killed owner of the same folder has left, before the start. Refused while one runs."""
        if self.state_dir.exists():
            with file_lock(self.state_dir / "lock", self._refuse_second):
                self.temporal.remove()
                self.postgres.remove()
            shutil.rmtree(self.state_dir, ignore_errors=True)

    def worker(self, extra: Mapping[str, str] | None = None, arguments: Sequence[str] = ()) -> ManagedProcess:
        """A worker for these servers, not started yet; ended with the stack."""
        number = len(self._workers) + 1
        log = self.state_dir / ("worker.log" if number == 1 else f"worker-{number}.log")
        worker = worker_process(self.environment | dict(extra or {}), log, arguments, name=f"worker {number}")
        self._workers.append(worker)
        return worker

    def web(self, extra: Mapping[str, str] | None = None) -> ManagedProcess:
        """The API and the pages for these servers, not started yet; ended with the stack, before the worker."""
        web = web_process(self.environment | dict(extra or {}), self.state_dir / "web.log")
        self._workers.insert(0, web)
        return web

    def _refuse_second(self) -> None:
        raise LocalStackError(f"a stack already runs on {self.state_dir}: stop that one first")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        with signals_held_back():
            self.stop()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the block as Ctrl-C does, by an exception, so that `with` blocks clean up.

    Ctrl-C itself is set too: a shell that starts us in the background has it ignored.
    """

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    previous[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """A second, impatient Ctrl-C must not leave half of the servers running; ending them is bounded in time.

    Does nothing outside the main thread, where signals are not handled anyway.
    """
    held = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        previous = {number: signal.signal(number, signal.SIG_IGN) for number in held}
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _kept_secret(path: Path) -> str:
    """The same at every start: links in mails and sessions outlive a night."""
    if path.exists():
        return path.read_text()
    secret = secrets.token_urlsafe(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
    return secret
