"""Cancelling: free while unpacked, a request while packed, refused once handed over."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import IntEnum

from domain import letters, mails
from domain.charging import ask_to_refund
from domain.effects import CancelBackorder, CancelNetwork, ReleaseStock, StockItem, VoidLabel
from domain.inventory import being_checked
from domain.messages import AnswerCancellation, Cancel
from domain.money import drop_units, refund_units
from domain.order import (
    caused_key,
    edit,
    edit_parcel,
    emit,
    fulfillment_of,
    key_for,
    line_of,
    log,
    move,
    numbered,
    post,
    role_of,
    seller_of,
    stock_items,
    the_fulfillment,
    the_line,
    the_parcel,
    units_of_parcel,
    units_text,
)
from domain.placing import Channel
from domain.results import CancelResult
from domain.state import Backorder, CancellationRequest, OrderState, ParcelStage
from domain.status import order_status
from domain.units import HANDED_OVER, Place, Spot, Units, count, total

# -- the message -----------------------------------------------------------------


def cancellation_refusal(state: OrderState, message: Cancel) -> str | None:
    """Why nothing of what the message names can be cancelled, or None."""
    seller = seller_of(message.by)
    if message.fulfillment_id is not None:
        fulfillment = fulfillment_of(state, message.fulfillment_id)
        if fulfillment is None or seller not in (None, fulfillment.seller):
            return no_fulfillment(state, message.fulfillment_id, seller)
    for index, item in enumerate(message.items or ()):
        line = line_of(state, item.line_id)
        if line is None or seller not in (None, line.seller):
            return f"items.{index}.line_id: the order has no line {item.line_id!r}"
        if item.quantity is not None and item.quantity > line.quantity:
            return f"items.{index}.quantity: {item.quantity} of {line.quantity} ordered"
    fates = {_fate(state, unit, message.by) for unit in _in_scope(state, message)}
    if fates & {_Fate.FREE, _Fate.ASK}:
        return None
    if _Fate.ASKED in fates:
        return "a cancellation of this has been asked for and waits for its answer"
    if _Fate.GONE in fates:
        return "too late to cancel: it was handed to the carrier; return it after delivery instead"
    return "nothing is left to cancel"


def no_fulfillment(state: OrderState, fulfillment_id: str, seller: str | None = None) -> str:
    """A seller is told of its own fulfillments only."""
    own = (f.fulfillment_id for f in state.fulfillments if seller in (None, f.seller))
    known = ", ".join(own) or "none yet"
    return f"fulfillment_id: the order has no fulfillment {fulfillment_id!r} (it has: {known})"


class _Fate(IntEnum):
    """What a cancellation can do with units, the freest first."""

    FREE = 0
    ASK = 1
    ASKED = 2
    GONE = 3
    CANCELLED = 4


def _fate(state: OrderState, unit: Units, by: str) -> _Fate:
    """Unpacked units are free; packed ones for their own seller; those at the network never."""
    spot = unit.spot
    if spot.place is Place.CANCELLED:
        return _Fate.CANCELLED
    if spot.place in HANDED_OVER:
        return _Fate.GONE
    if spot.place is Place.PACKED:
        # Of a parcel that waits for its label, `ship` was accepted: it is leaving.
        if the_parcel(state, spot.parcel_id or "").stage is ParcelStage.SHIPPING:
            return _Fate.GONE
        if any(spot.parcel_id in request.parcel_ids for request in state.requests):
            return _Fate.ASKED
        return _Fate.FREE if seller_of(by) is not None else _Fate.ASK
    if spot.place is Place.RESERVED and spot.fulfillment_id is not None:
        fulfillment = the_fulfillment(state, spot.fulfillment_id)
        if fulfillment.released_to_network:
            asked = any(request.fulfillment_id == spot.fulfillment_id for request in state.requests)
            return _Fate.ASKED if asked else _Fate.ASK
    return _Fate.FREE


def _in_scope(state: OrderState, message: Cancel) -> tuple[Units, ...]:
    """The units the message names, the freest first, no more of a line than it says; a seller speaks of its own."""
    seller = seller_of(message.by)
    named = {item.line_id: item.quantity for item in message.items or ()}
    units = [
        unit
        for unit in state.units
        if seller in (None, the_line(state, unit.line_id).seller)
        and message.fulfillment_id in (None, unit.spot.fulfillment_id)
        and (message.items is None or unit.line_id in named)
    ]
    units.sort(key=lambda unit: _fate(state, unit, message.by))
    left = {line_id: quantity for line_id, quantity in named.items() if quantity is not None}
    chosen = []
    for unit in units:
        quantity = min(unit.quantity, left.get(unit.line_id, unit.quantity))
        if quantity:
            chosen.append(unit.model_copy(update={"quantity": quantity}))
            if unit.line_id in left:
                left[unit.line_id] -= quantity
    return tuple(chosen)


def accept_cancel(state: OrderState, message: Cancel, now: datetime) -> tuple[OrderState, CancelResult]:
    """Cancel what is free, ask for what is packed or with the network, leave what has left."""
    reason = message.reason or f"cancelled by {role_of(message.by)}"
    free, ask, gone = [], [], 0
    for unit in _in_scope(state, message):
        match _fate(state, unit, message.by):
            case _Fate.FREE:
                free.append(unit)
            case _Fate.ASK:
                ask.append(unit)
            case _Fate.GONE:
                gone += unit.quantity
    if free:
        state, _ = cancel_units(state, free, now, message.by, reason)
    state, request_ids = ask_for_cancellation(state, ask, now, message.by, reason)
    cancelled, requested = total(free), total(ask)
    words = [f"{cancelled} cancelled"]
    words += [f"{requested} asked for"] if requested else []
    words += [f"{gone} already on the way: return them after delivery"] if gone else []
    return state, CancelResult(
        what=", ".join(words),
        status=order_status(state, seller_of(message.by)),
        cancelled=cancelled,
        requested=requested,
        refused=gone,
        request_ids=request_ids,
    )


def cancel_everything(state: OrderState, now: datetime, by: str, reason: str) -> OrderState:
    """All that has not left: cancelled, or asked for where somebody must agree."""
    message = Cancel(by=by, reason=reason)
    if cancellation_refusal(state, message) is None:
        state, _ = accept_cancel(state, message, now)
    return state


# -- the deed --------------------------------------------------------------------


def cancel_units(
    state: OrderState,
    units: Iterable[Units],
    now: datetime,
    by: str,
    reason: str,
    *,
    held: tuple[StockItem, ...] | None = None,
) -> tuple[OrderState, int]:
    """Cancel units that have not left: parcels opened, stock, money, mails in one step.

    `held` is what to give back where the store knows better than the units. Gives what they were worth in minor
    units: never captured, or refunded for a reship.
    """
    units = tuple(units)
    text = units_text(state, units)
    customer_lines = letters.mail_lines(state, units)
    worth, refund = 0, 0
    reserved = [unit for unit in units if unit.spot.place in (Place.RESERVED, Place.PACKED)]
    items = stock_items(state, reserved) if held is None else held
    for unit in units:
        line = the_line(state, unit.line_id)
        if line.reship:
            state, back = refund_units(state, unit.line_id, unit.quantity)
            refund += back
        else:
            state, amount = drop_units(state, unit.line_id, unit.quantity)
            worth += amount
        target = Spot(place=Place.CANCELLED, fulfillment_id=unit.spot.fulfillment_id)
        state = move(state, unit.line_id, unit.quantity, unit.spot, target)
    for parcel_id in dict.fromkeys(unit.spot.parcel_id for unit in units if unit.spot.parcel_id):
        state = open_parcel(state, parcel_id, now)
    if items:
        state, key = caused_key(state, "release")
        state = emit(state, ReleaseStock(key=key, items=items))
    state = _forget_waiting(state, {unit.line_id for unit in units})
    state = edit(state, cancel_reason=reason)
    if all(unit.spot.place is Place.CANCELLED for unit in state.units):
        state = edit(state, pay_by=None)
    state = log(state, now, by, "cancelled", f"Cancelled: {text}", why=reason, after="cancelled")
    if refund:
        state, _ = ask_to_refund(state, refund, reason)
    state = _tell(state, reserved, customer_lines, by, reason, worth)
    return state, worth + refund


def _forget_waiting(state: OrderState, line_ids: set[str]) -> OrderState:
    """Shortages and backorders are for no more units than still wait, the latest given up first."""
    for line_id in sorted(line_ids):
        waiting = [b for b in state.backorders if b.line_id == line_id]
        surplus = sum(b.quantity for b in waiting) - count(state.units, line_id, Spot(place=Place.BACKORDERED))
        for backorder in reversed(waiting):
            cut = min(surplus, backorder.quantity)
            surplus -= cut
            if cut == backorder.quantity:
                state = stop_waiting(state, backorder)
            elif cut:
                less = {"quantity": backorder.quantity - cut, "given_up": backorder.given_up + cut}
                left = backorder.model_copy(update=less)
                state = edit(state, backorders=tuple(left if b is backorder else b for b in state.backorders))
    shortages = []
    for shortage in state.shortages:
        pending = count(state.units, shortage.line_id, Spot(place=Place.PENDING))
        quantity = min(shortage.quantity, pending - being_checked(state, shortage.line_id))
        if quantity > 0:
            shortages.append(shortage.model_copy(update={"quantity": quantity}))
    return edit(state, shortages=tuple(shortages))


def stop_waiting(state: OrderState, backorder: Backorder) -> OrderState:
    """The store allocates no more to this backorder."""
    effect = CancelBackorder(key=f"{backorder.key}:cancel", backorder_key=backorder.key, line_id=backorder.line_id)
    return edit(emit(state, effect), backorders=tuple(b for b in state.backorders if b is not backorder))


def _tell(
    state: OrderState,
    reserved: list[Units],
    lines: tuple[mails.MailLine, ...],
    by: str,
    reason: str,
    released: int,
) -> OrderState:
    """One mail to the customer, one to each seller whose fulfillment lost units."""
    whole = all(unit.spot.place is Place.CANCELLED for unit in state.units)
    state, key = caused_key(state, "cancelled")
    state = post(
        state,
        mails.CancelledMail(
            key=key,
            order_id=state.order_id,
            lines=lines,
            whole_order=whole,
            by=letters.actor(by),
            reason=reason,
            released=released,
            currency=state.totals.currency,
        ),
    )
    for fulfillment_id in dict.fromkeys(unit.spot.fulfillment_id for unit in reserved):
        assert fulfillment_id is not None
        own = [unit for unit in reserved if unit.spot.fulfillment_id == fulfillment_id]
        state = post(
            state,
            mails.SellerCancelledMail(
                key=f"{key}:{fulfillment_id}",
                order_id=state.order_id,
                to=mails.to_seller(the_fulfillment(state, fulfillment_id).seller),
                fulfillment_id=fulfillment_id,
                lines=letters.mail_lines(state, own),
                by=letters.actor(by),
                reason=reason,
                packed=any(unit.spot.place is Place.PACKED for unit in own),
            ),
        )
    return state


# -- requests ----------------------------------------------------------------------


def ask_for_cancellation(
    state: OrderState, units: Iterable[Units], now: datetime, by: str, reason: str
) -> tuple[OrderState, tuple[str, ...]]:
    """One request per fulfillment: to its seller, or to the network."""
    groups: dict[str, list[Units]] = {}
    for unit in units:
        assert unit.spot.fulfillment_id is not None
        groups.setdefault(unit.spot.fulfillment_id, []).append(unit)
    ids = []
    for fulfillment_id, own in groups.items():
        fulfillment = the_fulfillment(state, fulfillment_id)
        state, number = numbered(state, f"cancellation:{fulfillment_id}")
        request_id = f"{fulfillment_id}-c{number}"
        ids.append(request_id)
        asked: dict[str, int] = {}
        for unit in own:
            asked[unit.line_id] = asked.get(unit.line_id, 0) + unit.quantity
        at_network = fulfillment.channel is Channel.FBA
        answer_by = None if at_network else now + timedelta(hours=state.policy.cancellation_answer_hours)
        request = CancellationRequest(
            request_id=request_id,
            fulfillment_id=fulfillment_id,
            units=tuple(asked.items()),
            parcel_ids=tuple(dict.fromkeys(u.spot.parcel_id for u in own if u.spot.parcel_id)),
            by=by,
            reason=reason,
            answer_by=answer_by,
        )
        state = edit(state, requests=(*state.requests, request))
        state = log(
            state,
            now,
            by,
            "cancellation_requested",
            f"{request_id}: {units_text(state, own)}",
            why=reason,
            fulfillment_id=fulfillment_id,
        )
        if at_network:
            state, key = key_for(state, "network_cancel", fulfillment_id)
            state = emit(state, CancelNetwork(key=key, fulfillment_id=fulfillment_id))
        else:
            state = _ask_seller(state, request, own)
    return state, tuple(ids)


def _ask_seller(state: OrderState, request: CancellationRequest, units: list[Units]) -> OrderState:
    assert request.answer_by is not None
    return post(
        state,
        mails.CancellationRequestedMail(
            key=f"{state.order_id}:{request.request_id}",
            order_id=state.order_id,
            to=mails.to_seller(the_fulfillment(state, request.fulfillment_id).seller),
            fulfillment_id=request.fulfillment_id,
            lines=letters.mail_lines(state, units),
            answer_by=request.answer_by,
            default=state.policy.cancellation_default,
            reason=request.reason,
        ),
    )


def request_of(state: OrderState, request_id: str) -> CancellationRequest | None:
    return next((r for r in state.requests if r.request_id == request_id), None)


def answer_refusal(state: OrderState, message: AnswerCancellation) -> str | None:
    if role_of(message.by) not in ("seller", "support", "backend", "marketplace"):
        return "by: only the seller of the fulfillment, or support, answers"
    seller = seller_of(message.by)
    own = [
        request.request_id
        for request in state.requests
        if request.answer_by and seller in (None, the_fulfillment(state, request.fulfillment_id).seller)
    ]
    if message.request_id in own:
        return None
    return f"request_id: no request {message.request_id!r} waits for an answer (open: {', '.join(own) or 'none'})"


def accept_answer(state: OrderState, message: AnswerCancellation, now: datetime) -> OrderState:
    request = request_of(state, message.request_id)
    assert request is not None
    return settle_request(state, request, message.answer == "accept", now, message.by, message.reason)


def settle_request(
    state: OrderState, request: CancellationRequest, accept: bool, now: datetime, by: str, reason: str
) -> OrderState:
    """Unpack, void labels, give stock and money back in one step; or tell the customer no."""
    state = edit(state, requests=tuple(r for r in state.requests if r is not request))
    units = _still_there(state, request)
    answer = "accepted" if accept else "rejected"
    state = log(
        state,
        now,
        by,
        f"cancellation_{answer}",
        f"{request.request_id} {answer}",
        why=reason,
        fulfillment_id=request.fulfillment_id,
    )
    if not accept:
        asked = Spot(place=Place.RESERVED, fulfillment_id=request.fulfillment_id)
        lines = [Units(line_id=line_id, spot=asked, quantity=quantity) for line_id, quantity in request.units]
        return post(
            state,
            mails.CancellationRefusedMail(
                key=f"{state.order_id}:{request.request_id}:refused",
                order_id=state.order_id,
                lines=letters.mail_lines(state, lines),
                reason=reason or "The parcel is already on its way out.",
            ),
        )
    if units:
        state, _ = cancel_units(state, units, now, request.by, request.reason)
    return state


def _still_there(state: OrderState, request: CancellationRequest) -> tuple[Units, ...]:
    """What of the request has not left since: in its parcels, or on the network's shelf."""
    units = []
    for line_id, asked in request.units:
        left = asked
        for unit in state.units:
            spot = unit.spot
            if (
                unit.line_id == line_id
                and spot.fulfillment_id == request.fulfillment_id
                and (
                    (spot.place is Place.PACKED and spot.parcel_id in request.parcel_ids)
                    or (spot.place is Place.RESERVED and request.answer_by is None)
                )
                and left
            ):
                part = min(left, unit.quantity)
                left -= part
                units.append(unit.model_copy(update={"quantity": part}))
    return tuple(units)


def open_parcel(state: OrderState, parcel_id: str, now: datetime) -> OrderState:
    """Open a packed parcel: what is left in it goes back to the shelf, its label is voided."""
    parcel = the_parcel(state, parcel_id)
    if parcel.stage is not ParcelStage.PACKED:
        return state
    for unit in units_of_parcel(state, parcel_id, Place.PACKED):
        shelf = Spot(place=Place.RESERVED, fulfillment_id=parcel.fulfillment_id)
        state = move(state, unit.line_id, unit.quantity, unit.spot, shelf)
    state = edit_parcel(state, parcel_id, stage=ParcelStage.UNPACKED)
    return void_label(state, parcel_id)


def void_label(state: OrderState, parcel_id: str) -> OrderState:
    """Give back the label of a parcel that will not use it, if it has one."""
    parcel = the_parcel(state, parcel_id)
    if parcel.label is None:
        return state
    state, key = key_for(state, "void_label", parcel_id)
    state = emit(
        state,
        VoidLabel(
            key=key,
            fulfillment_id=parcel.fulfillment_id,
            parcel_id=parcel_id,
            carrier=parcel.label.carrier,
            tracking_number=parcel.label.tracking_number,
        ),
    )
    return edit_parcel(state, parcel_id, label=None)
