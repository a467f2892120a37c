"""The one object that an open order is: frozen, serializable, carried over continue-as-new."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from domain.effects import Effect
from domain.mails import Mail
from domain.model import Frozen
from domain.placing import Channel
from domain.policy import Policy
from domain.timeline import Entry
from domain.units import Units


class OrderStatus(StrEnum):
    """Amazon's published words, and Delivered (Orders API v0, `OrderStatus`)."""

    PENDING = "Pending"
    UNSHIPPED = "Unshipped"
    PARTIALLY_SHIPPED = "PartiallyShipped"
    SHIPPED = "Shipped"
    DELIVERED = "Delivered"
    CANCELED = "Canceled"
    UNFULFILLABLE = "Unfulfillable"


class CarrierStatus(StrEnum):
    """The carrier's story of a parcel."""

    LABEL_CREATED = "label_created"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    EXCEPTION = "exception"
    LOST = "lost"
    RETURNED = "returned"


class LineMoney(Frozen):
    """A line's money in minor units: `total` is frozen, the rest says what became of it."""

    total: int
    captured_units: int = 0
    captured: int = 0
    dropped_units: int = 0
    dropped: int = 0
    refunded_units: int = 0
    refunded: int = 0


class Line(Frozen):
    """A SKU, how many, from whom. A substitute or reship is a new line with `replaces`."""

    line_id: str
    sku: str
    title: str
    quantity: int
    unit_price: int
    seller: str
    channel: Channel
    money: LineMoney
    ship_by: datetime
    deliver_by: datetime
    earliest_delivery: datetime
    replaces: str | None = None
    barred_locations: tuple[str, ...] = ()
    short_units: int = 0
    """So many units of this line were cancelled because there was no stock."""

    reship: bool = False
    """Sent again at no charge: cancelling it refunds the line that it replaces."""


class Fulfillment(Frozen):
    """One seller's part of the order from one location through one channel."""

    fulfillment_id: str
    seller: str
    location: str
    channel: Channel
    ship_by: datetime
    deliver_by: datetime
    """The promise, frozen when the fulfillment came to be."""

    parcels_made: int = 0
    held_since: datetime | None = None
    hold_seconds: float = 0.0
    """How long the seller's clock stood still on holds that have ended."""

    ship_by_warned: bool = False
    ship_by_missed: bool = False
    escalated: bool = False
    released_to_network: bool = False
    """No hold kept the network from being asked: whether it was, no later hold takes back."""

    network_status: str | None = None
    handed_over_at: datetime | None = None


class ParcelStage(StrEnum):
    """What the merchant did with a parcel."""

    PACKED = "packed"
    SHIPPING = "shipping"
    """`ship` was accepted and a label is being bought."""

    SHIPPED = "shipped"
    UNPACKED = "unpacked"


class Label(Frozen):
    """A label bought from a carrier, good until it is voided."""

    carrier: str
    tracking_number: str
    tracking_url: str | None = None


class Parcel(Frozen):
    parcel_id: str
    fulfillment_id: str
    stage: ParcelStage = ParcelStage.PACKED
    weight_grams: int | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    label: Label | None = None
    status: CarrierStatus | None = None
    packed_at: datetime
    shipped_at: datetime | None = None
    last_event_at: datetime | None = None
    estimate: datetime | None = None
    delayed_told: bool = False
    silent: bool = False
    delivered_at: datetime | None = None
    presumed_delivered: bool = False
    proof: str | None = None
    seen_events: tuple[str, ...] = ()
    """Keys of carrier events already applied; a second copy changes nothing."""


class Shortage(Frozen):
    """Units of a line without stock, and the customer's choice for them."""

    line_id: str
    quantity: int
    opened_at: datetime
    answer_by: datetime
    substitutes: tuple["Substitute", ...] = ()


class Substitute(Frozen):
    sku: str
    title: str
    unit_price: int


class Backorder(Frozen):
    """Units of a line that wait for stock; the store's allocations to it have its key and a number."""

    line_id: str
    quantity: int
    until: datetime
    key: str
    given_up: int = 0
    """Units cancelled since, which the store still waits for."""


class CancellationRequest(Frozen):
    """Packed units that somebody wants cancelled; the seller answers against a clock."""

    request_id: str
    fulfillment_id: str
    units: tuple[tuple[str, int], ...]
    """Line id and quantity."""

    parcel_ids: tuple[str, ...]
    by: str
    reason: str
    answer_by: datetime | None
    """None where the network answers, not the seller."""


