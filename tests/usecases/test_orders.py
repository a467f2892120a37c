"""Placing, messages and questions on a real server: what each answers, and each kind of no."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, Interceptor, OutboundInterceptor, SignalWorkflowInput
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from domain.placing import PlaceOrder, body_hash
from domain.requests import KnownOrder, UnknownLine
from domain.results import Accepted, OrderResult, TimelineView
from localstack.temporal import TemporalServer
from tests.bad_input import example, order_with
from tests.shop import PatientOrders, Shop, line
from usecases.errors import (
    InvalidMessage,
    InvalidOrder,
    OrderClosed,
    OrderConflict,
    OrderNotFound,
    Refused,
    Unreachable,
)
from usecases.orders import BODY_HASH, Orders
from workflows.names import WORKFLOW, workflow_id

SHORT = timedelta(seconds=1)


class Remembered:
    """A store that knows one order."""

    def __init__(self, order_id: str, known: KnownOrder) -> None:
        self._known = {order_id: known}

    async def known_order(self, order_id: str) -> KnownOrder | None:
        return self._known.get(order_id)

    async def look_up(self, order: PlaceOrder) -> tuple[KnownOrder | None, tuple[UnknownLine, ...]]:
        return self._known.get(order.order_id), ()


async def test_the_same_order_again_is_the_same_order_before_and_after_its_end(shop: Shop) -> None:
    body = shop.body(line(await shop.lists()))
    assert (await shop.orders.place(body)).outcome == "new"
    assert await shop.orders.refusal(body["order_id"]) is None
    assert (await shop.orders.place(body)).outcome == "running_same"
    await shop.until(body["order_id"], lambda status: bool(status.fulfillments))
    await shop.update(body["order_id"], "cancel")
    result = await shop.orders.result(body["order_id"])
    again = await shop.orders.place(body)
    assert (again.outcome, again.result) == ("finished_same", result)
    assert result.status == "Canceled"


async def test_another_body_under_the_same_id_is_a_conflict_before_and_after_the_end(shop: Shop) -> None:
    sku = await shop.lists()
    order_id = await shop.placed(line(sku))
    other = shop.body(line(sku, quantity=2), order_id=order_id)
    with pytest.raises(OrderConflict):
        await shop.orders.place(other)
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)
    with pytest.raises(OrderConflict):
        await shop.orders.place(other)
    assert len((await shop.status(order_id)).lines) == 1


async def test_fields_at_their_default_make_no_other_body(shop: Shop) -> None:
    body = shop.body(line(await shop.lists()))
    await shop.orders.place(body)
    spelled_out = PlaceOrder.model_validate_json(json.dumps(body)).model_dump(mode="json")
    assert (await shop.orders.place(spelled_out)).outcome == "running_same"


async def test_an_order_that_another_client_started_is_known_by_its_start_body(shop: Shop) -> None:
    body = shop.body(line(await shop.lists()))
    order_id = body["order_id"]
    await shop.client.start_workflow(WORKFLOW, body, id=workflow_id(order_id), task_queue=shop.task_queue)
    assert (await shop.orders.place(body)).outcome == "running_same"
    with pytest.raises(OrderConflict):
        await shop.orders.place(body | {"tax": 1, "payments": [{"token": "tok_visa", "amount": 1001}]})


@pytest.mark.parametrize("encoding", ["json/plain", "binary/encrypted", "no such encoding"])
async def test_an_order_with_a_memo_that_cannot_be_read_is_a_conflict(shop: Shop, encoding: str) -> None:
    """Whoever reaches Temporal may start one with anything in its memo."""
    body = shop.body(line(await shop.lists()))
    order_id = body["order_id"]
    memo = Payload(metadata={"encoding": encoding.encode()}, data=b"\xff{")
    await shop.client.start_workflow(
        WORKFLOW, body, id=workflow_id(order_id), task_queue=shop.task_queue, memo={BODY_HASH: RawValue(memo)}
    )
    with pytest.raises(OrderConflict, match="is taken by"):
        await shop.orders.place(body)
    await shop.until(order_id, lambda status: bool(status.fulfillments))
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)


async def test_a_bad_body_is_refused_before_anything_starts(shop: Shop) -> None:
    body = order_with("lines.0.quantity", "2")
    body["order_id"] = "never-started"
    with pytest.raises(InvalidOrder, match=r"^lines\.0\.quantity: "):
        await shop.orders.place(body)
    with pytest.raises(OrderNotFound):
        await shop.orders.query("never-started", "status")


async def test_an_unknown_sku_is_refused_by_the_order_and_may_be_placed_once_it_is_listed(shop: Shop) -> None:
    body = shop.body(line("LATER"))
    order_id = body["order_id"]
    assert (await shop.orders.place(body)).outcome == "new"
    refusal = await shop.orders.refusal(order_id)
    assert isinstance(refusal, InvalidOrder)
    assert refusal.reason.startswith("lines.0.sku: ")
    with pytest.raises(InvalidOrder):
        await shop.orders.result(order_id)
    await shop.lists(sku="LATER")
    assert (await shop.orders.place(body)).outcome == "new"
    assert await shop.orders.refusal(order_id) is None


async def test_the_store_remembers_longer_than_temporal(shop: Shop) -> None:
    body = example("order")
    result = OrderResult(
        order_id="1042", status="Delivered", units={"delivered": 2}, captured=3239, refunded=0, voided=0, currency="USD"
    )
    order = PlaceOrder.model_validate_json(json.dumps(body))
    known = Remembered("1042", KnownOrder(body_hash=body_hash(order), result=result))
    orders = Orders(shop.client, known, task_queue=shop.task_queue)
    assert (await orders.place(body)).result == result
    with pytest.raises(OrderConflict):
        await orders.place(order_with("customer.name", "Ada Byron"))
    with pytest.raises(OrderClosed):
        await orders.update("1042", "note", {"text": "hello"})


async def test_a_message_is_obeyed_once_per_update_id(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists()))
    for _ in range(2):
        answer = await shop.orders.update(order_id, "hold", {"reason": "fraud?"}, update_id="hold-once")
        assert isinstance(answer, Accepted)
        assert answer.id == "hold-1"
    assert (await shop.status(order_id)).holds == ("hold-1",)


async def test_the_order_says_why_not(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists()))
    with pytest.raises(Refused, match="birch-1"):
        await shop.update(order_id, "reject_lines", fulfillment_id="birch-1", items=[{"line_id": "1"}])
    with pytest.raises(Refused, match="no fulfillment 'birch-1'"):
        await shop.orders.query(order_id, "packing_list", {"fulfillment_id": "birch-1"})


async def test_a_bad_message_names_its_field_and_is_not_sent(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists()))
    with pytest.raises(InvalidMessage, match=r"^text: "):
        await shop.orders.update(order_id, "note", {"text": ""})
    with pytest.raises(InvalidMessage, match=r"^colour: "):
        await shop.orders.signal(order_id, "cancel", {"colour": "blue"})
    with pytest.raises(InvalidMessage, match=r"^newest: "):
        await shop.orders.query(order_id, "timeline", {"newest": 0})
    timeline = await shop.orders.query(order_id, "timeline")
    assert isinstance(timeline, TimelineView)
    assert {"note_refused", "cancel_refused"}.isdisjoint(entry.what for entry in timeline.entries)


@pytest.mark.parametrize(("way", "name"), [("signal", "hold"), ("update", "carrier_event"), ("update", "explode")])
async def test_a_message_goes_only_the_ways_that_it_has(shop: Shop, way: str, name: str) -> None:
    with pytest.raises(InvalidMessage, match=name):
        await getattr(shop.orders, way)("1", name, {})


async def test_an_order_that_never_was_and_one_that_has_ended_are_told_apart(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists()))
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)
    await shop.orders.result(order_id)
    with pytest.raises(OrderClosed):
        await shop.orders.update(order_id, "note", {"text": "too late"})
    with pytest.raises(OrderClosed):
        await shop.orders.signal(order_id, "cancel", {})
    assert (await shop.status(order_id)).closed
    for ask in (
        shop.orders.update("nobody", "note", {"text": "hello"}),
        shop.orders.signal("nobody", "cancel", {}),
        shop.orders.query("nobody", "status"),
        shop.orders.result("nobody"),
        shop.orders.refusal("nobody"),
    ):
        with pytest.raises(OrderNotFound, match="nobody"):
            await ask


class _RunEndsOnce(Interceptor):
    """What the server says to a signal that meets the end of a run: not to be had at will from a real one."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        class Outbound(OutboundInterceptor):
            heard = 0

            async def signal_workflow(self, input: SignalWorkflowInput) -> None:
                self.heard += 1
                if self.heard == 1:
                    raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")
                await super().signal_workflow(input)

        return Outbound(next)


