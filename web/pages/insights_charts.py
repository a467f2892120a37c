"""Reports as charts and figures: which column becomes which bar."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from adapters.mail.formats import Formats
from domain.insights import Window
from domain.insights_reports import Report, Row
from usecases.insights_sales import WEEKDAYS
from web.pages import charts
from web.pages.charts import Bars, Heat, MoneyTicks, Part, Point, Ticks
from web.pages.words import plural


class Shown(NamedTuple):
    """A column of a report, what it is called, and the color of its part of a bar."""

    column: str
    text: str
    css: str


HANDOFFS = (
    Shown("on_time", "on time", "ok"),
    Shown("late", "late", "bad"),
    Shown("open", "not yet", "pale"),
    Shown("held", "on hold", "warn"),
)
DELIVERIES = (
    Shown("on_time", "on time", "ok"),
    Shown("late", "late", "bad"),
    Shown("open", "not yet", "pale"),
    Shown("presumed", "presumed", "second"),
    Shown("failed", "lost or returned", "warn"),
)


def whole(row: Row, column: str) -> int:
    return int(row[column] or 0)


# -- over time -------------------------------------------------------------------------------


def orders_over_time(report: Report, grain: str | None = None) -> Bars:
    """Of sales by day or by month."""
    grain = grain or charts.grain_of(report.window)
    sums = _sums(report.rows, report.window, grain, "orders")
    points = [_point(start, grain, (Part(orders),), plural(orders, "order")) for start, orders in sums.items()]
    return charts.bars(points, Ticks())


def revenue_over_time(report: Report, formats: Formats, currency: str, grain: str | None = None) -> Bars:
    grain = grain or charts.grain_of(report.window)
    rows = (row for row in report.rows if row["currency"] == currency)
    sums = _sums(rows, report.window, grain, "revenue")
    points = [_point(start, grain, (Part(amount),), formats.money(amount, currency)) for start, amount in sums.items()]
    return charts.bars(points, MoneyTicks(formats, currency))


def stacked(report: Report, shown: Sequence[Shown]) -> Bars:
    grain = charts.grain_of(report.window)
    sums = {one: _sums(report.rows, report.window, grain, one.column) for one in shown}
    points = []
    for start in charts.starts(report.window, grain):
        parts = tuple(Part(sums[one][start], one.css) for one in shown)
        said = [f"{sums[one][start]:,} {one.text}" for one in shown if sums[one][start]]
        points.append(_point(start, grain, parts, ", ".join(said) or "none"))
    return charts.bars(points, Ticks())


def in_all(report: Report, shown: Sequence[Shown]) -> list[tuple[str, int]]:
    """What there is at all of it, by its text."""
    sums = [(one.text, sum(whole(row, one.column) for row in report.rows)) for one in shown]
    return [(text, amount) for text, amount in sums if amount]


def _sums(rows: Iterable[Row], window: Window, grain: str, column: str) -> dict[date, int]:
    """Bars without anything are there, too."""
    sums = dict.fromkeys(charts.starts(window, grain), 0)
    for row in rows:
        day = date.fromisoformat(str(row["day"]) if "day" in row else f"{row['month']}-01")
        sums[charts.start_of(day, grain)] += whole(row, column)
    return sums


def _point(start: date, grain: str, parts: tuple[Part, ...], said: str) -> Point:
    return Point(charts.start_label(start, grain), f"{charts.start_words(start, grain)}: {said}", parts)


# -- baskets, hours ---------------------------------------------------------------------------


def basket_sizes(report: Report, measure: str) -> Bars:
    points = [
        Point(
            str(row["size"]).replace(" or more", "+"),
            f"{row['size']} {measure}: {plural(whole(row, 'orders'), 'order')}",
            (Part(whole(row, "orders")),),
        )
        for row in report.rows
        if row["measure"] == measure
    ]
    return charts.bars(points, Ticks())


def basket_values(report: Report, formats: Formats, currency: str) -> Bars:
    money = MoneyTicks(formats, currency)
    points = []
    for row in report.rows:
        if row["currency"] == currency:
            first, after = whole(row, "from_value"), whole(row, "below_value")
            steps = f"{formats.money(first, currency)} to below {formats.money(after, currency)}"
            orders = whole(row, "orders")
            points.append(Point(money.text(first), f"{steps}: {plural(orders, 'order')}", (Part(orders),)))
    return charts.bars(points, Ticks())


def by_customer(report: Report) -> dict[str, int]:
    return {
        kind: sum(whole(row, "orders") for row in report.rows if row["customer"] == kind) for kind in ("new", "repeat")
    }


def hours(report: Report) -> Heat:
    averages = {(row["weekday"], row["hour"]): float(row["average"] or 0) for row in report.rows}
    values = [[averages.get((weekday, hour), 0.0) for hour in range(24)] for weekday in WEEKDAYS]
    tips = [
        [f"{weekday} {hour:02}:00: {value:,.1f} orders on average" for hour, value in enumerate(row)]
        for weekday, row in zip(WEEKDAYS, values, strict=True)
    ]
    return charts.heat(values, tips, WEEKDAYS, [f"{hour:02}" if hour % 3 == 0 else "" for hour in range(24)])


def busiest(report: Report, how_many: int = 3) -> list[Row]:
    return sorted(report.rows, key=lambda row: -float(row["average"] or 0))[:how_many]


def weekdays(report: Report) -> Bars:
    """Orders on an average day of each name: a window may have one Monday more than Tuesdays."""
    window = report.window
    days = [(window.first + timedelta(days=n)).weekday() for n in range(window.days)]
    points = []
    for index, weekday in enumerate(WEEKDAYS):
        orders = sum(whole(row, "orders") for row in report.rows if row["weekday"] == weekday)
        average = orders / days.count(index) if index in days else 0.0
        points.append(Point(weekday[:3], f"{weekday}: {average:,.1f} orders on average", (Part(average),)))
    return charts.bars(points, Ticks())


# -- lists -------------------------------------------------------------------------------------


def merged(
    report: Report, *keys: str, currencies: Sequence[str], by: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Rows that differ in their currency only as one: orders and units added up, `money` side by side in the order of
    the currencies; the most of `by` first.
    """
    lists: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in report.rows:
        key = tuple(row[name] for name in keys)
        so_far = lists.setdefault(key, {**row, "orders": 0, "units": 0, "money": []})
        so_far["orders"] += whole(row, "orders")
        so_far["units"] += whole(row, "units")
        so_far["money"].append((whole(row, "revenue"), str(row["currency"])))
    for merged_row in lists.values():
        merged_row["money"].sort(key=lambda amount: currencies.index(amount[1]) if amount[1] in currencies else 99)
    ordered = sorted(lists.values(), key=lambda row: -row[by]) if by else list(lists.values())
    return ordered[:limit]


