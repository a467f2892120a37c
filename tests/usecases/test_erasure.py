"""Erasure on request: nothing of the person is left in rows or histories, and what accounts and insights need is."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.sealing import ERASED
from store.contacts import Contacts
from store.erasure import Erasures
from store.identities import violations
from store.insights.refreshing import Refreshing
from tests import rawclient
from tests.shop import Shop, eventually, line
from usecases.erasure import Erasure
from usecases.errors import OrderNotFound, Refused
from usecases.insights_refresher import bring_up_to_date

CANARIES = ("zebulon", "quagmire", "xylophone", "tumbolia", "wimbleton", "kumquat", "card-4111")
ADDRESS = {
    "name": "Zebulon Quagmire",
    "line1": "77 Xylophone Lane",
    "city": "Tumbolia",
    "country": "US",
    "region": "CA",
}


async def marked(shop: Shop, customer: str) -> str:
    """An order whose customer can be found again, with notes, another address, a refusal and an issue."""
    body = shop.body(line(await shop.lists(9), 2), ship_to=ADDRESS)
    body["customer"] = {"id": customer, "name": "Zebulon Quagmire", "email": "zebulon@quagmire.example"}
    body["payments"][0]["token"] = "card-4111"
    order_id = await shop.checked(body)
    await shop.update(order_id, "note", text="kumquats for Zebulon")
    await shop.update(
        order_id, "change_address", ship_to=ADDRESS | {"line1": "1 Wimbleton", "line2": "Xylophone"}, reason="kumquat"
    )
    await shop.orders.signal(order_id, "cancel", {"fulfillment_id": "kumquat"})
    return order_id


async def delivered(shop: Shop, customer: str) -> str:
    order_id = await marked(shop, customer)
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.carrier_says(order_id, "in_transit", location="Tumbolia", note="kumquat")
    await shop.carrier_says(order_id, "delivered", signed_by="Zebulon", location="Tumbolia")
    await shop.ended(order_id)
    await shop.mails(order_id, 5)
    return order_id


async def rows(shop: Shop) -> dict[str, str]:
    """All tables as text, as a dump has them; without the book of the simulated payment provider, another party."""
    found = {}
    async with shop.database.statement() as connection:
        tables = await connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        for table in tables.all():
            if not table.startswith("sandbox_"):
                content = await connection.scalars(text(f'SELECT CAST("{table}" AS text) FROM "{table}"'))
                found[table] = "\n".join(content.all()).lower()
    return found


def found_in(places: dict[str, str]) -> list[tuple[str, str]]:
    return [(table, word) for table, content in places.items() for word in CANARIES if word in content]


async def insights(shop: Shop) -> list[Any]:
    counts = Refreshing(shop.database, "UTC")
    await counts.rebuild()
    await bring_up_to_date(counts)
    async with shop.database.statement() as connection:
        found = await connection.execute(text("SELECT CAST(daily_counts AS text) FROM daily_counts ORDER BY 1"))
        return list(found.scalars())


async def test_nothing_of_the_person_is_left_and_accounts_still_add_up(shop: Shop) -> None:
    customer = f"c-{uuid4().hex[:8]}"
    order_id = await delivered(shop, customer)
    cancelled = await marked(shop, customer)
    await shop.update(cancelled, "cancel", by="customer", reason="kumquat")
    await shop.ended(cancelled)
    await shop.mails(cancelled, 3)
    seen = {word for _, word in found_in(await rows(shop))}
    assert seen == {"zebulon", "tumbolia", "kumquat", "card-4111"}, "what somebody typed, and the token"
    known = await Contacts(shop.database).customer(order_id)
    assert known is not None
    assert (known.name, known.address.line2) == ("Zebulon Quagmire", "Xylophone"), "and can be opened"
    counted = await insights(shop)
    accounts = [await shop.views.order(one) for one in (order_id, cancelled)]

    erasure = Erasure(Erasures(shop.database), shop.client)
    assert [row.outcome for row in await erasure.customer(customer, "support/ann")] == ["erased"] * 2
    assert found_in(await rows(shop)) == []
    await shop.forgotten(order_id)
    assert await insights(shop) == counted
    assert await violations(shop.database) == []
    for before in accounts:
        assert before is not None
        after = await shop.views.order(before.order.order_id)
        assert after is not None
        assert (after.order, after.lines, after.totals) == (before.order, before.lines, before.totals)
    entries = await shop.views.timeline(order_id)
    assert [(e.what, e.who, e.summary) for e in entries if e.what == "erased"] == [
        ("erased", "support/ann", "Personal data was erased")
    ]
    assert {e.summary for e in entries if e.what == "note"} == {ERASED}

    left = await rows(shop)
    assert [row.outcome for row in await erasure.customer(customer, "support/ann")] == ["erased_before"] * 2
    assert await rows(shop) == left


async def test_an_open_order_and_an_unknown_one_are_refused(shop: Shop) -> None:
    customer = f"c-{uuid4().hex[:8]}"
    order_id = await marked(shop, customer)
    erasure = Erasure(Erasures(shop.database), shop.client)
    with pytest.raises(Refused, match="is open"):
        await erasure.order(order_id, "support")
    assert [row.outcome for row in await erasure.customer(customer, "support")] == ["open"]
    assert ("timeline", "zebulon") in found_in(await rows(shop))
    with pytest.raises(OrderNotFound):
        await erasure.order("no-such-order", "support")
    with pytest.raises(OrderNotFound):
        await erasure.customer("nobody", "support")
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)


async def test_a_start_that_was_refused_has_no_row_and_is_erased_in_temporal(shop: Shop) -> None:
    erasure = Erasure(Erasures(shop.database), shop.client)
    body = shop.body(line("NO-SUCH-KUMQUAT"), ship_to=ADDRESS)
    order_id = str(body["order_id"])
    tries = []
    for _ in range(2):  # each is a run, with a body of its own
        start = await rawclient.start(shop, body)
        assert (await rawclient.failure(start))[0] == "InvalidOrder"
        tries.append(shop.client.get_workflow_handle(start.id, run_id=start.first_execution_run_id))

    async def listed() -> int:
        return len([one async for one in shop.client.list_workflows(f'WorkflowId = "order:{order_id}"')])

    await eventually(listed, lambda runs: runs == 2)
    for run in tries:
        assert "Zebulon" in str((await run.fetch_history()).events[0])
    other = await shop.place(shop.body(line("NO-SUCH"), order_id=f"{order_id}-1"))

    assert (await erasure.order(order_id, "support")).outcome == "erased"
    await shop.forgotten(order_id)
    await eventually(listed, lambda runs: runs == 0)
    for run in tries:
        with pytest.raises(RPCError, match="not found"):
            await run.fetch_history()
    for none in (order_id, f'{order_id}" OR WorkflowId != "'):
        with pytest.raises(OrderNotFound, match="there is no order"):
            await erasure.order(none, "support")
    assert (await rawclient.failure(shop.handle(other)))[0] == "InvalidOrder", "its id only begins so: it is there"


async def test_a_start_that_nobody_has_recorded_yet_is_no_refused_one(shop: Shop) -> None:
    order_id = f"o-{uuid4().hex[:8]}"
    body = shop.body(line("MUG"), order_id=order_id)
    waiting = await shop.client.start_workflow("OrderWorkflow", body, id=f"order:{order_id}", task_queue="nobody")
    with pytest.raises(Refused, match="is open"):
        await Erasure(Erasures(shop.database), shop.client).order(order_id, "support")
    assert (await waiting.describe()).status is WorkflowExecutionStatus.RUNNING
    await waiting.terminate()
