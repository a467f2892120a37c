"""What is asked of the payments after authorization, and what their answers mean."""

from datetime import datetime, timedelta

from domain import letters
from domain.currencies import major_units
from domain.effects import Capture, Refund, VoidRest
from domain.order import SYSTEM, edit, emit, key_for, log, money_text, post
from domain.requests import PaymentOutcome
from domain.state import OrderState


def ask_to_capture(state: OrderState, fulfillment_id: str | None, amount: int) -> OrderState:
    """Charge for what ships; nothing is asked for where it costs nothing."""
    if amount == 0:
        return state
    state, key = key_for(state, "capture", fulfillment_id or "unpaid")
    return emit(state, Capture(key=key, fulfillment_id=fulfillment_id, amount=amount))


def captured(state: OrderState, effect: Capture, outcome: PaymentOutcome, now: datetime) -> OrderState:
    """What was refused after handoff stays owed: the parcel is followed all the same."""
    money = state.money.model_copy(update={"captured": state.money.captured + outcome.done})
    state = edit(state, money=money)
    if outcome.done:
        state = log(
            state,
            now,
            SYSTEM,
            "captured",
            f"{money_text(state, outcome.done)} captured",
            fulfillment_id=effect.fulfillment_id,
        )
    owed = effect.amount - outcome.done
    if owed == 0:
        return state
    reason = "; ".join(sorted({reason for _, reason in outcome.declined})) or "refused"
    state = _owe(state, state.unpaid + owed, now)
    state = log(
        state,
        now,
        "payments",
        "capture_refused",
        f"{money_text(state, owed)} could not be captured: {reason}",
        why=reason,
        fulfillment_id=effect.fulfillment_id,
    )
    until = now + timedelta(days=state.policy.unpaid_close_days)
    return post(state, letters.payment_declined(state, owed, reason, until, f"{effect.key}:unpaid"))


def _owe(state: OrderState, unpaid: int, now: datetime) -> OrderState:
    since = (state.unpaid_since or now) if unpaid else None
    return edit(state, unpaid=unpaid, unpaid_since=since)


def refundable(state: OrderState) -> int:
    """Minor units that were captured and not yet asked back."""
    return state.money.captured - state.money.refund_asked


def ask_to_refund(
    state: OrderState, amount: int, reason: str, fulfillment_id: str | None = None
) -> tuple[OrderState, str | None]:
    """Give money back; what is owed, or was written off, is forgiven first. Gives the effect's key, if any.

    No more is asked for than was captured or is being captured: goodwill may have come first.
    """
    forgiven = min(amount, state.unpaid)
    state = edit(state, unpaid=state.unpaid - forgiven)
    if not state.unpaid:
        state = edit(state, unpaid_since=None)
    never_paid = min(amount - forgiven, state.written_off)
    state = edit(state, written_off=state.written_off - never_paid)
    under_way = sum(effect.amount for effect in state.effects if isinstance(effect, Capture))
    amount = min(amount - forgiven - never_paid, refundable(state) + under_way)
    return _ask_back(state, amount, reason, fulfillment_id) if amount else (state, None)


def give_goodwill(state: OrderState, amount: int, reason: str) -> tuple[OrderState, str]:
    """Of what was captured; it forgives nothing that is owed."""
    assert 0 < amount <= refundable(state), amount
    money = state.money.model_copy(update={"goodwill": state.money.goodwill + amount})
    return _ask_back(edit(state, money=money), amount, reason, None)


def _ask_back(state: OrderState, amount: int, reason: str, fulfillment_id: str | None) -> tuple[OrderState, str]:
    state, key = key_for(state, "refund", fulfillment_id or "order")
    money = state.money.model_copy(update={"refund_asked": state.money.refund_asked + amount})
    state = edit(state, money=money)
    refund = Refund(key=key, fulfillment_id=fulfillment_id, amount=amount, reason=reason)
    return emit(state, refund), key


def refunded(state: OrderState, effect: Refund, outcome: PaymentOutcome, now: datetime) -> OrderState:
    """Tell the customer what went back. What was never captured in the end need not go back."""
    short = effect.amount - outcome.done
    never_captured = 0 if outcome.declined else short
    money = state.money.model_copy(
        update={
            "refunded": state.money.refunded + outcome.done,
            "refund_asked": state.money.refund_asked - short,
        }
    )
    state = edit(state, money=money, refunds_refused=state.refunds_refused + short - never_captured)
    # What was never captured is owed no more, or was written off while the refund waited.
    forgiven = min(never_captured, state.unpaid)
    state = _owe(state, state.unpaid - forgiven, now)
    state = edit(state, written_off=state.written_off - min(never_captured - forgiven, state.written_off))
    reasons = "; ".join(sorted({reason for _, reason in outcome.declined}))
    done = major_units(outcome.done, state.totals.currency)
    state = log(
        state,
        now,
        SYSTEM,
        "refunded" if outcome.done else "refund_refused",
        f"{done} of {money_text(state, effect.amount)} refunded" + (f": {reasons}" if reasons else ""),
        why=effect.reason,
        fulfillment_id=effect.fulfillment_id,
    )
    if outcome.done == 0:
        return state
    return post(state, letters.refunded(state, outcome.done, effect.reason, effect.key))


def rest_to_void(state: OrderState) -> int:
    """Minor units authorized that will never be captured."""
    return state.money.authorized - state.money.captured - state.money.voided


def ask_to_void_rest(state: OrderState) -> OrderState:
    if rest_to_void(state) <= 0:
        return state
    state, key = key_for(state, "void")
    return emit(state, VoidRest(key=key))


def voided(state: OrderState, effect: VoidRest, outcome: PaymentOutcome, now: datetime) -> OrderState:
    """What the provider would not void runs out at the bank; counted as given back."""
    rest = rest_to_void(state)
    money = state.money.model_copy(update={"voided": state.money.voided + rest})
    state = edit(state, money=money)
    reasons = "; ".join(sorted({reason for _, reason in outcome.declined}))
    return log(state, now, SYSTEM, "voided", f"{money_text(state, outcome.done)} released", why=reasons)
