"""The doors of the web process: every route of the API and the pages, by whoever reaches its port."""

import asyncio
import json
import re
from random import Random
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI
from itsdangerous import TimestampSigner, URLSafeSerializer, URLSafeTimedSerializer

from domain.access import Scope
from store.keys import Keys
from tests.doors.attacks import BODIES, TEXTS, as_json, drawn, mutated, useless_keys
from tests.doors.report import Report, Verdict
from tests.shop import Shop, line
from tests.web.markup import dangers
from tests.web.routes import routes_of
from usecases.keys import new_key
from usecases.schemas import SCHEMAS
from web.app import BODY_BYTES_MAX

PUBLIC = {
    *("/", "/products/{seller}/{sku:path}", "/cart", "/checkout", "/signin", "/docs", "/docs/{name}", "/openapi.json"),
    *("/signout", "/cart/tidy", "/livez", "/readyz"),
}
"""Open to everybody; a form that is sent there still has to come from a page of ours."""

_PLACES = {
    "fulfillment_id": "acme-1",
    "seller": "acme",
    "name": "swagger-ui.css",
    "message": "cancel",
    "step": "ship",
    "report": "overview",
    "token": "x",
}


class Web:
    """`url` is where it is served, `app` the same application, to know its routes."""

    def __init__(self, shop: Shop, url: str, app: FastAPI, secret: str) -> None:
        self.shop, self.url, self.secret = shop, url, secret
        self.routes = sorted({*routes_of(app)})

    async def key(self, scope: Scope, seller: str | None = None) -> str:
        return await new_key(Keys(self.shop.database), scope, "doors", seller)

    def client(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=60, headers=headers)

    def path(self, pattern: str, order_id: str) -> str:
        def fill(found: re.Match[str]) -> str:
            name = found[1].partition(":")[0]
            return order_id if name == "order_id" else _PLACES.get(name, "x")

        return re.sub(r"{([^}]+)}", fill, pattern)


def _judge(report: Report, door: str, attack: str, answer: httpx.Response, *, harmless: str = "") -> None:
    """4xx and the way to sign in are refusals. 5xx is a fault of ours, as is a page with dangers.

    `harmless` says why anything else may be answered there; without it nothing may.
    """
    status = answer.status_code
    found = dangers(answer.text) if answer.headers.get("content-type", "").startswith("text/html") else []
    to_sign_in = status == 303 and answer.headers["location"].startswith("/signin")
    product = str(7919 * 7919)
    if found or answer.headers.get("x-injected") or product in answer.text:
        report.note(door, attack, "let in", f"{status} {found[:2]}")
    elif 400 <= status < 500 or to_sign_in:
        report.note(door, attack, "refused")
    elif harmless and status < 400:
        report.note(door, attack, "harmless", harmless)
    else:
        report.note(door, attack, "let in", f"{status} {answer.text[:120]}")


