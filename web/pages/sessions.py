"""Who is signed in on a page, and forms that came from a page of ours."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from domain.access import Caller, Scope
from web.pages.cookies import set_cookie
from web.pages.templates import is_genuine
from web.problems import HttpProblem
from web.services import Services, UseServices

SESSION = "oo_session"
SESSION_LENGTH = timedelta(hours=12)


class SignInNeeded(Exception):
    """Becomes a redirect to the page for signing in, and from there back."""


async def signed_in(request: Request, services: UseServices) -> Caller | None:
    """By the session cookie; a key that was revoked since opens nothing any more."""
    session = services.signatures.read_fresh("session", request.cookies.get(SESSION, ""), SESSION_LENGTH)
    if not isinstance(session, list):
        return None
    key_id, began = session
    found = await services.keys.find(key_id)
    if found is None or (found.sessions_since is not None and began <= found.sessions_since.timestamp()):
        return None
    return found.caller


def start_session(request: Request, response: Response, caller: Caller) -> None:
    services = request.app.state.services
    assert isinstance(services, Services)
    signed = services.signatures.sign_now("session", [caller.key_id, datetime.now(UTC).timestamp()])
    set_cookie(request, response, SESSION, signed, int(SESSION_LENGTH.total_seconds()))


MaybeSignedIn = Annotated[Caller | None, Depends(signed_in)]


def page_for(*scopes: Scope) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A dependency: who is signed in, with a key of one of these scopes."""

    async def checked(caller: MaybeSignedIn) -> Caller:
        if caller is None:
            raise SignInNeeded
        if caller.scope not in scopes:
            raise HttpProblem(403, "forbidden", f"This page is not for {caller.scope} keys.")
        return caller

    return checked


SellerPage = Annotated[Caller, Depends(page_for(Scope.SELLER))]
SupportPage = Annotated[Caller, Depends(page_for(Scope.SUPPORT))]
InsightsPage = Annotated[Caller, Depends(page_for(Scope.SELLER, Scope.SUPPORT, Scope.ANALYST))]

HOMES = {Scope.SELLER: "/seller", Scope.SUPPORT: "/support", Scope.ANALYST: "/insights", Scope.BACKEND: "/docs"}


async def _form(request: Request) -> FormData:
    form = await request.form(max_files=1, max_fields=5_000)
    if not is_genuine(request, str(form.get("csrf", ""))):
        raise HttpProblem(
            403, "forged-form", "This form is too old, or came from elsewhere. Please go back and try again."
        )
    if any("\x00" in name or (isinstance(text, str) and "\x00" in text) for name, text in form.multi_items()):
        raise HttpProblem(422, "invalid-form", "A field has a character in it that cannot be kept.")
    return form


Form = Annotated[FormData, Depends(_form)]
"""The fields of a form that came from a page of ours."""


def to_sign_in(request: Request) -> RedirectResponse:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        wanted = "/"
    return RedirectResponse(f"/signin?next={quote(wanted, safe='')}", status_code=303)


def local_path(path: str) -> str:
    """Where to go after signing in: a path of ours, whatever somebody has written into the address."""
    try:
        parts = urlsplit(path)
    except ValueError:
        return "/"
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return path if safe and "\\" not in path else "/"
