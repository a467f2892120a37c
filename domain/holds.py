"""Holds: they stop the next merchant step and the seller's clock, not parcels in flight."""

from datetime import datetime, timedelta

from domain import letters, mails
from domain.messages import HoldOrder, ReleaseHold
from domain.order import (
    SYSTEM,
    edit,
    edit_fulfillment,
    fulfillment_of,
    hold_on,
    log,
    numbered,
    post,
    role_of,
    seller_of,
    the_fulfillment,
    units_in,
)
from domain.placing import Channel
from domain.state import Fulfillment, Hold, OrderState, Phase
from domain.units import BEFORE_HANDOFF


def hold_refusal(state: OrderState, message: HoldOrder, now: datetime) -> str | None:
    if state.phase is Phase.CLOSED:
        return "the order is closed"
    if seller_of(message.by) is not None:
        return "by: support or the marketplace holds an order, not a seller"
    if message.fulfillment_id is not None and fulfillment_of(state, message.fulfillment_id) is None:
        return f"fulfillment_id: the order has no fulfillment {message.fulfillment_id!r}"
    if any(hold.hold_id == message.hold_id for hold in state.holds):
        return f"hold_id: {message.hold_id!r} is placed already"
    if message.expires_at is not None and message.expires_at <= now:
        return "expires_at: lies in the past of the order's clock"
    held = units_in(state, message.fulfillment_id) if message.fulfillment_id is not None else state.units
    if all(unit.spot.place not in BEFORE_HANDOFF for unit in held):
        return "nothing is left to hold: everything was handed over or cancelled"
    return None


def _new_id(state: OrderState, fulfillment_id: str | None) -> tuple[OrderState, str]:
    """Numbered within what it stops: a number of the order's would tell a seller of the holds of others."""
    kind, stem = ("hold", "hold-") if fulfillment_id is None else (f"hold:{fulfillment_id}", f"{fulfillment_id}-h")
    taken = {hold.hold_id for hold in state.holds}
    while True:
        state, number = numbered(state, kind)
        if f"{stem}{number}" not in taken:  # somebody may have chosen that very name
            return state, f"{stem}{number}"


def accept_hold(state: OrderState, message: HoldOrder, now: datetime) -> tuple[OrderState, str]:
    state, hold_id = _new_id(state, message.fulfillment_id)
    hold = Hold(
        hold_id=message.hold_id or hold_id,
        reason=message.reason,
        by=message.by,
        placed_at=now,
        expires_at=message.expires_at,
        fulfillment_id=message.fulfillment_id,
    )
    newly_held = [f for f in _concerned(state, hold) if hold_on(state, f.fulfillment_id) is None]
    state = edit(state, holds=(*state.holds, hold))
    state = log(
        state,
        now,
        message.by,
        "held",
        f"{hold.hold_id} on {hold.fulfillment_id or 'the order'}",
        why=hold.reason,
        fulfillment_id=hold.fulfillment_id,
    )
    for fulfillment in newly_held:
        state = edit_fulfillment(state, fulfillment.fulfillment_id, held_since=now)
        state, number = numbered(state, "held_mail")
        key = f"{state.order_id}:held:{fulfillment.fulfillment_id}:{number}"
        units = units_in(state, fulfillment.fulfillment_id, *BEFORE_HANDOFF)
        mail = mails.OnHoldMail(
            key=key,
            order_id=state.order_id,
            to=mails.to_seller(fulfillment.seller),
            fulfillment_id=fulfillment.fulfillment_id,
            lines=letters.mail_lines(state, units),
            reason=hold.reason,
            until=hold.expires_at,
        )
        state = post(state, mail)
    return state, hold.hold_id


def _concerned(state: OrderState, hold: Hold) -> list[Fulfillment]:
    """The fulfillments that the hold stops: those with something left to hand over."""
    return [
        fulfillment
        for fulfillment in state.fulfillments
        if hold.fulfillment_id in (None, fulfillment.fulfillment_id)
        and units_in(state, fulfillment.fulfillment_id, *BEFORE_HANDOFF)
    ]


def release_refusal(state: OrderState, message: ReleaseHold) -> str | None:
    hold = next((hold for hold in state.holds if hold.hold_id == message.hold_id), None)
    if hold is None:
        placed = ", ".join(hold.hold_id for hold in state.holds) or "none"
        return f"hold_id: no hold {message.hold_id!r} is placed (placed: {placed})"
    if role_of(message.by) not in ("support", "backend", "marketplace", role_of(hold.by)):
        return f"by: {hold.hold_id} was placed by {role_of(hold.by)}; support or the marketplace releases it"
    return None


def accept_release(state: OrderState, message: ReleaseHold, now: datetime) -> OrderState:
    hold = next(hold for hold in state.holds if hold.hold_id == message.hold_id)
    return end_hold(state, hold, now, message.by, message.reason)


def hold_ran_out(state: OrderState, hold: Hold, now: datetime) -> OrderState:
    """However late that is noticed, the clock goes on from when the hold was to end."""
    assert hold.expires_at is not None
    return end_hold(state, hold, now, SYSTEM, "it ran out", until=min(now, hold.expires_at))


def end_hold(
    state: OrderState, hold: Hold, now: datetime, by: str, reason: str, *, until: datetime | None = None
) -> OrderState:
    """The seller's clock goes on where it stood, unless another hold is still there."""
    stopped = _concerned(state, hold)
    state = edit(state, holds=tuple(h for h in state.holds if h is not hold))
    state = log(state, now, by, "released", f"{hold.hold_id} released", why=reason, fulfillment_id=hold.fulfillment_id)
    for fulfillment in stopped:
        since = fulfillment.held_since
        if hold_on(state, fulfillment.fulfillment_id) is None and since is not None:
            stood_still = max(timedelta(0), (until or now) - since)
            state = edit_fulfillment(
                state,
                fulfillment.fulfillment_id,
                hold_seconds=fulfillment.hold_seconds + stood_still.total_seconds(),
                held_since=None,
                released_to_network=fulfillment.channel is Channel.FBA,
            )
            state, number = numbered(state, "hold_released_mail")
            units = units_in(state, fulfillment.fulfillment_id, *BEFORE_HANDOFF)
            mail = mails.HoldReleasedMail(
                key=f"{state.order_id}:hold_released:{fulfillment.fulfillment_id}:{number}",
                order_id=state.order_id,
                to=mails.to_seller(fulfillment.seller),
                fulfillment_id=fulfillment.fulfillment_id,
                lines=letters.mail_lines(state, units),
                ship_by=ship_by_with_holds(the_fulfillment(state, fulfillment.fulfillment_id)),
            )
            state = post(state, mail)
    return state


def ship_by_with_holds(fulfillment: Fulfillment) -> datetime:
    """By when the seller must hand over, holds that have ended added; the promise stays as it was."""
    return fulfillment.ship_by + timedelta(seconds=fulfillment.hold_seconds)