def by_seller(report: Report) -> list[tuple[str, list[Row]]]:
    rows: dict[str, list[Row]] = {}
    for row in report.rows:
        rows.setdefault(str(row["seller"]), []).append(row)
    return list(rows.items())


# -- the figures on top ------------------------------------------------------------------------


class Tile(NamedTuple):
    name: str
    figure: str
    delta: str
    """Against as many days before; empty where there was nothing to compare with."""


def tiles(sales: Report, before: Report, averages: Report, currencies: Sequence[str], formats: Formats) -> list[Tile]:
    made = []
    for name in ("orders", "units"):
        now, then = (sum(whole(row, name) for row in report.rows) for report in (sales, before))
        made.append(Tile(name.capitalize(), f"{now:,}", _delta(now, then)))
    values: Mapping[object, int] = {row["currency"]: whole(row, "value_per_order") for row in averages.rows}
    for currency in currencies:
        now, then = (
            sum(whole(row, "revenue") for row in report.rows if row["currency"] == currency)
            for report in (sales, before)
        )
        of = f", {currency}" if len(currencies) > 1 else ""
        made.append(Tile(f"Revenue{of}", formats.money(now, currency), _delta(now, then)))
        if currency in values:
            made.append(Tile(f"Average basket{of}", formats.money(values[currency], currency), ""))
    return made


def _delta(now: int, then: int) -> str:
    if not then:
        return ""
    change = round(100 * (now - then) / then)
    return f"{'+' if change > 0 else ''}{change:,}%" if change else "the same"
