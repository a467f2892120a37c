"""What a marketplace may set: every deadline and default of an order, frozen when it is placed."""

from typing import Annotated, Literal

from pydantic import Field

from domain.model import Body

Hours = Annotated[float, Field(ge=0, le=24 * 365)]
Days = Annotated[float, Field(ge=0, le=365)]


class Policy(Body):
    """Durations are business time: hours or days on the order's own clock.

    `None` switches a rule off. The defaults follow Amazon's published rules where there is one
    (late cancellation: 7 days past the expected ship date).
    """

    payment_retry_hours: Hours = 72
    """A declined customer may give another payment for this long; then the order is cancelled."""

    shortage_answer_hours: Hours = 48
    shortage_default: Literal["refund", "wait"] = "refund"
    backorder_days_max: Days = 60

    ship_by_warning_hours: Hours = 12
    ship_by_escalation_hours: Hours = 24
    """Support is called this long after a missed ship-by."""

    late_cancel_days: Days | None = 7
    """What is not handed over this long after its ship-by is cancelled as late."""

    cancellation_answer_hours: Hours = 48
    cancellation_default: Literal["accept", "reject"] = "accept"

    silence_days: Days = 5
    """A parcel without any carrier event for this long needs attention."""

    lost_after_days: Days | None = 14
    """A parcel silent for this long counts as lost: an issue is opened."""

    untracked_delivered_days: Days = 3
    """An untracked parcel counts as delivered this long past its promise, marked as presumed."""

    unpaid_close_days: Days = 30
    """How long an order stays open for a capture that was refused after handoff."""

    issue_answer_hours: Hours = 72
    issue_default: Literal["refund", "wait"] = "refund"
