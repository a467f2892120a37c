"""Insights by API and on pages: the right numbers for whoever may see them, and nothing of anybody else's."""

import asyncio
import csv
import io
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

import starter
from commands.exit_codes import INVALID, OK
from domain.access import Scope
from domain.insights import Topic
from domain.insights_reports import REPORTS, ReportName
from store.database import Database
from store.insights.refreshing import Refreshing
from store.keys import Keys
from tests.store.insights_life import SELLERS, Life, expected_counts, lives, open_shop
from usecases.insights_refresher import bring_up_to_date
from usecases.keys import new_key
from usecases.settings import Settings
from usecases.temporal import connect
from web.app import build
from web.pages.insights import SECTIONS

ZONE = "Europe/Berlin"
DAYS = {"from": "2025-10-20", "until": "2025-11-20"}
ORDERS = 300
PATHS = [f"/insights/{section}".rstrip("/") for section, _ in SECTIONS]
FOR_ALL = [name for name in ReportName if not REPORTS[name].not_for_sellers]


class Site:
    """The real application on a real database, without a server between; Temporal is never asked."""

    def __init__(self, app: FastAPI, database: Database, lived: list[Life]) -> None:
        self.database = database
        self.lived = lived
        self._app = app
        self._keys: dict[tuple[Scope, str | None], str] = {}
        self._clients: list[httpx.AsyncClient] = []

    async def key(self, scope: Scope, seller: str | None = None) -> str:
        if (scope, seller) not in self._keys:
            self._keys[scope, seller] = await new_key(Keys(self.database), scope, "test", seller)
        return self._keys[scope, seller]

    def client(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self._app)
        self._clients.append(httpx.AsyncClient(transport=transport, base_url="http://openorders.test", headers=headers))
        return self._clients[-1]

    async def api(self, scope: Scope, seller: str | None = None) -> httpx.AsyncClient:
        return self.client(Authorization=f"Bearer {await self.key(scope, seller)}")

    async def pages(self, scope: Scope, seller: str | None = None) -> httpx.AsyncClient:
        """Signed in."""
        async with self.database.statement() as connection:  # who tries too often is kept out
            await connection.execute(text("DELETE FROM attempts"))
        client = self.client()
        form = (await client.get("/signin")).text
        token = re.search(r'name="csrf" value="([^"]+)"', form)
        assert token
        answer = await client.post("/signin", data={"csrf": token[1], "key": await self.key(scope, seller)})
        assert answer.status_code == 303, answer.text
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


@pytest.fixture(scope="module")
async def site(fresh_database: Callable[[], str]) -> AsyncIterator[Site]:
    url = fresh_database()
    database = Database(url)
    await open_shop(database)
    lived = await lives(database, Random(20), ORDERS)
    await bring_up_to_date(Refreshing(database, ZONE))
    settings = Settings(database_url=SecretStr(url), secret_key=SecretStr("for a test"), time_zone=ZONE)
    client = await connect(lazy=True, environ={"TEMPORAL_ADDRESS": "127.0.0.1:1"})
    site = Site(build(settings, client, database), database, lived)
    yield site
    await site.close()
    await database.close()


async def report(client: httpx.AsyncClient, name: str, **asked: str | int) -> dict[str, Any]:
    answer = await client.get(f"/v1/insights/{name}", params={**DAYS, **asked})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# -- by API: who may see what ----------------------------------------------------------------------


async def test_every_scope_is_told_of_its_reports(site: Site) -> None:
    for scope in (Scope.BACKEND, Scope.SUPPORT, Scope.ANALYST):
        listed = (await (await site.api(scope)).get("/v1/insights")).json()["reports"]
        assert [one["name"] for one in listed] == list(ReportName)
    listed = (await (await site.api(Scope.SELLER, "acme")).get("/v1/insights")).json()["reports"]
    assert [one["name"] for one in listed] == FOR_ALL
    assert all(one["definition"].endswith(".") and one["columns"] for one in listed)


@pytest.mark.parametrize("name", ReportName)
@pytest.mark.parametrize("scope", [Scope.BACKEND, Scope.SUPPORT, Scope.ANALYST])
async def test_the_marketplace_sees_every_report_of_all_and_of_one(site: Site, name: ReportName, scope: Scope) -> None:
    client = await site.api(scope)
    whole, one = await report(client, name), await report(client, name, seller="acme")
    assert (whole["seller"], one["seller"]) == (None, "acme")
    for made in (whole, one):
        assert made["rows"], "the test has nothing to show"
        assert made["time_zone"] == ZONE
        assert made["up_to_date"] is True
        assert made["window"] == {"first": DAYS["from"], "last": DAYS["until"]}
        assert made["definition"] == REPORTS[name].definition
        columns = {column["name"] for column in made["columns"]}
        assert all({*row} == columns for row in made["rows"])
    assert whole["sample"] > one["sample"]


