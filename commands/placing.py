"""`place` and `import`: one order, or many."""

import os
import sys
from pathlib import Path

from commands.exit_codes import OK, REFUSED, UNREACHABLE
from commands.parsing import Arguments, Commands
from commands.reading import open_file, read_json
from commands.servers import open_remembered_orders
from commands.showing import end_progress, say, show, show_progress
from commands.stock import put_into_stock
from usecases.errors import InvalidOrder, OrderError, Unreachable
from usecases.importing import ImportReport, ImportRow, import_orders, json_lines
from usecases.orders import Placed


def add_commands(commands: Commands) -> None:
    place = commands.add("place", _place, "Place an order; the same order again changes nothing.")
    place.add_argument("file", help="the body (schemas/order.json), or - for standard input")
    place.add_argument("--no-wait", action="store_true", help="do not wait until it was recorded or refused")
    importing = commands.add("import", _import, "Place many orders; safe to run again.")
    importing.add_argument("path", help="a file of JSON Lines, - for standard input, or an Olist folder")


async def _place(arguments: Arguments) -> int:
    body = read_json(arguments.file, InvalidOrder)
    async with open_remembered_orders(arguments) as orders:
        placed = await orders.place(body)
        refusal: OrderError | None = None
        if placed.outcome == "new" and not arguments.no_wait:
            try:
                refusal = await orders.refusal(placed.order_id)
            except Unreachable as nobody_looked:
                refusal = nobody_looked
        if refusal is None or isinstance(refusal, Unreachable):  # it stands, and waits for somebody to look
            show(arguments, placed, f"{placed.order_id}: {_OUTCOMES[placed.outcome]}{_ended_as(placed)}")
        if refusal is not None:
            raise refusal
    return OK


_OUTCOMES = {
    "new": "placed",
    "running_same": "is there already and goes on",
    "finished_same": "is there already and has ended",
}


def _ended_as(placed: Placed) -> str:
    return f" as {placed.result.status}" if placed.result else ""


async def _import(arguments: Arguments) -> int:
    async with open_remembered_orders(arguments) as orders:
        if os.path.isdir(arguments.path):  # noqa: ASYNC240 - nothing else runs yet
            report = await import_orders(orders, await _olist_rows(Path(arguments.path)), told=_tell)
        else:
            with open_file(arguments.path) as file:
                report = await import_orders(orders, json_lines(file), told=_tell)
    end_progress()
    for trouble in report.troubles:
        say(f"{trouble.where}: {trouble.kind}: {trouble.reason}")
    show(arguments, report, _import_summary(report))
    if any(trouble.kind == "unreachable" for trouble in report.troubles):
        return UNREACHABLE
    return REFUSED if report.troubles else OK


async def _olist_rows(folder: Path) -> list[ImportRow]:
    """With what the orders buy put into stock first."""
    from usecases.olist import NotOlist, read_olist, shown

    try:
        olist = read_olist(folder)
    except NotOlist as error:
        raise InvalidOrder(str(error)) from None
    await put_into_stock(olist.catalog)
    return [ImportRow(shown(order.order_id), order.body, order.reason) for order in olist.orders]


def _tell(report: ImportReport) -> None:
    """Each row on a terminal, else one in a hundred."""
    if sys.stderr.isatty() or report.rows % 100 == 0:
        show_progress(_import_summary(report))


def _import_summary(report: ImportReport) -> str:
    return (
        f"{report.rows} rows: {report.new} placed, {report.same} there already, "
        f"{report.finished} ended already, {report.not_placed} not placed"
    )
