"""`replay`: recorded orders, played and compared."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from commands.argument_types import factor, positive
from commands.exit_codes import OK, REFUSED
from commands.parsing import Arguments, Commands
from commands.servers import open_database, open_orders
from commands.showing import cell, end_progress, show, show_progress, table
from usecases.errors import InvalidOrder

if TYPE_CHECKING:
    from usecases.replay import Progress
    from usecases.replay_report import ReplayReport


def add_commands(commands: Commands) -> None:
    replay = commands.add("replay", _replay, "Play recorded orders at their recorded times, and compare.")
    replay.description = (
        "Play the orders of an Olist folder (docs/olist.md) at their recorded times, on fast clocks of their own, and "
        "compare what became of them with the files. The worker needs OPENORDERS_CARRIER=manual. Safe to run again."
    )
    replay.add_argument("folder", metavar="FOLDER", help="an Olist folder")
    replay.add_argument(
        "--factor",
        type=factor,
        default=8640.0,
        metavar="N",
        help="how fast its time passes (8640: a day in ten seconds)",
    )
    replay.add_argument("--at-once", type=positive, default=20, metavar="N", help="messages under way at a time (20)")
    replay.add_argument("--only", type=positive, metavar="N", help="the first N orders of the folder")


async def _replay(arguments: Arguments) -> int:
    from usecases.olist import NotOlist
    from usecases.replaying import replay_folder

    ticker = _Ticker()
    async with open_orders(arguments) as orders, open_database() as database:
        try:
            report = await replay_folder(
                orders,
                database,
                Path(arguments.folder),
                factor=arguments.factor,
                at_once=arguments.at_once,
                only=arguments.only,
                told=ticker,
            )
        except NotOlist as error:
            raise InvalidOrder(str(error)) from None
    end_progress()
    show(arguments, report, _replay_text(report))
    return OK if report.ok else REFUSED


class _Ticker:
    """One line of a replay's progress a second on a terminal, else one in ten."""

    def __init__(self) -> None:
        self._pause = 1.0 if sys.stderr.isatty() else 10.0
        self._began = self._next = time.monotonic()

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if now < self._next and (progress.started, progress.made) != (progress.orders, progress.moves):
            return
        self._next = now + self._pause
        lag = f"{progress.lag.seconds:.1f} s" if progress.lag else "none"
        show_progress(
            f"{now - self._began:.0f} s: {progress.started} of {progress.orders} orders started, "
            f"{progress.made} of {progress.moves} moves made, largest lag {lag}, {len(progress.refused)} refused"
        )


def _replay_text(report: "ReplayReport") -> str:
    """Each difference with its rule, then the figures."""
    lines = [
        f"{one.order_id}  {one.about}: {one.files} in the files, {one.engine} here ({one.rule or 'UNEXPLAINED'})"
        for one in report.differences
    ]
    lines += [f"{one.order_id}  {one.what} refused: {one.reason}" for one in report.refused]
    lines += report.violations
    statuses = sorted({*report.expected, *report.actual})
    counts = [{"status": s, "expected": report.expected.get(s, 0), "actual": report.actual.get(s, 0)} for s in statuses]
    rules = [{"rule": rule, "differences": count} for rule, count in report.rules.items()]
    answered, heard = (
        f"{lag.seconds:.1f} s, {lag.business_hours:.1f} h on its clock ({lag.what}, {lag.order_id})" if lag else "none"
        for lag in (report.lag_answered, report.lag_heard)
    )
    figures = [
        f"{report.orders} orders of {report.folder} at a factor of {report.factor:g}, in {report.seconds:.0f} s",
        f"in the files: {cell(report.files)}",
        f"{report.units} units; {report.captured} captured; "
        f"{report.handed_over_late} handed over late, {report.delivered_late} delivered late",
        f"largest lag until a message was answered: {answered}",
        f"largest lag until an order heard of it: {heard}",
        f"{len(report.differences)} differences, {report.unexplained} of them unexplained; "
        f"{len(report.refused)} messages refused; {len(report.violations)} violations of units or money",
    ]
    parts = ["\n".join(lines), table(counts), table(rules) if rules else "", "\n".join(figures)]
    return "\n\n".join(part for part in parts if part)
