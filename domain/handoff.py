"""Carrier handoff: packed parcels leave, stock falls, what ships is charged."""

from datetime import datetime, timedelta

from domain import letters, tracking_numbers
from domain.cancellation import void_label
from domain.charging import ask_to_capture
from domain.effects import HandOver
from domain.messages import Ship, Shipped
from domain.money import capture_units
from domain.order import (
    edit_fulfillment,
    edit_parcel,
    emit,
    log,
    move_all,
    parcels_beside,
    post,
    seller_of,
    stock_items,
    the_fulfillment,
    the_line,
    the_parcel,
    units_of_parcel,
    units_text,
)
from domain.packing import ask_for_label, seller_step_refusal
from domain.results import ParcelTracking
from domain.state import CarrierStatus, Label, OrderState, Parcel, ParcelStage
from domain.units import Place


def parcels_to_ship(state: OrderState, message: Ship) -> tuple[Shipped, ...]:
    """The parcels the message means, with what it says of each."""
    if message.parcels is not None:
        return message.parcels
    return tuple(
        Shipped(
            parcel_id=parcel.parcel_id,
            carrier=message.carrier,
            tracking_number=message.tracking_number,
        )
        for parcel in state.parcels
        if parcel.fulfillment_id == message.fulfillment_id and parcel.stage is ParcelStage.PACKED
    )


def ship_refusal(state: OrderState, message: Ship) -> str | None:
    refusal = seller_step_refusal(state, message.fulfillment_id, message.by)
    if refusal is not None:
        return refusal
    if message.parcels is not None and (message.carrier or message.tracking_number):
        return "carrier: belongs to each of the parcels where they are given"
    packed = {
        parcel.parcel_id
        for parcel in state.parcels
        if parcel.fulfillment_id == message.fulfillment_id and parcel.stage is ParcelStage.PACKED
    }
    if not packed:
        return "nothing is packed: pack comes first"
    shipped = parcels_to_ship(state, message)
    if message.tracking_number is not None and len(shipped) > 1:
        return f"tracking_number: {len(shipped)} parcels are packed; give each its own in parcels"
    asked = {parcel_id for request in state.requests for parcel_id in request.parcel_ids}
    beside = parcels_beside(state, message.fulfillment_id)
    numbers = {(p.carrier, p.tracking_number) for p in beside if p.tracking_number}
    seen: set[str] = set()
    for index, one in enumerate(shipped):
        where = f"parcels.{index}" if message.parcels is not None else ""
        dot = f"{where}." if where else ""
        if one.parcel_id not in packed or one.parcel_id in seen:
            return f"{dot}parcel_id: {one.parcel_id!r} is no packed parcel of {message.fulfillment_id}"
        seen.add(one.parcel_id)
        if one.parcel_id in asked:
            return f"a cancellation of {one.parcel_id} waits for its answer: answer_cancellation comes first"
        refusal = number_refusal(one.carrier, one.tracking_number)
        if refusal is not None:
            return f"{dot}{refusal}"
        if one.tracking_number is not None:
            number = (one.carrier, one.tracking_number)
            if number in numbers:
                return f"{dot}tracking_number: {one.tracking_number} is on another parcel already"
            numbers.add(number)
    return None


def number_refusal(carrier: str | None, number: str | None) -> str | None:
    """A number needs its carrier, and the carrier's checksum where it has one."""
    if number is None:
        return None
    if carrier is None:
        return "carrier: which carrier gave the tracking number?"
    return tracking_numbers.refusal(carrier, number)


def accept_ship(state: OrderState, message: Ship, now: datetime) -> tuple[OrderState, tuple[str, ...]]:
    """Hand over what has a carrier; buy a label for the rest, which then follows."""
    left, waiting = [], []
    for one in parcels_to_ship(state, message):
        parcel = the_parcel(state, one.parcel_id)
        if one.carrier is not None:
            url = one.tracking_number and tracking_numbers.tracking_url(one.carrier, one.tracking_number)
            state = edit_parcel(
                state,
                one.parcel_id,
                carrier=one.carrier,
                tracking_number=one.tracking_number,
                tracking_url=url,
            )
            state = void_label(state, one.parcel_id)
            left.append(one.parcel_id)
        elif parcel.label is not None:
            state = _stick(state, one.parcel_id, parcel.label)
            left.append(one.parcel_id)
        else:
            state = edit_parcel(state, one.parcel_id, stage=ParcelStage.SHIPPING)
            if not label_is_coming(state, one.parcel_id):
                state = ask_for_label(state, one.parcel_id)
            waiting.append(one.parcel_id)
    if left:
        state = hand_over(state, tuple(left), now, message.by, message.occurred_at)
    return state, (*left, *waiting)


