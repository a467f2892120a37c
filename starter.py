"""Orders from the command line: a command for every message and query, and to place, import, list, stock, check, count.

Exit codes: 0 done; 1 refused, or something does not add up; 2 wrong usage, settings or body; 3 no such order; 4 the
order id is taken by another body; 5 a server did not answer: the same command may be given again; 70 a bug of ours;
130 Ctrl-C. An error is one line on stderr; what was asked for goes to stdout, as JSON with `--json`.
"""

import argparse
import asyncio
import json
import os
import secrets
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from domain.access import Scope
from domain.catalog import Catalog, Correction, Receipt, StockLevel, StockRefused
from domain.decoding import Refusal, decode
from domain.insights_reports import ROWS, ReportName
from domain.insights_stock import (
    LEAD_TIME_DAYS,
    LEAD_TIME_DAYS_MAX,
    SERVICE_LEVEL,
    SERVICE_LEVEL_MAX,
    SERVICE_LEVEL_MIN,
    Plan,
)
from domain.keyring import KEY_BYTES, KEY_ID, written
from domain.messages import MESSAGES, QUERIES, Message, Query
from domain.placing import TIME_FACTOR_MAX, Email
from domain.reconciling import ReconcileInput
from domain.requests import Unavailable
from domain.results import PackingList
from usecases.errors import (
    InvalidMessage,
    InvalidOrder,
    OrderConflict,
    OrderError,
    OrderNotFound,
    Refused,
    Unreachable,
)
from usecases.importing import ImportReport, ImportRow, import_orders, json_lines
from usecases.keys import new_key
from usecases.orders import Orders, Placed, decoded
from usecases.packing import packing_slip
from usecases.process import end_process
from usecases.settings import BadSettings, load_settings
from usecases.temporal import connect

if TYPE_CHECKING:  # SQLAlchemy takes a third of a second, and most commands need none
    from store.database import Database
    from usecases.builds import Builds, Routing
    from usecases.replay import Progress
    from usecases.replay_report import ReplayReport

OK, REFUSED, INVALID, NOT_FOUND, CONFLICT, UNREACHABLE, BUG, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130

_EXIT_CODES: Mapping[type[Exception], int] = {
    InvalidOrder: INVALID,
    InvalidMessage: INVALID,
    BadSettings: INVALID,
    OrderNotFound: NOT_FOUND,
    OrderConflict: CONFLICT,
    Unreachable: UNREACHABLE,
    Unavailable: UNREACHABLE,
}

_Arguments = argparse.Namespace
_Command = Callable[[_Arguments], Awaitable[int]]
_Model = TypeVar("_Model", bound=BaseModel)


def main(argv: list[str]) -> int:
    try:
        arguments = _parser().parse_args(argv)
        code: int = asyncio.run(arguments.run(arguments))
        sys.stdout.flush()
    except SystemExit as usage:
        return usage.code if isinstance(usage.code, int) else INVALID
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (OrderError, BadSettings, Unavailable) as error:
        _say(f"starter.py: {error}")
        return _EXIT_CODES.get(type(error), REFUSED)
    except Exception:  # a bug of ours; the process must still end in the one place that it ends in
        traceback.print_exc()
        return BUG
    return code


# -- orders ---------------------------------------------------------------------------


async def _place(arguments: _Arguments) -> int:
    body = _read_json(arguments.file, InvalidOrder)
    async with _remembered_orders(arguments) as orders:
        placed = await orders.place(body)
        refusal: OrderError | None = None
        if placed.outcome == "new" and not arguments.no_wait:
            try:
                refusal = await orders.refusal(placed.order_id)
            except Unreachable as nobody_looked:
                refusal = nobody_looked
        if refusal is None or isinstance(refusal, Unreachable):  # it stands, and waits for somebody to look
            _show(arguments, placed, f"{placed.order_id}: {_OUTCOMES[placed.outcome]}{_ended_as(placed)}")
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


async def _import(arguments: _Arguments) -> int:
    async with _remembered_orders(arguments) as orders:
        if os.path.isdir(arguments.path):  # noqa: ASYNC240 - nothing else runs yet
            report = await import_orders(orders, await _olist_rows(Path(arguments.path)), told=_progress)
        else:
            with _open(arguments.path) as file:
                report = await import_orders(orders, json_lines(file), told=_progress)
    _end_progress()
    for trouble in report.troubles:
        _say(f"{trouble.where}: {trouble.kind}: {trouble.reason}")
    _show(arguments, report, _import_summary(report))
    if any(trouble.kind == "unreachable" for trouble in report.troubles):
        return UNREACHABLE
    return REFUSED if report.troubles else OK


