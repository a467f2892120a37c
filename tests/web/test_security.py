"""What keeps pages safe in any browser: headers, nothing inline, nothing from elsewhere, cookies out of reach."""

import html
import re
from collections.abc import Callable
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text
from temporalio.client import Client

import worker
from domain.access import Scope
from domain.catalog import Catalog, Listing
from domain.insights_reports import ReportName
from localstack.stack import Stack
from tests.shop import UPS, line
from tests.web.alone import web_alone
from tests.web.browsing import Visitor
from tests.web.buying import bought, customer_of, leaves, link_of, puts_in_cart, ships_for
from tests.web.conftest import Site
from tests.web.markup import dangers
from tests.web.routes import Route, routes_of
from web.app import BODY_BYTES_MAX

WEB = Path(__file__).parents[2] / "web"


class People(NamedTuple):
    """Everybody who may see something; an order that all of them know, and one that a seller has still to pack."""

    order_id: str
    to_pack: str
    sku: str
    link: str
    clients: tuple[httpx.AsyncClient, ...]


@pytest.fixture(scope="module")
async def people(site: Site) -> People:
    shop = site.shop
    await ships_for(shop)
    sku = await shop.lists(30, title="Blue mug")
    buyer = site.visitor()
    order_id = await bought(site, buyer, sku)
    await puts_in_cart(buyer, sku, 2)
    await leaves(shop, order_id, carrier="ups", tracking_number=UPS)
    await shop.update(order_id, "report_issue", kind="damaged", parcel_id="acme-1-p1", note="a scratch")
    to_pack = await shop.placed(line(sku), line(await shop.lists(0)))
    await shop.update(await shop.placed(line(sku)), "hold", by="support/ann", reason="looks wrong")
    pages = [
        await site.signed_in(Scope.SELLER, "acme"),
        await site.signed_in(Scope.SUPPORT),
        await site.signed_in(Scope.ANALYST),
        buyer,
        site.visitor(),
        site.visitor(),
    ]
    pages[-1].client.headers["Authorization"] = f"Bearer {await site.key(Scope.BACKEND)}"
    await pages[1].until(f"/support/orders/{order_id}", lambda page: "a scratch" in page.text)
    link = await link_of(site, order_id)
    return People(order_id, to_pack, sku, link, tuple(visitor.client for visitor in pages))


def _filled(route: Route, people: People) -> list[str]:
    """Addresses of a route: with what is there, and with what is not."""
    path = route[1].replace("{token}", people.link.removeprefix("/o/"))
    names = {
        "order_id": [people.order_id, people.to_pack, "nobody"],
        "fulfillment_id": ["acme-1"],
        "seller": ["acme"],
        "sku:path": [people.sku, "NOTHING"],
        "name": ["swagger-ui.css", "note"],
        "message": ["cancel"],
        "step": ["ship"],
        "report": [name.value for name in ReportName],
    }
    paths = [path]
    for name, values in names.items():
        paths = [one.replace(f"{{{name}}}", value) for one in paths for value in values]
    return [*dict.fromkeys(paths)]


# -- headers -----------------------------------------------------------------------------------


def _assert_safe(answer: httpx.Response) -> None:
    headers, where = answer.headers, f"{answer.request.method} {answer.url} {answer.status_code}"
    policy = {words[0]: words[1:] for words in (part.split() for part in headers["content-security-policy"].split(";"))}
    assert policy["default-src"] == policy["frame-ancestors"] == ["'none'"], where
    if headers.get("content-type") == "application/pdf":  # the browser's own reader has styles in its page
        assert {*policy} == {"default-src", "frame-ancestors", "style-src", "object-src"}, where
    else:
        assert policy.pop("img-src") == ["'self'", "data:"], where
        assert {word for words in policy.values() for word in words} == {"'none'", "'self'"}, where
        assert {*policy} >= {"script-src", "style-src", "connect-src", "form-action", "base-uri"}, where
    assert headers["x-content-type-options"] == "nosniff", where
    assert headers["referrer-policy"] == "same-origin", where
    assert headers["cross-origin-opener-policy"] == "same-origin", where
    if not answer.url.path.startswith("/static/"):
        kept_by_nobody = "no-cache" if headers.get("content-type", "").startswith("text/event") else "no-store"
        assert headers["cache-control"] == kept_by_nobody, where