async def _ask(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response:
    """Without following a stream of events for ever."""
    async with client.stream(method, path, **more) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            await answer.aread()
        else:
            answer._content = b""
        return answer


def _token(page: httpx.Response) -> str:
    """Of the first form there."""
    return str(re.findall(r'name="csrf" value="([^"]+)"', page.text)[0])


# -- who is asking -----------------------------------------------------------------------------


async def forged_keys(report: Report, web: Web, random: Random, order_id: str, count: int) -> None:
    """Every route that is not for everybody, by `4 + count` keys and cookies that are good for nothing."""
    good, revoked = await web.key(Scope.BACKEND), await web.key(Scope.BACKEND)
    await Keys(web.shop.database).revoke(revoked.split("_")[1])
    key_id = good.split("_")[1]
    wrong = URLSafeTimedSerializer("another secret", salt="session").dumps([key_id, 2e9])
    other_purpose = URLSafeTimedSerializer(web.secret, salt="flash").dumps([key_id, 2e9])
    old = URLSafeTimedSerializer(web.secret, salt="session", signer=_OldSigner).dumps([key_id, 1e9])
    link = URLSafeSerializer("another secret", salt="order-link").dumps(order_id)
    other_order = URLSafeSerializer(web.secret, salt="order-link").dumps("another-order")
    forgeries = {
        **useless_keys(good, revoked),
        "a session of another secret": {"Cookie": f"oo_session={wrong}; oo_order={link}"},
        "a signature for something else": {"Cookie": f"oo_session={other_purpose}; oo_order={other_order}"},
        "an old session": {"Cookie": f"oo_session={old}"},
        "a compressed token": {"Cookie": "oo_session=.eJyrVkrLz1eyUkpKLFKqBQAdegQ0.x.y; oo_order=.eJw.x"},
    }
    async with web.client() as client:
        for method, pattern in web.routes:
            if pattern in PUBLIC:
                continue
            for name, headers in drawn(random, [*forgeries.items()], 4 + count):
                answer = await _ask(client, method, web.path(pattern, order_id), headers=headers)
                client.cookies.clear()
                # Browsers ask so without any key, before they send one.
                harmless = (
                    "a browser's preflight, an empty answer" if method == "OPTIONS" and not answer.content else ""
                )
                _judge(report, "keys and sessions", f"{name}: {method} {pattern}", answer, harmless=harmless)


class _OldSigner(TimestampSigner):
    def get_timestamp(self) -> int:
        return 1_164_000_000  # twenty years ago


async def foreign_keys(report: Report, web: Web, order_id: str) -> None:
    """Good keys of others: another seller's, and an analyst's, at every route about an order of acme's."""
    keys = {"birch": await web.key(Scope.SELLER, "birch"), "an analyst": await web.key(Scope.ANALYST)}
    for name, key in keys.items():
        async with web.client(Authorization=f"Bearer {key}") as client:
            for method, pattern in web.routes:
                if pattern.startswith("/v1") and "{order_id}" in pattern:
                    answer = await _ask(
                        client, method, web.path(pattern, order_id), content=b"{}" if method == "POST" else None
                    )
                    _judge(report, "another's key", f"{name}: {method} {pattern}", answer)


async def replays(report: Report, web: Web) -> None:
    """A session's cookie after signing out; a form's token in another browser; where signing in leads to."""
    key = await web.key(Scope.SUPPORT)
    for target in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/%5cevil.example",
        "\t//evil.example",
        "http:evil.example",
    ):
        async with web.client() as client:
            page = await client.get("/signin", params={"next": target})
            token = _token(page)
            answer = await client.post("/signin", data={"csrf": token, "key": key, "next": target})
            where = answer.headers.get("location", "")
            is_ours = where.startswith("/") and not where.startswith(("//", "/\\"))
            verdict: Verdict = "refused" if is_ours else "let in"
            report.note("signing in", f"to {target}", verdict, where)
            session = client.cookies["oo_session"]
            await client.post("/signout", data={"csrf": token})
        async with web.client(Cookie=f"oo_session={session}") as thief:
            _judge(report, "signing in", "a session after its end", await thief.get("/support"))
        async with web.client() as other:
            await other.get("/signin")
            answer = await other.post("/cart", data={"csrf": token, "seller": "acme", "sku": "X"})
            _judge(report, "forms", "the token of another browser", answer)


