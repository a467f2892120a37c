"""What goes wrong on a page, said to a person."""

from contextlib import suppress

from fastapi import Request
from fastapi.responses import Response

from domain.requests import Unavailable
from web.pages.sessions import signed_in
from web.pages.templates import render
from web.problems import HttpProblem
from web.services import Services

_HEADLINES = {
    401: "Please sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible",
    409: "That is not possible now",
    413: "Too large",
    422: "Something is not right",
    429: "Too many tries",
    503: "Please try again in a moment",
}


def wants_page(request: Request) -> bool:
    return not request.url.path.startswith(("/v1/", "/openapi.json", "/static/"))


async def page_of_problem(request: Request, problem: HttpProblem) -> Response:
    services = request.app.state.services
    assert isinstance(services, Services)
    caller = None
    if problem.status != 503:  # else PostgreSQL may be the trouble, and would be waited for once more
        with suppress(Unavailable):
            caller = await signed_in(request, services)
    response = await render(
        request,
        "problem.html",
        caller=caller,
        status=problem.status,
        headline=_HEADLINES.get(problem.status, "Something went wrong"),
        detail=problem.detail,
    )
    response.headers.update(problem.headers)
    return response