async def test_an_order_that_goes_on_in_another_run_is_not_called_ended(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists()))
    client = Client(shop.client.service_client, data_converter=pydantic_data_converter, interceptors=[_RunEndsOnce()])
    orders = Orders(client)
    with pytest.raises(Unreachable, match="ask again"):
        await orders.signal(order_id, "cancel", {})
    await orders.signal(order_id, "cancel", {})
    await shop.ended(order_id)


async def test_without_a_worker_the_order_stands_and_every_question_ends_in_time(shop: Shop) -> None:
    queue = f"nobody-{uuid4().hex}"
    patient = PatientOrders(shop.client, task_queue=queue)
    orders = Orders(shop.client, task_queue=queue, rpc_timeout=SHORT)
    body = shop.body(line("ANY"))
    order_id = body["order_id"]
    assert (await patient.place(body)).outcome == "new"
    assert (await patient.place(body)).outcome == "running_same"
    await patient.signal(order_id, "cancel", {})
    for ask in (
        orders.refusal(order_id),
        orders.query(order_id, "status"),
        orders.update(order_id, "note", {"text": "hello"}),
    ):
        with pytest.raises(Unreachable):
            await ask


@pytest.mark.parametrize("lost", ["before the first call", "in between"])
async def test_without_a_server_everything_is_unreachable(tmp_path: Path, lost: str) -> None:
    server = TemporalServer(tmp_path)
    server.start()
    try:
        client = await Client.connect(
            server.address, data_converter=pydantic_data_converter, lazy=lost == "before the first call"
        )
    finally:
        server.stop()
    orders = Orders(client, rpc_timeout=SHORT)
    for ask in (
        orders.place(example("order")),
        orders.signal("1", "cancel", {}),
        orders.update("1", "note", {"text": "hello"}),
        orders.query("1", "status"),
    ):
        with pytest.raises(Unreachable):
            await ask
