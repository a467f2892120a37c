"""The link in a customer's mail: it opens their order and no other, and nothing else opens it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from itsdangerous import URLSafeSerializer
from pydantic import SecretStr
from temporalio.client import Client

import worker
from localstack.stack import Stack
from tests.shop import line
from tests.web.alone import web_alone
from tests.web.browsing import Page, Visitor
from tests.web.buying import ADA, checks_out, customer_of, link_of, order_on, puts_in_cart, ships_for
from tests.web.conftest import Site
from usecases.signatures import Purpose, Signatures
from web.pages.customers import COOKIE, LINK_GOOD_FOR, LINKS

SECRET = SecretStr("the same for web and worker")


def _without(page: Page, order_id: str = "ID") -> tuple[int, str]:
    return page.status, re.sub(r'name="(csrf|once)" value="[^"]*"', "", page.html).replace(order_id, "ID")


def _from(site: Site, address: str) -> Visitor:
    """Somebody at another address, behind the proxy that the web trusts."""
    visitor = site.visitor()
    visitor.client.headers["X-Forwarded-For"] = address
    return visitor


async def test_the_link_opens_the_order_and_is_not_in_its_address(site: Site) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(title="Blue mug"), 2))
    link = await link_of(site, order_id)
    visitor = site.visitor()
    answer = await visitor.client.get(link, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/orders/{order_id}")
    assert f"Path=/orders/{order_id};" in answer.headers["set-cookie"]
    page = await visitor.get(f"/orders/{order_id}")
    assert "2 × Blue mug" in page.text
    assert "12 Mill Street" in page.text
    assert link.removeprefix("/o/") not in page.html


async def test_its_cookie_opens_no_other_order(site: Site) -> None:
    sku = await site.shop.lists()
    mine, other = await site.shop.placed(line(sku)), await site.shop.placed(line(sku))
    visitor = await customer_of(site, mine)
    cookie = next(one.value for one in visitor.client.cookies.jar if one.name == COOKIE)
    answers = []
    for order_id in (other, "nobody", mine + "0"):
        async with httpx.AsyncClient(base_url=site.url, headers={"Cookie": f"{COOKIE}={cookie}"}, timeout=60) as client:
            for path in ("", "/mails", "/events"):
                answers.append(_without(Page(await client.get(f"/orders/{order_id}{path}")), order_id))
    assert len({*answers}) == 1
    assert answers[0][0] == 404
    assert "open the link in one of the mails" in answers[0][1]
    page = await visitor.get(f"/orders/{mine}")
    form = page.form(f"/orders/{mine}/cancel")
    for order_id in (other, "nobody"):
        sent = await visitor.client.post(f"/orders/{order_id}/cancel", data=form.fields)
        assert sent.status_code == 404
    assert (await site.shop.status(other)).lines[0].units == {"reserved": 1}


async def test_one_browser_opens_several_orders(site: Site) -> None:
    sku = await site.shop.lists()
    orders = [await site.shop.placed(line(sku)) for _ in range(2)]
    visitor = site.visitor()
    for order_id in orders:
        await visitor.get(await link_of(site, order_id))
    for order_id in orders:
        assert order_id in (await visitor.get(f"/orders/{order_id}")).text


async def test_a_link_that_is_none_of_ours_opens_nothing(site: Site) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists()))
    token = (await link_of(site, order_id)).removeprefix("/o/")
    purposes: tuple[Purpose, ...] = ("order-id", "session", "cart", "visit", "flash")
    forged = [
        *(Signatures(SECRET).sign(purpose, order_id) for purpose in purposes),
        Signatures(SecretStr("another secret")).sign("order-link", order_id),
        Signatures(SECRET).sign_now("order-link", order_id),
        Signatures(SECRET).sign("order-link", [order_id]),
        str(URLSafeSerializer(SECRET.get_secret_value()).dumps(order_id)),
        token[:-1],
        token.partition(".")[0],
        token.replace(".", ".x"),
        "x",
        "%C3%A9.%00",
    ]
    visitor = _from(site, "203.0.113.1")
    answers = {_without(await visitor.get(f"/o/{one}")) for one in forged}
    assert len(answers) == 1
    [(status, html)] = answers
    assert (status, "This link is not valid" in html) == (404, True)
    for one in forged[:-1]:
        visitor.client.cookies.set(COOKIE, one, path=f"/orders/{order_id}")
        assert (await visitor.get(f"/orders/{order_id}")).status == 404


async def test_who_tries_links_too_often_has_to_wait_and_nobody_else(site: Site) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists()))
    link = await link_of(site, order_id)
    guesser = _from(site, "203.0.113.2")
    statuses = [(await guesser.client.get(f"/o/guess-{number}")).status_code for number in range(LINKS.most)]
    assert {*statuses} == {404}
    page = await guesser.get("/o/guess-once-more")
    assert (page.status, "Please wait 15 minutes" in page.text) == (429, True)
    assert page.response.headers["retry-after"] == "900"
    assert (await _from(site, "203.0.113.3").get("/o/guess")).status == 404
    assert (await guesser.get(link)).status == 200, "a good one is no guess: many people may share an address"


async def test_a_seller_s_mail_leads_to_its_part_and_not_to_the_customer_s_page(site: Site) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists()))
    for mail in await site.shop.mails(order_id, at_least=2):
        to_seller = mail.recipients == ("orders@acme.example",)
        assert (f"{site.url}/o/" in mail.text + mail.html) is not to_seller
        assert (f"{site.url}/seller/orders/{order_id}/acme-1" in mail.text) is to_seller


@pytest.mark.parametrize(("after_end", "status"), [(timedelta(days=2), 404), (-timedelta(days=2), 200)])
async def test_the_page_is_shown_for_half_a_year_after_the_end(site: Site, after_end: timedelta, status: int) -> None:
    """Of the order's own clock."""
    long_ago = datetime.now(UTC) - LINK_GOOD_FOR - after_end
    policy = {"late_cancel_days": None}
    order_id = await site.shop.placed(
        line(await site.shop.lists(title="Old mug")), clock={"origin": long_ago.isoformat()}, policy=policy
    )
    visitor = await customer_of(site, order_id)
    assert "Old mug" in (await visitor.get(f"/orders/{order_id}")).text, "as long as it is open"
    await site.shop.update(order_id, "cancel")
    await site.shop.ended(order_id)
    for path in ("", "/mails"):
        page = await visitor.until(f"/orders/{order_id}{path}", lambda page: page.status == status)
        assert ("completed long ago" in page.text, "Old mug" in page.text) == (status == 404, status == 200)
    follower = site.visitor()
    assert (await follower.get(await link_of(site, order_id))).status == status


