"""What insights count, per calendar day of the marketplace's zone, and the days that are looked at."""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from domain.model import Frozen

WHOLE_MARKETPLACE = ""
"""In the place of a seller: all of them together, where an order of two sellers counts once."""

TINY_SAMPLE = 30
"""Below so many orders or parcels a share says little, and it is said so."""

WINDOW_DAYS = 30
WINDOW_DAYS_MAX = 3_660
"""Ten years: each is drawn and added up day by day."""

DAY = r"^(19[7-9][0-9]|2[01][0-9]{2})-[0-9]{2}-[0-9]{2}$"
"""Like the moments of an order: in the years 1970 to 2199."""


def _from_iso(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(DAY, value):
        raise ValueError("must be a day like 2026-11-01, 1970 to 2199")
    return value


Day = Annotated[
    date,
    BeforeValidator(_from_iso),
    WithJsonSchema({"type": "string", "format": "date", "pattern": DAY}, mode="validation"),
]
"""A calendar day from outside."""


class Basis(StrEnum):
    """The moment of an order whose day a count belongs to, in business time."""

    PLACED = "placed"
    SHIP_BY = "ship_by"
    DELIVER_BY = "deliver_by"


class Topic(StrEnum):
    """What is counted; docs/insights.md says what `item` and `detail` of each are."""

    ORDERS = "orders"
    PRODUCTS = "products"
    UNSERVED = "unserved"
    HOURS = "hours"
    BASKET_UNITS = "basket_units"
    BASKET_LINES = "basket_lines"
    BASKET_VALUES = "basket_values"
    REGIONS = "regions"
    CUSTOMERS = "customers"
    PAIRS = "pairs"
    CANCELLATIONS = "cancellations"
    PREFULFILLMENT = "prefulfillment"
    STAGES = "stages"
    HANDOFFS = "handoffs"
    DELIVERIES = "deliveries"


_OTHER_BASES = {Topic.HANDOFFS: Basis.SHIP_BY, Topic.DELIVERIES: Basis.DELIVER_BY}


def basis_of(topic: Topic) -> Basis:
    return _OTHER_BASES.get(topic, Basis.PLACED)


def topics_of(basis: Basis) -> tuple[Topic, ...]:
    return tuple(topic for topic in Topic if basis_of(topic) is basis)


class Count(Frozen):
    """How many orders, units and what amount; what is not told apart is None or empty.

    The amount is in minor units of the currency, or in seconds, as the topic says.
    """

    day: date | None = None
    seller: str = WHOLE_MARKETPLACE
    currency: str = ""
    item: str = ""
    detail: str = ""
    orders: int = 0
    units: int = 0
    amount: int = 0


# -- the days that are looked at -----------------------------------------------------


class Window(Frozen):
    """Days from `first` to `last`, both of them included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def before(self) -> "Window":
        """As many days, right before these."""
        return window_until(self.first - timedelta(days=1), self.days)

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last


def window_until(last: date, days: int) -> Window:
    return Window(first=last - timedelta(days=days - 1), last=last)


def window_of(first: date | None, last: date | None, today: date) -> Window:
    """As asked for, whichever of the two is the earlier one; until today without a last day, so many days without a
    first one. Of more days than anybody looks at, the last ones.
    """
    last = last or today
    window = window_until(last, WINDOW_DAYS) if first is None else Window(first=min(first, last), last=max(first, last))
    return window if window.days <= WINDOW_DAYS_MAX else window_until(window.last, WINDOW_DAYS_MAX)


# -- arithmetic ----------------------------------------------------------------------


def share(part: int, whole: int) -> float | None:
    """As a fraction of 1; None of nothing."""
    return round(part / whole, 6) if whole else None


def orders_in(counts: Iterable[Count]) -> int:
    return sum(count.orders for count in counts)
