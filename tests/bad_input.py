"""Bodies that must be refused: one table, put to the JSON Schemas, to `decode`, and to the running order."""

import json
from typing import Any, NamedTuple

from domain.messages import MESSAGES, QUERIES
from domain.placing import PlaceOrder
from usecases.schemas import SCHEMAS

EXAMPLES = SCHEMAS / "examples"
BODIES = {message.name: message.body for message in MESSAGES} | {query.name: query.body for query in QUERIES}
_HUGE = 10**400


class BadInput(NamedTuple):
    """`field` is the path that the refusal begins with, empty where it is about the body as a whole.

    `schema_sees` is false where JSON Schema has no words for the rule: sums, and ids that stand twice.
    """

    name: str
    target: str
    """`order`, or the name of a message or query."""

    body: Any
    field: str
    schema_sees: bool = True

    @property
    def schema_file(self) -> str:
        if self.target == "order":
            return "order.json"
        is_message = any(message.name == self.target for message in MESSAGES)
        return f"{'messages' if is_message else 'queries'}/{self.target}.json"

    @property
    def model(self) -> Any:
        return PlaceOrder if self.target == "order" else BODIES[self.target]


def example(name: str) -> Any:
    """A fresh copy of `schemas/examples/<name>.json`."""
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def changed(body: Any, path: str, value: Any) -> Any:
    """The body with another value at `lines.0.quantity`; `...` takes the field out."""
    *way, last = path.split(".")
    at = body
    for step in way:
        at = at[int(step) if isinstance(at, list) else step]
    if value is ...:
        del at[last]
    else:
        at[int(last) if isinstance(at, list) else last] = value
    return body


def order_with(path: str, value: Any) -> Any:
    return changed(example("order"), path, value)


def message_with(name: str, path: str, value: Any) -> Any:
    return changed(example(f"messages/{name}"), path, value)


def _lines(count: int, **fields: Any) -> Any:
    """An order of so many lines of one unit at 1 cent, whose payment adds up."""
    body = example("order-two-sellers")
    body["lines"] = [{**body["lines"][0], "line_id": f"l{n}", "quantity": 1, "unit_price": 1} for n in range(count)]
    body |= {"tax": 0, "discount": 0, "shipping": {}, "payments": [{**body["payments"][1], "amount": count}]}
    for line in body["lines"]:
        line.update(fields)
    return body


def _order(name: str, path: str, value: Any, field: str | None = None, *, schema_sees: bool = True) -> BadInput:
    return BadInput(name, "order", order_with(path, value), path if field is None else field, schema_sees)


def _message(
    name: str, target: str, path: str, value: Any, field: str | None = None, *, schema_sees: bool = True
) -> BadInput:
    return BadInput(name, target, message_with(target, path, value), path if field is None else field, schema_sees)


