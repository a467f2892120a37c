"""200 buyers at once for the last 50 units, in many rounds: nothing is sold twice, and nothing is left that was wanted.

`python -m benchmarks.oversell [--rounds 300] [--processes 4] [--seed N]` plays rounds of four kinds on a PostgreSQL of
its own, by the real store in several processes, and compares every answer with the rows and the rows with the ledger.
Whole orders on worker processes: `python -m benchmarks.oversold_orders`. Exit code 0 where nothing is wrong.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import text

from benchmarks.buyers import PRICE, SELLER, Buyer, Cancellation, Crowd, Deed, Delivery, Move, Then, Told, crowd
from benchmarks.report import table
from domain.catalog import Catalog, Listing, Location, OpeningStock, Seller
from domain.effects import StockItem
from domain.shipping import HandlingProfile
from localstack.postgres import Postgres
from localstack.stack import ended_by_signals
from store.database import Database
from store.identities import violations
from store.inventory import Inventory
from store.migrations import migrate
from usecases.process import end_process

UNITS = 50
BUYERS = 200
PLACES = ("near", "far")
_ALL_IDENTITIES_EVERY = 20
"""Rounds: they look at everything that was ever sold, which takes longer with every round."""

_PLACED = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class Plan(NamedTuple):
    """A round: what is there at each place, and what happens at once, then what happens at once after that."""

    kind: str
    stock: dict[tuple[str, str], int]
    """By place and SKU."""

    first: tuple[Deed, ...]
    then: Callable[[Sequence[Move]], tuple[Deed, ...]] = lambda _: ()


class Level(NamedTuple):
    location: str
    sku: str
    on_hand: int
    reserved: int
    on_hand_moved: int
    reserved_moved: int
    held: int


class Waiting(NamedTuple):
    """A backorder as its row has it."""

    order_id: str
    sku: str
    placed_at: datetime
    allocated: int


@dataclass
class Report:
    seed: int
    processes: int
    rounds: Counter[str] = field(default_factory=Counter)
    moves: Counter[str] = field(default_factory=Counter)
    allocated: int = 0
    violations: list[str] = field(default_factory=list)
    deadlocks: int = 0
    seconds: float = 0.0

    @property
    def is_well(self) -> bool:
        return not self.violations and self.deadlocks == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oversell", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, help="of who buys what; by default another one each time")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    with ended_by_signals(), tempfile.TemporaryDirectory(prefix="openorders-oversell-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "postgres", durable=False)
        server.start()
        try:
            url = server.create_database("oversell")
            asyncio.run(migrate(url))
            report = asyncio.run(play(url, chosen.rounds, chosen.processes, seed, lambda line: print(line, flush=True)))
        finally:
            server.remove()
    print(oversell_table(report))
    print("\n".join(report.violations[:50]) or "nothing is wrong")
    return 0 if report.is_well else 1


async def play(url: str, rounds: int, processes: int, seed: int, say: Callable[[str], None] = lambda _: None) -> Report:
    """On a database with the schema. The kinds of rounds take turns."""
    report = Report(seed, processes)
    chance = random.Random(seed)
    database = Database(url)
    began = time.monotonic()
    try:
        refused = await Inventory(database).load(_SELLER)
        assert refused is None, refused
        with crowd(url, processes) as buyers:
            for number in range(rounds):
                plan = KINDS[number % len(KINDS)](f"{number:05d}", chance)
                await _round(database, buyers, plan, report)
                if number % _ALL_IDENTITIES_EVERY == 0 or number == rounds - 1:
                    report.violations += await violations(database, at_rest=False)
                    say(f"{number + 1} rounds, {time.monotonic() - began:.0f} s, {len(report.violations)} violations")
        report.deadlocks = await _deadlocks(database)
    finally:
        await database.close()
    report.seconds = time.monotonic() - began
    return report


async def _round(database: Database, buyers: Crowd, plan: Plan, report: Report) -> None:
    refused = await Inventory(database).load(_catalog(plan))
    assert refused is None, refused
    first = await asyncio.to_thread(buyers.do, plan.first)
    waited = await _waiting(database, plan)
    deeds = plan.then(first.moves)
    second = await asyncio.to_thread(buyers.do, deeds) if deeds else Told((), ())
    moves = (*first.moves, *second.moves)
    waiting = await _waiting(database, plan)
    found = [
        *first.errors,
        *second.errors,
        *wrong_levels(plan.stock, moves, await _levels(database, plan), waiting),
        *wrongly_refused(plan.stock, moves),
        *out_of_turn(waited, waiting),
    ]
    if plan.kind == PLAIN:
        found += not_sold_out(moves)
    report.violations += [f"{plan.kind} {next(iter(plan.stock))[1]}: {one}" for one in found]
    report.rounds[plan.kind] += 1
    report.moves.update(move.what for move in moves)
    report.allocated += sum(one.allocated for one in waiting)


# -- kinds of rounds -------------------------------------------------------------------


PLAIN = "sold out"


def _sold_out(name: str, chance: random.Random) -> Plan:
    """Nothing but buyers: each unit is sold, at one place or at two."""
    sku = f"sku-{name}"
    at_near = chance.choice((UNITS, UNITS, chance.randint(1, UNITS - 1)))
    stock = {("near", sku): at_near, ("far", sku): UNITS - at_near}
    return Plan(PLAIN, stock, tuple(_buyer(name, number, (sku,), chance) for number in range(BUYERS)))


def _changing(name: str, chance: random.Random) -> Plan:
    """Some cancel what they have just had, some of it leaves the house, and units come in meanwhile."""
    sku = f"sku-{name}"
    deeds: list[Deed] = [
        _buyer(name, number, (sku,), chance, then=chance.choice(("keeps", "cancels", "ships")))
        for number in range(BUYERS)
    ]
    deeds += _deliveries(name, sku, chance, chance.randint(1, 12))
    chance.shuffle(deeds)
    return Plan("changing", {("near", sku): UNITS, ("far", sku): 0}, tuple(deeds))


def _waited_for(name: str, chance: random.Random) -> Plan:
    """Half of those who get none wait; then units come in and are given back, all at once, for those who were first."""
    sku = f"sku-{name}"
    first = tuple(
        _buyer(name, number, (sku,), chance, waits=chance.random() < 0.5, then=chance.choice(("keeps", "cancels")))
        for number in range(BUYERS)
    )

    def then(moves: Sequence[Move]) -> tuple[Deed, ...]:
        back = {move.order_id for move in moves if move.what == "released"}
        held = [move for move in moves if move.what == "reserved" and move.order_id not in back]
        leave = chance.sample(held, min(len(held), 10))
        deeds: list[Deed] = [
            Cancellation(
                move.order_id,
                (StockItem(line_id=sku, location=move.location, seller=SELLER, sku=sku, quantity=move.units),),
            )
            for move in leave
        ]
        deeds += _deliveries(name, sku, chance, 8)
        chance.shuffle(deeds)
        return tuple(deeds)

    return Plan("waited for", {("near", sku): UNITS, ("far", sku): 0}, first, then)


def _baskets(name: str, chance: random.Random) -> Plan:
    """Everybody wants two things, named in any order, which lie in two places: whose locks may cross."""
    skus = [f"sku-{name}-a", f"sku-{name}-b"]
    stock = {(place, sku): UNITS // 2 for place in PLACES for sku in skus}
    deeds: list[Deed] = [
        _buyer(name, number, tuple(chance.sample(skus, 2)), chance, then=chance.choice(("keeps", "cancels")))
        for number in range(BUYERS)
    ]
    for sku in skus:
        deeds += _deliveries(f"{name}-{sku}", sku, chance, 4)
    chance.shuffle(deeds)
    return Plan("baskets", stock, tuple(deeds))


KINDS = (_sold_out, _changing, _waited_for, _baskets)


def _buyer(
    name: str, number: int, skus: tuple[str, ...], chance: random.Random, *, then: Then = "keeps", waits: bool = False
) -> Buyer:
    placed_at = _PLACED + timedelta(seconds=chance.randint(0, 86_400), microseconds=number)
    return Buyer(f"o-{name}-{number}", skus, placed_at, then, waits)


def _deliveries(name: str, sku: str, chance: random.Random, count: int) -> list[Deed]:
    return [Delivery(f"d-{name}-{n}", chance.choice(PLACES), sku, chance.randint(1, 5)) for n in range(count)]


# -- what must hold --------------------------------------------------------------------


def wrong_levels(
    stock: dict[tuple[str, str], int], moves: Iterable[Move], levels: Iterable[Level], waiting: Sequence[Waiting]
) -> list[str]:
    """Rows against answers and against the ledger; and nothing is left where somebody waits for it.

    Which place gave units to a backorder is in the rows alone, so reserved units are compared by SKU.
    """
    found: list[str] = []
    sums: Counter[tuple[str, str]] = Counter()
    on_hand = Counter(stock)
    for move in moves:
        sums[move.sku, move.what] += move.units
        if move.what in ("received", "handed_over"):
            on_hand[move.location, move.sku] += move.units if move.what == "received" else -move.units
    reserved: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for level in levels:
        if not 0 <= level.reserved <= level.on_hand:
            found.append(f"oversold: {level}")
        if level.on_hand != on_hand[level.location, level.sku]:
            found.append(f"{on_hand[level.location, level.sku]} should be on hand: {level}")
        if (level.on_hand, level.reserved) != (level.on_hand_moved, level.reserved_moved):
            found.append(f"not what its movements say: {level}")
        if level.reserved != level.held:
            found.append(f"not what orders hold: {level}")
        reserved[level.sku] += level.reserved
        left[level.sku] += level.on_hand - level.reserved
    for sku in {sku for _, sku in stock}:
        given = sum(one.allocated for one in waiting if one.sku == sku)
        should = sums[sku, "reserved"] + given - sums[sku, "released"] - sums[sku, "handed_over"]
        if reserved[sku] != should:
            found.append(f"{sku}: {should} units are sold and {reserved[sku]} reserved")
        still = sum(1 for one in waiting if one.sku == sku and not one.allocated)
        if left[sku] and still:
            found.append(f"{sku}: {left[sku]} are left while {still} wait")
    return found


def wrongly_refused(stock: dict[tuple[str, str], int], moves: Sequence[Move]) -> list[str]:
    """Refusals at a time in which a unit was there at every moment, however the calls of that time are ordered.

    There for certain is what was there or came before the refused call began, less all that anybody had begun to take
    before it ended. Units given to those who wait go to them in the call that brings them, so none are counted in.
    """
    found: list[str] = []
    for sku in {sku for _, sku in stock}:
        of_sku = [move for move in moves if move.sku == sku]
        if any(move.what == "waits" for move in of_sku):
            continue
        had = sum(units for (_, one), units in stock.items() if one == sku)
        for refused in of_sku:
            if refused.what != "refused":
                continue
            came = sum(m.units for m in of_sku if m.what in ("received", "released") and m.ended < refused.began)
            taken = sum(m.units for m in of_sku if m.what == "reserved" and m.began < refused.ended)
            if had + came - taken > 0:
                found.append(f"{refused.order_id} was refused {sku} though {had + came - taken} were there")
    return found


def out_of_turn(before: Sequence[Waiting], after: Sequence[Waiting]) -> list[str]:
    """Backorders served though one that was placed earlier waits on, of those that waited when units came."""
    found: list[str] = []
    served = {(one.order_id, one.sku): one.allocated for one in after}
    for sku in {one.sku for one in before}:
        line = sorted(one for one in before if one.sku == sku and not one.allocated)
        line.sort(key=lambda one: (one.placed_at, one.order_id))
        got = [served[one.order_id, one.sku] > 0 for one in line]
        if got != sorted(got, reverse=True):
            found.append(f"{sku}: of {len(line)} who waited, {got.count(True)} were served, and not the first of them")
    return found


def not_sold_out(moves: Iterable[Move]) -> list[str]:
    """Where nobody cancels and nothing comes in."""
    counts = Counter(move.what for move in moves)
    if (counts["reserved"], counts["refused"]) == (UNITS, BUYERS - UNITS):
        return []
    return [f"{counts['reserved']} of {UNITS} units were sold, {counts['refused']} buyers refused"]


# -- rows ------------------------------------------------------------------------------


_LEVELS = """
    SELECT location_id AS location, sku, on_hand, reserved, on_hand_moved, reserved_moved, coalesce(held, 0) AS held
    FROM stock
    JOIN (
        SELECT location_id, seller_id, sku, sum(on_hand_delta) AS on_hand_moved, sum(reserved_delta) AS reserved_moved
        FROM stock_movements GROUP BY 1, 2, 3
    ) AS moved USING (location_id, seller_id, sku)
    LEFT JOIN (
        SELECT location_id, seller_id, sku, sum(quantity) AS held FROM reservations GROUP BY 1, 2, 3
    ) AS holders USING (location_id, seller_id, sku)
    WHERE sku = ANY(:skus)
