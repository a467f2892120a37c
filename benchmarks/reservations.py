"""What a reservation costs: one hot SKU and a thousand, beside the same single-row UPDATE done bare, in one run.

`python -m benchmarks.reservations [--seconds 5] [--connections 1 4 16] [--processes 2]`. A reservation is the inventory
check of an order as its workflow has it made: the effect's answer kept by key, the ledger, the level, who holds the
units, and the order's own rows, in one transaction. The bare UPDATE takes one unit of one row, and commits.
"""

import argparse
import asyncio
import multiprocessing
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psycopg

from benchmarks.buyers import PRICE, SELLER, Buyer, record, reserve_of
from benchmarks.cpu import cpu_seconds
from benchmarks.report import Row, table
from domain.catalog import Catalog, Listing, Location, OpeningStock, Seller
from domain.progress import Progress
from domain.shipping import HandlingProfile
from localstack.postgres import Postgres
from localstack.stack import ended_by_signals
from store.database import Database, plain_url
from store.identities import violations
from store.inventory import Inventory
from store.migrations import migrate
from store.orders import Orders
from store.stock import Stock
from usecases.process import end_process

SKUS = 1_000
_UNITS = 1_000_000
_PLACED = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
_WARM_UP_SECONDS = 0.5


class Way(NamedTuple):
    """`bare` or `reserve`, on so many SKUs."""

    what: str
    skus: int


WAYS = (Way("bare", 1), Way("reserve", 1), Way("bare", SKUS), Way("reserve", SKUS))


class Rate(NamedTuple):
    per_second: float
    cpu_ms: float
    """Of one, of all processes, PostgreSQL included."""


Rates = dict[tuple[Way, int], Rate]
"""By way and number of connections."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reservations", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each figure")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--processes", type=int, default=2, help="that the connections are spread over")
    parser.add_argument("--not-durable", action="store_true", help="PostgreSQL does not wait for the disk")
    chosen = parser.parse_args()
    with ended_by_signals():
        rates = measure(chosen.connections, chosen.processes, chosen.seconds, durable=not chosen.not_durable)
    print(reservations_table(rates))
    return 0


def measure(connections: Sequence[int], processes: int, seconds: float, *, durable: bool = True) -> Rates:
    with tempfile.TemporaryDirectory(prefix="openorders-reservations-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "postgres", durable=durable)
        server.start()
        assert server.process is not None
        try:
            url = server.create_database("reservations")
            asyncio.run(_open_shop(url))
            rates = {
                (way, count): _rate(url, server.process.pid, way, count, min(count, processes), seconds)
                for count in connections
                for way in WAYS
            }
            found = asyncio.run(_violations(url))
            assert not found, found
        finally:
            server.remove()
    return rates


def _rate(url: str, server: int, way: Way, connections: int, processes: int, seconds: float) -> Rate:
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    ready = context.Barrier(processes + 1)
    takers = [
        context.Process(
            target=_take,
            args=(url, way, _share(connections, processes, number), seconds, f"{number}", ready, answers),
            daemon=True,
        )
        for number in range(processes)
    ]
    for taker in takers:
        taker.start()
    ready.wait(60)
    before = cpu_seconds(server)
    told = [answers.get() for _ in takers]
    cpu = cpu_seconds(server) - before + sum(used for _, used in told)
    for taker in takers:
        taker.join(30)
    taken = sum(count for count, _ in told)
    return Rate(taken / seconds, 1_000 * cpu / taken)


def _share(connections: int, processes: int, number: int) -> int:
    return connections // processes + (number < connections % processes)


def _take(
    url: str,
    way: Way,
    connections: int,
    seconds: float,
    name: str,
    ready: "multiprocessing.synchronize.Barrier",
    answers: "multiprocessing.queues.SimpleQueue[tuple[int, float]]",
) -> None:
    """In a process of its own: so many connections, each taking one unit after another."""

    async def take() -> tuple[int, float]:
        chance = random.Random(name)
        database = Database(url, pool_size=connections, overflow=0)
        takers = [
            await (_bare if way.what == "bare" else _reserving)(database, url, way, f"{name}-{n}", chance)
            for n in range(connections)
        ]
        await _run(takers, _WARM_UP_SECONDS)
        await asyncio.to_thread(ready.wait, 60)
        used = time.process_time()
        taken = await _run(takers, seconds)
        used = time.process_time() - used
        await database.close()
        return taken, used

    answers.put(asyncio.run(take()))


Taker = Callable[[], Awaitable[None]]


async def _run(takers: Sequence[Taker], seconds: float) -> int:
    end = time.monotonic() + seconds

    async def go_on(taker: Taker) -> int:
        taken = 0
        while time.monotonic() < end:
            await taker()
            taken += 1
        return taken

    return sum(await asyncio.gather(*(go_on(taker) for taker in takers)))


async def _bare(_: Database, url: str, way: Way, name: str, chance: random.Random) -> Taker:
    """The same condition on a row that looks the same, by the same driver, prepared, in a commit of its own."""
    plain = plain_url(url).replace("+psycopg", "", 1)
    connection = await psycopg.AsyncConnection.connect(plain, autocommit=True, prepare_threshold=0)

    async def take() -> None:
        cursor = await connection.execute(
            "UPDATE bare SET reserved = reserved + 1 WHERE sku = %s AND on_hand - reserved >= 1", [_sku(way, chance)]
        )
        assert cursor.rowcount == 1

    return take


async def _reserving(database: Database, _: str, way: Way, name: str, chance: random.Random) -> Taker:
    """As an order's workflow has it made: with the progress that it saves in the same transaction."""
    stock = Stock(database)
    run = f"{time.monotonic_ns()}-{name}"
    recorder = Buyer(run, ("sku-0",), _PLACED)
    await record(Orders(database), recorder)
    taken = 0

    async def take() -> None:
        nonlocal taken
        taken += 1
        wanted = reserve_of(Buyer(run, (_sku(way, chance),), _PLACED))
        effect = wanted.model_copy(update={"key": f"{run}:reserve:{taken}"})
        found = await stock.reserve(run, effect, _progress(run, taken))
        assert len(found.allocations) == 1, found

    return take


