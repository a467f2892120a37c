"""Every message and query of an open order: its body, its result, and one table of them all.

`starter.py`, the JSON Schemas and the documents are made from `MESSAGES` and `QUERIES`; a test
fails where one of them is missing in the workflow.
"""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, StringConstraints

from domain.model import (
    Body,
    Frozen,
    LocalId,
    Moment,
    Name,
    OptionalLine,
    OptionalParagraph,
    PartyId,
    Sku,
)
from domain.placing import AMOUNT_MAX, Address, PaymentMeans, Quantity
from domain.results import (
    Accepted,
    CancelResult,
    MoneyResult,
    PackingList,
    PackResult,
    ShipResult,
    ShortageResult,
    StatusView,
    TimelineView,
)
from domain.state import CarrierStatus, IssueKind, Remedy

Who = Annotated[
    str,
    StringConstraints(
        pattern=r"^(customer|support|backend|marketplace|carrier|network|seller:[A-Za-z0-9_.-]{1,64})"
        r"(/[A-Za-z0-9_.-]{1,64})?$"
    ),
]
"""Who sends a message: a role, or `seller:<id>`, and after a slash which person, by an opaque id."""

Units = Annotated[int, Field(ge=1, le=10_000)]
TrackingNumber = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ./-]{2,63}$")]
EventId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]


class Item(Body):
    """Units of one line; without a quantity, all that the message may concern."""

    line_id: LocalId
    quantity: Quantity | None = None


class Packed(Body):
    """What the packer counted of one line: the SKU in hand is checked against the line."""

    line_id: LocalId
    sku: Sku
    quantity: Quantity
    condition: Literal["good", "damaged"] = "good"


class Box(Body):
    """One parcel and what lies in it."""

    contents: Annotated[tuple[Packed, ...], Field(min_length=1, max_length=500)]
    weight_grams: Annotated[int, Field(ge=1, le=10_000_000)] | None = None


class _Message(Body):
    by: Who = "support"


class Cancel(_Message):
    """Of the whole order, one fulfillment, or lines of either."""

    by: Who = "customer"
    fulfillment_id: LocalId | None = None
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=500)] | None = None
    reason: OptionalParagraph = ""


class Pack(_Message):
    """All reserved units of the fulfillment, or part of them, into parcels."""

    by: Who = "support"
    fulfillment_id: LocalId
    parcels: Annotated[tuple[Box, ...], Field(min_length=1, max_length=100)]
    buy_labels: bool = False
    """Buy a label for each parcel now; `ship` then needs no number."""


class Shipped(Body):
    """One packed parcel with the carrier's number; without a number a label is bought."""

    parcel_id: LocalId
    carrier: Name | None = None
    tracking_number: TrackingNumber | None = None


class Ship(_Message):
    """Hand packed parcels to the carrier; without `parcels`, all that are packed.

    With `carrier` and no number a parcel ships untracked; with neither a label is bought.
    """

    fulfillment_id: LocalId
    parcels: Annotated[tuple[Shipped, ...], Field(min_length=1, max_length=100)] | None = None
    carrier: Name | None = None
    tracking_number: TrackingNumber | None = None
    occurred_at: Moment | None = None


class CarrierEvent(_Message):
    """What a carrier says of a parcel. The same `event_id` again changes nothing."""

    by: Who = "carrier"
    event_id: EventId
    parcel_id: LocalId | None = None
    tracking_number: TrackingNumber | None = None
    carrier: Name | None = None
    status: CarrierStatus
    exception: Literal["delayed", "damaged", "undeliverable"] = "delayed"
    """What kind of exception, where the status is one."""

    occurred_at: Moment
    estimated_delivery: Moment | None = None
    location: OptionalLine = ""
    signed_by: OptionalLine = ""
    note: OptionalLine = ""


class NetworkItem(Body):
    line_id: LocalId
    quantity: Quantity


class NetworkParcel(Body):
    carrier: Name
    tracking_number: TrackingNumber
    items: Annotated[tuple[NetworkItem, ...], Field(min_length=1, max_length=500)]
    estimated_delivery: Moment | None = None


class NetworkEvent(_Message):
    """What the fulfillment network says of an order that it fulfills, in Amazon's words."""

    by: Who = "network"
    event_id: EventId
    fulfillment_id: LocalId
    status: Literal[
        "Received",
        "Invalid",
        "Planning",
        "Processing",
        "Cancelled",
        "Complete",
        "CompletePartialled",
        "Unfulfillable",
    ]
    occurred_at: Moment
    parcels: Annotated[tuple[NetworkParcel, ...], Field(max_length=100)] = ()


class AllocatedUnits(Frozen):
    line_id: str
    location: str
    quantity: int
    ship_by: Moment
    deliver_by: Moment


class StockAllocated(Frozen):
    """From our own store: units that came in are reserved for a backorder."""

    key: str
    line_id: str
    allocation: AllocatedUnits


class Unpack(_Message):
    fulfillment_id: LocalId
    parcel_ids: Annotated[tuple[LocalId, ...], Field(min_length=1, max_length=100)] | None = None
    reason: OptionalParagraph = ""


class ConfirmDelivery(_Message):
    """By the customer or support, where the carrier does not say it."""

    by: Who = "customer"
    fulfillment_id: LocalId | None = None
    parcel_id: LocalId | None = None
    occurred_at: Moment | None = None
    note: OptionalParagraph = ""


