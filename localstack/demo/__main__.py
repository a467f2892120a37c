"""`make demo`: plays orders from checkout to delivered on servers of its own, and leaves nothing running.

Exit codes: 0 where every order ended as it should and all units and money add up, else 1; 130 after Ctrl-C,
143 after SIGTERM.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from localstack.demo.given import given
from localstack.demo.performance import Performance
from localstack.demo.report import report
from localstack.demo.sample import sample
from localstack.demo.story import SECONDS_PER_DAY, Programme
from localstack.demo.watching import Live
from localstack.errors import LocalStackError
from localstack.interruption import run_until_signalled
from localstack.process import ManagedProcess
from localstack.stack import Stack, ended_by_signals, signals_held_back
from localstack.worker_process import state_dir, wait_until_ready
from store.database import Database
from store.views.order import OrderViews
from store.views.orders import OrderLists
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
            return _demo(given(arguments.orders, _orders_max()) if arguments.orders else sample())
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
    return parser


def _orders_max() -> int:
    text = os.environ.get("ORDERS_MAX") or str(_ORDERS_MAX)
    if not text.isdecimal() or int(text) == 0:
        raise LocalStackError(f"ORDERS_MAX must be a number from 1, not {text!r}")
    return int(text)


def _demo(programme: Programme) -> int:
    started = time.monotonic()
    stack = Stack(state_dir() / "demo", search_attributes=SEARCH_ATTRIBUTES, durable=False, say=_line)
    stack.remove_leftovers()
    _line("Starting PostgreSQL, Temporal, a mail server and a worker ...")
    with stack, _state_thrown_away(stack):
        worker = stack.worker(_worker_settings(programme))
        worker.start()
        wait_until_ready(worker)
        _line(f"All of it runs after {time.monotonic() - started:.0f} s.")
        _print_guide(stack, worker, programme)
        wrong = run_until_signalled(_play(stack, worker, programme))
        if wrong:
            raise LocalStackError(f"not everything is as it should be; until the next demo, see {worker.log}")
    for trouble in programme.troubles:
        _line(trouble)
    wrong = len(programme.troubles)
    _line(f"{'NOT well' if wrong else 'All well'} after {time.monotonic() - started:.0f} s; everything is stopped.")
    return 1 if wrong else 0


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


def _worker_settings(programme: Programme) -> dict[str, str]:
    """Over whatever a developer has set for other servers."""
    return {
        "OPENORDERS_CARRIER": "simulated",
        "OPENORDERS_CARRIER_SCENARIOS": programme.carrier.model_dump_json(),
        "OPENORDERS_NETWORK_SCENARIOS": programme.network.model_dump_json(),
    }


async def _play(stack: Stack, worker: ManagedProcess, programme: Programme) -> int:
    client = await connect(environ=stack.environment)
    database = Database(Settings(database_url=SecretStr(stack.postgres.dsn)).database_url, pool_size=4)
    try:
        id_width = max((len(story.order_id) for story in programme.stories), default=0)
        live = Live(OrderLists(database), OrderViews(database), _line, id_width)
        endings = await Performance(Orders(client), database, live, worker).play(programme)
        mails = list(reversed(stack.mails.mailbox.all()))
        return await report(endings, database, mails, _line)
    finally:
        await database.close()


def _print_guide(stack: Stack, worker: ManagedProcess, programme: Programme) -> None:
    ui = f"{stack.temporal.ui_url}/namespaces/default/workflows"
    for text in (
        "",
        f"  Orders in the Temporal UI, while this runs  {ui}",
        f"  Mails                                       {stack.mails.url}",
        f"  Kill the worker, if you like: orders go on  kill -9 {worker.pid}",
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
