"""The embedded Temporal development server with its web UI; its state is a file that is kept between runs."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from localstack import ports
from localstack.errors import LocalStackError
from localstack.process import ManagedProcess
from localstack.temporal_binary import find_temporal

NAMESPACE = "default"
_READY_SECONDS = 60

# Thirteen workflows a second become 33 with a file database, and nothing was lost in kills.
_SQLITE = ("journal_mode=WAL", "synchronous=NORMAL")

# The pollers are limited to 20 requests a second by default, which puts up to 50 ms on every hop of a workflow.
# Fairness between orders needs its flag and one partition.
_DYNAMIC_CONFIG = (
    "history.transferProcessorMaxPollRPS=1000",
    "history.timerProcessorMaxPollRPS=1000",
    "history.visibilityProcessorMaxPollRPS=1000",
    "system.enableActivityEagerExecution=true",
    "matching.enableFairness=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)


class TemporalServer:
    """`search_attributes`: name to type (Keyword, KeywordList, Datetime, ...), registered at every start.

    `dynamic_config` is `key=JSON`, beside our own. `codec_endpoint` is where the UI has payloads decrypted.
    """

    def __init__(
        self,
        state_dir: Path,
        port: int = 0,
        ui_port: int = 0,
        *,
        search_attributes: Mapping[str, str] | None = None,
        dynamic_config: Sequence[str] = (),
        codec_endpoint: str | None = None,
    ) -> None:
        self.state_dir = state_dir
        self._port = port
        self._ui_port = ui_port
        self._search_attributes = dict(search_attributes or {})
        self._dynamic_config = (*_DYNAMIC_CONFIG, *dynamic_config)
        self.codec_endpoint = codec_endpoint
        self._binary: Path | None = None
        self.process: ManagedProcess | None = None

    @property
    def address(self) -> str:
        return f"{ports.HOST}:{self._port}"

    @property
    def ui_url(self) -> str | None:
        """None where there are no pages."""
        return f"http://{ports.HOST}:{self._ui_port}"

    @property
    def binary(self) -> Path:
        """Also the command line client: any language's door to the orders."""
        if self._binary is None:
            self._binary = find_temporal()
        return self._binary

    def use(self, binary: Path) -> None:
        self._binary = binary

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    @property
    def pid(self) -> int:
        """Raises where it was never started."""
        if self.process is None:
            raise LocalStackError("Temporal was never started")
        return self.process.pid

    @property
    def database_pid(self) -> int | None:
        """Of the process that keeps its state, where that is another one."""
        return None

    def start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Set the server going; `wait_until_ready` does the rest."""
        if self.running:
            raise LocalStackError("Temporal is running already")
        binary = self.binary
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self._port = ports.choose(self._port, "OPENORDERS_TEMPORAL_PORT")
        self._ui_port = ports.choose(self._ui_port, "OPENORDERS_TEMPORAL_UI_PORT")
        self.process = ManagedProcess(
            "Temporal",
            [str(binary), *self._arguments()],
            self.state_dir / "temporal.log",
            environ=without_temporal_settings(os.environ),
        )
        self.process.start()

    def wait_until_ready(self) -> None:
        """Until the frontend is serving over gRPC, knows the namespace, and shows its pages."""
        assert self.process is not None, "launch() comes first"
        deadline = time.monotonic() + _READY_SECONDS
        while not (
            ports.answers(self._port)
            and self._says("operator", "cluster", "health")
            and self._says("operator", "namespace", "describe", NAMESPACE)
            and ports.answers(self._ui_port)
        ):
            if not self.process.running or time.monotonic() > deadline:
                self.process.kill()
                raise LocalStackError(f"Temporal did not start; {self.process.log} ends:\n{self.process.log_tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """As a crash would: the write-ahead log of its database is complete."""
        if self.process is not None:
            self.process.kill()

    def remove(self) -> None:
        """Stop it and delete what it keeps elsewhere than in its folder."""
        self.stop()

    def _arguments(self) -> list[str]:
        arguments = ["server", "start-dev", "--ip", ports.HOST, "--port", str(self._port)]
        arguments += ["--ui-port", str(self._ui_port), "--db-filename", str(self.state_dir.absolute() / "temporal.db")]
        for pragma in _SQLITE:
            arguments += ["--sqlite-pragma", pragma]
        for value in self._dynamic_config:
            arguments += ["--dynamic-config-value", value]
        for name, kind in self._search_attributes.items():
            arguments += ["--search-attribute", f"{name}={kind}"]
        if self.codec_endpoint is not None:
            arguments += ["--ui-codec-endpoint", self.codec_endpoint]
        return arguments

    def _says(self, *question: str) -> bool:
        answer = subprocess.run(
            [self.binary, *question, "--address", self.address, "--command-timeout", "5s"],
            check=False,
            capture_output=True,
            env=without_temporal_settings(os.environ),
        )
        return answer.returncode == 0


def without_temporal_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """A developer's profile for another cluster (address, TLS, API key) must not leak into this one."""
    own = {name: value for name, value in environ.items() if not name.startswith("TEMPORAL_")}
    return own | {"TEMPORAL_CONFIG_FILE": os.devnull}
