"""What the outside world must still be made to do for an order, as data.

A transition of the domain changes the state at once and adds effects; the workflow performs each
until it is done and applies the result by another transition. `key` is in business words, used
once, and is what makes a second performance harmless.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from domain.model import Frozen
from domain.placing import Address, Channel, PaymentMeans


class _Effect(Frozen):
    key: str
    fulfillment_id: str | None = None


class Want(Frozen):
    """Units of a line to reserve, at any location of the seller that is not barred."""

    line_id: str
    seller: str
    channel: Channel
    sku: str
    quantity: int
    barred: tuple[str, ...] = ()


class StockItem(Frozen):
    """Units of a line at a location, for a stock movement."""

    line_id: str
    location: str
    seller: str
    sku: str
    quantity: int


class Authorize(_Effect):
    kind: Literal["authorize"] = "authorize"
    payment_ids: tuple[str, ...]
    added: tuple[PaymentMeans, ...] = ()
    """Payments given by `update_payment`, in the order of `payment_ids`."""


class Reserve(_Effect):
    """The inventory check: reserve what is there, say what is short."""

    kind: Literal["reserve"] = "reserve"
    wants: tuple[Want, ...]
    placed_at: datetime
    method: str
    country: str


class ReleaseStock(_Effect):
    """Give reserved units back. With `missing`, the seller found them not to be there."""

    kind: Literal["release_stock"] = "release_stock"
    items: tuple[StockItem, ...]
    missing: bool = False


class RegisterBackorder(_Effect):
    kind: Literal["register_backorder"] = "register_backorder"
    line_id: str
    seller: str
    channel: Channel
    sku: str
    quantity: int
    placed_at: datetime
    barred: tuple[str, ...] = ()


class CancelBackorder(_Effect):
    kind: Literal["cancel_backorder"] = "cancel_backorder"
    backorder_key: str
    line_id: str


class RecordPacking(_Effect):
    kind: Literal["record_packing"] = "record_packing"
    parcel_ids: tuple[str, ...]


class BuyLabel(_Effect):
    kind: Literal["buy_label"] = "buy_label"
    parcel_id: str
    method: str
    weight_grams: int | None = None


class VoidLabel(_Effect):
    kind: Literal["void_label"] = "void_label"
    parcel_id: str
    carrier: str
    tracking_number: str


class HandOver(_Effect):
    """The carrier handoff: reserved and on hand fall together."""

    kind: Literal["hand_over"] = "hand_over"
    items: tuple[StockItem, ...]
    parcel_ids: tuple[str, ...]


class Capture(_Effect):
    kind: Literal["capture"] = "capture"
    amount: int


class Refund(_Effect):
    kind: Literal["refund"] = "refund"
    amount: int
    reason: str


class VoidRest(_Effect):
    """Give back what is authorized and will never be captured."""

    kind: Literal["void_rest"] = "void_rest"


class SaveAddress(_Effect):
    """`left` are the fulfillments that have left altogether: theirs stays the address of before."""

    kind: Literal["save_address"] = "save_address"
    ship_to: Address
    left: tuple[str, ...] = ()


class ResendMail(_Effect):
    kind: Literal["resend_mail"] = "resend_mail"
    mail_key: str


class AskNetwork(_Effect):
    """Have the network pack and ship what is reserved when this is performed."""

    kind: Literal["ask_network"] = "ask_network"


class CancelNetwork(_Effect):
    kind: Literal["cancel_network"] = "cancel_network"


class RecordDelivery(_Effect):
    """The delivery confirmation."""

    kind: Literal["record_delivery"] = "record_delivery"
    parcel_ids: tuple[str, ...]


Effect = Annotated[
    Authorize
    | Reserve
    | ReleaseStock
    | RegisterBackorder
    | CancelBackorder
    | RecordPacking
    | BuyLabel
    | VoidLabel
    | HandOver
    | Capture
    | Refund
    | VoidRest
    | SaveAddress
    | ResendMail
    | AskNetwork
    | CancelNetwork
    | RecordDelivery,
    Field(discriminator="kind"),
]
