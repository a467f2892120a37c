"""Every message of the table: obeyed and refused, as update and as signal; and every query, also after the end."""

import asyncio
import inspect
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from domain.messages import MESSAGES, QUERIES
from domain.results import PackingList, StatusView, TimelineView
from tests.shop import UPS, Shop, line
from usecases.errors import Refused
from workflows.order import OrderWorkflow

DEFINED = workflow._Definition.must_from_class(OrderWorkflow)
NAMED: list[Any] = [
    *DEFINED.updates.values(),
    *DEFINED.queries.values(),
    *(signal for name, signal in DEFINED.signals.items() if name),
]


# -- the table and the workflow ------------------------------------------------------------


def test_every_message_has_its_handlers_and_no_handler_is_without_message() -> None:
    assert {name for name in DEFINED.signals if name} == {message.name for message in MESSAGES if message.signal}
    assert set(DEFINED.updates) == {message.name for message in MESSAGES if message.update}
    assert {name for name in DEFINED.queries if not str(name).startswith("__")} == {query.name for query in QUERIES}
    assert None in DEFINED.signals, "a mistyped signal is noted"


def test_every_handler_is_described_and_every_update_checked_first() -> None:
    """Validators are what keeps a refused update out of the history."""
    assert [definition.name for definition in NAMED if not definition.description] == []
    assert [name for name, definition in DEFINED.updates.items() if definition.validator is None] == []


def test_every_handler_takes_whatever_comes() -> None:
    """A fixed count of arguments would make the SDK drop a signal that has another one."""
    takes = {one.name: [p.kind for p in inspect.signature(one.fn).parameters.values()][1:] for one in NAMED}
    assert {name: kinds for name, kinds in takes.items() if kinds != [inspect.Parameter.VAR_POSITIONAL]} == {}


# -- each obeyed and refused -----------------------------------------------------------------


