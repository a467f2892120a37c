"""People of flesh and blood, played: sellers who work off what they have to ship, and whoever else waits and answers.

They use what their models use, lists, packing lists and updates, and they outlive a worker that is down for a while.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from domain.messages import MESSAGES
from domain.model import Frozen
from domain.placing import Channel
from domain.requests import Unavailable
from domain.results import OrderResult, PackingList, ShipResult, StatusView
from store.views.sellers import SellerFulfillment, SellerViews
from usecases.errors import OrderClosed, Refused, Unreachable
from usecases.orders import Orders

Say = Callable[[str, str, str], None]
"""Order id, who, and what happened that no timeline tells."""

_LOOK_SECONDS = 0.5
_Answer = TypeVar("_Answer")


class Desk:
    """One order, as somebody sees it who waits for something and then acts."""

    def __init__(self, orders: Orders, order_id: str, say: Say = lambda *_: None) -> None:
        self.order_id = order_id
        self._orders = orders
        self._say = say

    async def status(self) -> StatusView:
        view = await _until_answered(lambda: self._orders.query(self.order_id, "status"))
        assert isinstance(view, StatusView)
        return view

    async def when(self, holds: Callable[[StatusView], bool]) -> StatusView:
        """Look again and again until it holds; who waits for too long is cancelled from outside."""
        while True:
            view = await self.status()
            if holds(view):
                return view
            await asyncio.sleep(_LOOK_SECONDS)

    async def send(self, name: str, by: str, **body: Any) -> Frozen:
        """An update; sent again under one id where nobody answered, so that it has one effect. Raises `Refused`."""
        update_id = f"{name}-{uuid4().hex}"
        return await _until_answered(
            lambda: self._orders.update(self.order_id, name, {"by": by, **body}, update_id=update_id)
        )

    async def packing_list(self, fulfillment_id: str, seller: str) -> PackingList:
        asked = {"fulfillment_id": fulfillment_id, "seller": seller}
        found = await _until_answered(lambda: self._orders.query(self.order_id, "packing_list", asked))
        assert isinstance(found, PackingList)
        return found

    async def result(self) -> OrderResult:
        """Wait for the order's end."""
        return await _until_answered(lambda: self._orders.result(self.order_id))

    def tell(self, who: str, what: str) -> None:
        self._say(self.order_id, who, what)


async def _until_answered(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    while True:
        try:
            return await ask()
        except Unreachable:
            await asyncio.sleep(_LOOK_SECONDS)


# -- sellers -----------------------------------------------------------------------------


class Part:
    """A seller's part of an order, with the seller's name under everything that is sent."""

    def __init__(self, desk: Desk, seller: str, fulfillment_id: str) -> None:
        self.desk = desk
        self.fulfillment_id = fulfillment_id
        self.by = f"seller:{seller}"
        self._seller = seller

    async def packing_list(self) -> PackingList:
        return await self.desk.packing_list(self.fulfillment_id, self._seller)

    async def pack(self, *boxes: Sequence[dict[str, Any]], **more: Any) -> Frozen:
        parcels = [{"contents": list(box)} for box in boxes]
        return await self.desk.send("pack", self.by, fulfillment_id=self.fulfillment_id, parcels=parcels, **more)

    async def ship(self, **how: Any) -> ShipResult:
        answer = await self.desk.send("ship", self.by, fulfillment_id=self.fulfillment_id, **how)
        assert isinstance(answer, ShipResult)
        return answer

    async def reject(self, **why: Any) -> Frozen:
        return await self.desk.send("reject_lines", self.by, fulfillment_id=self.fulfillment_id, **why)


Way = Callable[[Part], Awaitable[None]]
"""How a seller handles its part. Called again while something is left to hand over, so it looks before it acts."""


def contents(todo: PackingList) -> list[dict[str, Any]]:
    """Everything that is left to pack, in one box."""
    return [{"line_id": line.line_id, "sku": line.sku, "quantity": line.to_pack} for line in todo.lines if line.to_pack]


async def buys_labels(part: Part) -> None:
    """Packs what the packing list says into one parcel and buys a label for it."""
    await pack_and_ship(part)


def types_numbers(numbers: Mapping[str, tuple[str, str]]) -> Way:
    """Ships with a number of the seller's own: carrier and number by seller id; a seller without one buys a label."""

    async def way(part: Part) -> None:
        carrier, number = numbers.get(part.by.removeprefix("seller:"), (None, None))
        await pack_and_ship(part, **({} if carrier is None else {"carrier": carrier, "tracking_number": number}))

    return way


async def pack_and_ship(part: Part, **how: Any) -> None:
    todo = await part.packing_list()
    if todo.on_hold:
        return
    if box := contents(todo):
        await part.pack(box)
    if box or any(line.packed for line in todo.lines):
        await part.ship(**how)


class Sellers:
    """All sellers at their work: each looks at what it has to hand over, the most urgent first."""

    def __init__(
        self,
        orders: Orders,
        views: SellerViews,
        sellers: Sequence[str],
        way_of: Callable[[str], Way] = lambda order_id: buys_labels,
        say: Say = lambda *_: None,
        pause_seconds: float = 1.0,
    ) -> None:
        """`way_of` gives the way for an order id; `pause_seconds` pass before a seller gets to a new part."""
        self._orders = orders
        self._views = views
        self._sellers = sellers
        self._way_of = way_of
        self._say = say
        self._pause_seconds = pause_seconds
        self._busy: set[tuple[str, str]] = set()
        self._refusals: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as hands:
            while True:
                for seller in self._sellers:
                    for part in await self._waiting(seller):
                        key = part.order_id, part.fulfillment_id
                        if key not in self._busy:
                            self._busy.add(key)
                            hands.create_task(self._handle(part))
                await asyncio.sleep(_LOOK_SECONDS)

    async def _waiting(self, seller: str) -> tuple[SellerFulfillment, ...]:
        try:
            found = (await self._views.queue(seller)).fulfillments
        except Unavailable:
            return ()
        return tuple(
            part
            for part in found
            if part.channel == Channel.FBM and (part.units.get("reserved") or part.units.get("packed"))
        )

    async def _handle(self, found: SellerFulfillment) -> None:
        desk = Desk(self._orders, found.order_id, self._say)
        part = Part(desk, found.seller, found.fulfillment_id)
        await asyncio.sleep(self._pause_seconds)
        try:
            await self._way_of(found.order_id)(part)
        except OrderClosed:
            pass
        except Refused as refused:
            # Something else came first, such as a hold; it is said once, and tried again at the next look.
            if (found.order_id, refused.reason) not in self._refusals:
                self._refusals.add((found.order_id, refused.reason))
                desk.tell(part.by, f"is refused: {refused.reason}")
        finally:
            self._busy.discard((found.order_id, found.fulfillment_id))


def can(view: StatusView, message: str) -> bool:
    """Whether the order says that it would obey this message now."""
    assert any(message == known.name for known in MESSAGES), message
    return any(action.message == message for action in view.actions)
