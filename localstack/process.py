"""A server process: its log file, its orderly end and its sudden one."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localstack import guard
from localstack.errors import LocalStackError
from localstack.tools_user import ToolsUser

_GUARD = str(Path(guard.__file__).resolve())
_LOG_BYTES_MAX = 20_000_000

# "Parent" means the starting *thread* to the kernel: a child that was started in a thread pool's thread gets its
# death signal when that thread ends. So one thread starts all children and lives as long as this process.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="localstack-starter")


class ManagedProcess:
    """A child that never outlives us: ended by `stop()`, and by the kernel (Linux) if we are killed ourselves."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environ: Mapping[str, str],
        folder: Path = Path("/"),
        user: ToolsUser | None = None,
        signal_when_orphaned: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.log = log
        self._command = tuple(command)
        self._environ = dict(environ)
        self._folder = folder
        self._user = user
        self._signal_when_orphaned = signal_when_orphaned
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the running process, or of the last one that ran; raises if there was none."""
        if self._process is None:
            raise LocalStackError(f"{self.name} was never started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        if self.running:
            raise LocalStackError(f"{self.name} is running already")
        _rotate(self.log)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self._process = _STARTER.submit(self._spawn).result()

    def stop(self, by: signal.Signals = signal.SIGTERM, patience_seconds: float = 20) -> None:
        """Ask it to end; end it the hard way when it has not done so in time."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(by)
        try:
            self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._process is None:
            return
        if self.running:
            self._process.kill()
        self._process.wait()

    def ends_within(self, seconds: float) -> bool:
        assert self._process is not None, "start() comes first"
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill_group(self) -> None:
        """SIGKILL it and whatever it has started and left in its process group."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def says(self, text: str) -> bool:
        """Whether it has written this into its log since its last start."""
        if not self.log.exists():
            return False
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return text.encode() in log.read()

    def log_tail(self, lines: int = 12) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 10_000))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def _spawn(self) -> subprocess.Popen[bytes]:
        user = f"{self._user.uid}:{self._user.gid}" if self._user else ""
        guarded = [sys.executable, "-I", "-S", _GUARD, str(os.getpid()), str(int(self._signal_when_orphaned)), user]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*guarded, *self._command],
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C in the terminal reaches us alone, and we end the servers in order.
                start_new_session=True,
            )


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
        log.replace(log.with_name(log.name + ".1"))
