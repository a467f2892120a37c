"""The fulfillment network's part (FBA): it packs and ships, we check what it says it did."""

from datetime import datetime

from domain.cancellation import no_fulfillment, settle_request
from domain.effects import RecordPacking
from domain.handoff import hand_over, number_refusal
from domain.issues import open_issue
from domain.messages import NetworkEvent, NetworkParcel
from domain.order import (
    edit,
    edit_fulfillment,
    edit_parcel,
    emit,
    fulfillment_of,
    key_for,
    log,
    move,
    speaks_for,
    stock_items,
    the_fulfillment,
    units_in,
    units_text,
)
from domain.placing import Channel
from domain.requests import NetworkOrder
from domain.shortage import to_new_fulfillment, unavailable_again
from domain.state import IssueKind, OrderState, Parcel
from domain.tracking_numbers import tracking_url
from domain.units import Place, Spot, count

_ENDED = ("Cancelled", "Complete", "CompletePartialled", "Unfulfillable", "Invalid")
_RANK = {"Received": 0, "Planning": 1, "Processing": 2}


def network_asked(state: OrderState, fulfillment_id: str, status: str, now: datetime) -> OrderState:
    """The network took the order over, or refused it at once (`Invalid`, `Unfulfillable`)."""
    if the_fulfillment(state, fulfillment_id).network_status is None:
        state = edit_fulfillment(state, fulfillment_id, network_status=status)
    state = log(state, now, "network", "network_asked", f"{fulfillment_id}: {status}", fulfillment_id=fulfillment_id)
    return _give_up_rest(state, fulfillment_id, now) if status in ("Unfulfillable", "Invalid") else state


def network_order(state: OrderState, fulfillment_id: str, key: str, now: datetime) -> NetworkOrder | None:
    """What the network is asked for: all that is reserved now, or None where nothing is left."""
    items = stock_items(state, units_in(state, fulfillment_id, Place.RESERVED))
    if not items:
        return None
    return NetworkOrder(
        order_id=state.order_id,
        key=key,
        fulfillment_id=fulfillment_id,
        method=state.method,
        items=items,
        factor=state.factor,
        asked_at=now,
        ship_by=the_fulfillment(state, fulfillment_id).ship_by,
        deliver_by=the_fulfillment(state, fulfillment_id).deliver_by,
    )


def cancel_answered(state: OrderState, fulfillment_id: str, agreed: bool, now: datetime) -> OrderState:
    """The network can cancel in Received and Planning, not in Processing."""
    if agreed:
        state = edit_fulfillment(state, fulfillment_id, network_status="Cancelled")
    reason = "" if agreed else "The fulfillment network is packing it already."
    asked = [r for r in state.requests if r.fulfillment_id == fulfillment_id and r.answer_by is None]
    for request in asked:
        state = settle_request(state, request, agreed, now, "network", reason)
    # It cancels a whole order or none of it: what nobody wanted cancelled is asked for anew.
    if agreed and asked and units_in(state, fulfillment_id, Place.RESERVED):
        state = to_new_fulfillment(state, fulfillment_id, now)
    return state


def network_event_refusal(state: OrderState, message: NetworkEvent) -> str | None:
    if not speaks_for("network", message.by):
        return f"by: {message.by} does not speak for the network"
    fulfillment = fulfillment_of(state, message.fulfillment_id)
    if fulfillment is None:
        return no_fulfillment(state, message.fulfillment_id)
    if fulfillment.channel is not Channel.FBA:
        return f"fulfillment_id: {message.fulfillment_id} is packed by its seller"
    for index, parcel in enumerate(message.parcels):
        refusal = number_refusal(parcel.carrier, parcel.tracking_number)
        if refusal is not None:
            return f"parcels.{index}.{refusal}"
    return None


