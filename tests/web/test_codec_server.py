"""The codec server: staff read payloads in the Temporal UI and by its command line, clients encode, nobody else."""

import asyncio
import base64
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.async_api import Page, expect
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from domain.access import Scope
from domain.catalog import Catalog
from localstack.ports import HOST, choose
from localstack.stack import Stack
from localstack.temporal import without_temporal_settings
from store.database import Database
from tests.browser import new_browser
from tests.encryption import NEW, OLD, OTHER, client_with, converter
from tests.shop import line, open_shop
from tests.web.conftest import Site, served
from tests.web.statements import StatementLog, statements_noted
from tests.workflows.test_temporal_ui import send, shoot
from web.app import build
from web.codec import BURST, PAYLOADS_MAX, Rate

CHECKOUT = Path(__file__).parents[2]
BODY = {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": base64.b64encode(b'"Ada"').decode()}]}


@pytest.fixture(scope="module")
async def sealed(stack: Stack, fresh_database: Callable[[], str]) -> AsyncIterator[Site]:
    async with site_with(stack, fresh_database(), NEW, OLD) as site:
        yield site


@asynccontextmanager
async def site_with(stack: Stack, database: str, *keys: str) -> AsyncIterator[Site]:
    port = choose(0, "OPENORDERS_WEB_PORT")
    url = f"http://{HOST}:{port}"
    settings: dict[str, Any] = {"secret_key": SecretStr("for web and worker"), "web_url": url}
    settings["temporal_ui_url"] = f"{stack.temporal.ui_url}/some/path"
    settings["encryption_keys"] = SecretStr(",".join(keys)) if keys else None
    async with open_shop(stack, await client_with(stack, *keys), database, **settings) as shop:
        app = build(shop.settings, shop.client, Database(database), shop.task_queue)
        log = StatementLog(app)
        with statements_noted():
            async with served(log, port):
                site = Site(shop, url, app, log)
                yield site
                await site.close()


async def ask(site: Site, action: str, body: Any = BODY, key: str | None = None, **headers: str) -> httpx.Response:
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.post(f"{site.url}/codec/{action}", content=content, headers=headers)


async def test_clients_encode_staff_decode_and_nobody_else_does_either(sealed: Site) -> None:
    support, backend = await sealed.key(Scope.SUPPORT), await sealed.key(Scope.BACKEND)
    encoded = await ask(sealed, "encode", key=backend)
    assert encoded.status_code == 200
    assert b"QWRh" not in encoded.content
    assert (await ask(sealed, "encode", encoded.json(), key=support)).json() == encoded.json(), "once is enough"
    decoded = await ask(sealed, "decode", encoded.json(), key=support)
    assert (decoded.status_code, decoded.json()) == (200, BODY)

    seller = await sealed.key(Scope.SELLER, "acme")
    analyst = await sealed.key(Scope.ANALYST)
    for action, key, status in (
        ("decode", backend, 403),
        *(((action, key, 403)) for action in ("encode", "decode") for key in (seller, analyst)),
        *(((action, key, 401)) for action in ("encode", "decode") for key in (None, "oo_guess", support[:-1])),
    ):
        answer = await ask(sealed, action, encoded.json(), key=key)
        assert (action, key, answer.status_code) == (action, key, status)
        assert b"QWRh" not in answer.content


async def test_what_it_cannot_open_stays_as_it_is(sealed: Site) -> None:
    support = await sealed.key(Scope.SUPPORT)
    [foreign] = await converter(OTHER).encode(["Ada"])
    [own] = await converter(OLD).encode(["Ada"])
    told = [
        {"metadata": {k: base64.b64encode(v).decode() for k, v in p.metadata.items()}, "data": _base64(p)}
        for p in (foreign, own)
    ]
    answer = (await ask(sealed, "decode", {"payloads": [*told, *BODY["payloads"]]}, key=support)).json()
    assert answer == {"payloads": [told[0], BODY["payloads"][0], BODY["payloads"][0]]}


def _base64(payload: Payload) -> str:
    return base64.b64encode(payload.data).decode()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        ({"payloads": {}}, 400),
        ({"payloads": [{"data": 5}]}, 400),
        ({"payloads": [{"metadata": {"encoding": 1}}]}, 400),
        ({"secret": "Ada"}, 400),
        ({"payloads": [{}, {"data": "QWRh!!!"}]}, 400),
        ({"payloads": [{"metadata": {"encoding": "Ada"}, "data": "Ad a"}]}, 400),
        ({"payloads": [{}] * (PAYLOADS_MAX + 1)}, 413),
        ({"payloads": [{"data": "!Ada"}] * (PAYLOADS_MAX + 1)}, 413),
        (b" " * 2_000_001, 413),
        ({}, 200),
        ([], 200),
        ({"payloads": None}, 200),
        ({"payloads": [{"metadata": None, "data": None}]}, 200),
        ({"payloads": [{"data": "QQ"}, {"data": "-_-_"}]}, 200),
        ({"payloads": [{}]}, 200),
    ],
)
async def test_bad_bodies_are_refused_and_not_repeated(sealed: Site, body: Any, status: int) -> None:
    support = await sealed.key(Scope.SUPPORT)
    for action in ("encode", "decode"):
        answer = await ask(sealed, action, body, key=support)
        assert answer.status_code == status, answer.text
        assert "Ada" not in answer.text
        assert len(answer.content) < 2_000


