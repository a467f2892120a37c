"""Which statements a request has sent to PostgreSQL: what takes the same ones takes the same time by construction."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, Engine, event
from starlette.types import ASGIApp, Receive, Scope, Send

HEADER = "x-request-of-test"
_of_request: ContextVar[list[str] | None] = ContextVar("statements", default=None)


class StatementLog:
    """Around the application. A request with `HEADER` has its statements noted under what the header says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.noted: dict[str, list[str]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope.get("headers", ())).get(HEADER.encode())
        if name is not None:
            _of_request.set(self.noted.setdefault(name.decode(), []))
        await self._app(scope, receive, send)


@contextmanager
def statements_noted() -> Iterator[None]:
    def note(_: Connection, __: Any, statement: str, *___: Any) -> None:
        if (noted := _of_request.get()) is not None:
            noted.append(re.sub(r"\s+", " ", statement))

    event.listen(Engine, "after_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(Engine, "after_cursor_execute", note)
