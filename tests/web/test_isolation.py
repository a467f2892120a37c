"""A seller's key over every route there is: what belongs to another seller is answered like what is not there."""

import json
import re
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from domain.access import OUTSIDE_MESSAGES, Caller, Scope
from domain.insights_reports import reports_for
from tests.shop import UPS, eventually, line
from tests.web.conftest import Site
from tests.web.pdf_text import pages_of
from tests.web.routes import Route, routes_of
from tests.web.statements import HEADER

OPEN_TO_EVERYBODY = {
    ("GET", path)
    for path in ("/", "/cart", "/checkout", "/signin", "/docs", "/docs/{name}", "/openapi.json", "/o/{token}")
} | {("GET", "/products/{seller}/{sku:path}"), ("POST", "/signin"), ("POST", "/signout")}
"""The shop, which shows what all sellers sell, and the doors."""

BY_COOKIE = {
    *{("POST", path) for path in ("/cart", "/cart/tidy", "/checkout")},
    *{("GET", f"/orders/{{order_id}}{page}") for page in ("", "/mails", "/events")},
    ("POST", "/orders/{order_id}/{message}"),
}
"""Of whoever placed the order; what a key opens does not count here."""

REFUSED: dict[Route, int] = {
    **{("GET", path): 403 for path in ("/v1/orders", "/v1/orders/{order_id}/mails")},
    **{("POST", path): 403 for path in ("/v1/orders", "/v1/promises")},
    ("PUT", "/v1/catalog"): 403,
    **{("GET", f"/support{path}"): 403 for path in ("", "/attention", "/orders/{order_id}")},
    ("GET", "/support/orders/{order_id}/events"): 403,
    **{("POST", f"/support/orders/{{order_id}}/{form}"): 403 for form in ("{name}", "erase")},
    **{("POST", f"/v1/{path}/erase"): 403 for path in ("orders/{order_id}", "customers/{customer_id}")},
}
"""To every seller, whatever is asked for."""

OF_SELLERS = ("pack", "unpack", "ship", "reject_lines", "cancel", "answer_cancellation", "correct_tracking")
MESSAGES = {("POST", f"/v1/orders/{{order_id}}/{message.name}") for message in OUTSIDE_MESSAGES}

OWN_PART = {
    ("GET", f"/v1/orders/{{order_id}}{path}") for path in ("", "/timeline", "/events", "/fulfillments/{fulfillment_id}")
} | {
    ("GET", f"/seller/orders/{{order_id}}{path}")
    for path in (
        "",
        "/{fulfillment_id}",
        "/{fulfillment_id}/slip.pdf",
        "/{fulfillment_id}/labels.pdf",
        "/{fulfillment_id}/{step}",
    )
}
OWN_LISTS = {
    *{("GET", f"/v1/{path}") for path in ("fulfillments", "stock", "stock/movements", "listings")},
    *{("GET", f"/v1/insights{path}") for path in ("", "/{report}")},
    *{("GET", f"/seller{path}") for path in ("", "/orders", "/import", "/import/template.csv")},
    *{("GET", f"/seller/stock{path}") for path in ("", "/movements", "/receive", "/correct")},
    *{
        ("GET", f"/insights{path}")
        for path in ("", "/sales", "/buying", "/peaks", "/stock", "/performance", "/cancellations", "/csv/{report}")
    },
}
FORMS = {
    ("POST", f"/seller/orders/{{order_id}}/{{fulfillment_id}}/{form}")
    for form in ("pack", "unpack", "ship", "reject", "answer", "correct")
} | {("POST", f"/seller/{form}") for form in ("chosen", "import", "stock/receive", "stock/correct")}
"""Tried in test_seller_isolation.py and, for what is in an order, below."""

CODEC = {("OPTIONS", "/codec/{action}"), *{("POST", f"/codec/{action}") for action in ("encode", "decode")}}
"""For backends and support alone: tried in test_codec_server.py, a seller's key among others."""

STOCK = {("POST", "/v1/stock/receipts"), ("POST", "/v1/stock/corrections")}


class Shared(NamedTuple):
    """An order of both, packed by birch, and one that birch has shipped; `foreign` is one of birch alone."""

    order_id: str
    shipped: str
    foreign: str
    acme_sku: str
    birch_sku: str