async def test_only_the_temporal_ui_may_ask_from_a_browser(sealed: Site) -> None:
    ours, support = sealed.shop.stack.temporal.ui_url, await sealed.signed_in(Scope.SUPPORT)
    assert ours is not None
    cookie = "; ".join(f"{name}={value}" for name, value in support.client.cookies.items())
    allowed = await ask(sealed, "decode", Cookie=cookie, Origin=ours)
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, ours)
    assert allowed.headers["Access-Control-Allow-Credentials"] == "true"
    for headers, status in (
        ({"Cookie": cookie, "Origin": "https://evil.example"}, 403),
        ({"Cookie": cookie, "Origin": "null"}, 403),
        ({"Cookie": cookie}, 401),
        ({"Origin": ours}, 401),
    ):
        answer = await ask(sealed, "decode", **headers)
        assert answer.status_code == status
        assert answer.headers.get("Access-Control-Allow-Origin") in (None, ours)
    async with httpx.AsyncClient(base_url=sealed.url, timeout=60) as browser:
        asked = {"Access-Control-Request-Method": "POST"}
        yes = await browser.options("/codec/decode", headers={"Origin": ours} | asked)
        no = await browser.options("/codec/decode", headers={"Origin": "https://evil.example"} | asked)
    assert (yes.status_code, yes.headers["Access-Control-Allow-Origin"], no.status_code) == (204, ours, 403)
    assert {"authorization", "content-type", "x-namespace"} == set(
        yes.headers["Access-Control-Allow-Headers"].split(", ")
    )


def test_one_key_asks_so_often_and_no_more() -> None:
    rate = Rate(burst=BURST, per_second=0)
    assert [rate.admits("one") for _ in range(BURST + 2)] == [True] * BURST + [False] * 2
    assert rate.admits("another")


async def test_without_keys_there_is_no_codec_server(stack: Stack, site: Site) -> None:
    assert (await ask(site, "decode", key=await site.key(Scope.SUPPORT))).status_code == 404


