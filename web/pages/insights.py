"""Insights: what sells, when and where, and how well it is fulfilled; for a seller, or for the whole marketplace."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode

from babel import Locale
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BeforeValidator

from adapters.mail.formats import Formats
from domain.access import Caller
from domain.insights import TINY_SAMPLE, Day, Window, window_of, window_until
from domain.insights_cancellations import REASONS
from domain.insights_metrics import METRICS, Metric
from domain.insights_reports import CSV_ROWS_MAX, Report, ReportName
from domain.insights_stock import (
    LEAD_TIME_DAYS,
    LEAD_TIME_DAYS_MAX,
    SERVICE_LEVEL,
    SERVICE_LEVEL_MAX,
    SERVICE_LEVEL_MIN,
    Plan,
)
from domain.model import Currency, PartyId
from usecases.insights import Frame, Question
from web.api.insights import as_csv, whose
from web.pages import charts
from web.pages import insights_charts as shown
from web.pages.sessions import InsightsPage
from web.pages.templates import known_zone, render
from web.services import Services, UseServices

router = APIRouter(prefix="/insights")

SECTIONS: tuple[tuple[str, str], ...] = (
    ("", "Overview"),
    ("sales", "Sales and products"),
    ("buying", "Buying patterns"),
    ("peaks", "Peak periods"),
    ("stock", "Stock advice"),
    ("performance", "Performance"),
    ("cancellations", "Cancellations"),
)
WINDOWS = ((7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year"))
LIST_ROWS = 20
STOCK_ROWS = 100
NUMBERS_MAX = 100
"""Rows of a chart's table on the page; its CSV has all."""


def _or_none(value: Any) -> Any:
    """A form sends a field that nobody has filled in as an empty one."""
    return None if value == "" else value


_Empty = BeforeValidator(_or_none)
ADay = Annotated[Day | None, _Empty]


@dataclass(frozen=True)
class Desk:
    """Whose numbers are looked at, and of which days; what every page of insights begins with."""

    request: Request
    services: Services
    caller: Caller
    seller: str | None
    frame: Frame
    window: Window
    currency: str | None
    currencies: tuple[str, ...]
    """Of the orders in the window, the one of the most orders first."""

    asked: Mapping[str, Any]
    """What the address says, for links that keep it."""

    async def report(self, name: ReportName, *, limit: int = LIST_ROWS, window: Window | None = None) -> Report:
        """In the currency that was chosen, where one was."""
        window = window or self.window
        question = Question(
            seller=self.seller, first=window.first, last=window.last, currency=self.currency, limit=limit
        )
        return await self.services.insights.report(name, question, self.frame)

    async def of_marketplace(self, name: ReportName, *, limit: int = LIST_ROWS) -> Report | None:
        """None where one seller is looked at."""
        return await self.report(name, limit=limit) if self.seller is None else None

    async def metrics(self) -> tuple[Metric, ...]:
        return await self.services.insights.metrics(self.seller, self.window.last, self.frame.today)

    @property
    def formats(self) -> Formats:
        return Formats(Locale("en"), known_zone(self.frame.time_zone))

    @property
    def money(self) -> tuple[str, ...]:
        """The currencies of charts and figures: the one that was chosen, else all that there are."""
        return (self.currency,) if self.currency else self.currencies

    def link(self, section: str = "", **changes: Any) -> str:
        """To a page of insights, with what is looked at kept but for the changes."""
        kept = {name: str(value) for name, value in {**self.asked, **changes}.items() if value not in (None, "")}
        return "/insights" + (f"/{section}" if section else "") + (f"?{urlencode(kept)}" if kept else "")

    def of_days(self, section: str, window: Window) -> str:
        return self.link(section, **{"from": window.first, "until": window.last})

    def last_days(self, section: str, days: int) -> str:
        """So many days, up to the last one that is looked at."""
        return self.of_days(section, window_until(self.window.last, days))

    def csv(self, report: Report, **more: Any) -> str:
        days = {"from": report.window.first, "until": report.window.last}
        return self.link(f"csv/{report.report}", **days, **more)

    async def page(self, section: str, **facts: Any) -> Response:
        insights = self.services.insights
        last = None if self.currencies else await insights.last_window(self.seller, self.window.days)
        names = await insights.seller_names([self.seller]) if self.seller else {}
        return await render(
            self.request,
            f"insights_{section or 'overview'}.html",
            zone=self.frame.time_zone,
            caller=self.caller,
            desk=self,
            section=section,
            sections=SECTIONS,
            windows=WINDOWS,
            whose=names.get(self.seller or "", self.seller),
            last_window=last,
            charts=charts,
            shown=shown,
            REASONS=REASONS,
            NUMBERS_MAX=NUMBERS_MAX,
            LIST_ROWS=LIST_ROWS,
            TINY_SAMPLE=TINY_SAMPLE,
            **facts,
        )


async def _desk(
    request: Request,
    services: UseServices,
    caller: InsightsPage,
    seller: Annotated[PartyId | None, _Empty] = None,
    first: Annotated[ADay, Query(alias="from")] = None,
    last: Annotated[ADay, Query(alias="until")] = None,
    currency: Annotated[Currency | None, _Empty] = None,
) -> Desk:
    seller = whose(caller, seller, ReportName.SALES)
    frame = await services.insights.frame()
    window = window_of(first, last, frame.today)
    asked = {"seller": None if caller.seller else seller, "from": first, "until": last, "currency": currency}
    return Desk(
        request=request,
        services=services,
        caller=caller,
        seller=seller,
        frame=frame,
        window=window,
        currency=currency,
        currencies=await services.insights.currencies(seller, window),
        asked={name: value for name, value in asked.items() if value is not None},
    )