async def _olist_rows(folder: Path) -> list[ImportRow]:
    """With what the orders buy put into stock first."""
    from store.inventory import Inventory
    from usecases.olist import NotOlist, read_olist, shown

    try:
        olist = read_olist(folder)
    except NotOlist as error:
        raise InvalidOrder(str(error)) from None
    async with _database() as database:
        _raise_if_refused(await Inventory(database).load(olist.catalog))
    return [ImportRow(shown(order.order_id), order.body, order.reason) for order in olist.orders]


async def _replay(arguments: _Arguments) -> int:
    from usecases.olist import NotOlist
    from usecases.replaying import replay_folder

    ticker = _Ticker()
    async with _orders(arguments) as orders, _database() as database:
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
    _end_progress()
    _show(arguments, report, _replay_text(report))
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
        line = (
            f"{now - self._began:.0f} s: {progress.started} of {progress.orders} orders started, "
            f"{progress.made} of {progress.moves} moves made, largest lag {lag}, {len(progress.refused)} refused"
        )
        if sys.stderr.isatty():
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
        else:
            _say(line)


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
        f"in the files: {_cell(report.files)}",
        f"{report.units} units; {report.captured} captured; "
        f"{report.handed_over_late} handed over late, {report.delivered_late} delivered late",
        f"largest lag until a message was answered: {answered}",
        f"largest lag until an order heard of it: {heard}",
        f"{len(report.differences)} differences, {report.unexplained} of them unexplained; "
        f"{len(report.refused)} messages refused; {len(report.violations)} violations of units or money",
    ]
    parts = ["\n".join(lines), _table(counts), _table(rules) if rules else "", "\n".join(figures)]
    return "\n\n".join(part for part in parts if part)


def _import_summary(report: ImportReport) -> str:
    return (
        f"{report.rows} rows: {report.new} placed, {report.same} there already, "
        f"{report.finished} ended already, {report.not_placed} not placed"
    )


async def _list(arguments: _Arguments) -> int:
    from store.views.orders import OrderFilter, OrderLists

    wanted = OrderFilter(
        status=arguments.status,
        seller=arguments.seller,
        attention=arguments.attention,
        customer_id=arguments.customer,
        ship_by_until=arguments.ship_by_before,
        open_only=arguments.open,
    )
    async with _database() as database:
        page = await OrderLists(database).orders(wanted, sort="ship_by", after=arguments.after, limit=arguments.limit)
    columns = ("order_id", "status", "attention", "ship_by", "promised_at", "total", "currency", "placed_at")
    rows = [order.model_dump(mode="json", include=set(columns)) for order in page.orders]
    _show(arguments, page, _table([{name: row[name] for name in columns} for row in rows]) or "no orders")
    if page.next is not None and not arguments.json:
        _say(f"there are more: --after {page.next}")
    return OK


# -- messages and queries ------------------------------------------------------------


def _message_command(message: Message) -> _Command:
    async def run(arguments: _Arguments) -> int:
        body = _body(arguments, message.body)
        async with _orders(arguments) as orders:
            if message.update and not arguments.signal:
                answer = await orders.update(arguments.order, message.name, body, update_id=arguments.update_id)
                _show(arguments, answer)
            else:
                await orders.signal(arguments.order, message.name, body)
                _show(
                    arguments, {"sent": message.name}, f"{message.name} was sent; the timeline says what became of it"
                )
        return OK

    return run


def _query_command(query: Query) -> _Command:
    async def run(arguments: _Arguments) -> int:
        body = _body(arguments, query.body)
        async with _orders(arguments) as orders:
            answer = await orders.query(arguments.order, query.name, body)
        _show(arguments, await _addressed(answer) if isinstance(answer, PackingList) else answer)
        return OK

    return run


async def _addressed(todo: PackingList) -> PackingList:
    """With the address where this machine may ask PostgreSQL, which alone knows it."""
    from store.orders import Orders as OrderStore

    try:
        load_settings()
    except BadSettings:
        return todo
    async with _database() as database:
        return await packing_slip(todo, OrderStore(database))


