"""Who is asking: the key in `Authorization: Bearer`, and what it may do."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.access import Caller, Scope
from usecases.keys import caller_of
from web.problems import HttpProblem
from web.services import UseServices

_bearer = HTTPBearer(auto_error=False, description="A key made by `starter.py key create`.")


async def _caller(
    services: UseServices, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> Caller:
    caller = await caller_of(services.keys, credentials.credentials) if credentials else None
    if caller is None:
        raise HttpProblem(
            401,
            "unauthorized",
            "a valid key is needed in Authorization: Bearer",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return caller


def allowed(*scopes: Scope) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A dependency: the caller, whose key has one of these scopes."""

    async def checked(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        if caller.scope not in scopes:
            raise HttpProblem(403, "forbidden", f"a key of {caller.scope} may not do this")
        return caller

    return checked


AnyCaller = Annotated[Caller, Depends(_caller)]
Marketplace = Annotated[Caller, Depends(allowed(Scope.BACKEND, Scope.SUPPORT))]
Backend = Annotated[Caller, Depends(allowed(Scope.BACKEND))]
Merchant = Annotated[Caller, Depends(allowed(Scope.BACKEND, Scope.SELLER, Scope.SUPPORT))]
"""Whoever has to do with orders: not an analyst, who learns nothing of persons."""