@pytest.mark.parametrize("name", ReportName)
async def test_a_seller_sees_its_own_numbers_and_the_same_words_of_any_other(site: Site, name: ReportName) -> None:
    acme = await site.api(Scope.SELLER, "acme")
    told = {}
    for other in ("birch", "nobody-of-that-name"):
        answer = await acme.get(f"/v1/insights/{name}", params={"seller": other, **DAYS})
        assert answer.status_code == 403
        told[other] = answer.json()
    assert told["birch"] == told["nobody-of-that-name"]
    own = await acme.get(f"/v1/insights/{name}", params=DAYS)
    if name in FOR_ALL:
        by_analyst = await report(await site.api(Scope.ANALYST), name, seller="acme")
        assert own.json() == by_analyst == await report(acme, name, seller="acme")
        assert _others_in(own.text) == []
    else:
        assert own.status_code == 403
        assert _others_in(own.text) == []


def _others_in(answer: str) -> list[str]:
    return [seller for seller in SELLERS if seller != "acme" and seller in answer.lower()]


async def test_without_a_key_nothing_is_told(site: Site) -> None:
    for path in ("/v1/insights", "/v1/insights/sales", "/v1/insights/sellers"):
        assert (await site.client().get(path)).status_code == 401
        assert (await site.client(Authorization="Bearer oo_nothing").get(path)).status_code == 401


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"until": "2026-02-30"}, "until"),
        ({"from": "0001-01-01"}, "from"),
        ({"currency": "eur"}, "currency"),
        ({"limit": "0"}, "limit"),
        ({"seller": "two words"}, "seller"),
        ({"lead_time_days": "0"}, "lead_time_days"),
        ({"service_level": "1"}, "service_level"),
        ({"format": "xml"}, "format"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_the_field(site: Site, asked: dict[str, str], field: str) -> None:
    answer = await (await site.api(Scope.ANALYST)).get("/v1/insights/sales", params=asked)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_there_is_no_other_report(site: Site) -> None:
    answer = await (await site.api(Scope.ANALYST)).get("/v1/insights/customers_by_name")
    assert answer.status_code == 422


# -- by API: the numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("seller", ["", *SELLERS])
async def test_sales_are_those_of_the_orders(site: Site, seller: str) -> None:
    expected: dict[tuple[str, str], Counter[str]] = {}
    for key, sums in expected_counts(site.lived, ZONE).items():
        if key.topic is Topic.ORDERS and key.seller == seller:
            sold = expected.setdefault((str(key.day), key.currency), Counter())
            sold.update(orders=sums.orders, units=sums.units, revenue=sums.amount)
    found = await report(await site.api(Scope.ANALYST), "sales", **({"seller": seller} if seller else {}))
    assert {
        (row["day"], row["currency"]): {name: row[name] for name in ("orders", "units", "revenue")}
        for row in found["rows"]
    } == {key: dict(sums) for key, sums in expected.items()}
    assert found["sample"] == sum(sums["orders"] for sums in expected.values())
    one = await report(await site.api(Scope.ANALYST), "sales", currency="JPY")
    assert {row["currency"] for row in one["rows"]} == {"JPY"}


async def test_days_and_rows_are_cut_as_asked(site: Site) -> None:
    client = await site.api(Scope.ANALYST)
    day = await report(client, "sales", **{"from": "2025-10-25", "until": "2025-10-25"})
    assert {row["day"] for row in day["rows"]} == {"2025-10-25"}
    two = await report(client, "products", limit=2)
    assert (len(two["rows"]), two["more"]) == (2, True)
    every = await report(client, "products", limit=1_000)
    assert not every["more"]
    assert two["rows"] == every["rows"][:2]
    assert [row["units"] for row in every["rows"]] == sorted((row["units"] for row in every["rows"]), reverse=True)
    swapped = await report(client, "sales", **{"from": DAYS["until"], "until": DAYS["from"]})
    assert swapped == await report(client, "sales")


async def test_a_small_sample_is_said_to_be_one(site: Site) -> None:
    client = await site.api(Scope.ANALYST)
    whole = await report(client, "order_statuses")
    assert (whole["sample"], whole["tiny_sample"]) == (ORDERS, False)
    day = await report(client, "order_statuses", **{"from": "2025-10-29", "until": "2025-10-29"})
    assert 0 < day["sample"] < 30
    assert day["tiny_sample"] is True
    nothing = await report(client, "cycle_times", **{"from": "2020-01-01", "until": "2020-02-01"})
    assert (nothing["rows"], nothing["sample"], nothing["tiny_sample"]) == ([], 0, True)


async def test_stock_advice_follows_its_plan(site: Site) -> None:
    acme = await site.api(Scope.SELLER, "acme")
    soon = {row["sku"]: row for row in (await report(acme, "stock_advice", lead_time_days=1))["rows"]}
    later = {row["sku"]: row for row in (await report(acme, "stock_advice", lead_time_days=90))["rows"]}
    wanted = [sku for sku, row in soon.items() if row["wanted"]]
    assert wanted
    assert all(later[sku]["reorder_point"] > soon[sku]["reorder_point"] for sku in wanted)
    assert {row["seller"] for row in later.values()} == {"acme"}


@pytest.mark.parametrize("name", ReportName)
async def test_csv_has_what_json_has(site: Site, name: ReportName) -> None:
    client = await site.api(Scope.BACKEND)
    answer = await client.get(f"/v1/insights/{name}", params={**DAYS, "format": "csv"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}_2025-10-20_2025-11-20.csv"'
    made = await report(client, name)
    header, *rows = csv.reader(io.StringIO(answer.text))
    names = [column["name"] for column in made["columns"]]
    assert [cell.removesuffix(" (minor units)") for cell in header] == names
    assert len(rows) == len(made["rows"])
    first = dict(zip(names, rows[0], strict=True))
    plain = {key: value for key, value in made["rows"][0].items() if type(value) in (int, str)}
    assert {key: first[key] for key in plain} == {key: str(value) for key, value in plain.items()}


# -- on pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_who_is_not_signed_in_signs_in_first(site: Site, path: str) -> None:
    answer = await site.client().get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin?next=")


@pytest.mark.parametrize("scope", [Scope.SUPPORT, Scope.ANALYST])
async def test_the_marketplace_sees_all_pages_of_all_and_of_one(site: Site, scope: Scope) -> None:
    client = await site.pages(scope)
    for path in PATHS:
        for asked in ({}, {"seller": "acme"}, {"currency": "JPY"}):
            answer = await client.get(path, params={**DAYS, **asked})
            assert answer.status_code == 200, (path, asked, answer.text[:500])
            assert ZONE in answer.text
            _is_harmless(answer.text)
            assert ("Whole marketplace" in answer.text) is ("seller" not in asked)


async def test_a_seller_sees_its_own_pages_and_nothing_of_others(site: Site) -> None:
    client = await site.pages(Scope.SELLER, "acme")
    for path in PATHS:
        answer = await client.get(path, params=DAYS)
        assert answer.status_code == 200
        assert _others_in(answer.text) == []
        assert "Whole marketplace" not in answer.text
        told = {}
        for other in ("birch", "nobody-of-that-name"):
            refused = await client.get(path, params={**DAYS, "seller": other})
            assert refused.status_code == 403
            told[other] = refused.text.replace(other, "OTHER")
        assert told["birch"] == told["nobody-of-that-name"]
    for name in set(ReportName) - set(FOR_ALL):
        assert (await client.get(f"/insights/csv/{name}", params=DAYS)).status_code == 403


def _is_harmless(page: str) -> None:
    """Nothing that the Content-Security-Policy would stop, and no value that has lost its way into the text."""
    assert not re.search(r"<[^>]+\sstyle=|<style|\son[a-z]+=", page)
    assert re.findall(r"<script(?![^>]*\ssrc=)", page) == []
    assert not re.search(r">\s*(None|nan|inf|Undefined)\b", page)


async def test_every_chart_has_its_definition_and_its_csv(site: Site) -> None:
    client = await site.pages(Scope.ANALYST)
    seen = set()
    for path in PATHS:
        page = (await client.get(path, params=DAYS)).text
        for link in {*re.findall(r'href="(/insights/csv/[^"]+)"', page)}:
            name = ReportName(link.partition("?")[0].rsplit("/", 1)[1])
            seen.add(name)
            answer = await client.get(link.replace("&amp;", "&"))
            assert answer.status_code == 200, link
            assert answer.headers["content-type"].startswith("text/csv")
            assert len(answer.text.splitlines()) > 1
            if name is not ReportName.SELLER_METRICS:  # each metric has its own
                assert REPORTS[name].definition.split("'")[0][:60] in page.replace("&#39;", "'")
        assert page.count('<svg class="chart plot" role="img" aria-label="') == page.count('class="chart plot"')
    assert seen == {*ReportName}


async def test_days_without_orders_lead_to_those_with_some(site: Site) -> None:
    client = await site.pages(Scope.ANALYST)
    page = (await client.get("/insights")).text
    assert "No order was placed in these days." in page
    link = re.search(r'The last ones are of <a href="([^"]+)"', page)
    assert link
    there = (await client.get(link[1].replace("&amp;", "&"))).text
    assert "No order was placed" not in there
    last = max(life.story.state.origin.astimezone(ZoneInfo(ZONE)) for life in site.lived)
    assert f"until={last.date()}" in link[1]


async def test_a_form_may_leave_fields_empty_and_a_wrong_day_is_explained(site: Site) -> None:
    client = await site.pages(Scope.ANALYST)
    empty = {"from": "", "until": "", "seller": "", "currency": ""}
    assert (await client.get("/insights/sales", params=empty)).status_code == 200
    wrong = await client.get("/insights/sales", params={"from": "1-1-1"})
    assert wrong.status_code == 422
    assert "must be a day like 2026-11-01" in wrong.text
    always = {"from": "1970-01-01", "until": "2199-12-31"}
    assert (await client.get("/insights/sales", params=always)).status_code == 200


async def test_what_waits_to_be_counted_is_said(site: Site) -> None:
    client = await site.pages(Scope.ANALYST)
    assert "not counted yet" not in (await client.get("/insights", params=DAYS)).text
    async with site.database.statement() as connection:
        await connection.execute(text("INSERT INTO order_changes (order_id) SELECT order_id FROM orders LIMIT 1"))
    assert "not counted yet" in (await client.get("/insights", params=DAYS)).text
    await bring_up_to_date(Refreshing(site.database, ZONE))
    assert "not counted yet" not in (await client.get("/insights", params=DAYS)).text


async def test_before_anything_was_ever_counted_pages_are_there(fresh_database: Callable[[], str]) -> None:
    url = fresh_database()
    database = Database(url)
    settings = Settings(database_url=SecretStr(url), secret_key=SecretStr("for a test"), time_zone="Asia/Tokyo")
    client = await connect(lazy=True, environ={"TEMPORAL_ADDRESS": "127.0.0.1:1"})
    site = Site(build(settings, client, database), database, [])
    pages = await site.pages(Scope.ANALYST)
    for path in PATHS:
        answer = await pages.get(path)
        assert answer.status_code == 200, path
        assert "There is none at all yet." in answer.text
        assert "Asia/Tokyo" in answer.text
    assert json.loads((await (await site.api(Scope.ANALYST)).get("/v1/insights/sales")).text)["rows"] == []
    await site.close()
    await database.close()


# -- in the terminal ------------------------------------------------------------------------------


async def test_the_starter_shows_and_counts(
    fresh_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = fresh_database()
    monkeypatch.setenv("OPENORDERS_DATABASE_URL", url)
    monkeypatch.setenv("OPENORDERS_TIME_ZONE", ZONE)
    database = Database(url)
    await open_shop(database)
    lived = await lives(database, Random(21), 10)

    async def said(*command: str) -> str:
        assert await asyncio.to_thread(starter.main, ["insights", *command]) == OK
        return capsys.readouterr().out

    days = ("--from", DAYS["from"], "--until", DAYS["until"])
    assert "no orders" in await said("show", "sales", *days)
    assert "up to date" in await said("refresh")
    made = json.loads(await said("show", "order_statuses", *days, "--json"))
    assert sum(row["orders"] for row in made["rows"]) == len(lived)
    async with database.statement() as connection:
        await connection.execute(text("DELETE FROM daily_counts"))
    assert "up to date" in await said("rebuild")
    assert json.loads(await said("show", "order_statuses", *days, "--json")) == made
    shown = await said("show", "handoffs", *days, "--seller", "acme")
    assert REPORTS[ReportName.HANDOFFS].definition in shown
    for wrong in (("show", "nothing"), ("show", "sales", "--from", "x"), ("show", "sales", "--lead-time-days", "0")):
        assert await asyncio.to_thread(starter.main, ["insights", *wrong]) == INVALID
    await database.close()