class Ledger:
    """Sends messages and keeps which of them were obeyed and refused, and how they were sent."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.seen: set[tuple[str, str, str]] = set()

    async def obeys(self, order_id: str, name: str, **body: Any) -> Any:
        answer = await self.shop.orders.update(order_id, name, body)
        self.seen.add(("update", name, "obeyed"))
        return answer

    async def refuses(self, order_id: str, name: str, why: str, **body: Any) -> None:
        """A refused update leaves no event in the history."""
        before = (await self.shop.handle(order_id).describe()).history_length
        with pytest.raises(Refused) as refused:
            await self.shop.orders.update(order_id, name, body)
        assert why in refused.value.reason
        assert (await self.shop.handle(order_id).describe()).history_length == before
        self.seen.add(("update", name, "refused"))

    async def refuses_late(self, order_id: str, name: str, why: str, **body: Any) -> None:
        """Refused by what only the store knows."""
        with pytest.raises(Refused, match=why):
            await self.shop.orders.update(order_id, name, body)
        self.seen.add(("update", name, "refused"))

    async def obeys_signal(self, order_id: str, name: str, *words: str, **body: Any) -> None:
        """`words` are what comes into the timeline by it, after what was there."""
        before = (await self._timeline(order_id)).count
        await self.shop.orders.signal(order_id, name, body)
        told = await self._since(order_id, before)
        assert set(words) <= set(told), told
        assert f"{name}_refused" not in told
        self.seen.add(("signal", name, "obeyed"))

    async def refuses_signal(self, order_id: str, name: str, why: str, **body: Any) -> None:
        before = (await self._timeline(order_id)).count
        await self.shop.orders.signal(order_id, name, body)
        told = await self._since(order_id, before)
        assert told[f"{name}_refused"].startswith(why), told
        self.seen.add(("signal", name, "refused"))

    async def _since(self, order_id: str, before: int) -> dict[str, str]:
        return {entry.what: entry.summary for entry in (await self._timeline(order_id)).entries if entry.seq > before}

    async def _timeline(self, order_id: str) -> TimelineView:
        answer = await self.shop.orders.query(order_id, "timeline")
        assert isinstance(answer, TimelineView)
        return answer


@pytest.fixture(scope="module")
def sends(shop: Shop) -> Ledger:
    return Ledger(shop)


ADDRESS = {"name": "A. L.", "line1": "1 New Road", "city": "Salem", "country": "US"}


async def test_updates_on_the_main_path(shop: Shop, sends: Ledger) -> None:
    sku = await shop.lists(9)
    order = await shop.placed(line(sku, 3))
    contents = [{"contents": [{"line_id": "1", "sku": sku, "quantity": 1}]}]

    await sends.obeys(order, "note", text="gift wrap, please")
    held = await sends.obeys(order, "hold", reason="fraud check")
    await sends.refuses(order, "pack", f"on hold ({held.id}: fraud check)", fulfillment_id="acme-1", parcels=contents)
    await sends.refuses(order, "hold", "hold_id: 'hold-1' is placed already", hold_id=held.id)
    await sends.obeys(order, "release_hold", hold_id=held.id)
    await sends.refuses(order, "release_hold", "hold_id: no hold 'hold-1'", hold_id=held.id)
    await sends.obeys(order, "change_address", ship_to=ADDRESS)
    await sends.refuses(order, "change_address", "ship_to.country: ", ship_to=ADDRESS | {"country": "DE"})
    await sends.obeys(order, "resend_mail", mail_key=f"{order}:confirmed")
    await sends.refuses_late(order, "resend_mail", "mail_key: no mail 'nothing'", mail_key="nothing")
    await sends.refuses(order, "ship", "nothing is packed: pack comes first", fulfillment_id="acme-1")
    await sends.obeys(order, "pack", fulfillment_id="acme-1", parcels=contents)
    await sends.obeys(order, "unpack", fulfillment_id="acme-1", reason="wrong box")
    await sends.refuses(order, "unpack", "no packed parcel is there", fulfillment_id="acme-1")
    await sends.refuses(order, "pack", "parcels.0.contents.0.sku: wrong item", **_wrong(contents))
    await sends.refuses(order, "goodwill_refund", "only 0 of what was captured", amount=1, reason="sorry")
    await sends.refuses(order, "confirm_delivery", "no parcel of this is on its way")
    await sends.refuses(order, "correct_tracking", "has no parcel", parcel_id="p", carrier="ups", tracking_number=UPS)
    await sends.refuses(order, "report_issue", "has no parcel", kind="lost", parcel_id="p")
    await sends.refuses(order, "resolve_issue", "no open issue 'issue-1'", issue_id="issue-1", remedy="refund")
    await sends.refuses(order, "update_payment", "nothing of this order is unpaid", payments=_pays(3000))
    await sends.refuses(order, "answer_cancellation", "no request", request_id="cancellation-1", answer="accept")
    await sends.refuses(order, "choose_for_shortage", "waits for no choice", line_id="1", choice="refund")

    await sends.obeys(order, "pack", fulfillment_id="acme-1", parcels=contents)
    asked = await sends.obeys(order, "cancel", items=[{"line_id": "1"}])
    assert (asked.cancelled, asked.requested) == (2, 1)
    await sends.refuses(order, "cancel", "waits for its answer", items=[{"line_id": "1"}])
    [request] = asked.request_ids
    await sends.obeys(order, "answer_cancellation", by="seller:acme", request_id=request, answer="reject")
    shipped = await sends.obeys(order, "ship", fulfillment_id="acme-1", carrier="my van")
    assert shipped.parcels[0].tracking_number is None
    parcel = {"parcel_id": "acme-1-p2"}
    await sends.obeys(order, "correct_tracking", **parcel, carrier="ups", tracking_number=UPS)
    refunded = await sends.obeys(order, "goodwill_refund", amount=100, reason="it took long")
    assert (refunded.done, refunded.amount) == (True, 100)
    issue = await sends.obeys(order, "report_issue", kind="damaged", **parcel)
    await sends.obeys(order, "confirm_delivery", **parcel)
    await sends.obeys(order, "resolve_issue", issue_id=issue.id, remedy="dismiss")
    result = await shop.orders.result(order)
    assert (result.status, result.units) == ("Delivered", {"cancelled": 2, "delivered": 1})
    assert (result.captured, result.refunded, result.voided) == (1000, 100, 2000)
    await shop.conserves(order)


def _wrong(parcels: list[dict[str, Any]]) -> dict[str, Any]:
    return {"fulfillment_id": "acme-1", "parcels": [{"contents": [parcels[0]["contents"][0] | {"sku": "CAP"}]}]}


def _pays(amount: int, token: str = "tok_visa") -> list[dict[str, Any]]:
    return [{"token": token, "amount": amount}]


async def test_updates_about_stock_and_payments(shop: Shop, sends: Ledger) -> None:
    scarce = await shop.lists(1)
    order = await shop.placed(line(scarce, 2))
    await sends.obeys(order, "choose_for_shortage", line_id="1", choice="refund")
    rejected = [{"line_id": "1"}]
    await sends.refuses(order, "reject_lines", "has no fulfillment", fulfillment_id="x", items=rejected)
    await sends.obeys(order, "reject_lines", by="seller:acme", fulfillment_id="acme-1", items=rejected)
    await shop.until(order, lambda status: bool(status.shortages))
    await sends.obeys(order, "choose_for_shortage", line_id="1", choice="cancel")
    assert (await shop.orders.result(order)).status == "Unfulfillable"
    assert await shop.on_hand(scarce) == {"ACME-1": (0, 0)}

    unpaid = shop.body(line(await shop.lists(1)), payments=_pays(1000, "tok_decline_expired"))
    order = await shop.place(unpaid)
    await shop.until(order, lambda status: "payment_declined" in status.attention)
    again = await sends.obeys(order, "update_payment", payments=_pays(1000, "tok_decline_stolen"))
    assert (again.done, again.refused_because) == (False, "stolen card")
    await sends.refuses(order, "update_payment", "they add up to 999, 1000 is unpaid", payments=_pays(999))
    assert (await sends.obeys(order, "update_payment", payments=_pays(1000))).done
    await shop.until(order, lambda status: status.status == "Unshipped")
    await shop.update(order, "cancel")
    assert (await shop.orders.result(order)).voided == 1000
    await shop.conserves(order)


async def test_signals_on_the_main_path(shop: Shop, sends: Ledger) -> None:
    sku = await shop.lists(5)
    order = await shop.placed(line(sku, 3))
    contents = [{"contents": [{"line_id": "1", "sku": sku, "quantity": 2}]}]
    await sends.refuses_signal(order, "ship", "nothing is packed", fulfillment_id="acme-1")
    await sends.obeys_signal(order, "pack", "packed", by="seller:acme", fulfillment_id="acme-1", parcels=contents)
    await sends.refuses_signal(order, "pack", "parcels.0.contents.0.quantity: wrong count", **_pack_again(contents))
    await sends.obeys_signal(order, "cancel", "cancelled", items=[{"line_id": "1", "quantity": 1}])
    await sends.obeys_signal(order, "ship", "handed_over", fulfillment_id="acme-1", carrier="ups", tracking_number=UPS)
    await sends.refuses_signal(order, "cancel", "too late to cancel", by="customer")
    now = (await shop.status(order)).business_time.isoformat()
    scan = {"parcel_id": "acme-1-p1", "occurred_at": now}
    await sends.refuses_signal(order, "carrier_event", "parcel_id: ", **_scan(now, "in_transit", parcel_id="acme-1-p9"))
    await sends.refuses_signal(order, "network_event", "fulfillment_id: acme-1 is packed by its seller", **_net(now))
    allocation = {"line_id": "1", "location": "ACME-1", "quantity": 1, "ship_by": now, "deliver_by": now}
    stray = {"key": f"{order}:backorder:1:1:1", "line_id": "1", "allocation": allocation}
    await sends.refuses_signal(order, "stock_allocated", "key: ", **stray)
    await sends.obeys_signal(order, "carrier_event", "carrier_event", "delivered", **_scan(now, "delivered", **scan))
    assert (await shop.orders.result(order)).units == {"cancelled": 1, "delivered": 2}
    await shop.conserves(order)


def _pack_again(parcels: list[dict[str, Any]]) -> dict[str, Any]:
    return {"by": "seller:acme", "fulfillment_id": "acme-1", "parcels": parcels}


def _scan(now: str, status: str, **more: Any) -> dict[str, Any]:
    return {"event_id": f"e-{status}", "status": status, "occurred_at": now, **more}


def _net(now: str) -> dict[str, Any]:
    return {"event_id": "n-1", "fulfillment_id": "acme-1", "status": "Planning", "occurred_at": now}


async def test_signals_of_the_store_and_the_network(shop: Shop, sends: Ledger) -> None:
    """Both are sent by our own outbox: stock that comes in, and the simulated network's plan."""
    sku = await shop.lists(1)
    order = await shop.placed(line(sku, 2))
    until = (await shop.status(order)).business_time + timedelta(days=30)
    await sends.obeys(order, "choose_for_shortage", line_id="1", choice="wait", wait_until=until.isoformat())
    assert (await shop.status(order)).attention == ("backordered",)
    await shop.receives(sku, 5)
    await shop.until(order, lambda status: len(status.fulfillments) == 2)
    assert "stock_allocated" in await shop.timeline(order)
    sends.seen.add(("signal", "stock_allocated", "obeyed"))
    await shop.update(order, "cancel")
    assert (await shop.on_hand(sku))["ACME-1"] == (6, 0)

    fba = await shop.placed(line(await shop.lists(3, at="FBA-1"), 2, channel="FBA"))
    await shop.until(fba, lambda status: status.fulfillments[0].network_status == "Received")
    now = (await shop.status(fba)).business_time.isoformat()
    await sends.obeys_signal(fba, "network_event", "network_event", **_net(now))
    assert (await shop.status(fba)).fulfillments[0].network_status == "Planning"
    await shop.update(fba, "cancel")
    assert (await shop.orders.result(fba)).status == "Canceled"
    await shop.conserves()