class RejectLines(_Message):
    """The seller found these units not to be there."""

    fulfillment_id: LocalId
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=500)]
    reason: OptionalParagraph = ""


class AnswerCancellation(_Message):
    request_id: LocalId
    answer: Literal["accept", "reject"]
    reason: OptionalParagraph = ""


class ChooseForShortage(_Message):
    """The customer's choice for one line that is out of stock."""

    by: Who = "customer"
    line_id: LocalId
    choice: Literal["substitute", "wait", "refund", "cancel"]
    substitute_sku: Sku | None = None
    wait_until: Moment | None = None
    reason: OptionalParagraph = ""


class ChangeAddress(_Message):
    by: Who = "customer"
    ship_to: Address
    reason: OptionalParagraph = ""


class UpdatePayment(_Message):
    """Another payment for what was declined, or for what could not be captured."""

    by: Who = "customer"
    payments: Annotated[tuple[PaymentMeans, ...], Field(min_length=1, max_length=20)]
    reason: OptionalParagraph = ""


class HoldOrder(_Message):
    """Stops the next merchant step and the seller's clock, not parcels in flight."""

    hold_id: LocalId | None = None
    fulfillment_id: LocalId | None = None
    reason: OptionalParagraph = ""
    expires_at: Moment | None = None


class ReleaseHold(_Message):
    hold_id: LocalId
    reason: OptionalParagraph = ""


class CorrectTracking(_Message):
    parcel_id: LocalId
    carrier: Name
    tracking_number: TrackingNumber
    reason: OptionalParagraph = ""


class ReportIssue(_Message):
    by: Who = "customer"
    kind: IssueKind
    fulfillment_id: LocalId | None = None
    parcel_id: LocalId | None = None
    note: OptionalParagraph = ""


class ResolveIssue(_Message):
    issue_id: LocalId
    remedy: Remedy
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=500)] | None = None
    reason: OptionalParagraph = ""


class GoodwillRefund(_Message):
    """Money given back without a return, in minor units; never more than was captured."""

    amount: Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
    reason: Name


class ResendMail(_Message):
    mail_key: Name
    reason: OptionalParagraph = ""


class AddNote(_Message):
    text: Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]


class PackingListQuery(Body):
    fulfillment_id: LocalId
    seller: PartyId | None = None


class TimelineQuery(Body):
    newest: Annotated[int, Field(ge=1, le=200)] = 200


class StatusQuery(Body):
    pass


class Message(NamedTuple):
    """A message: how it may be sent, what it takes and what an update answers."""

    name: str
    body: type[Any]
    result: type[Frozen]
    description: str
    signal: bool = False
    update: bool = True


class Query(NamedTuple):
    name: str
    body: type[Any]
    result: type[Frozen]
    description: str


def help_text(message: Message | Query) -> str:
    """For the forms of the Temporal UI: what it does, and its fields, the needed ones with a star."""
    fields = (f"{name}*" if field.is_required() else name for name, field in message.body.model_fields.items())
    return f"{message.description} JSON: {', '.join(fields) or 'none'}."


MESSAGES: tuple[Message, ...] = (
    Message("cancel", Cancel, CancelResult, "Cancel the order, a fulfillment or lines.", signal=True),
    Message("pack", Pack, PackResult, "Pack units into parcels; contents are checked.", signal=True),
    Message("ship", Ship, ShipResult, "Hand packed parcels to the carrier.", signal=True),
    Message(
        "carrier_event",
        CarrierEvent,
        Accepted,
        "What the carrier says of a parcel.",
        signal=True,
        update=False,
    ),
    Message(
        "network_event",
        NetworkEvent,
        Accepted,
        "What the fulfillment network says of its order.",
        signal=True,
        update=False,
    ),
    Message(
        "stock_allocated",
        StockAllocated,
        Accepted,
        "Sent by the store: units came in for a backorder.",
        signal=True,
        update=False,
    ),
    Message("unpack", Unpack, Accepted, "Take units out of packed parcels again."),
    Message("confirm_delivery", ConfirmDelivery, Accepted, "A parcel has arrived."),
    Message("reject_lines", RejectLines, Accepted, "The seller cannot find these units."),
    Message("answer_cancellation", AnswerCancellation, Accepted, "The seller's answer."),
    Message("choose_for_shortage", ChooseForShortage, ShortageResult, "What to do without stock."),
    Message("change_address", ChangeAddress, Accepted, "Another address for what has not left."),
    Message("update_payment", UpdatePayment, MoneyResult, "Another payment for what is unpaid."),
    Message("hold", HoldOrder, Accepted, "Stop the next merchant step."),
    Message("release_hold", ReleaseHold, Accepted, "Let the order go on."),
    Message("correct_tracking", CorrectTracking, Accepted, "Mend a parcel's tracking number."),
    Message("report_issue", ReportIssue, Accepted, "Something is wrong with a parcel."),
    Message("resolve_issue", ResolveIssue, Accepted, "Reship, refund, wait or dismiss."),
    Message("goodwill_refund", GoodwillRefund, MoneyResult, "Give money back without a return."),
    Message("resend_mail", ResendMail, Accepted, "Send a mail once more."),
    Message("note", AddNote, Accepted, "Write a note into the timeline."),
)

QUERIES: tuple[Query, ...] = (
    Query("status", StatusQuery, StatusView, "The whole order now, and what may be done with it."),
    Query("timeline", TimelineQuery, TimelineView, "Who did what, when and why."),
    Query("packing_list", PackingListQuery, PackingList, "One seller's part and nothing else."),
)