def label_is_coming(state: OrderState, parcel_id: str) -> bool:
    return any(e.kind == "buy_label" and e.parcel_id == parcel_id for e in state.effects)


def _stick(state: OrderState, parcel_id: str, label: Label) -> OrderState:
    return edit_parcel(
        state,
        parcel_id,
        carrier=label.carrier,
        tracking_number=label.tracking_number,
        tracking_url=label.tracking_url or tracking_numbers.tracking_url(label.carrier, label.tracking_number),
    )


def label_bought(state: OrderState, parcel_id: str, label: Label, now: datetime) -> OrderState:
    """The label is there: a parcel that waits for it leaves; one that needs it no more voids it."""
    parcel = the_parcel(state, parcel_id)
    state = edit_parcel(state, parcel_id, label=label)
    state = log(
        state,
        now,
        "carrier",
        "label_bought",
        f"{parcel_id}: {label.carrier} {label.tracking_number}",
        fulfillment_id=parcel.fulfillment_id,
    )
    if parcel.stage is ParcelStage.SHIPPING:
        state = _stick(state, parcel_id, label)
        return hand_over(state, (parcel_id,), now, "carrier", None)
    if parcel.stage is ParcelStage.PACKED:
        return state
    return void_label(state, parcel_id)


def label_refused(state: OrderState, parcel_id: str, reason: str, now: datetime) -> OrderState:
    """No label is to be had: the parcel stays packed and the seller types a number."""
    parcel = the_parcel(state, parcel_id)
    if parcel.stage is ParcelStage.SHIPPING:
        state = edit_parcel(state, parcel_id, stage=ParcelStage.PACKED)
    return log(
        state,
        now,
        "carrier",
        "label_refused",
        f"{parcel_id}: no label: {reason}",
        why=reason,
        fulfillment_id=parcel.fulfillment_id,
    )


def hand_over(
    state: OrderState, parcel_ids: tuple[str, ...], now: datetime, by: str, occurred_at: datetime | None
) -> OrderState:
    """The parcels of one fulfillment have left: stock, charge and mail follow."""
    fulfillment_id = the_parcel(state, parcel_ids[0]).fulfillment_id
    fulfillment = the_fulfillment(state, fulfillment_id)
    # When a seller says that it was earlier, its word decides nothing: what counts is when it said so.
    at = now if seller_of(by) else min(occurred_at or now, now)
    late = max(timedelta(0), at - fulfillment.ship_by)
    units = [u for parcel_id in parcel_ids for u in units_of_parcel(state, parcel_id, Place.PACKED)]
    items = stock_items(state, units)
    amount = 0
    for unit in units:
        if not the_line(state, unit.line_id).reship:
            state, part = capture_units(state, unit.line_id, unit.quantity)
            amount += part
    state = move_all(state, units, Place.SHIPPED)
    for parcel_id in parcel_ids:
        parcel = the_parcel(state, parcel_id)
        state = edit_parcel(
            state,
            parcel_id,
            stage=ParcelStage.SHIPPED,
            shipped_at=at,
            status=CarrierStatus.LABEL_CREATED if parcel.tracking_number else None,
            last_event_at=at,
            estimate=parcel.estimate or fulfillment.deliver_by + late,
        )
    state = edit_fulfillment(state, fulfillment_id, handed_over_at=fulfillment.handed_over_at or at)
    state = log(
        state,
        now,
        by,
        "handed_over",
        f"{', '.join(parcel_ids)}: {units_text(state, units)}",
        occurred_at=at,
        fulfillment_id=fulfillment_id,
        before="packed",
        after="shipped",
    )
    key = f"{state.order_id}:handoff:{parcel_ids[0]}"  # a parcel leaves once
    effect = HandOver(key=key, fulfillment_id=fulfillment_id, items=items, parcel_ids=parcel_ids)
    state = ask_to_capture(emit(state, effect), fulfillment_id, amount)
    return post(state, letters.shipped(state, fulfillment_id, parcel_ids, amount))


def tracking_of(parcel: Parcel) -> ParcelTracking:
    return ParcelTracking(
        parcel_id=parcel.parcel_id,
        carrier=parcel.carrier,
        tracking_number=parcel.tracking_number,
        tracking_url=parcel.tracking_url,
    )
