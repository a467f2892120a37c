"""How a seller calls the lines of an order: 1, 2, 3 among its own, whatever the backend has numbered them.

Ids that count through the whole order would tell by their gaps that somebody else's lines are in it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from store.views.seller_parts import OwnLine, SellerOrder

_NAMED = re.compile(r"(line_id: [^']*)'([^']*)'")


class OwnLines:
    """Of one seller and one order; `lines` are all of the seller's, those that were ordered first in their order."""

    def __init__(self, lines: Iterable[OwnLine]) -> None:
        self._name: dict[str, str] = {}
        for line in lines:
            # A substitute or reship is called after the line that it stands for: `2-s1`.
            of = line.replaces and self._name.get(line.replaces)
            ordered = sum(name.isdecimal() for name in self._name.values())
            self._name[line.line_id] = (
                f"{of}{line.line_id.removeprefix(line.replaces or '')}" if of else str(ordered + 1)
            )
        self._id = {name: line_id for line_id, name in self._name.items()}

    def name(self, line_id: str) -> str:
        return self._name.get(line_id, line_id)

    def shown(self, part: SellerOrder) -> SellerOrder:
        return part.model_copy(
            update={
                "lines": tuple(line.model_copy(update={"line_id": self.name(line.line_id)}) for line in part.lines),
                "parcels": tuple(
                    parcel.model_copy(update={"contents": self._renamed(parcel.contents)}) for parcel in part.parcels
                ),
                "requests": tuple(
                    asked.model_copy(
                        update={"units": tuple((self.name(line_id), units) for line_id, units in asked.units)}
                    )
                    for asked in part.requests
                ),
                "issues": tuple(
                    issue.model_copy(
                        update={
                            "made_good": tuple(
                                unit.model_copy(update={"line_id": self.name(unit.line_id)}) for unit in issue.made_good
                            )
                        }
                    )
                    for issue in part.issues
                ),
            }
        )

    def _renamed(self, units: Mapping[str, int]) -> dict[str, int]:
        return {self.name(line_id): quantity for line_id, quantity in units.items()}

    # -- what a seller says ------------------------------------------------------------

    def meant(self, told: Any) -> Any:
        """The body of a message with the order's own ids; what is no line of the seller's is none of the order's."""
        if isinstance(told, Mapping):
            return {
                name: self._meant_id(value) if name == "line_id" and isinstance(value, str) else self.meant(value)
                for name, value in told.items()
            }
        return [self.meant(one) for one in told] if isinstance(told, list) else told

    def _meant_id(self, name: str) -> str:
        return self._id.get(name) or self._unknown(name)

    def _unknown(self, name: str) -> str:
        number = 1
        while f"unknown-{number}" in self._name:
            number += 1
        self._id[name] = line_id = f"unknown-{number}"
        self._name[line_id] = name
        return line_id

    def said(self, words: str) -> str:
        """What the order says of its lines, as the seller calls them: the first thing in quotes behind `line_id`."""
        return _NAMED.sub(lambda match: f"{match[1]}'{self.name(match[2])}'", words)
