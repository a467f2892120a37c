"""Every list, search and insights page at 1,000, 10,000 and 100,000 orders: its time, and the statements that it ran.

A page's cost may grow with what it shows, not with the orders that it does not. `python -m benchmarks.pages [SIZES]`.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.client import Client

from benchmarks.population import DAYS, populate
from benchmarks.report import table
from benchmarks.sql_meter import SqlMeter
from domain.access import Scope
from localstack.postgres import Postgres
from store.contacts import Contacts
from store.database import Database
from store.insights.refreshing import Refreshing
from store.keys import Keys
from store.migrations import migrate
from usecases.insights_refresher import bring_up_to_date
from usecases.keys import caller_of, new_key
from usecases.process import end_process
from usecases.settings import Settings
from usecases.signatures import Signatures
from web.app import build
from web.pages.customers import COOKIE as ORDER_COOKIE
from web.pages.sessions import SESSION

SIZES = (1_000, 10_000, 100_000)
_TRIES = 9
_SECRET = SecretStr("benchmarks only")
_NOBODY = "127.0.0.1:1"
"""No Temporal: what is measured reads PostgreSQL alone."""


class Known(NamedTuple):
    """Something of the population that a page can be asked about."""

    seller: str
    fulfillment: tuple[str, str]
    order: str
    email: str
    number: str
    customer: str


class Page(NamedTuple):
    name: str
    scope: Scope | None
    """Whose session; None: the customer's, or nobody's."""

    path: Callable[[Known], str]


def _insights(whose: str, scope: Scope) -> Iterator[Page]:
    """Of the last 30 days, and of all the two years that there are."""
    today = datetime.now(UTC).date()
    of_all = urlencode({"from": today - timedelta(days=DAYS), "until": today})
    for section in ("", "/sales", "/buying", "/peaks", "/stock", "/performance", "/cancellations"):
        name = f"{whose}, insights{section.replace('/', ', ')}"
        yield Page(name, scope, lambda _, section=section: f"/insights{section}")  # type: ignore[misc]
        yield Page(f"{name}, 2 years", scope, lambda _, section=section: f"/insights{section}?{of_all}")  # type: ignore[misc]


PAGES: tuple[Page, ...] = (
    Page("shop", None, lambda _: "/"),
    Page("shop, search", None, lambda _: "/?q=product+12"),
    Page("order, of its customer", None, lambda known: f"/orders/{known.order}"),
    Page("seller, to ship", Scope.SELLER, lambda _: "/seller"),
    Page("seller, one part", Scope.SELLER, lambda known: "/seller/orders/{}/{}".format(*known.fulfillment)),
    Page("seller, orders", Scope.SELLER, lambda _: "/seller/orders"),
    Page("seller, stock", Scope.SELLER, lambda _: "/seller/stock"),
    Page("seller, movements", Scope.SELLER, lambda _: "/seller/stock/movements"),
    Page("support", Scope.SUPPORT, lambda _: "/support"),
    Page("support, by order id", Scope.SUPPORT, lambda known: f"/support?q={known.order[:6]}"),
    Page("support, by mail", Scope.SUPPORT, lambda known: f"/support?q={known.email}"),
    Page("support, by number", Scope.SUPPORT, lambda known: f"/support?q={known.number}"),
    Page("support, by customer", Scope.SUPPORT, lambda known: f"/support?q={known.customer}"),
    Page("support, by name", Scope.SUPPORT, lambda _: "/support?q=ada+lima"),
    Page("support, attention", Scope.SUPPORT, lambda _: "/support/attention"),
    Page("support, attention: late", Scope.SUPPORT, lambda _: "/support/attention?word=late"),
    Page("support, one order", Scope.SUPPORT, lambda known: f"/support/orders/{known.order}"),
    Page("API, orders", Scope.BACKEND, lambda _: "/v1/orders"),
    Page("API, orders of a status", Scope.BACKEND, lambda _: "/v1/orders?status=Unshipped"),
    Page("API, orders of a seller", Scope.BACKEND, lambda known: f"/v1/orders?seller={known.seller}"),
    Page("API, late orders", Scope.BACKEND, lambda _: "/v1/orders?attention=late"),
    Page("API, by ship-by", Scope.BACKEND, lambda _: "/v1/orders?sort=ship_by&open=true"),
    *_insights("marketplace", Scope.ANALYST),
    *_insights("seller", Scope.SELLER),
)


class Measured(NamedTuple):
    """The median of some tries, and the statements of one."""

    milliseconds: float
    statements: int
    status: int


Results = Mapping[str, Measured]


def measure(sizes: Sequence[int] = SIZES, told: Callable[[str], None] = lambda _: None) -> dict[int, Results]:
    """By size; each on a PostgreSQL of its own that is thrown away."""
    results: dict[int, Results] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="openorders-pages-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)
            server = Postgres(Path(folder) / "postgres", durable=False)
            server.start()
            try:
                url = server.create_database("pages")
                asyncio.run(migrate(url))
                told(f"{size:,} orders are written ...")
                populate(url, size)
                asyncio.run(_count_for_insights(url))
                results[size] = asyncio.run(_measure(url))
            finally:
                server.remove()
    return results


async def _count_for_insights(url: str) -> None:
    """As workers do beside their orders."""
    database = Database(url)
    try:
        await bring_up_to_date(Refreshing(database, "UTC"))
    finally:
        await database.close()


async def _measure(url: str) -> Results:
    settings = Settings(database_url=SecretStr(url), secret_key=_SECRET)
    database = Database(settings.database_url)
    app = build(settings, await Client.connect(_NOBODY, lazy=True), database)
    try:
        known = await _known(database)
        clients = {scope: await _client(app, database, scope, known) for scope in (None, *Scope)}
        with SqlMeter() as meter:
            return {page.name: await _time(clients[page.scope], page.path(known), meter) for page in PAGES}
    finally:
        await database.close()


async def _known(database: Database) -> Known:
    """The seller with the most to ship, and an order that has arrived: nobody needs to be asked about that one."""
    async with database.statement() as connection:
        part = (await connection.execute(text(_BUSIEST))).one()
        order = (await connection.execute(text(_ARRIVED))).one()
    customer = await Contacts(database).customer(order.order_id)
    assert customer is not None
    return Known(
        seller=part.seller,
        fulfillment=(part.order_id, part.fulfillment_id),
        order=order.order_id,
        email=customer.email,
        number=order.tracking_number,
        customer=order.customer_id,
    )


_BUSIEST = """
    SELECT seller, min(order_id) AS order_id, (min(ARRAY[order_id, fulfillment_id]))[2] AS fulfillment_id
    FROM fulfillments WHERE status = 'Unshipped' GROUP BY seller ORDER BY count(*) DESC, seller LIMIT 1
