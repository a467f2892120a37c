"""What stands around every request: headers that keep pages safe, and a log without persons."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.model import ORDER_ID
from web.problems import HttpProblem

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

BODY_SECONDS_MAX = 60.0

logger = logging.getLogger("openorders.web")


class BodyLimit:
    """Answers 413 as soon as too much has come, however it was announced, and 408 where it comes too slowly.

    FastAPI's own limit answers in plain text.
    """

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = HttpProblem(413, "too-large", f"a body may have {self._bytes_max} bytes at most")
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._bytes_max:
            await problem.answer(scope, receive, send)
            return
        seen, is_whole = 0, False
        end = asyncio.get_running_loop().time() + BODY_SECONDS_MAX

        async def counted() -> Message:
            nonlocal seen, is_whole
            if is_whole:  # what is waited for now is that whoever asked goes away
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                raise HttpProblem(408, "too-slow", f"the body did not come within {BODY_SECONDS_MAX:g} s") from None
            is_whole = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > self._bytes_max:
                raise problem
            return message

        await self._app(scope, counted, send)


class Headers:
    """No script, style or frame from anywhere else; no address told to others; nothing of a person kept by caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                make_safe(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, with_headers)


def make_safe(headers: MutableHeaders, path: str) -> None:
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if not path.startswith("/static/"):
        headers.setdefault("Cache-Control", "no-store")


Noted = Callable[[str, str, int, float], None]
"""Takes method, route template, status, and seconds until the answer began."""


class RequestLog:
    """The route and not the address: tokens of links and what people searched for stay out of it."""

    def __init__(self, app: ASGIApp, noted: Noted) -> None:
        self._app = app
        self._noted = noted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status, seconds = 500, None

        async def noting(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.monotonic() - began
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            took = time.monotonic() - began
            route = route_of(scope)
            # Who follows an order listens for hours: what counts is how long the answer took to begin.
            self._noted(scope["method"], route, status, took if seconds is None else seconds)
            logger.info(
                "%s %s %d", scope["method"], route, status, extra={"ms": round(took * 1000, 1), **_order_of(scope)}
            )


class Spans:
    """A span for each request, in the caller's trace where it names one; used where traces are wanted."""

    def __init__(self, app: ASGIApp, tracer: "Tracer") -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        context = TraceContextTextMapPropagator().extract(carrier)
        with self._tracer.start_as_current_span(
            scope["method"], context, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            try:
                await self._app(scope, receive, noting)
            finally:
                span.update_name(f"{scope['method']} {route_of(scope)}")
                span.set_attributes(
                    {"http.request.method": scope["method"], "http.route": route_of(scope), **_order_of(scope)}
                )


def route_of(scope: Scope) -> str:
    """The template; a router's prefix is not part of it."""
    path = getattr(scope.get("route"), "path", "(no route)")
    return f"/v1{path}" if scope["path"].startswith("/v1/") else str(path)


def _order_of(scope: Scope) -> dict[str, str]:
    """Only what could be an order's id: an address may hold anything."""
    order_id = str(scope.get("path_params", {}).get("order_id", ""))
    return {"order_id": order_id} if ORDER_ID.fullmatch(order_id) else {}
