"""A seller's day in a real browser: scanning, printing, shipping and answering."""

import re

import pytest
from playwright.async_api import expect

from domain.access import Scope
from tests.browser import new_browser
from tests.shop import UPS, line
from tests.web.conftest import Site
from tests.web.looking import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


async def test_a_seller_packs_by_scanner_prints_ships_and_answers(site: Site) -> None:
    shop = site.shop
    mug, pot = await shop.lists(9, title="Blue mug"), await shop.lists(9, title="Iron pot")
    order_id = await shop.placed(line(mug, 2), line(pot, 1))
    other = await shop.placed(line(mug, 1))
    async with new_browser() as browser, signed_in(browser, site, Scope.SELLER, "acme") as seller:
        page = seller.page
        await expect(page.get_by_role("heading", name="To ship")).to_be_visible()

        # The bars of the packing slip lead to its part.
        await page.get_by_label(re.compile("Scan a packing slip")).fill(f"{order_id} acme-1")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=f"Order {order_id}")).to_be_visible()

        await seller.scan("What goes into it", mug, "LAMP-OAK")
        await expect(page.get_by_text("Line 2: LAMP-OAK is not on the list.")).to_be_visible()
        await expect(page.locator(f'[data-progress="{mug}"]')).to_have_text("1 of 2")
        await page.get_by_role("button", name="Pack", exact=True).click()
        await expect(page.get_by_text(f"Line 2: wrong item: LAMP-OAK packed, {mug} ordered")).to_be_visible()
        await expect(page.get_by_label("What goes into it")).to_have_value(f"{mug}\nLAMP-OAK\n")

        await page.get_by_label("What goes into it").fill("")
        await seller.scan("What goes into it", mug, mug, pot)
        await expect(page.locator(f'[data-progress="{mug}"]')).to_have_class(re.compile("full"))
        await page.get_by_label(re.compile("Weight")).fill("1250")
        await page.get_by_role("button", name="Pack", exact=True).click()
        await expect(page.get_by_text("Packed: one parcel.")).to_be_visible()
        await expect(page.get_by_text("The labels are bought")).to_be_visible()

        assert "Iron pot" in (await seller.pdf("Packing slip (PDF)"))[0]
        assert "1.25 kg" in (await seller.pdf("Labels (PDF)"))[0]

        await shop.update(order_id, "cancel", reason="ordered twice")
        notice = page.get_by_text("A cancellation is asked for")
        await expect(notice).to_be_visible()  # the page looks again by itself
        await page.get_by_role("link", name="answer it").click()
        await seller.look("answer")
        await page.get_by_label("Reason").first.fill("it is on the van")
        await page.get_by_role("button", name=re.compile("Reject")).click()
        await expect(page.get_by_text("Rejected: the customer is told.")).to_be_visible()

        await page.get_by_text("With a number of your own").click()
        await page.get_by_role("combobox", name="Carrier").fill("UPS")
        await page.get_by_role("textbox", name="Tracking number").fill(UPS[:-1] + "0")
        await page.get_by_role("button", name="Ship with this number").click()
        await expect(page.get_by_text("has a wrong check digit for UPS")).to_be_visible()
        await seller.look("wrong-number")
        await page.get_by_role("textbox", name="Tracking number").fill(UPS)
        await page.get_by_role("button", name="Ship with this number").click()
        await expect(page.get_by_text(f"Shipped: UPS {UPS}.")).to_be_visible()

        # In the list, what is ticked stays ticked when the list is brought up to date.
        await page.get_by_role("link", name="To ship").first.click()
        await page.get_by_label(f"Choose {other}").check()
        await expect(page.get_by_text("1 chosen")).to_be_visible()
        await page.get_by_role("heading", name="To ship").click()
        newest = await shop.placed(line(mug, 1))
        await expect(page.get_by_label(f"Choose {newest}")).to_be_visible()
        await expect(page.get_by_label(f"Choose {other}")).to_be_checked()
        await page.get_by_role("button", name="Pack as listed").click()
        await expect(page.get_by_text("1 of 1 order done.")).to_be_visible()
        await seller.look("packed-as-listed")
        await page.get_by_role("link", name="Back to the list").click()
        await page.get_by_role("link", name=re.compile(r"Late$")).click()
        await expect(page.get_by_text("None at the moment.")).to_be_visible()
        await seller.look("none-late")
        await page.get_by_label(re.compile("Scan a packing slip")).fill("nobody")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Nothing of yours was found.")).to_be_visible()
        await seller.look("nothing-found")
    assert (await shop.status(order_id)).fulfillments[0].parcels[0].tracking_number == UPS