def _progress(order_id: str, version: int) -> Progress:
    """What a new order's first save holds: its status, its units, and two entries of its timeline."""
    entries = [
        {
            "seq": seq,
            "occurred_at": _PLACED,
            "received_at": _PLACED,
            "who": "customer",
            "what": "placed",
            "summary": "1",
        }
        for seq in (2 * version - 1, 2 * version)
    ]
    return Progress.model_validate(
        {
            "order_id": order_id,
            "version": version,
            "at": _PLACED,
            "order": {"status": "Pending"},
            "units": [{"line_id": "sku-0", "spot": {"place": "pending"}, "quantity": 1}],
            "entries": entries,
        }
    )


def _sku(way: Way, chance: random.Random) -> str:
    return f"sku-{chance.randrange(way.skus)}"


async def _open_shop(url: str) -> None:
    await migrate(url)
    database = Database(url)
    catalog = Catalog(
        sellers=(Seller(seller=SELLER, name="Seller", email="seller@example.com"),),
        locations=(Location(location="near", seller=SELLER, profile=HandlingProfile(time_zone="Europe/Berlin")),),
        listings=tuple(
            Listing(seller=SELLER, sku=f"sku-{n}", title="Mug", unit_price=PRICE, currency="EUR") for n in range(SKUS)
        ),
        stock=tuple(OpeningStock(location="near", seller=SELLER, sku=f"sku-{n}", on_hand=_UNITS) for n in range(SKUS)),
    )
    try:
        refused = await Inventory(database).load(catalog)
        assert refused is None, refused
    finally:
        await database.close()
    with psycopg.connect(plain_url(url).replace("+psycopg", "", 1)) as connection:
        connection.execute(
            "CREATE TABLE bare (sku text PRIMARY KEY, on_hand integer NOT NULL, reserved integer NOT NULL,"
            " CHECK (reserved <= on_hand)) WITH (fillfactor = 70)"
        )
        connection.execute("INSERT INTO bare SELECT 'sku-' || n, 1000000, 0 FROM generate_series(0, %s) AS n", [SKUS])


async def _violations(url: str) -> list[str]:
    database = Database(url)
    try:
        return await violations(database, at_rest=False)
    finally:
        await database.close()


def reservations_table(rates: Rates) -> str:
    rows: list[Row] = [
        ("connections", "bare UPDATE/s", "reservations/s", "of the bare", "CPU ms each, bare", "reserved")
    ]
    for connections in dict.fromkeys(count for _, count in rates):
        for skus in (1, SKUS):
            bare, reserved = rates[Way("bare", skus), connections], rates[Way("reserve", skus), connections]
            rows.append(
                (
                    f"{connections}, {'one hot SKU' if skus == 1 else f'{skus:,} SKUs'}",
                    f"{bare.per_second:,.0f}",
                    f"{reserved.per_second:,.0f}",
                    f"{reserved.per_second / bare.per_second:.2f}",
                    f"{bare.cpu_ms:.2f}",
                    f"{reserved.cpu_ms:.2f}",
                )
            )
    return table(rows)


if __name__ == "__main__":
    end_process(main())
