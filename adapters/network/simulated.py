"""A fulfillment network on paper, with Amazon's states: what it has promised to tell lies in the message queue.

Its state at any moment follows from what it was asked, when, and whether it was cancelled, so there is no job that
could be missed in a crash.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from adapters.network.plan import FillPolicy, NetworkScenario, Status, plan, processing_at
from adapters.simulation import MessageQueue, Scenarios, utc_now
from domain.requests import NetworkOrder, QueuedMessage
from domain.sandbox import SandboxNetworkOrder

NetworkScenarios = Scenarios[NetworkScenario]
ALL_COMPLETE = NetworkScenarios(default=NetworkScenario.COMPLETE)


class NetworkBook(Protocol):
    """The network's memory; `store.sandbox` keeps it in a table."""

    async def receive(self, order: SandboxNetworkOrder) -> SandboxNetworkOrder:
        """Keep the order unless one with its ids is there; gives the one that is kept."""
        ...

    async def find(self, order_id: str, fulfillment_id: str) -> SandboxNetworkOrder | None: ...

    async def cancel(
        self, order_id: str, fulfillment_id: str, may_cancel: Callable[[SandboxNetworkOrder], bool]
    ) -> bool:
        """Mark it if it may be, with nobody else deciding at the same time; cancelled once, it stays so."""
        ...


class SimulatedNetwork:
    """Satisfies `NetworkPort`. Scenarios are picked for `<order id>:<fulfillment id>`, see `adapters.network.plan`."""

    def __init__(
        self,
        book: NetworkBook,
        queue: MessageQueue,
        scenarios: NetworkScenarios = ALL_COMPLETE,
        policy: FillPolicy = FillPolicy.FILL_ALL_AVAILABLE,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._book = book
        self._queue = queue
        self._scenarios = scenarios
        self._policy = policy
        self._now = now

    async def create(self, order: NetworkOrder) -> str:
        """Received, or Invalid: by scenario, without items, or where the id stands for another order already."""
        now = self._now()
        body = order.model_dump_json(exclude={"asked_at"}, exclude_defaults=True)
        kept = await self._book.receive(
            SandboxNetworkOrder(
                order_id=order.order_id,
                fulfillment_id=order.fulfillment_id,
                body=body,
                received_at=now,
                asked_at=order.asked_at or now,
            )
        )
        if kept.body != body or not order.items or self._scenario(kept) is NetworkScenario.INVALID:
            return Status.INVALID
        # On every try: the try that kept the order may have died before this line.
        if not kept.cancelled:
            await self._queue.schedule(self._messages(kept))
            await self._withdraw_if_cancelled(order.order_id, order.fulfillment_id)
        return Status.RECEIVED

    async def cancel(self, order_id: str, fulfillment_id: str, key: str) -> bool:
        """False from Processing on. What the network does not know it will not ship either: true."""
        now = self._now()
        if await self._book.find(order_id, fulfillment_id) is None:
            return True
        if not await self._book.cancel(order_id, fulfillment_id, lambda kept: now < self._processing_due(kept)):
            return False
        await self._queue.withdraw(order_id, _key_prefix(order_id, fulfillment_id))
        return True

    async def status(self, order_id: str, fulfillment_id: str) -> str | None:
        """The state now, one of Amazon's words; None for an order that is not known."""
        kept = await self._book.find(order_id, fulfillment_id)
        if kept is None:
            return None
        if self._scenario(kept) is NetworkScenario.INVALID or not _asked(kept).items:
            return Status.INVALID
        if kept.cancelled:
            return Status.CANCELLED
        now = self._now()
        reached = [message.body["status"] for message in self._messages(kept) if message.due_at <= now]
        return str(reached[-1]) if reached else Status.RECEIVED

    async def _withdraw_if_cancelled(self, order_id: str, fulfillment_id: str) -> None:
        """A cancel that came while we were scheduling withdrew nothing yet."""
        kept = await self._book.find(order_id, fulfillment_id)
        if kept is not None and kept.cancelled:
            await self._queue.withdraw(order_id, _key_prefix(order_id, fulfillment_id))

    def _scenario(self, kept: SandboxNetworkOrder) -> NetworkScenario:
        return self._scenarios.of(f"{kept.order_id}:{kept.fulfillment_id}")

    def _messages(self, kept: SandboxNetworkOrder) -> tuple[QueuedMessage, ...]:
        order = _asked(kept)
        steps = plan(order, kept.asked_at, self._scenario(kept), self._policy)
        return tuple(
            QueuedMessage(
                key=f"{_key_prefix(kept.order_id, kept.fulfillment_id)}{number}",
                order_id=kept.order_id,
                signal="network_event",
                body=step.model_dump(mode="json", exclude_none=True)
                | {"event_id": f"{kept.fulfillment_id}-{number}", "fulfillment_id": kept.fulfillment_id},
                due_at=_server_time(kept, order, step.occurred_at),
            )
            for number, step in enumerate(steps, 1)
        )

    def _processing_due(self, kept: SandboxNetworkOrder) -> datetime:
        order = _asked(kept)
        return _server_time(kept, order, processing_at(order, kept.asked_at))


def _asked(kept: SandboxNetworkOrder) -> NetworkOrder:
    return NetworkOrder.model_validate_json(kept.body)


def _server_time(kept: SandboxNetworkOrder, order: NetworkOrder, business_time: datetime) -> datetime:
    return kept.received_at + (business_time - kept.asked_at) / order.factor


def _key_prefix(order_id: str, fulfillment_id: str) -> str:
    return f"{order_id}:network:{fulfillment_id}:"