class Hold(Frozen):
    hold_id: str
    reason: str
    by: str
    placed_at: datetime
    expires_at: datetime | None
    fulfillment_id: str | None = None


class IssueKind(StrEnum):
    LOST = "lost"
    DAMAGED = "damaged"
    UNDELIVERABLE = "undeliverable"
    MISSING = "missing"
    WRONG_ITEM = "wrong_item"
    DISCREPANCY = "discrepancy"


class Remedy(StrEnum):
    RESHIP = "reship"
    REFUND = "refund"
    WAIT = "wait"
    DISMISS = "dismiss"


class Issue(Frozen):
    """Something went wrong with a parcel after handoff."""

    issue_id: str
    kind: IssueKind
    fulfillment_id: str
    parcel_id: str | None
    opened_at: datetime
    answer_by: datetime | None
    by: str
    note: str = ""
    remedy: Remedy | None = None
    made_good: tuple[Units, ...] = ()
    """Sent again or refunded by this issue; no other issue does it once more."""

    resolved_at: datetime | None = None


class Totals(Frozen):
    """The money of the whole order in minor units."""

    currency: str
    items: int
    shipping: int
    tax: int
    discount: int
    total: int


class Money(Frozen):
    """What the payments did so far, in minor units; the rows in PostgreSQL are exact."""

    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    voided: int = 0
    refund_asked: int = 0
    """Refunds that were asked of the payments, done or not."""

    goodwill: int = 0


class Payment(Frozen):
    """A payment as the workflow knows it: what the provider holds stands in PostgreSQL."""

    payment_id: str
    kind: str
    amount: int
    status: Literal["new", "authorized", "declined", "replaced"] = "new"
    declined_because: str | None = None


class Phase(StrEnum):
    """How far `run` has come; only continue-as-new reads it."""

    PLACED = "placed"
    PAYING = "paying"
    CHECKING = "checking"
    OPEN = "open"
    CLOSED = "closed"


class Answered(Frozen):
    """An update that an earlier run has obeyed, and what it was told."""

    update_id: str
    answer: dict[str, Any]


class OrderState(Frozen):
    order_id: str
    customer_id: str
    method: str
    country: str
    totals: Totals
    policy: Policy
    origin: datetime
    started_at: datetime
    """Server time at which business time was `origin`."""

    factor: float
    phase: Phase = Phase.PLACED
    lines: tuple[Line, ...]
    units: tuple[Units, ...]
    payments: tuple[Payment, ...] = ()
    money: Money = Money()
    pay_by: datetime | None = None
    unpaid: int = 0
    """Minor units whose capture the provider refused after handoff."""

    unpaid_since: datetime | None = None
    written_off: int = 0
    """Minor units that stayed unpaid to the end."""

    refunds_refused: int = 0
    """Minor units that the provider would not give back: somebody must see to it."""

    fulfillments: tuple[Fulfillment, ...] = ()
    parcels: tuple[Parcel, ...] = ()
    shortages: tuple[Shortage, ...] = ()
    backorders: tuple[Backorder, ...] = ()
    backorder_keys: tuple[str, ...] = ()
    """Of all backorders ever made: the store may still tell of one that is closed."""

    allocations_seen: tuple[str, ...] = ()
    network_events_seen: tuple[str, ...] = ()
    requests: tuple[CancellationRequest, ...] = ()
    holds: tuple[Hold, ...] = ()
    issues: tuple[Issue, ...] = ()
    cancel_reason: str | None = None
    confirmed: bool = False
    carrier_events: int = 0
    carrier_events_refused: int = 0
    numbers: tuple[tuple[str, int], ...] = ()
    """Last number given per kind of id or key, so that each is used once."""

    numbers_from: int = 0
    """In an order that was taken up again: beyond all numbers of its lives before."""

    cause: str = ""
    """What the order is acting on: a message, a deadline or an answer, by a name that outlives crashes."""

    cause_keys: int = 0
    """How many idempotency keys were made of this cause."""

    effects: tuple[Effect, ...] = ()
    """What the outside world must still be made to do, oldest first."""

    entries: tuple[Entry, ...] = ()
    """The newest part of the timeline; all of it stands in PostgreSQL."""

    entry_count: int = 0
    mails: tuple[Mail, ...] = ()
    """Mails not yet handed to the outbox."""

    version: int = 0
    page: str = ""
    """Where support sees it in the web."""

    answered: tuple[Answered, ...] = ()
    """On the way into the next run only: whoever sends one of them again gets the same answer."""