async def _plan(
    lead_time_days: Annotated[float, Query(gt=0, le=LEAD_TIME_DAYS_MAX)] = LEAD_TIME_DAYS,
    service_level: Annotated[float, Query(ge=SERVICE_LEVEL_MIN, le=SERVICE_LEVEL_MAX)] = SERVICE_LEVEL,
) -> Plan:
    return Plan(lead_time_days=lead_time_days, service_level=service_level)


ADesk = Annotated[Desk, Depends(_desk)]
APlan = Annotated[Plan, Depends(_plan)]


# -- the pages ----------------------------------------------------------------------------


@router.get("")
async def overview(desk: ADesk) -> Response:
    sales, before, statuses, products, averages, sellers = await asyncio.gather(
        desk.report(ReportName.SALES),
        desk.report(ReportName.SALES, window=desk.window.before()),
        desk.report(ReportName.ORDER_STATUSES),
        desk.report(ReportName.PRODUCTS, limit=5),
        desk.report(ReportName.BASKET_AVERAGES),
        desk.of_marketplace(ReportName.SELLERS, limit=5),
    )
    return await desk.page(
        "",
        tiles=shown.tiles(sales, before, averages, desk.money[:2], desk.formats),
        sales=sales,
        statuses=statuses,
        products=products,
        sellers=sellers,
        metrics=await desk.metrics(),
    )


@router.get("/sales")
async def sales(desk: ADesk) -> Response:
    by_day, by_month, products, sellers = await asyncio.gather(
        desk.report(ReportName.SALES),
        desk.report(ReportName.MONTHS),
        desk.report(ReportName.PRODUCTS),
        desk.of_marketplace(ReportName.SELLERS),
    )
    return await desk.page("sales", sales=by_day, months=by_month, products=products, sellers=sellers)


@router.get("/buying")
async def buying(desk: ADesk) -> Response:
    averages, sizes, values, customers, regions, pairs = await asyncio.gather(
        desk.report(ReportName.BASKET_AVERAGES),
        desk.report(ReportName.BASKET_SIZES),
        desk.report(ReportName.BASKET_VALUES),
        desk.report(ReportName.CUSTOMERS),
        desk.report(ReportName.REGIONS, limit=100),
        desk.report(ReportName.BOUGHT_TOGETHER),
    )
    return await desk.page(
        "buying", averages=averages, sizes=sizes, values=values, customers=customers, regions=regions, pairs=pairs
    )


@router.get("/peaks")
async def peaks(desk: ADesk) -> Response:
    """Seasons show over years, whatever days are looked at."""
    last = desk.window.last
    two_years = Window(first=date(last.year - 2 + last.month // 12, last.month % 12 + 1, 1), last=last)
    hours, months = await asyncio.gather(
        desk.report(ReportName.PEAK_HOURS), desk.report(ReportName.MONTHS, window=two_years)
    )
    return await desk.page("peaks", hours=hours, months=months)


@router.get("/stock")
async def stock(desk: ADesk, plan: APlan) -> Response:
    """Without days of its own it looks at whole ones: see `Insights.report`."""
    question = Question(
        seller=desk.seller, first=desk.asked.get("from"), last=desk.asked.get("until"), limit=STOCK_ROWS, plan=plan
    )
    report = await desk.services.insights.report(ReportName.STOCK_ADVICE, question, desk.frame)
    csv = desk.csv(report, lead_time_days=f"{plan.lead_time_days:g}", service_level=f"{plan.service_level:g}")
    return await desk.page("stock", stock=report, plan=plan, csv=csv)


@router.get("/performance")
async def performance(desk: ADesk) -> Response:
    cycle, handoffs, deliveries, by_seller = await asyncio.gather(
        desk.report(ReportName.CYCLE_TIMES),
        desk.report(ReportName.HANDOFFS),
        desk.report(ReportName.DELIVERIES),
        desk.of_marketplace(ReportName.METRICS_BY_SELLER),
    )
    return await desk.page(
        "performance",
        metrics=await desk.metrics(),
        METRICS=METRICS,
        cycle=cycle,
        handoffs=handoffs,
        deliveries=deliveries,
        by_seller=by_seller,
    )


@router.get("/cancellations")
async def cancellations(desk: ADesk) -> Response:
    reasons, statuses = await asyncio.gather(
        desk.report(ReportName.CANCELLATIONS), desk.report(ReportName.ORDER_STATUSES)
    )
    return await desk.page("cancellations", reasons=reasons, statuses=statuses)


@router.get("/csv/{report}")
async def csv(report: ReportName, desk: ADesk, plan: APlan) -> Response:
    """What a chart on a page was made from, for whoever is signed in."""
    whose(desk.caller, None, report)
    question = Question(
        seller=desk.seller,
        first=desk.window.first,
        last=desk.window.last,
        currency=desk.currency,
        limit=CSV_ROWS_MAX,
        plan=plan,
    )
    return as_csv(await desk.services.insights.report(report, question, desk.frame))
