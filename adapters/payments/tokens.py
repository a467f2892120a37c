"""The sandbox's test cards: what each token makes the provider do.

| token | what happens |
|---|---|
| `tok_visa` | everything succeeds |
| `tok_decline_<reason>` | authorization is refused: `insufficient_funds`, `expired`, `stolen`, or any reason of yours |
| `tok_capture_refused` | authorized, then every capture is refused |
| `tok_refund_refused` | authorized and captured, then every refund is refused |
| `tok_single_capture` | the first capture closes the authorization: the provider gives the rest back by itself |
| `tok_timeout_after_success` | each call is done at its first try, which then times out all the same |
| `tok_unavailable_once` | the first try of each call fails with nothing done |
| any other `tok_...` | authorization is refused as an unknown test card, so that a typing error is seen |
| anything else | as `tok_visa`: imported orders bring tokens of their own |
"""

from enum import Enum


class Card(Enum):
    """A way to behave; the value is the token, a declined one's reason is the rest of its token."""

    VISA = "tok_visa"
    CAPTURE_REFUSED = "tok_capture_refused"
    REFUND_REFUSED = "tok_refund_refused"
    SINGLE_CAPTURE = "tok_single_capture"
    TIMEOUT_AFTER_SUCCESS = "tok_timeout_after_success"
    UNAVAILABLE_ONCE = "tok_unavailable_once"


TEST_CARDS = (
    ("tok_visa", "Visa ending in 4242", "everything succeeds"),
    ("tok_decline_insufficient_funds", "Visa ending in 9995", "is declined: insufficient funds"),
    ("tok_decline_expired", "Mastercard ending in 0069", "is declined: expired card"),
    (Card.TIMEOUT_AFTER_SUCCESS.value, "Visa ending in 1881", "the bank takes its time, and answers at a second try"),
    (Card.CAPTURE_REFUSED.value, "Visa ending in 0341", "is authorized, and cannot be charged later"),
)
"""Token, what is printed on it, and what happens: what a shop on the sandbox lets people pay with."""

_DECLINE = "tok_decline_"
_REASONS = {"expired": "expired card", "stolen": "stolen card"}


def card_of(token: str) -> Card:
    try:
        return Card(token)
    except ValueError:
        return Card.VISA


def decline_reason(token: str) -> str | None:
    """Why an authorization with this token is refused; None where it is granted."""
    if token.startswith(_DECLINE):
        reason = token.removeprefix(_DECLINE)
        return _REASONS.get(reason, reason.replace("_", " ")) or "declined"
    if token.startswith("tok_") and token not in {card.value for card in Card}:
        return f"unknown test card {token}"
    return None