WORDS = ("birch", "Birch", "BIRCH", "lamps-of-b", "Lamp")
AMOUNTS = re.compile(r"(?<![\w.:-])(?:77\.77|87\.77|7777|8777)(?!\w)")
"""What an answer for acme must not have: names, lines and prices of birch's part, and sums with it."""


def _of_birch(body: str) -> list[str]:
    return [word for word in WORDS if word in body] + AMOUNTS.findall(body)


@pytest.fixture(scope="module")
async def shared(site: Site) -> Shared:
    shop = site.shop
    mug = await shop.lists(20, title="Mug")
    lamp = await shop.lists(20, seller="birch", title="Lamp", sku="BIRCH-LAMP")
    lamps = {**line(lamp, 1, "birch"), "line_id": "lamps-of-b", "unit_price": 7777}
    mugs = {**line(mug, 1), "line_id": "mugs"}
    packed, shipped = await shop.placed(lamps, mugs), await shop.placed(lamps, mugs)
    foreign = await shop.placed(lamps)
    for order_id in (packed, shipped, foreign):
        await shop.packs(order_id, "birch-1", buy_labels=True)
    await shop.ships(shipped, "birch-1", carrier="local courier", tracking_number="LC-77")
    reported = {"fulfillment_id": "birch-1", "parcel_id": "birch-1-p1", "kind": "damaged"}
    await shop.update(shipped, "report_issue", **reported, by="support")
    await shop.packs(shipped)
    return Shared(packed, shipped, foreign, mug, lamp)


