"""What the payment sandbox answers: plain functions of the call and of the authorization that it is about."""

import hashlib

from adapters.payments.tokens import Card, card_of, decline_reason
from domain.requests import MoveKind, ProviderOutcome
from domain.sandbox import SandboxAuthorization, SandboxCall, SandboxStep


def decide(call: SandboxCall, authorization: SandboxAuthorization | None, several_captures: bool) -> SandboxStep:
    """Done or refused, and the authorization afterwards; amounts never pass what the row's constraints allow."""
    if call.kind is MoveKind.AUTHORIZE:
        return _authorize(call)
    if authorization is None:
        return _refused(f"no such authorization: {call.reference}")
    single = not several_captures or card_of(authorization.token) is Card.SINGLE_CAPTURE
    done = ProviderOutcome(reference=_reference(call))
    if call.kind is MoveKind.VOID and single and 0 < call.amount <= authorization.voided:
        # The first capture gave it back already. To whoever keeps books this void is as good as done.
        return SandboxStep(authorization=authorization, outcome=done)
    refusal = _refusal(call, authorization)
    if refusal is not None:
        return _refused(refusal)
    return SandboxStep(authorization=_moved(call, authorization, single), outcome=done)


def _authorize(call: SandboxCall) -> SandboxStep:
    if call.amount < 0:
        return _refused(f"amount {call.amount} is negative")
    reason = decline_reason(call.token)
    if reason is not None:
        return _refused(reason)
    granted = SandboxAuthorization(
        reference=_reference(call), token=call.token, currency=call.currency, authorized=call.amount
    )
    return SandboxStep(authorization=granted, outcome=ProviderOutcome(reference=granted.reference))


def _refusal(call: SandboxCall, authorization: SandboxAuthorization) -> str | None:
    card = card_of(authorization.token)
    if call.amount <= 0:
        return f"amount {call.amount} is not positive"
    if call.kind is MoveKind.CAPTURE and card is Card.CAPTURE_REFUSED:
        return "capture refused by the card's bank"
    if call.kind is MoveKind.REFUND and card is Card.REFUND_REFUSED:
        return "refund refused by the card's bank"
    left = authorization.captured - authorization.refunded if call.kind is MoveKind.REFUND else authorization.open
    if call.amount > left:
        return f"{call.kind} of {call.amount}, but only {left} is left"
    return None


def _moved(call: SandboxCall, before: SandboxAuthorization, single: bool) -> SandboxAuthorization:
    if call.kind is MoveKind.REFUND:
        return before.model_copy(update={"refunded": before.refunded + call.amount})
    if call.kind is MoveKind.VOID:
        return before.model_copy(update={"voided": before.voided + call.amount})
    after = before.model_copy(update={"captured": before.captured + call.amount})
    return after.model_copy(update={"voided": before.voided + after.open}) if single else after


_PREFIX = {MoveKind.AUTHORIZE: "auth", MoveKind.CAPTURE: "capt", MoveKind.REFUND: "rfnd", MoveKind.VOID: "void"}


def _reference(call: SandboxCall) -> str:
    """Follows from the key, so that a second performance could not even invent a second one."""
    return f"{_PREFIX[call.kind]}_{hashlib.sha256(call.key.encode()).hexdigest()[:24]}"


def _refused(reason: str) -> SandboxStep:
    return SandboxStep(outcome=ProviderOutcome(refused_because=reason))
