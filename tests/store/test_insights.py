"""Counts per day: exact whatever happens to orders, in whatever order it is saved, however often it is counted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import date
from random import Random

import pytest
from sqlalchemy import text

from domain.insights import Basis, Topic, Window
from domain.insights_baskets import value_step
from domain.insights_durations import bucket_of
from store.database import Database
from store.insights import refreshing as refreshing_module
from store.insights.reading import EACH_SELLER, InsightViews
from store.insights.refreshing import Refreshing, Round
from tests.store.insights_life import (
    SELLERS,
    START,
    Counts,
    Key,
    Life,
    Sums,
    expected_counts,
    lives,
    open_shop,
    save,
)
from tests.store.shop import rows
from usecases.insights_refresher import bring_up_to_date

ZONE = "Europe/Berlin"
ALWAYS = Window(first=date(2025, 1, 1), last=date(2026, 12, 31))


@pytest.fixture
async def database(new_database: Callable[[], str]) -> AsyncIterator[Database]:
    """One for each test: every order in it is counted."""
    database = Database(new_database(), pool_size=10)
    await open_shop(database)
    yield database
    await database.close()


async def counted(database: Database) -> Counts:
    found = await rows(
        database, "SELECT topic, seller, day, currency, item, detail, orders, units, amount FROM daily_counts"
    )
    return {Key(Topic(str(row[0])), *row[1:6]): Sums(*row[6:]) for row in found}  # type: ignore[arg-type]


def differences(actual: Counts, expected: Counts) -> list[tuple[Key, Sums | None, Sums | None]]:
    keys = sorted({*actual, *expected})
    return [(key, actual.get(key), expected.get(key)) for key in keys if actual.get(key) != expected.get(key)]


# -- exact ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_counts_are_those_of_a_recount_by_hand(database: Database, seed: int) -> None:
    refreshing = Refreshing(database, ZONE)
    lived = await lives(database, Random(seed), 60, refreshing)
    await bring_up_to_date(refreshing)
    expected = expected_counts(lived, ZONE)
    assert {key.topic for key in expected} == {*Topic}, "something has never happened"
    assert differences(await counted(database), expected) == []


async def test_counting_again_changes_no_row(database: Database) -> None:
    """Nor writes or locks one that is right already: `xmin` and `xmax` would tell."""
    refreshing = Refreshing(database, ZONE)
    await lives(database, Random(4), 15)
    await bring_up_to_date(refreshing)
    versions = "SELECT topic, seller, day, item, detail, xmin::text, xmax::text FROM daily_counts ORDER BY ctid"
    before = await rows(database, versions)
    await refreshing.rebuild()
    await bring_up_to_date(refreshing)
    assert await rows(database, versions) == before


async def test_a_day_that_was_miscounted_is_mended_when_it_is_counted_again(database: Database) -> None:
    refreshing = Refreshing(database, ZONE)
    lived = await lives(database, Random(5), 10)
    await bring_up_to_date(refreshing)
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE daily_counts SET orders = orders + 7 WHERE topic = 'orders'"))
        await connection.execute(text("DELETE FROM daily_counts WHERE topic = 'hours'"))
        await connection.execute(
            text("INSERT INTO daily_counts SELECT topic, 'nobody', day, '', '', '', 1, 1, 1 FROM daily_counts LIMIT 1")
        )
    await refreshing.rebuild()
    await bring_up_to_date(refreshing)
    assert differences(await counted(database), expected_counts(lived, ZONE)) == []


async def test_another_zone_counts_everything_anew(database: Database) -> None:
    lived = await lives(database, Random(6), 25)
    await bring_up_to_date(Refreshing(database, "Pacific/Auckland"))
    assert differences(await counted(database), expected_counts(lived, "Pacific/Auckland")) == []
    await bring_up_to_date(Refreshing(database, ZONE))
    assert differences(await counted(database), expected_counts(lived, ZONE)) == []
    assert await rows(database, "SELECT time_zone FROM daily_counts_state") == [(ZONE,)]


async def test_refreshers_and_saves_side_by_side(database: Database) -> None:
    """Each works when the others do not, and orders are saved all the while."""
    several = [Refreshing(database, ZONE) for _ in range(3)]
    living = True

    async def refresh(refreshing: Refreshing) -> int:
        worked = 0
        while living:
            worked += await refreshing.refresh() is not None
            await asyncio.sleep(0)
        return worked

    loops = [asyncio.create_task(refresh(one)) for one in several]
    lived = await lives(database, Random(7), 40)
    living = False
    worked = await asyncio.gather(*loops)
    assert sum(one > 0 for one in worked) > 1, worked
    await bring_up_to_date(several[0])
    assert differences(await counted(database), expected_counts(lived, ZONE)) == []


async def test_an_order_that_is_recorded_late_makes_the_next_one_a_repeat(database: Database) -> None:
    refreshing = Refreshing(database, ZONE)
    random = Random(8)
    early, late = sorted((Life(number, random) for number in range(2)), key=lambda life: life.story.state.origin)
    for life in (early, late):
        life.order = life.order.model_copy(
            update={"customer": life.order.customer.model_copy(update={"id": "same"}), "lines": early.order.lines[:1]}
        )
    kinds = "SELECT item, sum(orders)::int FROM daily_counts WHERE topic = 'customers' AND seller = :of GROUP BY 1"
    await late.record(database)
    await bring_up_to_date(refreshing)
    assert await rows(database, kinds, of="") == [("new", 1)]
    await early.record(database)
    await bring_up_to_date(refreshing)
    for seller in ("", early.order.lines[0].seller):
        assert sorted(await rows(database, kinds, of=seller)) == [("new", 1), ("repeat", 1)]


# -- in parts ----------------------------------------------------------------------------------


async def test_much_to_do_is_done_in_short_rounds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing_module, "CHANGES_AT_ONCE", 30)
    monkeypatch.setattr(refreshing_module, "DAYS_AT_ONCE", 2)
    refreshing = Refreshing(database, ZONE)
    lived = await lives(database, Random(9), 20)
    done: list[Round] = []
    while not done or done[-1].more:
        one = await refreshing.refresh()
        assert one is not None
        done.append(one)
    assert len(done) > 5
    assert all(one.changes <= 30 and one.days <= 2 for one in done)
    assert differences(await counted(database), expected_counts(lived, ZONE)) == []


async def test_days_that_change_all_the_time_do_not_keep_others_waiting(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing_module, "DAYS_AT_ONCE", 1)
    refreshing = Refreshing(database, ZONE)
    busy, quiet = Life(1, Random(10)), Life(2, Random(11))
    await quiet.record(database)
    for _ in range(20):
        busy.step()
        await (save(database, busy) if busy.saved else busy.record(database))
        await refreshing.refresh()
    found = await rows(
        database,
        "SELECT DISTINCT day FROM daily_counts WHERE topic = 'products' AND seller = ANY(:sellers)",
        sellers=sorted({line.seller for line in quiet.order.lines}),
    )
    assert len(found) >= 1


async def test_a_round_holds_up_no_save(database: Database) -> None:
    """While it has counted and not committed yet, orders are placed and changed."""
    lived = await lives(database, Random(12), 5)
    async with database.transaction() as counting:
        refreshing = Refreshing(database, ZONE)
        await counting.execute(text("DELETE FROM order_changes"))
        await refreshing._count_all(counting)
        await refreshing._count_some(counting)
        async with asyncio.timeout(5):
            await Life(99, Random(13)).record(database)
            lived[0].step()
            await save(database, lived[0])


async def test_only_one_refreshes_at_a_time(database: Database) -> None:
    refreshing = Refreshing(database, ZONE)
    async with database.transaction() as other:
        await other.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": refreshing_module._LOCK})
        assert await refreshing.refresh() is None
    assert await refreshing.refresh() is not None


async def test_freshness_tells_whether_something_waits(database: Database) -> None:
    views, refreshing = InsightViews(database), Refreshing(database, ZONE)
    assert (await views.freshness()).time_zone is None
    await bring_up_to_date(refreshing)
    known = await views.freshness()
    assert (known.time_zone, known.up_to_date) == (ZONE, True)
    await Life(1, Random(14)).record(database)
    assert not (await views.freshness()).up_to_date
    await bring_up_to_date(refreshing)
    assert (await views.freshness()).up_to_date


# -- as it is read -----------------------------------------------------------------------------


async def test_what_is_read_is_of_one_seller_or_of_all_together(database: Database) -> None:
    views = InsightViews(database)
    lived = await lives(database, Random(15), 30)
    await bring_up_to_date(Refreshing(database, ZONE))
    expected = expected_counts(lived, ZONE)
    for seller in ("", *SELLERS, "nobody"):
        found = await views.counts(Topic.ORDERS, seller, ALWAYS)
        orders = sum(sums.orders for key, sums in expected.items() if key[:2] == (Topic.ORDERS, seller))
        assert [count.orders for count in found] == ([orders] if orders else [])
    told_apart = await views.counts(Topic.ORDERS, EACH_SELLER, ALWAYS, "seller", most="orders")
    assert {count.seller for count in told_apart} == {*SELLERS}
    assert [count.orders for count in told_apart] == sorted((count.orders for count in told_apart), reverse=True)
    assert await views.busiest_sellers([Topic.ORDERS], ALWAYS, 2) == tuple(c.seller for c in told_apart[:2])


async def test_days_outside_of_the_window_are_not_read(database: Database) -> None:
    views = InsightViews(database)
    lived = await lives(database, Random(16), 20)
    await bring_up_to_date(Refreshing(database, "UTC"))
    day = START.date()
    (count,) = await views.counts(Topic.ORDERS, "", Window(first=day, last=day))
    assert count.orders == sum(life.story.state.origin.date() == day for life in lived)
    assert await views.counts(Topic.ORDERS, "", Window(first=date(2020, 1, 1), last=date(2020, 12, 31))) == ()
    assert await views.last_day("") == max(life.story.state.origin.date() for life in lived)
    assert await views.last_day("nobody") is None


async def test_demand_is_what_was_sold_and_what_was_missed(database: Database) -> None:
    views = InsightViews(database)
    lived = await lives(database, Random(17), 40)
    await bring_up_to_date(Refreshing(database, ZONE))
    wanted: dict[str, dict[date, int]] = {}
    for key, sums in expected_counts(lived, ZONE).items():
        if key.topic in (Topic.PRODUCTS, Topic.UNSERVED) and key.seller == "acme":
            days = wanted.setdefault(key.item, {})
            days[key.day] = days.get(key.day, 0) + sums.units
    found = await views.demand("acme", ALWAYS, 100)
    assert {one.sku: (one.units, one.squares) for one in found} == {
        sku: (sum(days.values()), sum(units**2 for units in days.values())) for sku, days in wanted.items()
    }
    assert [one.units for one in found] == sorted((one.units for one in found), reverse=True)
    assert {one.seller for one in await views.demand(EACH_SELLER, ALWAYS, 100)} == {*SELLERS}
    assert len(await views.demand(EACH_SELLER, ALWAYS, 2)) == 2


async def test_stock_is_read_for_pairs_of_seller_and_sku(database: Database) -> None:
    views = InsightViews(database)
    stock = await views.stock([("acme", "MUG"), ("birch", "CUP"), ("birch", "unheard-of")])
    assert {product: one.available for product, one in stock.items()} == {("acme", "MUG"): 7, ("birch", "CUP"): 0}
    assert [one.sku for one in await views.idle_stock("acme", ["MUG"], 2)] == ["LAMP,", "TEE"]


# -- the same in SQL as in the domain -------------------------------------------------------------


@pytest.mark.parametrize("amount", [0, 1, 9, 10, 19, 20, 49, 50, 99, 100, 499, 500, 10**12 - 1, 10**12])
async def test_steps_of_value_are_the_domains(database: Database, amount: int) -> None:
    from store.insights.counting import _VALUE_STEP

    found = await rows(database, f"SELECT {_VALUE_STEP} FROM (SELECT {amount}::bigint AS cart_value) AS one")
    assert found == [(value_step(amount),)]


async def test_buckets_of_time_are_the_domains(database: Database) -> None:
    seconds = [0.0, 0.4, 1.0, 1.5, 59.0, 3_600.0, 86_400.0, 31_536_000.0]
    query = "SELECT floor(ln(greatest(s, 1)) / ln(1.1::float8))::int FROM unnest(CAST(:seconds AS float8[])) AS s"
    assert [row[0] for row in await rows(database, query, seconds=seconds)] == [bucket_of(one) for one in seconds]


@pytest.mark.parametrize("basis", Basis)
async def test_nothing_is_read_by_going_through_a_whole_table(database: Database, basis: Basis) -> None:
    """Where there is no statistics yet, and few rows: with an index for every look, more orders make no look longer."""
    from store.insights.counting import HASHED, STATEMENTS

    await lives(database, Random(18), 10)
    values = {"days": [date(2025, 10, 25)], "topics": [topic.value for topic in Topic], "zone": ZONE}
    async with database.transaction() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        await connection.execute(HASHED)
        plan = await connection.scalars(text(f"EXPLAIN {STATEMENTS[basis]}"), values)
        through = [line.strip() for line in plan if "Seq Scan" in line]
    assert through == []
