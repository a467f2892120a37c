"""`make demo`: plays orders from checkout to delivered on servers of its own, and leaves nothing running.

Exit codes: 0 where every order ended as it should and all units and money add up, else 1; 130 after Ctrl-C,
143 after SIGTERM.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import Error as BrowserError
from pydantic import SecretStr

from domain.access import Scope
from localstack.chromium import NoChromium, chromium
from localstack.demo import pictures
from localstack.demo.given import given
from localstack.demo.performance import Performance
from localstack.demo.report import report
from localstack.demo.sample import DAYS, sample
from localstack.demo.story import SECONDS_PER_DAY, Programme
from localstack.demo.under_way import UnderWay
from localstack.demo.watching import Live
from localstack.demo.weeks import with_weeks
from localstack.errors import LocalStackError
from localstack.interruption import run_until_signalled
from localstack.process import ManagedProcess
from localstack.stack import Stack, ended_by_signals, signals_held_back
from localstack.worker_process import state_dir, wait_until_ready
from store.database import Database
from store.keys import Keys
from store.views.order import OrderViews
from store.views.orders import OrderLists
from usecases.keys import new_key
from usecases.orders import Orders
from usecases.process import end_process
from usecases.settings import Settings
from usecases.temporal import connect
from workflows.names import SEARCH_ATTRIBUTES

_ORDERS_MAX = 20


def main(argv: list[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        with ended_by_signals():
            return _demo(_chosen(arguments))
    except KeyboardInterrupt:
        _line("\nStopped; nothing is left running.")
        return 130
    except SystemExit as ended:  # by another signal
        return int(ended.code or 0)
    except LocalStackError as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localstack.demo", description=__doc__)
    parser.add_argument(
        "orders", nargs="?", type=Path, help="JSON Lines of order bodies (schemas/order.json), or an Olist folder"
    )
    parser.add_argument(
        "--screenshots", type=Path, metavar="FOLDER", help="play the sample and weeks before it, for pictures in here"
    )
    return parser


class Show(NamedTuple):
    """What is played, and which pictures are taken at the end: none of somebody else's orders."""

    programme: Programme
    pictured: bool
    screenshots: Path | None = None


def _chosen(arguments: argparse.Namespace) -> Show:
    if arguments.screenshots is not None:
        if arguments.orders is not None:
            raise LocalStackError("--screenshots are of the project's own sample, and of no other orders")
        asyncio.run(_refuse_without_chromium())
        return Show(with_weeks(sample(), datetime.now(UTC)), pictured=True, screenshots=arguments.screenshots)
    if arguments.orders is not None:
        return Show(given(arguments.orders, _orders_max()), pictured=False)
    return Show(sample(), pictured=True)


async def _refuse_without_chromium() -> None:
    """At once, and not after minutes of play."""
    async with chromium():
        pass


def _orders_max() -> int:
    text = os.environ.get("ORDERS_MAX") or str(_ORDERS_MAX)
    if not text.isdecimal() or int(text) == 0:
        raise LocalStackError(f"ORDERS_MAX must be a number from 1, not {text!r}")
    return int(text)


def _demo(show: Show) -> int:
    started = time.monotonic()
    stack = Stack(state_dir() / "demo", search_attributes=SEARCH_ATTRIBUTES, durable=False, say=_line)
    stack.remove_leftovers()
    _line("Starting PostgreSQL, Temporal, a mail server, a worker and the web ...")
    with stack, _state_thrown_away(stack):
        worker, web = stack.worker(worker_settings(show.programme)), stack.web()
        for process in (worker, web):
            process.start()
        for process in (worker, web):
            wait_until_ready(process)
        _line(f"All of it runs after {time.monotonic() - started:.0f} s.")
        wrong, found = run_until_signalled(_play(stack, worker, show))
        if wrong:
            raise LocalStackError(f"not everything is as it should be; until the next demo, see {worker.log}")
    _keep(found, show.screenshots or stack.state_dir / "pictures")
    for trouble in show.programme.troubles:
        _line(trouble)
    wrong = len(show.programme.troubles)
    _line(f"{'NOT well' if wrong else 'All well'} after {time.monotonic() - started:.0f} s; everything is stopped.")
    return 1 if wrong else 0


