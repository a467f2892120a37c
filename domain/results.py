"""What updates and queries answer, and what a finished order returns."""

from datetime import datetime
from typing import Literal

from domain.model import Frozen
from domain.state import Totals
from domain.timeline import Entry


class Accepted(Frozen):
    """The message was obeyed; `what` says in a sentence what became of it."""

    what: str
    status: str
    id: str | None = None
    """The id of what the message made: a hold, an issue, a mail key."""


class CancelResult(Frozen):
    """Units cancelled at once, asked of the seller or network, and gone already."""

    what: str
    status: str
    cancelled: int = 0
    requested: int = 0
    refused: int = 0
    request_ids: tuple[str, ...] = ()


class PackResult(Frozen):
    what: str
    status: str
    parcel_ids: tuple[str, ...] = ()


class ParcelTracking(Frozen):
    parcel_id: str
    carrier: str | None
    tracking_number: str | None
    tracking_url: str | None = None


class ShipResult(Frozen):
    what: str
    status: str
    parcels: tuple[ParcelTracking, ...] = ()


class ShortageResult(Frozen):
    what: str
    status: str
    choice: str
    substitute_line_id: str | None = None


class MoneyResult(Frozen):
    """Amounts in minor units. `done` is false where the provider refused, with its reason."""

    what: str
    status: str
    done: bool
    amount: int
    refused_because: str | None = None


class LineView(Frozen):
    line_id: str
    sku: str
    title: str
    quantity: int
    unit_price: int
    total: int
    seller: str
    channel: str
    replaces: str | None
    promised_ship_by: datetime
    promised_delivery: datetime
    units: dict[str, int]


class ParcelView(Frozen):
    parcel_id: str
    stage: str
    carrier: str | None
    tracking_number: str | None
    tracking_url: str | None
    status: str | None
    contents: dict[str, int]
    shipped_at: datetime | None
    estimate: datetime | None
    delivered_at: datetime | None
    presumed_delivered: bool
    proof: str | None


class FulfillmentView(Frozen):
    fulfillment_id: str
    seller: str
    location: str
    channel: str
    status: str
    ship_by: datetime
    deliver_by: datetime
    network_status: str | None
    units: dict[str, int]
    parcels: tuple[ParcelView, ...]


class ShortageView(Frozen):
    line_id: str
    quantity: int
    answer_by: datetime
    default: str
    choices: tuple[str, ...]
    substitutes: tuple[str, ...]


class ActionView(Frozen):
    """A message that would be obeyed now, and on what."""

    message: str
    fulfillment_id: str | None = None
    parcel_id: str | None = None
    id: str | None = None
    """The id of the hold, issue, request or line that the message is about."""


class MoneyView(Frozen):
    authorized: int
    captured: int
    refunded: int
    voided: int
    unpaid: int


class StatusView(Frozen):
    order_id: str
    status: str
    attention: tuple[str, ...]
    business_time: datetime
    method: str
    totals: Totals
    money: MoneyView
    lines: tuple[LineView, ...]
    fulfillments: tuple[FulfillmentView, ...]
    shortages: tuple[ShortageView, ...]
    cancellation_requests: tuple[str, ...]
    holds: tuple[str, ...]
    issues: tuple[str, ...]
    actions: tuple[ActionView, ...]
    waits_for: tuple[str, ...]
    """In words, what the order waits for now."""

    to_pay: int = 0
    """Minor units for which `update_payment` would take another payment now."""

    pay_by: datetime | None = None
    closed: bool
    version: int | None = None
    """How often the order's rows were to be written so far: those in PostgreSQL are of this version at most."""


class TimelineView(Frozen):
    order_id: str
    count: int
    """How many entries there are in all; PostgreSQL keeps those not shown."""

    entries: tuple[Entry, ...]


class PackingListLine(Frozen):
    line_id: str
    sku: str
    title: str
    to_pack: int
    packed: int
    shipped: int


class PackingList(Frozen):
    """One seller's fulfillment; neither other sellers nor prices stand in it."""

    order_id: str
    fulfillment_id: str
    seller: str
    location: str
    ship_by: datetime
    method: str
    on_hold: bool
    lines: tuple[PackingListLine, ...]


class OrderResult(Frozen):
    """What `OrderWorkflow` returns and what a repeated order id gets back."""

    order_id: str
    status: str
    units: dict[str, int]
    captured: int
    refunded: int
    voided: int
    currency: str
    reason: str | None = None
    attention: tuple[str, ...] = ()
    kind: Literal["order_result"] = "order_result"
