"""The derived faces of an order: its status, what needs attention, the dates to watch."""

from datetime import datetime

from domain.order import units_in
from domain.state import (
    Fulfillment,
    IssueKind,
    OrderState,
    OrderStatus,
    ParcelStage,
    Phase,
)
from domain.units import BEFORE_HANDOFF, HANDED_OVER, Place

_ISSUE_FLAGS = {
    IssueKind.LOST: "lost",
    IssueKind.DAMAGED: "damaged",
    IssueKind.UNDELIVERABLE: "undeliverable",
}


def order_status(state: OrderState, seller: str | None = None) -> OrderStatus:
    """Derived from the units, cancelled ones set aside; Amazon's words and Delivered. Of one seller's units alone
    where it is named: what a seller is told.

    Lost and returned units are set aside too once something else was delivered: what was done
    about them stands in the timeline, and a reship that arrived makes the order Delivered.
    """
    lines = {line.line_id: line for line in state.lines if seller in (None, line.seller)}
    places = {unit.spot.place for unit in state.units if unit.line_id in lines} - {Place.CANCELLED}
    if not places:
        short = all(line.short_units == line.quantity for line in lines.values())
        return OrderStatus.UNFULFILLABLE if short else OrderStatus.CANCELED
    if state.phase in (Phase.PLACED, Phase.PAYING):
        return OrderStatus.PENDING
    if places - {Place.LOST, Place.RETURNED} == {Place.DELIVERED}:
        return OrderStatus.DELIVERED
    if places <= set(HANDED_OVER):
        return OrderStatus.SHIPPED
    if places & set(HANDED_OVER):
        return OrderStatus.PARTIALLY_SHIPPED
    return OrderStatus.UNSHIPPED


def fulfillment_status(state: OrderState, fulfillment: Fulfillment) -> str:
    """Where this part stands, by its units; a seller sees this and not the order's status."""
    places = {u.spot.place for u in units_in(state, fulfillment.fulfillment_id)}
    places.discard(Place.CANCELLED)
    if not places:
        return "Canceled"
    if places == {Place.DELIVERED}:
        return "Delivered"
    if places <= set(HANDED_OVER):
        return "Shipped"
    if places & set(HANDED_OVER):
        return "PartiallyShipped"
    return "Packed" if places == {Place.PACKED} else "Unshipped"


def attention(state: OrderState) -> tuple[str, ...]:
    """What a person should look at, as stable words in alphabetical order."""
    flags: set[str] = set()
    if state.shortages:
        flags.add("out_of_stock")
    if state.backorders:
        flags.add("backordered")
    if state.holds:
        flags.add("on_hold")
    if state.unpaid:
        flags.add("unpaid")
    if state.refunds_refused:
        flags.add("refund_refused")
    if state.pay_by is not None:
        flags.add("payment_declined")
    if state.requests:
        flags.add("cancellation_requested")
    if state.carrier_events_refused:
        flags.add("too_many_events")
    for issue in state.issues:
        if issue.resolved_at is None:
            flags.add(_ISSUE_FLAGS.get(issue.kind, "issue"))
    for parcel in state.parcels:
        if parcel.stage is ParcelStage.SHIPPED and parcel.delivered_at is None:
            if parcel.silent:
                flags.add("silent")
            if parcel.delayed_told:
                flags.add("late")
    for fulfillment in state.fulfillments:
        if fulfillment.ship_by_missed and _waits_for_handoff(state, fulfillment):
            flags.add("late")
    return tuple(sorted(flags))


def _waits_for_handoff(state: OrderState, fulfillment: Fulfillment) -> bool:
    return bool(units_in(state, fulfillment.fulfillment_id, *BEFORE_HANDOFF))


def next_ship_by(state: OrderState) -> datetime | None:
    """The earliest ship-by of what has not left yet."""
    dates = [f.ship_by for f in state.fulfillments if _waits_for_handoff(state, f)]
    return min(dates, default=None)


def promised_at(state: OrderState) -> datetime:
    """The latest delivery date that was promised at sale."""
    return max(line.deliver_by for line in state.lines)


def is_at_rest(state: OrderState) -> bool:
    """No unit, message, issue or money of the order waits for anything any more."""
    return (
        all(unit.spot.place in _REST for unit in state.units)
        and not state.effects
        and not state.requests
        and not state.shortages
        and not state.unpaid
        and all(issue.resolved_at is not None for issue in state.issues)
    )


_REST = (Place.DELIVERED, Place.LOST, Place.RETURNED, Place.CANCELLED)
