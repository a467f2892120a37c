"""The order's page as its customer reads it: where every parcel is, what was promised and what was charged."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

from temporalio.client import Client

import worker
from localstack.stack import Stack
from tests.shop import UPS, line
from tests.web.alone import web_alone
from tests.web.browsing import Page, Visitor
from tests.web.buying import customer_of, leaves
from tests.web.conftest import Site


def _path(order_id: str, page: str = "") -> str:
    return f"/orders/{order_id}{page}"


def _step(page: Page) -> str:
    """Where the first parcel of the page is."""
    found = re.search(r'aria-current="step">([^<]+)<', page.html)
    assert found, page.text
    return found[1]


def _sums(page: Page) -> dict[str, str]:
    """What stands in the sums of the order, by its name."""
    return dict(re.findall(r'<tr[^>]*><td>([^<]+)</td><td class="number">([^<]+)</td></tr>', page.html))


# -- where it is ------------------------------------------------------------------------------


async def test_a_parcel_is_followed_from_the_shelf_to_the_doorstep(site: Site) -> None:
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists(title="Blue mug"), 2))
    customer = await customer_of(site, order_id)
    page = await customer.until(_path(order_id), lambda page: "2 × Blue mug" in page.text)
    assert (_step(page), "Sold by Acme" in page.text) == ("Ordered", True)
    await shop.packs(order_id)
    page = await customer.until(_path(order_id), lambda page: _step(page) == "Packed")
    assert "Tracking" not in page.text
    await shop.ships(order_id)
    page = await customer.until(_path(order_id), lambda page: UPS in page.text)
    assert _step(page) == "Shipped"
    tracked = re.search(rf'<a href="(https://[^"]+{UPS})" rel="noreferrer noopener"', page.html)
    assert tracked
    assert urlsplit(tracked[1]).netloc.endswith(".ups.com")
    await customer.until(_path(order_id), lambda page: "Label created" in page.text)
    await shop.carrier_says(order_id, "in_transit", location="Springfield, IL")
    await shop.carrier_says(order_id, "out_for_delivery")
    page = await customer.until(_path(order_id), lambda page: _step(page) == "Out for delivery")
    await shop.carrier_says(order_id, "delivered", signed_by="A. Neighbour")
    page = await customer.until(_path(order_id), lambda page: "Received by A. Neighbour" in page.text)
    scans = re.findall(r"<li>([^<]+)<div", page.html.split('<ol class="timeline">')[1])
    said = ["Delivered", "Out for delivery", "In transit at Springfield, IL", "Label created"]
    assert [scan.split(" (")[0] for scan in scans] == said, "the newest first"
    assert "data-events" not in page.html, "nothing more is to come"


async def test_the_promise_stays_beside_what_is_expected_now(site: Site) -> None:
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists()))
    customer = await customer_of(site, order_id)
    promised = (await shop.status(order_id)).fulfillments[0].deliver_by
    await leaves(shop, order_id)
    later = promised + timedelta(days=3)
    await shop.carrier_says(order_id, "exception", estimated_delivery=later.isoformat(), note="snow")
    page = await customer.until(_path(order_id), lambda page: "Now expected" in page.text)
    assert f'Promised</dt><dd>by <time datetime="{promised.isoformat()}"' in page.html
    assert f'Now expected</dt><dd>by <time datetime="{later.isoformat()}"' in page.html
    assert "Delayed on the way" in page.text
    assert (await shop.status(order_id)).fulfillments[0].deliver_by == promised
    await shop.carrier_says(order_id, "in_transit")
    await customer.until(_path(order_id), lambda page: "Later than promised" in page.text)
    await shop.carrier_says(order_id, "lost")
    page = await customer.until(_path(order_id), lambda page: "Lost by the carrier" in page.text)
    assert "Your report: lost" in page.text


async def test_what_comes_in_several_boxes_is_told_box_by_box(site: Site) -> None:
    shop = site.shop
    mug, lamp = await shop.lists(title="Mug"), await shop.lists(seller="birch", title="Lamp")
    order_id = await shop.placed(line(mug, 2), line(lamp, 1, "birch"))
    customer = await customer_of(site, order_id)
    await shop.packs(order_id)
    await shop.ships(order_id, carrier="bike courier")
    page = await customer.until(_path(order_id), lambda page: "bike courier, untracked" in page.text)
    boxes = [" ".join(re.sub("<[^>]+>", " ", box).split()) for box in page.html.split('<ol class="steps"')[1:]]
    assert ["2 × Mug" in box for box in boxes] == [True, False]
    assert ["1 × Lamp" in box for box in boxes] == [False, True]
    assert "Partly shipped" in page.text


async def test_what_was_ordered_charged_and_given_back_adds_up(site: Site) -> None:
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists(title="Mug"), 3), shipping={"price": 500}, tax=210, discount=110)
    customer = await customer_of(site, order_id)
    page = await customer.until(_path(order_id), lambda page: "3 being" in page.text or "being prepared" in page.text)
    sums = {"Items": "$30.00", "Shipping": "$5.00", "Tax": "$2.10", "Discount": "-$1.10", "Ordered": "$36.00"}
    assert _sums(page) == sums | {"Charged so far": "$0.00"}
    await shop.update(order_id, "cancel", items=[{"line_id": "1", "quantity": 1}])
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.until(order_id, lambda status: status.money.captured == 2400)
    await shop.update(order_id, "goodwill_refund", by="support", amount=250, reason="the box was wet")
    page = await customer.until(_path(order_id), lambda page: "Given back" in page.text)
    assert _sums(page) == sums | {"Charged so far": "$24.00", "Given back": "$2.50"}
    assert "1 canceled, 2 on its way" in page.text
    assert "the box was wet" not in page.text


async def test_without_a_worker_the_last_known_state_is_shown_and_nothing_can_be_done(
    stack: Stack, client: Client, fresh_database: Callable[[], str]
) -> None:
    async with web_alone(stack, client, fresh_database()) as site:
        async with worker.running(site.shop.built):
            order_id = await site.shop.placed(line(await site.shop.lists(title="Mug")))
            customer = await customer_of(site, order_id)
            page = await customer.until(_path(order_id), lambda page: page.has_form(_path(order_id, "/cancel")))
        form = page.form(_path(order_id, "/cancel"))
        page = await customer.get(_path(order_id))
        assert ("last known state" in page.text, "1 × Mug" in page.text) == (True, True)
        assert [form.action for form in page.forms if form.action.startswith("/orders/")] == []
        sent = Page(await customer.client.post(form.action, data=form.fields | {"what": "everything"}))
        assert "Your order could not be reached just now" in sent.text
        assert (await customer.get(_path(order_id, "/mails"))).status == 200


# -- beside the order --------------------------------------------------------------------------


async def test_every_mail_to_the_customer_is_shown_and_none_to_sellers(site: Site) -> None:
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists(title="Mug"), 2))
    await shop.update(order_id, "cancel", items=[{"line_id": "1", "quantity": 1}])
    await shop.packs(order_id)
    await shop.ships(order_id)
    mails = await shop.mails(order_id, at_least=5)
    customer = await customer_of(site, order_id)
    ours = [mail for mail in mails if mail.recipients[0].startswith("ada-")]
    theirs = [mail for mail in mails if mail not in ours]
    assert (len(ours), len(theirs)) == (3, 2)
    page = await customer.until(_path(order_id, "/mails"), lambda page: all(mail.subject in page.text for mail in ours))
    assert len(re.findall('<pre class="mail">', page.html)) == len(ours)
    assert "Ada Lovelace" in page.text
    for mail in theirs:
        assert mail.subject not in page.text
    assert "being sent" not in page.text
    assert page.html.index(ours[2].subject) < page.html.index(ours[0].subject), "the newest first"
    assert "/o/" not in page.html, "no secret in what is shown"


async def test_the_page_hears_that_something_has_changed_and_not_what(site: Site) -> None:
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists(title="Mug")))
    customer = await customer_of(site, order_id)
    page = await customer.until(_path(order_id), lambda page: "1 × Mug" in page.text)
    assert f'data-events="{_path(order_id, "/events")}"' in page.html
    first = await _events(customer, order_id, at_most=1)
    [(kind, position, data)] = first
    assert (kind, data) == ("entry", {})
    following = asyncio.create_task(_events(customer, order_id, seen=position))
    await shop.update(order_id, "note", text="the customer called")
    await shop.update(order_id, "cancel")
    rest = await following
    assert rest[-1][0] == "end"
    positions = [position for kind, position, _ in rest if kind == "entry"]
    assert positions == sorted({*positions})
    assert positions[0] > first[0][1]
    assert {json.dumps(data) for _, _, data in rest} == {"{}"}
    assert [kind for kind, _, _ in await _events(customer, order_id, seen=10_000)] == ["end"], "long ended"


async def _events(
    customer: Visitor, order_id: str, *, seen: int | None = None, at_most: int = 100
) -> list[tuple[str, int, object]]:
    """Kind, number and data of so many events, or of all to the end of the stream."""
    headers = {} if seen is None else {"Last-Event-ID": str(seen)}
    found: list[tuple[str, int, object]] = []
    async with customer.client.stream("GET", _path(order_id, "/events"), headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        async for text in stream.aiter_lines():
            if text and not text.startswith(":"):
                name, _, value = text.partition(": ")
                event[name] = value
            elif "event" in event:
                found.append((event["event"], int(event.get("id", 0)), json.loads(event["data"])))
                event = {}
                if len(found) == at_most:
                    break
    return found
