"""When a parcel goes wrong after handoff: an issue, and a remedy for it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import get_args

from domain import letters, mails
from domain.charging import ask_to_refund, give_goodwill, refundable
from domain.inventory import reserve_pending
from domain.messages import GoodwillRefund, ReportIssue, ResolveIssue
from domain.money import refund_units
from domain.order import (
    SYSTEM,
    edit,
    edit_parcel,
    fulfillment_of,
    key_for,
    log,
    money_text,
    move,
    move_all,
    numbered,
    parcel_of,
    post,
    role_of,
    seller_of,
    the_fulfillment,
    the_line,
    the_parcel,
    units_in,
    units_of_parcel,
)
from domain.state import (
    CarrierStatus,
    Issue,
    IssueKind,
    LineMoney,
    OrderState,
    ParcelStage,
    Remedy,
)
from domain.units import HANDED_OVER, Place, Spot, Units

_MAIL_KINDS = get_args(mails.IssueKind)


def issue_of(state: OrderState, issue_id: str) -> Issue | None:
    return next((issue for issue in state.issues if issue.issue_id == issue_id), None)


# -- opening -----------------------------------------------------------------------


def report_refusal(state: OrderState, message: ReportIssue) -> str | None:
    if message.parcel_id is None and message.fulfillment_id is None:
        return "parcel_id: which parcel, or which fulfillment_id, is it about?"
    if message.fulfillment_id is not None and not _is_there(state, message.fulfillment_id, message.by):
        return f"fulfillment_id: the order has no fulfillment {message.fulfillment_id!r}"
    if message.parcel_id is not None:
        parcel = parcel_of(state, message.parcel_id)
        if parcel is None or not _is_there(state, parcel.fulfillment_id, message.by):
            return f"parcel_id: the order has no parcel {message.parcel_id!r}"
        if parcel.stage is not ParcelStage.SHIPPED:
            return f"parcel_id: {parcel.parcel_id} has not been handed over yet"
        if message.fulfillment_id not in (None, parcel.fulfillment_id):
            return f"parcel_id: {parcel.parcel_id} is of {parcel.fulfillment_id}"
    elif not units_in(state, message.fulfillment_id or "", *HANDED_OVER):
        return "fulfillment_id: nothing of it has been handed over yet"
    about = fulfillment_of(state, message.fulfillment_id) or the_fulfillment(
        state, the_parcel(state, message.parcel_id or "").fulfillment_id
    )
    for issue in state.issues:
        if (
            issue.resolved_at is None
            and (issue.fulfillment_id, issue.parcel_id) == (about.fulfillment_id, message.parcel_id)
            and issue.kind is message.kind
        ):
            return f"kind: {issue.issue_id} is open about the same"
    return None


def accept_report(state: OrderState, message: ReportIssue, now: datetime) -> tuple[OrderState, str]:
    fulfillment_id = message.fulfillment_id
    if message.parcel_id is not None:
        fulfillment_id = the_parcel(state, message.parcel_id).fulfillment_id
    assert fulfillment_id is not None
    state = open_issue(state, message.kind, fulfillment_id, message.parcel_id, message.by, message.note, now)
    return state, state.issues[-1].issue_id


def open_issue(
    state: OrderState,
    kind: IssueKind,
    fulfillment_id: str,
    parcel_id: str | None,
    by: str,
    note: str,
    now: datetime,
) -> OrderState:
    """One open issue about the same is enough, however often it is told."""
    if any(
        issue.resolved_at is None and (issue.kind, issue.parcel_id) == (kind, parcel_id) and parcel_id is not None
        for issue in state.issues
    ):
        return state
    # Within its fulfillment: a number of the order's would tell a seller of the issues of others.
    state, number = numbered(state, f"issue:{fulfillment_id}")
    issue = Issue(
        issue_id=f"{fulfillment_id}-i{number}",
        kind=kind,
        fulfillment_id=fulfillment_id,
        parcel_id=parcel_id,
        opened_at=now,
        answer_by=now + timedelta(hours=state.policy.issue_answer_hours),
        by=by,
        note=note,
    )
    state = edit(state, issues=(*state.issues, issue))
    state = log(
        state,
        now,
        by,
        "issue_opened",
        f"{issue.issue_id}: {kind.replace('_', ' ')}, {parcel_id or fulfillment_id}",
        why=note,
        fulfillment_id=fulfillment_id,
    )
    if kind not in _MAIL_KINDS or issue.answer_by is None:
        return state
    return post(
        state,
        mails.IssueOpenedMail.model_validate(
            {
                "key": f"{state.order_id}:{issue.issue_id}",
                "order_id": state.order_id,
                "issue": kind.value,
                "lines": letters.mail_lines(state, _units_of(state, issue)),
                "parcel": letters.mail_parcel(state, the_parcel(state, parcel_id)) if parcel_id else None,
                "answer_by": issue.answer_by,
            }
        ),
    )


def _units_of(state: OrderState, issue: Issue) -> tuple[Units, ...]:
    """The handed-over units that the issue is about, without those that were made good already."""
    if issue.parcel_id is not None:
        return not_made_good(state, units_of_parcel(state, issue.parcel_id, *HANDED_OVER))
    return not_made_good(state, units_in(state, issue.fulfillment_id, *HANDED_OVER))


def not_made_good(state: OrderState, units: Iterable[Units]) -> tuple[Units, ...]:
    """These units without those for which another was sent or money given back."""
    done: dict[tuple[str, str | None], int] = {}
    for issue in state.issues:
        for unit in issue.made_good:
            key = (unit.line_id, unit.spot.parcel_id)
            done[key] = done.get(key, 0) + unit.quantity
    left = []
    # Lost and returned units first: it is mostly those that were made good.
    for unit in sorted(units, key=lambda unit: unit.spot.place not in (Place.LOST, Place.RETURNED)):
        key = (unit.line_id, unit.spot.parcel_id)
        gone = min(unit.quantity, done.get(key, 0))
        done[key] = done.get(key, 0) - gone
        if gone < unit.quantity:
            left.append(unit.model_copy(update={"quantity": unit.quantity - gone}))
    return tuple(left)


# -- resolving ---------------------------------------------------------------------


def resolve_refusal(state: OrderState, message: ResolveIssue) -> str | None:
    issue = issue_of(state, message.issue_id)
    if issue is None or issue.resolved_at is not None or not _may_see(state, issue, message.by):
        own = [i.issue_id for i in state.issues if i.resolved_at is None and _may_see(state, i, message.by)]
        return f"issue_id: no open issue {message.issue_id!r} (open: {', '.join(own) or 'none'})"
    if role_of(message.by) in ("customer", "carrier", "network"):
        return "by: the seller or support resolves an issue"
    if message.remedy is Remedy.WAIT and _is_returned(state, issue):
        return f"remedy: {issue.parcel_id} came back, waiting brings nothing"
    there: dict[str, int] = {}
    for unit in _units_of(state, issue):
        there[unit.line_id] = there.get(unit.line_id, 0) + unit.quantity
    for index, item in enumerate(message.items or ()):
        if item.line_id not in there:
            return f"items.{index}.line_id: {item.line_id!r} is not what {issue.issue_id} is about"
        if item.quantity is not None and item.quantity > there[item.line_id]:
            return f"items.{index}.quantity: {item.quantity} of {there[item.line_id]}"
    if message.remedy in (Remedy.RESHIP, Remedy.REFUND) and not there:
        return f"remedy: {issue.issue_id} is about no unit that could be sent again or refunded"
    return None


def _may_see(state: OrderState, issue: Issue, by: str) -> bool:
    return _is_there(state, issue.fulfillment_id, by)


def _is_there(state: OrderState, fulfillment_id: str, by: str) -> bool:
    """For a seller only its own fulfillments are."""
    fulfillment = fulfillment_of(state, fulfillment_id)
    return fulfillment is not None and seller_of(by) in (None, fulfillment.seller)


def _is_returned(state: OrderState, issue: Issue) -> bool:
    parcel = parcel_of(state, issue.parcel_id)
    return parcel is not None and parcel.status is CarrierStatus.RETURNED


def accept_resolution(state: OrderState, message: ResolveIssue, now: datetime) -> OrderState:
    issue = issue_of(state, message.issue_id)
    assert issue is not None
    units = _named(_units_of(state, issue), message)
    refund: int | None = None
    match message.remedy:
        case Remedy.RESHIP:
            state, issue, units = _make_good(state, issue, units)
            state = _settle(state, issue, message, now)
            state = _reship(state, units, now)
        case Remedy.REFUND:
            state, issue, units = _make_good(state, issue, units)
            state = _settle(state, issue, message, now)
            worth = 0
            for unit in units:
                state, amount = refund_units(state, unit.line_id, unit.quantity)
                worth += amount
            reason = f"{issue.kind.replace('_', ' ')}: {issue.issue_id}"
            asked = state.money.refund_asked
            state, _ = ask_to_refund(state, worth, reason, issue.fulfillment_id)
            refund = state.money.refund_asked - asked
        case Remedy.WAIT:
            state = _close_issue(state, issue, message.remedy, now, message.by, message.reason)
            if issue.parcel_id is not None:
                state = _wait_for(state, issue.parcel_id, now)
        case Remedy.DISMISS:
            state = _close_issue(state, issue, message.remedy, now, message.by, message.reason)
    return _tell_resolution(state, issue, message, units, refund)


def _settle(state: OrderState, issue: Issue, message: ResolveIssue, now: datetime) -> OrderState:
    """Close the issue, unless only some of what did not arrive was made good: the rest is still owed."""
    if any(unit.spot.place in (Place.LOST, Place.RETURNED) for unit in _units_of(state, issue)):
        return log(
            state,
            now,
            message.by,
            "issue_resolved_in_part",
            f"{issue.issue_id}: {message.remedy}",
            why=message.reason,
            fulfillment_id=issue.fulfillment_id,
        )
    return _close_issue(state, issue, message.remedy, now, message.by, message.reason)


def _wait_for(state: OrderState, parcel_id: str, now: datetime) -> OrderState:
    """Hope for it: a parcel given up as lost is on its way again, and its clocks start anew."""
    if the_parcel(state, parcel_id).status is CarrierStatus.LOST:
        state = edit_parcel(state, parcel_id, status=CarrierStatus.IN_TRANSIT)
        state = move_all(state, not_made_good(state, units_of_parcel(state, parcel_id, Place.LOST)), Place.SHIPPED)
    return edit_parcel(state, parcel_id, last_event_at=now, silent=False)


def _named(units: tuple[Units, ...], message: ResolveIssue) -> tuple[Units, ...]:
    """The units that the remedy is for; all of the issue's unless lines are named."""
    if message.items is None:
        return units
    left = {item.line_id: item.quantity for item in message.items}
    chosen = []
    for unit in units:
        if unit.line_id not in left:
            continue
        wanted = left[unit.line_id]
        quantity = unit.quantity if wanted is None else min(wanted, unit.quantity)
        if wanted is not None:
            left[unit.line_id] = wanted - quantity
        if quantity:
            chosen.append(unit.model_copy(update={"quantity": quantity}))
    return tuple(chosen)


