"""What goes wrong, as HTTP tells it: problem+json (RFC 9457) with the order's own words, field by field."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from domain.requests import Unavailable
from usecases.errors import (
    InvalidMessage,
    InvalidOrder,
    NotAllowed,
    OrderClosed,
    OrderConflict,
    OrderError,
    OrderNotFound,
    Refused,
    Unreachable,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5


class FieldError(BaseModel):
    """`field` is the path to what is wrong, such as `lines.0.quantity`; empty for the body as a whole."""

    field: str
    message: str


class Problem(BaseModel):
    """`type` tells programs what happened, `detail` people; `errors` names the fields that are to blame."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class HttpProblem(Exception):
    """Raised anywhere under a route; becomes the answer."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    @property
    def answer(self) -> JSONResponse:
        problem = Problem(
            type=f"urn:openorders:{self.kind}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            errors=list(self.errors),
        )
        return JSONResponse(problem.model_dump(), status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE)


_KINDS: Mapping[type[OrderError], tuple[int, str]] = {
    InvalidOrder: (422, "invalid-order"),
    InvalidMessage: (422, "invalid-message"),
    OrderConflict: (409, "order-conflict"),
    OrderClosed: (409, "order-closed"),
    Refused: (409, "refused"),
    NotAllowed: (403, "forbidden"),
    OrderNotFound: (404, "not-found"),
    Unreachable: (503, "unreachable"),
}


def problem_of(error: OrderError | Unavailable) -> HttpProblem:
    if isinstance(error, Unavailable):
        return _try_again(str(error))
    if isinstance(error, Unreachable):
        return _try_again(error.reason)
    status, kind = _KINDS.get(type(error), (409, "refused"))
    return HttpProblem(status, kind, error.reason, field_errors(error.reason))


def _try_again(detail: str) -> HttpProblem:
    return HttpProblem(503, "unreachable", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def not_found(what: str) -> HttpProblem:
    return HttpProblem(404, "not-found", what)


def invalid(field: str, message: str) -> HttpProblem:
    return HttpProblem(422, "invalid-message", f"{field}: {message}", (FieldError(field=field, message=message),))


_PATH = re.compile(r"([a-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*): (.+)", re.DOTALL)


def field_errors(reason: str) -> tuple[FieldError, ...]:
    """`lines.0.sku: Field required; tax: ...` field by field; a sentence about no field gives none."""
    found = (_PATH.fullmatch(sentence) for sentence in reason.split("; "))
    return tuple(FieldError(field=match[1], message=match[2]) for match in found if match)


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI description of a route: these statuses come with a problem."""
    return {status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in statuses}