"""
_ARRIVED = """
    SELECT order_id, tracking_number, customer_id FROM orders JOIN parcels USING (order_id)
    WHERE closed AND tracking_number IS NOT NULL ORDER BY placed_at DESC LIMIT 1
"""


async def _client(app: FastAPI, database: Database, scope: Scope | None, known: Known) -> httpx.AsyncClient:
    """Somebody with a key of this scope, signed in; or the customer of the known order."""
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench")
    signatures = Signatures(_SECRET)
    if scope is None:
        client.cookies.set(ORDER_COOKIE, signatures.sign("order-link", known.order))
        return client
    seller = known.seller if scope is Scope.SELLER else None
    key = await new_key(Keys(database), scope, "bench", seller)
    caller = await caller_of(Keys(database), key)
    assert caller is not None
    client.cookies.set(SESSION, signatures.sign_now("session", [caller.key_id, time.time()]))
    client.headers["Authorization"] = f"Bearer {key}"
    return client


async def _time(client: httpx.AsyncClient, path: str, meter: SqlMeter) -> Measured:
    """The first try fills caches: of PostgreSQL, of templates, of plans."""
    await client.get(path)
    meter.reset()
    answer = await client.get(path)
    statements = sum(meter.read().statements.values())
    times = [await _seconds(client, path) for _ in range(_TRIES)]
    return Measured(statistics.median(times) * 1_000, statements, answer.status_code)


async def _seconds(client: httpx.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    await client.get(path)
    return time.perf_counter() - began


def pages_table(results: Mapping[int, Results]) -> str:
    sizes = list(results)
    rows = [("page", *(f"{size:,} orders" for size in sizes), "statements")]
    for page in PAGES:
        found = [results[size][page.name] for size in sizes]
        wrong = "" if all(one.status == 200 for one in found) else f" ({found[-1].status})"
        rows.append((page.name + wrong, *(f"{one.milliseconds:.1f} ms" for one in found), str(found[-1].statements)))
    return table(rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=list(SIZES))
    chosen = parser.parse_args()
    print(pages_table(measure(chosen.sizes, lambda line: print(line, flush=True))))
    return 0


if __name__ == "__main__":
    end_process(main())
