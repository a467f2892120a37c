"""A seller's day in a real browser: scanning, printing, shipping and answering."""

import re

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page, expect

from domain.access import Scope
from tests.browser import new_page
from tests.shop import UPS, line
from tests.web.conftest import Site
from tests.web.pdf_text import pages_of

pytestmark = pytest.mark.browser


async def _scan(page: Page, label: str, *skus: str) -> None:
    """As a scanner does: the keys of the code, and Enter."""
    field = page.get_by_label(label)
    for sku in skus:
        await field.press_sequentially(sku)
        await field.press("Enter")


async def _pdf(page: Page, href: str) -> list[str]:
    answer = await page.request.get(href)
    assert answer.headers["content-type"] == "application/pdf"
    return pages_of(await answer.body())


async def test_a_seller_packs_by_scanner_prints_ships_and_answers(site: Site) -> None:
    shop = site.shop
    mug, pot = await shop.lists(9, title="Blue mug"), await shop.lists(9, title="Iron pot")
    order_id = await shop.placed(line(mug, 2), line(pot, 1))
    other = await shop.placed(line(mug, 1))
    async with new_page() as page:
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        await page.goto(f"{site.url}/seller")
        await page.get_by_label("Key").fill(await site.key(Scope.SELLER, "acme"))
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="To ship")).to_be_visible()

        # The bars of the packing slip lead to its part.
        await page.get_by_label(re.compile("Scan a packing slip")).fill(f"{order_id} acme-1")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=f"Order {order_id}")).to_be_visible()

        await _scan(page, "What goes into it", mug, "LAMP-OAK")
        await expect(page.get_by_text("Line 2: LAMP-OAK is not on the list.")).to_be_visible()
        await expect(page.locator(f'[data-progress="{mug}"]')).to_have_text("1 of 2")
        await page.get_by_role("button", name="Pack", exact=True).click()
        await expect(page.get_by_text(f"Line 2: wrong item: LAMP-OAK packed, {mug} ordered")).to_be_visible()
        await expect(page.get_by_label("What goes into it")).to_have_value(f"{mug}\nLAMP-OAK\n")

        await page.get_by_label("What goes into it").fill("")
        await _scan(page, "What goes into it", mug, mug, pot)
        await expect(page.locator(f'[data-progress="{mug}"]')).to_have_class(re.compile("full"))
        await page.get_by_label(re.compile("Weight")).fill("1250")
        await page.get_by_role("button", name="Pack", exact=True).click()
        await expect(page.get_by_text("Packed: one parcel.")).to_be_visible()
        await expect(page.get_by_text("The labels are bought")).to_be_visible()

        slip, label = [
            await page.get_by_role("link", name=name).first.get_attribute("href") or ""
            for name in ("Packing slip (PDF)", "Labels (PDF)")
        ]
        assert "Iron pot" in (await _pdf(page, f"{site.url}{slip}"))[0]
        assert "1.25 kg" in (await _pdf(page, f"{site.url}{label}"))[0]

        await shop.update(order_id, "cancel", reason="ordered twice")
        notice = page.get_by_text("A cancellation is asked for")
        await expect(notice).to_be_visible(timeout=60_000)  # the page looks again by itself
        await page.get_by_role("link", name="answer it").click()
        await page.get_by_label("Reason").first.fill("it is on the van")
        await page.get_by_role("button", name=re.compile("Reject")).click()
        await expect(page.get_by_text("Rejected: the customer is told.")).to_be_visible()

        await page.get_by_text("With a number of your own").click()
        await page.get_by_role("combobox", name="Carrier").fill("UPS")
        await page.get_by_role("textbox", name="Tracking number").fill(UPS[:-1] + "0")
        await page.get_by_role("button", name="Ship with this number").click()
        await expect(page.get_by_text("has a wrong check digit for UPS")).to_be_visible()
        await page.get_by_role("textbox", name="Tracking number").fill(UPS)
        await page.get_by_role("button", name="Ship with this number").click()
        await expect(page.get_by_text(f"Shipped: UPS {UPS}.")).to_be_visible()

        # In the list, what is ticked stays ticked when the list is brought up to date.
        await page.get_by_role("link", name="To ship").first.click()
        await page.get_by_label(f"Choose {other}").check()
        await expect(page.get_by_text("1 chosen")).to_be_visible()
        await page.get_by_role("heading", name="To ship").click()
        newest = await shop.placed(line(mug, 1))
        await expect(page.get_by_label(f"Choose {newest}")).to_be_visible(timeout=60_000)
        await expect(page.get_by_label(f"Choose {other}")).to_be_checked()
        await page.get_by_role("button", name="Pack as listed").click()
        await expect(page.get_by_text("1 of 1 order done.")).to_be_visible()
        assert troubles == []
    assert (await shop.status(order_id)).fulfillments[0].parcels[0].tracking_number == UPS


@pytest.mark.parametrize("width", [390, 1280])
async def test_every_page_is_accessible_and_no_wider_than_the_screen(site: Site, width: int) -> None:
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists(9, title="A mug with a title that is as long as some are"), 2))
    packed = await shop.placed(line(await shop.lists(9), 1))
    await shop.packs(packed)
    await shop.update(packed, "cancel", reason="ordered twice")
    seller = await site.signed_in(Scope.SELLER, "acme")
    await seller.until(f"/seller/orders/{packed}/acme-1", lambda shown: "ordered twice" in shown.text)
    async with new_page() as page:
        await page.set_viewport_size({"width": width, "height": 844})
        await page.goto(f"{site.url}/signin")
        await page.get_by_label("Key").fill(await site.key(Scope.SELLER, "acme"))
        await page.get_by_role("button", name="Sign in").click()
        for path in (
            *("/seller", "/seller?show=late", "/seller/orders", "/seller/orders?search=nobody", "/seller/import"),
            *(f"/seller/orders/{order_id}/acme-1", f"/seller/orders/{packed}/acme-1"),
            *("/seller/stock", "/seller/stock/movements", "/seller/stock/receive", "/seller/stock/correct"),
        ):
            await page.goto(f"{site.url}{path}")
            found = (await Axe().run(page)).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], path
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
