"""`insights`: reports, and the counts that they add up."""

from commands.argument_types import day, days, level, positive
from commands.exit_codes import OK
from commands.parsing import Arguments, Commands
from commands.servers import open_database
from commands.showing import show, table
from domain.insights_reports import ROWS, ReportName
from domain.insights_stock import LEAD_TIME_DAYS, SERVICE_LEVEL, Plan
from usecases.settings import load_settings


def add_commands(commands: Commands) -> None:
    insights = commands.group("insights", "Show reports, or count for them now.")
    report = insights.add(
        "show", _insights_show, "A report of a seller or of the whole marketplace (docs/insights.md)."
    )
    report.add_argument(
        "report", choices=[name.value for name in ReportName], metavar="REPORT", help=", ".join(ReportName)
    )
    report.add_argument("--seller", metavar="ID", help="of one seller only")
    report.add_argument("--from", dest="first", type=day, metavar="DAY", help="such as 2026-11-01 (30 days)")
    report.add_argument("--until", dest="last", type=day, metavar="DAY", help="that day included (today)")
    report.add_argument("--currency", metavar="CODE", help="orders in that currency only, where it has money")
    report.add_argument("--limit", type=positive, default=ROWS, metavar="N", help=f"rows of a list ({ROWS})")
    report.add_argument("--lead-time-days", type=days, default=LEAD_TIME_DAYS, metavar="N", help="of stock_advice")
    report.add_argument("--service-level", type=level, default=SERVICE_LEVEL, metavar="SHARE", help="of stock_advice")
    refresh = insights.add("refresh", _insights_refresh, "Count now what has changed; workers do it all the time.")
    rebuild = insights.add("rebuild", _insights_refresh, "Count everything anew.")
    refresh.set_defaults(rebuild=False)
    rebuild.set_defaults(rebuild=True)


async def _insights_show(arguments: Arguments) -> int:
    from store.insights.reading import InsightViews
    from usecases.insights import Insights, Question

    question = Question(
        seller=arguments.seller,
        first=arguments.first,
        last=arguments.last,
        currency=arguments.currency,
        limit=arguments.limit,
        plan=Plan(lead_time_days=arguments.lead_time_days, service_level=arguments.service_level),
    )
    async with open_database() as database:
        report = await Insights(InsightViews(database), load_settings().time_zone).report(arguments.report, question)
    heading = f"{report.title}, {report.window.first} to {report.window.last}, {report.time_zone}"
    words = [heading, report.definition, f"{report.sample_of}: {report.sample}".capitalize()]
    if not report.up_to_date:
        words.append("Orders that have changed wait to be counted: `insights refresh` does it now.")
    rows = report.model_dump(mode="json")["rows"]
    show(arguments, report, "\n".join([*words, "", table(rows) or "no orders"]))
    return OK


async def _insights_refresh(arguments: Arguments) -> int:
    """With `rebuild` everything is counted anew."""
    from store.insights.refreshing import Refreshing
    from usecases.insights_refresher import bring_up_to_date

    async with open_database() as database:
        counts = Refreshing(database, load_settings().time_zone)
        if arguments.rebuild:
            await counts.rebuild()
        await bring_up_to_date(counts)
    show(arguments, {"up_to_date": True}, "insights are up to date")
    return OK