async def test_every_message_was_obeyed_and_refused_in_each_of_its_ways(sends: Ledger) -> None:
    """Stands behind the tests above: run alone it has nothing to say."""
    if not sends.seen:
        pytest.skip("the tests above were not run")
    wanted = {("signal", m.name, how) for m in MESSAGES if m.signal for how in ("obeyed", "refused")}
    wanted |= {("update", m.name, how) for m in MESSAGES if m.update for how in ("obeyed", "refused")}
    wanted.remove(("update", "note", "refused"))  # obeyed by every order that is open; test_bad_messages closes one
    assert wanted - sends.seen == set()


# -- queries -----------------------------------------------------------------------------------


async def test_queries_answer_also_after_the_end(shop: Shop) -> None:
    sku = await shop.lists(5)
    order = await shop.placed(line(sku, 2))
    await shop.packs(order)
    await shop.ships(order)
    await shop.delivers(order)
    await shop.orders.result(order)
    status = await shop.orders.query(order, "status")
    assert isinstance(status, StatusView)
    assert (status.status, status.closed, status.actions, status.waits_for) == ("Delivered", True, (), ())
    [parcel] = status.fulfillments[0].parcels
    assert (parcel.tracking_number, parcel.contents, parcel.status) == (UPS, {"1": 2}, "delivered")
    assert status.money.captured == 2000
    timeline = await shop.orders.query(order, "timeline")
    assert isinstance(timeline, TimelineView)
    assert [entry.seq for entry in timeline.entries] == list(range(1, timeline.count + 1))
    story = [entry.what for entry in timeline.entries]
    milestones = ["placed", "authorized", "inventory_checked", "confirmed", "packed", "handed_over", "delivered"]
    assert [what for what in story if what in milestones] == milestones
    newest = await shop.orders.query(order, "timeline", {"newest": 3})
    assert isinstance(newest, TimelineView)
    assert (newest.entries, newest.count) == (timeline.entries[-3:], timeline.count)
    listed = await shop.packing_list(order, "acme-1")
    assert isinstance(listed, PackingList)
    assert [(one.sku, one.to_pack, one.packed, one.shipped) for one in listed.lines] == [(sku, 0, 0, 2)]


