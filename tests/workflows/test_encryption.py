"""With keys, all that passes through Temporal is encrypted, and what came in clear is refused and never hangs."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory, WorkflowQueryFailedError
from temporalio.common import RawValue
from temporalio.converter import DataConverter
from temporalio.worker import Replayer

import worker
from domain.results import TimelineView
from localstack.stack import Stack
from tests import rawclient
from tests.encryption import NEW, OLD, OTHER, Mode, client_with, converter, through
from tests.shop import PatientOrders, Shop, line, open_shop
from usecases.errors import Refused
from worker import workflow_runner
from workflows.arguments import ArgumentConverter, EmptyBodyCountsAsClear
from workflows.order import OrderWorkflow

NOT_ENCRYPTED = "the body is not encrypted, and only encrypted ones are taken: see docs/encryption.md"
UNKNOWN_KEY = "the body cannot be decrypted: it is encrypted by the key 'other', which is not known here"
MODES: tuple[Mode, ...] = ("read", "write", "require")
NO_SUCH_PART = "fulfillment_id: the order has no fulfillment 'none' (it has: acme-1)"
NAMES = (b"Ada Lovelace", b"12 Mill Street", b"@example.com", b"MUG-SECRET", b"a note of support")


@pytest.fixture(scope="module")
async def sealed(stack: Stack, fresh_database: Callable[[], str]) -> AsyncIterator[Shop]:
    async with open_shop(stack, await client_with(stack, NEW, OLD), fresh_database()) as shop:
        yield shop


async def refusals(shop: Shop, order_id: str) -> list[str]:
    answer = await shop.orders.query(order_id, "timeline")
    assert isinstance(answer, TimelineView)
    return [entry.summary for entry in answer.entries if entry.what == "cancel_refused"]


async def history(shop: Shop, order_id: str) -> WorkflowHistory:
    return await shop.handle(order_id).fetch_history()


def raw(found: WorkflowHistory) -> bytes:
    return b"".join(event.SerializeToString() for event in found.events)


async def replays(found: WorkflowHistory, *keys: str, mode: Mode = "require") -> None:
    """Raises where the order would be stuck with these settings."""
    reading: DataConverter = replace(converter(*keys, mode=mode), payload_converter_class=ArgumentConverter)
    replayer = Replayer(
        workflows=[OrderWorkflow],
        data_converter=reading,
        workflow_runner=workflow_runner(),
        interceptors=[EmptyBodyCountsAsClear()] if mode == "require" else [],
    )
    await replayer.replay_workflow(found)


async def plays(shop: Shop) -> str:
    """From checkout to delivered, with a note and an address on the way."""
    order_id = await shop.placed(line(await shop.lists(5), 2))
    await shop.update(order_id, "note", text="a note of support")
    address = {"name": "Ada Lovelace", "line1": "12 Mill Street", "city": "Springfield", "country": "US"}
    await shop.update(order_id, "change_address", ship_to=address)
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.delivers(order_id)
    assert (await shop.orders.result(order_id)).status == "Delivered"
    return order_id


async def test_an_order_lives_encrypted_and_its_history_says_nothing(sealed: Shop, shop: Shop) -> None:
    order_id = await plays(sealed)
    await sealed.mails(order_id, 5)
    found = await history(sealed, order_id)
    assert [name for name in NAMES if name in raw(found)] == []
    memo = (await sealed.handle(order_id).describe()).raw_description.workflow_execution_info.memo
    assert {one.metadata["encoding"] for one in memo.fields.values()} == {b"binary/encrypted"}
    await replays(found, NEW, OLD)

    in_clear = raw(await history(shop, await plays(shop)))
    assert [name for name in NAMES if name in in_clear] == [n for n in NAMES if n != b"MUG-SECRET"], "it can see"


async def test_another_key_becomes_current_and_the_old_one_still_opens(sealed: Shop) -> None:
    before = through(sealed, await client_with(sealed.stack, OLD))
    order_id = await before.place(sealed.body(line(await sealed.lists(5))))
    await sealed.until(order_id, lambda status: bool(status.fulfillments))
    found = await history(sealed, order_id)
    assert b"\x03old" in raw(found)  # the start
    assert b"\x03new" in raw(found)  # what the worker wrote
    await replays(found, NEW, OLD)
    with pytest.raises(Exception, match="MissingKey"):
        await replays(found, NEW)
    await sealed.update(order_id, "cancel")
    await sealed.ended(order_id)


async def test_what_comes_in_clear_or_by_a_foreign_key_is_refused_and_nothing_hangs(sealed: Shop) -> None:
    order_id = await sealed.placed(line(await sealed.lists(5)))
    for client, reason in (
        (await client_with(sealed.stack), NOT_ENCRYPTED),
        (await client_with(sealed.stack, OTHER), UNKNOWN_KEY),
    ):
        other = through(sealed, client)
        body = sealed.body(line(await sealed.lists(5)))
        refused = await rawclient.start(other, body)
        assert await rawclient.failure(refused) == ("InvalidOrder", reason)
        assert str(await sealed.orders.why_refused(body["order_id"])) == reason

        await other.handle(order_id).signal("cancel", {"reason": "in clear"})
        assert await rawclient.refusal(other, order_id, "cancel", {"reason": "in clear"}) == ("InvalidMessage", reason)
        with pytest.raises(WorkflowQueryFailedError, match="the body"):
            await other.handle(order_id).query("status", {})
    assert await refusals(sealed, order_id) == [NOT_ENCRYPTED, UNKNOWN_KEY]

    # A refusal stands, also where another worker could read what was refused, and the order goes on.
    found = await history(sealed, order_id)
    for keys in ((NEW, OLD), (NEW, OLD, OTHER)):
        await replays(found, *keys)
        await replays(found, *keys, mode="write")
    status = await sealed.status(order_id)
    assert [fulfillment.status for fulfillment in status.fulfillments] == ["Unshipped"]
    await sealed.update(order_id, "cancel")
    assert (await sealed.orders.result(order_id)).status == "Canceled"


async def test_a_message_without_a_body_is_one_in_clear(sealed: Shop, shop: Shop) -> None:
    order_id = await sealed.placed(line(await sealed.lists(5)))
    await sealed.handle(order_id).signal("cancel")
    for update in ("cancel", "hold", "confirm_delivery"):
        assert await rawclient.refusal(sealed, order_id, update) == ("InvalidMessage", NOT_ENCRYPTED)
    assert await refusals(sealed, order_id) == [NOT_ENCRYPTED]
    assert (await sealed.handle(order_id).query("status"))["status"] == "Unshipped"
    found = await history(sealed, order_id)
    await replays(found, NEW, OLD)
    await replays(found, NEW, OLD, mode="write")
    await sealed.update(order_id, "cancel")
    await sealed.ended(order_id)

    # What was obeyed before encryption was required is obeyed again.
    order_id = await shop.placed(line(await shop.lists(5)))
    await shop.handle(order_id).signal("cancel")
    assert (await shop.orders.result(order_id)).status == "Canceled"
    await replays(await history(shop, order_id), NEW, OLD)


async def test_refusals_are_read_through_the_encryption(sealed: Shop) -> None:
    order_id = await sealed.placed(line(await sealed.lists(5)))
    with pytest.raises(Refused, match="the order has no fulfillment 'none'"):
        await sealed.orders.query(order_id, "packing_list", {"fulfillment_id": "none"})
    with pytest.raises(Refused, match="the order has no fulfillment 'none'"):
        await sealed.update(order_id, "cancel", fulfillment_id="none")
    with pytest.raises(WorkflowQueryFailedError, match="newest"):
        await sealed.handle(order_id).query("timeline", {"newest": "five"})
    await sealed.update(order_id, "cancel")
    await sealed.ended(order_id)


async def test_an_altered_body_is_refused(sealed: Shop) -> None:
    [good] = await converter(NEW).encode([{"reason": "mine"}])
    moved = Payload()
    moved.CopyFrom(good)
    moved.metadata["encryption-key-id"] = b"old"
    changed = Payload(metadata=good.metadata, data=good.data[:-1] + bytes([good.data[-1] ^ 1]))
    nameless = Payload(metadata={"encoding": b"binary/encrypted"}, data=good.data)
    ciphered = Payload(metadata={**good.metadata, "encryption-cipher": b"ROT13"}, data=good.data)
    order_id = await sealed.placed(line(await sealed.lists(5)))
    other = through(sealed, await client_with(sealed.stack))
    for payload, words in (
        (moved, "it is not as the key 'old' has encrypted it"),
        (changed, "it is not as the key 'new' has encrypted it"),
        (nameless, "it is encrypted, and names no key"),
        (ciphered, "it is encrypted by another cipher than AES-256-GCM"),
    ):
        verdict = await rawclient.refusal(other, order_id, "cancel", RawValue(payload))
        assert verdict == ("InvalidMessage", f"the body cannot be decrypted: {words}")
    await sealed.handle(order_id).execute_update("cancel", {"reason": "mine"})
    await sealed.ended(order_id)


async def test_orders_that_were_open_when_encryption_began_go_on(shop: Shop) -> None:
    """From none to all in the steps of docs/encryption.md; each worker replays what the one before has written."""
    order_id = await shop.placed(line(await shop.lists(9), 2))
    await shop.handle(order_id).signal("cancel", {"fulfillment_id": "none"})
    await shop.update(order_id, "note", text="in clear")
    assert await refusals(shop, order_id) == [NO_SUCH_PART]
    for mode in MODES:
        found = await history(shop, order_id)
        await replays(found, NEW, mode=mode)
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)
    for mode in MODES:
        await replays(await history(shop, order_id), NEW, mode=mode)


async def test_the_steps_from_none_to_all(stack: Stack, shop: Shop) -> None:
    """Workers are changed one after the other; at each step an order is placed and a signal comes in clear."""
    nothing = await client_with(stack)
    settings = shop.settings.model_copy(update={"cached_orders_max": 0})
    queue = f"{shop.task_queue}-steps"
    orders: list[str] = []
    for mode in (None, *MODES):
        client = nothing if mode is None else await client_with(stack, NEW, mode=mode)
        now = through(shop, client)
        now.task_queue, now.orders = queue, PatientOrders(client, task_queue=queue)
        async with worker.running(worker.build(client, settings, queue)):
            for order_id in orders:
                await now.update(order_id, "note", text="still open")
            orders.append(await now.placed(line(await shop.lists(5))))
            await through(shop, nothing).handle(orders[-1]).signal("cancel", {"fulfillment_id": "none"})
            if mode == "require":
                assert await refusals(now, orders[-1]) == [NOT_ENCRYPTED]
                for order_id in orders:
                    await now.update(order_id, "cancel")
                    assert (await now.orders.result(order_id)).status == "Canceled"
            else:
                assert await refusals(now, orders[-1]) == [NO_SUCH_PART]
