"""How a day is counted: by looks at single rows of it and joins that hash, however many orders it has."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from sqlalchemy import text

from benchmarks.population import populate
from domain.insights import Basis, topics_of
from store.database import Database
from store.insights.counting import HASHED, STATEMENTS

DAY = date(2026, 3, 2)
ORDERS = 400
ELSEWHERE = 1_200


async def test_no_order_of_a_day_is_compared_with_each_other_one(new_database: Callable[[], str]) -> None:
    url = new_database()
    await asyncio.to_thread(populate, url, ORDERS + ELSEWHERE)
    database = Database(url)
    async with database.transaction() as connection:
        await connection.execute(
            text(
                "UPDATE orders SET placed_at = CAST(:day AS date) + interval '12 hours'"
                " WHERE order_id IN (SELECT order_id FROM orders ORDER BY order_id LIMIT :some)"
            ),
            {"day": DAY, "some": ORDERS},
        )
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        await connection.execute(HASHED)
        for basis in Basis:
            plan = await connection.scalar(
                text(f"EXPLAIN (ANALYZE, FORMAT JSON) {STATEMENTS[basis].text}"),
                {"days": [DAY], "topics": [topic.value for topic in topics_of(basis)], "zone": "UTC"},
            )
            nodes = [*_nodes(plan[0]["Plan"])]
            if basis is Basis.PLACED:
                assert max(node["Actual Rows"] for node in nodes if node.get("CTE Name") == "placed") >= ORDERS
            compared = sum(node.get("Rows Removed by Join Filter", 0) for node in nodes)
            assert compared < 10 * ORDERS, compared
            tables = [node for node in nodes if "Relation Name" in node and node["Relation Name"] != "daily_counts"]
            read = [(node["Relation Name"], node["Actual Rows"] * node["Actual Loops"]) for node in tables]
            assert [one for one in read if one[1] > 3 * ORDERS] == []
    await database.close()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
