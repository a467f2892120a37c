"""One refusal and one acceptance per message, by the message's name."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from domain import cancellation, handoff, holds, issues, network, packing, parcels, placement, service, shortage
from domain.order import caused_by
from domain.state import OrderState, Phase


class Rule(NamedTuple):
    """`refusal` says why a message may not be obeyed; `accept` obeys it, and changes state at once.

    `accept` gives the new state and what its answer needs.
    """

    refusal: Callable[[OrderState, Any, datetime], str | None]
    accept: Callable[[OrderState, Any, datetime], tuple[OrderState, Any]]


def _never(state: OrderState, message: Any, now: datetime) -> str | None:
    return None


def _untimed(refusal: Callable[[OrderState, Any], str | None]) -> Callable[[OrderState, Any, datetime], str | None]:
    return lambda state, message, now: refusal(state, message)


def _answerless(
    accept: Callable[[OrderState, Any, datetime], OrderState],
) -> Callable[[OrderState, Any, datetime], tuple[OrderState, None]]:
    return lambda state, message, now: (accept(state, message, now), None)


RULES: dict[str, Rule] = {
    "cancel": Rule(_untimed(cancellation.cancellation_refusal), cancellation.accept_cancel),
    "pack": Rule(_untimed(packing.pack_refusal), packing.accept_pack),
    "ship": Rule(_untimed(handoff.ship_refusal), handoff.accept_ship),
    "carrier_event": Rule(_untimed(parcels.carrier_event_refusal), _answerless(parcels.accept_carrier_event)),
    "network_event": Rule(_untimed(network.network_event_refusal), _answerless(network.accept_network_event)),
    "stock_allocated": Rule(_untimed(shortage.allocation_refusal), _answerless(shortage.stock_allocated)),
    "unpack": Rule(_untimed(packing.unpack_refusal), _answerless(packing.accept_unpack)),
    "confirm_delivery": Rule(_untimed(parcels.confirm_delivery_refusal), _answerless(parcels.accept_confirm_delivery)),
    "reject_lines": Rule(_untimed(packing.reject_refusal), _answerless(packing.accept_reject)),
    "answer_cancellation": Rule(_untimed(cancellation.answer_refusal), _answerless(cancellation.accept_answer)),
    "choose_for_shortage": Rule(shortage.choose_refusal, shortage.accept_choice),
    "change_address": Rule(_untimed(service.change_address_refusal), _answerless(service.accept_change_address)),
    "update_payment": Rule(_untimed(placement.update_payment_refusal), placement.accept_update_payment),
    "hold": Rule(holds.hold_refusal, holds.accept_hold),
    "release_hold": Rule(_untimed(holds.release_refusal), _answerless(holds.accept_release)),
    "correct_tracking": Rule(_untimed(parcels.correct_tracking_refusal), _answerless(parcels.accept_correct_tracking)),
    "report_issue": Rule(_untimed(issues.report_refusal), issues.accept_report),
    "resolve_issue": Rule(_untimed(issues.resolve_refusal), _answerless(issues.accept_resolution)),
    "goodwill_refund": Rule(_untimed(issues.goodwill_refusal), issues.accept_goodwill),
    "resend_mail": Rule(_never, service.accept_resend),
    "note": Rule(_never, _answerless(service.accept_note)),
}


def refusal(state: OrderState, name: str, message: Any, now: datetime) -> str | None:
    """Why the order does not obey this message now, in a sentence that names the field; or None."""
    if state.phase is Phase.CLOSED:
        return "the order is closed"
    return RULES[name].refusal(state, message, now)


def obey(state: OrderState, name: str, message: Any, now: datetime, cause: str) -> tuple[OrderState, Any]:
    """Gives the new state and what the answer needs; `cause` names this very message for good."""
    before = caused_by(state, cause)
    after, answer = RULES[name].accept(before, message, now)
    return (state if after is before else after), answer
