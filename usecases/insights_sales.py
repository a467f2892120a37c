"""What sells, when, to whom and where: counts of orders as the rows of reports."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import NamedTuple

from domain.insights import WHOLE_MARKETPLACE, Count, Topic, Window, orders_in, share
from domain.insights_baskets import PAIR_ORDERS_MIN, lift, size_label, value_step_after
from domain.insights_reports import Row
from domain.insights_stock import Plan
from domain.state import OrderStatus
from store.insights.reading import EACH_SELLER, InsightViews

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Look(NamedTuple):
    """What is looked at; `seller` is `WHOLE_MARKETPLACE` for all."""

    seller: str
    window: Window
    currency: str | None
    limit: int
    plan: Plan
    today: date

    def of(self, topic: Topic) -> tuple[Topic, str, Window]:
        return topic, self.seller, self.window

    def of_each(self, topic: Topic) -> tuple[Topic, str, Window]:
        """Seller by seller, where the marketplace asks."""
        return topic, self.seller or EACH_SELLER, self.window


class Table(NamedTuple):
    """The rows of a report, from how many orders or parcels they were made, and whether some were left out."""

    rows: list[Row]
    sample: int
    more: bool = False


def cut(rows: list[Row], look: Look, sample: int) -> Table:
    return Table(rows[: look.limit], sample, more=len(rows) > look.limit)


def sold(count: Count) -> dict[str, int]:
    return {"orders": count.orders, "units": count.units, "revenue": count.amount}


def orders_by_currency(counts: Iterable[Count]) -> Mapping[str, int]:
    orders = Counter[str]()
    for count in counts:
        orders[count.currency] += count.orders
    return orders


async def orders_of(views: InsightViews, look: Look) -> int:
    return orders_in(await views.counts(*look.of(Topic.ORDERS), currency=look.currency))


# -- sales -----------------------------------------------------------------------


async def sales(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(*look.of(Topic.ORDERS), "day", "currency", currency=look.currency)
    rows: list[Row] = [{"day": str(count.day), "currency": count.currency, **sold(count)} for count in counts]
    return Table(rows, orders_in(counts))


async def months(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(*look.of(Topic.ORDERS), "day", "currency", currency=look.currency)
    months: dict[tuple[str, str], Counter[str]] = {}
    for count in counts:
        months.setdefault((str(count.day)[:7], count.currency), Counter()).update(sold(count))
    rows: list[Row] = [
        {"month": month, "currency": currency, **sums} for (month, currency), sums in sorted(months.items())
    ]
    return Table(rows, orders_in(counts))


async def order_statuses(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(*look.of(Topic.ORDERS), "item", currency=look.currency, most="orders")
    whole = orders_in(counts)
    rows: list[Row] = [
        {"status": count.item, "orders": count.orders, "share": share(count.orders, whole)} for count in counts
    ]
    return Table(rows, whole)


async def products(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(
        *look.of_each(Topic.PRODUCTS),
        *("seller", "item", "currency"),
        currency=look.currency,
        most="units",
        limit=look.limit + 1,
    )
    titles = await views.titles([(count.seller, count.item) for count in counts])
    rows: list[Row] = [
        {
            "seller": count.seller,
            "sku": count.item,
            "title": titles.get((count.seller, count.item)),
            "currency": count.currency,
            **sold(count),
        }
        for count in counts
    ]
    return cut(rows, look, await orders_of(views, look))


async def sellers(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(
        *look.of_each(Topic.ORDERS),
        *("seller", "currency"),
        currency=look.currency,
        most="amount",
        limit=look.limit + 1,
    )
    names = await views.names([count.seller for count in counts])
    rows: list[Row] = [
        {
            "seller": count.seller,
            "name": names.get(count.seller),
            "currency": count.currency,
            **sold(count),
        }
        for count in counts
    ]
    return cut(rows, look, await orders_of(views, look))


# -- when, who and where ---------------------------------------------------------------


async def peak_hours(views: InsightViews, look: Look) -> Table:
    hours = await views.hours(look.seller, look.window, look.currency)
    days = Counter((look.window.first + timedelta(days=n)).isoweekday() for n in range(look.window.days))
    rows: list[Row] = [
        {
            "weekday": WEEKDAYS[one.weekday - 1],
            "hour": one.hour,
            "orders": one.orders,
            "average": round(one.orders / days[one.weekday], 3),
        }
        for one in hours
    ]
    return Table(rows, sum(one.orders for one in hours))


async def basket_averages(views: InsightViews, look: Look) -> Table:
    units = await views.counts(*look.of(Topic.BASKET_UNITS), "currency", currency=look.currency)
    lines = await views.counts(*look.of(Topic.BASKET_LINES), "currency", currency=look.currency)
    # Read one after the other: a currency may have come in between.
    lines_in = {count.currency: count.units for count in lines}
    rows: list[Row] = [
        {
            "currency": count.currency,
            "orders": count.orders,
            "units_per_order": round(count.units / count.orders, 3),
            "lines_per_order": round(lines_in.get(count.currency, 0) / count.orders, 3),
            "value_per_order": round(count.amount / count.orders),
        }
        for count in units
    ]
    return Table(rows, orders_in(units))


async def basket_sizes(views: InsightViews, look: Look) -> Table:
    rows: list[Row] = []
    whole = 0
    for measure_name, topic in (("units", Topic.BASKET_UNITS), ("lines", Topic.BASKET_LINES)):
        counts = await views.counts(*look.of(topic), "item", currency=look.currency)
        whole = orders_in(counts)
        rows += [
            {
                "measure": measure_name,
                "size": size_label(int(count.item)),
                "orders": count.orders,
                "share": share(count.orders, whole),
            }
            for count in sorted(counts, key=lambda count: int(count.item))
        ]
    return Table(rows, whole)


async def basket_values(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(*look.of(Topic.BASKET_VALUES), "currency", "item", currency=look.currency)
    whole = orders_by_currency(counts)
    rows: list[Row] = [
        {
            "currency": count.currency,
            "from_value": int(count.item),
            "below_value": value_step_after(int(count.item)),
            "orders": count.orders,
            "share": share(count.orders, whole[count.currency]),
        }
        for count in sorted(counts, key=lambda count: (count.currency, int(count.item)))
    ]
    return Table(rows, orders_in(counts))


async def customers(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(*look.of(Topic.CUSTOMERS), "currency", "item", currency=look.currency)
    whole = orders_by_currency(counts)
    rows: list[Row] = [
        {
            "customer": count.item,
            "currency": count.currency,
            **sold(count),
            "share": share(count.orders, whole[count.currency]),
        }
        for count in counts
    ]
    return Table(rows, orders_in(counts))


async def regions(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(
        *look.of(Topic.REGIONS), "item", "detail", "currency", currency=look.currency, most="orders"
    )
    whole = orders_by_currency(counts)
    rows: list[Row] = [
        {
            "country": count.item,
            "region": count.detail,
            "currency": count.currency,
            **sold(count),
            "share": share(count.orders, whole[count.currency]),
        }
        for count in counts
    ]
    return cut(rows, look, orders_in(counts))


async def bought_together(views: InsightViews, look: Look) -> Table:
    pairs = await views.counts(
        *look.of(Topic.PAIRS), "item", "detail", least=PAIR_ORDERS_MIN, most="orders", limit=look.limit + 1
    )
    sides = [(_product(pair.item, look.seller), _product(pair.detail, look.seller)) for pair in pairs]
    products = sorted({product for side in sides for product in side})
    titles = await views.titles(products)
    counts = await views.counts(
        *look.of_each(Topic.PRODUCTS),
        *("seller", "item"),
        among_sellers=sorted({seller for seller, _ in products}),
        among_items=sorted({sku for _, sku in products}),
    )
    alone = {(count.seller, count.item): count.orders for count in counts}
    statuses = await views.counts(*look.of(Topic.ORDERS), "item")
    kept = orders_in(count for count in statuses if count.item not in _NOTHING_LEFT)
    rows: list[Row] = [
        {
            "seller": one[0],
            "sku": one[1],
            "title": titles.get(one),
            "other_seller": other[0],
            "other_sku": other[1],
            "other_title": titles.get(other),
            "orders": pair.orders,
            "share": share(pair.orders, alone.get(one, 0)),
            "other_share": share(pair.orders, alone.get(other, 0)),
            "lift": lift(pair.orders, alone.get(one, 0), alone.get(other, 0), kept),
        }
        for pair, (one, other) in zip(pairs, sides, strict=True)
    ]
    return cut(rows, look, orders_in(statuses))


_NOTHING_LEFT = (OrderStatus.CANCELED, OrderStatus.UNFULFILLABLE)


def _product(item: str, seller: str) -> tuple[str, str]:
    """Of a pair: a seller's own are SKUs, the marketplace's a seller and a SKU."""
    if seller != WHOLE_MARKETPLACE:
        return seller, item
    whose, _, sku = item.partition(" ")
    return whose, sku
