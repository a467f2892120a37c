"""What a recorded approval, handoff, cancellation or delivery does to an open order: its messages.

Each may be made again, by a retry or by a later run, and has one effect: updates carry an id, carrier events theirs.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from domain.results import PackingList, StatusView
from usecases.errors import OrderError, Refused, Unreachable
from usecases.olist import Event, OlistOrder
from usecases.orders import Orders

CARRIER = "carrier/olist"
"""Who tells of our deliveries: scans of anybody else are a simulated carrier's."""

PATIENCE_SECONDS = 600
"""A server that is away for longer ends the replay; it goes on when it is run again."""

_AGAIN_SECONDS = 0.5
_LOOK_SECONDS = 0.4
_LOOKS = 20
"""A look costs the worker as much as a message; together they take a minute and a half."""

_Answer = TypeVar("_Answer")


class Moves:
    """All methods raise `OrderError`s only: `Refused` where the order will not, `OrderClosed` where it has ended."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    async def make(self, order: OlistOrder, event: Event) -> None:
        match event.what:
            case "approved":
                await self._approve(order)
            case "handed":
                await self._hand_over(order, event)
            case "canceled":
                await self._send(order, "cancel", "canceled", {"by": "customer", "reason": "canceled in the files"})
            case "delivered":
                await self._deliver(order, event)
            case _:
                raise AssertionError(event.what)

    async def checked(self, order_id: str) -> StatusView:
        """Once its payment was asked for and its stock looked up: what a seller could begin with."""
        await asyncio.sleep(_LOOK_SECONDS)
        return await self._when(
            order_id, lambda status: status.closed or status.status != "Pending" or _is_declined(status)
        )

    async def _approve(self, order: OlistOrder) -> None:
        """The payments of the files, where they were not good from the start; then the stock is reserved."""
        if not _is_declined(await self._status(order.order_id)):
            return
        assert order.body is not None
        payments = [payment for payment in order.body["payments"] if payment["amount"]]
        await self._send(order, "update_payment", "approved", {"by": "customer", "payments": payments})

    async def _hand_over(self, order: OlistOrder, event: Event) -> None:
        """Every fulfillment of the order: packed as its list says, and shipped with a number of its own."""
        status = await self._when(order.order_id, lambda status: status.closed or bool(status.fulfillments))
        for number, fulfillment in enumerate(status.fulfillments, start=1):
            about = {"by": "backend", "fulfillment_id": fulfillment.fulfillment_id}
            if fulfillment.units.get("reserved"):
                todo = await self._packing_list(order.order_id, fulfillment.fulfillment_id)
                contents = [
                    {"line_id": line.line_id, "sku": line.sku, "quantity": line.to_pack}
                    for line in todo.lines
                    if line.to_pack
                ]
                await self._send(order, "pack", f"packed-{number}", {**about, "parcels": [{"contents": contents}]})
            if fulfillment.units.get("reserved") or fulfillment.units.get("packed"):
                carrier = {"carrier": "Olist's carrier", "tracking_number": f"OL{order.order_id[:16]}-{number}"}
                body = {**about, **carrier, "occurred_at": event.at.isoformat()}
                await self._send(order, "ship", f"handed-{number}", body)

    async def _deliver(self, order: OlistOrder, event: Event) -> None:
        status = await self._status(order.order_id)
        on_their_way = [
            p for f in status.fulfillments for p in f.parcels if p.stage == "shipped" and not p.delivered_at
        ]
        for parcel in on_their_way:
            body = {
                "by": CARRIER,
                "event_id": "olist-delivered",
                "parcel_id": parcel.parcel_id,
                "status": "delivered",
                "occurred_at": event.at.isoformat(),
            }
            await answered(lambda body=body: self._orders.signal(order.order_id, "carrier_event", body))  # type: ignore[misc]
        if not on_their_way and not status.closed:
            raise Refused("nothing is on its way to be delivered")

    # -- asking, until there is an answer ------------------------------------------------

    async def _send(self, order: OlistOrder, name: str, update_id: str, body: dict[str, Any]) -> None:
        await answered(lambda: self._orders.update(order.order_id, name, body, update_id=f"olist-{update_id}"))

    async def _status(self, order_id: str) -> StatusView:
        status = await answered(lambda: self._orders.query(order_id, "status"))
        assert isinstance(status, StatusView)
        return status

    async def _packing_list(self, order_id: str, fulfillment_id: str) -> PackingList:
        body = {"fulfillment_id": fulfillment_id}
        found = await answered(lambda: self._orders.query(order_id, "packing_list", body))
        assert isinstance(found, PackingList)
        return found

    async def _when(self, order_id: str, holds: Callable[[StatusView], bool]) -> StatusView:
        """Look again, each time a little later, until it holds; raises why it was refused, or that it never held."""
        for look in range(_LOOKS):
            try:
                status = await self._status(order_id)
                if holds(status):
                    return status
            except Refused:  # not recorded yet, or never
                refusal = await answered(lambda: self._orders.refusal(order_id)) if look > 1 else None
                if refusal is not None:
                    raise refusal from None
            await asyncio.sleep(_LOOK_SECONDS * (1 + look))
        raise Refused("no stock was reserved for it")


async def answered(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Asked again for as long as nobody answers."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        try:
            return await ask()
        except Unreachable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)


def _is_declined(status: StatusView) -> bool:
    return "payment_declined" in status.attention


def is_too_late(error: OrderError) -> bool:
    """What is meant to be heard by who cancels after handoff."""
    return isinstance(error, Refused) and error.reason.startswith("too late to cancel")
