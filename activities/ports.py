"""What the activities need from the outside: one protocol per port, met in `worker.py`.

Refused is a value; unavailable is `domain.requests.Unavailable`, which Temporal retries.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from domain.effects import Reserve, StockItem, Want
from domain.placing import Address, PaymentMeans
from domain.progress import Progress
from domain.reconciling import DeadOrder, FoundMoney, HalfWritten, MendedStock, OpenRow
from domain.requests import (
    BackorderAllocation,
    LabelOutcome,
    LabelRequest,
    MoveKind,
    NetworkOrder,
    PaymentMove,
    ProviderOutcome,
    QueuedMessage,
    RecordedOrder,
    RecordOrder,
    Reservation,
)
from domain.taking_up import FoundOrder


class OrderStore(Protocol):
    async def record_order(self, request: RecordOrder) -> RecordedOrder:
        """Insert the order, its contact, lines and payments; known by hash and first run id."""
        ...

    async def save(self, progress: Progress) -> None: ...

    async def change_address(
        self, order_id: str, key: str, address: Address, left: tuple[str, ...], progress: Progress | None
    ) -> None: ...

    async def resend_mail(self, order_id: str, key: str, mail_key: str, progress: Progress | None) -> bool:
        """Put a copy of a mail into the outbox; false where no such mail was ever written."""
        ...

    async def close(self, progress: Progress, result: str) -> None:
        """Save the last progress and the JSON result, which a repeated order id gets back."""
        ...


class StockStore(Protocol):
    """Every call has a key: the second call with it gives the first one's result."""

    async def reserve(self, order_id: str, effect: Reserve, progress: Progress | None) -> Reservation:
        """Reserve all wants in one transaction; what is short stays unreserved and is named."""
        ...

    async def release(
        self,
        order_id: str,
        key: str,
        items: tuple[StockItem, ...],
        missing: bool,
        progress: Progress | None,
    ) -> None:
        """Lower reserved; with `missing` also on hand, as the seller found nothing there."""
        ...

    async def hand_over(self, order_id: str, key: str, items: tuple[StockItem, ...], progress: Progress | None) -> None:
        """Lower reserved and on hand together."""
        ...

    async def register_backorder(
        self, order_id: str, key: str, want: Want, placed_at: datetime, progress: Progress | None
    ) -> None: ...

    async def cancel_backorder(
        self, order_id: str, key: str, backorder_key: str, progress: Progress | None
    ) -> tuple[BackorderAllocation, ...]:
        """Stop allocating; gives every allocation ever made for it."""
        ...


class PaymentLedger(Protocol):
    """The store's side of payments: what is to be done is written down before it is done.

    A plan with a known key is given again as it was, with what has been settled since.
    """

    async def plan(self, order_id: str, key: str, move: MoveKind, amount: int | None) -> tuple[PaymentMove, ...]:
        """Lock the order's payments and spread the amount over them; `None`: all that is left."""
        ...

    async def add(self, order_id: str, payment_ids: tuple[str, ...], payments: tuple[PaymentMeans, ...]) -> None:
        """Payments given later; those already there are left as they are."""
        ...

    async def settle(self, move: PaymentMove, outcome: ProviderOutcome) -> None: ...


class PaymentProvider(Protocol):
    """The outside party that moves money; idempotent by key, a key with another body is refused."""

    several_captures: bool

    async def authorize(self, key: str, token: str, amount: int, currency: str) -> ProviderOutcome: ...

    async def capture(self, key: str, reference: str, amount: int) -> ProviderOutcome: ...

    async def refund(self, key: str, reference: str, amount: int) -> ProviderOutcome: ...

    async def void(self, key: str, reference: str, amount: int) -> ProviderOutcome: ...


class CarrierPort(Protocol):
    async def buy_label(self, request: LabelRequest) -> LabelOutcome: ...

    async def void_label(self, order_id: str, key: str, carrier: str, tracking_number: str) -> bool: ...


class NetworkPort(Protocol):
    async def create(self, order: NetworkOrder) -> str:
        """Ask the network to fulfill; gives its status, one of Amazon's words."""
        ...

    async def cancel(self, order_id: str, fulfillment_id: str, key: str) -> bool:
        """False where the network is already processing."""
        ...


class MessageQueue(Protocol):
    """Messages to orders, sent when due by the outbox; how a simulation survives the night."""

    async def schedule(self, messages: tuple[QueuedMessage, ...]) -> None:
        """Add them; a key already there is left as it is."""
        ...

    async def withdraw(self, order_id: str, key_prefix: str) -> int:
        """Remove those not sent yet whose key starts so; gives how many."""
        ...


class LostOrders(Protocol):
    async def take_up(self, order_id: str, run_id: str) -> FoundOrder:
        """All that is known of an order that is open by its rows; it belongs to this run from now on."""
        ...


class ReconciliationStore(Protocol):
    async def open_orders(self, after: str, grace: timedelta) -> tuple[OpenRow, ...]:
        """A page of orders that are open by their rows, by id; empty at the end."""
        ...

    async def still_open(self, order_ids: Sequence[str]) -> frozenset[str]: ...

    async def open_or_young(self, order_ids: Sequence[str], grace: timedelta) -> frozenset[str]:
        """Those of the orders that are open, or whose rows were written within the grace."""
        ...

    async def now(self) -> datetime: ...

    async def release_dead_stock(self, grace: timedelta, dry_run: bool, lives: Callable[[], object]) -> MendedStock:
        """`lives` is called after each that was mended."""
        ...

    async def held_money(self, grace: timedelta) -> FoundMoney: ...

    async def note_voided(self, order_id: str, amount: int, words: str) -> None: ...


class RunningOrders(Protocol):
    """The workflows of orders, as Temporal knows them. Raises `Unavailable`."""

    async def running(self, grace: timedelta) -> dict[str, bool]:
        """Ids of orders that run, with whether they have for longer than the grace. The list may lag a little."""
        ...

    async def fate(self, row: OpenRow, grace: timedelta) -> DeadOrder | str | None:
        """For sure: how the order's workflow has ended; `ended` where it has ended well; None where it lives, or where
        that is too young to be told."""
        ...

    async def runs(self, order_id: str) -> bool:
        """For sure: whether the order's workflow runs."""
        ...

    async def version(self, order_id: str) -> int | None:
        """Of the state of the running order; None where it has ended. Raises `Unavailable` also where nobody answers
        for it now."""
        ...

    async def take_up(self, order: DeadOrder) -> bool:
        """Start a workflow that goes on with what is known of the order. False where one runs by now."""
        ...

    async def write_anew(self, order: HalfWritten) -> bool:
        """Have the running order take a step, with which it writes all its rows. False where it has ended by now."""
        ...