def accept_network_event(state: OrderState, message: NetworkEvent, now: datetime) -> OrderState:
    """Apply an event once; a state that comes late does not take a later one back."""
    if message.event_id in state.network_events_seen:
        return state
    state = edit(state, network_events_seen=(*state.network_events_seen, message.event_id))
    fulfillment_id = message.fulfillment_id
    before = the_fulfillment(state, fulfillment_id).network_status
    late = before in _ENDED or _RANK.get(message.status, 9) < _RANK.get(before or "", -1)
    state = log(
        state,
        now,
        message.by,
        "network_event",
        f"{fulfillment_id}: {message.status}" + (", out of order" if late else ""),
        occurred_at=min(message.occurred_at, now),
        fulfillment_id=fulfillment_id,
        before=before,
        after=before if late else message.status,
    )
    if not late:
        state = edit_fulfillment(state, fulfillment_id, network_status=message.status)
    for parcel in message.parcels:
        state = _shipped_by_network(state, fulfillment_id, parcel, message, now)
    if not late and message.status in ("Unfulfillable", "CompletePartialled", "Invalid"):
        state = _give_up_rest(state, fulfillment_id, now)
    if not late and message.status == "Complete" and units_in(state, fulfillment_id, Place.RESERVED):
        state = _give_up_rest(state, fulfillment_id, now)
    if not late and message.status == "Cancelled":
        state = cancel_answered(state, fulfillment_id, True, now)
        state = _give_up_rest(state, fulfillment_id, now)
    return state


def _shipped_by_network(
    state: OrderState, fulfillment_id: str, said: NetworkParcel, message: NetworkEvent, now: datetime
) -> OrderState:
    """Record the network's parcel; contents that do not match the lines open an issue."""
    if any(p.tracking_number == said.tracking_number and p.carrier == said.carrier for p in state.parcels):
        return state
    number = the_fulfillment(state, fulfillment_id).parcels_made + 1
    parcel_id = f"{fulfillment_id}-p{number}"
    shelf = Spot(place=Place.RESERVED, fulfillment_id=fulfillment_id)
    box = Spot(place=Place.PACKED, fulfillment_id=fulfillment_id, parcel_id=parcel_id)
    wrong = []
    contents: list[tuple[str, int]] = []
    for item in said.items:
        there = count(state.units, item.line_id, shelf)
        fits = min(item.quantity, there)
        if fits < item.quantity:
            wrong.append(f"{item.quantity} of line {item.line_id} in the parcel, {there} to ship")
        if fits:
            contents.append((item.line_id, fits))
            state = move(state, item.line_id, fits, shelf, box)
    if contents:
        parcel = Parcel(
            parcel_id=parcel_id,
            fulfillment_id=fulfillment_id,
            carrier=said.carrier,
            tracking_number=said.tracking_number,
            tracking_url=tracking_url(said.carrier, said.tracking_number),
            packed_at=now,
        )
        state = edit_fulfillment(state, fulfillment_id, parcels_made=number)
        state = edit(state, parcels=(*state.parcels, parcel))
        packed = [unit for unit in state.units if unit.spot.parcel_id == parcel_id]
        state = log(
            state,
            now,
            message.by,
            "packed",
            f"{parcel_id}: {units_text(state, packed)}",
            occurred_at=min(message.occurred_at, now),
            fulfillment_id=fulfillment_id,
            before="reserved",
            after="packed",
        )
        state, key = key_for(state, "pack", fulfillment_id)
        state = emit(state, RecordPacking(key=key, fulfillment_id=fulfillment_id, parcel_ids=(parcel_id,)))
        if said.estimated_delivery is not None:
            state = edit_parcel(state, parcel_id, estimate=said.estimated_delivery)
        state = hand_over(state, (parcel_id,), now, message.by, message.occurred_at)
    if wrong:
        state = open_issue(
            state,
            IssueKind.DISCREPANCY,
            fulfillment_id,
            parcel_id if contents else None,
            "network",
            "; ".join(wrong),
            now,
        )
    return state


def _give_up_rest(state: OrderState, fulfillment_id: str, now: datetime) -> OrderState:
    """What the network will not ship: its stock is corrected, and other stock looked for."""
    for request in state.requests:
        if request.fulfillment_id == fulfillment_id and units_in(state, fulfillment_id, Place.RESERVED):
            state = settle_request(state, request, True, now, "network", "The network does not ship it.")
    rest = units_in(state, fulfillment_id, Place.RESERVED)
    if not rest:
        return state
    state = log(
        state,
        now,
        "network",
        "unfulfillable",
        f"The network does not ship {units_text(state, rest)}",
        fulfillment_id=fulfillment_id,
        before="reserved",
        after="pending",
    )
    return unavailable_again(state, rest, now, fulfillment_id)
