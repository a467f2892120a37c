"""Many orders at once: from JSON Lines, or whatever else gives bodies. Safe to run again, every row is answered for."""

import asyncio
import codecs
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from domain.model import Frozen
from usecases.errors import InvalidOrder, OrderConflict, OrderError, Unreachable
from usecases.orders import Placed

AT_ONCE = 20
TRIES = 4
"""For a row that nobody answered; the waits between them are 1, 2 and 4 seconds."""

LINE_BYTES_MAX = 2_000_000
"""Of one body, as by HTTP."""


class PlacesOrders(Protocol):
    """`usecases.orders.Orders`."""

    async def place(self, body: Any) -> Placed: ...

    async def refusal(self, order_id: str) -> OrderError | None: ...


class ImportRow(NamedTuple):
    """Where the row stands, and its body; or why there is none."""

    where: str
    body: Any = None
    reason: str | None = None


class RowTrouble(Frozen):
    """A row that is no open order now, and why. `unreachable` rows are worth another run."""

    where: str
    order_id: str | None
    kind: Literal["invalid", "conflict", "refused", "unreachable"]
    reason: str


class ImportReport(Frozen):
    """`same`: placed by an earlier run, still open; `finished`: placed earlier and at its end."""

    rows: int = 0
    new: int = 0
    same: int = 0
    finished: int = 0
    not_placed: int = 0
    troubles: tuple[RowTrouble, ...] = ()


def json_lines(file: BinaryIO) -> Iterator[ImportRow]:
    """One body a line, in UTF-8; empty lines are left out. Never holds more than one line, however long the file is."""
    number = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        where = f"line {number}"
        if len(line) > LINE_BYTES_MAX:
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_BYTES_MAX)
            yield ImportRow(where, reason=f"longer than {LINE_BYTES_MAX:,} bytes")
            continue
        line = line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").strip()
        if line:
            yield _row(where, line)


def _row(where: str, line: bytes) -> ImportRow:
    try:
        return ImportRow(where, json.loads(line.decode()))
    except UnicodeDecodeError:
        return ImportRow(where, reason="is not UTF-8")
    except (ValueError, RecursionError) as error:
        return ImportRow(where, reason=f"no JSON: {error}")


async def import_orders(
    orders: PlacesOrders,
    rows: Iterable[ImportRow],
    *,
    told: Callable[[ImportReport], object] = lambda _: None,
    at_once: int = AT_ONCE,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> ImportReport:
    """Place every row; `told` hears of the counts so far after each. Troubles are listed in the order of the rows."""
    report = ImportReport()
    troubles: dict[int, RowTrouble] = {}
    async with aclosing(_answers(orders, rows, at_once, sleep)) as answers:
        async for number, answer in answers:
            if isinstance(answer, RowTrouble):
                troubles[number] = answer
            report = _counted(report, answer)
            told(report)
    return report.model_copy(update={"troubles": tuple(troubles[number] for number in sorted(troubles))})


def _counted(report: ImportReport, answer: Placed | RowTrouble) -> ImportReport:
    outcome = answer.outcome if isinstance(answer, Placed) else None
    return ImportReport(
        rows=report.rows + 1,
        new=report.new + (outcome == "new"),
        same=report.same + (outcome == "running_same"),
        finished=report.finished + (outcome == "finished_same"),
        not_placed=report.not_placed + (outcome is None),
    )


async def _answers(
    orders: PlacesOrders, rows: Iterable[ImportRow], at_once: int, sleep: Callable[[float], Awaitable[object]]
) -> AsyncGenerator[tuple[int, Placed | RowTrouble], None]:
    """As they come in, with the row's number; no more rows are read than are being placed."""
    numbered = enumerate(rows)
    running: set[asyncio.Task[tuple[int, Placed | RowTrouble]]] = set()
    try:
        while True:
            while len(running) < at_once and (row := next(numbered, None)) is not None:
                running.add(asyncio.create_task(_answer(orders, *row, sleep)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _answer(
    orders: PlacesOrders, number: int, row: ImportRow, sleep: Callable[[float], Awaitable[object]]
) -> tuple[int, Placed | RowTrouble]:
    order_id = row.body.get("order_id") if isinstance(row.body, dict) else None
    order_id = order_id if isinstance(order_id, str) else None
    if row.reason is not None:
        return number, RowTrouble(where=row.where, order_id=order_id, kind="invalid", reason=row.reason)
    seconds = 1.0
    for attempt in range(1, TRIES + 1):
        try:
            placed = await orders.place(row.body)
            # One of an earlier run that goes on was recorded then; had it been refused, it would be new again.
            if placed.outcome == "new" and (refusal := await orders.refusal(placed.order_id)) is not None:
                raise refusal
            return number, placed
        except Unreachable as error:
            if attempt == TRIES:
                return number, RowTrouble(where=row.where, order_id=order_id, kind="unreachable", reason=error.reason)
            await sleep(seconds)
            seconds *= 2
        except OrderError as error:
            kind: Literal["invalid", "conflict", "refused"] = "refused"
            if isinstance(error, InvalidOrder):
                kind = "invalid"
            elif isinstance(error, OrderConflict):
                kind = "conflict"
            return number, RowTrouble(where=row.where, order_id=order_id, kind=kind, reason=error.reason)
    raise AssertionError("the last try returns")
