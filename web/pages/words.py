"""What codes and figures are called on pages, in one place for all of them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from domain.tracking_numbers import carrier_name
from usecases.addresses import countries

STATUSES: Mapping[str, tuple[str, str]] = {
    "Pending": ("Pending payment", "warn"),
    "Unshipped": ("Preparing", "info"),
    "PartiallyShipped": ("Partly shipped", "info"),
    "Packed": ("Packed", "info"),
    "Shipped": ("Shipped", "info"),
    "Delivered": ("Delivered", "ok"),
    "Canceled": ("Canceled", "plain"),
    "Unfulfillable": ("Not available", "bad"),
}
"""Of orders and fulfillments: what people read, and how it is colored."""

PARCELS: Mapping[str, tuple[str, str]] = {
    "label_created": ("Handed to the carrier", "info"),
    "in_transit": ("On its way", "info"),
    "out_for_delivery": ("Out for delivery", "info"),
    "delivered": ("Delivered", "ok"),
    "exception": ("Delayed", "warn"),
    "lost": ("Lost", "bad"),
    "returned": ("Returned", "warn"),
}

METHODS: Mapping[str, str] = {
    "Standard": "Standard",
    "Expedited": "Expedited",
    "TwoDay": "Two-day",
    "NextDay": "Next day",
}

ATTENTION: Mapping[str, str] = {
    "out_of_stock": "out of stock",
    "backordered": "waits for stock",
    "on_hold": "on hold",
    "payment_declined": "payment declined",
    "unpaid": "unpaid",
    "refund_refused": "refund refused",
    "cancellation_requested": "cancellation to answer",
    "late": "late",
    "silent": "no news of the parcel",
    "lost": "lost",
    "damaged": "damaged",
    "undeliverable": "undeliverable",
    "issue": "issue",
    "too_many_events": "too many carrier events",
}

MESSAGES: Mapping[str, str] = {
    "cancel": "Cancel",
    "hold": "Put on hold",
    "release_hold": "Release hold",
    "change_address": "Change address",
    "choose_for_shortage": "Choose for shortage",
    "update_payment": "Take another payment",
    "answer_cancellation": "Answer cancellation",
    "resolve_issue": "Resolve issue",
    "report_issue": "Report an issue",
    "confirm_delivery": "Confirm delivery",
    "correct_tracking": "Correct tracking",
    "goodwill_refund": "Goodwill refund",
    "resend_mail": "Send a mail again",
    "note": "Add a note",
    "pack": "Pack",
    "unpack": "Unpack",
    "ship": "Ship",
    "reject_lines": "Cannot find items",
}


def label(code: str, names: Mapping[str, Any]) -> str:
    """What people read; a code that has no words of its own is made readable."""
    found = names.get(code, code.replace("_", " "))
    return found[0] if isinstance(found, tuple) else str(found)


def color(code: str, names: Mapping[str, tuple[str, str]]) -> str:
    return names.get(code, ("", "plain"))[1]


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 order`, `2 orders`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """About how long: `40 seconds`, `3 hours`, `2 days`."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return plural(int(seconds // length), unit)
    return plural(int(seconds), "second")


def span(length: timedelta) -> str:
    return duration(length.total_seconds())


def initials(title: str) -> str:
    """In the place of a picture."""
    letters = [word[0] for word in title.split() if word[0].isalnum()]
    return "".join(letters[:2]).upper() or "·"


def tone(sku: str) -> int:
    """The color in the place of a picture: always the same for one product."""
    return sum(sku.encode()) % 6


def product_path(seller: str, sku: str) -> str:
    return f"/products/{quote(seller, safe='')}/{quote(sku, safe='')}"


def country(code: str) -> str:
    return dict(countries()).get(code, code)


FILTERS = {
    "label": label,
    "color": color,
    "duration": duration,
    "span": span,
    "initials": initials,
    "tone": tone,
    "country": country,
    "carrier": carrier_name,
}
GLOBALS = {
    "STATUSES": STATUSES,
    "PARCELS": PARCELS,
    "METHODS": METHODS,
    "ATTENTION": ATTENTION,
    "MESSAGES": MESSAGES,
    "plural": plural,
    "product_path": product_path,
}
