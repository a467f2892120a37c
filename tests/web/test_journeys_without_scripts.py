"""The main parts of what people do, in a Chromium that runs no scripts: forms are sent and pages loaded as ever."""

import re

import pytest
from playwright.async_api import expect

from domain.access import Scope
from tests.browser import new_browser
from tests.shop import Shop
from tests.web.conftest import Site
from tests.web.looking import PHONE, Visit, signed_in, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


async def test_everybody_gets_by_without_scripts(site: Site, market: Shop) -> None:
    async with new_browser() as browser:
        async with visit(browser, site, "customer", size=PHONE, scripts=False) as ada:
            order_id = await _buys(ada, site)
        async with signed_in(browser, site, Scope.SELLER, "oakline", scripts=False) as oakline:
            await _ships(oakline, order_id)
        async with signed_in(browser, site, Scope.SUPPORT, scripts=False) as support:
            await _holds(support, order_id)
        async with signed_in(browser, site, Scope.ANALYST, scripts=False) as analyst:
            await analyst.page.get_by_role("link", name="Performance").click()
            await expect(analyst.page.get_by_role("heading", name="Seller metrics")).to_be_visible()
            await analyst.look("performance")
    await market.conserves(order_id)


async def _buys(ada: Visit, site: Site) -> str:
    page = ada.page
    await page.goto(f"{site.url}/?q=oak")
    await page.get_by_role("link", name="Desk lamp, solid oak").click()
    await page.get_by_label("To", exact=True).select_option("Germany")
    await page.get_by_role("button", name="Show dates").click()
    await ada.look("product")
    await page.get_by_role("button", name="Add to cart").click()
    await page.get_by_label("Quantity of Desk lamp, solid oak").fill("2")
    await page.get_by_role("button", name="Change").click()
    await expect(page.get_by_text("$169.00").first).to_be_visible()
    await ada.look("cart")
    await page.get_by_role("link", name="Go to checkout").click()
    await page.get_by_label("Country").select_option("Germany")
    await page.get_by_role("button", name="Show this country's form and dates").click()
    await expect(page.get_by_label("State")).to_have_count(0)
    await page.get_by_label("Email").fill("ada@example.com")
    await page.get_by_label("Full name").fill("Ada Lovelace")
    await page.get_by_label("Street address").fill("Müllerstraße 12")
    await page.get_by_label("City").fill("Berlin")
    await page.get_by_label("Postal code").fill("1335")
    order = page.get_by_role("complementary").get_by_role("button", name="Place the order")
    await order.click()
    await expect(page.get_by_text("This does not fit the rest of the address.")).to_be_visible()
    await page.get_by_label("Postal code").fill("13353")
    await page.get_by_label(re.compile("Next day")).check()
    await page.get_by_role("button", name="Update the total").click()
    await expect(page.get_by_role("complementary")).to_contain_text("Next day shipping")
    await ada.look("checkout")
    await order.click()
    # A page of an order that nobody has recorded yet asks for itself again.
    await expect(page.get_by_role("cell", name="Desk lamp, solid oak")).to_be_visible()
    # One whose items are not reserved yet is brought up to date by whoever looks at it.
    while await page.get_by_text("being checked", exact=True).count():
        await page.reload()
    await ada.look("order")
    return page.url.rpartition("/")[2]


async def _ships(oakline: Visit, order_id: str) -> None:
    page = oakline.page
    await page.get_by_role("link", name=order_id).click()
    await page.get_by_label("What goes into it").fill("LAMP-OAK")
    await page.get_by_label(re.compile("Only a part of it")).check()
    await page.get_by_role("button", name="Pack", exact=True).click()
    await expect(page.get_by_text("Packed: one parcel.")).to_be_visible()
    await oakline.look("packed")
    await page.get_by_role("button", name="Ship with its label").click()
    await expect(page.get_by_text("Shipped: ")).to_be_visible()
    await oakline.look("shipped")


async def _holds(support: Visit, order_id: str) -> None:
    page = support.page
    await page.get_by_label(re.compile("^Order, customer")).fill(order_id)
    await page.get_by_role("button", name="Find").click()
    hold = page.locator("details.action", has=page.locator("summary", has_text="Put on hold"))
    await hold.locator("summary").click()
    await hold.get_by_label("Reason").fill("the address is being checked")
    await hold.get_by_role("button").click()
    # Without scripts the page is brought up to date by whoever looks at it.
    while not await page.get_by_text("Release ").count():
        await page.reload()
    await support.look("held")