def _make_good(
    state: OrderState, issue: Issue, units: tuple[Units, ...]
) -> tuple[OrderState, Issue, tuple[Units, ...]]:
    """Units on their way count as lost once they are made good in another way."""
    lost = []
    for unit in units:
        spot = unit.spot
        if spot.place is Place.SHIPPED:
            spot = spot.model_copy(update={"place": Place.LOST})
            state = move(state, unit.line_id, unit.quantity, unit.spot, spot)
        lost.append(unit.model_copy(update={"spot": spot}))
    settled = issue.model_copy(update={"made_good": (*issue.made_good, *lost)})
    state = edit(state, issues=tuple(settled if i is issue else i for i in state.issues))
    return state, settled, tuple(lost)


def _reship(state: OrderState, units: tuple[Units, ...], now: datetime) -> OrderState:
    """The same again, as new lines at no charge."""
    made = []
    for unit in units:
        old = the_line(state, unit.line_id)
        state, number = numbered(state, f"reship:{old.line_id}")
        line = old.model_copy(
            update={
                "line_id": f"{old.line_id}-r{number}",
                "quantity": unit.quantity,
                "money": LineMoney(total=0),
                "replaces": old.line_id,
                "reship": True,
                "barred_locations": (),
                "short_units": 0,
            }
        )
        made.append(line.line_id)
        pending = Units(line_id=line.line_id, spot=Spot(place=Place.PENDING), quantity=line.quantity)
        state = edit(state, lines=(*state.lines, line), units=(*state.units, pending))
    return reserve_pending(state, now, "reserve", "reship", only=frozenset(made))


