"""An analyst in real Chromium: every page of insights, other days, one seller; the pages' numbers equal their CSV's."""

import csv
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.async_api import Locator, Page, expect

from benchmarks.population import populate
from domain.access import Scope
from tests.browser import new_browser
from tests.shop import Shop, line
from tests.web.conftest import Site
from tests.web.looking import Visit, signed_in
from web.pages.insights import SECTIONS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

ORDERS = 1_500
"""Over two years, most of them in the second one."""

SHOWN_MAX = 100
"""Rows of the numbers that stand below a chart; the CSV has all."""

Row = dict[str, str]


async def test_an_analyst_sees_every_page_and_takes_its_numbers_along(site: Site, tmp_path: Path) -> None:
    populate(site.shop.settings.database_url.get_secret_value(), ORDERS)
    await _are_bought_together(site.shop)
    async with new_browser() as browser, signed_in(browser, site, Scope.ANALYST) as analyst:
        page = analyst.page
        await _until_counted(page)
        taken = set()
        for section, name in SECTIONS:
            await _goes_to(page, name)
            await analyst.look(section or "overview")
            taken |= await _takes_the_numbers(page, tmp_path)
        assert len(taken) == len(ALL), ALL - taken
        await _looks_at_a_year(analyst, tmp_path)
        await _looks_at_one_seller(analyst, tmp_path)


ALL = {
    *("sales", "months", "order_statuses", "products", "sellers", "peak_hours", "basket_averages", "basket_sizes"),
    *("basket_values", "customers", "regions", "bought_together", "cancellations", "cycle_times", "handoffs"),
    *("deliveries", "seller_metrics", "metrics_by_seller", "stock_advice"),
}


async def _are_bought_together(shop: Shop) -> None:
    cup, saucer = [await shop.lists(9, title=title, currency="BRL") for title in ("Cup", "Saucer")]
    for _ in range(2):
        await shop.placed(line(cup, 2), line(saucer, 2), currency="BRL")


async def _until_counted(page: Page) -> None:
    await expect(page.get_by_role("navigation", name="Insights")).to_be_visible()
    while await page.get_by_text("Orders have changed that are not counted yet").count():
        await page.wait_for_timeout(500)
        await page.reload()


async def _goes_to(page: Page, name: str) -> None:
    link = page.get_by_role("navigation", name="Insights").get_by_role("link", name=name, exact=True)
    await link.click()
    await expect(link).to_have_attribute("aria-current", "page")


async def _looks_at_a_year(analyst: Visit, folder: Path) -> None:
    page = analyst.page
    await _goes_to(page, "Overview")
    await page.get_by_role("link", name="1 year").click()
    await expect(page.get_by_role("link", name="1 year")).to_have_attribute("aria-current", "true")
    await analyst.look("a-year")
    await _takes_the_numbers(page, folder)
    await _goes_to(page, "Buying patterns")
    pair = page.get_by_role("table", name="Products that are bought together").get_by_role("row").filter(has_text="Cup")
    await expect(pair).to_contain_text("100.0%")
    await _takes_the_numbers(page, folder)


async def _looks_at_one_seller(analyst: Visit, folder: Path) -> None:
    page = analyst.page
    await _goes_to(page, "Sales and products")
    await page.get_by_text("Other days, one seller").click()
    await page.get_by_role("textbox", name=re.compile("^Seller")).fill("ps0")
    await analyst.look("other-days")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("Seller 0").first).to_be_visible()
    await analyst.look("one-seller")
    await _takes_the_numbers(page, folder)
    await page.get_by_text("Other days, one seller").click()
    await page.get_by_label("From").fill("2001-01-01")
    await page.get_by_label("Until").fill("2001-01-31")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("No order was placed in these days")).to_be_visible()
    await analyst.look("nothing")


# -- numbers ---------------------------------------------------------------------------------


class Table(NamedTuple):
    head: list[str]
    rows: list[list[str]]


async def _takes_the_numbers(page: Page, folder: Path) -> set[str]:
    """Downloads every CSV of the page, and compares the tables and bars that stand beside it; gives the reports."""
    taken = set()
    for link in await page.get_by_role("link", name=re.compile("^CSV")).all():
        async with page.expect_download() as started:
            await link.click()
        download = await started.value
        path = folder / download.suggested_filename
        await download.save_as(path)
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        report = path.name.partition("_20")[0]
        taken.add(report)
        await _compare(report, link.locator("xpath=ancestor::section[1]"), rows)
        if report == "seller_metrics":
            await _compare_metrics(page, rows)
    return taken


