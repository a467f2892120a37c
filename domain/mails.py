"""What each mail says, as small frozen models without names or addresses: those are looked up when it is sent.

A workflow builds a mail, the transaction of its cause writes it to the outbox as JSON, and a sender renders it. Stored
mails outlive releases: a field added later has a default, and a default, once released, keeps its meaning, because
values equal to it are left out of the JSON.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
    model_validator,
)

from domain.model import Frozen

Actor = Literal["customer", "seller", "support", "marketplace"]
ShortageChoice = Literal["substitute", "wait", "refund", "cancel"]
IssueKind = Literal["lost", "damaged", "undeliverable", "wrong_item", "missing"]


class _Payload(Frozen):
    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keep the JSON small; `template` alone stays, since it tells which model to read it with."""
        written: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        return {
            name: value
            for name, value in written.items()
            if name == "template" or getattr(self, name) != fields[name].default
        }


# --- Parts ---


class MailLine(_Payload):
    """Some units of one line. Prices are minor units; `estimated_until` is the last instant that is on time."""

    sku: str
    title: str
    quantity: int
    unit_price: int | None = None
    amount: int | None = None
    seller: str = ""
    estimated_from: AwareDatetime | None = None
    estimated_until: AwareDatetime | None = None


class MailParcel(_Payload):
    """One box. A parcel without tracking has no number; only http and https links are made clickable."""

    carrier: str
    tracking_number: str = ""
    tracking_url: str = ""
    lines: tuple[MailLine, ...] = ()


class MailTotals(_Payload):
    """What the order costs, in minor units; `discount` is a positive amount that was taken off."""

    currency: str
    items: int
    shipping: int = 0
    tax: int = 0
    discount: int = 0
    total: int


class MailSubstitute(_Payload):
    """An item offered, or chosen, in place of another; `unit_price` in minor units."""

    sku: str
    title: str
    unit_price: int | None = None


class MailShortLine(_Payload):
    """Units that are out of stock, and what the customer may choose for them."""

    sku: str
    title: str
    quantity: int
    choices: tuple[ShortageChoice, ...] = ("refund", "cancel")
    substitutes: tuple[MailSubstitute, ...] = ()
    wait_until: AwareDatetime | None = None


class MailSettledLine(_Payload):
    """What was decided for units that were out of stock; `refund` in minor units."""

    sku: str
    title: str
    quantity: int
    choice: ShortageChoice
    substitute: MailSubstitute | None = None
    wait_until: AwareDatetime | None = None
    refund: int | None = None


class MailRefundPart(_Payload):
    """The share of a refund that goes back to one payment, in minor units."""

    kind: Literal["card", "prepaid", "voucher"]
    amount: int


# --- Bases ---


class _Mail(_Payload):
    """`key` names the mail in business words (`1042:shipped:acme-1`): one key, one mail, one Message-ID."""

    key: str
    order_id: str


class _CustomerMail(_Mail):
    to: Literal["customer"] = "customer"


class _SellerMail(_Mail):
    """A seller sees its own fulfillment and nothing else; a line of another seller is a bug and is refused."""

    to: str = Field(pattern=r"^seller:.+$")
    fulfillment_id: str
    lines: tuple[MailLine, ...]

    @property
    def seller(self) -> str:
        """The seller's id, without the role in front."""
        return self.to.removeprefix("seller:")

    @model_validator(mode="after")
    def _only_own_lines(self) -> Self:
        strangers = {line.seller for line in self.lines} - {"", self.seller}
        if strangers:
            raise ValueError(f"lines of {sorted(strangers)} in a mail to {self.to}")
        return self


# --- To the customer: the order on its way ---


class ConfirmedMail(_CustomerMail):
    template: Literal["confirmed"] = "confirmed"
    lines: tuple[MailLine, ...]
    totals: MailTotals
    shipping_method: str = ""


class ShippedMail(_CustomerMail):
    """`still_to_come` are units that ship later; `charged`, in minor units, is what this shipment cost."""

    template: Literal["shipped"] = "shipped"
    parcels: tuple[MailParcel, ...]
    still_to_come: tuple[MailLine, ...] = ()
    estimated_from: AwareDatetime | None = None
    estimated_until: AwareDatetime | None = None
    charged: int | None = None
    currency: str = ""


