"""Messages in a caller's name, whichever door they come by: who may speak for whom, and what a seller may learn."""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Protocol

from pydantic import BaseModel

from domain.access import Caller, sender, sender_refusal
from domain.messages import Message
from domain.model import Frozen
from store.views.seller_parts import OwnLine
from usecases.errors import InvalidMessage, NotAllowed, OrderClosed, OrderNotFound, Refused
from usecases.own_lines import OwnLines

_AT_REST = "nothing of your part of this order can be changed any more"


_Fields = dict[str, Any]


class TakesMessages(Protocol):
    """`usecases.orders.Orders`."""

    async def signal(self, order_id: str, name: str, body: dict[str, Any]) -> None: ...

    async def update(
        self, order_id: str, name: str, body: dict[str, Any], *, update_id: str | None = None
    ) -> Frozen: ...


class KnowsParts(Protocol):
    """`store.views.seller_parts.SellerParts`."""

    async def parts(self, seller: str, order_id: str) -> tuple[str, ...]: ...

    async def is_at_rest(self, seller: str, order_id: str) -> bool: ...

    async def own_lines(self, seller: str, order_id: str) -> Iterable[OwnLine]: ...


class Sent(Frozen):
    """The order will hear of it; nobody waits for what it says."""

    sent: str


class Delivery:
    def __init__(self, orders: TakesMessages, parts: KnowsParts) -> None:
        self._orders = orders
        self._parts = parts

    async def deliver(
        self, caller: Caller, order_id: str, message: Message, body: BaseModel, idempotency_key: str | None = None
    ) -> Frozen:
        """In the caller's name; an update waits for the order's answer, and has no second effect with the same key.

        Raises `OrderError`s only.
        """
        fields = body.model_dump(mode="json", exclude_unset=True)
        refusal = sender_refusal(caller, fields["by"]) if "by" in fields else None
        if refusal is not None:
            raise NotAllowed(refusal)
        own = sender(caller)
        # A seller may say which of its people it is.
        if own is not None and not str(fields.get("by")).startswith(f"{own}/"):
            fields["by"] = own
        if caller.seller is not None:
            await self._must_concern(caller.seller, order_id)
            return await self._deliver_of_seller(caller, caller.seller, order_id, message, fields, idempotency_key)
        return await self._send(caller, order_id, message, fields, idempotency_key)

    async def _deliver_of_seller(
        self, caller: Caller, seller: str, order_id: str, message: Message, fields: _Fields, key: str | None
    ) -> Frozen:
        lines = OwnLines(await self._parts.own_lines(seller, order_id))
        try:
            return await self._send(caller, order_id, message, lines.meant(fields), key)
        except OrderClosed:
            raise Refused(_AT_REST) from None
        except (Refused, InvalidMessage) as error:
            raise type(error)(lines.said(error.reason)) from None

    async def _send(
        self, caller: Caller, order_id: str, message: Message, fields: _Fields, idempotency_key: str | None
    ) -> Frozen:
        if not message.update:
            await self._orders.signal(order_id, message.name, fields)
            return Sent(sent=message.name)
        update_id = _update_id(caller, message, fields, idempotency_key) if idempotency_key else None
        return await self._orders.update(order_id, message.name, fields, update_id=update_id)

    async def _must_concern(self, seller: str, order_id: str) -> None:
        """A seller without a part in an order is told the same as of one that is not there; one whose part has ended
        the same whether or not the rest of the order goes on.
        """
        if not await self._parts.parts(seller, order_id):
            raise OrderNotFound(f"there is no order {order_id!r}")
        if await self._parts.is_at_rest(seller, order_id):
            raise Refused(_AT_REST)


def _update_id(caller: Caller, message: Message, fields: dict[str, Any], idempotency_key: str) -> str:
    """Of this caller, this message and these words: a key that is used again for something else must not swallow it."""
    words = json.dumps([message.name, fields], sort_keys=True)
    return f"{caller.key_id}:{idempotency_key}:{sha256(words.encode()).hexdigest()[:16]}"
