"""Bodies of requests: read by the very function that the workflow reads them with, and described in OpenAPI."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel

from domain.decoding import Refusal, decode
from usecases.errors import InvalidMessage, OrderError

_Model = TypeVar("_Model", bound=BaseModel)
SCHEMA_NAMES = "#/components/schemas/{model}Input"
"""Apart from the models of answers: what is read has defaults that what is written always states."""

_LARGE = 100_000
"""Bytes: a body of more is read in a thread, so that others are answered meanwhile. An order of 500 lines has fewer."""


def body_of(
    model: type[_Model], error: type[OrderError] = InvalidMessage
) -> Callable[[Request], Coroutine[Any, Any, _Model]]:
    """A dependency, to stand behind the caller's: the body of the request as this model.

    Raises `error` with the words that the order would say.
    """

    async def read(request: Request) -> _Model:
        raw = await request.body()
        if len(raw) > _LARGE:
            return await asyncio.to_thread(_decoded, model, error, raw)
        return _decoded(model, error, raw)

    return read


def _decoded(model: type[_Model], error: type[OrderError], raw: bytes) -> _Model:
    try:
        value = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        raise error("the body is no JSON") from None
    if value is None:
        raise error("expected one JSON object, got nothing")
    decoded = decode(model, (value,))
    if isinstance(decoded, Refusal):
        raise error(decoded.reason)
    return decoded


def described(model: type[BaseModel], example: Any = None) -> dict[str, Any]:
    """`openapi_extra` of a route that reads this body."""
    content: dict[str, Any] = {"schema": {"$ref": SCHEMA_NAMES.format(model=model.__name__)}}
    if example is not None:
        content["example"] = example
    required = any(field.is_required() for field in model.model_fields.values())
    return {"requestBody": {"required": required, "content": {"application/json": content}}}