async def forged_forms(report: Report, web: Web, random: Random, order_id: str, count: int) -> None:
    """Every form, signed in, with no token or a wrong one; and as files, in many parts, or as JSON."""
    for scope, seller in ((Scope.SUPPORT, None), (Scope.SELLER, "acme")):
        async with web.client() as client:
            page = await client.get("/signin")
            token = _token(page)
            await client.post("/signin", data={"csrf": token, "key": await web.key(scope, seller)})
            many = {f"f{number}": "1" for number in range(6_000)}
            in_parts = {"Content-Type": "multipart/form-data; boundary=b"}
            half = b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n'
            tricks: dict[str, dict[str, Any]] = {
                "no token": {"data": {"reason": "x"}},
                "a wrong token": {"data": {"csrf": "x" * 40}},
                "a token as a file": {"files": {"csrf": ("csrf", token)}},
                "too many fields": {"data": many | {"csrf": token}},
                "many files": {"files": [(f"f{n}", ("a", b"x")) for n in range(50)], "data": {"csrf": token}},
                "no boundary": {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
                "half a part": {"content": half, "headers": in_parts},
                "a long head of a part": {"content": b"--b\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", "headers": in_parts},
                "JSON": {"content": b"{}", "headers": {"Content-Type": "application/json"}},
                "a NUL": {"data": {"csrf": token, "reason": "\x00", "text": "\x00"}},
                "from elsewhere": {"data": {}, "headers": {"Origin": "https://evil.example"}},
            }
            for method, pattern in web.routes:
                if method == "POST" and not pattern.startswith("/v1"):
                    for name, trick in drawn(random, [*tricks.items()], 2 + count):
                        answer = await client.post(web.path(pattern, order_id), **trick)
                        _judge(report, "forms", f"{name}: {pattern}", answer)


# -- what is sent ------------------------------------------------------------------------------


async def hostile_bodies(report: Report, web: Web, random: Random, order_id: str, count: int) -> None:
    """Every route of the API that reads a body, by a key that may send it."""
    async with web.client(Authorization=f"Bearer {await web.key(Scope.BACKEND)}") as client:
        for method, pattern in web.routes:
            if method not in ("POST", "PUT") or not pattern.startswith("/v1"):
                continue
            path, name = web.path(pattern, order_id), pattern.rpartition("/")[2]
            for what, body in drawn(random, [*BODIES.items()], 2 + count):
                if body:
                    answer = await client.request(method, path, content=body)
                    _judge(report, f"{method} /v1 bodies", f"{what}: {pattern}", answer)
            large = b'{"a": "' + b"a" * BODY_BYTES_MAX + b'"}'
            announced = await client.request(method, path, content=large)
            in_chunks = await client.request(method, path, content=_chunks(large))
            for answer in (announced, in_chunks):
                _judge(report, f"{method} /v1 bodies", f"2 MB: {pattern}", answer)
            for _ in range(count):
                what, changed = mutated(random, _example(name))
                changed = changed if isinstance(changed, dict) else {}
                changed["nobody knows this"] = 1
                answer = await client.request(method, path, content=as_json(changed))
                _judge(report, f"{method} /v1 bodies", f"{what}: {pattern}", answer)


async def _chunks(body: bytes) -> Any:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


def _example(name: str) -> Any:
    files = {"orders": "order.json", "catalog": "catalog.json"}
    path = SCHEMAS / "examples" / files.get(name, f"messages/{name}.json")
    return json.loads(path.read_text()) if path.exists() else {"key": "1", "seller": "acme"}


async def hostile_parameters(report: Report, web: Web, random: Random, order_id: str, count: int) -> None:
    """Every place of every address, and what follows a question mark, by all kinds of people."""
    support, seller = await signed_in(web, Scope.SUPPORT), await signed_in(web, Scope.SELLER, "acme")
    program = web.client(Authorization=f"Bearer {await web.key(Scope.BACKEND)}")
    stranger = web.client()
    names = ("q", "search", "after", "before", "limit", "from", "until", "seller", "sku", "country", "currency", "word")
    try:
        for method, pattern in web.routes:
            if method != "GET":
                continue
            client = program if pattern.startswith("/v1") else seller if pattern.startswith("/seller") else support
            path = web.path(pattern, order_id)
            for place in re.findall(r"{([^}]+)}", pattern):
                for text in drawn(random, TEXTS, count):
                    hostile = web.path(pattern.replace(f"{{{place}}}", quote(text, safe="") or "%00"), order_id)
                    answer = await _ask(client, "GET", hostile)
                    _judge(report, "addresses", f"{place}={text[:40]!r}: {pattern}", answer, harmless=_WORDS)
            for text in drawn(random, TEXTS, count):
                answer = await _ask(client, "GET", path, params=dict.fromkeys(names, text[:2_000]))
                _judge(report, "addresses", f"?...={text[:40]!r}: {pattern}", answer, harmless=_WORDS)
                value = quote(text[:900])
                headers = {"Cookie": f"oo_cart={value}; oo_visit={value}; oo_flash={value}"}
                answer = await _ask(stranger, "GET", path, headers=headers)
                stranger.cookies.clear()
                harmless = "passed over on a page for everybody" if pattern in PUBLIC else ""
                _judge(report, "cookies", f"{text[:40]!r}: {pattern}", answer, harmless=harmless)
    finally:
        for client in (support, seller, program, stranger):
            await client.aclose()


_WORDS = "searched for as the words that it is, or passed over"


async def signed_in(web: Web, scope: Scope, seller: str | None = None) -> httpx.AsyncClient:
    client = web.client()
    page = await client.get("/signin")
    token = _token(page)
    await client.post("/signin", data={"csrf": token, "key": await web.key(scope, seller)})
    return client


async def lists(report: Report, web: Web) -> None:
    """A seller's list of shipped parcels: what is no list, formulas, and far too long."""
    client = await signed_in(web, Scope.SELLER, "acme")
    page = await client.get("/seller/import")
    token = _token(page)
    head = "order_id,fulfillment_id,carrier,tracking_number\n"
    files: dict[str, bytes] = {
        "nothing": b"",
        "UTF-16": head.encode("utf-16"),
        "no text": b"\x00\xff" * 100,
        "3,000 rows": (head + "a,acme-1,ups,1Z\n" * 3_000).encode(),
        "a cell of 1 MB": (head + "a,acme-1,ups," + "1" * 1_000_000).encode(),
        "an open quote": (head + '"a,acme-1,ups,1Z').encode(),
        "2.5 MB": b"a" * 2_500_000,
        "a formula": (head + "=cmd|'/C calc'!A0,@SUM(1),+1,-1\n").encode(),
        "a script": (head + "<script>alert(1)</script>,acme-1,<b onclick=x()>,1Z\n").encode(),
        "only quotes": b'"' * 100_000,
    }
    for name, body in files.items():
        answer = await client.post(
            "/seller/import", data={"csrf": token, "once": "1"}, files={"file": ("../../x.csv", body)}
        )
        listed = name in ("a formula", "a script", "an open quote", "a cell of 1 MB")
        harmless = "a page that says what is wrong with each row" if listed else ""
        _judge(report, "lists of parcels", name, answer, harmless=harmless)
    await client.aclose()


# -- the protocol itself -----------------------------------------------------------------------

_HEAD = b"host: a\r\nconnection: close\r\n"
RAW: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "a method with a line break": b"GE\nT / HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "a NUL in a header": b"GET / HTTP/1.1\r\nx: a\x00b\r\n" + _HEAD + b"\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nnonsense\r\n" + _HEAD + b"\r\n",
    "a negative length": b"POST /cart HTTP/1.1\r\ncontent-length: -1\r\n" + _HEAD + b"\r\n",
    "a length that is none": b"POST /cart HTTP/1.1\r\ncontent-length: 1e3\r\n" + _HEAD + b"\r\n",
    "two lengths": b"POST /cart HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n" + _HEAD + b"\r\nab",
    "length and chunks": b"POST /cart HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n"
    + _HEAD
    + b"\r\n0\r\n\r\n",
    "a bad chunk": b"POST /cart HTTP/1.1\r\ntransfer-encoding: chunked\r\n" + _HEAD + b"\r\nzz\r\nab\r\n0\r\n\r\n",
    "a chunk of 2^64": b"POST /cart HTTP/1.1\r\ntransfer-encoding: chunked\r\n" + _HEAD + b"\r\nffffffffffffffffff\r\n",
    "a huge length": b"POST /cart HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n" + _HEAD + b"\r\n",
    "20,000 headers": b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: 1\r\n" % n for n in range(20_000)) + _HEAD + b"\r\n",
    "a long header": b"GET / HTTP/1.1\r\nx: " + b"a" * 500_000 + b"\r\n" + _HEAD + b"\r\n",
    "a long address": b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "up and up": b"GET /static/../../../etc/passwd HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "up, encoded": b"GET /static/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "up, encoded twice": b"GET /static/%252e%252e/app.py HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "up, with a NUL": b"GET /static/openorders.css%00.py HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "up, by a backslash": b"GET /static/..\\app.py HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "a file of ours": b"GET /static//etc/passwd HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "CONNECT": b"CONNECT evil.example:80 HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "another's override": b"POST /v1/orders HTTP/1.1\r\nx-http-method-override: GET\r\ncontent-length: 0\r\n"
    + _HEAD
    + b"\r\n",
    "a path for another": b"GET /cart HTTP/1.1\r\nx-original-url: /support\r\nx-rewrite-url: /support\r\n"
    + _HEAD
    + b"\r\n",
    "another host": b"GET /support HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: evil.example\r\n"
    b"connection: close\r\n\r\n",
}
_SILENCE_SECONDS = 10
_HARMLESS = {"a path for another": "a header for other servers, passed over"}


