"""Following parcels to the doorstep: carrier events in any order, deliveries, corrections."""

from datetime import datetime, timedelta

from domain import letters, tracking_numbers
from domain.effects import RecordDelivery
from domain.handoff import number_refusal
from domain.issues import not_made_good, open_issue, settle_found_parcel
from domain.messages import CarrierEvent, ConfirmDelivery, CorrectTracking
from domain.order import (
    edit,
    edit_parcel,
    emit,
    fulfillment_of,
    key_for,
    log,
    move_all,
    parcel_of,
    parcels_beside,
    post,
    seller_of,
    speaks_for,
    the_fulfillment,
    the_parcel,
    units_of_parcel,
)
from domain.state import CarrierStatus, IssueKind, OrderState, Parcel, ParcelStage
from domain.units import Place

CARRIER_EVENTS_MAX = 2_000
"""Per order; more are not recorded but raise attention, so that a mad feed cannot grow history."""

_DONE = (CarrierStatus.DELIVERED, CarrierStatus.LOST, CarrierStatus.RETURNED)


# -- carrier events ----------------------------------------------------------------


def _parcel_meant(state: OrderState, message: CarrierEvent) -> Parcel | None:
    if message.parcel_id is not None:
        return parcel_of(state, message.parcel_id)
    number = _plain(message.tracking_number)
    return next((p for p in state.parcels if number and _plain(p.tracking_number) == number), None)


def _plain(number: str | None) -> str:
    return "".join(number.split()).upper() if number else ""


def carrier_event_refusal(state: OrderState, message: CarrierEvent) -> str | None:
    if not speaks_for("carrier", message.by):
        return f"by: {message.by} does not speak for the carrier"
    if message.parcel_id is None and message.tracking_number is None:
        return "parcel_id: the parcel or its tracking_number is needed"
    parcel = _parcel_meant(state, message)
    if parcel is None:
        if message.parcel_id is not None:
            return f"parcel_id: the order has no parcel {message.parcel_id!r}"
        return f"tracking_number: no parcel of the order has {message.tracking_number!r}"
    if message.tracking_number and _plain(message.tracking_number) != _plain(parcel.tracking_number):
        return f"tracking_number: {parcel.parcel_id} has {parcel.tracking_number}, not {message.tracking_number}"
    if parcel.stage is not ParcelStage.SHIPPED:
        return f"parcel_id: {parcel.parcel_id} has not been handed over yet"
    return None


def is_early(state: OrderState, message: CarrierEvent) -> bool:
    """Of a parcel whose handoff may be what the order hears of next."""
    parcel = parcel_of(state, message.parcel_id) if message.parcel_id is not None else None
    return parcel is not None and parcel.stage in (ParcelStage.PACKED, ParcelStage.SHIPPING)


def is_repeated(state: OrderState, message: CarrierEvent) -> bool:
    parcel = _parcel_meant(state, message)
    return parcel is not None and message.event_id in parcel.seen_events


def accept_carrier_event(state: OrderState, message: CarrierEvent, now: datetime) -> OrderState:
    """Apply an event once; a late or contradicting one is noted and moves nothing back."""
    if is_repeated(state, message):
        return state
    if state.carrier_events >= CARRIER_EVENTS_MAX:
        return edit(state, carrier_events_refused=state.carrier_events_refused + 1)
    parcel = _parcel_meant(state, message)
    assert parcel is not None
    state = edit(state, carrier_events=state.carrier_events + 1)
    parcel_id = parcel.parcel_id
    state = edit_parcel(state, parcel_id, seen_events=(*parcel.seen_events, message.event_id))
    happened = min(message.occurred_at, now)
    stale = _is_stale(parcel, message.status, happened)
    state = log(
        state,
        now,
        message.by,
        "carrier_event",
        f"{parcel_id}: {message.status.replace('_', ' ')}"
        + (f" at {message.location}" if message.location else "")
        + (", out of order" if stale else ""),
        why=message.note,
        occurred_at=happened,
        fulfillment_id=parcel.fulfillment_id,
        before=parcel.status,
        after=None if stale else message.status,
    )
    if stale:
        return state
    state = edit_parcel(state, parcel_id, status=message.status, last_event_at=happened, silent=False)
    if message.status not in _DONE:
        state = _re_estimate(state, parcel_id, message, now)
    return _react(state, parcel_id, message, happened, now)


def _is_stale(parcel: Parcel, status: CarrierStatus, happened: datetime) -> bool:
    """A lost parcel may yet be delivered; a delivered or returned one stays so."""
    if parcel.status in (CarrierStatus.DELIVERED, CarrierStatus.RETURNED):
        return True
    if parcel.status is CarrierStatus.LOST:
        return status not in (CarrierStatus.DELIVERED, CarrierStatus.RETURNED)
    # Scanned before the seller told of the handoff, or before its number was mended: still the first news.
    if status in _DONE or parcel.status is CarrierStatus.LABEL_CREATED:
        return False
    return parcel.last_event_at is not None and happened < parcel.last_event_at


