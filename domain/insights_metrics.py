"""How sellers are measured: Amazon's published formulas, windows and targets, on our counts.

Only what sellers ship themselves (FBM) counts. Where our data force an interpretation, the definition of the metric
says it, and docs/insights.md why.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from enum import StrEnum

from domain.insights import Basis, Count, Topic, Window, share, window_until
from domain.model import Frozen


class Handoff(StrEnum):
    """How a seller's part of an order stands to its ship-by; of an order of several parts the worst one."""

    ON_TIME = "on_time"
    LATE = "late"
    OPEN = "open"
    """Not handed over yet: late once its day is over."""

    HELD = "held"
    """Not handed over, and on hold or delayed by one: its clock says nothing until it is."""


class Delivery(StrEnum):
    """How a parcel stands to its promised delivery."""

    ON_TIME = "on_time"
    LATE = "late"
    OPEN = "open"
    """Not delivered yet: not on time once its day is over."""

    PRESUMED = "presumed"
    """Untracked, and counted as delivered because nobody complained: nobody knows when."""

    FAILED = "failed"
    """Lost, or brought back."""


FBM = "FBM"
TRACKED, UNTRACKED = "tracked", "untracked"
"""Whether a carrier has scanned the parcel at least once."""

ORDERS, CANCELLED = "orders", "cancelled"
"""Of `Topic.PREFULFILLMENT`: what is measured, and what of it the seller cancelled."""


def delivery_detail(channel: str, tracked: bool) -> str:
    return f"{channel} {TRACKED if tracked else UNTRACKED}"


class MetricName(StrEnum):
    LATE_SHIPMENT_10 = "late_shipment_10_days"
    LATE_SHIPMENT_30 = "late_shipment_30_days"
    CANCELLATION = "prefulfillment_cancellation_7_days"
    VALID_TRACKING = "valid_tracking_30_days"
    ON_TIME_DELIVERY = "on_time_delivery_30_days"


class MetricSpec(Frozen):
    """The window ends `lag_days` before the day that is asked for. A rate `below` the target meets it, or else one of
    at least it, or above it where `strictly`.
    """

    name: MetricName
    title: str
    definition: str
    source: str
    topic: Topic
    basis: Basis
    days: int
    lag_days: int = 0
    target: float
    below: bool
    strictly: bool = True

    @property
    def counted(self) -> str:
        return "parcels" if self.topic is Topic.DELIVERIES else "orders"

    @property
    def target_text(self) -> str:
        sign = "below" if self.below else "above" if self.strictly else "at least"
        return f"{sign} {self.target:.1%}".replace(".0%", "%")

    def window(self, until: date) -> Window:
        return window_until(until - timedelta(days=self.lag_days), self.days)

    def is_met(self, rate: float) -> bool:
        if self.below:
            return rate < self.target
        return rate > self.target if self.strictly else rate >= self.target


_LATE_SHIPMENT = (
    "Orders with a ship-by date in these {} days that were handed to the carrier after it, of all with one; an order "
    "that is still open when its day is over counts as late, time on hold moves the date, and parts on hold are left "
    "out."
)
_LATE_SHIPMENT_SOURCE = "https://sellercentral.amazon.com/gp/help/external/202152050"