async def raw(report: Report, web: Web) -> None:
    """What no HTTP client would send, byte by byte."""
    answers = await asyncio.gather(*(exchange(web.url, sent) for sent in RAW.values()))
    for name, answer in zip(RAW, answers, strict=True):
        status = int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
        leaked = any(word in answer for word in (b"root:", b"def build", b"evil.example"))
        is_refused = status in (0, 505) or 400 <= status < 500 or (status == 303 and b"location: /signin" in answer)
        if not leaked and is_refused:
            report.note("the protocol", name, "refused")
        elif not leaked and name in _HARMLESS and status == 200:
            report.note("the protocol", name, "harmless", _HARMLESS[name])
        else:
            report.note("the protocol", name, "let in", f"{status} {answer[:200]!r}")


async def exchange(url: str, sent: bytes) -> bytes:
    """What is answered to these bytes; nothing where the connection is closed over them, or more is waited for.

    Our end stays open meanwhile: who closes it is answered nothing, whatever it was.
    """
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""
    try:
        writer.write(sent)
        await writer.drain()
        while more := await asyncio.wait_for(reader.read(65_536), _SILENCE_SECONDS):
            answer += more
    except (OSError, TimeoutError):  # closed over what was sent
        pass
    finally:
        writer.close()
    return answer


