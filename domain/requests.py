"""What an order asks of the store, the payments, carriers and the network, and their answers."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from domain.effects import StockItem
from domain.model import Frozen
from domain.placing import PlaceOrder
from domain.results import OrderResult
from domain.state import Label, Substitute


class UnknownLine(NamedTuple):
    """A line that nobody sells."""

    position: int
    sku: str
    seller: str


class RecordOrder(Frozen):
    """`record_order`: the body as sent, to be known by its hash and first run."""

    order: PlaceOrder
    body_hash: str
    first_run_id: str
    placed_at: datetime


class ListedLine(Frozen):
    """A line's title from the catalog, and its promise (sale time, method, seller's calendar)."""

    line_id: str
    title: str
    ship_by: datetime
    deliver_by: datetime
    earliest_delivery: datetime


class RecordedOrder(Frozen):
    """New, the same again, or a conflict; or unknown SKUs as (line index, sku, seller)."""

    verdict: Literal["new", "same", "conflict", "unknown_sku"]
    lines: tuple[ListedLine, ...] = ()
    unknown: tuple[UnknownLine, ...] = ()
    result: str | None = None
    """JSON of the recorded result where the same order has been placed before."""

    first_run_id: str = ""
    page: str = ""
    """Where support sees the order in the web, to be shown in the Temporal UI; empty where no web is there."""


class KnownOrder(Frozen):
    """What the store knows of an order id; `result` once the order has ended."""

    body_hash: str
    result: OrderResult | None = None


class Allocation(Frozen):
    """Units of a line reserved at a location, with the promise of that location."""

    line_id: str
    location: str
    quantity: int
    ship_by: datetime
    deliver_by: datetime


class LineShortage(Frozen):
    line_id: str
    quantity: int
    substitutes: tuple[Substitute, ...] = ()


class Reservation(Frozen):
    allocations: tuple[Allocation, ...] = ()
    shortages: tuple[LineShortage, ...] = ()


class BackorderAllocation(Frozen):
    """Units that came in for a backorder and are reserved now."""

    key: str
    line_id: str
    allocation: Allocation


class PaymentOutcome(Frozen):
    """What the payments of an order hold together now, in minor units, and what was refused."""

    done: int = 0
    """How much this call authorized, captured, refunded or voided."""

    declined: tuple[tuple[str, str], ...] = ()
    """Payment id and the provider's reason."""


class MoveKind(StrEnum):
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    REFUND = "refund"
    VOID = "void"


class PaymentMove(Frozen):
    """One movement of money on one payment; `key` is the idempotency key at the provider."""

    key: str
    payment_id: str
    kind: MoveKind
    amount: int
    currency: str
    token: str
    reference: str | None = None
    """The provider's reference of the authorization, once there is one."""

    settled: bool = False
    refused_because: str | None = None


class ProviderOutcome(Frozen):
    """Done, with the provider's reference; or refused for a reason."""

    reference: str | None = None
    refused_because: str | None = None


class QueuedMessage(Frozen):
    """A signal to an order's workflow, at a server time (not business time)."""

    key: str
    order_id: str
    signal: str
    body: dict[str, Any]
    due_at: datetime


class LabelRequest(Frozen):
    order_id: str
    key: str
    fulfillment_id: str
    parcel_id: str
    method: str
    weight_grams: int | None = None


class LabelOutcome(Frozen):
    """A label, or why there is none."""

    label: Label | None = None
    refused_because: str | None = None


class NetworkOrder(Frozen):
    order_id: str
    key: str
    fulfillment_id: str
    method: str
    items: tuple[StockItem, ...]
    factor: float = 1.0
    asked_at: datetime | None = None
    """Business time of asking; None: the server's time."""

    ship_by: datetime | None = None
    deliver_by: datetime | None = None


class RowsAhead(Exception):
    """The order's rows are of this version or a newer one: a step wrote them that its history does not know."""

    def __init__(self, version: int) -> None:
        super().__init__(f"the order's rows are of version {version}")
        self.version = version


class Unavailable(Exception):
    """The outside party cannot answer now; the same call may succeed later."""
