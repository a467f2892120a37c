"""The web application: routers, what stands around every request, and how errors are answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from temporalio.client import Client

from domain.requests import Unavailable
from store.database import Database
from usecases.errors import OrderError
from usecases.settings import Settings
from web import api, codec, openapi, pages
from web.middleware import BodyLimit, Headers, Noted, RequestLog, Spans, make_safe
from web.pages.errors import page_of_problem, wants_page
from web.pages.sessions import SignInNeeded, to_sign_in
from web.problems import FieldError, HttpProblem, problem_of
from web.services import open_services, services
from workflows.names import TASK_QUEUE

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

BODY_BYTES_MAX = 2_000_000
"""An order of 500 lines takes about 100 KB."""


def build(
    settings: Settings,
    client: Client,
    database: Database,
    task_queue: str = TASK_QUEUE,
    *,
    noted: Noted = lambda _method, _route, _status, _seconds: None,
    tracer: "Tracer | None" = None,
) -> FastAPI:
    """Holds no state of its own: as many processes of it as are wanted may run side by side."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with open_services(app.state.services):
            yield

    app = FastAPI(
        title="openorders",
        version="1",
        lifespan=lifespan,
        # Served by ourselves, from a package: nothing is loaded from another host.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.services = services(settings, client, database, task_queue)
    app.include_router(api.router, prefix="/v1")
    app.state.codec_rate = codec.Rate()
    app.include_router(openapi.router)
    app.include_router(codec.router)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(packages=[("web", "static")]), name="static")
    app.add_exception_handler(HttpProblem, _answer)
    app.add_exception_handler(OrderError, _answer)
    app.add_exception_handler(Unavailable, _answer)
    app.add_exception_handler(RequestValidationError, _answer)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(SignInNeeded, _sign_in)
    app.add_exception_handler(Exception, _bug)
    app.add_middleware(BodyLimit, bytes_max=BODY_BYTES_MAX)
    app.add_middleware(Headers)
    app.add_middleware(RequestLog, noted=noted)
    if tracer is not None:
        app.add_middleware(Spans, tracer=tracer)
    return app


async def _answer(request: Request, error: Exception) -> Response:
    """A page for people, problem+json for programs."""
    problem = _problem(error)
    if problem.status == 405 and (allowed := openapi.methods_of(request)):
        problem.headers["Allow"] = allowed
    return await page_of_problem(request, problem) if wants_page(request) else problem.answer


async def _bug(request: Request, error: Exception) -> Response:
    """Answered outside of all middleware: the headers of every answer are put on here."""
    response = await _answer(request, error)
    make_safe(response.headers, request.url.path)
    return response


async def _sign_in(request: Request, _: Exception) -> Response:
    return to_sign_in(request)


def _problem(error: Exception) -> HttpProblem:
    match error:
        case HttpProblem():
            return error
        case RequestValidationError():
            return _of_parameters(error)
        case HTTPException():
            kinds = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}
            return HttpProblem(
                error.status_code, kinds.get(error.status_code, "http"), error.detail, headers=error.headers
            )
        case OrderError() | Unavailable():
            return problem_of(error)
        case _:  # a bug of ours, which the server logs; its text is nobody else's business
            return HttpProblem(500, "internal", "Something went wrong on our side.")


def _of_parameters(error: RequestValidationError) -> HttpProblem:
    """The first part of each path says where the parameter was: in the address, the query or a header."""
    errors = tuple(
        FieldError(
            field=".".join(str(part) for part in one["loc"][1:]), message=one["msg"].removeprefix("Value error, ")
        )
        for one in error.errors()
    )
    detail = "; ".join(f"{one.field}: {one.message}" for one in errors)
    return HttpProblem(422, "invalid-parameter", detail, errors)
