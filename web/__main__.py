"""The web process: `python -m web` serves the API and the pages until SIGINT or SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
import uvloop

from domain.requests import Unavailable
from store.database import Database
from store.migrations import migrate
from usecases.errors import Unreachable
from usecases.logs import set_up_logging
from usecases.process import end_process
from usecases.settings import BadSettings, Settings, load_settings
from usecases.temporal import connect
from web.app import build

READY = "openorders web: ready"


class _Server(uvicorn.Server):
    """Says when it is ready, and ends with 0 by a signal: uvicorn's own would end by that signal."""

    async def startup(self, sockets: list | None = None) -> None:  # type: ignore[type-arg]
        await super().startup(sockets)
        print(READY, flush=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def run(settings: Settings) -> None:
    host, _, port = settings.web_address.rpartition(":")
    database = Database(
        settings.database_url, pool_size=settings.database_pool_size, overflow=settings.database_pool_overflow
    )
    await migrate(settings.database_url)
    app = build(settings, await connect(lazy=True), database)
    config = uvicorn.Config(
        app,
        host=host or "127.0.0.1",
        port=int(port),
        log_config=None,
        access_log=False,  # it would hold what people searched for
        server_header=False,
        timeout_graceful_shutdown=3,  # whoever follows an order would keep it open for ever
    )
    await _Server(config).serve()


def main() -> int:
    try:
        settings = load_settings()
        if settings.secret_key is None:
            raise BadSettings("OPENORDERS_SECRET_KEY: any long random text, the same for all web processes and workers")
        set_up_logging(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except (BadSettings, Unreachable, Unavailable) as error:
        print(f"web: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    end_process(main())