async def guesses(report: Report, web: Web) -> None:
    """Behind a proxy that says for whom it asks: what a guesser puts in front of that gives it no more tries."""
    async with web.client() as client:
        page = await client.get("/signin")
        token = _token(page)
        for number in range(20):
            forwarded = {"X-Forwarded-For": f"10.9.8.{number}, 203.0.113.7"}
            answer = await client.post(
                "/signin", data={"csrf": token, "key": f"oo_{'a' * 12}_{'c' * 43}"}, headers=forwarded
            )
            fine = answer.status_code == (403 if number < 10 else 429)
            report.note("guessing", f"try {number + 1}", "refused" if fine else "let in", str(answer.status_code))


async def all_of(report: Report, web: Web, random: Random, count: int) -> None:
    """The long ones with `count` hostile values at each place; guesses come last, as they shut a door."""
    order_id = await web.shop.placed(line(await web.shop.lists(5), 1))
    await forged_keys(report, web, random, order_id, count)
    await foreign_keys(report, web, order_id)
    await replays(report, web)
    await forged_forms(report, web, random, order_id, count)
    await lists(report, web)
    await raw(report, web)
    await hostile_bodies(report, web, random, order_id, count)
    await hostile_parameters(report, web, random, order_id, count)
    await guesses(report, web)
    await web.shop.orders.signal(order_id, "cancel", {})
    await web.shop.ended(order_id)
