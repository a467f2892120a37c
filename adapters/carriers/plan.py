"""Which scans a simulated parcel gets, and when: a plain function of the parcel and its scenario.

| scenario | the carrier's story |
|---|---|
| `on_time` | label_created, in_transit twice, out_for_delivery, delivered within the promise, signed |
| `delayed` | an exception with a later estimate, delivered one or two days past the promise |
| `lost` | two scans, then silence for ever |
| `declared_lost` | two scans, and at the end of the promise the carrier says that it is lost |
| `damaged` | an exception (damaged) on the way, then returned to the sender |
| `returned` | an exception (undeliverable) at the door, then returned to the sender |
| `duplicated` | as on time, each scan sent twice |
| `out_of_order` | as on time, but the first transit scan arrives after delivery and the second late too |
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from adapters.simulation import share
from domain.model import Frozen
from domain.progress import Follow
from domain.state import CarrierStatus


class CarrierScenario(StrEnum):
    ON_TIME = "on_time"
    DELAYED = "delayed"
    LOST = "lost"
    DECLARED_LOST = "declared_lost"
    DAMAGED = "damaged"
    RETURNED = "returned"
    DUPLICATED = "duplicated"
    OUT_OF_ORDER = "out_of_order"


class Scan(Frozen):
    """One scan in business time; `arrives_at` is when the order hears of it."""

    number: int
    status: CarrierStatus
    exception: Literal["delayed", "damaged", "undeliverable"] | None = None
    occurred_at: datetime
    arrives_at: datetime
    estimated_delivery: datetime | None = None
    location: str = ""
    signed_by: str = ""
    note: str = ""


def plan(order_id: str, parcel: Follow, scenario: CarrierScenario) -> tuple[Scan, ...]:
    """The scans in the order in which they arrive; a duplicated one stands twice, with one number."""
    arrival = _arrival(order_id, parcel)
    match scenario:
        case CarrierScenario.ON_TIME:
            return _on_time(parcel, arrival)
        case CarrierScenario.DELAYED:
            return _delayed(parcel, arrival)
        case CarrierScenario.LOST:
            return _on_time(parcel, arrival)[:2]
        case CarrierScenario.DECLARED_LOST:
            return _declared_lost(parcel, arrival)
        case CarrierScenario.DAMAGED:
            return _damaged(parcel, arrival)
        case CarrierScenario.RETURNED:
            return _returned(parcel, arrival)
        case CarrierScenario.DUPLICATED:
            return tuple(scan for scan in _on_time(parcel, arrival) for _ in range(2))
        case CarrierScenario.OUT_OF_ORDER:
            return _out_of_order(parcel, arrival)


_DAYS = {"Standard": 4, "Expedited": 3, "TwoDay": 2, "NextDay": 1}


def _arrival(order_id: str, parcel: Follow) -> datetime:
    """Between 60 and 90 % of the time promised; a parcel handed over too late takes its method's days all the same.

    The simulated carrier works around the clock and knows no weekend.
    """
    promised = parcel.deliver_by - parcel.shipped_at
    least = timedelta(days=_DAYS.get(parcel.method, 4)) / 2
    fraction = 0.6 + 0.3 * share("arrival", order_id, parcel.parcel_id, parcel.tracking_number)
    return parcel.shipped_at + max(promised * fraction, least)


def _on_time(parcel: Follow, arrival: datetime) -> tuple[Scan, ...]:
    expected = max(arrival, parcel.deliver_by)
    return (
        _scan(parcel, arrival, 1, 0.0, CarrierStatus.LABEL_CREATED, note="Label created"),
        _scan(parcel, arrival, 2, 0.1, CarrierStatus.IN_TRANSIT, location="Origin facility", estimate=expected),
        _scan(parcel, arrival, 3, 0.5, CarrierStatus.IN_TRANSIT, location="Sorting center", estimate=expected),
        _scan(parcel, arrival, 4, 0.9, CarrierStatus.OUT_FOR_DELIVERY, location="Destination", estimate=arrival),
        _scan(parcel, arrival, 5, 1.0, CarrierStatus.DELIVERED, location="Front door", signed_by="RECIPIENT"),
    )


def _delayed(parcel: Follow, arrival: datetime) -> tuple[Scan, ...]:
    days = 1 + share("delay", parcel.tracking_number)
    late = max(arrival, parcel.deliver_by) + timedelta(days=days)
    first, second, *_ = _on_time(parcel, arrival)
    return (
        first,
        second,
        _exception(parcel, arrival, 3, 0.5, "delayed", "Delayed at the sorting center", estimate=late),
        _scan(parcel, late, 4, 0.9, CarrierStatus.OUT_FOR_DELIVERY, location="Destination", estimate=late),
        _scan(parcel, late, 5, 1.0, CarrierStatus.DELIVERED, location="Front door", signed_by="RECIPIENT"),
    )


def _declared_lost(parcel: Follow, arrival: datetime) -> tuple[Scan, ...]:
    end = max(arrival, parcel.deliver_by)
    lost = _scan(parcel, end, 3, 1.0, CarrierStatus.LOST, note="Search given up")
    return (*_on_time(parcel, arrival)[:2], lost)


def _damaged(parcel: Follow, arrival: datetime) -> tuple[Scan, ...]:
    return (
        *_on_time(parcel, arrival)[:2],
        _exception(parcel, arrival, 3, 0.5, "damaged", "Package damaged on the way"),
        _scan(parcel, arrival, 4, 1.3, CarrierStatus.RETURNED, location="Returned to sender"),
    )


def _returned(parcel: Follow, arrival: datetime) -> tuple[Scan, ...]:
    return (
        *_on_time(parcel, arrival)[:4],
        _exception(parcel, arrival, 5, 1.0, "undeliverable", "Nobody there, or no such address"),
        _scan(parcel, arrival, 6, 1.8, CarrierStatus.RETURNED, location="Returned to sender"),
    )


def _out_of_order(parcel: Follow, arrival: datetime) -> tuple[Scan, ...]:
    label, first, second, door, delivered = _on_time(parcel, arrival)
    transit = arrival - parcel.shipped_at
    return (
        label,
        door,
        second.model_copy(update={"arrives_at": parcel.shipped_at + transit * 0.95}),
        delivered,
        first.model_copy(update={"arrives_at": parcel.shipped_at + transit * 1.05}),
    )


def _scan(
    parcel: Follow,
    arrival: datetime,
    number: int,
    fraction: float,
    status: CarrierStatus,
    *,
    estimate: datetime | None = None,
    location: str = "",
    signed_by: str = "",
    note: str = "",
) -> Scan:
    at = parcel.shipped_at + (arrival - parcel.shipped_at) * fraction
    return Scan(
        number=number,
        status=status,
        occurred_at=at,
        arrives_at=at,
        estimated_delivery=estimate,
        location=location,
        signed_by=signed_by,
        note=note,
    )


def _exception(
    parcel: Follow,
    arrival: datetime,
    number: int,
    fraction: float,
    kind: Literal["delayed", "damaged", "undeliverable"],
    note: str,
    estimate: datetime | None = None,
) -> Scan:
    scan = _scan(parcel, arrival, number, fraction, CarrierStatus.EXCEPTION, estimate=estimate, note=note)
    return scan.model_copy(update={"exception": kind})
