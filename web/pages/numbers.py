"""Numbers in forms, as people type them."""

from collections.abc import Mapping
from typing import Any

_DIGITS_MAX = 15
"""More than any amount or quantity has: Python refuses to read thousands of them."""


def number_of(text: str) -> int | None:
    """None where it is none."""
    digits = text.strip()
    return int(digits) if digits.isdecimal() and len(digits) <= _DIGITS_MAX else None


def items_of(texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Units by line, from fields such as `units-1`; lines of which there are none are left out."""
    typed = {name.removeprefix("units-"): number_of(text) for name, text in texts.items() if name.startswith("units-")}
    return [{"line_id": line_id, "quantity": quantity} for line_id, quantity in typed.items() if quantity]