def _keep(found: pictures.Pictures, folder: Path) -> None:
    """After the state of the servers was thrown away, in whose folder they may be."""
    if not found:
        return
    pictures.keep(found, folder)
    shown = os.path.relpath(folder)
    _line(f"{len(found)} pictures of the pages are in {folder if shown.startswith('..') else shown}.")


@contextmanager
def _state_thrown_away(stack: Stack) -> Iterator[None]:
    """Unless something went wrong in here: then its logs are wanted, and the next demo throws them away."""
    try:
        yield
    except Exception:
        raise
    except BaseException:  # somebody has ended it
        _remove(stack)
        raise
    else:
        _remove(stack)


def _remove(stack: Stack) -> None:
    with signals_held_back():
        stack.remove()


def worker_settings(programme: Programme) -> dict[str, str]:
    """Over whatever a developer has set for other servers."""
    return {
        "OPENORDERS_CARRIER": "simulated",
        "OPENORDERS_CARRIER_SCENARIOS": programme.carrier.model_dump_json(),
        "OPENORDERS_NETWORK_SCENARIOS": programme.network.model_dump_json(),
    }


async def _play(stack: Stack, worker: ManagedProcess, show: Show) -> tuple[int, pictures.Pictures]:
    """How many things are not as they should be, and pictures where all are."""
    programme = show.programme
    client = await connect(environ=stack.environment)
    database = Database(Settings(database_url=SecretStr(stack.postgres.dsn)).database_url, pool_size=4)
    try:
        _print_guide(stack, worker, await new_key(Keys(database), Scope.SUPPORT, "make demo"), programme)
        id_width = max((len(story.order_id) for story in programme.stories), default=0)
        live = Live(OrderLists(database), OrderViews(database), _line, id_width)
        orders = Orders(client)
        endings = await Performance(orders, database, live, worker).play(programme)
        mails = list(reversed(stack.mails.mailbox.all()))
        wrong = await report(endings, database, mails, _line)
        if wrong or not show.pictured:
            return wrong, {}
        return 0, await taken(show, stack.web_url, Keys(database), UnderWay(orders, programme.catalog))
    finally:
        await database.close()


async def taken(show: Show, web_url: str, keys: Keys, under_way: UnderWay) -> pictures.Pictures:
    """None where there is no browser that works, unless it is pictures that were asked for."""
    days = DAYS if show.screenshots is None else None
    try:
        found = await pictures.take_pictures(web_url, keys, under_way, days)
    except (NoChromium, BrowserError) as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # Ctrl-C reaches the browser too
            raise asyncio.CancelledError from None
        reason = str(error).partition("\n")[0]
        if show.screenshots is not None:
            raise LocalStackError(f"no pictures: {reason}") from error
        _line(f"No pictures of the pages: {reason}")
        return {}
    return found if show.screenshots is None else {name: found[name] for name in pictures.IN_README}


def _print_guide(stack: Stack, worker: ManagedProcess, support_key: str, programme: Programme) -> None:
    rows = (
        ("Shop, and pages of orders", stack.web_url),
        ("Sign in as support with", support_key),
        ("Orders in the Temporal UI", f"{stack.temporal.ui_url}/namespaces/default/workflows"),
        ("Mails, with links to orders", stack.mails.url),
        ("Kill the worker, if you like: orders go on", f"kill -9 {worker.pid}"),
    )
    width = max(len(name) for name, _ in rows)
    for text in (
        "",
        "While this runs:",
        *(f"  {name:<{width}}  {value}" for name, value in rows),
        "",
        f"{len(programme.stories)} orders, on a clock on which a day takes {SECONDS_PER_DAY:g} seconds. "
        "Business time is UTC; timelines come at the end.",
        *programme.notes,
        *programme.troubles,
        "",
    ):
        _line(text)


def _line(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # whoever read this, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