async def test_an_update_sent_twice_with_one_id_is_obeyed_once(shop: Shop) -> None:
    order = await shop.placed(line(await shop.lists(5), 2))
    answers = [await shop.orders.update(order, "hold", {"reason": "look"}, update_id="k-1") for _ in range(3)]
    assert len(set(answers)) == 1
    assert (await shop.status(order)).holds == ("hold-1",)
    await shop.update(order, "cancel")
    await shop.ended(order)


async def test_what_the_status_offers_is_what_is_obeyed(shop: Shop) -> None:
    """Each action that is offered is obeyed, and what is not offered is refused."""
    order = await shop.placed(line(await shop.lists(5), 2))
    offered = {action.message for action in (await shop.status(order)).actions}
    assert offered == {"cancel", "hold", "change_address", "pack", "reject_lines", "resend_mail", "note"}
    with pytest.raises(WorkflowUpdateFailedError):
        await shop.handle(order).execute_update("ship", {"fulfillment_id": "acme-1"})
    await shop.packs(order)
    offered = {action.message for action in (await shop.status(order)).actions}
    assert offered == {"cancel", "hold", "change_address", "ship", "unpack", "resend_mail", "note"}
    await shop.ships(order)
    charged = await shop.until(order, lambda status: status.money.captured > 0)
    offered = {action.message for action in charged.actions}
    about_parcels = {"report_issue", "carrier_event", "confirm_delivery", "correct_tracking"}
    assert offered == about_parcels | {"goodwill_refund", "resend_mail", "note"}
    await shop.delivers(order)
    assert (await shop.ended(order)).actions == ()


