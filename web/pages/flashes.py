"""One sentence that is shown on the next page: what became of a form."""

from datetime import timedelta
from typing import NamedTuple

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from web.pages.cookies import set_cookie
from web.services import Services

_COOKIE = "oo_flash"
_SHOWN_WITHIN = timedelta(minutes=2)


class Flash(NamedTuple):
    kind: str
    """`ok` or `bad`."""

    text: str


def back_to(request: Request, path: str, kind: str, text: str) -> RedirectResponse:
    """To the page, which shows the sentence once."""
    services = request.app.state.services
    assert isinstance(services, Services)
    response = RedirectResponse(path, status_code=303)
    signed = services.signatures.sign_now("flash", [kind, text[:1_000]])
    set_cookie(request, response, _COOKIE, signed, int(_SHOWN_WITHIN.total_seconds()))
    return response


def taken_flash(request: Request, services: Services) -> Flash | None:
    found = services.signatures.read_fresh("flash", request.cookies.get(_COOKIE, ""), _SHOWN_WITHIN)
    return Flash(*found) if isinstance(found, list) else None


def forget_flash(response: Response) -> None:
    response.delete_cookie(_COOKIE)