def _close_issue(state: OrderState, issue: Issue, remedy: Remedy, now: datetime, by: str, reason: str) -> OrderState:
    closed = issue.model_copy(update={"remedy": remedy, "resolved_at": now})
    state = edit(state, issues=tuple(closed if i is issue else i for i in state.issues))
    return log(
        state,
        now,
        by,
        "issue_resolved",
        f"{issue.issue_id}: {remedy}",
        why=reason,
        fulfillment_id=issue.fulfillment_id,
        before="open",
        after=remedy,
    )


def _tell_resolution(
    state: OrderState,
    issue: Issue,
    message: ResolveIssue,
    units: tuple[Units, ...],
    refund: int | None,
) -> OrderState:
    if message.remedy is Remedy.DISMISS or issue.kind not in _MAIL_KINDS:
        return state
    state, key = key_for(state, issue.issue_id, "resolved")
    return post(
        state,
        mails.IssueResolvedMail.model_validate(
            {
                "key": key,
                "order_id": state.order_id,
                "issue": issue.kind.value,
                "remedy": message.remedy.value,
                "lines": letters.mail_lines(state, units),
                "refund": refund,
                "currency": state.totals.currency,
                "reason": message.reason,
            }
        ),
    )


def settle_found_parcel(state: OrderState, parcel_id: str, now: datetime, by: str) -> OrderState:
    """A parcel with a loss arrived: there is no issue any more."""
    for issue in state.issues:
        if (
            issue.parcel_id == parcel_id
            and issue.resolved_at is None
            and issue.kind in (IssueKind.LOST, IssueKind.UNDELIVERABLE)
        ):
            state = _close_issue(state, issue, Remedy.DISMISS, now, by, "it arrived after all")
    return state