async def test_an_update_id_may_be_any_text(shop: Shop) -> None:
    """It goes into keys of rows and mails, where not every character may stand."""
    sku = await shop.lists(9)
    order = await shop.placed(line(sku, 5))
    one = {"items": [{"line_id": "1", "quantity": 1}]}
    for strange in ("a b:c/d", "signal-1", "a>\r\nBcc: all@example.com", "é" * 300):
        await shop.orders.update(order, "cancel", one, update_id=strange)
    assert (await shop.status(order)).lines[0].units == {"cancelled": 4, "reserved": 1}
    await shop.orders.signal(order, "cancel", one)
    assert (await shop.orders.result(order)).status == "Canceled"
    assert await shop.on_hand(sku) == {"ACME-1": (9, 0)}
    await shop.conserves(order)
    mails = await shop.mails(order, at_least=2 + 2 * 5)
    assert len({mail.message_id for mail in mails}) == len(mails)


async def test_an_update_that_ends_the_order_while_much_comes_in_is_answered(shop: Shop) -> None:
    """The server takes back a workflow task that would end a run on which more has come: the update with it."""
    sku = await shop.lists(20)

    async def ends(number: int) -> Any:
        order = await shop.placed(line(sku))
        await shop.packs(order)
        await shop.ships(order, carrier="van", tracking_number=f"V-{number:03}")

        async def scans() -> None:
            for _ in range(20):
                with suppress(RPCError):  # the order has ended
                    await shop.handle(order).signal("scan")

        answer, *_ = await asyncio.gather(shop.update(order, "confirm_delivery"), *(scans() for _ in range(5)))
        assert (await shop.orders.result(order)).status == "Delivered"
        return answer.what

    assert await asyncio.gather(*(ends(number) for number in range(10))) == ["delivery confirmed"] * 10
    await shop.conserves()
