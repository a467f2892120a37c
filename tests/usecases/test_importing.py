"""Imports: every row is answered for, and one bad row harms no other."""

import asyncio
import codecs
import io
from typing import Any

from domain.results import OrderResult
from usecases.errors import InvalidOrder, OrderConflict, OrderError, Unreachable
from usecases.importing import LINE_BYTES_MAX, TRIES, ImportReport, ImportRow, import_orders, json_lines
from usecases.orders import Placed


class FakeOrders:
    """Bodies say what becomes of them; `down` orders are out of reach so many times."""

    def __init__(self, down: dict[str, int] | None = None) -> None:
        self.down = dict(down or {})
        self.placed: set[str] = set()
        self.now = self.most = 0

    async def place(self, body: Any) -> Placed:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        order_id = body["order_id"]
        if self.down.get(order_id, 0) > 0:
            self.down[order_id] -= 1
            raise Unreachable("nobody there")
        if body.get("bad"):
            raise InvalidOrder("lines: none")
        if body.get("taken"):
            raise OrderConflict("taken")
        if body.get("ended"):
            result = OrderResult(
                order_id=order_id, status="Delivered", units={}, captured=1, refunded=0, voided=0, currency="USD"
            )
            return Placed(order_id=order_id, outcome="finished_same", result=result)
        outcome = "running_same" if order_id in self.placed else "new"
        self.placed.add(order_id)
        return Placed.model_validate({"order_id": order_id, "outcome": outcome})

    async def refusal(self, order_id: str) -> OrderError | None:
        return InvalidOrder("lines.0.sku: unknown") if order_id.startswith("unknown") else None


async def no_sleep(_: float) -> None:
    await asyncio.sleep(0)


def rows(*bodies: dict[str, Any]) -> list[ImportRow]:
    return [ImportRow(f"line {number}", body) for number, body in enumerate(bodies, start=1)]


async def test_every_row_is_counted_and_troubles_are_listed_in_their_order() -> None:
    heard: list[ImportReport] = []
    bodies = rows(
        {"order_id": "1", "bad": True},
        {"order_id": "2"},
        {"order_id": "3", "taken": True},
        {"order_id": "4", "ended": True},
        {"order_id": "unknown-5"},
    )
    report = await import_orders(FakeOrders(), [*bodies, ImportRow("line 6", reason="no JSON")], told=heard.append)
    assert (report.rows, report.new, report.same, report.finished) == (6, 1, 0, 1)
    assert [(trouble.where, trouble.kind) for trouble in report.troubles] == [
        ("line 1", "invalid"),
        ("line 3", "conflict"),
        ("line 5", "invalid"),
        ("line 6", "invalid"),
    ]
    assert [one.rows for one in heard] == [1, 2, 3, 4, 5, 6]


async def test_a_second_run_places_nothing_anew() -> None:
    orders = FakeOrders()
    bodies = rows({"order_id": "1"}, {"order_id": "2"})
    assert (await import_orders(orders, bodies)).new == 2
    again = await import_orders(orders, bodies)
    assert (again.new, again.same) == (0, 2)


async def test_a_row_that_nobody_answered_is_tried_again_and_then_listed() -> None:
    orders = FakeOrders(down={"1": TRIES - 1, "2": TRIES})
    report = await import_orders(orders, rows({"order_id": "1"}, {"order_id": "2"}), sleep=no_sleep)
    assert report.new == 1
    assert [(trouble.order_id, trouble.kind) for trouble in report.troubles] == [("2", "unreachable")]


async def test_no_more_rows_are_under_way_than_asked_for() -> None:
    orders = FakeOrders()
    bodies = rows(*({"order_id": str(number)} for number in range(50)))
    assert (await import_orders(orders, iter(bodies), at_once=3)).new == 50
    assert orders.most == 3


def test_json_lines_tell_the_line_of_what_is_none() -> None:
    found = list(json_lines(io.BytesIO(b'{"order_id": "1"}\n\n{\n[1]\n' + b"[" * 200_000)))
    assert [row.where for row in found] == ["line 1", "line 3", "line 4", "line 5"]
    assert found[0].body == {"order_id": "1"}
    assert found[1].reason == "no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    assert found[3].reason is not None


def test_json_lines_go_on_after_what_nobody_can_read() -> None:
    good = b'{"order_id": "1"}'
    too_long = b'"' + b"a" * 3 * LINE_BYTES_MAX + b'"'
    file = b"\n".join([codecs.BOM_UTF8 + good, b'{"name": "\xff"}', too_long, codecs.BOM_UTF8 + good, b"\x00", good])
    found = list(json_lines(io.BytesIO(file)))
    assert [row.body for row in found] == [{"order_id": "1"}, None, None, None, None, {"order_id": "1"}]
    assert [row.reason for row in found][1:3] == ["is not UTF-8", "longer than 2,000,000 bytes"]
    assert [row.where for row in found] == [f"line {number}" for number in range(1, 7)]
