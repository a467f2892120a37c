"""Who may do what through the web: keys have a scope, and a seller's key is of one seller."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from domain.messages import MESSAGES
from domain.model import Frozen
from domain.order import seller_of


class Scope(StrEnum):
    BACKEND = "backend"
    """The marketplace's own systems: everything but signing in to pages."""

    SELLER = "seller"
    SUPPORT = "support"
    ANALYST = "analyst"


class Caller(Frozen):
    """Who is asking, by which key. `seller` is set for a seller's key and for no other."""

    scope: Scope
    key_id: str
    seller: str | None = None


class FoundKey(NamedTuple):
    """A key that is good; sessions that began before `sessions_since` were signed out."""

    caller: Caller
    secret_hash: str
    sessions_since: datetime | None = None


_OF_SELLERS = frozenset(
    {"pack", "unpack", "ship", "reject_lines", "cancel", "answer_cancellation", "correct_tracking", "report_issue"}
)
OF_CUSTOMERS = frozenset(
    {"cancel", "choose_for_shortage", "update_payment", "change_address", "confirm_delivery", "report_issue"}
)
"""What whoever holds the link to an order may send to it, and to no other."""

_INTERNAL = frozenset({"stock_allocated"})
"""From our own store to a workflow: nobody else knows what was allocated."""

_OF_MACHINES = frozenset({"carrier_event", "network_event"})

OUTSIDE_MESSAGES = tuple(message for message in MESSAGES if message.name not in _INTERNAL)
"""What may come from outside at all."""


def may_send(caller: Caller, name: str) -> bool:
    match caller.scope:
        case Scope.BACKEND:
            return name not in _INTERNAL
        case Scope.SUPPORT:
            return name not in _INTERNAL | _OF_MACHINES
        case Scope.SELLER:
            return name in _OF_SELLERS
        case Scope.ANALYST:
            return False


def sender(caller: Caller) -> str | None:
    """The `by` of what it sends; None for a backend, which says itself for whom it speaks."""
    match caller.scope:
        case Scope.SELLER:
            return f"seller:{caller.seller}"
        case Scope.SUPPORT:
            return f"support/{caller.key_id}"
        case _:
            return None


def sender_refusal(caller: Caller, by: str) -> str | None:
    """Why a message must not be sent in this name, in a sentence that names the field; or None."""
    own = sender(caller)
    if own is None:
        return None
    if caller.scope is Scope.SELLER and seller_of(by) != caller.seller:
        return f"by: this key speaks for {own}"
    if caller.scope is Scope.SUPPORT and by not in ("support", own):
        return f"by: this key speaks for {own}"
    return None
