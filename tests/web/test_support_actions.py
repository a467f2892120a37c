"""What support may do with an order: what it would obey now and nothing else, and never without a reason."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.access import OUTSIDE_MESSAGES, Caller, Scope, may_send
from domain.results import StatusView
from store.contacts import Contacts
from tests.shop import Shop, line
from tests.web.browsing import Page, Visitor
from tests.web.buying import leaves
from tests.web.conftest import Site

MESSAGES = {one.name for one in OUTSIDE_MESSAGES if may_send(Caller(scope=Scope.SUPPORT, key_id="a"), one.name)}


@pytest.fixture
async def support(site: Site) -> Visitor:
    return await site.signed_in(Scope.SUPPORT)


def _path(order_id: str, form: str = "") -> str:
    return f"/support/orders/{order_id}" + (f"/{form}" if form else "")


def _offered(page: Page) -> set[tuple[str, str]]:
    """Messages that the page has a form for, each with the id of what it is about."""
    forms = [form for form in page.forms if form.action.startswith("/support/orders/") and "once" in form.fields]
    return {(form.action.rsplit("/", 1)[1], form.fields["once"][0].split("-", 2)[2]) for form in forms}


def _obeyed(status: StatusView) -> set[tuple[str, str]]:
    return {
        (one.message, one.id or one.parcel_id or one.fulfillment_id or "")
        for one in status.actions
        if one.message in MESSAGES
    }


async def _entries(shop: Shop, order_id: str) -> list[dict[str, Any]]:
    answer = await shop.orders.query(order_id, "timeline")
    found: list[dict[str, Any]] = answer.model_dump()["entries"]
    return found


# -- orders in a state in which something can be done ------------------------------------------


async def _open(shop: Shop) -> str:
    return await shop.placed(line(await shop.lists(), 2), line(await shop.lists(seller="birch"), 1, "birch"))


async def _short(shop: Shop) -> str:
    return await shop.placed(line(await shop.lists(1), 2))


async def _declined(shop: Shop) -> str:
    body = shop.body(line(await shop.lists()))
    body["payments"][0]["token"] = "tok_decline_expired"
    order_id = await shop.place(body)
    await shop.until(order_id, lambda status: status.to_pay > 0)
    return order_id


async def _packed(shop: Shop) -> str:
    order_id = await shop.placed(line(await shop.lists(), 2))
    await shop.packs(order_id)
    return order_id


async def _asked(shop: Shop) -> str:
    order_id = await _packed(shop)
    await shop.update(order_id, "cancel", reason="ordered twice")
    return order_id


async def _held(shop: Shop) -> str:
    order_id = await _open(shop)
    await shop.update(order_id, "hold", by="support/ann", reason="looks wrong")
    await shop.update(order_id, "hold", by="support/ann", fulfillment_id="acme-1", reason="a recall")
    return order_id


async def _shipped(shop: Shop) -> str:
    order_id = await shop.placed(line(await shop.lists(), 2))
    await leaves(shop, order_id)
    await shop.until(order_id, lambda status: status.money.captured == 2000)
    return order_id


async def _troubled(shop: Shop) -> str:
    order_id = await _shipped(shop)
    await shop.update(order_id, "report_issue", kind="damaged", parcel_id="acme-1-p1")
    return order_id


Setting = Callable[[Shop], Awaitable[str]]


@pytest.mark.parametrize("setting", [_open, _short, _declined, _packed, _asked, _held, _shipped, _troubled])
async def test_the_page_offers_what_the_order_would_obey_and_nothing_else(
    site: Site, support: Visitor, setting: Setting
) -> None:
    order_id = await setting(site.shop)
    expected = _obeyed(await site.shop.status(order_id))
    await site.shop.mails(order_id, at_least=1)
    page = await support.until(_path(order_id), lambda page: _offered(page) == expected)
    assert {"note"} <= {name for name, _ in expected} < MESSAGES
    for form in page.forms:
        assert ("reason" in form.fields) == form.action.startswith("/support/orders/")
    assert page.html.count('name="reason" required') == len(expected)


async def test_an_order_that_has_ended_offers_nothing(site: Site, support: Visitor) -> None:
    order_id = await _open(site.shop)
    page = await support.until(_path(order_id), lambda page: page.has_form(_path(order_id, "note")))
    await site.shop.update(order_id, "cancel")
    await site.shop.ended(order_id)
    sent = await support.submit(page, _path(order_id, "note"), reason="too late")
    assert "has ended and takes no messages any more" in sent.text
    page = await support.until(_path(order_id), lambda page: "The order has ended" in page.text)
    assert _offered(page) == set(), "and the person behind it can be erased (test_erased.py)"
    assert "data-events" not in page.html


# -- each of them ------------------------------------------------------------------------------


class Case(NamedTuple):
    message: str
    setting: Setting
    fields: Mapping[str, str]
    done: Callable[[StatusView], bool]
    """How one knows that the order has obeyed."""


HOME = {"name": "Ada King", "line1": "99 New Road", "city": "Chicago", "region": "IL", "postal_code": "60601"}
CASES = [
    Case("cancel", _open, {}, lambda status: status.closed),
    Case("cancel", _open, {"what": "birch-1"}, lambda now: now.lines[1].units == {"cancelled": 1} and not now.closed),
    Case("cancel", _open, {"what": "some", "units-1": "1"}, lambda now: now.lines[0].units.get("cancelled") == 1),
    Case("hold", _open, {"fulfillment_id": ""}, lambda status: len(status.holds) == 1),
    Case("release_hold", _held, {}, lambda status: len(status.holds) == 1),
    Case("change_address", _open, HOME, lambda status: True),
    Case("choose_for_shortage", _short, {"choice": "wait"}, lambda now: now.lines[0].units.get("backordered") == 1),
    Case("update_payment", _declined, {"card": "tok_visa"}, lambda status: status.money.authorized == 1000),
    Case("answer_cancellation", _asked, {"answer": "accept"}, lambda status: status.closed),
    Case("answer_cancellation", _asked, {"answer": "reject"}, lambda now: now.lines[0].units == {"packed": 2}),
    Case("report_issue", _shipped, {"kind": "wrong_item"}, lambda status: status.issues == ("acme-1-i1",)),
    Case("resolve_issue", _troubled, {"remedy": "wait"}, lambda status: not status.issues),
    Case("confirm_delivery", _shipped, {}, lambda status: status.status == "Delivered"),
    Case(
        "correct_tracking",
        _shipped,
        {"carrier": "local courier", "tracking_number": "LC-9"},
        lambda status: status.fulfillments[0].parcels[0].tracking_number == "LC-9",
    ),
    Case("goodwill_refund", _shipped, {"amount": " 2.50 "}, lambda status: status.money.refunded == 250),
    Case("resend_mail", _shipped, {}, lambda status: True),
    Case("note", _open, {}, lambda status: True),
    Case("pack", _open, {}, lambda status: status.lines[0].units == {"packed": 2}),
    Case("unpack", _packed, {}, lambda status: status.lines[0].units == {"reserved": 2}),
    Case("ship", _packed, {"carrier": "bike courier"}, lambda status: status.lines[0].units == {"shipped": 2}),
    Case("reject_lines", _open, {"units-1": "1"}, lambda status: len(status.shortages) == 1),
]


def test_every_message_of_support_is_tried() -> None:
    assert {case.message for case in CASES} == MESSAGES


@pytest.mark.parametrize("case", CASES, ids=[f"{case.message}{[*case.fields.values()][:1]}" for case in CASES])
async def test_it_is_done_once_for_a_reason_that_stands_in_the_timeline(
    site: Site, support: Visitor, case: Case
) -> None:
    shop = site.shop
    order_id = await case.setting(shop)
    await shop.mails(order_id, at_least=1)
    path = _path(order_id, case.message)
    page = await support.until(_path(order_id), lambda page: page.has_form(path))
    before = await shop.timeline(order_id)
    for nothing in ("", "   ", None):
        refused = await support.submit(page, path, **case.fields, reason=nothing)
        assert "reason: please say why" in refused.text
    assert await shop.timeline(order_id) == before

    reason = f"because {uuid4().hex}"
    both = await asyncio.gather(*(support.submit(page, path, **case.fields, reason=reason) for _ in range(2)))
    assert ['class="notice ok" role="status"' in sent.html for sent in both] == [True, True], both[0].text
    await shop.until(order_id, case.done)
    told = [one["who"] for one in await _entries(shop, order_id) if reason in one["why"] + one["summary"]]
    assert len([who for who in told if who.startswith("support/")]) == 1, "two clicks have one effect"
    await support.until(_path(order_id), lambda page: reason in page.text)


async def test_a_new_address_is_kept_and_a_wrong_one_told_field_by_field(site: Site, support: Visitor) -> None:
    order_id = await _open(site.shop)
    path = _path(order_id, "change_address")
    page = await support.until(_path(order_id), lambda page: page.has_form(path))
    sent = await support.submit(page, path, reason="they called", **HOME | {"city": "", "postal_code": "ABC"})
    assert "City: Please fill this in." in sent.text
    assert "ZIP code: This does not fit the rest of the address." in sent.text
    await support.submit(page, path, reason="they called", **HOME)
    await support.until(_path(order_id), lambda page: "99 New Road" in page.text)
    known = await Contacts(site.shop.database).customer(order_id)
    assert known is not None
    assert known.address.model_dump(include={*HOME}) == HOME


async def test_a_hold_ends_at_the_hour_that_was_given_in_the_zone_of_the_page(site: Site, support: Visitor) -> None:
    order_id = await _open(site.shop)
    path = _path(order_id, "hold")
    page = await support.until(_path(order_id), lambda page: page.has_form(path))
    wrong = await support.submit(page, path, reason="x", expires_at="tomorrow")
    assert "please give a day and a time" in wrong.text
    until = (datetime.now(UTC) + timedelta(days=3)).replace(second=0, microsecond=0)
    there = until.astimezone(ZoneInfo(site.shop.settings.time_zone))
    await support.submit(page, path, reason="a recall", expires_at=f"{there:%Y-%m-%dT%H:%M}", fulfillment_id="acme-1")
    await support.until(_path(order_id), lambda page: "the release of" in page.text)
    detail = await site.app.state.services.views.order(order_id)
    [hold] = detail.matters.holds
    assert (hold.expires_at, hold.fulfillment_id, hold.reason) == (until, "acme-1", "a recall")
    assert "Placed by support/" in (await support.get(_path(order_id))).text


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("", "please give an amount of USD"),
        ("five", "please give an amount of USD"),
        ("0.001", "please give an amount of USD"),
        ("1e999999", "please give an amount of USD"),
        ("NaN", "please give an amount of USD"),
        ("0", "amount"),
        ("-5", "amount"),
        ("20.01", "20.00"),
    ],
)
async def test_money_that_cannot_be_given_is_not(site: Site, support: Visitor, amount: str, words: str) -> None:
    order_id = await _shipped(site.shop)
    path = _path(order_id, "goodwill_refund")
    page = await support.until(_path(order_id), lambda page: page.has_form(path))
    sent = await support.submit(page, path, amount=amount, reason="a scratch")
    assert 'class="notice bad" role="alert"' in sent.html
    assert words in sent.text
    assert (await site.shop.status(order_id)).money.refunded == 0


async def test_a_card_that_is_declined_again_is_told(site: Site, support: Visitor) -> None:
    order_id = await _declined(site.shop)
    path = _path(order_id, "update_payment")
    page = await support.until(_path(order_id), lambda page: page.has_form(path))
    sent = await support.submit(page, path, card="tok_decline_insufficient_funds", reason="they called")
    assert "insufficient funds" in sent.text
    assert 'class="notice bad" role="alert"' in sent.html
    for wrong in ("", "all of it", "9" * 5_000):
        sent = await support.submit(await support.get(_path(order_id)), path, amount=wrong, reason="they called")
        assert 'class="notice bad" role="alert"' in sent.html


async def test_what_left_a_field_out_is_told_and_does_nothing(site: Site, support: Visitor) -> None:
    for message, setting, fields in (
        ("cancel", _open, {"what": "some"}),
        ("cancel", _open, {"what": "nobody-1"}),
        ("reject_lines", _open, {"units-1": "9" * 5_000}),
        ("choose_for_shortage", _short, {"choice": ""}),
        ("choose_for_shortage", _short, {"choice": "substitute:GOLD"}),
        ("answer_cancellation", _asked, {"answer": ""}),
        ("resolve_issue", _troubled, {"remedy": "magic"}),
        ("report_issue", _shipped, {"kind": ""}),
        ("correct_tracking", _shipped, {"carrier": "UPS", "tracking_number": "1Z12"}),
        ("resend_mail", _shipped, {"mail_key": "never sent"}),
    ):
        order_id = await setting(site.shop)
        await site.shop.mails(order_id, at_least=1)
        path = _path(order_id, message)
        page = await support.until(_path(order_id), lambda page, path=path: page.has_form(path))  # type: ignore[misc]
        before = (await site.shop.status(order_id)).lines
        sent = await support.submit(page, path, reason="because", **fields)
        assert 'class="notice bad" role="alert"' in sent.html, (message, fields)
        assert (await site.shop.status(order_id)).lines == before


@pytest.mark.parametrize("message", ["carrier_event", "network_event", "stock_allocated", "status", "nothing"])
async def test_what_is_not_support_s_to_say_is_no_page(site: Site, support: Visitor, message: str) -> None:
    order_id = await _open(site.shop)
    page = await support.until(_path(order_id), lambda page: page.has_form(_path(order_id, "note")))
    fields = page.form(_path(order_id, "note")).fields | {"reason": ["x"]}
    assert (await support.client.post(_path(order_id, message), data=fields)).status_code == 404
    assert (await support.client.post(_path("nobody", "note"), data=fields)).status_code == 404
    forged = await support.client.post(_path(order_id, "note"), data=fields | {"csrf": "forged"})
    assert forged.status_code == 403
    assert "note" not in await site.shop.timeline(order_id)


async def test_a_form_speaks_for_support_whatever_it_says(site: Site, support: Visitor) -> None:
    order_id = await _open(site.shop)
    path = _path(order_id, "note")
    page = await support.until(_path(order_id), lambda page: page.has_form(path))
    await support.submit(page, path, reason="hello", by="customer")
    [note] = [one for one in await _entries(site.shop, order_id) if one["what"] == "note"]
    assert note["who"].startswith("support/")


async def test_the_page_hears_of_changes(site: Site, support: Visitor) -> None:
    order_id = await _open(site.shop)
    page = await support.until(_path(order_id), lambda page: page.has_form(_path(order_id, "note")))
    assert f'data-events="{_path(order_id, "events")}"' in page.html
    kinds = []
    async with support.client.stream("GET", _path(order_id, "events")) as stream:
        await site.shop.update(order_id, "cancel")
        async for text in stream.aiter_lines():
            if text.startswith("event: "):
                kinds.append(text.removeprefix("event: "))
    assert kinds[-1] == "end"
    assert "entry" in kinds
