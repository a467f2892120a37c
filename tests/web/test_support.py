"""Support finds an order by whatever somebody knows of it, sees what needs a person, and one order whole."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import uuid4

import pytest
from sqlalchemy import text
from temporalio.client import Client

import worker
from domain.access import Scope
from localstack.stack import Stack
from tests.shop import Body, Shop, line
from tests.web.alone import web_alone
from tests.web.browsing import Page, Visitor
from tests.web.conftest import Site


@pytest.fixture
async def support(site: Site) -> Visitor:
    return await site.signed_in(Scope.SUPPORT)


def _path(order_id: str) -> str:
    return f"/support/orders/{order_id}"


def _listed(page: Page) -> list[str]:
    """The orders that a page links to, in its order."""
    return re.findall(r'<th scope="row"><a class="mono" href="/support/orders/([^"]+)"', page.html)


def _found(page: Page) -> list[str]:
    """Those above what needs attention."""
    return re.findall(r'href="/support/orders/([^"]+)"', page.html.split('data-live="overview"')[0])


# -- who may look ------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [Scope.SELLER, Scope.ANALYST])
async def test_the_pages_are_for_support_alone(site: Site, scope: Scope) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists()))
    visitor = await site.signed_in(scope, "acme" if scope is Scope.SELLER else None)
    for path in ("/support", "/support?q=ada", "/support/attention", _path(order_id), f"{_path(order_id)}/events"):
        page = await visitor.get(path)
        assert (page.status, f"This page is not for {scope} keys" in page.text) == (403, True)
        assert "Ada" not in page.html
    csrf = (await visitor.get("/insights")).form("/signout").fields["csrf"]
    sent = await visitor.client.post(f"{_path(order_id)}/cancel", data={"csrf": csrf, "reason": "x"})
    assert sent.status_code == 403
    assert not (await site.shop.status(order_id)).closed


async def test_who_is_not_signed_in_is_asked_to(site: Site) -> None:
    page = await site.visitor().get("/support?q=ada@example.com")
    assert page.path == "/signin?next=%2Fsupport%3Fq%3Dada%40example.com"


# -- finding -----------------------------------------------------------------------------------


async def _order_of(shop: Shop, name: str, **customer: str) -> Body:
    body = shop.body(line(await shop.lists()))
    body["customer"] |= {"name": name, **customer}
    await shop.checked(body)
    return body


async def test_an_order_is_found_by_whatever_somebody_knows_of_it(site: Site, support: Visitor) -> None:
    shop = site.shop
    word = uuid4().hex[:8]
    body = await _order_of(shop, f"Grace{word} Hopper", id=f"c-{word}", email=f"Grace.{word}@Example.com")
    order_id = body["order_id"]
    await shop.packs(order_id)
    await shop.ships(order_id, carrier="local courier", tracking_number=f"LC {word}")
    for words in (order_id, f" {order_id} ", order_id[:-2], f"LC {word}", f"lc{word}".upper()):
        page = await support.until(f"/support?q={quote(words)}", lambda page: page.path == _path(order_id))
        assert "Grace" in page.text, "one that is found by its id or number is opened at once"
    for words, by in (
        (f"c-{word}", "customer id"),
        (f"grace{word}", "name"),
        (f"HOPPER, Gráce{word}", "name"),
        (f"GRACE.{word}@EXAMPLE.COM".lower(), "email"),
    ):
        page = await support.get(f"/support?q={quote(words)}")
        assert (_found(page), f"1 order for “{words}”" in page.text) == ([order_id], True)
        assert f'data-label="Found by">{by}</td>' in page.html
    for words in (f"grace{word} hop", f"grace{word[:5]}", f"race.{word}@example.com"):
        assert "Nothing was found" in (await support.get(f"/support?q={quote(words)}")).text, "whole words alone"


async def test_what_is_found_is_found_once_and_the_newest_first(site: Site, support: Visitor) -> None:
    word = uuid4().hex[:8]
    same = {"id": f"c-{word}", "email": f"{word}@example.com"}
    orders = [(await _order_of(site.shop, f"{word} Ada", **same))["order_id"] for _ in range(3)]
    for words in (f"{word}@example.com", f"c-{word}"):
        page = await support.get(f"/support?q={words}")
        assert _found(page) == orders[::-1]
    assert "3 orders for" in page.text


@pytest.mark.parametrize("words", ["nobody@example.com", "100%", "_", "%", "\\", "x" * 200, "'; DROP TABLE orders --"])
async def test_what_nobody_knows_is_not_found(support: Visitor, words: str) -> None:
    page = await support.get(f"/support?q={quote(words)}")
    assert (page.status, "Nothing was found" in page.text) == (200, True)
    assert page.form("/support").fields["q"] == [words]


async def test_words_that_are_none_are_refused_and_empty_ones_look_for_nothing(support: Visitor) -> None:
    assert (await support.get("/support?q=%00")).status == 422
    assert (await support.get(f"/support?q={'x' * 201}")).status == 422
    assert "Found by" not in (await support.get("/support?q=%20")).text


# -- what needs a person -----------------------------------------------------------------------


async def test_what_needs_a_person_comes_with_why_whoever_waits_longest_first(site: Site, support: Visitor) -> None:
    shop, now = site.shop, datetime.now(UTC)
    orders = []
    for hours in (1, 5, 3):
        order_id = await shop.placed(
            line(await shop.lists()), clock={"origin": (now - timedelta(hours=hours)).isoformat()}
        )
        await shop.update(order_id, "hold", by="support/ann", reason="looks wrong")
        orders.append(order_id)
    short = await shop.placed(line(await shop.lists(0)), clock={"origin": (now - timedelta(hours=4)).isoformat()})
    calm = await shop.placed(line(await shop.lists()))
    expected = [orders[1], short, orders[2], orders[0]]

    def mine(page: Page) -> list[str]:
        return [order_id for order_id in _listed(page) if order_id in (*expected, calm)]

    for path in ("/support", "/support/attention"):
        page = await support.until(path, lambda page: mine(page) == expected)
    row = next(part for part in page.html.split("<tr>") if f"/{short}" in part)
    assert "out of stock" in row
    assert "on hold" not in row
    page = await support.get("/support/attention?word=on_hold")
    assert mine(page) == [orders[1], orders[2], orders[0]]
    counted = re.search(r'href="/support/attention\?word=on_hold"[^>]*>On hold <span class="pill">(\d+)', page.html)
    assert counted
    assert int(counted[1]) == len(_listed(page))
    assert mine(await support.get("/support/attention?word=lost")) == []
    [hold] = (await shop.status(orders[1])).holds
    await shop.update(orders[1], "release_hold", by="support/ann", hold_id=hold)
    await support.until("/support/attention", lambda page: mine(page) == expected[1:])


async def test_the_queue_goes_on_page_by_page(site: Site, support: Visitor) -> None:
    sku = await site.shop.lists(0)
    for _ in range(52):
        await site.shop.place(site.shop.body(line(sku)))
    await support.until(
        "/support/attention?word=out_of_stock",
        lambda page: int((re.search(r'Out of stock <span class="pill">(\d+)', page.html) or [0, 0])[1]) >= 52,
    )
    seen: list[str] = []
    path = "/support/attention?word=out_of_stock"
    while path:
        page = await support.get(path)
        seen += _listed(page)
        following = re.search(r'href="([^"]+)" rel="next"', page.html)
        path = following[1].replace("&amp;", "&") if following else ""
    assert len(seen) == len({*seen}) >= 52
    assert _listed(await support.get("/support/attention?after=nobody")) == []
    for wrong in ("word=Late", "word=%27", "after=%20"):
        assert (await support.get(f"/support/attention?{wrong}")).status == 422


async def test_what_does_not_move_is_seen_though_no_order_knows_of_it(
    stack: Stack, client: Client, fresh_database: Callable[[], str]
) -> None:
    """A mail that nobody has sent and a payment that was never asked for: after a while, and not at once."""
    async with web_alone(stack, client, fresh_database()) as site:
        support = await site.signed_in(Scope.SUPPORT)
        async with worker.running(site.shop.built):
            sku = await site.shop.lists()
            unsent, unpaid, young = [await site.shop.placed(line(sku)) for _ in range(3)]
            for order_id in (unsent, unpaid, young):
                await site.shop.mails(order_id, at_least=2)
            await support.until("/support", lambda page: "Everything moves" in page.text)
        hour = "interval '1 hour'"
        await _meddle(site, "UPDATE outbox SET sent_at = NULL WHERE order_id = :id", unsent)
        await _meddle(site, "UPDATE orders SET status = 'Pending' WHERE order_id = :id", unpaid)
        assert "Everything moves" in (await support.get("/support")).text, "not yet"
        await _meddle(
            site, f"UPDATE outbox SET created_at = now() - {hour}, due_at = now() - {hour} WHERE order_id = :id", unsent
        )
        page = await support.get("/support")
        assert _listed(page) == [unsent]
        assert "cannot be told or mailed: nobody sends" in page.text
        await _meddle(site, "UPDATE orders SET recorded_at = now() - interval '2 hours' WHERE order_id = :id", unpaid)
        page = await support.get("/support")
        assert _listed(page) == [unpaid, unsent], "the longest first"
        assert "recorded, and its payment never asked for" in page.text


async def _meddle(site: Site, statement: str, order_id: str) -> None:
    async with site.shop.database.transaction() as connection:
        await connection.execute(text(statement), {"id": order_id})


# -- one order whole ---------------------------------------------------------------------------


async def test_one_order_is_shown_whole(site: Site, support: Visitor) -> None:
    shop = site.shop
    mug, lamp = await shop.lists(title="Blue mug"), await shop.lists(seller="birch", title="Oak lamp")
    order_id = await shop.placed(line(mug, 2), line(lamp, 1, "birch"), shipping={"price": 600})
    await shop.packs(order_id)
    await shop.ships(order_id, carrier="bike courier")
    await shop.until(order_id, lambda status: status.money.captured == 2400)
    await shop.update(order_id, "goodwill_refund", by="support/ann", amount=150, reason="a scratch")
    await shop.update(order_id, "report_issue", kind="damaged", parcel_id="acme-1-p1", note="a scratch")
    mails = await shop.mails(order_id, at_least=6)
    page = await support.until(_path(order_id), lambda page: "Issue acme-1-i1: damaged" in page.text)
    for words in (
        *(
            "Blue mug",
            "Oak lamp",
            f"1 · {mug}",
            "2 shipped",
            "1 reserved",
            "acme-1-p1",
            "untracked",
            "Acme, ACME-1, FBM",
        ),
        *("Ada Lovelace", "12 Mill Street", "Springfield", "Items $30.00", "Shipping $6.00", "Total $36.00"),
        *("Captured $24.00", "Refunded $1.50", "Goodwill given: $1.50", "“a scratch”", "birch to pack birch-1"),
    ):
        assert words in page.text, words
    told = [words.lower().replace(" ", "_") for words in re.findall(r"<strong>([^<]+)</strong>", page.html)]
    assert told == (await shop.timeline(order_id))[::-1]
    assert "support/ann" in page.text
    for mail in mails:
        assert mail.subject in page.text
    to_sellers = [mail for mail in mails if "orders@" in mail.recipients[0]]
    shown = re.findall(r"to (customer|seller:\w+) ·", page.text)
    assert sorted(shown) == ["customer"] * (len(mails) - 2) + ["seller:acme", "seller:birch"]
    assert len(to_sellers) == 2
    assert "/o/" not in page.html, "support has no link that opens the customer's page"


async def test_it_leads_into_the_temporal_ui_and_to_the_customer_s_other_orders(site: Site, support: Visitor) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists()))
    page = await support.until(_path(order_id), lambda page: "last change" in page.text)
    root = site.shop.settings.temporal_ui_url
    assert f'href="{root}/namespaces/default/workflows/order%3A{order_id}"' in page.html
    assert 'href="/support?q=c-1"' in page.html


async def test_an_order_that_is_not_there_is_not_found(support: Visitor) -> None:
    page = await support.get(_path("nobody"))
    assert (page.status, "There is no order nobody" in page.text) == (404, True)
    assert (await support.get(_path("no%20id"))).status == 422


async def test_what_was_just_placed_is_being_recorded_and_what_was_refused_says_why(
    stack: Stack, client: Client, fresh_database: Callable[[], str]
) -> None:
    """On support's page and in the API: neither says that there is no such order."""
    async with web_alone(stack, client, fresh_database(), temporal_ui_url="http://temporal.example") as site:
        shop, support = site.shop, await site.signed_in(Scope.SUPPORT)
        api = await site.api(Scope.SUPPORT)
        good = shop.body(line(await shop.lists(title="Blue mug")))
        bad = shop.body(line("NOTHING"))
        for body in (good, bad):
            await shop.place(body)
        order_id = good["order_id"]
        page = await support.get(_path(order_id))
        assert (page.status, f"Order {order_id} is being recorded" in page.text) == (200, True)
        assert '<meta http-equiv="refresh" content="2">' in page.html
        assert f"workflows/order%3A{order_id}" in page.html
        assert not [word for word in ("Blue mug", "Ada") if word in page.html]
        told = await api.get(f"/orders/{order_id}")
        assert (told.status_code, told.headers["Retry-After"]) == (404, "1")
        assert told.json()["detail"] == f"order {order_id!r} was placed and is being recorded"
        async with worker.running(shop.built):
            await support.until(_path(order_id), lambda page: "Blue mug" in page.text)
            page = await support.until(_path(bad["order_id"]), lambda page: "was refused" in page.text)
            assert "acme has no 'NOTHING' to sell" in page.text
            assert '<meta http-equiv="refresh"' not in page.html
            told = await api.get(f"/orders/{bad['order_id']}")
            assert (told.status_code, "Retry-After" in told.headers) == (404, False)
            assert told.json()["detail"].startswith(f"order '{bad['order_id']}' was refused: lines.0.sku: ")
            await shop.update(order_id, "cancel")
            await shop.ended(order_id)


async def test_without_a_worker_the_last_known_state_is_shown_with_its_age(
    stack: Stack, client: Client, fresh_database: Callable[[], str]
) -> None:
    async with web_alone(stack, client, fresh_database()) as site:
        support = await site.signed_in(Scope.SUPPORT)
        async with worker.running(site.shop.built):
            order_id = await site.shop.placed(line(await site.shop.lists(title="Blue mug")))
            page = await support.until(_path(order_id), lambda page: page.has_form(f"{_path(order_id)}/cancel"))
            assert "in the Temporal UI" not in page.text, "nothing is configured"
        await _meddle(
            site,
            "UPDATE orders SET recorded_at = recorded_at - interval '3 hours 30 minutes' WHERE order_id = :id",
            order_id,
        )
        page = await support.get(_path(order_id))
        assert "this is its last known state, 3 hours old" in page.text
        assert "last change 3 hours ago" in page.text
        assert "Blue mug" in page.text
        assert [form.action for form in page.forms if form.action.startswith(_path(order_id))] == []
        assert "None can be offered now." in page.text
        assert _found(await support.get("/support?q=c-1")) == [order_id]
