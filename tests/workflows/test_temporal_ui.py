"""Support staff in the Temporal UI, in a real browser: look at an order, pack it, ship it, find it."""

import json
import os
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from domain.messages import MESSAGES, QUERIES
from tests.browser import new_page
from tests.shop import UPS, Shop, eventually, line

pytestmark = pytest.mark.browser


async def send(page: Page, kind: str, name: str, body: dict[str, Any]) -> None:
    """Fill in the form `Send a Signal` or `Send an Update` and submit it."""
    await page.get_by_role("button", name="More Actions").click()
    await page.get_by_role("menuitem", name=f"Send {kind}").last.click()
    form = page.locator("dialog[open]")
    await form.get_by_test_id(f"{kind.rsplit(maxsplit=1)[-1].lower()}-select-button").click()
    await form.get_by_role("option").filter(has=page.get_by_text(name, exact=True)).click()
    await form.get_by_role("textbox").last.click()
    await page.keyboard.insert_text(json.dumps(body))
    await expect(form.get_by_role("textbox").last).to_contain_text("{")
    await shoot(page, f"form-{name}")
    # The editor swallows clicks while it sets the JSON in lines; the form is submitted as its button does.
    await form.locator("form").evaluate("form => form.requestSubmit()")
    await expect(page.locator("dialog[open]")).to_have_count(0)


async def offered(page: Page, kind: str) -> list[str]:
    """The names that a form offers."""
    await page.get_by_role("button", name="More Actions").click()
    await page.get_by_role("menuitem", name=f"Send {kind}").last.click()
    form = page.locator("dialog[open]")
    await form.get_by_test_id(f"{kind.rsplit(maxsplit=1)[-1].lower()}-select-button").click()
    await expect(form.get_by_role("option").nth(1)).to_be_visible()  # the worker was asked for them
    names = await form.get_by_role("option").locator("span").all_text_contents()
    await page.reload()
    return names


async def shoot(page: Page, name: str) -> None:
    """Keep a picture where `OPENORDERS_SCREENSHOTS` names a folder."""
    if folder := os.environ.get("OPENORDERS_SCREENSHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png")


async def test_support_reads_packs_and_ships_an_order_in_the_temporal_ui(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 2))
    run_id = (await shop.handle(order_id).describe()).run_id
    root = f"{shop.stack.temporal.ui_url}/namespaces/default/workflows"
    order = f"{root}/{quote(f'order:{order_id}', safe='')}/{run_id}"
    async with new_page() as page:
        await page.goto(f"{order}/user-metadata")
        details = page.locator("iframe").last.content_frame
        await expect(details.get_by_text("Unshipped")).to_be_visible()
        await expect(details.get_by_text("acme to pack acme-1")).to_be_visible()
        await shoot(page, "details")

        await page.goto(f"{order}/history")
        await expect(page.get_by_text("check_inventory").first).to_be_visible()
        assert set(await offered(page, "an Update")) >= {message.name for message in MESSAGES if message.update}
        assert set(await offered(page, "a Signal")) >= {message.name for message in MESSAGES if message.signal}

        contents = [{"line_id": "1", "sku": sku, "quantity": 2}]
        pack = {"fulfillment_id": "acme-1", "parcels": [{"contents": contents}]}
        await send(page, "an Update", "pack", pack)
        await shop.until(order_id, lambda status: status.fulfillments[0].status == "Packed")
        await shoot(page, "packed")
        ship = {"fulfillment_id": "acme-1", "carrier": "ups", "tracking_number": UPS}
        await send(page, "a Signal", "ship", ship)
        await shop.until(order_id, lambda status: status.status == "Shipped")

        for step in ("record_packing", "hand_to_carrier", "capture_payment"):
            await expect(page.get_by_text(step).first).to_be_visible()
        await shoot(page, "shipped")

        await page.goto(f"{order}/query")
        await shoot(page, "query")
        await page.locator(
            "#query-select-button, [data-testid=query-select-button], [aria-controls=query-select-select]"
        ).first.click()
        await expect(page.get_by_role("option").nth(1)).to_be_visible()
        options = await page.get_by_role("option").locator("span").all_text_contents()
        assert set(options) >= {query.name for query in QUERIES}
        await shoot(page, "queries")

        # The page does not look again, and Temporal's list is late by a moment.
        listed = f'WorkflowId = "order:{order_id}" AND OrderStatus = "Shipped"'
        await eventually(lambda: shop.client.count_workflows(listed), lambda found: found.count == 1)
        found = quote('`OrderStatus`="Shipped" AND `OrderSellers`="acme"')
        await page.goto(f"{root}?query={found}")
        await expect(page.get_by_text(f"order:{order_id}").first).to_be_visible()
        await shoot(page, "found")
