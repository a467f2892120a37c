"""Packing: contents are checked against the lines before anything leaves."""

from datetime import datetime

from domain.cancellation import no_fulfillment, open_parcel
from domain.effects import BuyLabel, RecordPacking
from domain.messages import Box, Pack, RejectLines, Unpack
from domain.order import (
    edit,
    edit_fulfillment,
    emit,
    fulfillment_of,
    hold_on,
    key_for,
    line_of,
    log,
    move,
    parcel_of,
    seller_of,
    the_fulfillment,
    units_in,
    units_text,
)
from domain.placing import Channel
from domain.results import PackingList, PackingListLine
from domain.shortage import unavailable_again
from domain.state import OrderState, Parcel, ParcelStage, Phase
from domain.units import Place, Spot, Units, count, total


def merchant_refusal(state: OrderState, fulfillment_id: str, by: str, *, may_be_held: bool = False) -> str | None:
    """What keeps a merchant's step from this fulfillment, whoever packs it."""
    if state.phase not in (Phase.OPEN, Phase.CHECKING):
        return "the order is Pending: it is not paid for yet"
    fulfillment = fulfillment_of(state, fulfillment_id)
    seller = seller_of(by)
    if fulfillment is None or seller not in (None, fulfillment.seller):
        return no_fulfillment(state, fulfillment_id, seller)
    hold = hold_on(state, fulfillment_id)
    if hold is not None and not may_be_held:
        return f"on hold ({hold.hold_id}: {hold.reason or 'no reason given'}): release_hold comes first"
    return None


def seller_step_refusal(state: OrderState, fulfillment_id: str, by: str, *, may_be_held: bool = False) -> str | None:
    """As above, for steps that only the seller takes, never the network."""
    refusal = merchant_refusal(state, fulfillment_id, by, may_be_held=may_be_held)
    if refusal is None and the_fulfillment(state, fulfillment_id).channel is Channel.FBA:
        return f"fulfillment_id: the fulfillment network packs and ships {fulfillment_id}"
    return refusal


# -- pack --------------------------------------------------------------------------


def pack_refusal(state: OrderState, message: Pack) -> str | None:
    refusal = seller_step_refusal(state, message.fulfillment_id, message.by)
    if refusal is not None:
        return refusal
    if not units_in(state, message.fulfillment_id, Place.RESERVED):
        return "nothing of this fulfillment is left to pack"
    return contents_refusal(state, message.fulfillment_id, message.parcels)


def contents_refusal(state: OrderState, fulfillment_id: str, boxes: tuple[Box, ...]) -> str | None:
    """The double check: a wrong item, a wrong count or a damaged one stops the packing."""
    shelf = Spot(place=Place.RESERVED, fulfillment_id=fulfillment_id)
    packed: dict[str, int] = {}
    for number, box in enumerate(boxes):
        for index, packed_line in enumerate(box.contents):
            where = f"parcels.{number}.contents.{index}"
            line = line_of(state, packed_line.line_id)
            if line is None or not count(state.units, line.line_id, shelf):
                return f"{where}.line_id: {packed_line.line_id!r} is not to be packed in {fulfillment_id}"
            if packed_line.sku != line.sku:
                return f"{where}.sku: wrong item: {packed_line.sku} packed, {line.sku} ordered"
            if packed_line.condition == "damaged":
                return f"{where}.condition: a damaged {line.sku} must not leave; reject_lines tells of it"
            packed[line.line_id] = packed.get(line.line_id, 0) + packed_line.quantity
            there = count(state.units, line.line_id, shelf)
            if packed[line.line_id] > there:
                return f"{where}.quantity: wrong count: {packed[line.line_id]} x {line.sku} packed, {there} to pack"
    return None


def accept_pack(state: OrderState, message: Pack, now: datetime) -> tuple[OrderState, tuple[str, ...]]:
    """Put the units into parcels; the reservation stays. Gives the parcels' ids."""
    parcel_ids = []
    for box in message.parcels:
        state, parcel_id = _new_parcel(state, message.fulfillment_id, box, now)
        parcel_ids.append(parcel_id)
        if message.buy_labels:
            state = ask_for_label(state, parcel_id)
    packed = [unit for unit in state.units if unit.spot.parcel_id in parcel_ids]
    state = log(
        state,
        now,
        message.by,
        "packed",
        f"{', '.join(parcel_ids)}: {units_text(state, packed)}",
        fulfillment_id=message.fulfillment_id,
        before="reserved",
        after="packed",
    )
    state, key = key_for(state, "pack", message.fulfillment_id)
    effect = RecordPacking(key=key, fulfillment_id=message.fulfillment_id, parcel_ids=tuple(parcel_ids))
    return emit(state, effect), effect.parcel_ids


def _new_parcel(state: OrderState, fulfillment_id: str, box: Box, now: datetime) -> tuple[OrderState, str]:
    number = the_fulfillment(state, fulfillment_id).parcels_made + 1
    parcel = Parcel(
        parcel_id=f"{fulfillment_id}-p{number}",
        fulfillment_id=fulfillment_id,
        weight_grams=box.weight_grams,
        packed_at=now,
    )
    state = edit_fulfillment(state, fulfillment_id, parcels_made=number)
    state = edit(state, parcels=(*state.parcels, parcel))
    shelf = Spot(place=Place.RESERVED, fulfillment_id=fulfillment_id)
    target = Spot(place=Place.PACKED, fulfillment_id=fulfillment_id, parcel_id=parcel.parcel_id)
    for packed in box.contents:
        state = move(state, packed.line_id, packed.quantity, shelf, target)
    return state, parcel.parcel_id