"""
_WAITING = "SELECT order_id, sku, placed_at, allocated FROM backorders WHERE sku = ANY(:skus)"
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


async def _levels(database: Database, plan: Plan) -> list[Level]:
    return [Level(**row) for row in await _rows(database, _LEVELS, plan)]


async def _waiting(database: Database, plan: Plan) -> list[Waiting]:
    return [Waiting(**row) for row in await _rows(database, _WAITING, plan)]


async def _rows(database: Database, query: str, plan: Plan) -> list[dict[str, Any]]:
    skus = [*{sku for _, sku in plan.stock}]
    async with database.statement() as connection:
        return [dict(row._mapping) for row in await connection.execute(text(query), {"skus": skus})]


async def _deadlocks(database: Database) -> int:
    """As PostgreSQL counts them, also those that a retry would have hidden."""
    async with database.statement() as connection:
        return int((await connection.execute(text(_DEADLOCKS))).scalar_one())


# -- the shop --------------------------------------------------------------------------


_PROFILE = HandlingProfile(time_zone="Europe/Berlin", handling_days=1)
_SELLER = Catalog(
    sellers=(Seller(seller=SELLER, name="Seller", email="seller@example.com"),),
    locations=tuple(
        Location(location=place, seller=SELLER, priority=number, profile=_PROFILE)
        for number, place in enumerate(PLACES)
    ),
)


def _catalog(plan: Plan) -> Catalog:
    skus = {sku for _, sku in plan.stock}
    return Catalog(
        listings=tuple(
            Listing(seller=SELLER, sku=sku, title=sku, unit_price=PRICE, currency="EUR") for sku in sorted(skus)
        ),
        stock=tuple(
            OpeningStock(location=place, seller=SELLER, sku=sku, on_hand=units)
            for (place, sku), units in plan.stock.items()
        ),
    )


def oversell_table(report: Report) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.rounds.items())
    rows = [
        ("rounds", f"{report.rounds.total()} ({kinds})"),
        ("buyers", f"{report.rounds.total() * BUYERS:,}, {BUYERS} at once from {report.processes} processes"),
        ("units had", f"{report.moves['reserved']:,}"),
        ("refused", f"{report.moves['refused']:,}"),
        ("cancelled", f"{report.moves['released']:,}"),
        ("handed over", f"{report.moves['handed_over']:,}"),
        ("receipts of stock, told twice", f"{report.moves['received']:,}"),
        ("waited, and got theirs", f"{report.moves['waits']:,}, {report.allocated:,}"),
        ("deadlocks, by PostgreSQL's count", str(report.deadlocks)),
        ("violations", str(len(report.violations))),
        ("seed", str(report.seed)),
        ("seconds", f"{report.seconds:.0f}"),
    ]
    return table(rows)


if __name__ == "__main__":
    end_process(main())
