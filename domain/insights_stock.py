"""When to order how much: days of cover and the reorder point of each SKU, from what was sold and what is left.

The reorder point is the textbook one for a demand that varies and a lead time that does not (Silver, Pyke and Thomas,
"Inventory and Production Management in Supply Chains"): demand in the lead time, plus a safety stock of `z` standard
deviations of it. Days are taken as independent of each other, and demand as normal: for SKUs that sell a few units a
month the safety stock is a rough guide.
"""

import math
from statistics import NormalDist
from typing import Annotated

from pydantic import Field

from domain.model import Frozen

LEAD_TIME_DAYS = 14.0
LEAD_TIME_DAYS_MAX = 365.0
SERVICE_LEVEL = 0.95
SERVICE_LEVEL_MIN, SERVICE_LEVEL_MAX = 0.5, 0.999


class Demand(Frozen):
    """Units of a SKU that customers wanted in so many days: their sum, and that of the squares of each day's units."""

    units: int
    squares: int
    days: int

    @property
    def per_day(self) -> float:
        return self.units / self.days

    @property
    def deviation(self) -> float:
        """The standard deviation of a day's units (of a sample); 0 where one day cannot tell."""
        if self.days < 2:
            return 0.0
        variance = (self.squares - self.units**2 / self.days) / (self.days - 1)
        return math.sqrt(max(variance, 0.0))


class Level(Frozen):
    """What there is of a SKU now: free units at all locations of the seller, and units that customers wait for."""

    available: int
    waiting: int


class Plan(Frozen):
    """How long a delivery takes, and in how many of them the stock must last until it comes."""

    lead_time_days: Annotated[float, Field(gt=0, le=LEAD_TIME_DAYS_MAX)] = LEAD_TIME_DAYS
    service_level: Annotated[float, Field(ge=SERVICE_LEVEL_MIN, le=SERVICE_LEVEL_MAX)] = SERVICE_LEVEL

    @property
    def z(self) -> float:
        """Standard deviations of demand that the safety stock covers: 1.64 for 95 percent."""
        return NormalDist().inv_cdf(self.service_level)


class Advice(Frozen):
    cover_days: float | None
    """None where nothing was sold: it lasts for ever."""

    safety_stock: float
    reorder_point: int
    """Order when no more than this is left."""

    reorder: bool
    missing: int
    """Units by which the present stock lies below the reorder point; 0 where there is enough."""


def advice(demand: Demand, level: Level, plan: Plan) -> Advice:
    """Days of cover = free units / units a day. Reorder point = units a day x lead time + z x standard deviation of a
    day's units x square root of the lead time, rounded up. What customers wait for is as good as sold.
    """
    free = level.available - level.waiting
    safety = plan.z * demand.deviation * math.sqrt(plan.lead_time_days)
    point = math.ceil(round(demand.per_day * plan.lead_time_days + safety, 6))
    return Advice(
        cover_days=round(max(free, 0) / demand.per_day, 1) if demand.units else None,
        safety_stock=round(safety, 1),
        reorder_point=point,
        reorder=demand.units > 0 and free <= point,
        missing=max(point - free, 0),
    )