class Acme:
    """Asks with its key and its session at once, and knows what each request cost."""

    def __init__(self, site: Site, api: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
        self._site = site
        self._clients = {True: api, False: browser}

    async def ask(self, method: str, path: str, *ids: str, **more: Any) -> tuple[int, str, list[str]]:
        """Status, body without the ids that were asked for, and the statements."""
        name = uuid4().hex
        client = self._clients[path.startswith("/v1/")]
        answer = await client.request(method, path.removeprefix("/v1"), headers={HEADER: name}, **more)
        body = _readable(answer)
        for one in ids:
            body = body.replace(one, "ID")
        return answer.status_code, body, self._site.log.noted.pop(name)


def _readable(answer: httpx.Response) -> str:
    if answer.headers.get("content-type") == "application/pdf":
        return "\n".join(pages_of(answer.content))
    return re.sub(r'name="(key|csrf)" value="[^"]*"', "", answer.text)


@pytest.fixture(scope="module")
async def acme(site: Site) -> Acme:
    return Acme(site, await site.api(Scope.SELLER, "acme"), (await site.signed_in(Scope.SELLER, "acme")).client)


def _filled(path: str, order_id: str, part: str) -> str:
    return (
        path.replace("{order_id}", order_id)
        .replace("{fulfillment_id}", part)
        .replace("{step}", "ship")
        .replace("{name}", "note")
        .replace("{message}", "note")
    )


def test_every_route_is_looked_at(site: Site) -> None:
    """A new route has to be put where it belongs, and is tried with the others of its kind then."""
    looked_at = OPEN_TO_EVERYBODY | BY_COOKIE | {*REFUSED} | MESSAGES | OWN_PART | OWN_LISTS | FORMS | STOCK | CODEC
    assert {*routes_of(site.app)} == looked_at


@pytest.mark.parametrize("route", sorted(REFUSED))
async def test_what_is_not_for_sellers_is_refused_alike(acme: Acme, shared: Shared, route: Route) -> None:
    method, path = route
    answers = [
        await acme.ask(method, _filled(path, order_id, "birch-1"), order_id, json={} if method != "GET" else None)
        for order_id in (shared.order_id, shared.foreign, "nobody")
    ]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == REFUSED[route]


@pytest.mark.parametrize("route", sorted(OWN_PART))
async def test_another_s_part_and_order_are_as_those_that_are_not_there(
    acme: Acme, shared: Shared, route: Route
) -> None:
    method, path = route
    pairs = [((shared.foreign, "birch-1"), ("nobody", "birch-1")), ((shared.foreign, "acme-1"), ("nobody", "acme-1"))]
    if "{fulfillment_id}" in path:
        pairs.append(((shared.order_id, "birch-1"), (shared.order_id, "birch-7")))
    for there, absent in pairs:
        answers = [await acme.ask(method, _filled(path, *ids), ids[0], ids[1]) for ids in (there, absent)]
        assert answers[0] == answers[1], (there, absent)
        assert answers[0][0] == 404


async def test_a_customer_s_page_is_not_opened_by_a_key(acme: Acme, shared: Shared) -> None:
    for method, path in BY_COOKIE:
        if method == "GET":
            answers = [await acme.ask(method, _filled(path, one, ""), one) for one in (shared.order_id, "nobody")]
            assert answers[0] == answers[1]
            assert answers[0][0] == 404


# -- messages ----------------------------------------------------------------------------------

_CONTENTS = [{"line_id": "lamps-of-b", "sku": "BIRCH-LAMP", "quantity": 1}]
BODIES: dict[str, dict[str, Any]] = {
    "pack": {"fulfillment_id": "birch-1", "parcels": [{"contents": _CONTENTS}]},
    "unpack": {"fulfillment_id": "birch-1", "parcel_ids": ["birch-1-p1"]},
    "ship": {"fulfillment_id": "birch-1"},
    "reject_lines": {"fulfillment_id": "birch-1", "items": [{"line_id": "lamps-of-b", "quantity": 1}]},
    "cancel": {"fulfillment_id": "birch-1"},
    "answer_cancellation": {"request_id": "birch-1-c1", "answer": "accept"},
    "correct_tracking": {"parcel_id": "birch-1-p1", "carrier": "ups", "tracking_number": UPS},
    "report_issue": {"fulfillment_id": "birch-1", "parcel_id": "birch-1-p1", "kind": "damaged"},
}


@pytest.mark.parametrize("message", [message.name for message in OUTSIDE_MESSAGES])
async def test_a_message_to_an_order_of_others_is_answered_as_to_none(acme: Acme, shared: Shared, message: str) -> None:
    path = "/v1/orders/{order_id}/" + message
    body = BODIES.get(message, {})
    answers = [
        await acme.ask("POST", _filled(path, order_id, ""), order_id, json=body)
        for order_id in (shared.foreign, "nobody")
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == (404 if message in BODIES else answers[0][0]) >= 400


@pytest.mark.parametrize("message", sorted(BODIES))
async def test_a_message_about_another_s_part_is_answered_as_about_none(
    site: Site, acme: Acme, shared: Shared, message: str
) -> None:
    for order_id in (shared.order_id, shared.shipped):
        before = (await site.shop.status(order_id)).lines
        answers = await _about_part(acme, order_id, message)
        assert answers[0] == answers[1]
        assert answers[0][0] in (409, 422), answers[0]
        assert (await site.shop.status(order_id)).lines == before


async def _about_part(acme: Acme, order_id: str, message: str) -> list[tuple[int, str, list[str]]]:
    answers = []
    for part, line_id, sku in (("birch-1", "lamps-of-b", "BIRCH-LAMP"), ("birch-7", "lamps-of-x", "OTHER-LAMP")):
        body = json.dumps(BODIES[message]).replace("birch-1", part).replace("lamps-of-b", line_id)
        path = f"/v1/orders/{order_id}/{message}"
        answers.append(await acme.ask("POST", path, part, line_id, sku, content=body.replace("BIRCH-LAMP", sku)))
    return answers


async def test_lines_of_another_are_as_lines_that_are_not_there(acme: Acme, shared: Shared) -> None:
    """In a message about its own part."""
    for message in ("pack", "reject_lines", "cancel"):
        answers = []
        for line_id, sku in (("lamps-of-b", "BIRCH-LAMP"), ("lamps-of-x", "OTHER-LAMP")):
            body = json.dumps(BODIES[message] | {"fulfillment_id": "acme-1"})
            if message == "cancel":
                body = json.dumps({"items": [{"line_id": "lamps-of-b", "quantity": 1}]})
            body = body.replace("lamps-of-b", line_id).replace("BIRCH-LAMP", sku)
            path = f"/v1/orders/{shared.order_id}/{message}"
            answers.append(await acme.ask("POST", path, line_id, sku, content=body))
        assert answers[0] == answers[1]
        assert answers[0][0] in (409, 422), answers[0]


async def test_a_number_on_another_s_parcel_is_as_free_as_any(acme: Acme, shared: Shared) -> None:
    """Tried on a parcel of its own, in an order of both; and what comes of it tells of its own part only."""
    path = f"/v1/orders/{shared.shipped}"
    given = {"fulfillment_id": "acme-1", "carrier": "local courier"}
    first = await acme.ask("POST", f"{path}/ship", json=given | {"tracking_number": "LC-77"})
    assert (first[0], json.loads(first[1])["status"]) == (200, "Shipped")
    corrected = {"parcel_id": "acme-1-p1", "carrier": "local courier"}
    await acme.ask("POST", f"{path}/correct_tracking", json=corrected | {"tracking_number": "LC-1"})
    again = await acme.ask("POST", f"{path}/correct_tracking", json=corrected | {"tracking_number": "LC-77"})
    assert (again[0], json.loads(again[1])["status"]) == (200, "Shipped")


async def test_a_seller_that_cancels_an_order_cancels_its_own_part(site: Site, acme: Acme, shared: Shared) -> None:
    answers = []
    for lines in (("mugs", "lamps-of-b"), ("mugs",)):
        told = {"mugs": line(shared.acme_sku), "lamps-of-b": line(shared.birch_sku, 1, "birch")}
        order_id = await site.shop.placed(*({**told[line_id], "line_id": line_id} for line_id in lines))
        answers.append(await acme.ask("POST", f"/v1/orders/{order_id}/cancel", order_id, json={"reason": "broken"}))
        status = await site.shop.status(order_id)
        assert [one.units for one in status.lines if one.seller == "birch"] in ([], [{"reserved": 1}])
    assert answers[0] == answers[1]
    assert (answers[0][0], json.loads(answers[0][1])["cancelled"]) == (200, 1)


async def test_another_s_stock_is_not_moved_and_its_keys_are_not_met(site: Site, acme: Acme, shared: Shared) -> None:
    key = uuid4().hex
    birch = await site.api(Scope.SELLER, "birch")
    receipt = {"location": "BIRCH-1", "seller": "birch", "sku": shared.birch_sku, "quantity": 1, "key": key}
    assert (await birch.post("/stock/receipts", json=receipt)).status_code == 200
    own = {**receipt, "location": "ACME-1", "seller": "acme", "sku": shared.acme_sku}
    assert (await acme.ask("POST", "/v1/stock/receipts", json=own))[0] == 200, "the same key, of another seller"
    for path, moved in (("receipts", {"quantity": 1}), ("corrections", {"change": -1})):
        told = {"location": "BIRCH-1", "sku": shared.birch_sku, "key": uuid4().hex, **moved}
        for change in ({"seller": "birch"}, {"seller": "nobody"}):
            assert (await acme.ask("POST", f"/v1/stock/{path}", json=told | change))[0] == 403
        at = [
            await acme.ask("POST", f"/v1/stock/{path}", where, json=told | {"seller": "acme", "location": where})
            for where in ("BIRCH-1", "NOWHERE-1")
        ]
        assert at[0] == at[1]
    assert (await site.shop.on_hand(shared.birch_sku))["BIRCH-1"][0] == 20, "one came in, one has left"


# -- what is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize("route", sorted(route for route in OWN_LISTS | OWN_PART if not route[1].endswith("/events")))
async def test_nothing_that_acme_is_shown_has_a_word_of_birch(acme: Acme, shared: Shared, route: Route) -> None:
    path = _filled(route[1], shared.order_id, "acme-1")
    own = reports_for(Caller(scope=Scope.SELLER, key_id="a", seller="acme"))
    for report in [spec.name for spec in own] if "{report}" in path else [""]:
        for query in ("", "?limit=500", "?search=lamp", "?show=later", "?days=365"):
            status, body, _ = await acme.ask(route[0], path.replace("{report}", report) + query)
            if query and status == 422:
                continue
            assert status == 200 or path.endswith("/labels.pdf"), body  # nothing is labelled yet
            if "q=lamp" not in query:
                body = body.replace('value="lamp"', "")
            found = _of_birch(body)
            assert found == [], f"{path}{query}"


@pytest.mark.parametrize("path", ["/v1/fulfillments", "/v1/stock", "/v1/stock/movements", "/v1/insights/sales"])
async def test_asking_for_another_seller_is_refused_whether_it_is_there_or_not(acme: Acme, path: str) -> None:
    answers = [await acme.ask("GET", f"{path}?seller={seller}", seller) for seller in ("birch", "nobody")]
    assert answers[0] == answers[1]
    assert answers[0][0] == 403


async def test_a_seller_hears_of_its_own_part_only_and_until_that_has_ended(
    site: Site, acme: Acme, shared: Shared
) -> None:
    """The order goes on then: birch's part has not left."""
    mine = await site.shop.placed(
        {**line(shared.acme_sku, 1), "line_id": "mugs"},
        {**line(shared.birch_sku, 1, "birch"), "line_id": "lamps-of-b", "unit_price": 7777},
    )
    await site.shop.packs(mine)
    await site.shop.ships(mine, carrier="local courier", tracking_number="LC-12")
    await site.shop.update(mine, "hold", by="support", fulfillment_id="birch-1", reason="a Lamp was recalled")
    await site.shop.delivers(mine)
    status, body, _ = await acme.ask("GET", f"/v1/orders/{mine}/events")
    assert status == 200
    assert "event: end" in body
    assert '"what":"delivered"' in body.replace(" ", "")
    assert _of_birch(body) == []
    assert not (await site.shop.status(mine)).closed
    entries = json.loads((await acme.ask("GET", f"/v1/orders/{mine}/timeline"))[1])["entries"]
    assert _of_birch(json.dumps(entries)) == []
    assert {entry["fulfillment_id"] for entry in entries} <= {"acme-1", None}


async def test_a_new_address_is_not_told_to_whose_part_has_left_for_the_old_one(
    site: Site, acme: Acme, shared: Shared
) -> None:
    order_id = await site.shop.placed(line(shared.acme_sku, 1), line(shared.birch_sku, 1, "birch"))
    await site.shop.packs(order_id)
    await site.shop.ships(order_id, carrier="local courier", tracking_number="LC-13")
    path = f"/v1/orders/{order_id}/fulfillments/acme-1"
    home = {"name": "Ada Lovelace", "line1": "99 New Road", "city": "Springfield", "country": "US"}
    await site.shop.update(order_id, "change_address", by="customer", ship_to=home)
    birch = await site.api(Scope.SELLER, "birch")
    theirs = path.removeprefix("/v1").replace("acme", "birch")
    await eventually(lambda: birch.get(theirs), lambda answer: "99 New Road" in answer.text)
    for page in (path, f"/seller/orders/{order_id}/acme-1", f"/seller/orders/{order_id}/acme-1/slip.pdf"):
        status, body, _ = await acme.ask("GET", page)
        assert (status, "12 Mill Street" in body, "New Road" in body) == (200, True, False)


async def test_a_seller_s_lines_are_numbered_among_its_own(site: Site, acme: Acme, shared: Shared) -> None:
    """Whatever the backend calls them: ids that count through the order would have gaps."""
    pot = await site.shop.lists(9, title="Pot")
    lamp = line(shared.birch_sku, 1, "birch")
    order_id = await site.shop.placed(lamp, line(shared.acme_sku, 2), lamp, line(pot, 1))
    path = f"/v1/orders/{order_id}"
    status, body, _ = await acme.ask("GET", path)
    [part] = json.loads(body)["fulfillments"]
    assert [(one["line_id"], one["sku"]) for one in part["lines"]] == [("1", shared.acme_sku), ("2", pot)]
    backend = await site.api(Scope.BACKEND)
    whole = (await backend.get(f"/orders/{order_id}/fulfillments/acme-1")).json()
    assert [one["line_id"] for one in whole["lines"]] == ["2", "4"]

    def pack(line_id: str, sku: str, quantity: int) -> dict[str, Any]:
        contents = [{"line_id": line_id, "sku": sku, "quantity": quantity}]
        return {"fulfillment_id": "acme-1", "parcels": [{"contents": contents}]}

    for line_id in ("4", "9"):  # the order's own id of a line of acme's, and none at all
        status, body, _ = await acme.ask("POST", f"{path}/pack", json=pack(line_id, pot, 1))
        assert (status, json.loads(body)["errors"][0]["message"]) == (
            409,
            f"'{line_id}' is not to be packed in acme-1",
        )
    assert (await acme.ask("POST", f"{path}/pack", json=pack("1", shared.acme_sku, 2)))[0] == 200
    items = {"fulfillment_id": "acme-1", "items": [{"line_id": "2", "quantity": 1}]}
    assert (await acme.ask("POST", f"{path}/reject_lines", json=items))[0] == 200
    now = await site.shop.until(order_id, lambda status: bool(status.shortages))
    assert [(short.line_id, short.quantity) for short in now.shortages] == [("4", 1)]
    [part] = json.loads((await acme.ask("GET", path))[1])["fulfillments"]
    assert [parcel["contents"] for parcel in part["parcels"]] == [{"1": 2}]
