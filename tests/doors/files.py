"""The door of the command line: files that are given to `starter.py`."""

import asyncio
import csv
import io
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from sqlalchemy import text

from localstack.worker_process import CHECKOUT
from tests.bad_input import example
from tests.doors.attacks import BODIES, as_json, drawn, mutated
from tests.doors.report import Report
from tests.schemas.test_verdicts import schema_accepts
from tests.shop import Body, Shop, line
from tests.usecases.test_olist import CUSTOMER, ITEM, ORDER, PAYMENT, Row

_REFUSED, _INVALID = 1, 2
_PER_PLACE = 3
_SECONDS_MAX = 60
_TOLD_MAX = 5_000
"""Characters on stderr: more would be the file's own."""

_ANSWER_BYTES_MAX = 50_000_000
_BOM = b"\xef\xbb\xbf"
_TABLES: Mapping[str, Row] = {"orders": ORDER, "customers": CUSTOMER, "order_items": ITEM, "order_payments": PAYMENT}
_HONEST = "honest"
"""The seller of whatever is good in an Olist folder."""


class Trial(NamedTuple):
    """`good` is the order in it that is to be placed all the same: one bad row harms no other."""

    what: str
    command: tuple[str, ...]
    files: Mapping[str, bytes]
    good: str | None = None
    size: int = 0
    """The file is as long as this, of NULs, without taking room on the disk."""


async def all_of(report: Report, shop: Shop, random: Random, count: int) -> None:
    """Three times `count` files for each command and kind of file, or all; then every good order ends."""
    sku = await shop.lists(1_000)
    placed: list[str] = []
    starter = _Starter(shop.stack.environment)
    groups = (
        _bodies(random, "order.json", shop.body(line(sku)), ("place", "--no-wait"), 3_000_000),
        _bodies(random, "catalog.json", example("catalog"), ("stock", "load"), 205_000_000),
        _lines(shop, sku),
        _broken_folders(),
        _bad_rows(),
    )
    trials = [trial for group in groups for trial in drawn(random, [*group], _PER_PLACE * count)]
    try:
        with TemporaryDirectory() as folder:
            for number, trial in enumerate(trials):
                await _judge(report, shop, starter, trial, Path(folder) / f"trial-{number}")
                if trial.good is not None:
                    placed.append(trial.good)
    finally:
        await starter.end()
    for order_id in placed:
        await shop.orders.signal(order_id, "cancel", {})
    for order_id in placed:
        await shop.ended(order_id)