def _body(arguments: _Arguments, model: type[BaseModel]) -> dict[str, Any]:
    """The JSON object of `--input`, with the flags over it."""
    body = {} if arguments.input is None else _read_input(arguments.input)
    if not isinstance(body, dict):
        raise InvalidMessage("--input: expected one JSON object")
    flags = {name: getattr(arguments, f"field_{name}") for name in model.model_fields if f"field_{name}" in arguments}
    return body | {name: value for name, value in flags.items() if value is not None}


def _add_flags(parser: argparse.ArgumentParser, model: type[BaseModel]) -> None:
    """One for each plain field of the body; what it may hold is left to the model, which names the field."""
    schema = model.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        options = [_resolved(option, schema) for option in field.get("anyOf", [field])]
        kinds = {option.get("type") for option in options} - {"null"}
        words = [str(word) for option in options for word in option.get("enum", [])]
        flag, dest = f"--{name.replace('_', '-')}", f"field_{name}"
        needed = "needed" if name in schema.get("required", []) else None
        if kinds == {"boolean"}:
            parser.add_argument(flag, dest=dest, action=argparse.BooleanOptionalAction, help=needed)
        elif kinds <= {"string", "integer"}:
            kind = _number if kinds == {"integer"} else str
            metavar = "|".join(words) or ("N" if kinds == {"integer"} else "TEXT")
            parser.add_argument(flag, dest=dest, type=kind, metavar=metavar, help=needed)


