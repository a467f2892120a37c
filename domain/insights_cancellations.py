"""Why units were cancelled, and by whom, told from the timeline without repeating what anybody has written there."""

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    OUT_OF_STOCK = "out_of_stock"
    LATE = "late"
    PAYMENT_DECLINED = "payment_declined"
    CUSTOMER = "customer"
    SELLER = "seller"
    STAFF = "staff"


REASONS: Mapping[Reason, str] = {
    Reason.OUT_OF_STOCK: "Out of stock",
    Reason.LATE: "Not shipped in time",
    Reason.PAYMENT_DECLINED: "Payment declined",
    Reason.CUSTOMER: "The customer asked for it",
    Reason.SELLER: "The seller cancelled",
    Reason.STAFF: "Support or the marketplace",
}

MARKETPLACE_REASONS: Mapping[str, Reason] = {
    "not in stock in time": Reason.OUT_OF_STOCK,
    "the seller did not ship in time": Reason.LATE,
    "payment declined": Reason.PAYMENT_DECLINED,
}
"""What the order itself gives as the reason where it cancels by a deadline."""

ROLE_REASONS: Mapping[str, Reason] = {"customer": Reason.CUSTOMER, "seller": Reason.SELLER}


def reason_of(role: str, why: str, *, after_shortage: bool) -> Reason:
    """By who cancelled; what a person wrote is read for nothing. `after_shortage`: right after the choice for lines
    without stock, whoever chose. The store's SQL says the same.
    """
    if after_shortage:
        return Reason.OUT_OF_STOCK
    if role == "marketplace" and why in MARKETPLACE_REASONS:
        return MARKETPLACE_REASONS[why]
    return ROLE_REASONS.get(role, Reason.STAFF)


BY_SELLER = (Reason.OUT_OF_STOCK, Reason.LATE, Reason.SELLER)
"""What counts against a seller before fulfillment: nobody else could have sent the units."""
