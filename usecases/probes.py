"""`/livez`, `/readyz` and `/metrics` of a process, on an address of their own that is not for the public.

In a thread: it answers even while the event loop stands still, which is what `/livez` is there to tell.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from usecases.health import Health
from usecases.metrics import CONTENT_TYPE
from usecases.settings import BadSettings

logger = logging.getLogger(__name__)


@contextmanager
def probes_served(address: str | None, health: Health, metrics: Callable[[], bytes]) -> Iterator[None]:
    """While inside, where an address is set. Raises `BadSettings` where nobody can listen there."""
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    try:
        server = _Server((host or "127.0.0.1", int(port)), _Handler)
    except (OSError, ValueError, OverflowError):
        raise BadSettings(f"OPENORDERS_HEALTH_ADDRESS: nobody can listen at {address!r}") from None
    server.health, server.metrics = health, metrics
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="probes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    health: Health
    metrics: Callable[[], bytes]


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server: _Server

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/livez":
                self._tell(*self.server.health.live())
            case "/readyz":
                self._tell(*self.server.health.ready())
            case "/metrics":
                self._answer(200, CONTENT_TYPE, self.server.metrics())
            case _:
                self._answer(404, "text/plain", b"/livez, /readyz, /metrics\n")

    def _tell(self, well: bool, checks: dict[str, str]) -> None:
        body = json.dumps({"status": "ok" if well else "failed", "checks": checks}).encode()
        self._answer(200 if well else 503, "application/json", body)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "openorders"

    def log_message(self, format: str, *args: object) -> None:
        """Asked every few seconds: not worth a line."""
