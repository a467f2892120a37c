"""Insights: a report for whoever may see it, made from counts per day."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from domain.insights import TINY_SAMPLE, WHOLE_MARKETPLACE, Topic, Window, window_of, window_until
from domain.insights_metrics import Metric
from domain.insights_reports import REPORTS, ROWS, Report, ReportName
from domain.insights_stock import Plan
from domain.model import Frozen
from store.insights.reading import InsightViews
from usecases import insights_performance as fulfilled
from usecases import insights_sales as sold


class Question(Frozen):
    """What is asked of a report. Days without a default are the last thirty, today included."""

    seller: str | None = None
    first: date | None = None
    last: date | None = None
    currency: str | None = None
    limit: int = ROWS
    plan: Plan = Plan()


class Frame(Frozen):
    """In whose calendar is counted, what day it is there, when that was last done, and whether nothing waits."""

    time_zone: str
    today: date
    up_to_date: bool
    counted_at: datetime | None


class Insights:
    def __init__(self, views: InsightViews, time_zone: str) -> None:
        self._views = views
        self._time_zone = time_zone

    async def frame(self) -> Frame:
        """The zone is that of the counts, which may be another one for a while after it was changed."""
        known = await self._views.freshness()
        zone = known.time_zone or self._time_zone
        return Frame(
            time_zone=zone,
            today=datetime.now(UTC).astimezone(ZoneInfo(zone)).date(),
            up_to_date=known.up_to_date,
            counted_at=known.counted_at,
        )

    async def report(self, name: ReportName, question: Question, frame: Frame | None = None) -> Report:
        """Whether the caller may see it is asked before."""
        spec = REPORTS[name]
        frame = frame or await self.frame()
        # Stock is planned by whole days: today would make a demand look smaller than it is.
        today = frame.today - timedelta(days=1) if name is ReportName.STOCK_ADVICE else frame.today
        window = window_of(question.first, question.last, today)
        look = sold.Look(
            seller=question.seller or WHOLE_MARKETPLACE,
            window=window,
            currency=question.currency,
            limit=question.limit,
            plan=question.plan,
            today=frame.today,
        )
        table = await _TABLES[name](self._views, look)
        return Report(
            report=name,
            title=spec.title,
            definition=spec.definition,
            seller=question.seller,
            window=window,
            time_zone=frame.time_zone,
            up_to_date=frame.up_to_date,
            sample=table.sample,
            sample_of=spec.in_all,
            tiny_sample=table.sample < TINY_SAMPLE,
            columns=spec.columns,
            rows=tuple(table.rows),
            more=table.more,
        )

    async def last_window(self, seller: str | None, days: int) -> Window | None:
        """So many days up to the last one on which an order was placed; None where there was none ever."""
        last = await self._views.last_day(seller or WHOLE_MARKETPLACE)
        return window_until(last, days) if last else None

    async def currencies(self, seller: str | None, window: Window) -> tuple[str, ...]:
        """Of the orders placed in the window, the one of the most orders first."""
        found = await self._views.counts(Topic.ORDERS, seller or WHOLE_MARKETPLACE, window, "currency", most="orders")
        return tuple(count.currency for count in found)

    async def seller_names(self, sellers: Sequence[str]) -> Mapping[str, str]:
        return await self._views.names(sellers)

    async def metrics(self, seller: str | None, until: date, today: date) -> tuple[Metric, ...]:
        return await fulfilled.metrics(self._views, seller, until, today)


_TABLES: Mapping[ReportName, Callable[[InsightViews, sold.Look], Awaitable[sold.Table]]] = {
    ReportName.SALES: sold.sales,
    ReportName.MONTHS: sold.months,
    ReportName.ORDER_STATUSES: sold.order_statuses,
    ReportName.PRODUCTS: sold.products,
    ReportName.SELLERS: sold.sellers,
    ReportName.PEAK_HOURS: sold.peak_hours,
    ReportName.BASKET_AVERAGES: sold.basket_averages,
    ReportName.BASKET_SIZES: sold.basket_sizes,
    ReportName.BASKET_VALUES: sold.basket_values,
    ReportName.CUSTOMERS: sold.customers,
    ReportName.REGIONS: sold.regions,
    ReportName.BOUGHT_TOGETHER: sold.bought_together,
    ReportName.CANCELLATIONS: fulfilled.cancellations,
    ReportName.CYCLE_TIMES: fulfilled.cycle_times,
    ReportName.HANDOFFS: fulfilled.handoffs,
    ReportName.DELIVERIES: fulfilled.deliveries,
    ReportName.SELLER_METRICS: fulfilled.seller_metrics,
    ReportName.METRICS_BY_SELLER: fulfilled.metrics_by_seller,
    ReportName.STOCK_ADVICE: fulfilled.stock_advice,
}