def _react(state: OrderState, parcel_id: str, message: CarrierEvent, happened: datetime, now: datetime) -> OrderState:
    parcel = the_parcel(state, parcel_id)
    match message.status:
        case CarrierStatus.OUT_FOR_DELIVERY:
            return post(state, letters.out_for_delivery(state, parcel))
        case CarrierStatus.DELIVERED:
            return deliver(state, parcel_id, now, message.by, happened, message.signed_by, message.location)
        case CarrierStatus.LOST:
            state = move_all(state, units_of_parcel(state, parcel_id, Place.SHIPPED), Place.LOST)
            return open_issue(state, IssueKind.LOST, parcel.fulfillment_id, parcel_id, message.by, message.note, now)
        case CarrierStatus.RETURNED:
            state = move_all(state, units_of_parcel(state, parcel_id, Place.SHIPPED, Place.LOST), Place.RETURNED)
            if not not_made_good(state, units_of_parcel(state, parcel_id, Place.RETURNED)):
                return state
            return open_issue(
                state, IssueKind.UNDELIVERABLE, parcel.fulfillment_id, parcel_id, message.by, message.note, now
            )
        case CarrierStatus.EXCEPTION if message.exception != "delayed":
            kind = IssueKind(message.exception)
            return open_issue(state, kind, parcel.fulfillment_id, parcel_id, message.by, message.note, now)
        case CarrierStatus.EXCEPTION if message.estimated_delivery is None:
            return tell_delay(state, parcel_id, message.note or "The carrier reports a delay.", now)
        case _:
            return state


def _re_estimate(state: OrderState, parcel_id: str, message: CarrierEvent, now: datetime) -> OrderState:
    """The carrier's own estimate replaces ours; one past the promise is a delay."""
    if message.estimated_delivery is None:
        return state
    parcel = the_parcel(state, parcel_id)
    promised = the_fulfillment(state, parcel.fulfillment_id).deliver_by
    later = parcel.estimate is None or message.estimated_delivery > parcel.estimate
    state = edit_parcel(state, parcel_id, estimate=message.estimated_delivery)
    if later and message.estimated_delivery > promised:
        return tell_delay(state, parcel_id, message.note or "The carrier expects it later.", now)
    return state


def tell_delay(state: OrderState, parcel_id: str, reason: str, now: datetime) -> OrderState:
    """Tell the customer, once per estimate, beside the promise that stays as it was."""
    state = edit_parcel(state, parcel_id, delayed_told=True)
    parcel = the_parcel(state, parcel_id)
    until = parcel.estimate.strftime("%Y%m%d") if parcel.estimate else "open"
    key = f"{state.order_id}:delayed:{parcel_id}:{until}"
    state = log(
        state, now, "marketplace", "delayed", f"{parcel_id} is late", why=reason, fulfillment_id=parcel.fulfillment_id
    )
    return post(state, letters.delayed(state, parcel, reason, key))


# -- delivery ----------------------------------------------------------------------


def deliver(
    state: OrderState,
    parcel_id: str,
    now: datetime,
    by: str,
    at: datetime,
    proof: str = "",
    place: str = "",
    *,
    presumed: bool = False,
) -> OrderState:
    """The parcel is at the doorstep: proof recorded, customer told, an open loss settled."""
    parcel = the_parcel(state, parcel_id)
    state = edit_parcel(
        state,
        parcel_id,
        status=CarrierStatus.DELIVERED,
        delivered_at=at,
        presumed_delivered=presumed,
        proof=proof or None,
        silent=False,
    )
    state = settle_found_parcel(state, parcel_id, now, by)
    found = not_made_good(state, units_of_parcel(state, parcel_id, Place.LOST))
    state = move_all(state, (*units_of_parcel(state, parcel_id, Place.SHIPPED), *found), Place.DELIVERED)
    state = log(
        state,
        now,
        by,
        "delivered",
        f"{parcel_id} delivered" + (" (presumed: it has no tracking)" if presumed else ""),
        why=f"signed by {proof}" if proof else "",
        occurred_at=at,
        fulfillment_id=parcel.fulfillment_id,
        before="shipped",
        after="delivered",
    )
    state, key = key_for(state, "delivered", parcel_id)
    state = emit(
        state,
        RecordDelivery(key=key, fulfillment_id=parcel.fulfillment_id, parcel_ids=(parcel_id,)),
    )
    return post(state, letters.delivered(state, the_parcel(state, parcel_id), by, place))