class OutForDeliveryMail(_CustomerMail):
    template: Literal["out_for_delivery"] = "out_for_delivery"
    parcel: MailParcel
    expected_by: AwareDatetime | None = None


class DelayedMail(_CustomerMail):
    """`promised_until` was frozen at sale; the new estimate is open when nobody knows one."""

    template: Literal["delayed"] = "delayed"
    lines: tuple[MailLine, ...] = ()
    parcel: MailParcel | None = None
    promised_until: AwareDatetime
    estimated_from: AwareDatetime | None = None
    estimated_until: AwareDatetime | None = None
    reason: str = ""


class DeliveredMail(_CustomerMail):
    """The proof: who says so (`assumed`: an untracked parcel, long past its promise), when, where and to whom."""

    template: Literal["delivered"] = "delivered"
    lines: tuple[MailLine, ...] = ()
    parcel: MailParcel | None = None
    delivered_at: AwareDatetime
    confirmed_by: Literal["carrier", "customer", "support", "assumed"] = "carrier"
    received_by: str = ""
    place: str = ""
    still_to_come: tuple[MailLine, ...] = ()


# --- To the customer: stock ---


class OutOfStockMail(_CustomerMail):
    """`default` happens where no choice arrives by `decide_by`; `others_ship`: further lines go on as planned."""

    template: Literal["out_of_stock"] = "out_of_stock"
    lines: tuple[MailShortLine, ...]
    decide_by: AwareDatetime
    default: ShortageChoice
    currency: str = ""
    others_ship: bool = False


class ShortageSettledMail(_CustomerMail):
    template: Literal["shortage_settled"] = "shortage_settled"
    lines: tuple[MailSettledLine, ...]
    decided_by: Literal["customer", "support", "default"] = "customer"
    currency: str = ""


class BackInStockMail(_CustomerMail):
    template: Literal["back_in_stock"] = "back_in_stock"
    lines: tuple[MailLine, ...]


# --- To the customer: cancellation and money ---


class CancelledMail(_CustomerMail):
    """`released` was set aside and never charged; `refunded` was charged and goes back. Minor units."""

    template: Literal["cancelled"] = "cancelled"
    lines: tuple[MailLine, ...]
    whole_order: bool = False
    by: Actor
    reason: str = ""
    released: int = 0
    refunded: int = 0
    currency: str = ""


class CancellationRefusedMail(_CustomerMail):
    template: Literal["cancellation_refused"] = "cancellation_refused"
    lines: tuple[MailLine, ...]
    reason: str
    return_until: AwareDatetime | None = None
    return_url: str = ""


class RefundedMail(_CustomerMail):
    template: Literal["refunded"] = "refunded"
    amount: int
    currency: str
    reason: str = ""
    payments: tuple[MailRefundPart, ...] = ()
    lines: tuple[MailLine, ...] = ()


class PaymentDeclinedMail(_CustomerMail):
    template: Literal["payment_declined"] = "payment_declined"
    amount: int
    currency: str
    reason: str = ""
    retry_until: AwareDatetime


# --- To the customer: trouble and changes ---


class IssueOpenedMail(_CustomerMail):
    """`answer_by`: when the customer hears what is done about it, at the latest."""

    template: Literal["issue_opened"] = "issue_opened"
    issue: IssueKind
    lines: tuple[MailLine, ...] = ()
    parcel: MailParcel | None = None
    answer_by: AwareDatetime


class IssueResolvedMail(_CustomerMail):
    """`refund` in minor units; the estimate is that of the new shipment, or of the late one."""

    template: Literal["issue_resolved"] = "issue_resolved"
    issue: IssueKind
    remedy: Literal["reship", "refund", "wait"]
    lines: tuple[MailLine, ...] = ()
    refund: int | None = None
    currency: str = ""
    estimated_from: AwareDatetime | None = None
    estimated_until: AwareDatetime | None = None
    reason: str = ""


