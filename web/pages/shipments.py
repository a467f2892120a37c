"""An order as its customer sees it: what comes in which box, how far it is, and when it arrives."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from domain.timeline import Entry
from store.views.order import OrderDetail, OrderFulfillment, OrderParcel

STEPS = ("Ordered", "Packed", "Shipped", "Out for delivery", "Delivered")


class Item(NamedTuple):
    title: str
    quantity: int


class Scan(NamedTuple):
    at: datetime
    text: str


class Shipment(NamedTuple):
    """A parcel, or what of a fulfillment is in none yet. `step` counts in STEPS; `trouble`: empty, `warn` or `bad`."""

    fulfillment: OrderFulfillment
    parcel: OrderParcel | None
    items: tuple[Item, ...]
    step: int
    trouble: str
    state: str
    """In a few words what is the matter with it, where it does not simply go its way."""

    promised: datetime
    expected: datetime | None
    """Where it differs from the promise."""

    delivered_at: datetime | None
    scans: tuple[Scan, ...]

    @property
    def is_on_its_way(self) -> bool:
        return self.parcel is not None and self.parcel.stage == "shipped" and self.delivered_at is None


def shipments_of(order: OrderDetail) -> tuple[Shipment, ...]:
    return tuple(shipment for part in order.fulfillments for shipment in _of_part(order, part))


def _of_part(order: OrderDetail, part: OrderFulfillment) -> Iterator[Shipment]:
    for parcel in order.parcels:
        if parcel.fulfillment_id == part.fulfillment_id and parcel.contents and parcel.stage != "unpacked":
            yield _parcel(order, part, parcel)
    waiting = {
        unit.line_id: unit.quantity
        for unit in order.units
        if unit.fulfillment_id == part.fulfillment_id and unit.place == "reserved"
    }
    if waiting:
        state = "On hold" if part.on_hold else ""
        yield Shipment(
            part, None, _items(order, waiting), 0, "warn" if state else "", state, part.deliver_by, None, None, ()
        )


_TROUBLE: dict[str, tuple[str, str]] = {
    "exception": ("warn", "Delayed on the way"),
    "lost": ("bad", "Lost by the carrier"),
    "returned": ("warn", "On its way back to the seller"),
}


def _parcel(order: OrderDetail, part: OrderFulfillment, parcel: OrderParcel) -> Shipment:
    trouble, state = _TROUBLE.get(parcel.status or "", ("", ""))
    expected = parcel.estimate if parcel.estimate != part.deliver_by and parcel.delivered_at is None else None
    late = expected is not None and expected > part.deliver_by
    if parcel.presumed_delivered:
        state = "Counted as delivered: it was sent without tracking, and its time is over"
    elif late and not trouble:
        trouble, state = "warn", "Later than promised"
    return Shipment(
        part,
        parcel,
        _items(order, parcel.contents),
        _step(parcel),
        trouble,
        state,
        part.deliver_by,
        expected,
        parcel.delivered_at,
        tuple(_scans(order.timeline, parcel.parcel_id)),
    )


def _step(parcel: OrderParcel) -> int:
    if parcel.delivered_at is not None:
        return 4
    if parcel.stage != "shipped":
        return 1
    return 3 if parcel.status == "out_for_delivery" else 2


def _items(order: OrderDetail, contents: dict[str, int]) -> tuple[Item, ...]:
    titles = {line.line_id: line.title for line in order.lines}
    return tuple(Item(titles[line_id], quantity) for line_id, quantity in contents.items())


def _scans(timeline: Sequence[Entry], parcel_id: str) -> Iterator[Scan]:
    """The newest first, as everybody's tracking pages have it; one that was heard of late stands where it belongs."""
    for entry in sorted(timeline, key=lambda entry: (entry.occurred_at, entry.seq), reverse=True):
        if entry.what == "carrier_event" and entry.summary.startswith(f"{parcel_id}: "):
            text = entry.summary.removeprefix(f"{parcel_id}: ").removesuffix(", out of order")
            text = text[:1].upper() + text[1:]
            yield Scan(entry.occurred_at, f"{text} ({entry.why})" if entry.why and entry.why not in text else text)