async def test_every_answer_of_every_route_has_its_headers(site: Site, people: People) -> None:
    routes = [*routes_of(site.app)]
    assert len(routes) > 60
    statuses = set()
    for route in routes:
        for path in _filled(route, people):
            for client in people.clients:
                async with client.stream(route[0], path, follow_redirects=False) as answer:
                    _assert_safe(answer)
                    statuses.add(answer.status_code)
    assert {200, 303, 401, 403, 404, 422} <= statuses


async def test_so_has_what_no_route_answers(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url, timeout=60) as client:
        for method, path, status in (
            ("GET", "/nowhere", 404),
            ("GET", "/static/nothing.css", 404),
            ("GET", "/static/openorders.css", 200),
            ("GET", "/static/../app.py", 404),
            ("DELETE", "/", 405),
            ("GET", "/v1/nowhere", 404),
            ("POST", "/v1/orders", 401),
        ):
            answer = await client.request(method, path)
            _assert_safe(answer)
            assert answer.status_code == status, path
        answer = await client.post("/cart", content=b"x" * (BODY_BYTES_MAX + 1))
        _assert_safe(answer)
        assert answer.status_code == 413


async def test_so_has_what_went_wrong_on_our_side_and_it_says_nothing_more(
    stack: Stack, client: Client, fresh_database: Callable[[], str]
) -> None:
    async with web_alone(stack, client, fresh_database()) as site:
        sku = await site.shop.lists()
        api = await site.api(Scope.BACKEND)
        async with site.shop.database.transaction() as connection:
            await connection.execute(text("DROP TABLE shipping_rates"))
        page = await site.visitor().get(f"/products/acme/{sku}")
        cart = {"country": "US", "lines": [{"seller": "acme", "sku": sku, "quantity": 1}]}
        for answer in (page.response, await api.post("/promises", json=cart)):
            assert answer.status_code == 500
            _assert_safe(answer)
            assert "Something went wrong on our side." in answer.text
            assert [word for word in ("shipping_rates", "Traceback", "psycopg", "SELECT") if word in answer.text] == []


# -- pages -------------------------------------------------------------------------------------


async def test_no_page_runs_or_fetches_what_is_not_ours(site: Site, people: People) -> None:
    looked_at, scripts = 0, set()
    for route in routes_of(site.app):
        if route[0] != "GET" or route[1].endswith("/events"):
            continue
        for path in _filled(route, people):
            for client in people.clients:
                answer = await client.get(path)
                if answer.headers.get("content-type", "").startswith("text/html"):
                    assert dangers(answer.text) == [], answer.url
                    scripts.update(re.findall(r'<script src="([^"]+)"', answer.text))
                    looked_at += answer.status_code == 200
    assert looked_at > 60
    # Where an order does not say in time what it would obey, its page has no form for it.
    path = f"/seller/orders/{await site.shop.placed(line(people.sku))}/acme-1"
    page = await Visitor(people.clients[0]).until(path, lambda page: "/static/packing.js" in page.html)
    assert dangers(page.html) == []
    scripts.add("/static/packing.js")
    assert {"/static/openorders.js", "/static/packing.js", "/docs/swagger-ui-bundle.js"} <= scripts


def test_the_check_itself_sees_what_it_should() -> None:
    for bad in (
        *("<p style='color: red'>", "<b onclick=x()>", "<script>x()</script>", "<style>a {}</style>"),
        *('<script src="https://cdn.example/x.js">', '<img src="//cdn.example/x">', '<a href="javascript:x()">'),
        *('<form action="https://evil.example/">', '<link href="https://cdn.example/x.css">', "<a href=//x.example>"),
    ):
        assert len(dangers(bad)) == 1, bad
    good = (
        '<script src="/static/x.js"></script><a href="https://ups.com" rel="noreferrer noopener">1Z</a><form action="">'
    )
    assert dangers(good) == []


@pytest.mark.parametrize("path", sorted((WEB / "templates").iterdir()), ids=lambda path: path.name)
def test_no_template_has_a_script_a_style_or_an_address_of_another_host(path: Path) -> None:
    words = path.read_text(encoding="utf-8")
    own_words = r"""(?:'[^']*'|"[^"]*")(?:\s*\|\s*format\([^)]*\))?\s*\|\s*safe"""
    assert re.findall(r"\|\s*safe|autoescape", re.sub(own_words, "", words)) == []
    words = re.sub(r"{%.*?%}", "", words, flags=re.DOTALL)
    assert re.findall(r"\sstyle\s*=|\son\w+\s*=|javascript:|<style|srcdoc", words, re.IGNORECASE) == []
    assert re.findall(r"<script(?![^>]*\ssrc=\"/)[^>]*>|<script[^>]*>[^<]", words, re.IGNORECASE) == []
    assert re.findall(r"https?://|[\"'(]//", words, re.IGNORECASE) == []