async def test_the_documented_commands_place_an_order_and_show_it_to_staff_alone(sealed: Site, tmp_path: Path) -> None:
    shop, document = sealed.shop, (CHECKOUT / "docs" / "encryption.md").read_text(encoding="utf-8")
    environ = without_temporal_settings(os.environ) | {"TEMPORAL_ADDRESS": shop.stack.temporal.address}
    environ |= {"BACKEND_KEY": await sealed.key(Scope.BACKEND), "SUPPORT_KEY": await sealed.key(Scope.SUPPORT)}
    environ["PATH"] = f"{shop.stack.temporal.binary.parent}:{environ['PATH']}"
    catalog = Catalog.model_validate_json((CHECKOUT / "schemas" / "examples" / "catalog.json").read_text())
    assert await shop.inventory.load(catalog) is None

    example = json.loads((CHECKOUT / "schemas" / "examples" / "order.json").read_text())
    # Other tests place the example's own id on the same server.
    (tmp_path / "order.json").write_text(json.dumps(example | {"order_id": "sealed-1042"}))

    async def play(name: str, **others: str) -> str:
        script = document.partition(f"<!-- run by tests/web/test_codec_server.py: {name} -->")[2].split("```")[1]
        script = (
            script.removeprefix("bash\n").replace("http://localhost:8080", sealed.url).replace(":1042", ":sealed-1042")
        )
        script = script.replace("--task-queue openorders ", f"--task-queue {shop.task_queue} ")
        script = script.replace("schemas/examples/order.json", str(tmp_path / "order.json"))
        run = partial(subprocess.run, ["bash", "-ec", script], check=False, capture_output=True, text=True)
        done = await asyncio.to_thread(partial(run, env=environ | others, cwd=CHECKOUT))
        data = re.findall(r'"data": ?"([^"]+)"', done.stdout)
        return (
            done.stdout + "\n" + b"".join(base64.b64decode(one) for one in data).decode(errors="replace") + done.stderr
        )

    await play("encode")
    await shop.until("sealed-1042", lambda status: bool(status.fulfillments))
    started = (await shop.handle("sealed-1042").fetch_history()).events[0].workflow_execution_started_event_attributes
    assert started.input.payloads[0].metadata["encoding"] == b"binary/encrypted"
    name = example["ship_to"]["name"]
    assert name in await play("decode")
    # It asks again until its time is over.
    assert name not in await play("decode", SUPPORT_KEY=environ["BACKEND_KEY"], TEMPORAL_COMMAND_TIMEOUT="3s")

    [encoded] = json.loads((await play("curl")).splitlines()[0])["payloads"]
    metadata = {name: base64.b64decode(value) for name, value in encoded["metadata"].items()}
    body = RawValue(Payload(metadata=metadata, data=base64.b64decode(encoded["data"])))
    plain = (await client_with(shop.stack)).get_workflow_handle("order:sealed-1042")
    await plain.execute_update("cancel", body, result_type=RawValue)
    assert (await shop.orders.result("sealed-1042")).status == "Canceled"


@pytest.mark.browser
async def test_the_temporal_ui_shows_payloads_to_staff_alone_and_encrypts_what_they_send(sealed: Site) -> None:
    order_id = await sealed.shop.placed(line(await sealed.shop.lists(5)))
    async with new_browser() as browser:
        stranger = await browser.new_page(viewport={"width": 1400, "height": 1000})
        assert await opened(stranger, sealed, order_id) == 401
        assert "Ada Lovelace" not in await stranger.locator("body").inner_text()

        staff = await browser.new_page(viewport={"width": 1400, "height": 1000})
        await staff.goto(f"{sealed.url}/signin")
        await staff.get_by_label("Key").fill(await sealed.key(Scope.SUPPORT))
        await staff.get_by_role("button", name="Sign in").click()
        await staff.wait_for_url("**/support**")
        assert await opened(staff, sealed, order_id) == 200
        await expect(staff.get_by_text("Ada Lovelace").first).to_be_visible(timeout=30_000)
        await shoot(staff, "decrypted")
        await send(staff, "an Update", "note", {"text": "written in the UI"})
        await sealed.shop.noted(order_id, "note")
    await sealed.shop.update(order_id, "cancel")


async def opened(page: Page, site: Site, order_id: str) -> int:
    """Open the order in the UI, set as docs/encryption.md says; gives how the codec server answered first."""
    ui = site.shop.stack.temporal.ui_url
    assert ui is not None
    await page.goto(ui)
    settings = {"endpoint": f"{site.url}/codec", "includeCredentials": True, "overrideRemoteCodecConfiguration": True}
    for name, value in settings.items():
        await page.evaluate("([name, value]) => localStorage.setItem(name, value)", [name, json.dumps(value)])
    run_id = (await site.shop.handle(order_id).describe()).run_id
    async with page.expect_response(lambda answer: answer.url.endswith("/codec/decode")) as first:
        await page.goto(f"{ui}/namespaces/default/workflows/{quote(f'order:{order_id}', safe='')}/{run_id}/history")
    await expect(page.get_by_text("record_order").first).to_be_visible(timeout=30_000)
    return (await first.value).status
