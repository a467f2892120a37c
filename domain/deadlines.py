"""Every business deadline of an order: when the next one falls, and what happens then."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from domain import mails
from domain.cancellation import cancel_units, settle_request
from domain.holds import hold_ran_out, ship_by_with_holds
from domain.issues import issue_time_is_up
from domain.letters import mail_lines
from domain.order import (
    SYSTEM,
    caused_by,
    edit,
    edit_fulfillment,
    hold_on,
    log,
    money_text,
    post,
    the_fulfillment,
    units_in,
    units_of_parcel,
)
from domain.parcels import counts_as_lost, deliver, missed_promise, went_silent
from domain.placement import is_paying, payment_time_is_up
from domain.placing import Channel
from domain.shortage import backorder_ran_out, shortage_time_is_up
from domain.state import CancellationRequest, Fulfillment, OrderState, Parcel, ParcelStage
from domain.units import Place

_Subject = TypeVar("_Subject")


class Deadline(NamedTuple):
    """At `at`, in business time, `act` changes the state so that it is no deadline any more."""

    at: datetime
    what: str
    act: Callable[[OrderState, datetime], OrderState]
    subject: str = ""
    """The id of what it is about."""

    @property
    def name(self) -> str:
        """No two deadlines of an order share it: keys are made of it."""
        return f"{self.what}:{self.subject}@{self.at:%Y%m%dT%H%M%S.%f}"


def _about(
    act: Callable[[OrderState, _Subject, datetime], OrderState], subject: _Subject
) -> Callable[[OrderState, datetime], OrderState]:
    return lambda state, now: act(state, subject, now)


def next_deadline(state: OrderState) -> Deadline | None:
    return min(_deadlines(state), key=lambda deadline: deadline.at, default=None)


def apply_due(state: OrderState, now: datetime, until: datetime | None = None) -> OrderState:
    """Do what every deadline asks that has passed by `until`, or else by `now`, in order."""
    while (deadline := next_deadline(state)) is not None and deadline.at <= (until or now):
        before = state = caused_by(state, deadline.name)
        state = deadline.act(state, now)
        assert state != before, f"deadline {deadline.what} changed nothing and would come for ever"
    return state


def _deadlines(state: OrderState) -> Iterator[Deadline]:
    if state.pay_by is not None and not is_paying(state):
        yield Deadline(state.pay_by, "payment", payment_time_is_up)
    for shortage in state.shortages:
        yield Deadline(shortage.answer_by, "shortage", _about(shortage_time_is_up, shortage), shortage.line_id)
    for backorder in state.backorders:
        yield Deadline(backorder.until, "backorder", _about(backorder_ran_out, backorder), backorder.key)
    for request in state.requests:
        if request.answer_by is not None:
            yield Deadline(
                request.answer_by,
                "cancellation",
                _about(_settle_by_default, request),
                request.request_id,
            )
    for hold in state.holds:
        if hold.expires_at is not None:
            yield Deadline(hold.expires_at, "hold", _about(hold_ran_out, hold), hold.hold_id)
    for issue in state.issues:
        if issue.resolved_at is None and issue.answer_by is not None:
            yield Deadline(issue.answer_by, "issue", _about(issue_time_is_up, issue), issue.issue_id)
    if state.unpaid and state.unpaid_since is not None and not is_paying(state):
        at = state.unpaid_since + timedelta(days=state.policy.unpaid_close_days)
        yield Deadline(at, "unpaid", _give_up_unpaid)
    for fulfillment in state.fulfillments:
        yield from _ship_by_deadlines(state, fulfillment)
    for parcel in state.parcels:
        if parcel.stage is ParcelStage.SHIPPED and parcel.delivered_at is None:
            yield from _parcel_deadlines(state, parcel)


def _settle_by_default(state: OrderState, request: CancellationRequest, now: datetime) -> OrderState:
    accept = state.policy.cancellation_default == "accept"
    return settle_request(state, request, accept, now, SYSTEM, "nobody answered in time")


def _give_up_unpaid(state: OrderState, now: datetime) -> OrderState:
    """The debt is left to accounts; the order need not stay open for it."""
    state = log(state, now, SYSTEM, "written_off", f"{money_text(state, state.unpaid)} stayed unpaid")
    return edit(state, unpaid=0, unpaid_since=None, written_off=state.written_off + state.unpaid)


# -- the ship-by clock ---------------------------------------------------------------


def _ship_by_deadlines(state: OrderState, fulfillment: Fulfillment) -> Iterator[Deadline]:
    """Warn, miss, escalate, cancel; the clock stands still while the fulfillment is held."""
    fulfillment_id = fulfillment.fulfillment_id
    if hold_on(state, fulfillment_id) or not units_in(state, fulfillment_id, Place.RESERVED, Place.PACKED):
        return
    policy = state.policy
    ship_by = ship_by_with_holds(fulfillment)
    if not fulfillment.ship_by_missed:
        if not fulfillment.ship_by_warned and fulfillment.channel is Channel.FBM:
            at = ship_by - timedelta(hours=policy.ship_by_warning_hours)
            yield Deadline(at, "ship_by_warning", _about(_warn, fulfillment), fulfillment_id)
        yield Deadline(ship_by, "ship_by", _about(_miss, fulfillment), fulfillment_id)
        return
    if not fulfillment.escalated:
        at = ship_by + timedelta(hours=policy.ship_by_escalation_hours)
        yield Deadline(at, "escalation", _about(_escalate, fulfillment), fulfillment_id)
    if policy.late_cancel_days is not None and fulfillment.channel is Channel.FBM:
        at = ship_by + timedelta(days=policy.late_cancel_days)
        if not _label_is_coming(state, fulfillment_id):
            yield Deadline(at, "late_cancel", _about(_cancel_late, fulfillment), fulfillment_id)


def _label_is_coming(state: OrderState, fulfillment_id: str) -> bool:
    """A parcel that is leaving just now is not cancelled under the carrier's hands."""
    return any(
        parcel.fulfillment_id == fulfillment_id and parcel.stage is ParcelStage.SHIPPING for parcel in state.parcels
    )


