"""The description of the API and the API are one: schemathesis finds no fault, on real servers, with every kind of key.

`python -m pytest tests/web/test_openapi.py -k everything` tries some thousand requests; its seed is fixed.
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from domain.access import Scope
from domain.catalog import Catalog
from tests.shop import PATIENCE_SECONDS, eventually, line
from tests.web.conftest import Site
from web.openapi import description

CHECKOUT = Path(__file__).resolve().parents[2]
EVENTS = "/v1/orders/{order_id}/events"
SEED = "20261127"
MINUTES = 8
PATIENT = ("--request-timeout", str(PATIENCE_SECONDS))


async def _schemathesis(site: Site, scope: Scope, seller: str | None, *arguments: str) -> str:
    """Its report; fails with it where it has found something."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{site.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {await site.key(scope, seller)}"),
        *("--seed", SEED, "--no-color", "--generation-database", "none", *arguments),
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    report = (await process.communicate())[0].decode()
    assert process.returncode == 0, report[-8_000:]
    return report


def _cases(report: str) -> int:
    found = re.search(r"(\d+) generated", report)
    assert found, report
    return int(found[1])


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES)
@pytest.mark.parametrize(
    ("scope", "seller", "examples", "at_least"),
    [(Scope.BACKEND, None, 20, 1_000), (Scope.SELLER, "acme", 5, 200), (Scope.ANALYST, None, 2, 50)],
    ids=["backend", "seller", "analyst"],
)
async def test_schemathesis_finds_no_fault_in_everything(
    site: Site, scope: Scope, seller: str | None, examples: int, at_least: int
) -> None:
    """All checks, with what fits the schemas, what does not, and chains of requests; events are followed apart."""
    await _as_in_the_examples(site)
    report = await _schemathesis(
        site, scope, seller, "--exclude-path", EVENTS, "--max-examples", str(examples), *PATIENT
    )
    assert _cases(report) >= at_least


async def _as_in_the_examples(site: Site) -> None:
    """Order 1042 is there, so that messages about it are obeyed or refused by a real order; who came before may have
    ended and erased it.
    """
    examples = CHECKOUT / "schemas" / "examples"
    catalog = Catalog.model_validate_json((examples / "catalog.json").read_bytes())
    assert await site.shop.inventory.load(catalog) is None
    await site.shop.orders.place(json.loads((examples / "order.json").read_bytes()))
    await eventually(lambda: site.shop.views.order("1042"), lambda seen: seen is not None and bool(seen.fulfillments))


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES)
async def test_schemathesis_finds_no_fault_in_events(site: Site) -> None:
    """Of orders that have ended, where a stream ends too."""
    report = await _schemathesis(site, Scope.BACKEND, None, "--include-path", EVENTS, "--max-examples", "50")
    assert _cases(report) >= 50


# -- what it says ---------------------------------------------------------------------------------


def _operations(site: Site) -> dict[str, dict[str, Any]]:
    document = description(site.app)
    return {
        f"{method.upper()} {path}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def test_every_route_says_what_it_is_and_how_it_refuses(site: Site) -> None:
    for name, operation in _operations(site).items():
        assert operation["summary"], name
        assert {"401", "422"} <= set(operation["responses"]) or name == "GET /v1/insights", name
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
        assert operation["security"] == [{"HTTPBearer": []}], name


def test_every_body_and_example_is_in_the_description(site: Site) -> None:
    for name, operation in _operations(site).items():
        if name.startswith(("POST", "PUT")) and not name.endswith("/erase"):
            assert operation["requestBody"]["content"]["application/json"]["schema"], name


async def test_the_description_and_its_page_are_served_without_a_key(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url, timeout=60) as nobody:
        document = (await nobody.get("/openapi.json")).json()
        assert document == description(site.app)
        page = (await nobody.get("/docs")).text
        for asset in re.findall(r'(?:src|href)="(/[^"]+)"', page):
            assert (await nobody.get(asset)).status_code == 200, asset


async def test_what_an_order_is_answered_fits_the_description(site: Site) -> None:
    """A whole life, for the answers that random requests do not reach."""
    document = description(site.app)
    api = await site.api(Scope.BACKEND)
    order_id = await site.shop.placed(line(await site.shop.lists(5), 2))
    await site.shop.packs(order_id, buy_labels=True)
    await site.shop.ships(order_id)
    await site.shop.delivers(order_id)
    await site.shop.ended(order_id)
    for path in ("/orders/{order_id}", "/orders/{order_id}/timeline", "/orders/{order_id}/mails"):
        answer = (await api.get(path.replace("{order_id}", order_id))).json()
        schema = document["paths"][f"/v1{path}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer, {**schema, "components": document["components"]})