class _Starter:
    """Runs commands, in another process after one that has not survived."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._process: Process | None = None

    async def run(self, *words: str) -> tuple[int | None, str, str]:
        """Exit code, stdout and stderr; no exit code where the process died or did not answer."""
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.doors.commands"),
                stdin=PIPE,
                stdout=PIPE,
                limit=_ANSWER_BYTES_MAX,
                env=self._environ,
                cwd=CHECKOUT,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        try:
            answer = await asyncio.wait_for(self._process.stdout.readline(), _SECONDS_MAX)
        except TimeoutError:
            answer = b""
        if not answer:
            await self.end()
            return None, "", "it died, or did not answer"
        code, out, err = json.loads(answer)
        return code, out, err

    async def end(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.communicate()
            self._process = None


async def _judge(report: Report, shop: Shop, starter: _Starter, trial: Trial, path: Path) -> None:
    """Refused: its exit code says so, with some words and no traceback, and nothing is there that was not before.

    `path` is the only file of the trial, or the folder of all of them.
    """
    _write(trial, path)
    orders, sellers = await _rows(shop)
    code, out, err = await starter.run(*trial.command, str(path))
    orders_after, sellers_after = await _rows(shop)
    new = orders_after - orders
    wrong = []
    if code not in (_REFUSED, _INVALID):
        wrong.append(f"exit code {code}")
    if "Traceback" in err or not 0 < len(err) < _TOLD_MAX:
        wrong.append(f"{len(err)} characters on stderr")
    if new != ({trial.good} if trial.good else set()):
        wrong.append(f"placed {sorted(new)}, to be placed was {trial.good}")
    if {*(sellers_after - sellers)} - ({_HONEST} if trial.good else set()):
        wrong.append(f"catalog and stock of {sellers_after - sellers}")
    words = f"{' '.join(trial.command)}: {trial.what}"
    report.note("files", words, "let in" if wrong else "refused", f"{'; '.join(wrong)}: {out[:200]} {err[:300]}")


def _write(trial: Trial, path: Path) -> None:
    for name, content in trial.files.items():
        file = path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        if not content and trial.size:
            os.truncate(file, trial.size)


async def _rows(shop: Shop) -> tuple[set[str], Counter[str]]:
    """Orders that are there, and how many rows of the catalog and stock a seller has."""
    parts = (f"SELECT seller_id FROM {table}" for table in ("sellers", "locations", "listings", "stock"))
    async with shop.database.statement() as connection:
        orders = await connection.execute(text("SELECT order_id FROM orders"))
        sellers = await connection.execute(text(" UNION ALL ".join(parts)))
        return {row[0] for row in orders}, Counter(row[0] for row in sellers)


# -- files of JSON -------------------------------------------------------------------------


def _bodies(random: Random, schema: str, body: Body, command: tuple[str, ...], too_large: int) -> Iterator[Trial]:
    for what, content in _contents(body).items():
        yield Trial(what, command, {"": content})
    yield Trial(f"{too_large:,} bytes", command, {"": b""}, size=too_large)
    wrong = 0
    while wrong < len(BODIES):
        what, changed = mutated(random, body)
        changed = json.loads(as_json(changed))
        if not schema_accepts(schema, changed):
            wrong += 1
            yield Trial(what, command, {"": as_json(changed)})


def _lines(shop: Shop, sku: str) -> Iterator[Trial]:
    """Something that is no order, and one that is in the line after it."""
    unknown = shop.body(line("NOBODY-HAS-THIS"))
    longer = {"3 MB in a line": b"[" * 3_000_000, "no such SKU": as_json(unknown)}
    for number, (what, content) in enumerate((_contents(shop.body(line(sku))) | longer).items()):
        good = f"good-line-{number}"
        yield Trial(what, ("import",), {"": content + b"\n" + as_json(shop.body(line(sku), order_id=good))}, good)


def _contents(body: Body) -> dict[str, bytes]:
    """Of a file that would be good but for what is wrong with it."""
    nested: Any = {"a": 1}
    for _ in range(50):
        nested = {"a": nested}
    return {what: content for what, content in BODIES.items() if content} | {
        "Latin-1": as_json(body)[:-1] + ', "é": 1}'.encode("latin-1"),
        "UTF-16 of something good": as_json(body).decode().encode("utf-16"),
        "a NUL": b"\x00" + as_json(body),
        "a NUL after it": as_json(body) + b"\x00",
        "a NUL in a name": as_json(body | {"a\x00b": 1}),
        "a mark, and an unknown name": _BOM + as_json(body | {"nobody knows this": 1}),
        "two marks": _BOM + _BOM + as_json(body),
        "50 objects in it": as_json(body | {"clock": nested}),
        "an array of it": as_json([body]),
        "it twice, without a line between": as_json(body) * 2,
        "lines that are none": b"{}\n" * 20,
    }


# -- Olist's folders ------------------------------------------------------------------------


def _folder(changed: dict[str, bytes]) -> dict[str, bytes]:
    contents = {table: _csv([row]) for table, row in _TABLES.items()} | changed
    return {f"olist_{table}_dataset.csv": content for table, content in contents.items()}


def _broken_folders() -> Iterator[Trial]:
    """A file that is none at all: nothing of the folder is taken."""
    for table, row in _TABLES.items():
        good = _csv([row])
        for what, content in {
            "is empty": b"",
            "is Latin-1": good + "são\n".encode("latin-1"),
            "is UTF-16": good.decode().encode("utf-16"),
            "has two marks": _BOM + _BOM + good,
            "has a cell of 1 MB": good + b"x" * 1_000_000,
            "is JSON": as_json([row]),
            "is a pickle": BODIES["a pickle"],
        }.items():
            yield Trial(f"{table} {what}", ("import",), _folder({table: content}))
        yield Trial(f"{table} has 501 MB", ("import",), _folder({table: b""}), size=501_000_000)
    for table in ("orders", "customers", "order_items"):
        for column in _TABLES[table]:
            row = {name: value for name, value in _TABLES[table].items() if name != column}
            yield Trial(f"{table} lacks {column}", ("import",), _folder({table: _csv([row])}))
    sellers = {"order_items": _csv([ITEM | {"seller_id": "s" * 64}])}
    yield Trial("a seller that makes no location", ("import",), _folder(sellers))


def _bad_rows() -> Iterator[Trial]:
    """An order with one cell that is wrong, beside another that is good."""
    for number, (table, column, value) in enumerate(
        (
            ("orders", "order_id", "../../etc/passwd"),
            ("orders", "order_id", "o\x001"),
            ("orders", "order_id", "x" * 5_000),
            ("orders", "order_id", "o1\nBcc: thief@evil.example"),
            ("orders", "order_purchase_timestamp", "9999-12-31 23:59:59"),
            ("orders", "order_purchase_timestamp", "0001-01-01 00:00:00"),
            ("orders", "order_purchase_timestamp", "=cmd|'/C calc'!A0"),
            ("orders", "order_estimated_delivery_date", "9999-12-31 00:00:00"),
            ("orders", "order_approved_at", "\u0661\u00b2"),
            ("order_items", "order_id", "o\x001"),
            ("order_items", "price", "1e400"),
            ("order_items", "price", "1e400000000"),
            ("order_items", "price", "NaN"),
            ("order_items", "price", "-1e15"),
            ("order_items", "price", "1e14"),
            ("order_items", "freight_value", "9" * 4_000),
            ("order_items", "order_item_id", "9" * 5_000),
            ("order_items", "product_id", "a b"),
            ("order_items", "seller_id", "../x"),
            ("order_items", "seller_id", "s\x00"),
            ("order_items", "shipping_limit_date", "9999-12-31 23:59:59"),
            ("order_payments", "payment_value", "Infinity"),
            ("order_payments", "payment_value", "-1"),
            ("order_payments", "payment_sequential", "1e5"),
            ("customers", "customer_unique_id", "u1\r\nBcc: thief@evil.example"),
            ("customers", "customer_unique_id", "<script>alert(1)</script>"),
            ("customers", "customer_city", "x" * 100_000),
            ("customers", "customer_city", "a\x00b"),
            ("customers", "customer_id", "nobody"),
        )
    ):
        good = f"good-row-{number}"
        contents: dict[str, bytes] = {}
        for name, row in _TABLES.items():
            honest = {"order_id": good, "customer_id": "c2", "seller_id": _HONEST, "product_id": f"p{number}"}
            rows = [row, row | {key: it for key, it in honest.items() if key in row}]
            if name == table:
                rows[0] = row | {column: value}
            contents[name] = _csv(rows)
        yield Trial(f"{table}, {column} is {value[:30]!r}", ("import",), _folder(contents), good)


def _csv(rows: list[Row]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()
