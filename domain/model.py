"""The two kinds of models: frozen ones of our own, and strict ones for bodies from outside."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

OrderId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
LocalId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]
"""An id that is unique within its order: a line, fulfillment, parcel, hold or issue."""

PartyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
"""A seller or a customer, opaque: never a name or an address."""

Sku = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f]{1,64}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


_NO_NUL = r"^[^\x00]*$"  # PostgreSQL cannot store one

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NO_NUL)]
OptionalLine = Annotated[str, StringConstraints(max_length=200, pattern=_NO_NUL)]
Paragraph = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=_NO_NUL)]
OptionalParagraph = Annotated[str, StringConstraints(max_length=2_000, pattern=_NO_NUL)]


class Frozen(BaseModel):
    """State and internal payloads: unknown fields are ignored, so that builds can differ."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Body(BaseModel):
    """What comes from outside: unknown fields are refused and `"2"` is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