class AddressChangedMail(_CustomerMail):
    """`not_affected` had left before the change and goes to the former address."""

    template: Literal["address_changed"] = "address_changed"
    changed_at: AwareDatetime
    by: Actor = "customer"
    not_affected: tuple[MailLine, ...] = ()


# --- To a seller ---


class SellerNewOrderMail(_SellerMail):
    """`by_network`: the fulfillment network packs and ships it (FBA); the seller need do nothing."""

    template: Literal["seller_new_order"] = "seller_new_order"
    ship_by: AwareDatetime
    shipping_method: str = ""
    currency: str = ""
    by_network: bool = False


class SellerCancelledMail(_SellerMail):
    """`packed`: the lines lie in parcels that must be opened again."""

    template: Literal["seller_cancelled"] = "seller_cancelled"
    by: Actor
    reason: str = ""
    packed: bool = False


class CancellationRequestedMail(_SellerMail):
    """`default` happens where the seller does not answer by `answer_by`."""

    template: Literal["cancellation_requested"] = "cancellation_requested"
    answer_by: AwareDatetime
    default: Literal["accept", "reject"] = "accept"
    reason: str = ""


class ShipByWarningMail(_SellerMail):
    template: Literal["ship_by_warning"] = "ship_by_warning"
    ship_by: AwareDatetime


class ShipByMissedMail(_SellerMail):
    """`cancels_at` is empty where the marketplace does not cancel late orders by itself."""

    template: Literal["ship_by_missed"] = "ship_by_missed"
    ship_by: AwareDatetime
    cancels_at: AwareDatetime | None = None


class OnHoldMail(_SellerMail):
    template: Literal["on_hold"] = "on_hold"
    reason: str = ""
    until: AwareDatetime | None = None


class HoldReleasedMail(_SellerMail):
    template: Literal["hold_released"] = "hold_released"
    ship_by: AwareDatetime


class SellerAddressChangedMail(_SellerMail):
    """The lines have not left yet; `packed`: some lie in parcels that bear the former address."""

    template: Literal["seller_address_changed"] = "seller_address_changed"
    packed: bool = False


Mail = Annotated[
    ConfirmedMail
    | ShippedMail
    | OutForDeliveryMail
    | DelayedMail
    | DeliveredMail
    | OutOfStockMail
    | ShortageSettledMail
    | BackInStockMail
    | CancelledMail
    | CancellationRefusedMail
    | RefundedMail
    | PaymentDeclinedMail
    | IssueOpenedMail
    | IssueResolvedMail
    | AddressChangedMail
    | SellerNewOrderMail
    | SellerCancelledMail
    | CancellationRequestedMail
    | ShipByWarningMail
    | ShipByMissedMail
    | OnHoldMail
    | HoldReleasedMail
    | SellerAddressChangedMail,
    Field(discriminator="template"),
]

_MAIL: TypeAdapter[Mail] = TypeAdapter(Mail)


def to_seller(seller_id: str) -> str:
    """The `to` of a mail to this seller."""
    return f"seller:{seller_id}"


def mail_to_json(mail: Mail) -> str:
    """The body of the outbox row: without the fields that hold their default."""
    return mail.model_dump_json()


def mail_from_json(body: str | bytes) -> Mail:
    """Read an outbox row; raises `ValidationError` where it is no mail that this release knows."""
    return _MAIL.validate_json(body)


def mail_from_row(body: dict[str, Any]) -> Mail:
    """The same, where the JSON has been read already."""
    return _MAIL.validate_python(body)


# --- Sending ---


class RenderedMail(Frozen):
    """A mail in words, for one recipient: a subject on one line and the same facts in text and HTML."""

    key: str
    subject: str
    text: str
    html: str
    language: str = "en"


class MailRefused(Frozen):
    """The server will never take this mail for this recipient; `code` is the SMTP reply, if one was given.

    Servers repeat the address in `reason`: keep it beside the contact, not in an order's history.
    """

    code: int | None = None
    reason: str


class MailUnavailable(Exception):
    """The mail could not be sent now and may be tried again later."""
