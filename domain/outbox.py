"""A row of the outbox: something that must still leave the house, written in the transaction of its cause."""

from enum import StrEnum
from typing import Any

from domain.model import Frozen


class OutboxKind(StrEnum):
    MAIL = "mail"
    MESSAGE = "message"
    FOLLOW = "follow"


NOBODY_THERE = "the order is closed or unknown"
"""Noted with a message that no workflow was there for; it is sent once more where its order is taken up again."""


class OutboxRow(Frozen):
    """A row that is lent to one sender until its lease ends; only then may another one have it.

    The body is what was stored and may be anything: reading it is the sender's, so that a row that cannot be read
    fails alone. A mail as `domain.mails` writes it; a message with `signal` and `body`; a `domain.progress.Follow`.
    """

    row_id: int
    kind: OutboxKind
    key: str
    order_id: str
    body: dict[str, Any]
    attempts: int
    """How often it was lent, this time included."""