METRICS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name=MetricName.LATE_SHIPMENT_10,
        title="Late shipment rate, 10 days",
        definition=_LATE_SHIPMENT.format(10),
        source=_LATE_SHIPMENT_SOURCE,
        topic=Topic.HANDOFFS,
        basis=Basis.SHIP_BY,
        days=10,
        target=0.04,
        below=True,
    ),
    MetricSpec(
        name=MetricName.LATE_SHIPMENT_30,
        title="Late shipment rate, 30 days",
        definition=_LATE_SHIPMENT.format(30),
        source=_LATE_SHIPMENT_SOURCE,
        topic=Topic.HANDOFFS,
        basis=Basis.SHIP_BY,
        days=30,
        target=0.04,
        below=True,
    ),
    MetricSpec(
        name=MetricName.CANCELLATION,
        title="Pre-fulfillment cancellation rate, 7 days",
        definition=(
            "Orders placed in these 7 days of which the seller cancelled something, let its stock run out or did not "
            "ship in time, of all that were paid for; what customers or the marketplace cancelled does not count."
        ),
        source="https://sellercentral.amazon.ca/gp/help/external/200285210",
        topic=Topic.PREFULFILLMENT,
        basis=Basis.PLACED,
        days=7,
        target=0.025,
        below=True,
    ),
    MetricSpec(
        name=MetricName.VALID_TRACKING,
        title="Valid tracking rate, 30 days",
        definition=(
            "Handed-over parcels that a carrier has scanned at least once, of all with a promised delivery in 30 days "
            "that ended two weeks before."
        ),
        source="https://sellercentral.amazon.in/gp/help/external/G201817070",
        topic=Topic.DELIVERIES,
        basis=Basis.DELIVER_BY,
        days=30,
        lag_days=14,
        target=0.95,
        below=False,
        strictly=False,
    ),
    MetricSpec(
        name=MetricName.ON_TIME_DELIVERY,
        title="On-time delivery rate, 30 days",
        definition=(
            "Parcels with valid tracking that were delivered by their promised delivery date, of all with one in these "
            "30 days; lost ones and those still under way when their day is over are not on time (97% is recommended)."
        ),
        source="https://sellercentral.amazon.com/gp/help/external/help.html?itemID=WDA4S96KYS493ME",
        topic=Topic.DELIVERIES,
        basis=Basis.DELIVER_BY,
        days=30,
        target=0.90,
        below=False,
    ),
)


class Metric(Frozen):
    """`part` of `whole`; no rate where there is nothing to measure, and then no target is met or missed."""

    spec: MetricSpec
    window: Window
    part: int
    whole: int

    @property
    def rate(self) -> float | None:
        return share(self.part, self.whole)

    @property
    def met(self) -> bool | None:
        return None if self.rate is None else self.spec.is_met(self.rate)


def measure(spec: MetricSpec, counts: Sequence[Count], until: date, today: date) -> Metric:
    """`counts` of the metric's topic by day, item and detail, of its window at least. What is open is judged only where
    its day is over.
    """
    window = spec.window(until)
    inside = [count for count in counts if count.day is not None and count.day in window]
    match spec.topic:
        case Topic.HANDOFFS:
            part, whole = _late_handoffs(inside, today)
        case Topic.PREFULFILLMENT:
            part, whole = _sum(inside, item=CANCELLED), _sum(inside, item=ORDERS)
        case Topic.DELIVERIES if spec.name is MetricName.VALID_TRACKING:
            part = _parcels(inside, detail=delivery_detail(FBM, True))
            whole = part + _parcels(inside, detail=delivery_detail(FBM, False))
        case _:
            part, whole = _on_time_deliveries(inside, today)
    return Metric(spec=spec, window=window, part=part, whole=whole)


def _late_handoffs(counts: list[Count], today: date) -> tuple[int, int]:
    own = [count for count in counts if count.detail == FBM]
    overdue = _sum([count for count in own if is_over(count, today)], item=Handoff.OPEN)
    late = _sum(own, item=Handoff.LATE) + overdue
    return late, late + _sum(own, item=Handoff.ON_TIME)


def _on_time_deliveries(counts: list[Count], today: date) -> tuple[int, int]:
    own = [count for count in counts if count.detail == delivery_detail(FBM, True)]
    overdue = _parcels([count for count in own if is_over(count, today)], item=Delivery.OPEN)
    on_time = _parcels(own, item=Delivery.ON_TIME)
    return on_time, on_time + overdue + _parcels(own, item=Delivery.LATE) + _parcels(own, item=Delivery.FAILED)


def is_over(count: Count, today: date) -> bool:
    return count.day is not None and count.day < today


def _sum(counts: Iterable[Count], item: str) -> int:
    return sum(count.orders for count in counts if count.item == item)


def _parcels(counts: Iterable[Count], *, item: str | None = None, detail: str | None = None) -> int:
    return sum(count.units for count in counts if item in (None, count.item) and detail in (None, count.detail))
