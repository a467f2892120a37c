"""Signing in by key, and out again."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from domain.access import Scope
from usecases.keys import caller_of
from web.limits import Limit, note_wrong_guess, refuse_guessers
from web.pages.sessions import HOMES, SESSION, Form, MaybeSignedIn, local_path, start_session
from web.pages.templates import render
from web.services import UseServices

router = APIRouter()

KEYS = Limit("key", 10, timedelta(minutes=15))


@router.get("/signin")
async def ask(request: Request, caller: MaybeSignedIn, next: str = "/") -> Response:
    if caller is not None:
        return RedirectResponse(HOMES[caller.scope], status_code=303)
    return await render(request, "signin.html", next=local_path(next), wrong=False)


@router.post("/signin")
async def sign_in(request: Request, form: Form, services: UseServices) -> Response:
    await refuse_guessers(request, services, KEYS)
    wanted = local_path(str(form.get("next", "/")))
    caller = await caller_of(services.keys, str(form.get("key", "")).strip())
    if caller is None or caller.scope is Scope.BACKEND:
        await note_wrong_guess(request, services, KEYS)
        return await render(request, "signin.html", status=403, next=wanted, wrong=True)
    response = RedirectResponse(HOMES[caller.scope] if wanted == "/" else wanted, status_code=303)
    start_session(request, response, caller)
    return response


@router.post("/signout")
async def sign_out(_: Form, caller: MaybeSignedIn, services: UseServices) -> Response:
    """Everywhere: whoever has a copy of the cookie is signed out too."""
    if caller is not None:
        await services.keys.end_sessions(caller.key_id, datetime.now(UTC))
    response = RedirectResponse("/signin", status_code=303)
    response.delete_cookie(SESSION)
    return response
