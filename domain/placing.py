"""What a backend sends to place an order, and what is wrong with it."""

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from domain.model import (
    SPACES,
    Body,
    Country,
    Currency,
    LocalId,
    Moment,
    Name,
    OptionalLine,
    OrderId,
    PartyId,
    Sku,
)
from domain.policy import Policy
from domain.shipping import ShippingMethod

LINES_MAX = 500
PAYMENTS_MAX = 20
QUANTITY_MAX = 10_000
AMOUNT_MAX = 10**12
TIME_FACTOR_MAX = 8_640.0
"""A day in ten seconds: shorter server timers fire late (docs/decisions)."""

Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]
Amount = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
"""Integer minor units of the order's currency (cents, centavos, yen)."""

Email = Annotated[str, StringConstraints(max_length=254, pattern=rf"^[^@{SPACES}]+@[^@{SPACES}]+$")]
Token = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")]


class Channel(StrEnum):
    """Who packs and ships: the seller (FBM) or the fulfillment network (FBA)."""

    FBM = "FBM"
    FBA = "FBA"


class Customer(Body):
    id: PartyId
    name: Name
    email: Email
    time_zone: OptionalLine = "UTC"


class Address(Body):
    name: Name
    line1: Name
    line2: OptionalLine = ""
    city: Name
    region: OptionalLine = ""
    postal_code: OptionalLine = ""
    country: Country
    phone: OptionalLine = ""


class CartLine(Body):
    line_id: LocalId
    sku: Sku
    quantity: Quantity
    unit_price: Amount
    seller: PartyId
    channel: Channel = Channel.FBM
    currency: Currency | None = None


class Shipping(Body):
    method: ShippingMethod = ShippingMethod.STANDARD
    price: Amount = 0


class PaymentKind(StrEnum):
    CARD = "card"
    PREPAID = "prepaid"
    VOUCHER = "voucher"


class PaymentMeans(Body):
    """One payment of an order: what kind, the provider's token for it, and how much."""

    kind: PaymentKind = PaymentKind.CARD
    token: Token
    amount: Amount
    currency: Currency | None = None


class Clock(Body):
    """Business time = `origin` + `factor` x elapsed; the factor is 1 in life."""

    origin: Moment | None = None
    factor: Annotated[float, Field(ge=1, le=TIME_FACTOR_MAX)] = 1.0


class PlaceOrder(Body):
    """The start body of `OrderWorkflow`; its workflow id is `order:<order_id>`.

    The payments add up to lines + shipping + tax - discount. `promised_by` replaces the computed
    delivery promise where the marketplace has already given one.
    """

    order_id: OrderId
    customer: Customer
    ship_to: Address
    currency: Currency
    lines: Annotated[tuple[CartLine, ...], Field(min_length=1, max_length=LINES_MAX)]
    shipping: Shipping = Shipping()
    tax: Amount = 0
    discount: Amount = 0
    payments: Annotated[tuple[PaymentMeans, ...], Field(min_length=1, max_length=PAYMENTS_MAX)]
    promised_ship_by: Moment | None = None
    promised_by: Moment | None = None
    clock: Clock = Clock()
    policy: Policy = Policy()
    kind: Literal["order"] = "order"

    @property
    def total(self) -> int:
        """What the customer pays, in minor units."""
        items = sum(line.quantity * line.unit_price for line in self.lines)
        return items + self.shipping.price + self.tax - self.discount

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        seen: set[str] = set()
        for index, line in enumerate(self.lines):
            if line.line_id in seen:
                raise ValueError(f"lines.{index}.line_id: {line.line_id!r} stands twice")
            seen.add(line.line_id)
        for index, line in enumerate(self.lines):
            self._in_currency(f"lines.{index}", line.currency)
        for index, payment in enumerate(self.payments):
            self._in_currency(f"payments.{index}", payment.currency)
        if self.total < 0:
            raise ValueError(f"discount: {self.discount} is more than the order is worth")
        paid = sum(payment.amount for payment in self.payments)
        if paid != self.total:
            raise ValueError(f"payments: they add up to {paid}, the order to {self.total}")
        return self

    def _in_currency(self, where: str, currency: str | None) -> None:
        if currency not in (None, self.currency):
            raise ValueError(f"{where}.currency: {currency}, but the order is in {self.currency}")


def body_hash(order: PlaceOrder) -> str:
    """SHA-256 of the canonical body, by which a repeated order id is told from a conflict.

    Fields at their default do not count, so that a field added later changes no hash.
    """
    body = order.model_dump(mode="json", exclude_defaults=True)
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
