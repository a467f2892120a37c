"""What changed since the last write: the rows that lists and pages read, in one small object."""

from datetime import datetime

from domain.mails import Mail
from domain.matters import Matters
from domain.model import Frozen
from domain.timeline import Entry
from domain.units import Units


class OrderRow(Frozen):
    """The derived face of an order, as lists show it."""

    status: str
    attention: tuple[str, ...] = ()
    ship_by: datetime | None = None
    promised_at: datetime | None = None
    closed: bool = False
    unpaid: int = 0
    """Minor units owed after handoff, written off ones included."""

    goodwill: int = 0
    """Minor units given back beside what the lines are worth."""

    matters: Matters | None = None
    """None in an order that goes as planned, as most do."""


class LineRow(Frozen):
    """A line that came to be: at placing, or later as a substitute or reship."""

    line_id: str
    sku: str
    title: str
    quantity: int
    unit_price: int
    total: int
    seller: str
    channel: str
    replaces: str | None = None
    ship_by: datetime | None = None
    deliver_by: datetime | None = None
    earliest_delivery: datetime | None = None


class FulfillmentRow(Frozen):
    fulfillment_id: str
    seller: str
    location: str
    channel: str
    ship_by: datetime
    """The promise, frozen."""

    due_at: datetime | None = None
    """By when the seller must hand over: the promise, and holds that have ended added."""

    deliver_by: datetime
    status: str
    on_hold: bool = False
    cancellation_asked: bool = False
    """The seller is to answer a cancellation."""

    network_status: str | None = None
    handed_over_at: datetime | None = None


class ParcelRow(Frozen):
    """Carrier and number are those of its label from the moment that it has one."""

    parcel_id: str
    fulfillment_id: str
    stage: str
    carrier: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    status: str | None = None
    weight_grams: int | None = None
    packed_at: datetime | None = None
    shipped_at: datetime | None = None
    estimate: datetime | None = None
    delivered_at: datetime | None = None
    presumed_delivered: bool = False
    proof: str | None = None


class LineMoneyRow(Frozen):
    """The money of a line, for the identities of the store; minor units."""

    line_id: str
    captured: int = 0
    dropped: int = 0
    refunded: int = 0


class Follow(Frozen):
    """A parcel that the carrier's events should now come for; asked through the outbox."""

    parcel_id: str
    fulfillment_id: str
    carrier: str
    tracking_number: str
    method: str
    shipped_at: datetime
    deliver_by: datetime
    factor: float
    server_time: datetime | None = None
    """The server's time when business time was `shipped_at`; None: when the carrier is asked."""


class Progress(Frozen):
    """Rows that changed, all of one version of the order, which must be newer than what is written already."""

    order_id: str
    version: int
    at: datetime
    whole: bool = False
    """All rows of the order: whatever else stands there was written by a step that its history does not know."""

    order: OrderRow
    lines: tuple[LineRow, ...] = ()
    units: tuple[Units, ...] = ()
    """Units per spot; zero where a spot was left."""

    line_money: tuple[LineMoneyRow, ...] = ()
    fulfillments: tuple[FulfillmentRow, ...] = ()
    parcels: tuple[ParcelRow, ...] = ()
    entries: tuple[Entry, ...] = ()
    mails: tuple[Mail, ...] = ()
    follow: tuple[Follow, ...] = ()