async def _compare(report: str, card: Locator, rows: list[Row]) -> None:
    if not await card.count():
        return
    title = await card.get_by_role("heading").first.inner_text()
    for table in await card.locator("table").all():
        shown = await _read(table)
        if await table.locator("xpath=ancestor::details").count():
            _equal_as_a_whole(title, shown, rows)
        else:
            _equal_by_column(title, shown, rows)
    if title == "Orders over time" and "day" in rows[0]:
        bars = [await bar.text_content() or "" for bar in await card.locator("svg.plot rect title").all()]
        said = sum(int(bar.rpartition(": ")[2].split()[0].replace(",", "")) for bar in bars)
        assert said == sum(int(row["orders"]) for row in rows), title


async def _read(table: Locator) -> Table:
    """Also where it is folded away."""
    found = await table.evaluate(
        """table => [...table.rows].map(row => [...row.cells].map(
             cell => [...cell.childNodes].map(node => node.textContent.trim()).filter(text => text).join("|")))"""
    )
    return Table(found[0], found[1:])


def _equal_as_a_whole(title: str, shown: Table, rows: list[Row]) -> None:
    """Column by column, as many as are shown."""
    assert len(shown.rows) == min(len(rows), SHOWN_MAX), title
    for cells, row in zip(shown.rows, rows, strict=False):
        for cell, (column, value) in zip(cells, row.items(), strict=True):
            assert _says(cell, column, value), f"{title}, {column}: {cell!r} is not {value!r}"


_COLUMNS = {
    "Orders": ("orders",),
    "Orders with both": ("orders",),
    "Units": ("units", "units_per_order"),
    "Lines": ("lines_per_order",),
    "Value": ("value_per_order (minor units)",),
    "Revenue": ("revenue (minor units)",),
    "Share": ("share",),
    "Of all": ("share",),
    "Of the first's": ("share",),
    "Of the other's": ("other_share",),
    "Median": ("median",),
    "90% within": ("p90",),
    "Mean": ("mean",),
    "Counted": ("count",),
    "Free now": ("available",),
    "Units a day": ("per_day",),
    "Reorder point": ("reorder_point",),
}


def _equal_by_column(title: str, shown: Table, rows: list[Row]) -> None:
    """Tables of their own make: the columns that they share with the CSV, whose rows may stand in another order."""
    columns = [
        (place, column)
        for place, head in enumerate(shown.head)
        for column in _COLUMNS.get(head, ())
        if column in rows[0]
    ]
    assert columns or title == "Metrics by seller", f"{title}: {shown.head}"
    left = list(rows)
    for cells in shown.rows:
        match = next(
            (row for row in left if all(_says(cells[place], column, row[column]) for place, column in columns)), None
        )
        assert match is not None, f"{title}: {cells} is not in the CSV"
        left.remove(match)


async def _compare_metrics(page: Page, rows: list[Row]) -> None:
    shown = {
        await card.get_by_role("heading").inner_text(): await card.inner_text()
        for card in await page.locator(".metrics > li").all()
    }
    assert len(shown) == len(rows) > 0
    for row, (title, text) in zip(rows, shown.items(), strict=True):
        rate = text.splitlines()[1].split()[0]
        assert _says(rate, "rate", row["rate"]), f"{title}: {text}"
        assert f"{int(row['part']):,} of {int(row['whole']):,} " in text, title


_SECONDS = {"s": 1, "min": 60, "h": 3_600, "days": 86_400}


def _says(shown: str, column: str, value: str) -> bool:
    """Whether a cell, as people read it, is this value, as precisely as it is written."""
    shown = shown.partition("|")[0]
    if value == "":
        return shown in ("", "–")
    if column.endswith("(minor units)"):
        return int(re.sub(r"\D", "", shown)) == abs(int(value))
    if shown == "under 0.1%":
        return 0 < float(value) < 0.001
    if shown.endswith("%"):
        return abs(float(shown[:-1].replace(",", "")) / 100 - float(value)) <= 0.000_501
    number, _, unit = shown.partition(" ")
    if unit in _SECONDS:
        return abs(float(number) * _SECONDS[unit] - float(value)) <= 0.005_1 * float(value)
    if re.fullmatch(r"-?[\d,]+(\.\d+)?", shown) and re.fullmatch(r"-?\d+(\.\d+)?(e-\d+)?", value):
        return abs(float(shown.replace(",", "")) - float(value)) <= 0.005_1
    return shown == value