def _warn(state: OrderState, fulfillment: Fulfillment, now: datetime) -> OrderState:
    fulfillment_id = fulfillment.fulfillment_id
    state = edit_fulfillment(state, fulfillment_id, ship_by_warned=True)
    mail = mails.ShipByWarningMail(
        key=f"{state.order_id}:ship_by_warning:{fulfillment_id}",
        order_id=state.order_id,
        to=mails.to_seller(fulfillment.seller),
        fulfillment_id=fulfillment_id,
        lines=mail_lines(state, units_in(state, fulfillment_id, Place.RESERVED, Place.PACKED)),
        ship_by=ship_by_with_holds(fulfillment),
    )
    return post(state, mail)


def _miss(state: OrderState, fulfillment: Fulfillment, now: datetime) -> OrderState:
    fulfillment_id = fulfillment.fulfillment_id
    state = edit_fulfillment(state, fulfillment_id, ship_by_missed=True, ship_by_warned=True)
    state = log(state, now, SYSTEM, "ship_by_missed", f"{fulfillment_id} is late", fulfillment_id=fulfillment_id)
    if fulfillment.channel is Channel.FBA:
        return state
    days = state.policy.late_cancel_days
    ship_by = ship_by_with_holds(fulfillment)
    cancels_at = ship_by + timedelta(days=days) if days is not None else None
    mail = mails.ShipByMissedMail(
        key=f"{state.order_id}:ship_by_missed:{fulfillment_id}",
        order_id=state.order_id,
        to=mails.to_seller(fulfillment.seller),
        fulfillment_id=fulfillment_id,
        lines=mail_lines(state, units_in(state, fulfillment_id, Place.RESERVED, Place.PACKED)),
        ship_by=ship_by,
        cancels_at=cancels_at,
    )
    return post(state, mail)


def _escalate(state: OrderState, fulfillment: Fulfillment, now: datetime) -> OrderState:
    """Support is called, and the customer told that it leaves late."""
    fulfillment_id = fulfillment.fulfillment_id
    state = edit_fulfillment(state, fulfillment_id, escalated=True)
    state = log(state, now, SYSTEM, "escalated", f"{fulfillment_id} has still not left", fulfillment_id=fulfillment_id)
    late = now - fulfillment.ship_by
    mail = mails.DelayedMail(
        key=f"{state.order_id}:delayed:{fulfillment_id}",
        order_id=state.order_id,
        lines=mail_lines(state, units_in(state, fulfillment_id, Place.RESERVED, Place.PACKED)),
        promised_until=fulfillment.deliver_by,
        estimated_until=fulfillment.deliver_by + late + timedelta(days=1),
        reason="The seller has not handed it over in time.",
    )
    return post(state, mail)


def _cancel_late(state: OrderState, fulfillment: Fulfillment, now: datetime) -> OrderState:
    """Not handed over long after its ship-by: cancelled as late, as Amazon does after 7 days."""
    fulfillment_id = fulfillment.fulfillment_id
    state = edit(state, requests=tuple(r for r in state.requests if r.fulfillment_id != fulfillment_id))
    units = units_in(state, fulfillment_id, Place.RESERVED, Place.PACKED)
    state, _ = cancel_units(state, units, now, SYSTEM, "the seller did not ship in time")
    return state


# -- parcels -----------------------------------------------------------------------


def _parcel_deadlines(state: OrderState, parcel: Parcel) -> Iterator[Deadline]:
    """Silence, loss, lateness; an untracked parcel counts as delivered some days past its promise.

    Nobody waits for a parcel whose contents were made good in another way.
    """
    if not units_of_parcel(state, parcel.parcel_id, Place.SHIPPED):
        return
    policy = state.policy
    if parcel.tracking_number is None:
        if parcel.estimate is not None:
            at = parcel.estimate + timedelta(days=policy.untracked_delivered_days)
            yield Deadline(at, "presumed_delivered", _about(_presume, parcel), parcel.parcel_id)
        return
    last = parcel.last_event_at
    assert last is not None, parcel.parcel_id
    if not parcel.silent:
        at = last + timedelta(days=policy.silence_days)
        yield Deadline(at, "silence", _about(went_silent, parcel), parcel.parcel_id)
    if policy.lost_after_days is not None:
        at = last + timedelta(days=policy.lost_after_days)
        yield Deadline(at, "lost", _about(counts_as_lost, parcel), parcel.parcel_id)
    if parcel.estimate is not None and not parcel.delayed_told:
        # A carrier that hoped to be early is not late before the promise has passed.
        promised = the_fulfillment(state, parcel.fulfillment_id).deliver_by
        yield Deadline(max(parcel.estimate, promised), "late", _about(missed_promise, parcel), parcel.parcel_id)


def _presume(state: OrderState, parcel: Parcel, now: datetime) -> OrderState:
    assert parcel.estimate is not None
    return deliver(state, parcel.parcel_id, now, SYSTEM, parcel.estimate, presumed=True)
