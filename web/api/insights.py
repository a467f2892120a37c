"""Insights: which reports there are, and each as JSON or CSV."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response

from domain.access import Caller
from domain.insights import Day
from domain.insights_reports import (
    REPORTS,
    ROWS,
    ROWS_MAX,
    Report,
    ReportName,
    ReportSpec,
    access_refusal,
    reports_for,
)
from domain.insights_stock import LEAD_TIME_DAYS_MAX, SERVICE_LEVEL_MAX, SERVICE_LEVEL_MIN, Plan
from domain.model import Currency, Frozen, PartyId
from usecases.insights import Question
from usecases.insights_csv import csv_name, csv_of
from web.api.callers import AnyCaller
from web.problems import HttpProblem, answers
from web.services import UseServices

router = APIRouter(tags=["insights"])

CSV = "text/csv"
_OK: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report, as JSON or, where `format` says so, as CSV",
        "content": {CSV: {"schema": {"type": "string"}}},
    }
}


class ReportList(Frozen):
    reports: tuple[ReportSpec, ...]


@router.get("/insights", summary="Which reports there are", responses=answers(401, 503))
async def reports(caller: AnyCaller) -> ReportList:
    """Those that this key may see, each with its definition in one sentence and its columns."""
    return ReportList(reports=reports_for(caller))


@router.get(
    "/insights/{report}",
    summary="A report",
    response_model=Report,
    responses={**_OK, **answers(401, 403, 422, 503)},
)
async def report(
    report: Annotated[ReportName, Path(description="Which one.")],
    services: UseServices,
    caller: AnyCaller,
    seller: Annotated[
        PartyId | None, Query(description="Of one seller only; a seller's key always sees its own.")
    ] = None,
    first: Annotated[
        Day | None, Query(alias="from", description="The first of 3,660 days at most; of 30 without one.")
    ] = None,
    last: Annotated[Day | None, Query(alias="until", description="The last day, included: today without one.")] = None,
    currency: Annotated[Currency | None, Query(description="Orders in it only, in reports that have money.")] = None,
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX, description="Rows of products, sellers, regions, pairs.")] = ROWS,
    lead_time_days: Annotated[float, Query(gt=0, le=LEAD_TIME_DAYS_MAX, description="Of `stock_advice`.")] = 14,
    service_level: Annotated[
        float, Query(ge=SERVICE_LEVEL_MIN, le=SERVICE_LEVEL_MAX, description="Of `stock_advice`.")
    ] = 0.95,
    format: Literal["json", "csv"] = "json",
) -> Report | Response:
    """Days are those of the marketplace's zone, which the answer names; amounts are minor units."""
    found = await services.insights.report(
        report,
        Question(
            seller=whose(caller, seller, report),
            first=first,
            last=last,
            currency=currency,
            limit=limit,
            plan=Plan(lead_time_days=lead_time_days, service_level=service_level),
        ),
    )
    return as_csv(found) if format == "csv" else found


def whose(caller: Caller, seller: str | None, report: ReportName) -> str | None:
    """The seller whose numbers are asked for; None: the whole marketplace. Raises `HttpProblem`."""
    refusal = access_refusal(caller, seller, REPORTS[report])
    if refusal is not None:
        raise HttpProblem(403, "forbidden", refusal)
    return caller.seller or seller


def as_csv(report: Report) -> Response:
    name = {"Content-Disposition": f'attachment; filename="{csv_name(report)}"'}
    return Response(csv_of(report), media_type=f"{CSV}; charset=utf-8", headers=name)