def ask_for_label(state: OrderState, parcel_id: str) -> OrderState:
    parcel = parcel_of(state, parcel_id)
    assert parcel is not None
    state, key = key_for(state, "label", parcel_id)
    return emit(
        state,
        BuyLabel(
            key=key,
            fulfillment_id=parcel.fulfillment_id,
            parcel_id=parcel_id,
            method=state.method,
            weight_grams=parcel.weight_grams,
        ),
    )


# -- unpack ------------------------------------------------------------------------


def _to_unpack(state: OrderState, message: Unpack) -> tuple[Parcel, ...]:
    return tuple(
        parcel
        for parcel in state.parcels
        if parcel.fulfillment_id == message.fulfillment_id
        and parcel.stage is ParcelStage.PACKED
        and (message.parcel_ids is None or parcel.parcel_id in message.parcel_ids)
    )


def unpack_refusal(state: OrderState, message: Unpack) -> str | None:
    refusal = seller_step_refusal(state, message.fulfillment_id, message.by, may_be_held=True)
    if refusal is not None:
        return refusal
    parcels = {parcel.parcel_id for parcel in _to_unpack(state, message)}
    for index, parcel_id in enumerate(message.parcel_ids or ()):
        if parcel_id not in parcels:
            return f"parcel_ids.{index}: {parcel_id!r} is no packed parcel of {message.fulfillment_id}"
    asked = {parcel_id for request in state.requests for parcel_id in request.parcel_ids}
    for parcel_id in sorted(parcels & asked):
        return f"a cancellation of {parcel_id} waits for its answer: answer_cancellation comes first"
    return None if parcels else "no packed parcel is there to unpack"


def accept_unpack(state: OrderState, message: Unpack, now: datetime) -> OrderState:
    parcels = _to_unpack(state, message)
    names = ", ".join(parcel.parcel_id for parcel in parcels)
    for parcel in parcels:
        state = open_parcel(state, parcel.parcel_id, now)
    return log(
        state,
        now,
        message.by,
        "unpacked",
        names,
        why=message.reason,
        fulfillment_id=message.fulfillment_id,
        before="packed",
        after="reserved",
    )


# -- reject_lines --------------------------------------------------------------------


def reject_refusal(state: OrderState, message: RejectLines) -> str | None:
    refusal = seller_step_refusal(state, message.fulfillment_id, message.by, may_be_held=True)
    if refusal is not None:
        return refusal
    shelf = Spot(place=Place.RESERVED, fulfillment_id=message.fulfillment_id)
    asked: dict[str, int] = {}
    for index, item in enumerate(message.items):
        there = count(state.units, item.line_id, shelf)
        if not there:
            return f"items.{index}.line_id: no unpacked unit of {item.line_id!r} in {message.fulfillment_id}"
        asked[item.line_id] = asked.get(item.line_id, 0) + (item.quantity or there)
        if asked[item.line_id] > there:
            return f"items.{index}.quantity: {asked[item.line_id]} rejected, {there} to pack"
    return None


def accept_reject(state: OrderState, message: RejectLines, now: datetime) -> OrderState:
    """Correct and bar the location, then look for the units elsewhere."""
    shelf = Spot(place=Place.RESERVED, fulfillment_id=message.fulfillment_id)
    wanted: dict[str, int] = {}
    for item in message.items:
        quantity = item.quantity or count(state.units, item.line_id, shelf)
        wanted[item.line_id] = wanted.get(item.line_id, 0) + quantity
    units = tuple(Units(line_id=line_id, spot=shelf, quantity=n) for line_id, n in wanted.items())
    state = log(
        state,
        now,
        message.by,
        "rejected",
        f"Not there: {units_text(state, units)}",
        why=message.reason,
        fulfillment_id=message.fulfillment_id,
        before="reserved",
        after="pending",
    )
    return unavailable_again(state, units, now, message.fulfillment_id)


# -- the packing list ------------------------------------------------------------------


def packing_list(state: OrderState, fulfillment_id: str) -> PackingList:
    """What the packer needs of one fulfillment; no price, and nothing of another seller."""
    fulfillment = the_fulfillment(state, fulfillment_id)
    lines = []
    for line in state.lines:
        own = [unit for unit in units_in(state, fulfillment_id) if unit.line_id == line.line_id]
        if own:
            lines.append(
                PackingListLine(
                    line_id=line.line_id,
                    sku=line.sku,
                    title=line.title,
                    to_pack=total(own, lambda unit: unit.spot.place is Place.RESERVED),
                    packed=total(own, lambda unit: unit.spot.place is Place.PACKED),
                    shipped=total(own, lambda unit: unit.spot.place in (Place.SHIPPED, Place.DELIVERED)),
                )
            )
    return PackingList(
        order_id=state.order_id,
        fulfillment_id=fulfillment_id,
        seller=fulfillment.seller,
        location=fulfillment.location,
        ship_by=fulfillment.ship_by,
        method=state.method,
        on_hold=hold_on(state, fulfillment_id) is not None,
        lines=tuple(lines),
    )
