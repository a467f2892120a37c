"""The API as a backend, a seller and support call it over HTTP, with a real order behind it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from domain.access import Scope
from domain.placing import LINES_MAX
from localstack.ports import HOST, choose
from localstack.stack import Stack
from store.database import Database
from store.keys import Keys
from tests.shop import UPS, eventually, line, open_shop
from tests.web.conftest import Site, served
from usecases.keys import new_key
from web.app import BODY_BYTES_MAX, build


@pytest.fixture(scope="module")
async def api(site: Site) -> httpx.AsyncClient:
    return await site.api(Scope.BACKEND)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    return told


# -- placing ---------------------------------------------------------------------------


async def test_placing_is_idempotent_by_order_id(site: Site, api: httpx.AsyncClient) -> None:
    body = site.shop.body(line(await site.shop.lists(5), 2))
    first, again = await api.post("/orders", json=body), await api.post("/orders", json=body)
    assert (first.status_code, first.json()["outcome"]) == (201, "new")
    assert (again.status_code, again.json()["outcome"]) == (200, "running_same")
    problem(await api.post("/orders", json=body | {"tax": 1, "payments": []}), 422)
    other = {**body, "customer": {**body["customer"], "name": "Somebody Else"}}
    assert problem(await api.post("/orders", json=other), 409)["type"] == "urn:openorders:order-conflict"

    await site.shop.until(body["order_id"], lambda status: bool(status.fulfillments))
    await site.shop.update(body["order_id"], "cancel")
    await site.shop.ended(body["order_id"])
    ended = await api.post("/orders", json=body)
    assert (ended.status_code, ended.json()["outcome"]) == (200, "finished_same")
    assert ended.json()["result"]["status"] == "Canceled"
    assert problem(await api.post("/orders", json=other), 409)["type"] == "urn:openorders:order-conflict"


async def test_two_hundred_at_once_with_one_id_are_one_order(site: Site, api: httpx.AsyncClient) -> None:
    body = site.shop.body(line(await site.shop.lists(5)))
    answers = await asyncio.gather(*(api.post("/orders", json=body) for _ in range(200)))
    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert [answer.status_code for answer in answers].count(201) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lines": []}, "lines"),
        ({"currency": "usd"}, "currency"),
        ({"customer": {"id": "c", "name": "A", "email": "nowhere"}}, "customer.email"),
        ({"lines": [{"line_id": "1", "sku": "NOWHERE", "quantity": 1, "unit_price": 1, "seller": "acme"}]}, "lines.0"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_bad_orders_are_refused_with_the_field_that_is_to_blame(
    site: Site, api: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    body = site.shop.body(line(await site.shop.lists(5))) | change
    if "lines" in change:
        body["payments"] = [{"token": "tok_visa", "amount": sum(one["unit_price"] for one in change["lines"])}]
    told = problem(await api.post("/orders", json=body), 422)
    assert told["type"] == "urn:openorders:invalid-order"
    assert any(error["field"].startswith(field) for error in told["errors"]), told
    problem(await api.get(f"/orders/{body['order_id']}"), 404)


@pytest.mark.parametrize("raw", [b"{", b"null", b"[]", b"\xff\xfe", b'"x"', b"[" * 100_000, b'{"order_id": 1e999}'])
async def test_what_is_no_order_at_all_is_refused(api: httpx.AsyncClient, raw: bytes) -> None:
    assert problem(await api.post("/orders", content=raw), 422)["detail"]


async def test_what_is_too_large_is_refused_however_it_is_announced(api: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 50_000 + 1):
            yield b" " * 50_000

    problem(await api.post("/orders", content=b" " * (BODY_BYTES_MAX + 1)), 413)
    problem(await api.post("/orders", content=chunks()), 413)


async def test_an_order_of_as_many_lines_as_there_may_be_is_placed(site: Site, api: httpx.AsyncClient) -> None:
    sku = await site.shop.lists(LINES_MAX)
    answer = await api.post("/orders", json=site.shop.body(*(line(sku) for _ in range(LINES_MAX))))
    assert answer.status_code == 201, answer.text


# -- messages ----------------------------------------------------------------------------


async def test_an_order_from_checkout_to_the_doorstep_by_http_alone(site: Site, api: httpx.AsyncClient) -> None:
    acme = await site.api(Scope.SELLER, "acme")
    sku = await site.shop.lists(5)
    body = site.shop.body(line(sku, 2))
    order_id = body["order_id"]
    assert (await api.post("/orders", json=body)).status_code == 201
    await site.shop.until(order_id, lambda status: bool(status.fulfillments))

    queue = (await acme.get("/fulfillments", params={"limit": 500})).json()["fulfillments"]
    [mine] = [row for row in queue if row["order_id"] == order_id]
    part = f"/orders/{order_id}/fulfillments/{mine['fulfillment_id']}"
    todo = (await acme.get(part)).json()
    assert [(one["sku"], one["quantity"]) for one in todo["lines"]] == [(sku, 2)]
    wrong = {"fulfillment_id": "acme-1", "parcels": [{"contents": [{"line_id": "1", "sku": "OTHER", "quantity": 1}]}]}
    refused = problem(await acme.post(f"/orders/{order_id}/pack", json=wrong), 409)
    assert (refused["type"], "wrong item" in refused["detail"]) == ("urn:openorders:refused", True)
    right = {"fulfillment_id": "acme-1", "parcels": [{"contents": [{"line_id": "1", "sku": sku, "quantity": 2}]}]}
    packed = await acme.post(f"/orders/{order_id}/pack", json=right)
    assert packed.json()["parcel_ids"] == ["acme-1-p1"]
    ship = {"fulfillment_id": "acme-1", "carrier": "ups", "tracking_number": UPS}
    assert (await acme.post(f"/orders/{order_id}/ship", json=ship)).json()["parcels"][0]["tracking_number"] == UPS
    await site.shop.until(order_id, lambda status: status.status == "Shipped")
    occurred_at = (await site.shop.status(order_id)).business_time.isoformat()
    for status in ("in_transit", "delivered"):
        event = {"event_id": uuid4().hex, "status": status, "occurred_at": occurred_at, "tracking_number": UPS}
        assert (await api.post(f"/orders/{order_id}/carrier_event", json=event)).status_code == 202
    await site.shop.ended(order_id)

    whole = (await api.get(f"/orders/{order_id}")).json()
    assert (whole["order"]["status"], whole["customer"]["name"]) == ("Delivered", "Ada Lovelace")
    told = [entry["what"] for entry in (await api.get(f"/orders/{order_id}/timeline")).json()["entries"]]
    assert told == await site.shop.timeline(order_id)
    late = problem(await api.post(f"/orders/{order_id}/cancel", json={}), 409)
    assert late["type"] == "urn:openorders:order-closed"
    mails = (await api.get(f"/orders/{order_id}/mails")).json()
    assert {"confirmed", "shipped", "delivered"} <= {mail["template"] for mail in mails}
    assert "Ada" not in json.dumps(mails)
    await site.shop.conserves(order_id)


async def test_a_message_with_an_idempotency_key_has_one_effect(site: Site, api: httpx.AsyncClient) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(5)))
    for text, key in (("once", "k1"), ("once", "k1"), ("twice", "k1"), ("once", "k2"), ("once", None)):
        headers = {"Idempotency-Key": key} if key else {}
        answer = await api.post(f"/orders/{order_id}/note", json={"text": text}, headers=headers)
        assert answer.status_code == 200, answer.text
    assert (await site.shop.timeline(order_id)).count("note") == 4
    problem(await api.post(f"/orders/{order_id}/note", json={"text": "x"}, headers={"Idempotency-Key": "a b"}), 422)


async def test_a_message_that_is_wrong_names_the_field_and_changes_nothing(site: Site, api: httpx.AsyncClient) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(5)))
    before = await site.shop.timeline(order_id)
    told = problem(await api.post(f"/orders/{order_id}/hold", json={"expires_at": "tomorrow", "why": 1}), 422)
    assert {error["field"] for error in told["errors"]} == {"expires_at", "why"}
    told = problem(await api.post(f"/orders/{order_id}/pack", json={"fulfillment_id": "acme-9", "parcels": []}), 422)
    assert [error["field"] for error in told["errors"]] == ["parcels"]
    assert await site.shop.timeline(order_id) == before
    problem(await api.post("/orders/nowhere/note", json={"text": "x"}), 404)
    problem(await api.post(f"/orders/{order_id}/stock_allocated", json={}), 404)


async def test_support_speaks_for_support_and_a_seller_for_itself(site: Site) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(5)))
    support, acme = await site.api(Scope.SUPPORT), await site.api(Scope.SELLER, "acme")
    assert (await support.post(f"/orders/{order_id}/note", json={"text": "called"})).status_code == 200
    told = problem(await support.post(f"/orders/{order_id}/note", json={"text": "x", "by": "seller:acme"}), 403)
    assert [error["field"] for error in told["errors"]] == ["by"]
    problem(await support.post(f"/orders/{order_id}/carrier_event", json={}), 422)
    problem(await acme.post(f"/orders/{order_id}/hold", json={}), 403)

    async def newest() -> dict[str, Any]:
        found: dict[str, Any] = (await support.get(f"/orders/{order_id}/timeline")).json()["entries"][-1]
        return found

    # Rows are written just after the order has answered.
    note = await eventually(newest, lambda entry: entry["what"] == "note")
    assert note["who"].startswith("support/")


# -- reading --------------------------------------------------------------------------------


async def test_lists_are_filtered_and_paged_without_gap_or_double(site: Site, api: httpx.AsyncClient) -> None:
    sku = await site.shop.lists(50)
    customer = f"c-{uuid4().hex[:10]}"
    placed = []
    for _ in range(7):
        body = site.shop.body(line(sku))
        body["customer"]["id"] = customer
        await api.post("/orders", json=body)
        placed.append(body["order_id"])
    for order_id in placed:
        await site.shop.until(order_id, lambda status: bool(status.fulfillments))
    await site.shop.update(placed[0], "cancel")
    await site.shop.ended(placed[0])

    async def listed(**filters: Any) -> list[str]:
        found: list[str] = []
        after: str | None = None
        while True:
            given = {"customer": customer, "limit": 3, **filters} | ({"after": after} if after else {})
            page = (await api.get("/orders", params=given)).json()
            assert "orders" in page, page
            found += [row["order_id"] for row in page["orders"]]
            after = page["next"]
            if after is None:
                return found

    assert await listed() == placed[::-1]
    assert await listed(open=True) == placed[:0:-1]
    assert await listed(status="Canceled") == [placed[0]]
    assert sorted(await listed(sort="ship_by", open=True)) == sorted(placed[1:])
    assert await listed(seller="acme", open=True) == placed[:0:-1]
    assert await listed(seller="birch") == []
    assert await listed(placed_from="2199-01-01T00:00:00Z") == []
    assert len(await listed(placed_until="2199-01-01T00:00:00Z")) == 7
    told = problem(await api.get("/orders", params={"placed_from": "yesterday", "limit": 0}), 422)
    assert {error["field"] for error in told["errors"]} == {"placed_from", "limit"}


async def test_events_go_on_where_the_last_one_was_seen(site: Site, api: httpx.AsyncClient) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(5)))
    first = await _events(api, order_id, until="confirmed")
    assert [kind for _, kind in first][-1] == "confirmed"
    seen = first[-1][0]
    following = asyncio.create_task(_events(api, order_id, last_event_id=seen))
    await site.shop.update(order_id, "note", text="while somebody follows")
    await site.shop.update(order_id, "cancel")
    rest = await following
    assert "note" in [kind for _, kind in rest]
    numbers = [number for number, _ in [*first, *rest]]
    assert numbers == sorted(set(numbers))
    assert [kind for _, kind in [*first, *rest]] == await site.shop.timeline(order_id)


async def _events(
    api: httpx.AsyncClient, order_id: str, last_event_id: int | None = None, until: str | None = None
) -> list[tuple[int, str]]:
    """The entries as (id, what), up to one of that kind, or to the end of the stream."""
    headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    found: list[tuple[int, str]] = []
    async with api.stream("GET", f"/orders/{order_id}/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        async for text in stream.aiter_lines():
            if text and not text.startswith(":"):
                name, _, value = text.partition(": ")
                event[name] = value
                continue
            if event.get("event") == "entry":
                entry = json.loads(event["data"])
                assert entry["seq"] == int(event["id"])
                found.append((entry["seq"], entry["what"]))
                if entry["what"] == until:
                    break
            event = {}
    return found


async def test_without_a_worker_the_last_known_state_is_shown_with_its_age(
    stack: Stack, client: Client, fresh_database: Callable[[], str]
) -> None:
    url = fresh_database()
    async with open_shop(stack, client, url, secret_key=SecretStr("a secret")) as shop:
        order_id = await shop.placed(line(await shop.lists(5)))
        asleep = shop.body(line(await shop.lists(5)))
    port = choose(0, "OPENORDERS_WEB_PORT")
    database = Database(url)
    key = await new_key(Keys(database), Scope.BACKEND, "for a test")
    async with (
        served(build(shop.settings, client, database, shop.task_queue), port),
        httpx.AsyncClient(
            base_url=f"http://{HOST}:{port}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=60
        ) as api,
    ):
        whole = (await api.get(f"/orders/{order_id}")).json()
        assert (whole["now"], whole["order"]["status"]) == (None, "Unshipped")
        assert 0 < whole["age_seconds"] < 3600
        for reading in ("timeline", "mails", "fulfillments/acme-1"):
            assert (await api.get(f"/orders/{order_id}/{reading}")).status_code == 200
        told = problem(await api.post(f"/orders/{order_id}/note", json={"text": "x"}), 503)
        assert told["type"] == "urn:openorders:unreachable"
        assert (await api.post("/orders", json=asleep)).status_code == 201, "Temporal keeps it until somebody works"
        problem(await api.get(f"/orders/{asleep['order_id']}"), 404)


# -- stock, catalogue, promises ------------------------------------------------------------------


async def test_stock_is_received_counted_and_listed_with_the_orders_that_hold_it(
    site: Site, api: httpx.AsyncClient
) -> None:
    sku = await site.shop.lists(5)
    order_id = await site.shop.placed(line(sku, 2))
    receipt = {"location": "ACME-1", "seller": "acme", "sku": sku, "quantity": 3, "key": uuid4().hex}
    for _ in range(2):
        assert (await api.post("/stock/receipts", json=receipt)).json()["on_hand"] == 8
    correction = {"location": "ACME-1", "seller": "acme", "sku": sku, "change": -1, "key": uuid4().hex}
    assert (await api.post("/stock/corrections", json=correction)).json()["on_hand"] == 7
    [level] = (await api.get("/stock", params={"sku": sku})).json()["levels"]
    assert (level["on_hand"], level["reserved"]) == (7, 2)
    assert order_id in json.dumps(level)
    moved = (await api.get("/stock/movements", params={"sku": sku})).json()["movements"]
    assert [one["on_hand_delta"] for one in moved if one["on_hand_delta"]] == [-1, 3, 5]
    told = problem(await api.post("/stock/corrections", json={**correction, "change": -100, "key": "x"}), 409)
    assert "2 are reserved" in told["detail"]
    problem(await api.post("/stock/receipts", json={**receipt, "quantity": 0}), 422)
    problem(await api.post("/stock/receipts", json={**receipt, "location": "NOWHERE", "key": "y"}), 409)


async def test_what_a_promise_says_is_what_an_order_gets(site: Site, api: httpx.AsyncClient) -> None:
    sku = f"P-{uuid4().hex[:6]}"
    catalog = {
        "listings": [{"seller": "acme", "sku": sku, "title": "Kettle", "unit_price": 3900, "currency": "USD"}],
        "stock": [{"location": "ACME-1", "seller": "acme", "sku": sku, "on_hand": 5}],
        "shipping_rates": [
            {"method": method, "currency": "USD", "per_shipment": price, "per_kilogram": 50}
            for method, price in (("Standard", 499), ("NextDay", 1999))
        ],
    }
    loaded = await api.put("/catalog", json=catalog)
    assert loaded.json() == {"sellers": 0, "locations": 0, "listings": 1, "stock": 1, "shipping_rates": 2}
    cart = {"country": "US", "lines": [{"seller": "acme", "sku": sku, "quantity": 2}]}
    offers = (await api.post("/promises", json=cart)).json()["offers"]
    assert [(offer["method"], offer["price"]) for offer in offers] == [("Standard", 499), ("NextDay", 1999)]
    body = site.shop.body(
        {**line(sku, 2), "unit_price": 3900}, shipping={"method": "NextDay", "price": offers[1]["price"]}
    )
    await api.post("/orders", json=body)
    await site.shop.until(body["order_id"], lambda status: bool(status.fulfillments))
    [fulfillment] = (await api.get(f"/orders/{body['order_id']}")).json()["fulfillments"]
    # Midnight may lie between the first promise and the order, or between that and the second.
    promised = [offers, (await api.post("/promises", json=cart)).json()["offers"]]
    assert fulfillment["deliver_by"] in [offer[1]["lines"][0]["deliver_by"] for offer in promised]
    told = problem(await api.post("/promises", json={"country": "US", "lines": [{"seller": "x", "sku": "y"}]}), 422)
    assert told["errors"][0]["field"].startswith("lines.0")
    [item] = (await api.get("/listings", params={"search": "Kettle", "seller": "acme"})).json()["items"]
    assert (item["sku"], item["unit_price"]) == (sku, 3900)


# -- keys ---------------------------------------------------------------------------------------------


async def test_without_a_valid_key_nothing_is_said(site: Site) -> None:
    async with httpx.AsyncClient(base_url=f"{site.url}/v1", timeout=60) as nobody:
        for key in (None, "oo_abc", "Bearer", (await site.key(Scope.BACKEND))[:-1] + "!", f"oo_{'a' * 12}_{'b' * 43}"):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            answer = await nobody.get("/orders", headers=headers)
            assert problem(answer, 401)["type"] == "urn:openorders:unauthorized"
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_revoked_key_opens_nothing_from_the_next_request_on(site: Site) -> None:
    keys = Keys(site.shop.database)
    key = await new_key(keys, Scope.ANALYST, "to be revoked")
    async with httpx.AsyncClient(
        base_url=f"{site.url}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=60
    ) as analyst:
        assert (await analyst.get("/listings")).status_code == 200
        problem(await analyst.get("/orders"), 403)
        assert await keys.revoke(key.split("_")[1])
        problem(await analyst.get("/listings"), 401)


async def test_other_methods_are_told_which_ones_there_are(api: httpx.AsyncClient) -> None:
    answer = await api.delete("/orders")
    problem(answer, 405)
    assert answer.headers["allow"] == "GET, POST"
    problem(await api.get("/nowhere"), 404)
