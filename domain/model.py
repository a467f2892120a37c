"""The two kinds of models: frozen ones of our own, and strict ones for bodies from outside."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema

ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
OrderId = Annotated[str, StringConstraints(pattern=f"^{ORDER_ID.pattern}$")]
LOCAL_ID = re.compile(r"[A-Za-z0-9_.-]{1,80}")
LocalId = Annotated[str, StringConstraints(pattern=f"^{LOCAL_ID.pattern}$")]
"""An id that is unique within its order: a line, fulfillment, parcel, hold or issue."""

PartyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
"""A seller or a customer, opaque: never a name or an address."""

SPACES = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""Controls, and all that any language counts as a space: its own short form means another set in each of them."""

Sku = Annotated[str, StringConstraints(pattern=rf"^[^{SPACES}]{{1,64}}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


_NO_NUL = r"^[^\x00]*$"  # PostgreSQL cannot store one

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NO_NUL)]
OptionalLine = Annotated[str, StringConstraints(max_length=200, pattern=_NO_NUL)]
Paragraph = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=_NO_NUL)]
OptionalParagraph = Annotated[str, StringConstraints(max_length=2_000, pattern=_NO_NUL)]


MOMENT = (
    r"^(19[7-9][0-9]|2[01][0-9]{2})-[0-9]{2}-[0-9]{2}"
    r"[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
"""RFC 3339 with its zone, in the years 1970 to 2199: arithmetic and PostgreSQL stay within their ranges."""

_MOMENT = re.compile(MOMENT)


def _from_rfc3339(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not _MOMENT.fullmatch(value):
        raise ValueError("must be a time as in RFC 3339 with its zone, 1970 to 2199, like 2026-03-10T12:00:00Z")
    return datetime.fromisoformat(value.upper())


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_from_rfc3339),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": MOMENT}, mode="validation"),
]
"""A point in time in a body from outside; pydantic alone would take numbers, spaces and the year 1."""


class Frozen(BaseModel):
    """State and internal payloads: unknown fields are ignored, so that builds can differ."""

    # An error of ours ends in a log, which must not tell what somebody's order holds.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Body(BaseModel):
    """What comes from outside: unknown fields are refused and `"2"` is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)
