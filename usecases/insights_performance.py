"""How well orders are fulfilled, and what there should be in stock: counts as the rows of reports."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from domain.insights import WHOLE_MARKETPLACE, Count, Topic, Window, orders_in, share
from domain.insights_durations import STAGES, quantile
from domain.insights_metrics import METRICS, TRACKED, Delivery, Handoff, Metric, is_over, measure
from domain.insights_reports import PLANNED_SKUS_MAX, Cell, Row
from domain.insights_stock import Demand, Level, Plan, advice
from store.insights.reading import EACH_SELLER, InsightViews, Key, SkuStock
from usecases.insights_sales import Look, Table, cut


async def cancellations(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(*look.of(Topic.CANCELLATIONS), "item", "detail", most="orders")
    whole = orders_in(await views.counts(*look.of(Topic.ORDERS)))
    rows: list[Row] = [
        {
            "reason": count.item,
            "by": count.detail,
            "orders": count.orders,
            "units": count.units,
            "share": share(count.orders, whole),
        }
        for count in counts
    ]
    return Table(rows, whole)


async def cycle_times(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(*look.of(Topic.STAGES), "item", "detail")
    rows: list[Row] = []
    for stage, words in STAGES.items():
        own = [count for count in counts if count.item == stage]
        if not own:
            continue
        buckets = {int(count.detail): count.orders for count in own}
        rows.append(
            {
                "stage": words,
                "count": orders_in(own),
                "mean": round(sum(count.amount for count in own) / orders_in(own)),
                "median": round(quantile(buckets, 0.5)),
                "p90": round(quantile(buckets, 0.9)),
            }
        )
    return Table(rows, max((int(row["count"] or 0) for row in rows), default=0))


async def handoffs(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(*look.of(Topic.HANDOFFS), "day", "item")
    rows: list[Row] = []
    for day, own in _by_day(counts).items():
        orders = {count.item: count.orders for count in own}
        late, on_time = orders.get(Handoff.LATE, 0), orders.get(Handoff.ON_TIME, 0)
        overdue = orders.get(Handoff.OPEN, 0) if is_over(own[0], look.today) else 0
        rows.append(
            {
                "day": str(day),
                **{state.value: orders.get(state, 0) for state in Handoff},
                "late_share": share(late + overdue, late + overdue + on_time),
            }
        )
    return Table(rows, orders_in(counts))


async def deliveries(views: InsightViews, look: Look) -> Table:
    counts = await views.counts(*look.of(Topic.DELIVERIES), "day", "item", "detail")
    rows: list[Row] = []
    for day, own in _by_day(counts).items():
        parcels = Counter[str]()
        for count in own:
            parcels[count.item] += count.units
        open_now = 0 if is_over(own[0], look.today) else parcels[Delivery.OPEN]
        judged = sum(parcels.values()) - parcels[Delivery.PRESUMED] - open_now
        rows.append(
            {
                "day": str(day),
                **{state.value: parcels[state] for state in Delivery},
                "late_share": share(judged - parcels[Delivery.ON_TIME], judged),
                "tracked": sum(count.units for count in own if count.detail.endswith(f" {TRACKED}")),
                "late_orders": sum(count.orders for count in own if count.item == Delivery.LATE),
            }
        )
    return Table(rows, sum(count.units for count in counts))


async def seller_metrics(views: InsightViews, look: Look) -> Table:
    measured = await metrics(views, look.seller or None, look.window.last, look.today)
    rows: list[Row] = [
        {**_metric_row(metric), "definition": metric.spec.definition, "source": metric.spec.source}
        for metric in measured
    ]
    return Table(rows, max(metric.whole for metric in measured))


async def metrics(views: InsightViews, seller: str | None, until: date, today: date) -> tuple[Metric, ...]:
    found: dict[Topic, tuple[Count, ...]] = {}
    for topic, window in _metric_windows(until).items():
        found[topic] = await views.counts(topic, seller or WHOLE_MARKETPLACE, window, "day", "item", "detail")
    return tuple(measure(spec, found[spec.topic], until, today) for spec in METRICS)


async def metrics_by_seller(views: InsightViews, look: Look) -> Table:
    until, windows = look.window.last, _metric_windows(look.window.last)
    sellers = (look.seller,) if look.seller else await _most_to_measure(views, windows, look.limit + 1)
    shown = sellers[: look.limit]
    keys: tuple[Key, ...] = ("seller", "day", "item", "detail")
    found: dict[tuple[str, Topic], list[Count]] = {}
    for topic, window in windows.items():
        for count in await views.counts(topic, EACH_SELLER, window, *keys, among_sellers=shown):
            found.setdefault((count.seller, topic), []).append(count)
    rows: list[Row] = []
    for seller in shown:
        for spec in METRICS:
            metric = measure(spec, found.get((seller, spec.topic), ()), until, look.today)
            rows.append({"seller": seller, **_metric_row(metric)})
    return Table(rows, sum(int(row["whole"] or 0) for row in rows), more=len(sellers) > look.limit)


async def _most_to_measure(views: InsightViews, windows: Mapping[Topic, Window], limit: int) -> tuple[str, ...]:
    all_days = Window(
        first=min(window.first for window in windows.values()), last=max(window.last for window in windows.values())
    )
    return await views.busiest_sellers([*windows], all_days, limit)


# -- stock -----------------------------------------------------------------------------


async def stock_advice(views: InsightViews, look: Look) -> Table:
    """The most urgent first; of one seller at the end also what lies there and nobody has wanted."""
    wanted = await views.demand(look.seller or EACH_SELLER, look.window, PLANNED_SKUS_MAX)
    stock = await views.stock([(one.seller, one.sku) for one in wanted])
    rows: list[Row] = []
    for one in wanted:
        there = stock.get((one.seller, one.sku))
        if there is not None:  # else it is listed no more
            demand = Demand(units=one.units, squares=one.squares, days=look.window.days)
            rows.append(_advice_row(there, demand, look.plan))
    rows.sort(key=lambda row: (not row["reorder"], row["cover_days"], row["seller"], row["sku"]))
    if look.seller and len(rows) <= look.limit:
        skus = [one.sku for one in wanted]
        nothing = Demand(units=0, squares=0, days=look.window.days)
        idle = await views.idle_stock(look.seller, skus, look.limit + 1 - len(rows))
        rows += [_advice_row(one, nothing, look.plan) for one in idle]
    return cut(rows, look, sum(one.units for one in wanted))


def _by_day(counts: Sequence[Count]) -> Mapping[date, list[Count]]:
    days: dict[date, list[Count]] = {}
    for count in counts:
        assert count.day is not None
        days.setdefault(count.day, []).append(count)
    return days


def _metric_windows(until: date) -> Mapping[Topic, Window]:
    """Of each topic all days that any of its metrics looks at."""
    windows: dict[Topic, Window] = {}
    for spec in METRICS:
        own = spec.window(until)
        known = windows.get(spec.topic, own)
        windows[spec.topic] = Window(first=min(own.first, known.first), last=max(own.last, known.last))
    return windows


def _metric_row(metric: Metric) -> dict[str, Cell]:
    return {
        "metric": metric.spec.name,
        "rate": metric.rate,
        "part": metric.part,
        "whole": metric.whole,
        "target": metric.spec.target_text,
        "met": metric.met,
        "first_day": str(metric.window.first),
        "last_day": str(metric.window.last),
    }


def _advice_row(there: SkuStock, demand: Demand, plan: Plan) -> Row:
    advised = advice(demand, Level(available=there.available, waiting=there.waiting), plan)
    return {
        "seller": there.seller,
        "sku": there.sku,
        "title": there.title,
        "available": there.available,
        "waiting": there.waiting,
        "wanted": demand.units,
        "per_day": round(demand.per_day, 3),
        "deviation": round(demand.deviation, 3),
        **advised.model_dump(),
    }
