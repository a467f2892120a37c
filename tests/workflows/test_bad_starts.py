"""Starts that must not become orders: each ends at once and for good, and says which field is to blame."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.results import OrderResult
from tests import rawclient
from tests.bad_input import BAD_ORDERS, BadInput
from tests.shop import Body, Shop, line
from usecases.errors import InvalidOrder, OrderClosed, OrderConflict


async def test_every_bad_body_of_the_table_ends_with_its_field(shop: Shop) -> None:
    async def verdict(bad: BadInput, number: int) -> tuple[str, str | None, str]:
        handle = await rawclient.start(shop, bad.body, workflow_id=f"order:bad-{number}")
        kind, reason = await rawclient.failure(handle)
        return bad.name, kind, reason

    verdicts = await asyncio.gather(*(verdict(bad, number) for number, bad in enumerate(BAD_ORDERS)))
    expected = {bad.name: f"{bad.field}: " if bad.field else "expected one JSON object" for bad in BAD_ORDERS}
    assert [v for v in verdicts if v[1] != "InvalidOrder" or not v[2].startswith(expected[v[0]])] == []
    assert len(verdicts) == len(BAD_ORDERS) > 50


WRONG_ARGUMENTS: tuple[tuple[tuple[Any, ...], str], ...] = (
    ((), "expected one JSON object, got 0 arguments"),
    (({}, {}), "expected one JSON object, got 2 arguments"),
    ((1, 2, 3), "expected one JSON object, got 3 arguments"),
    ((None,), "expected one JSON object, got nothing"),
    ((True,), "expected one JSON object, got bool"),
    ((1042,), "expected one JSON object, got int"),
    (([{}],), "expected one JSON object, got an array"),
    ((b"1042",), "expected one JSON object, got bytes"),
)


async def test_wrong_arguments_end_clearly(shop: Shop) -> None:
    handles = [await rawclient.start(shop, *arguments) for arguments, _ in WRONG_ARGUMENTS]
    verdicts = await asyncio.gather(*(rawclient.failure(handle) for handle in handles))
    assert verdicts == [("InvalidOrder", reason) for _, reason in WRONG_ARGUMENTS]


UNREADABLE = {
    "half an object": rawclient.payload(b'{"order_id": "1042"'),
    "half a character": rawclient.payload(b'{"order_id": "\\ud800"}'),
    "no characters": rawclient.payload(b"\xff\xfe"),
    "nothing at all": rawclient.payload(b""),
    "somebody's encryption": rawclient.payload(b"\x00\x01", "binary/encrypted"),
    "no encoding": rawclient.payload(b"{}", ""),
    "deeper than any order": rawclient.payload(b"[" * 1_000 + b"]" * 1_000),
    "a number of 5,000 digits": rawclient.payload(b'{"order_id": ' + b"1" * 5_000 + b"}"),
    "not a number": rawclient.payload(b'{"order_id": NaN}'),
}


async def test_payloads_that_nobody_can_read_end_clearly_too(shop: Shop) -> None:
    handles = [await rawclient.start(shop, payload) for payload in UNREADABLE.values()]
    verdicts = await asyncio.gather(*(rawclient.failure(handle) for handle in handles))
    by_name = dict(zip(UNREADABLE, verdicts, strict=True))
    assert {name: kind for name, (kind, _) in by_name.items()} == dict.fromkeys(UNREADABLE, "InvalidOrder"), by_name


async def test_what_only_the_shop_knows_is_refused_by_name(shop: Shop) -> None:
    mug = await shop.lists(5)
    foreign = await shop.lists(5, seller="birch")
    unknown = shop.body(line(mug), line("NO-SUCH"), line(foreign, seller="acme"), line(mug, seller="nobody"))
    misnamed = shop.body(line(mug))
    verdicts = await asyncio.gather(
        rawclient.failure(await rawclient.start(shop, unknown)),
        rawclient.failure(await rawclient.start(shop, misnamed, workflow_id="order:another")),
        rawclient.failure(await rawclient.start(shop, misnamed, workflow_id=misnamed["order_id"])),
        rawclient.failure(await rawclient.start(shop, misnamed, name="order_workflow")),
        rawclient.failure(await rawclient.start(shop, name="ReturnWorkflow")),
    )
    assert list(verdicts) == [
        (
            "InvalidOrder",
            f"lines.1.sku: acme has no 'NO-SUCH' to sell; lines.2.sku: acme has no {foreign!r} to sell; "
            f"lines.3.sku: nobody has no {mug!r} to sell",
        ),
        ("InvalidOrder", f"order_id: {misnamed['order_id']!r} is not of 'order:another'"),
        ("InvalidOrder", f"order_id: {misnamed['order_id']!r} is not of {misnamed['order_id']!r}"),
        ("UnknownWorkflow", "there is no workflow type 'order_workflow': start OrderWorkflow"),
        ("UnknownWorkflow", "there is no workflow type 'ReturnWorkflow': start OrderWorkflow"),
    ]
    assert await shop.on_hand(mug) == {"ACME-1": (5, 0)}
    assert await rawclient.effects(shop, unknown["order_id"]) == {"money": 0, "stock": 0, "timeline": 0, "mails": 0}


async def test_a_refused_order_may_be_placed_again_once_it_can_be(shop: Shop) -> None:
    body = shop.body(line("COMES-LATER"))
    await shop.orders.place(body)
    refusal = await shop.orders.refusal(body["order_id"])
    assert isinstance(refusal, InvalidOrder)
    assert refusal.reason.startswith("lines.0.sku")
    with pytest.raises(InvalidOrder):
        await shop.orders.result(body["order_id"])
    with pytest.raises(OrderClosed):
        await shop.update(body["order_id"], "note", text="still there?")
    await shop.lists(1, sku="COMES-LATER")
    assert (await shop.orders.place(body)).outcome == "new"
    assert await shop.orders.refusal(body["order_id"]) is None
    await shop.update(body["order_id"], "cancel")
    assert (await shop.orders.result(body["order_id"])).status == "Canceled"


async def test_an_order_of_500_lines_is_none_too_many(shop: Shop) -> None:
    mug = await shop.lists(600)
    order_id = await shop.placed(*(line(mug) for _ in range(500)))
    assert await shop.on_hand(mug) == {"ACME-1": (600, 500)}
    await shop.update(order_id, "cancel")
    assert (await shop.orders.result(order_id)).units == {"cancelled": 500}
    await shop.conserves(order_id)


# -- the same id once more -----------------------------------------------------------


def _other(body: Body) -> Body:
    return {**body, "customer": {**body["customer"], "name": "Grace Hopper"}}


async def test_the_same_id_while_the_order_is_open(shop: Shop) -> None:
    mug = await shop.lists(5)
    body = shop.body(line(mug, 2))
    order_id = await shop.checked(body)
    left = await rawclient.effects(shop, order_id)

    assert (await shop.orders.place(body)).outcome == "running_same"
    with pytest.raises(OrderConflict, match="another body"):
        await shop.orders.place(_other(body))
    for again in (body, _other(body)):
        with pytest.raises(WorkflowAlreadyStartedError):
            await rawclient.start(shop, again, id_conflict_policy=WorkflowIDConflictPolicy.FAIL)
    assert await rawclient.effects(shop, order_id) == left
    assert await shop.on_hand(mug) == {"ACME-1": (5, 2)}
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)


async def test_the_same_id_after_the_end(shop: Shop) -> None:
    mug = await shop.lists(5)
    body = shop.body(line(mug, 2))
    order_id = await shop.checked(body)
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.delivers(order_id)
    result = await shop.orders.result(order_id)
    await shop.conserves(order_id)
    left = await rawclient.effects(shop, order_id)
    assert left["money"] == 2  # authorized, captured

    again = await shop.orders.place(body)
    assert (again.outcome, again.result) == ("finished_same", result)
    with pytest.raises(OrderConflict):
        await shop.orders.place(_other(body))

    # Somebody's own client starts it anew: fields at their default and their order do not matter.
    reordered = dict(reversed({**body, "tax": 0, "kind": "order"}.items()))
    repeated = await rawclient.start(shop, reordered, id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE)
    assert OrderResult.model_validate(await repeated.result()) == result
    conflicting = await rawclient.start(shop, _other(body), id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE)
    kind, reason = await rawclient.failure(conflicting)
    assert (kind, reason) == ("OrderConflict", f"order_id: {order_id!r} was placed with another body")

    assert (await conflicting.describe()).status is WorkflowExecutionStatus.FAILED
    assert await rawclient.effects(shop, order_id) == left
    assert await shop.on_hand(mug) == {"ACME-1": (3, 0)}
    await shop.conserves(order_id)


async def test_twenty_at_once_place_one_order(shop: Shop) -> None:
    mug = await shop.lists(50)
    body = shop.body(line(mug, 2))
    placed = await asyncio.gather(*(shop.orders.place(body) for _ in range(20)))
    outcomes = sorted(one.outcome for one in placed)
    assert outcomes == ["new"] + ["running_same"] * 19
    await shop.until(body["order_id"], lambda status: bool(status.fulfillments))
    assert await shop.on_hand(mug) == {"ACME-1": (50, 2)}
    await shop.update(body["order_id"], "cancel")
    await shop.ended(body["order_id"])
    assert await shop.on_hand(mug) == {"ACME-1": (50, 0)}