def _resolved(option: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = option.get("$ref", "").rpartition("/")[2]
    return schema["$defs"][name] if name else option


def _number(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


# -- stock -----------------------------------------------------------------------------


async def _stock_load(arguments: _Arguments) -> int:
    from store.inventory import Inventory

    catalog = decode(Catalog, (_read_json(arguments.file, InvalidMessage, _CATALOG_BYTES_MAX),))
    if isinstance(catalog, Refusal):
        raise InvalidMessage(catalog.reason)
    async with _database() as database:
        _raise_if_refused(await Inventory(database).load(catalog))
    counts = {name: len(getattr(catalog, name)) for name in ("sellers", "locations", "listings", "stock")}
    _show(arguments, counts, ", ".join(f"{count} {name}" for name, count in counts.items()))
    return OK


async def _stock_receive(arguments: _Arguments) -> int:
    from store.inventory import Inventory

    async with _database() as database:
        level = await Inventory(database).receive(_told(Receipt, arguments))
    return _show_level(arguments, level)


async def _stock_correct(arguments: _Arguments) -> int:
    from store.inventory import Inventory

    async with _database() as database:
        level = await Inventory(database).correct(_told(Correction, arguments))
    return _show_level(arguments, level)


def _told(model: type[_Model], arguments: _Arguments) -> _Model:
    return decoded(model, {name: getattr(arguments, name) for name in model.model_fields}, InvalidMessage)


def _show_level(arguments: _Arguments, level: StockLevel | StockRefused) -> int:
    _raise_if_refused(level)
    _show(arguments, level)
    return OK


async def _stock_show(arguments: _Arguments) -> int:
    from store.views.stock import StockViews

    async with _database() as database:
        views, found, after = StockViews(database), [], None
        while True:
            page = await views.levels(
                seller=arguments.seller, location=arguments.location, sku=arguments.sku, after=after
            )
            found += [row.model_dump(mode="json") for row in page.levels]
            if (after := page.next) is None:
                break
    for row in found:
        row["available"] = row["on_hand"] - row["reserved"]
    columns = ("location", "seller", "sku", "title", "on_hand", "reserved", "available", "waiting")
    _show(arguments, found, _table([{name: row[name] for name in columns} for row in found]) or "no stock")
    return OK


async def _key_create(arguments: _Arguments) -> int:
    from store.keys import Keys

    async with _database() as database:
        key = await new_key(Keys(database), Scope(arguments.scope), arguments.label, arguments.seller)
    print("It is shown this once; what is kept is a hash.", file=sys.stderr)
    _show(arguments, {"key": key}, key)
    return OK


async def _key_list(arguments: _Arguments) -> int:
    from store.keys import Keys

    async with _database() as database:
        rows = [row.model_dump(mode="json") for row in await Keys(database).all()]
    _show(arguments, rows, _table(rows) or "no keys")
    return OK


async def _key_revoke(arguments: _Arguments) -> int:
    from store.keys import Keys

    async with _database() as database:
        if not await Keys(database).revoke(arguments.key_id):
            raise Refused(f"key_id: no key {arguments.key_id!r} is in use")
    _show(arguments, {"revoked": arguments.key_id}, f"{arguments.key_id}: revoked, from the next request on")
    return OK


async def _erase(arguments: _Arguments) -> int:
    from store.erasure import Erasures
    from usecases.erasure import Erasure

    if [arguments.order is not None, arguments.customer is not None, arguments.again].count(True) != 1:
        raise InvalidMessage("give an order, --customer or --again, and one of them")
    async with _database() as database:
        erasure = Erasure(Erasures(database), await connect())
        if arguments.again:
            rows = [*await erasure.again(arguments.by)]
        elif arguments.order is not None:
            rows = [await erasure.order(arguments.order, arguments.by)]
        else:
            rows = [*await erasure.customer(arguments.customer, arguments.by)]
    shown = [row.model_dump(mode="json") for row in rows]
    _show(arguments, shown, _table(shown) or "no orders")
    return REFUSED if any(row.outcome == "open" for row in rows) else OK


async def _email(arguments: _Arguments) -> int:
    from store.orders import Orders as OrderStore

    try:
        email = TypeAdapter(Email).validate_python(arguments.address)
    except ValidationError:
        raise InvalidMessage(f"address: {arguments.address!r} is no mail address") from None
    async with _database() as database:
        if not await OrderStore(database).correct_email(arguments.order, email):
            raise OrderNotFound(f"there is no order {arguments.order!r}, or its customer is erased")
    _show(arguments, {"order_id": arguments.order}, f"{arguments.order}: mails go to the new address from now on")
    return OK


async def _seal(arguments: _Arguments) -> int:
    from store.sealing import Sealing

    async with _database() as database:
        done = await Sealing(database).seal()
    _show(arguments, done, f"{done.contacts} customers' names and addresses sealed, {done.keys} keys wrapped anew")
    return OK


async def _encryption_key(arguments: _Arguments) -> int:
    """For OPENORDERS_ENCRYPTION_KEYS; nothing is kept of it."""
    key_id = arguments.key_id or f"{datetime.now(UTC):%Y-%m-%d}"
    if KEY_ID.fullmatch(key_id) is None:
        raise InvalidMessage("key_id: up to 40 letters, digits and . _ -")
    key = written(key_id, secrets.token_bytes(KEY_BYTES))
    _show(arguments, {"key": key}, key)
    return OK


async def _build_show(arguments: _Arguments) -> int:
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
    _show(arguments, rows, _table(rows))
    return OK


def _given(routing: "Routing | None", build: str | None) -> str:
    """Which orders the build is given."""
    ramping = routing.ramping if routing else None
    current = routing.current if routing else None
    if ramping is not None and routing is not None and build in (current, ramping):
        return f"{routing.ramp_percent if build == ramping else 100 - routing.ramp_percent:g} %"
    return "all" if build == current else "none"


async def _build_current(arguments: _Arguments) -> int:
    if (arguments.build is None) == (not arguments.none):
        raise InvalidMessage("build: give a build id, or --none for workers without one")
    async with _builds(arguments) as builds:
        await builds.make_current(arguments.build, force=arguments.force)
    who = f"build {arguments.build} gets" if arguments.build else "workers without a build id get"
    _show(arguments, {"current": arguments.build}, f"{who} all orders from now on, new and open ones")
    return OK


async def _build_ramp(arguments: _Arguments) -> int:
    async with _builds(arguments) as builds:
        await builds.ramp(arguments.build if arguments.percent else None, arguments.percent)
    answer = {"ramping": arguments.build if arguments.percent else None, "percent": arguments.percent}
    _show(arguments, answer, f"build {arguments.build} gets {arguments.percent:g} % of the orders, new and open ones")
    return OK


@asynccontextmanager
async def _builds(arguments: _Arguments) -> AsyncIterator["Builds"]:
    from usecases.builds import Builds

    timeout = timedelta(seconds=arguments.timeout)
    yield Builds(await connect(connect_timeout=timeout), timeout=timeout)


async def _insights_refresh(arguments: _Arguments) -> int:
    """With `rebuild` everything is counted anew."""
    from store.insights.refreshing import Refreshing
    from usecases.insights_refresher import bring_up_to_date

    async with _database() as database:
        counts = Refreshing(database, load_settings().time_zone)
        if arguments.rebuild:
            await counts.rebuild()
        await bring_up_to_date(counts)
    _show(arguments, {"up_to_date": True}, "insights are up to date")
    return OK


async def _insights_show(arguments: _Arguments) -> int:
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
    async with _database() as database:
        report = await Insights(InsightViews(database), load_settings().time_zone).report(arguments.report, question)
    heading = f"{report.title}, {report.window.first} to {report.window.last}, {report.time_zone}"
    words = [heading, report.definition, f"{report.sample_of}: {report.sample}".capitalize()]
    if not report.up_to_date:
        words.append("Orders that have changed wait to be counted: `insights refresh` does it now.")
    rows = report.model_dump(mode="json")["rows"]
    _show(arguments, report, "\n".join([*words, "", _table(rows) or "no orders"]))
    return OK


async def _check(arguments: _Arguments) -> int:
    from store.identities import violations

    async with _database() as database:
        found = await violations(database, arguments.order, at_rest=not arguments.moving)
    _show(arguments, {"violations": found}, "\n".join(found) or "all units and money add up")
    return REFUSED if found else OK


async def _reconcile(arguments: _Arguments) -> int:
    from usecases.reconciliation import reconcile

    look = ReconcileInput(
        dry_run=arguments.dry_run,
        grace_seconds=arguments.grace,
        since=None if arguments.hours is None else datetime.now(UTC) - timedelta(hours=arguments.hours),
        **({} if arguments.at_most is None else {"taken_up_max": arguments.at_most}),
    )
    report = await reconcile(await connect(), look)
    counts = {name: value for name, value in report.model_dump(mode="json").items() if name != "orders"}
    _show(arguments, report, "\n".join((_sheet(counts), *report.orders)))
    left = report.held_back or report.failed or report.not_mended or report.ended or report.without_rows
    return REFUSED if left else OK


def _raise_if_refused(answer: StockLevel | StockRefused | None) -> None:
    if isinstance(answer, StockRefused):
        raise Refused(answer.reason)


# -- the servers -----------------------------------------------------------------------


@asynccontextmanager
async def _orders(arguments: _Arguments) -> AsyncIterator[Orders]:
    yield Orders(await connect(), rpc_timeout=timedelta(seconds=arguments.timeout))


@asynccontextmanager
async def _remembered_orders(arguments: _Arguments) -> AsyncIterator[Orders]:
    """For placing: PostgreSQL, where this machine may ask it, remembers ids longer than Temporal does."""
    from store.orders import Orders as OrderStore

    try:
        load_settings()
    except BadSettings:
        async with _orders(arguments) as orders:
            yield orders
        return
    async with _database() as database:
        yield Orders(await connect(), OrderStore(database), rpc_timeout=timedelta(seconds=arguments.timeout))


@asynccontextmanager
async def _database() -> "AsyncIterator[Database]":
    from store.database import Database

    settings = load_settings()
    database = Database(settings.database_url, pool_size=2, wrapping=settings.wrapping())
    try:
        yield database
    finally:
        await database.close()


# -- what is read ------------------------------------------------------------------------


_BODY_BYTES_MAX = 2_000_000
"""As by HTTP; Temporal takes no more either."""

_CATALOG_BYTES_MAX = 200_000_000
"""All that a catalog may hold (`values_max`) fits, with room to spare."""


def _read_input(text: str) -> Any:
    """JSON itself, `@file`, or `-` for standard input."""
    if text == "-" or text.startswith("@"):
        return _read_json(text.removeprefix("@"), InvalidMessage)
    return _parse(text, "--input", InvalidMessage)


def _read_json(path: str, error: type[OrderError], bytes_max: int = _BODY_BYTES_MAX) -> Any:
    with _open(path) as file:
        try:
            content = file.read(bytes_max + 1)
        except OSError as trouble:
            raise error(f"{path}: {trouble.strerror}") from None
    if len(content) > bytes_max:
        raise error(f"{path}: larger than {bytes_max:,} bytes")
    try:
        return _parse(content.decode("utf-8-sig"), path, error)
    except UnicodeDecodeError:
        raise error(f"{path}: is not UTF-8") from None


def _parse(text: str, where: str, error: type[OrderError]) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as trouble:
        raise error(f"{where}: no JSON: {trouble}") from None


def _open(path: str) -> BinaryIO:
    if path == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return open(path, "rb")
    except OSError as error:
        raise InvalidMessage(f"{path}: {error.strerror}") from None


# -- what is shown -----------------------------------------------------------------------


def _show(arguments: _Arguments, answer: BaseModel | Mapping[str, Any] | list[Any], text: str | None = None) -> None:
    plain = answer.model_dump(mode="json") if isinstance(answer, BaseModel) else answer
    if arguments.json:
        print(json.dumps(plain, ensure_ascii=False, indent=2))
    else:
        assert text is not None or isinstance(plain, Mapping)
        print(text if text is not None else _sheet(plain))


def _sheet(answer: Any) -> str:
    """Plain fields first, one a line; then a table for every list of objects."""
    fields = {name: value for name, value in answer.items() if not _is_rows(value)}
    width = max(map(len, fields), default=0)
    parts = ["\n".join(f"{name:<{width}}  {_cell(value)}".rstrip() for name, value in fields.items())]
    parts += [f"{name}\n{_table(value)}" for name, value in answer.items() if _is_rows(value)]
    return "\n\n".join(part for part in parts if part)


def _table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Columns that are empty everywhere are left out; rows within rows follow in a table of their own."""
    rows = list(rows)
    names = [name for name in (rows[0] if rows else ()) if any(row[name] not in (None, "", [], {}) for row in rows)]
    inner = {
        name: [one for row in rows for one in row[name]] for name in names if any(_is_rows(row[name]) for row in rows)
    }
    columns = [[name, *(_cell(row[name]) for row in rows)] for name in names if name not in inner]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in zip(*columns, strict=True)
    ]
    tables = ["\n".join(line.rstrip() for line in lines)]
    tables += [f"{name}\n{_table(one)}" for name, one in inner.items()]
    return "\n\n".join(tables)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _cell(value: Any) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return "; ".join(_cell(one) for one in value) or "-"
        case dict():
            return ", ".join(f"{name} {_cell(one)}" for name, one in value.items() if one not in (None, "")) or "-"
        case _:
            return " ".join(str(value).split())


def _progress(report: ImportReport) -> None:
    if sys.stderr.isatty():
        print(f"\r{_import_summary(report)}", end="", file=sys.stderr, flush=True)
    elif report.rows % 100 == 0:
        _say(_import_summary(report))


def _end_progress() -> None:
    if sys.stderr.isatty():
        print(file=sys.stderr)


def _say(line: str) -> None:
    print(" ".join(line.split()), file=sys.stderr, flush=True)


# -- the commands ------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _say(f"{self.prog}: {message} (--help tells more)")
        raise SystemExit(INVALID)


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON")
    common.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="how long to wait for an answer (10)"
    )
    parser = _Parser(prog="starter.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: _Command, says: str, aliases: tuple[str, ...] = ()) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=says, description=says, aliases=aliases)
        command.set_defaults(run=run)
        return command

    place = add("place", _place, "Place an order; the same order again changes nothing.")
    place.add_argument("file", help="the body (schemas/order.json), or - for standard input")
    place.add_argument("--no-wait", action="store_true", help="do not wait until it was recorded or refused")
    importing = add("import", _import, "Place many orders; safe to run again.")
    importing.add_argument("path", help="a file of JSON Lines, - for standard input, or an Olist folder")
    _add_replay_arguments(add("replay", _replay, "Play recorded orders at their recorded times, and compare."))
    _add_list_arguments(add("list", _list, "List orders by ship-by date."))
    for message in MESSAGES:
        _add_message_arguments(add(message.name, _message_command(message), message.description), message)
    for query in QUERIES:
        aliases = ("show",) if query.name == "status" else ()
        command = add(query.name, _query_command(query), query.description, aliases)
        _add_body_arguments(command, query.body)
    _add_stock_commands(commands.add_parser("stock", help="Load, receive, correct or show stock."), common)
    _add_insights_commands(commands.add_parser("insights", help="Show reports, or count for them now."), common)
    _add_key_commands(commands.add_parser("key", help="Make, list or revoke keys to the API and the pages."), common)
    erase = add("erase", _erase, "Erase the person behind an ended order, or behind all of a customer's, for good.")
    erase.add_argument("order", nargs="?", metavar="ORDER", help="the order id")
    erase.add_argument("--customer", metavar="ID", help="all ended orders of this customer")
    erase.add_argument("--again", action="store_true", help="after a restore: all whose key was destroyed since")
    erase.add_argument("--by", default="support", help="who did it, for the timeline; support by default")
    email = add("email", _email, "Correct the mail address of an order's customer, for mails to come.")
    email.add_argument("order", metavar="ORDER", help="the order id")
    email.add_argument("address", metavar="ADDRESS", help="the mail address")
    add("seal", _seal, "Seal what is still in clear of people, and wrap their keys by the current encryption key.")
    encryption_key = add("encryption-key", _encryption_key, "Make a key for OPENORDERS_ENCRYPTION_KEYS.")
    encryption_key.add_argument("key_id", nargs="?", metavar="ID", help="its id; the date by default")
    _add_build_commands(commands.add_parser("build", help="Which build of the worker gets the orders."), common)
    check = add("check", _check, "Ask the database whether all units and money add up; prints what does not.")
    check.add_argument("--order", help="one order only")
    check.add_argument("--moving", action="store_true", help="only what holds in the middle of any step")
    mend = add("reconcile", _reconcile, "Find and mend now what PostgreSQL and Temporal disagree on; says what it did.")
    mend.add_argument("--dry-run", action="store_true", help="change nothing, and say what would be done")
    mend.add_argument(
        "--at-most", type=_positive, metavar="N", help="take up to N orders up whose workflow is gone (50)"
    )
    mend.add_argument("--hours", type=_days, metavar="H", help="compare all rows written in the last H hours (1)")
    mend.add_argument("--grace", type=float, default=60.0, metavar="SECONDS", help="leave alone what is younger (60)")
    return parser


def _add_message_arguments(command: argparse.ArgumentParser, message: Message) -> None:
    _add_body_arguments(command, message.body)
    if message.update:
        command.add_argument("--update-id", metavar="ID", help="sent again with the same one, it has no second effect")
    command.set_defaults(signal=not message.update)
    if message.update and message.signal:
        command.add_argument("--signal", action="store_true", help="send it as a signal: no waiting, no answer")


def _add_body_arguments(command: argparse.ArgumentParser, model: type[BaseModel]) -> None:
    command.add_argument("order", metavar="ORDER", help="the order id")
    command.add_argument("--input", metavar="JSON", help="the body as JSON, @file, or - for standard input")
    _add_flags(command, model)


def _add_replay_arguments(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Play the orders of an Olist folder (docs/olist.md) at their recorded times, on fast clocks of their own, and "
        "compare what became of them with the files. The worker needs OPENORDERS_CARRIER=manual. Safe to run again."
    )
    command.add_argument("folder", metavar="FOLDER", help="an Olist folder")
    command.add_argument(
        "--factor",
        type=_factor,
        default=8640.0,
        metavar="N",
        help="how fast its time passes (8640: a day in ten seconds)",
    )
    command.add_argument("--at-once", type=_positive, default=20, metavar="N", help="messages under way at a time (20)")
    command.add_argument("--only", type=_positive, metavar="N", help="the first N orders of the folder")


def _add_list_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--status", help="such as Unshipped")
    command.add_argument("--seller", metavar="ID")
    command.add_argument("--customer", metavar="ID")
    command.add_argument("--ship-by-before", type=_moment, metavar="TIME", help="2026-03-05, or with time and zone")
    command.add_argument("--attention", metavar="WORD", help="such as late, on_hold, out_of_stock, unpaid")
    command.add_argument("--open", action="store_true", help="leave out those that have ended")
    command.add_argument("--limit", type=_positive, default=50, metavar="N", help="at most 500 (50)")
    command.add_argument("--after", metavar="ORDER", help="the last order of the page before")


def _add_stock_commands(stock: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    commands = stock.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: _Command, says: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=says, description=says)
        command.set_defaults(run=run)
        return command

    load = add("load", _stock_load, "Load sellers, locations, listings and opening stock (schemas/catalog.json).")
    load.add_argument("file", help="JSON, or - for standard input")
    receive = add("receive", _stock_receive, "Units have come in; backorders that wait for them are served.")
    receive.add_argument("--quantity", type=_positive, required=True, metavar="N")
    correct = add("correct", _stock_correct, "Units were found or missed at a count.")
    correct.add_argument("--change", type=int, required=True, metavar="N", help="such as 3 or -2")
    correct.add_argument("--reason", default="counted")
    for command in (receive, correct):
        for name in ("location", "seller", "sku"):
            command.add_argument(f"--{name}", required=True, metavar="ID")
        command.add_argument("--key", required=True, metavar="ID", help="of the delivery or count: twice counts once")
    show = add("show", _stock_show, "What lies where, how much of it is reserved, and who waits.")
    for name in ("location", "seller", "sku"):
        show.add_argument(f"--{name}", metavar="ID")


def _add_insights_commands(insights: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    commands = insights.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: _Command, says: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=says, description=says)
        command.set_defaults(run=run)
        return command

    show = add("show", _insights_show, "A report of a seller or of the whole marketplace (docs/insights.md).")
    show.add_argument(
        "report", choices=[name.value for name in ReportName], metavar="REPORT", help=", ".join(ReportName)
    )
    show.add_argument("--seller", metavar="ID", help="of one seller only")
    show.add_argument("--from", dest="first", type=_day, metavar="DAY", help="such as 2026-11-01 (30 days)")
    show.add_argument("--until", dest="last", type=_day, metavar="DAY", help="that day included (today)")
    show.add_argument("--currency", metavar="CODE", help="orders in that currency only, where it has money")
    show.add_argument("--limit", type=_positive, default=ROWS, metavar="N", help=f"rows of a list ({ROWS})")
    show.add_argument("--lead-time-days", type=_days, default=LEAD_TIME_DAYS, metavar="N", help="of stock_advice")
    show.add_argument("--service-level", type=_level, default=SERVICE_LEVEL, metavar="SHARE", help="of stock_advice")
    refresh = add("refresh", _insights_refresh, "Count now what has changed; workers do it all the time.")
    rebuild = add("rebuild", _insights_refresh, "Count everything anew.")
    refresh.set_defaults(rebuild=False)
    rebuild.set_defaults(rebuild=True)


def _add_build_commands(build: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    commands = build.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: _Command, says: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=says, description=says)
        command.set_defaults(run=run)
        return command

    add("show", _build_show, "Builds, which orders each gets, and when its workers last asked for some.")
    current = add("current", _build_current, "Give all orders, new and open ones, to a build (OPENORDERS_BUILD_ID).")
    current.add_argument("build", nargs="?", metavar="BUILD")
    current.add_argument("--none", action="store_true", help="to workers without a build id")
    current.add_argument("--force", action="store_true", help="also where no worker of the build runs")
    ramp = add("ramp", _build_ramp, "Give a share of the orders, new and open ones, to a build; 0 takes them back.")
    ramp.add_argument("build", metavar="BUILD")
    ramp.add_argument("percent", type=_percent, metavar="PERCENT")


def _add_key_commands(keys: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    commands = keys.add_subparsers(metavar="COMMAND", required=True)
    create = commands.add_parser("create", parents=[common], help="Make a key; it is shown once.")
    create.set_defaults(run=_key_create)
    create.add_argument("scope", choices=[scope.value for scope in Scope])
    create.add_argument("--seller", metavar="ID", help="whose, for a seller's key")
    create.add_argument("--label", default="", help="for whom it is, for lists")
    commands.add_parser("list", parents=[common], help="List keys, revoked ones too.").set_defaults(run=_key_list)
    revoke = commands.add_parser("revoke", parents=[common], help="From the next request on it opens nothing.")
    revoke.set_defaults(run=_key_revoke)
    revoke.add_argument("key_id", help="the part of a key between its underscores")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 3600 seconds")
    return value


def _factor(text: str) -> float:
    value = float(text)
    if not 1 <= value <= TIME_FACTOR_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and {TIME_FACTOR_MAX:g}")
    return value


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"must be from 0 to 100, not {text}")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 or more")
    return value


def _days(text: str) -> float:
    value = float(text)
    if not 0 < value <= LEAD_TIME_DAYS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and {LEAD_TIME_DAYS_MAX:g} days")
    return value


def _level(text: str) -> float:
    value = float(text)
    if not SERVICE_LEVEL_MIN <= value <= SERVICE_LEVEL_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not between {SERVICE_LEVEL_MIN} and {SERVICE_LEVEL_MAX}")
    return value


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2026-11-01") from None


def _moment(text: str) -> datetime:
    """A day begins at midnight UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day or time such as 2026-03-05T12:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
