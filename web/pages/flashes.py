"""One sentence that is shown on the next page: what became of a form."""

import secrets
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
    once: str = ""
    """What the form was sent with, where nobody knows whether it arrived: sent again with it, it has one effect."""


def back_to(request: Request, path: str, kind: str, text: str, once: str = "") -> RedirectResponse:
    """To the page, which shows the sentence once. `once` is a form's own: the page's, and more behind a hyphen."""
    services = request.app.state.services
    assert isinstance(services, Services)
    response = RedirectResponse(path, status_code=303)
    signed = services.signatures.sign_now("flash", [kind, text[:1_000], once.partition("-")[0][:40]])
    set_cookie(request, response, _COOKIE, signed, int(_SHOWN_WITHIN.total_seconds()))
    return response


def taken_flash(request: Request, services: Services) -> Flash | None:
    found = services.signatures.read_fresh("flash", request.cookies.get(_COOKIE, ""), _SHOWN_WITHIN)
    return Flash(*found) if isinstance(found, list) else None


def once_for(request: Request, services: Services) -> str:
    """For the forms of a page: what is sent with it twice is one thing."""
    flash = taken_flash(request, services)
    return (flash.once if flash else "") or secrets.token_hex(8)


def forget_flash(response: Response) -> None:
    response.delete_cookie(_COOKIE)