BAD_ORDERS: tuple[BadInput, ...] = (
    BadInput("no object but a text", "order", "1042", ""),
    BadInput("no object but an array", "order", [], ""),
    BadInput("nothing", "order", None, ""),
    BadInput("an empty object", "order", {}, "order_id"),
    # -- fields that are missing or unknown
    *(
        _order(f"without {field}", field, ...)
        for field in ("order_id", "customer", "ship_to", "currency", "lines", "payments")
    ),
    _order("a line without a seller", "lines.0.seller", ...),
    _order("a customer without an email", "customer.email", ...),
    _order("an unknown field", "colour", "blue"),
    _order("an unknown field of a line", "lines.0.colour", "blue"),
    _order("an unknown field of the policy", "policy", {"refund_all": True}, "policy.refund_all"),
    # -- types
    _order("a quantity as text", "lines.0.quantity", "2"),
    _order("true as a quantity", "lines.0.quantity", True),
    _order("half a unit", "lines.0.quantity", 1.5),
    _order("a price as text", "lines.0.unit_price", "12.50"),
    _order("null as a price", "lines.0.unit_price", None),
    _order("an object as lines", "lines", {"line_id": "1"}),
    _order("a number as order id", "order_id", 1042),
    # -- numbers
    _order("no units", "lines.0.quantity", 0),
    _order("a negative quantity", "lines.0.quantity", -2),
    _order("too many units", "lines.0.quantity", 10_001),
    _order("a negative price", "lines.0.unit_price", -1),
    _order("a negative tax", "tax", -1),
    _order("a price beyond the limit", "lines.0.unit_price", 10**12 + 1),
    _order("a price that no database holds", "lines.0.unit_price", 10**30),
    _order("a price of 400 digits", "lines.0.unit_price", _HUGE),
    _order("a clock that stands still", "clock", {"factor": 0}, "clock.factor"),
    _order("a clock that is too fast", "clock", {"factor": 8_641}, "clock.factor"),
    # -- how many
    _order("no lines", "lines", []),
    BadInput("501 lines", "order", _lines(501), "lines"),
    _order("no payments", "payments", []),
    BadInput(
        "21 payments",
        "order",
        {**_lines(21), "payments": [{"token": f"t{n}", "amount": 1} for n in range(21)]},
        "payments",
    ),
    # -- texts
    _order("an order id with a space", "order_id", "10 42"),
    _order("an order id with a slash", "order_id", "10/42"),
    _order("an order id with a line break at its end", "order_id", "1042\n"),
    _order("an empty order id", "order_id", ""),
    _order("an order id of 65 characters", "order_id", "9" * 65),
    _order("a SKU with a space", "lines.0.sku", "MUG BLUE"),
    _order("a NUL in a name", "customer.name", "Ada\x00"),
    _order("a NUL in an address", "ship_to.line2", "\x00"),
    _order("a name of 201 characters", "ship_to.name", "a" * 201),
    _order("an empty city", "ship_to.city", ""),
    _order("a country by its name", "ship_to.country", "United States"),
    _order("a currency in small letters", "currency", "usd"),
    _order("an email without an at", "customer.email", "ada.example.com"),
    _order("a payment token with a space", "payments.0.token", "tok visa"),
    _order("a channel that is none", "lines.0.channel", "fbm"),
    _order("a shipping method that is none", "shipping.method", "Overnight"),
    _order("another kind of body", "kind", "return"),
    # -- times
    _order("a time without a zone", "promised_by", "2026-03-10T12:00:00"),
    _order("a day for a time", "promised_by", "2026-03-10"),
    _order("a number for a time", "promised_by", 1_770_000_000),
    _order("a time that is none", "promised_by", "soon"),
    _order("the 30th of February", "promised_by", "2026-02-30T12:00:00Z"),
    # -- what the fields say together
    _order("a payment that is too small", "payments.0.amount", 3238, "payments", schema_sees=False),
    _order("a discount above the total", "discount", 4000, "discount", schema_sees=False),
    _order("a line in another currency", "lines.0.currency", "EUR", schema_sees=False),
    _order("a payment in another currency", "payments.0.currency", "EUR", schema_sees=False),
    BadInput("a line id that stands twice", "order", _lines(2, line_id="1"), "lines.1.line_id", schema_sees=False),
)

