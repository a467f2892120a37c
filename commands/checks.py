"""`check` and `reconcile`: whether all adds up, and mending what does not."""

from datetime import UTC, datetime, timedelta

from commands.argument_types import hours, positive
from commands.exit_codes import OK, REFUSED
from commands.parsing import Arguments, Commands
from commands.servers import open_database
from commands.showing import sheet, show
from domain.reconciling import ReconcileInput
from usecases.temporal import connect

_COMPARED_BY_HAND = 20_000
_NOT_COUNTED = ("orders", "ask_again", "looked_until_order_id")


def add_commands(commands: Commands) -> None:
    check = commands.add("check", _check, "Ask the database whether all units and money add up; prints what does not.")
    check.add_argument("--order", help="one order only")
    check.add_argument("--moving", action="store_true", help="only what holds in the middle of any step")
    mend = commands.add(
        "reconcile", _reconcile, "Find and mend now what PostgreSQL and Temporal disagree on; says what it did."
    )
    mend.add_argument("--dry-run", action="store_true", help="change nothing, and say what would be done")
    mend.add_argument(
        "--at-most", type=positive, metavar="N", help="take up to N orders up whose workflow is gone (50)"
    )
    mend.add_argument(
        "--hours", type=hours, metavar="H", help="compare all rows written in the last H hours (1), up to 20,000"
    )
    mend.add_argument("--grace", type=float, default=60.0, metavar="SECONDS", help="leave alone what is younger (60)")


async def _check(arguments: Arguments) -> int:
    from store.identities import violations

    async with open_database() as database:
        found = await violations(database, arguments.order, at_rest=not arguments.moving)
    show(arguments, {"violations": found}, "\n".join(found) or "all units and money add up")
    return REFUSED if found else OK


async def _reconcile(arguments: Arguments) -> int:
    from usecases.reconciliation import reconcile

    look = ReconcileInput(
        dry_run=arguments.dry_run,
        grace_seconds=arguments.grace,
        since=None if arguments.hours is None else datetime.now(UTC) - timedelta(hours=arguments.hours),
        **({} if arguments.hours is None else {"compared_max": _COMPARED_BY_HAND}),
        **({} if arguments.at_most is None else {"taken_up_max": arguments.at_most}),
    )
    report = await reconcile(await connect(), look)
    counts = {name: value for name, value in report.model_dump(mode="json").items() if name not in _NOT_COUNTED}
    show(arguments, report, "\n".join((sheet(counts), *report.orders)))
    return REFUSED if report.leaves_something else OK
