"""Processes that buy, cancel, ship and restock at once, by the real store, and tell what they were answered and when.

Each process has a pool of its own, as a worker has. It prepares what it is given, says so, and begins when all are told
to: the moments are those of one clock (`time.monotonic`), the same for all processes of a machine.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Literal, NamedTuple

from domain.catalog import Receipt, StockMoved
from domain.effects import Reserve, StockItem, Want
from domain.placing import Address, CartLine, Channel, Customer, PaymentKind, PaymentMeans, PlaceOrder, body_hash
from domain.requests import Allocation, RecordOrder
from store.database import Database
from store.inventory import Inventory
from store.orders import Orders
from store.stock import Stock

SELLER = "seller"
PRICE = 500
_POOL = 20

Then = Literal["keeps", "cancels", "ships"]


class Buyer(NamedTuple):
    """Wants one unit of each SKU; what is short is waited for, or not."""

    order_id: str
    skus: tuple[str, ...]
    placed_at: datetime
    then: Then = "keeps"
    waits: bool = False


class Delivery(NamedTuple):
    """Units that come in; told twice, as a delivery note is when its answer got lost."""

    key: str
    location: str
    sku: str
    units: int


class Cancellation(NamedTuple):
    order_id: str
    items: tuple[StockItem, ...]


Deed = Buyer | Delivery | Cancellation


class Move(NamedTuple):
    """One answered call: units that were had (`reserved`), refused, given back, sent away or received of a SKU.

    It took effect, or was found to be impossible, at some moment between `began` and `ended`.
    """

    what: Literal["reserved", "refused", "released", "handed_over", "received", "waits"]
    order_id: str
    sku: str
    units: int
    began: float
    ended: float
    location: str = ""


class Told(NamedTuple):
    moves: tuple[Move, ...]
    errors: tuple[str, ...]
    """Whatever a caller saw that is not an answer: deadlocks, failed serializations, timeouts."""


class Crowd:
    """So many processes, each with its share of whatever is to be done at once."""

    def __init__(self, url: str, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(url, theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def do(self, deeds: Sequence[Deed]) -> Told:
        """All of them at once, spread over the processes."""
        for number, pipe in enumerate(self._pipes):
            pipe.send(tuple(deeds[number :: len(self._pipes)]))
        for pipe in self._pipes:
            assert pipe.recv() == "ready"
        for pipe in self._pipes:
            pipe.send("go")
        told: list[Told] = [pipe.recv() for pipe in self._pipes]
        return Told(
            tuple(move for one in told for move in one.moves), tuple(error for one in told for error in one.errors)
        )

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()


@contextmanager
def crowd(url: str, processes: int) -> Iterator[Crowd]:
    """The database must have the schema, and `SELLER` what is bought."""
    crowd = Crowd(url, processes)
    try:
        yield crowd
    finally:
        crowd.close()


def _serve(url: str, pipe: Connection) -> None:
    with suppress(EOFError, KeyboardInterrupt):
        asyncio.run(_serve_until_closed(url, pipe))


async def _serve_until_closed(url: str, pipe: Connection) -> None:
    database = Database(url, pool_size=_POOL, overflow=0)
    hands = _Hands(database)
    try:
        while True:
            deeds = await asyncio.to_thread(pipe.recv)
            await asyncio.gather(*(hands.prepare(deed) for deed in deeds if isinstance(deed, Buyer)))
            pipe.send("ready")
            await asyncio.to_thread(pipe.recv)
            hands.begin()
            ended = await asyncio.gather(*(hands.do(deed) for deed in deeds), return_exceptions=True)
            errors = tuple(f"{type(e).__name__}: {e}" for e in ended if e is not None)
            pipe.send(Told(tuple(hands.moves), errors))
    finally:
        await database.close()


class _Hands:
    def __init__(self, database: Database) -> None:
        self._stock, self._inventory, self._orders = Stock(database), Inventory(database), Orders(database)
        # No more at once than there are connections: who waits for one waits in line, and not for five seconds.
        self._slots = asyncio.Semaphore(_POOL)
        self.moves: list[Move] = []

    def begin(self) -> None:
        self.moves = []

    async def prepare(self, buyer: Buyer) -> None:
        async with self._slots:
            await record(self._orders, buyer)

    async def do(self, deed: Deed) -> None:
        async with self._slots:
            match deed:
                case Buyer():
                    await self._buy(deed)
                case Delivery():
                    await self._receive(deed)
                case Cancellation():
                    await self._release(deed.order_id, deed.items)

    async def _buy(self, buyer: Buyer) -> None:
        began = time.monotonic()
        found = await self._stock.reserve(buyer.order_id, reserve_of(buyer), None)
        ended = time.monotonic()
        for allocation in found.allocations:
            self._tell("reserved", buyer.order_id, allocation.line_id, 1, began, ended, allocation.location)
        for short in found.shortages:
            self._tell("refused", buyer.order_id, short.line_id, short.quantity, began, ended)
            if buyer.waits:
                await self._wait_for(buyer, short.line_id)
        items = tuple(_item(allocation) for allocation in found.allocations)
        if items and buyer.then == "cancels":
            await self._release(buyer.order_id, items)
        elif items and buyer.then == "ships":
            began = time.monotonic()
            await self._stock.hand_over(buyer.order_id, f"{buyer.order_id}:hand_over", items, None)
            for item in items:
                self._tell("handed_over", buyer.order_id, item.sku, 1, began, time.monotonic(), item.location)

    async def _wait_for(self, buyer: Buyer, sku: str) -> None:
        began = time.monotonic()
        (want,) = (want for want in reserve_of(buyer).wants if want.sku == sku)
        await self._stock.register_backorder(
            buyer.order_id, backorder_key(buyer.order_id, sku), want, buyer.placed_at, None
        )
        self._tell("waits", buyer.order_id, sku, 1, began, time.monotonic())

    async def _release(self, order_id: str, items: tuple[StockItem, ...]) -> None:
        began = time.monotonic()
        await self._stock.release(order_id, f"{order_id}:release", items, False, None)
        for item in items:
            self._tell("released", order_id, item.sku, item.quantity, began, time.monotonic(), item.location)

    async def _receive(self, delivery: Delivery) -> None:
        began = time.monotonic()
        for _ in range(2):
            moved = await self._inventory.receive(
                Receipt(
                    location=delivery.location,
                    seller=SELLER,
                    sku=delivery.sku,
                    quantity=delivery.units,
                    key=delivery.key,
                )
            )
            assert isinstance(moved, StockMoved), moved
        self._tell("received", "", delivery.sku, delivery.units, began, time.monotonic(), delivery.location)

    def _tell(
        self,
        what: Literal["reserved", "refused", "released", "handed_over", "received", "waits"],
        order_id: str,
        sku: str,
        units: int,
        began: float,
        ended: float,
        location: str = "",
    ) -> None:
        self.moves.append(Move(what, order_id, sku, units, began, ended, location))


def reserve_of(buyer: Buyer) -> Reserve:
    """The inventory check of the buyer's order; its lines are named after their SKUs."""
    wants = tuple(Want(line_id=sku, seller=SELLER, channel=Channel.FBM, sku=sku, quantity=1) for sku in buyer.skus)
    return Reserve(
        key=f"{buyer.order_id}:reserve", wants=wants, placed_at=buyer.placed_at, method="Standard", country="DE"
    )


