"""The door of the command line: files that are given to `starter.py`, in a process of its own."""

import asyncio
import csv
import io
import json
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

from localstack.worker_process import CHECKOUT
from tests.bad_input import example
from tests.doors.attacks import BODIES, as_json, drawn
from tests.doors.report import Report, Verdict
from tests.shop import Shop
from tests.usecases.test_olist import CUSTOMER, ITEM, ORDER, PAYMENT, Row

_REFUSED, _INVALID = 1, 2
_AT_ONCE = 2
_TABLES: dict[str, Row] = {"orders": ORDER, "customers": CUSTOMER, "order_items": ITEM, "order_payments": PAYMENT}
_COMMANDS = (("place", "--no-wait"), ("stock", "load"), ("import",))
_BOM = b"\xef\xbb\xbf"


class _File(NamedTuple):
    what: str
    command: tuple[str, ...]
    content: bytes


class _Folder(NamedTuple):
    """An Olist folder in which one file is something else."""

    what: str
    table: str
    content: bytes


async def all_of(report: Report, shop: Shop, random: Random, count: int) -> None:
    """For each command a third of `count` files, and as many folders: each is a process that takes a second."""
    room = asyncio.Semaphore(_AT_ONCE)
    some = -(-count // 3)

    async def one(attack: str, words: list[str], named: tuple[str, ...]) -> None:
        async with room:
            await _judge(report, shop, attack, words, named)

    with TemporaryDirectory() as temporary:
        trials: list[Coroutine[None, None, None]] = []
        for command in _COMMANDS:
            for sent in drawn(random, [*_files(command)], some):
                file = Path(temporary) / f"sent-{len(trials)}.json"
                file.write_bytes(sent.content)
                trials.append(one(f"{' '.join(command)}: {sent.what}", [*command, str(file)], (file.name, "line ")))
        for folder in drawn(random, [*_folders()], some):
            path = Path(temporary) / f"olist-{len(trials)}"
            path.mkdir()
            for table, row in _TABLES.items():
                (path / f"olist_{table}_dataset.csv").write_bytes(_csv(row))
            (path / f"olist_{folder.table}_dataset.csv").write_bytes(folder.content)
            named = (f"olist_{folder.table}_dataset.csv", *_TABLES[folder.table], "lines", "Location", "Seller")
            trials.append(one(f"import of Olist: {folder.what}", ["import", str(path)], named))
        await asyncio.gather(*trials)


async def _judge(report: Report, shop: Shop, attack: str, words: list[str], named: tuple[str, ...]) -> None:
    """Refused: so many words on stderr, which name the file, the line or the field; nothing else happened."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "starter.py", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=shop.stack.environment,
        cwd=CHECKOUT,
    )
    try:
        out, err = (told.decode() for told in await asyncio.wait_for(process.communicate(), 60))
    except TimeoutError:
        process.kill()
        await process.wait()
        report.note("files", attack, "let in", "no answer within a minute")
        return
    says_which = bool(err.strip()) and all(any(name in line for name in named) for line in err.splitlines())
    is_refused = process.returncode in (_REFUSED, _INVALID) and says_which and len(err) < 5_000
    placed_none = not out or " 0 placed, 0 there already, 0 ended already" in out
    verdict: Verdict = "refused" if is_refused and placed_none else "let in"
    report.note("files", attack, verdict, f"{process.returncode} {out[:200]} {err[:300]}")


def _files(command: tuple[str, ...]) -> Iterator[_File]:
    body = example("catalog" if command[0] == "stock" else "order")
    for what, content in BODIES.items():
        if content:
            yield _File(what, command, content)
    for what, content in {
        "Latin-1": json.dumps(body | {"order_id": "é"}, ensure_ascii=False).encode("latin-1"),
        "a NUL": b"\x00" + as_json(body),
        "a NUL in a text": as_json(body | {"order_id": "a\x00b", "sellers": "a\x00b"}),
        "a mark, and an unknown name": _BOM + as_json(body | {"nobody knows this": 1}),
        "two marks": _BOM + _BOM + as_json(body),
        "205 MB" if command[0] == "stock" else "3 MB": b" " * (205_000_000 if command[0] == "stock" else 3_000_000)
        + b"{",
        "lines that are none": b"{}\n" * 20,
    }.items():
        yield _File(what, command, content)


def _folders() -> Iterator[_Folder]:
    for table, row in _TABLES.items():
        yield _Folder(f"{table} is empty", table, b"")
        yield _Folder(f"{table} is Latin-1", table, _csv(row) + "são\n".encode("latin-1"))
        yield _Folder(f"{table} has a NUL", table, _csv(row) + b"\x00\n")
        yield _Folder(f"{table} is UTF-16", table, _csv(row).decode().encode("utf-16"))
        yield _Folder(f"{table} has a cell of 1 MB", table, _csv(row) + b"x" * 1_000_000)
        yield _Folder(f"{table} is JSON", table, as_json([row]))
        yield _Folder(f"{table} is a pickle", table, BODIES["a pickle"])
    for column in ORDER:
        if column != "order_id":
            yield _Folder(f"orders lacks {column}", "orders", _csv({n: v for n, v in ORDER.items() if n != column}))
    for table, column, value in (
        ("orders", "order_id", "../../etc/passwd"),
        ("orders", "order_id", "x" * 5_000),
        ("orders", "order_purchase_timestamp", "9999-12-31 23:59:59"),
        ("orders", "order_estimated_delivery_date", "9999-12-31 00:00:00"),
        ("orders", "order_purchase_timestamp", "0001-01-01 00:00:00"),
        ("orders", "order_purchase_timestamp", "=cmd|'/C calc'!A0"),
        ("order_items", "price", "1e400"),
        ("order_items", "price", "1e999999"),
        ("order_items", "price", "1e400000000"),
        ("order_items", "price", "NaN"),
        ("order_items", "price", "-1e15"),
        ("order_items", "order_item_id", "9" * 5_000),
        ("order_items", "seller_id", "s" * 64),
        ("order_items", "seller_id", "../x"),
        ("order_items", "shipping_limit_date", "9999-12-31 23:59:59"),
        ("order_payments", "payment_value", "Infinity"),
        ("order_payments", "payment_value", "9" * 4_000),
        ("order_payments", "payment_sequential", "1e5"),
        ("customers", "customer_unique_id", "u1\r\nBcc: thief@evil.example"),
        ("customers", "customer_city", "x" * 100_000),
        ("customers", "customer_id", "nobody"),
    ):
        yield _Folder(f"{column} is {value[:30]!r}", table, _csv(_TABLES[table] | {column: value}))


def _csv(row: Row) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(row))
    writer.writeheader()
    writer.writerow(row)
    return file.getvalue().encode()
