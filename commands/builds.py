"""`build`: which build of the worker gets the orders."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from commands.argument_types import percent
from commands.exit_codes import OK
from commands.parsing import Arguments, Commands
from commands.showing import show, table
from usecases.errors import InvalidMessage
from usecases.temporal import connect

if TYPE_CHECKING:
    from usecases.builds import Builds, Routing


def add_commands(commands: Commands) -> None:
    builds = commands.group("build", "Which build of the worker gets the orders.")
    builds.add("show", _build_show, "Builds, which orders each gets, and when its workers last asked for some.")
    current = builds.add(
        "current", _build_current, "Give all orders, new and open ones, to a build (OPENORDERS_BUILD_ID)."
    )
    current.add_argument("build", nargs="?", metavar="BUILD")
    current.add_argument("--none", action="store_true", help="to workers without a build id")
    current.add_argument("--force", action="store_true", help="also where no worker of the build runs")
    ramp = builds.add(
        "ramp", _build_ramp, "Give a share of the orders, new and open ones, to a build; 0 takes them back."
    )
    ramp.add_argument("build", metavar="BUILD")
    ramp.add_argument("percent", type=percent, metavar="PERCENT")


async def _build_show(arguments: Arguments) -> int:
    async with _builds(arguments) as builds:
        routing, polling = await builds.routing(), await builds.polling()
    seen: dict[str | None, datetime | None] = {}
    seen.update((routing.builds if routing else {}).items())
    if routing is None or routing.current is None or None in polling:
        seen[None] = None
    rows = [
        {
            "build": build or "none",
            "orders": _given(routing, build),
            "first_seen": since and since.isoformat(timespec="seconds"),
            "last_asked": polling[build].isoformat(timespec="seconds") if build in polling else None,
        }
        for build, since in seen.items()
    ]
    show(arguments, rows, table(rows))
    return OK


def _given(routing: "Routing | None", build: str | None) -> str:
    """Which orders the build is given."""
    ramping = routing.ramping if routing else None
    current = routing.current if routing else None
    if ramping is not None and routing is not None and build in (current, ramping):
        return f"{routing.ramp_percent if build == ramping else 100 - routing.ramp_percent:g} %"
    return "all" if build == current else "none"


async def _build_current(arguments: Arguments) -> int:
    if (arguments.build is None) == (not arguments.none):
        raise InvalidMessage("build: give a build id, or --none for workers without one")
    async with _builds(arguments) as builds:
        await builds.make_current(arguments.build, force=arguments.force)
    who = f"build {arguments.build} gets" if arguments.build else "workers without a build id get"
    show(arguments, {"current": arguments.build}, f"{who} all orders from now on, new and open ones")
    return OK


async def _build_ramp(arguments: Arguments) -> int:
    async with _builds(arguments) as builds:
        await builds.ramp(arguments.build if arguments.percent else None, arguments.percent)
    answer = {"ramping": arguments.build if arguments.percent else None, "percent": arguments.percent}
    show(arguments, answer, f"build {arguments.build} gets {arguments.percent:g} % of the orders, new and open ones")
    return OK


@asynccontextmanager
async def _builds(arguments: Arguments) -> AsyncIterator["Builds"]:
    from usecases.builds import Builds

    timeout = timedelta(seconds=arguments.timeout)
    yield Builds(await connect(connect_timeout=timeout), timeout=timeout)