def _undelivered(state: OrderState, message: ConfirmDelivery) -> tuple[Parcel, ...]:
    return tuple(
        parcel
        for parcel in state.parcels
        if parcel.stage is ParcelStage.SHIPPED
        and parcel.delivered_at is None
        and parcel.status is not CarrierStatus.RETURNED
        and message.fulfillment_id in (None, parcel.fulfillment_id)
        and message.parcel_id in (None, parcel.parcel_id)
    )


def confirm_delivery_refusal(state: OrderState, message: ConfirmDelivery) -> str | None:
    if seller_of(message.by) is not None:
        return "by: the customer, the carrier or support confirms a delivery, not the seller"
    if message.fulfillment_id is not None and fulfillment_of(state, message.fulfillment_id) is None:
        return f"fulfillment_id: the order has no fulfillment {message.fulfillment_id!r}"
    if message.parcel_id is not None and parcel_of(state, message.parcel_id) is None:
        return f"parcel_id: the order has no parcel {message.parcel_id!r}"
    if not _undelivered(state, message):
        return "no parcel of this is on its way"
    return None


def accept_confirm_delivery(state: OrderState, message: ConfirmDelivery, now: datetime) -> OrderState:
    at = min(message.occurred_at or now, now)
    for parcel in _undelivered(state, message):
        state = deliver(state, parcel.parcel_id, now, message.by, at, message.note)
    return state


# -- corrections -------------------------------------------------------------------


def correct_tracking_refusal(state: OrderState, message: CorrectTracking) -> str | None:
    parcel = parcel_of(state, message.parcel_id)
    seller = seller_of(message.by)
    if parcel is None or seller not in (None, the_fulfillment(state, parcel.fulfillment_id).seller):
        return f"parcel_id: the order has no parcel {message.parcel_id!r}"
    if parcel.stage is not ParcelStage.SHIPPED:
        return f"parcel_id: {parcel.parcel_id} has not been handed over; ship takes its number"
    if parcel.delivered_at is not None:
        return f"parcel_id: {parcel.parcel_id} is delivered"
    if parcel.status is CarrierStatus.RETURNED:
        return f"parcel_id: {parcel.parcel_id} came back"
    for other in parcels_beside(state, parcel.fulfillment_id):
        if (other.carrier, other.tracking_number) == (message.carrier, message.tracking_number):
            return f"tracking_number: {message.tracking_number} is on {other.parcel_id}"
    return number_refusal(message.carrier, message.tracking_number)


def accept_correct_tracking(state: OrderState, message: CorrectTracking, now: datetime) -> OrderState:
    """The old number's story does not count for the new one."""
    parcel = the_parcel(state, message.parcel_id)
    before = f"{parcel.carrier} {parcel.tracking_number}"
    state = edit_parcel(
        state,
        parcel.parcel_id,
        carrier=message.carrier,
        tracking_number=message.tracking_number,
        tracking_url=tracking_numbers.tracking_url(message.carrier, message.tracking_number),
        status=CarrierStatus.LABEL_CREATED,
        last_event_at=now,
        silent=False,
    )
    state = log(
        state,
        now,
        message.by,
        "tracking_corrected",
        f"{parcel.parcel_id}: {message.carrier} {message.tracking_number}",
        why=message.reason,
        fulfillment_id=parcel.fulfillment_id,
        before=before,
        after=f"{message.carrier} {message.tracking_number}",
    )
    state, key = key_for(state, "tracking_mail", parcel.parcel_id)
    mail = letters.shipped(state, parcel.fulfillment_id, (parcel.parcel_id,), 0)
    return post(state, mail.model_copy(update={"key": key, "charged": None}))


# -- time --------------------------------------------------------------------------


def went_silent(state: OrderState, parcel: Parcel, now: datetime) -> OrderState:
    state = edit_parcel(state, parcel.parcel_id, silent=True)
    since = parcel.last_event_at.date().isoformat() if parcel.last_event_at else "handoff"
    return log(
        state,
        now,
        "marketplace",
        "silent",
        f"{parcel.parcel_id}: no carrier event since {since}",
        fulfillment_id=parcel.fulfillment_id,
    )


def counts_as_lost(state: OrderState, parcel: Parcel, now: datetime) -> OrderState:
    state = edit_parcel(state, parcel.parcel_id, status=CarrierStatus.LOST)
    state = move_all(state, units_of_parcel(state, parcel.parcel_id, Place.SHIPPED), Place.LOST)
    note = "no carrier event for too long"
    return open_issue(state, IssueKind.LOST, parcel.fulfillment_id, parcel.parcel_id, "marketplace", note, now)


def missed_promise(state: OrderState, parcel: Parcel, now: datetime) -> OrderState:
    """The estimate has passed without a delivery: tell the customer of a new one."""
    later = now + timedelta(days=1)
    state = edit_parcel(state, parcel.parcel_id, estimate=later)
    return tell_delay(state, parcel.parcel_id, "It has not arrived by the expected date.", now)