async def record(orders: Orders, buyer: Buyer) -> None:
    """Take the buyer's order in, as the first step of its workflow does."""
    order = _order(buyer)
    recorded = await orders.record_order(
        RecordOrder(order=order, body_hash=body_hash(order), first_run_id="run", placed_at=buyer.placed_at)
    )
    assert recorded.verdict == "new", recorded


def backorder_key(order_id: str, sku: str) -> str:
    return f"{order_id}:backorder:{sku}"


def _item(allocation: Allocation) -> StockItem:
    return StockItem(
        line_id=allocation.line_id,
        location=allocation.location,
        seller=SELLER,
        sku=allocation.line_id,
        quantity=allocation.quantity,
    )


def _order(buyer: Buyer) -> PlaceOrder:
    return PlaceOrder(
        order_id=buyer.order_id,
        customer=Customer(id="c1", name="Ada", email="ada@example.com", time_zone="Europe/Berlin"),
        ship_to=Address(name="Ada", line1="Street 1", city="Berlin", country="DE"),
        currency="EUR",
        lines=tuple(
            CartLine(line_id=sku, sku=sku, quantity=1, unit_price=PRICE, seller=SELLER, channel=Channel.FBM)
            for sku in buyer.skus
        ),
        payments=(PaymentMeans(kind=PaymentKind.CARD, token="tok", amount=PRICE * len(buyer.skus)),),
    )
