"""200 orders placed at once for 50 units, on several workers: each is confirmed or told, and each comes to its end.

`python -m benchmarks.oversold_orders [--rounds 3] [--buyers 200] [--units 50] [--workers 2] [--seed N]`. In each round
all place at once; then some of those who were refused wait, others cancel; then some of those who have theirs cancel
while units come in, which go to those who wait, the first first; all that were sold are packed, shipped and delivered.
"""

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from benchmarks import story
from benchmarks.oversell import Waiting, out_of_turn
from benchmarks.report import table
from domain.catalog import Catalog, Listing, OpeningStock, Receipt, StockMoved
from localstack.stack import Stack, ended_by_signals
from localstack.worker_process import wait_until_ready
from store.database import Database
from store.identities import violations
from store.inventory import Inventory
from usecases.orders import Orders
from usecases.process import end_process
from usecases.temporal import connect
from workflows.names import SEARCH_ATTRIBUTES

_SELLER = story.SELLERS[0]
_RPC_TIMEOUT = timedelta(minutes=2)
_AT_ONCE = 40
"""Messages under way; the orders of a round are all placed at once."""

_PATIENCE_SECONDS = 600


class Market:
    """Orders on real workers, and the rows that say what became of them."""

    def __init__(self, database: Database, orders: Orders, buyers: int, units: int, chance: random.Random) -> None:
        self._database = database
        self._orders = orders
        self._inventory = Inventory(database)
        self._buyers, self._units = buyers, units
        self._chance = chance
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def play(self, name: str) -> None:
        sku, prefix = f"last-{name}", f"{name}-"
        await self._list(sku)
        names = [f"{prefix}{number:03d}" for number in range(self._buyers)]
        await asyncio.gather(*(self._orders.place(_body(one, sku)) for one in names))
        await self._until(_DECIDED, prefix, len(names))
        had = await self._names(_HAVE, prefix)
        refused = sorted({*names} - {*had})
        self._expect("units sold of what there was", len(had), self._units)
        self._expect("mails that it is out of stock", await self._count(_TOLD, prefix), len(refused))

        waiting = self._chance.sample(refused, len(refused) // 2)
        until = (datetime.now(UTC) + timedelta(days=30)).isoformat()
        await self._all(waiting, lambda one: self._choose(one, choice="wait", wait_until=until))
        await self._until(_REGISTERED, prefix, len(waiting))
        before = await self._waiting(prefix)

        leaving = self._chance.sample(had, len(had) // 5)
        units = [self._chance.randint(1, 3) for _ in range(max(1, self._units // 10))]
        await asyncio.gather(
            self._all(leaving, lambda one: self._orders.update(one, "cancel", {"reason": "found it elsewhere"})),
            self._all(sorted({*refused} - {*waiting}), lambda one: self._choose(one, choice="cancel")),
            *(self._receive(sku, f"{name}-{number}", some) for number, some in enumerate(units)),
        )
        served = min(len(leaving) + sum(units), len(waiting))
        await self._until(_SERVED, prefix, served)
        self.wrong += out_of_turn(before, await self._waiting(prefix))
        buyers = sorted({*await self._names(_HAVE, prefix)} - {*leaving})
        self._expect("orders that have units in the end", len(buyers), self._units - len(leaving) + served)
        await self._all(
            sorted({*waiting} - {*buyers}), lambda one: self._orders.update(one, "cancel", {"reason": "took too long"})
        )
        await self._all(buyers, self._deliver)
        ends = Counter([(await self._orders.result(one)).status for one in names])
        self._expect("orders delivered", ends["Delivered"], len(buyers))
        self._expect("orders that ended", ends.total(), len(names))
        left = self._units + sum(units) - len(buyers)
        self._expect("units left", await self._count(_LEFT, sku), left)
        self.counts.update(
            {"orders": len(names), "refused": len(refused), "waited": len(waiting), "served": served}
            | {"cancelled": len(leaving), "received": sum(units)}
            | {f"ended {status}": count for status, count in ends.items()}
        )

    # -- moves ---------------------------------------------------------------------------

    async def _list(self, sku: str) -> None:
        listing = Listing(seller=_SELLER, sku=sku, title="The last ones", unit_price=story.PRICE, currency="USD")
        there = OpeningStock(location=story.location(_SELLER), seller=_SELLER, sku=sku, on_hand=self._units)
        refused = await self._inventory.load(Catalog(listings=(listing,), stock=(there,)))
        assert refused is None, refused

    async def _receive(self, sku: str, key: str, units: int) -> None:
        moved = await self._inventory.receive(
            Receipt(location=story.location(_SELLER), seller=_SELLER, sku=sku, quantity=units, key=key)
        )
        assert isinstance(moved, StockMoved), moved

    async def _choose(self, order_id: str, **choice: Any) -> None:
        await self._orders.update(order_id, "choose_for_shortage", {"line_id": _SELLER, **choice})

    async def _deliver(self, order_id: str) -> None:
        sku = f"last-{order_id.rpartition('-')[0]}"
        contents = [{"line_id": _SELLER, "sku": sku, "quantity": 1}]
        await self._orders.update(order_id, "pack", story.pack(_SELLER) | {"parcels": [{"contents": contents}]})
        await self._orders.update(order_id, "ship", story.ship(_SELLER))
        for word in story.CARRIER_WORDS:
            await self._orders.signal(order_id, "carrier_event", story.event(_SELLER, word))

    async def _all(self, names: Iterable[str], do: Callable[[str], Awaitable[object]]) -> None:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            async with slots:
                await do(name)

        await asyncio.gather(*(one(name) for name in names))

    # -- what became of it ---------------------------------------------------------------

    def _expect(self, what: str, found: int, expected: int) -> None:
        if found != expected:
            self.wrong.append(f"{what}: {found} instead of {expected}")

    async def _names(self, query: str, which: str) -> list[str]:
        async with self._database.statement() as connection:
            return [*await connection.scalars(text(query), {"which": which})]

    async def _count(self, query: str, which: str) -> int:
        async with self._database.statement() as connection:
            return int((await connection.execute(text(query), {"which": which})).scalar_one() or 0)

    async def _waiting(self, prefix: str) -> Sequence[Waiting]:
        async with self._database.statement() as connection:
            return [Waiting(*row) for row in await connection.execute(text(_WAITING), {"which": prefix})]

    async def _until(self, query: str, which: str, at_least: int) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (found := await self._count(query, which)) < at_least:
            assert time.monotonic() < deadline, f"{which}: {found} of {at_least}: {query}"
            await asyncio.sleep(0.3)


_OF_ROUND = "starts_with(order_id, :which)"
_HAVE = f"SELECT DISTINCT order_id FROM fulfillments WHERE {_OF_ROUND}"
_TOLD = f"SELECT count(*) FROM outbox WHERE body->>'template' = 'out_of_stock' AND {_OF_ROUND}"
_DECIDED = f"""
    SELECT count(*) FROM orders WHERE {_OF_ROUND} AND (
        order_id IN ({_HAVE}) OR order_id IN (SELECT order_id FROM outbox WHERE body->>'template' = 'out_of_stock')
    )
"""
_REGISTERED = f"SELECT count(*) FROM backorders WHERE {_OF_ROUND}"
_SERVED = f"SELECT count(DISTINCT order_id) FROM backorders JOIN fulfillments USING (order_id) WHERE {_OF_ROUND}"
_WAITING = f"SELECT order_id, sku, placed_at, allocated FROM backorders WHERE {_OF_ROUND}"
_LEFT = "SELECT sum(on_hand) FROM stock WHERE sku = :which AND reserved = 0"


def _body(order_id: str, sku: str) -> dict[str, Any]:
    body = story.body(order_id, (_SELLER,))
    return body | {"lines": [line | {"sku": sku} for line in body["lines"]]}


async def play(stack: Stack, rounds: int, buyers: int, units: int, seed: int) -> tuple[Mapping[str, int], list[str]]:
    """Counts, and what was wrong. The workers run already."""
    database = Database(stack.postgres.dsn)
    try:
        await story.open_shop(database)
        client = await connect(environ=stack.environment)
        market = Market(database, Orders(client, rpc_timeout=_RPC_TIMEOUT), buyers, units, random.Random(seed))
        for number in range(rounds):
            await market.play(f"r{number}")
            market.wrong += await violations(database)
        async with database.statement() as connection:
            deadlocks = await connection.scalar(
                text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            )
        if deadlocks:
            market.wrong.append(f"{deadlocks} deadlocks")
        return market.counts, market.wrong
    finally:
        await database.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oversold_orders", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--buyers", type=int, default=200)
    parser.add_argument("--units", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int)
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    began = time.monotonic()
    with ended_by_signals(), Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        workers = [stack.worker({"OPENORDERS_CARRIER": "manual"}) for _ in range(chosen.workers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            wait_until_ready(worker)
        counts, wrong = asyncio.run(play(stack, chosen.rounds, chosen.buyers, chosen.units, seed))
    figures = {"rounds": chosen.rounds, "workers": chosen.workers, **counts}
    figures |= {"violations": len(wrong), "seed": seed, "seconds": round(time.monotonic() - began)}
    print(table([(name, f"{figure:,}") for name, figure in figures.items()]))
    print("\n".join(wrong[:50]) or "nothing is wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    end_process(main())
