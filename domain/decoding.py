"""Reading bodies that come from outside: the model, or a refusal that names the field."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from domain.model import Frozen

_Model = TypeVar("_Model", bound=BaseModel)


class Refusal(Frozen):
    """Why a body is not what it should be, field by field."""

    reason: str
    concealed: bool = False
    """Nobody could, or was to, look into it."""


class Unreadable:
    """Stands for an argument that is no JSON at all, or, with `why`, that could not be decrypted."""

    def __init__(self, why: str | None = None) -> None:
        self.why = why


class Unencrypted:
    """Holds an argument that came in clear where only encrypted ones are taken."""

    def __init__(self, body: Any) -> None:
        self.body = body


def concealed(arguments: tuple[Any, ...]) -> str | None:
    """Why encryption forbids that these are read, or None."""
    for argument in arguments:
        if isinstance(argument, Unencrypted):
            return "the body is not encrypted, and only encrypted ones are taken: see docs/encryption.md"
        if isinstance(argument, Unreadable) and argument.why is not None:
            return f"the body cannot be decrypted: {argument.why}"
    return None


DEPTH_MAX = 20
VALUES_MAX = 10_000
"""Twice what an order of 500 lines has; a model may say otherwise by its `values_max`. To name half a million wrong
fields of one body took 30 s, in which a web process answers nobody, and after 2 s Temporal takes a workflow's task
away, for ever.
"""

_OF_ONE = 10
"""No list or object has more than one in so many of all values."""


def decode(model: type[_Model], arguments: tuple[Any, ...]) -> _Model | Refusal:
    """One JSON object, as a strict model; a query may come without any body."""
    hidden = concealed(arguments)
    if hidden is not None:
        return Refusal(reason=hidden, concealed=True)
    if len(arguments) != 1:
        if not arguments and not _required(model):
            return model()
        return Refusal(reason=f"expected one JSON object, got {len(arguments)} arguments")
    body = arguments[0]
    if isinstance(body, BaseModel):
        body = body.model_dump(mode="json", exclude_unset=True)
    if not isinstance(body, dict):
        if body is None and not _required(model):
            return model()
        return Refusal(reason=f"expected one JSON object, got {_kind(body)}")
    too_much = _too_much(body, getattr(model, "values_max", VALUES_MAX))
    if too_much is not None:
        return Refusal(reason=f"expected one JSON object, got {too_much}")
    try:
        # Strict JSON takes dates and enums as text; strict Python would want them as objects.
        return model.model_validate_json(json.dumps(_with_integers(body)))
    except ValidationError as error:
        return Refusal(reason="; ".join(_sentences(error)))


def _too_much(body: dict[str, Any], values_max: int) -> str | None:
    """What is beyond any body of this kind, counted before anything else looks at it; or None."""
    values, level = 0, [body]
    for _ in range(DEPTH_MAX):
        inner: list[Any] = []
        for value in level:
            parts = value.values() if isinstance(value, dict) else value
            if len(parts) > values_max // _OF_ONE:
                return f"{len(parts):,} values in one place"
            values += len(parts)
            if values > values_max:
                return f"more than {values_max:,} values"
            inner += [part for part in parts if isinstance(part, dict | list | tuple)]
        if not inner:
            return None
        level = inner
    return f"one that is nested more than {DEPTH_MAX} deep"


def _with_integers(value: Any) -> Any:
    """JSON knows one kind of number, and JSON Schema takes 2.0 for an integer; so do we. 1.5 stays what it is."""
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case dict():
            return {name: _with_integers(part) for name, part in value.items()}
        case list() | tuple():
            return [_with_integers(part) for part in value]
        case _:
            return value


def _required(model: type[BaseModel]) -> bool:
    return any(field.is_required() for field in model.model_fields.values())


def _kind(body: Any) -> str:
    name = type(body).__name__
    words = {"list": "an array", "str": "a text", "NoneType": "nothing", "Unreadable": "something that is no JSON"}
    return words.get(name, name)


_SENTENCES_MAX = 20
_NAME_MAX = 100
"""Characters: an unknown field may have a name of any length."""


def _sentences(error: ValidationError) -> list[str]:
    """`lines.0.quantity: Input should be greater than or equal to 1`; values are not repeated."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    parents = {one["loc"][:length] for one in errors for length in range(len(one["loc"]))}
    sentences = []
    for one in errors:
        if one["loc"] in parents:
            continue  # a list that is too short because its one element is wrong
        path = ".".join(str(part)[:_NAME_MAX] for part in one["loc"])
        words = one["msg"].removeprefix("Value error, ").replace("Tuple", "Array")
        sentences.append(f"{path}: {words}" if path else words)
    if len(sentences) > _SENTENCES_MAX:
        more = len(sentences) - _SENTENCES_MAX
        sentences = [*sentences[:_SENTENCES_MAX], f"and {more} more"]
    return sentences