@pytest.mark.parametrize("path", sorted((WEB / "static").iterdir()), ids=lambda path: path.name)
def test_no_file_that_is_served_has_an_address_of_another_host(path: Path) -> None:
    words = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert (
        re.findall(r"https?://|[\"'(]//|@import|\beval\(|new Function|document\.write|insertAdjacentHTML", words) == []
    )


# -- cookies -----------------------------------------------------------------------------------


def _cookies(answer: httpx.Response) -> dict[str, Morsel[str]]:
    found: dict[str, Morsel[str]] = {}
    for header in answer.headers.get_list("set-cookie"):
        found.update(SimpleCookie(header))
    return found


@pytest.mark.parametrize("web_url", ["https://orders.example.com", "http://orders.example.com"])
async def test_cookies_are_out_of_the_reach_of_scripts_and_other_sites(
    stack: Stack, client: Client, fresh_database: Callable[[], str], web_url: str
) -> None:
    """Set by hand from here on: over HTTP a browser would not send those of HTTPS."""
    set_so_far: dict[str, Morsel[str]] = {}
    async with web_alone(stack, client, fresh_database(), web_url=web_url) as site, worker.running(site.shop.built):
        order_id = await site.shop.placed(line(await site.shop.lists()))
        async with httpx.AsyncClient(base_url=site.url, timeout=60) as browser:

            async def ask(method: str, path: str, **fields: Any) -> httpx.Response:
                sent = "; ".join(f"{name}={morsel.value}" for name, morsel in set_so_far.items())
                answer = await browser.request(method, path, headers={"Cookie": sent}, data=fields or None)
                set_so_far.update(_cookies(answer))
                browser.cookies.clear()
                return answer

            page = await ask("GET", "/")
            csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
            assert csrf
            assert (await ask("POST", "/cart", csrf=csrf[1], seller="acme", sku="X", quantity="1")).status_code == 303
            key = await site.key(Scope.SUPPORT)
            assert (await ask("POST", "/signin", csrf=csrf[1], key=key)).headers["location"] == "/support"
            await ask("POST", f"/support/orders/{order_id}/note", csrf=csrf[1])
            assert (await ask("GET", await link_of(site, order_id))).status_code == 303
            assert {*set_so_far} == {"oo_visit", "oo_cart", "oo_session", "oo_flash", "oo_order"}
            for name, morsel in set_so_far.items():
                assert (morsel["httponly"], morsel["samesite"].lower(), morsel["domain"]) == (True, "lax", ""), name
                assert bool(morsel["secure"]) == web_url.startswith("https"), name
                assert morsel["path"] == (f"/orders/{order_id}" if name == "oo_order" else "/")
                assert int(morsel["max-age"]) > 0
            assert key.split("_", 2)[2] not in str(set_so_far), "the secret of a key is kept by nobody"
            gone = (await ask("POST", "/signout", csrf=csrf[1])), (await ask("GET", "/support"))
            assert int(_cookies(gone[0])["oo_session"]["max-age"]) == 0
            assert gone[1].headers["location"].startswith("/signin")


# -- hostile words -----------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea></title></option><script>alert(1)</script>",
    "{{ 7919 * 7919 }}{% raw %}",
    "javascript:alert(1)",
    "\u202egnp.exe \u2066\u200f",
    "ß\U0001f600 \u0301\u0301\u0301",
    "&lt;b&gt; &amp;amp;",
    "x" * 200,
]