def issue_time_is_up(state: OrderState, issue: Issue, now: datetime) -> OrderState:
    """Nobody resolved it: the policy's default. A parcel is waited for once; then it is refunded."""
    remedy = Remedy(state.policy.issue_default)
    waited = any(i.remedy is Remedy.WAIT and i.parcel_id == issue.parcel_id for i in state.issues)
    if remedy is Remedy.WAIT and (waited or _is_returned(state, issue)):
        remedy = Remedy.REFUND
    # What the network said to be in a parcel, and is not in the order, was never paid for.
    if issue.kind is IssueKind.DISCREPANCY or not _units_of(state, issue):
        remedy = Remedy.DISMISS
    parcel = parcel_of(state, issue.parcel_id)
    if parcel is not None and parcel.status is CarrierStatus.DELIVERED and issue.kind is IssueKind.LOST:
        remedy = Remedy.DISMISS
    message = ResolveIssue(by=SYSTEM, issue_id=issue.issue_id, remedy=remedy, reason="nobody answered in time")
    return accept_resolution(state, message, now)


# -- goodwill ----------------------------------------------------------------------


def goodwill_refusal(state: OrderState, message: GoodwillRefund) -> str | None:
    if role_of(message.by) not in ("support", "backend", "marketplace"):
        return "by: support or the marketplace gives goodwill"
    left = refundable(state)
    if message.amount > left:
        return f"amount: {message.amount}, but only {left} of what was captured is left to refund"
    return None


def accept_goodwill(state: OrderState, message: GoodwillRefund, now: datetime) -> tuple[OrderState, str]:
    """Gives the key of the refund, whose outcome tells."""
    state = log(
        state,
        now,
        message.by,
        "goodwill",
        f"{money_text(state, message.amount)} given back",
        why=message.reason,
    )
    return give_goodwill(state, message.amount, message.reason)
