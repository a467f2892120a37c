"""People and programs that send a message more than once, too early, or by another door."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from domain.model import Frozen
from tests.faults.stories import Teller, answered
from usecases.errors import OrderClosed, OrderConflict, Refused

_ONCE_ONLY = frozenset({"cancel", "pack", "ship", "answer_cancellation", "choose_for_shortage", "confirm_delivery"})
"""Obeyed once; the same under another id is refused, or changes nothing. A second hold or goodwill is another one."""

_ALSO_SIGNALS = frozenset({"cancel", "pack", "ship"})


class Stutterer(Teller):
    """Every update twice at once under one id; what is obeyed once again under another id, and as a signal."""

    async def send(self, name: str, by: str, **body: Any) -> Frozen:
        if name == "pack":
            await self._too_early(body)
        update_id = f"{name}-{uuid4().hex}"
        one, two = await asyncio.gather(*(self._update(name, by, body, update_id) for _ in range(2)))
        assert one == two, f"{self.order_id}: two answers to one {name}: {one} and {two}"
        self._count("update twice, with one id")
        if name in _ONCE_ONLY:
            await self._again(name, by, body)
        return one

    async def _update(self, name: str, by: str, body: dict[str, Any], update_id: str) -> Frozen:
        return await answered(
            lambda: self.shop.orders.update(self.order_id, name, {"by": by, **body}, update_id=update_id)
        )

    async def _again(self, name: str, by: str, body: dict[str, Any]) -> None:
        await self._refused_or_nothing(self._update(name, by, body, f"{name}-again-{uuid4().hex}"))
        self._count("update twice, with another id")
        if name in _ALSO_SIGNALS:
            await self._refused_or_nothing(
                answered(lambda: self.shop.orders.signal(self.order_id, name, {"by": by, **body}))
            )
            # A query is answered when what came before it has been: the next message meets the signal's refusal.
            await self.when(lambda _: True)
            self._count("update again as a signal")

    async def _too_early(self, body: dict[str, Any]) -> None:
        """Shipped and delivered before it is packed."""
        fulfillment_id = body["fulfillment_id"]
        ship = {"fulfillment_id": fulfillment_id, "carrier": "by bike"}
        await self._refused_or_nothing(self._update("ship", "support", ship, f"ship-early-{uuid4().hex}"))
        scan = {
            "event_id": f"early-{uuid4().hex}",
            "parcel_id": f"{fulfillment_id}-p1",
            "status": "delivered",
            "occurred_at": datetime.now(UTC).isoformat(),
        }
        await answered(lambda: self.shop.orders.signal(self.order_id, "carrier_event", scan))
        self._count("message too early", 2)

    async def _refused_or_nothing(self, sending: Any) -> None:
        with suppress(Refused, OrderClosed, OrderConflict):
            await sending

    def _count(self, what: str, times: int = 1) -> None:
        self.shop.injected[what] += times  # type: ignore[attr-defined]
