"""The timeline: who did what to an order, when, why, and what changed."""

from datetime import datetime

from domain.model import Frozen

ENTRIES_KEPT = 200
"""So many of the newest entries travel with the workflow; PostgreSQL keeps all, and is told of so many at a time."""


class Entry(Frozen):
    """One line of an order's timeline.

    `occurred_at` is when it happened, `received_at` when the order learnt of it, both in business
    time. `what` is a stable word for programs, `summary` a sentence for people, free of names and
    addresses.
    """

    seq: int
    occurred_at: datetime
    received_at: datetime
    who: str
    what: str
    summary: str
    why: str = ""
    fulfillment_id: str | None = None
    before: str | None = None
    after: str | None = None