BAD_MESSAGES: tuple[BadInput, ...] = (
    BadInput("a text", "cancel", "all of it", ""),
    BadInput("an array", "cancel", [{}], ""),
    BadInput("nothing for a pack", "pack", None, ""),
    BadInput("an empty object", "pack", {}, "fulfillment_id"),
    _message("an unknown field", "cancel", "why", "no more", "why"),
    _message("somebody who is nobody", "cancel", "by", "thief"),
    _message("a seller without an id", "pack", "by", "seller:"),
    _message("no items", "cancel", "items", []),
    _message("an item without a line", "cancel", "items", [{"quantity": 1}], "items.0.line_id"),
    _message("no units of an item", "cancel", "items", [{"line_id": "1", "quantity": 0}], "items.0.quantity"),
    _message("without a fulfillment", "pack", "fulfillment_id", ...),
    _message("without parcels", "pack", "parcels", ...),
    _message("no parcels", "pack", "parcels", []),
    _message("an empty parcel", "pack", "parcels.0.contents", []),
    _message("a count as text", "pack", "parcels.0.contents.0.quantity", "2"),
    _message("true as a count", "pack", "parcels.0.contents.0.quantity", True),
    _message("a negative count", "pack", "parcels.0.contents.0.quantity", -1),
    _message("a condition that is none", "pack", "parcels.0.contents.0.condition", "wet"),
    _message("a parcel that weighs nothing", "pack", "parcels.0.weight_grams", 0),
    _message("yes for true", "pack", "buy_labels", "yes"),
    _message("a tracking number with a line break", "ship", "tracking_number", "1Z\n5R"),
    _message("an empty carrier", "ship", "carrier", ""),
    _message("a time without a zone", "ship", "occurred_at", "2026-03-02T15:04:05"),
    _message("a status that is none", "carrier_event", "status", "arrived"),
    _message("an event without an id", "carrier_event", "event_id", ...),
    _message("an event without a time", "carrier_event", "occurred_at", ...),
    _message("an event at no time", "carrier_event", "occurred_at", "yesterday"),
    _message("an estimate without a zone", "carrier_event", "estimated_delivery", "2026-03-04T12:00:00"),
    _message("a NUL in a place", "carrier_event", "location", "Spring\x00field"),
    _message("a network status that is none", "network_event", "status", "Done"),
    _message("nothing allocated", "stock_allocated", "allocation", ...),
    _message("a parcel id with a space", "unpack", "parcel_ids.0", "acme 1"),
    _message("a parcel id that is a number", "confirm_delivery", "parcel_id", 1),
    _message("lines as one object", "reject_lines", "items", {"line_id": "1"}),
    _message("an answer that is none", "answer_cancellation", "answer", "maybe"),
    _message("a choice that is none", "choose_for_shortage", "choice", "chocolate"),
    _message("a wait without a zone", "choose_for_shortage", "wait_until", "2026-03-04T12:00:00"),
    _message("an address without a city", "change_address", "ship_to.city", ...),
    _message("an address with an unknown field", "change_address", "ship_to.planet", "Mars"),
    _message("no payments", "update_payment", "payments", []),
    _message("a negative payment", "update_payment", "payments.0.amount", -1),
    _message("an expiry without a zone", "hold", "expires_at", "2026-03-05T12:00:00"),
    _message("no hold named", "release_hold", "hold_id", ...),
    _message("no carrier", "correct_tracking", "carrier", ...),
    _message("an issue of no kind", "report_issue", "kind", "ugly"),
    _message("a remedy that is none", "resolve_issue", "remedy", "pray"),
    _message("no money back", "goodwill_refund", "amount", 0),
    _message("money as text", "goodwill_refund", "amount", "500"),
    _message("half a cent", "goodwill_refund", "amount", 0.5),
    _message("no mail named", "resend_mail", "mail_key", ""),
    _message("an empty note", "note", "text", ""),
    _message("a note of 2,001 characters", "note", "text", "a" * 2_001),
    _message("a NUL in a note", "note", "text", "\x00"),
)

BAD_QUERIES: tuple[BadInput, ...] = (
    BadInput("an unknown field", "status", {"deep": True}, "deep"),
    BadInput("a text", "status", "all", ""),
    BadInput("no entries", "timeline", {"newest": 0}, "newest"),
    BadInput("too many entries", "timeline", {"newest": 201}, "newest"),
    BadInput("entries as text", "timeline", {"newest": "20"}, "newest"),
    BadInput("no fulfillment", "packing_list", {}, "fulfillment_id"),
    BadInput("a seller that is none", "packing_list", {"fulfillment_id": "acme-1", "seller": "a b"}, "seller"),
)

BAD_TIMES: tuple[BadInput, ...] = tuple(
    case
    for time in (
        "1770000000",
        "2026-03-10 12:00:00Z",
        "2026-03-10T12:00Z",
        "0001-01-01T00:00:00+23:59",
        "2200-01-01T00:00:00Z",
    )
    for case in (
        _order(f"the time {time}", "promised_by", time),
        _message(f"the time {time}", "carrier_event", "occurred_at", time),
    )
)
"""pydantic alone takes each of these; one in the year 1 that reached PostgreSQL would suspend its order."""

BAD_INPUT = (*BAD_ORDERS, *BAD_MESSAGES, *BAD_QUERIES, *BAD_TIMES)