async def test_nothing_is_shown_before_the_order_is_recorded(
    stack: Stack, client: Client, fresh_database: Callable[[], str]
) -> None:
    """Placed while no worker runs: Temporal keeps it, and the page says so until somebody works again."""
    async with web_alone(stack, client, fresh_database()) as site:
        await ships_for(site.shop)
        visitor = site.visitor()
        await puts_in_cart(visitor, await site.shop.lists(title="Blue mug"))
        page = await checks_out(visitor)
        order_id = order_on(page)
        assert "was placed and is being recorded" in page.text
        assert '<meta http-equiv="refresh" content="2">' in page.html
        assert [word for word in (*ADA.values(), "Blue mug") if word in page.html] == []
        assert (await visitor.get(f"/orders/{order_id}/mails")).status == 404
        csrf = (await visitor.get("/")).form("/cart").fields["csrf"]
        for message in ("cancel", "change_address", "report_issue"):
            fields = {"csrf": csrf, "what": "everything"}
            sent = Page(await visitor.client.post(f"/orders/{order_id}/{message}", data=fields))
            assert (sent.status, "being recorded" in sent.text) == (404, True)
        async with worker.running(site.shop.built):
            page = await visitor.until(f"/orders/{order_id}", lambda page: "1 × Blue mug" in page.text)
            assert "12 Mill Street" in page.text
            await site.shop.update(order_id, "cancel")
            await site.shop.ended(order_id)