@pytest.mark.parametrize("words", HOSTILE, ids=range(len(HOSTILE)))
async def test_names_and_reasons_are_words_and_nothing_else(site: Site, words: str) -> None:
    """Of products, customers, addresses, reports, reasons and searches; shown as they were typed."""
    shop = site.shop
    await ships_for(shop)
    sku = re.sub(r"\s", "_", words)[:60] + "/?#%"
    sku = re.sub(r"[\u2000-\u200a\u2028\u2029]", "", sku)
    await shop.lists(5, sku=sku, title=words)
    buyer = site.visitor()
    pages = [await buyer.get(f"/?q={quote(words[:100])}")]
    found = re.findall(r'<a href="(/products/[^"]+)">', pages[0].html)
    pages += [await buyer.get(html.unescape(path)) for path in found]
    assert words in "".join(html.unescape(page.html) for page in pages)
    pages.append(await buyer.submit(pages[-1], "/cart", quantity="2"))
    pages.append(await buyer.submit(await buyer.get("/checkout"), "/checkout", **_address(words), email=words))
    placed = await buyer.submit(pages[-1], "/checkout", **_address(words), email="a@example.com")
    assert placed.path.startswith("/orders/"), placed.text
    order_id = placed.path.removeprefix("/orders/")
    await shop.until(order_id, lambda status: bool(status.fulfillments))
    customer = await customer_of(site, order_id)
    await shop.packs(order_id)
    await shop.ships(order_id, carrier=words)
    await shop.update(order_id, "report_issue", kind="damaged", parcel_id="acme-1-p1", note=words * 10)
    support, seller = await site.signed_in(Scope.SUPPORT), await site.signed_in(Scope.SELLER, "acme")
    await shop.update(order_id, "note", by="support/ann", text=words)
    inside = [
        (customer, f"/orders/{order_id}"),
        (support, f"/support/orders/{order_id}"),
        (seller, f"/seller/orders/{order_id}/acme-1"),
    ]
    for visitor, path in inside:
        page = await visitor.until(path, lambda page: words in html.unescape(page.html))
        pages.append(page)
    pages.append(await customer.get(f"/orders/{order_id}/mails"))
    pages += [
        await support.get(f"/support?q={quote(words)}"),
        await seller.get(f"/seller/orders?search={quote(words)}"),
    ]
    pages += [
        await seller.get(path)
        for path in ("/seller", "/seller/stock", "/insights", f"/seller/stock?search={quote(words)}")
    ]
    for page in pages:
        assert page.status in (200, 422), page.path
        assert dangers(page.html) == [], page.path
        assert "alert(1)</script>" not in page.html
        assert str(7919 * 7919) not in page.html


def _address(words: str) -> dict[str, str]:
    home = {"line1": "12 Mill Street", "city": "Springfield", "region": "IL", "postal_code": "62701"}
    return {**home, "name": words, "line2": words, "phone": words, "action": "place"}


async def test_what_is_too_long_is_refused_and_what_may_be_long_is_shown_whole(site: Site) -> None:
    for field in ({"title": "x" * 500}, {"sku": "x" * 500}, {"sku": "with space"}):
        listing = {"seller": "acme", "sku": "LONG", "title": "Mug", "unit_price": 1, "currency": "USD", **field}
        with pytest.raises(ValueError, match="String should"):
            Listing.model_validate(listing)
    api = await site.api(Scope.BACKEND)
    body = site.shop.body(line(await site.shop.lists()))
    body["customer"]["name"] = "x" * 500
    refused = await api.post("/orders", json=body)
    assert (refused.status_code, "customer.name" in refused.text) == (422, True)
    assert Catalog(listings=()).listings == ()
    order_id = await site.shop.placed(line(await site.shop.lists()))
    support = await site.signed_in(Scope.SUPPORT)
    path = f"/support/orders/{order_id}"
    page = await support.until(path, lambda page: page.has_form(f"{path}/note"))
    long = "<i>" + "y" * 1_990
    await support.submit(page, f"{path}/note", reason=long)
    page = await support.until(path, lambda page: long in page.text or html.escape(long) in page.html)
    refused_page = await support.submit(page, f"{path}/note", reason="z" * 2_001)
    assert "text" in refused_page.text
    assert "z" * 2_001 not in refused_page.html


async def test_a_tracking_link_of_a_seller_is_one_only_where_it_leads_to_the_web(site: Site) -> None:
    """The number is text wherever nobody knows its carrier."""
    order_id = await site.shop.placed(line(await site.shop.lists()))
    await site.shop.packs(order_id)
    await site.shop.ships(order_id, carrier="javascript:alert(1)", tracking_number="LC-12")
    customer = await customer_of(site, order_id)
    page = await customer.until(f"/orders/{order_id}", lambda page: "LC-12" in page.text)
    assert '<span class="mono">LC-12</span>' in page.html
    assert dangers(page.html) == []
