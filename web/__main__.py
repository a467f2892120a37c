"""The web process: `python -m web` serves the API and the pages until SIGINT or SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
import uvloop
from temporalio.client import Client

from domain.requests import Unavailable
from store.database import Database
from store.migrations import SchemaTooNew, migrate, schema_trouble
from usecases.errors import Unreachable
from usecases.health import Health, schema, temporal
from usecases.logs import set_up_logging
from usecases.metrics import Meters
from usecases.probes import probes_served
from usecases.process import end_process
from usecases.settings import BadSettings, Settings, load_settings
from usecases.temporal import connect
from usecases.tracing import tracing
from web.app import build
from web.protocol import BoundedHttp

READY = "openorders web: ready"


class _Server(uvicorn.Server):
    """Says when it is ready, and ends with 0 by a signal: uvicorn's own would end by that signal.

    Told to end, it is not ready any more, and answers still until whoever sends it requests has seen that.
    """

    def __init__(self, config: uvicorn.Config, health: Health, drain_seconds: float) -> None:
        super().__init__(config)
        self._health = health
        self._drain_seconds = drain_seconds

    async def startup(self, sockets: list | None = None) -> None:  # type: ignore[type-arg]
        await super().startup(sockets)
        print(READY, flush=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._drain, number)
        yield

    def _drain(self, number: signal.Signals) -> None:
        if self._health.stopping:  # a second one is impatient
            self.handle_exit(number, None)
            return
        self._health.stopping = True
        asyncio.get_running_loop().call_later(self._drain_seconds, self.handle_exit, number, None)


async def run(settings: Settings) -> None:
    host, _, port = settings.web_address.rpartition(":")
    database = Database(
        settings.database_url,
        pool_size=settings.database_pool_size,
        overflow=settings.database_pool_overflow,
        wrapping=settings.wrapping(),
    )
    await migrate(settings.database_url)
    with tracing("openorders-web") as traces:
        client = await connect(lazy=True, interceptors=[traces.interceptor] if traces else [])
        meters = Meters(database)
        app = build(settings, client, database, noted=meters.request, tracer=traces.tracer if traces else None)
        config = uvicorn.Config(
            app,
            host=host or "127.0.0.1",
            port=int(port),
            http=BoundedHttp,
            ws="none",
            log_config=None,
            access_log=False,  # it would hold what people searched for
            server_header=False,
            timeout_graceful_shutdown=3,  # whoever follows an order would keep it open for ever
        )
        health = _health(client, database)
        with probes_served(settings.health_address, health, meters.text):
            watching = asyncio.create_task(health.run())
            await _Server(config, health, settings.drain_seconds).serve()
            watching.cancel()


def _health(client: Client, database: Database) -> Health:
    """Without Temporal pages are read still: a web that no request is sent to would show nothing at all."""
    return Health(
        {"postgresql": database.answer, "schema": schema(lambda: schema_trouble(database))},
        told={"temporal": temporal(client)},
    )


def main() -> int:
    try:
        settings = load_settings()
        if settings.secret_key is None:
            raise BadSettings("OPENORDERS_SECRET_KEY: any long random text, the same for all web processes and workers")
        set_up_logging(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except (BadSettings, Unreachable, Unavailable, SchemaTooNew) as error:
        print(f"web: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    end_process(main())
