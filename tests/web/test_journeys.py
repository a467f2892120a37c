"""The people of the marketplace in real Chromium, each from the first page to the last, by clicking and typing."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from domain.access import Scope
from tests.browser import new_browser
from tests.shop import UPS, Shop, line
from tests.web.conftest import Site
from tests.web.looking import PHONE, Visit, signed_in, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

MUGS, WHITE_MUGS, LAMP = (
    "Stoneware mugs, sand, set of 4",
    "Stoneware mugs, speckled white, set of 4",
    "Desk lamp, solid oak",
)


# -- customers -----------------------------------------------------------------------------


async def test_a_customer_buys_follows_the_parcels_and_reports_what_is_wrong(site: Site, market: Shop) -> None:
    async with new_browser() as browser:
        async with visit(browser, site, "customer") as ada:
            order_id = await _buys(ada, site)
            await expect(ada.page.get_by_role("heading", name=re.compile("Arriving by"))).to_have_count(2)
            await ada.look("order-placed")

        [confirmed, *_] = await market.mails(order_id, at_least=1)
        [link] = re.findall(r"http\S+/o/\S+", confirmed.text)
        async with visit(browser, site, "customer-phone", size=PHONE) as ada:
            await ada.page.goto(link)
            await expect(ada.page.get_by_role("heading", name=f"Order {order_id}")).to_be_visible()
            await _is_told_without_reloading(ada, market, order_id)
            await _reports_and_is_answered(ada, market, order_id)

            await ada.page.get_by_role("link", name="Mails we sent").click()
            await ada.page.get_by_role("heading", name=re.compile("^Refund of")).click()
            await expect(ada.page.get_by_text("Banks usually take")).to_be_visible()
            await ada.look("mails")
    await market.delivers(order_id, "oakline-1-p1")
    ended = await market.ended(order_id)
    assert ended.status == "Delivered"
    await market.conserves(order_id)


async def _buys(ada: Visit, site: Site) -> str:
    """From the first page of the shop to the order's own; gives the order's id."""
    page = ada.page
    await page.goto(site.url)
    await expect(page.get_by_role("heading", name="Shop")).to_be_visible()
    await ada.look("shop")
    await page.get_by_label("Search products").fill("mugs")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Results for “mugs”")).to_be_visible()
    await ada.look("search")
    await page.get_by_role("link", name=MUGS).click()
    await page.get_by_label("To", exact=True).select_option("Canada")
    await expect(page).to_have_url(re.compile("country=CA"))
    await ada.look("product")
    await page.get_by_label("Quantity").fill("2")
    await page.get_by_role("button", name="Add to cart").click()
    await page.get_by_role("link", name="Keep shopping").click()
    await page.get_by_role("button", name=f"Add {LAMP} to the cart").click()
    await page.get_by_label(f"Quantity of {LAMP}").fill("3")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("row", name=re.compile(LAMP))).to_contain_text("$253.50")
    await page.get_by_label(f"Quantity of {LAMP}").fill("1")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("complementary")).to_contain_text("$140.48")
    await ada.look("cart")

    await page.get_by_role("link", name="Go to checkout").click()
    await expect(page.get_by_role("heading", name="Checkout")).to_be_visible()
    await page.get_by_label(re.compile("Expedited")).check()
    await expect(page.get_by_role("complementary")).to_contain_text("Expedited shipping")
    await _fill_in(page, zip_code="99999")
    await page.get_by_role("complementary").get_by_role("button", name="Place the order").click()
    await expect(page.get_by_text("This does not fit the rest of the address.")).to_be_visible()
    await ada.look("checkout-error")
    await expect(page.get_by_label("Full name")).to_have_value("Ada Lovelace")
    await page.get_by_label("ZIP code").fill("01103")
    await ada.look("checkout")
    await page.get_by_role("complementary").get_by_role("button", name="Place the order").click()
    await expect(page.get_by_role("heading", name=re.compile("^Order "))).to_be_visible()
    return page.url.rpartition("/")[2]


async def _fill_in(page: Page, zip_code: str = "01103") -> None:
    await page.get_by_label("Email").fill("ada@example.com")
    await page.get_by_label("Full name").fill("Ada Lovelace")
    await page.get_by_label("Street address").fill("12 Mill Street")
    await page.get_by_label("City").fill("Springfield")
    await page.get_by_label("State").select_option("Massachusetts")
    await page.get_by_label("ZIP code").fill(zip_code)


async def _is_told_without_reloading(ada: Visit, market: Shop, order_id: str) -> None:
    page = ada.page
    await page.evaluate("window.neverReloaded = true")
    mugs = page.locator("section", has=page.get_by_role("list", name="How far this is"), has_text=MUGS).first
    step = mugs.locator("[aria-current=step]")
    await expect(step).to_have_text("Ordered")
    await market.packs(order_id, "maple-1")
    await expect(step).to_have_text("Packed")
    await market.ships(order_id, "maple-1")
    await expect(step).to_have_text("Shipped")
    await expect(mugs).to_contain_text(UPS)
    await market.carrier_says(order_id, "in_transit", "maple-1-p1", location="Edison, NJ")
    await expect(mugs).to_contain_text("Edison, NJ")
    await market.carrier_says(order_id, "out_for_delivery", "maple-1-p1", location="Springfield, MA")
    await expect(step).to_have_text("Out for delivery")
    await ada.look("out-for-delivery")
    await market.carrier_says(order_id, "delivered", "maple-1-p1", signed_by="A. Lovelace")
    await expect(step).to_have_text("Delivered")
    await expect(mugs.get_by_role("heading", name=re.compile("^Delivered"))).to_be_visible()
    await ada.look("one-delivered")
    assert await page.evaluate("window.neverReloaded") is True


async def _reports_and_is_answered(ada: Visit, market: Shop, order_id: str) -> None:
    page = ada.page
    await page.get_by_text("Something is wrong with this parcel").click()
    await page.get_by_label("What is it?").select_option("It is damaged")
    await page.get_by_label("In your words").fill("One of the mugs is in pieces.")
    await ada.look("report")
    await page.get_by_role("button", name="Tell the shop").click()
    await expect(page.get_by_role("heading", name="Your report: damaged")).to_be_visible()
    await ada.look("reported")
    await market.packs(order_id, "oakline-1")
    await market.ships(order_id, "oakline-1", carrier="FedEx", tracking_number="986578788855")
    [issue] = (await market.status(order_id)).issues
    await market.update(order_id, "resolve_issue", by="support", issue_id=issue, remedy="refund", reason="broken")
    await expect(page.get_by_text("You get your money back.")).to_be_visible()
    await expect(page.get_by_role("row", name=re.compile("Given back"))).to_be_visible()
    await ada.look("answered")


async def test_a_customer_chooses_for_a_shortage_pays_with_another_card_and_cancels(site: Site, market: Shop) -> None:
    async with new_browser() as browser, visit(browser, site, "second-customer") as grace:
        page = grace.page
        await page.goto(site.url)
        await page.get_by_role("button", name=f"Add {WHITE_MUGS} to the cart").click()
        await grace.look("cart")
        await page.get_by_role("link", name="Go to checkout").click()
        await _fill_in(page)
        await page.get_by_label(re.compile("Mastercard ending in 0069")).check()
        await page.get_by_role("complementary").get_by_role("button", name="Place the order").click()
        await expect(page.get_by_text("was declined")).to_be_visible()
        await grace.look("declined")
        await page.get_by_role("button", name=re.compile("^Pay ")).click()
        await expect(page.get_by_role("heading", name="Out of stock: 1 × " + WHITE_MUGS)).to_be_visible()
        await grace.look("shortage")
        await page.get_by_label(re.compile(f"Send {MUGS} instead")).check()
        await page.get_by_role("button", name="That is my choice").click()
        await expect(page.get_by_role("heading", name=re.compile("Arriving by"))).to_be_visible()
        await grace.look("substituted")
        await page.get_by_text("Cancel", exact=True).first.click()
        await page.get_by_label("Why?").fill("found others")
        await grace.look("cancel")
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_role("heading", name="This order was canceled")).to_be_visible()
        await grace.look("canceled")
        order_id = page.url.rpartition("/")[2]
        await page.goto(f"{site.url}/orders/not-mine")
        await grace.look("not-found")
    assert (await market.ended(order_id)).status == "Canceled"
    await market.conserves(order_id)


# -- two sellers of one order --------------------------------------------------------------------

SKILLET = "Cast iron skillet, 26 cm, pre-seasoned"


async def test_two_sellers_of_one_order_each_do_their_own_part(site: Site, market: Shop) -> None:
    order_id = await market.placed(
        line("SKILLET-26", 2, "maple", unit_price=3495),
        line("KNIFE-CHEF-20", 1, "maple", unit_price=5900),
        line("SHELF-OAK-60", 2, "oakline", unit_price=4200),
        line("LAMP-OAK", 1, "oakline", unit_price=8450),
    )
    await _other_orders(market)
    async with new_browser() as browser:
        async with signed_in(browser, site, Scope.SELLER, "maple") as maple:
            await _packs_and_ships(maple, order_id)
            await _looks_after_stock(maple)
        async with signed_in(browser, site, Scope.SELLER, "oakline") as oakline:
            await _rejects_a_line_and_ships_the_rest(oakline, order_id)
    await market.update(order_id, "choose_for_shortage", line_id="3", choice="refund")
    await market.until(order_id, lambda status: status.status == "Shipped")
    await market.conserves(order_id)


async def _other_orders(market: Shop) -> None:
    """What else lies on the desk: one that is late, one for tomorrow, one on hold, one to cancel."""
    long_ago = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    await market.placed(line("SKILLET-26", 1, "maple", unit_price=3495), clock={"origin": long_ago, "factor": 1})
    fast: dict[str, Any] = {"method": "NextDay", "price": 1999}
    await market.placed(line("MUGS-SAND-4", 2, "maple", unit_price=2799), shipping=fast)
    held = await market.placed(line("SKILLET-26", 1, "maple", unit_price=3495))
    await market.update(held, "hold", by="support", reason="the address is being checked")
    unwanted = await market.placed(line("MUGS-SAND-4", 1, "maple", unit_price=2799))
    await market.packs(unwanted, "maple-1")
    await market.update(unwanted, "cancel", reason="ordered twice")


async def _packs_and_ships(maple: Visit, order_id: str) -> None:
    page = maple.page
    await expect(page.get_by_role("heading", name="To ship")).to_be_visible()
    await expect(page.get_by_role("row")).to_have_count(6)
    await maple.look("queue")
    await page.get_by_role("link", name=order_id).click()
    await expect(page.get_by_role("heading", name=f"Order {order_id}")).to_be_visible()
    await _knows_nothing_of(page, "oakline", "LAMP-OAK", "SHELF-OAK-60", "Desk lamp")
    await maple.look("part")

    await page.get_by_label("What goes into it").fill("SKILLET-26 x 2\nLAMP-OAK\n")
    await page.get_by_label("Weight").click()
    await expect(page.get_by_text("Line 2: LAMP-OAK is not on the list.")).to_be_visible()
    await page.get_by_role("button", name="Pack", exact=True).click()
    await expect(page.get_by_text("Line 2: wrong item: LAMP-OAK packed")).to_be_visible()
    await maple.look("wrong-item")
    await page.get_by_label("What goes into it").fill("")
    await maple.scan("What goes into it", "SKILLET-26", "SKILLET-26", "KNIFE-CHEF-20")
    await page.get_by_label("Weight").fill("4900")
    await page.get_by_role("button", name="Pack", exact=True).click()
    await expect(page.get_by_text("Packed: one parcel.")).to_be_visible()
    await maple.look("packed")
    assert "KNIFE-CHEF-20" in (await maple.pdf("Packing slip (PDF)"))[0]
    assert "4.90 kg" in (await maple.pdf("Labels (PDF)"))[0]

    await page.get_by_role("button", name="Ship with its label").click()
    await expect(page.get_by_text("Shipped: ")).to_be_visible()
    await _knows_nothing_of(page, "oakline", "LAMP-OAK", "SHELF-OAK-60", "Desk lamp")
    await maple.look("shipped")
    await page.get_by_role("link", name="Orders", exact=True).click()
    await expect(page.get_by_role("row", name=re.compile(order_id))).to_contain_text("Shipped")
    await maple.look("orders")
    await page.goto(page.url.replace("/seller/orders", "/seller/import"))
    await maple.look("import")


async def _knows_nothing_of(page: Page, *words: str) -> None:
    html = await page.content()
    assert [word for word in words if word in html] == []


async def _looks_after_stock(maple: Visit) -> None:
    page = maple.page
    await page.get_by_role("link", name="Stock").click()
    await expect(page.get_by_role("heading", name="Stock")).to_be_visible()
    await maple.look("stock")
    level = page.get_by_role("row", name=re.compile("MUGS-WHITE-4.*maple-brooklyn"))
    await page.get_by_role("link", name="Receive units").click()
    await page.get_by_label("SKU").fill("MUGS-WHITE-5")
    await page.get_by_label("Location").select_option("maple-brooklyn")
    await page.get_by_label(re.compile("Units|Quantity")).fill("24")
    await page.get_by_role("button", name=re.compile("Receive")).click()
    await expect(page.get_by_text("Nothing was changed")).to_be_visible()
    await maple.look("receive-error")
    await page.get_by_label("SKU").fill("MUGS-WHITE-4")
    await page.get_by_role("button", name=re.compile("Receive")).click()
    await expect(level).to_contain_text("24")
    await maple.look("received")
    await page.get_by_role("link", name="Correct a count").click()
    await maple.look("correct")
    await page.get_by_role("link", name="Stock").first.click()
    await page.get_by_role("link", name="Movements").click()
    await expect(page.get_by_role("heading", name="Movements")).to_be_visible()
    await maple.look("movements")


async def _rejects_a_line_and_ships_the_rest(oakline: Visit, order_id: str) -> None:
    page = oakline.page
    await page.get_by_label(re.compile("Scan a packing slip")).fill(order_id)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=f"Order {order_id}")).to_be_visible()
    await _knows_nothing_of(page, "maple", "SKILLET-26", "KNIFE-CHEF-20")
    await page.get_by_text("Cannot find items").click()
    await page.get_by_label(re.compile("Floating shelf")).fill("2")
    await page.get_by_label("Reason").fill("the carton is empty")
    await oakline.look("reject")
    await page.get_by_role("button", name="They are not there").click()
    await expect(page.get_by_text("Told: other stock is looked for")).to_be_visible()
    await oakline.scan("What goes into it", "LAMP-OAK")
    await page.get_by_label(re.compile("Buy the labels")).uncheck()
    await page.get_by_role("button", name="Pack", exact=True).click()
    await expect(page.get_by_text("Packed: one parcel.")).to_be_visible()
    await page.get_by_text("With a number of your own").click()
    await page.get_by_role("combobox", name="Carrier").fill("FedEx")
    await page.get_by_role("textbox", name="Tracking number").fill("986578788855")
    await oakline.look("number")
    await page.get_by_role("button", name="Ship with this number").click()
    await expect(page.get_by_text("Shipped: FedEx 986578788855.")).to_be_visible()
    await oakline.look("shipped")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


# -- support -------------------------------------------------------------------------------------


async def test_support_finds_holds_releases_and_refunds(site: Site, market: Shop) -> None:
    body = market.body(
        line("NOTEBOOK-A5", 3, "inkwell", unit_price=1450), line("BOTTLE-1L", 1, "northtrail", unit_price=2750)
    )
    order_id = await market.place(body)
    await market.until(order_id, lambda status: len(status.fulfillments) == 2)
    await market.packs(order_id, "inkwell-1")
    await market.ships(order_id, "inkwell-1", carrier="Rose City Couriers", tracking_number="RC-7700-1")
    await market.delivers(order_id, "inkwell-1-p1")
    await market.update(order_id, "report_issue", parcel_id="inkwell-1-p1", kind="damaged", note="Wet through.")
    short = await market.placed(line("INK-ROYAL-50", 1, "inkwell", unit_price=1290))
    async with new_browser() as browser, signed_in(browser, site, Scope.SUPPORT) as support:
        page = support.page
        await expect(page.get_by_role("heading", name="Support")).to_be_visible()
        await expect(page.get_by_role("row", name=re.compile(short))).to_contain_text("out of stock")
        await support.look("start")
        await page.get_by_role("link", name="Attention").click()
        await page.get_by_role("link", name=re.compile("Damaged")).click()
        await expect(page.get_by_role("row", name=re.compile(order_id))).to_be_visible()
        await support.look("attention")

        await page.get_by_role("link", name="Support", exact=True).click()
        await page.get_by_label(re.compile("^Order, customer")).fill(body["customer"]["email"].upper())
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=re.compile("^1 order for"))).to_be_visible()
        await support.look("found")
        await page.get_by_role("row", name=re.compile("mail")).get_by_role("link", name=order_id).click()
        await expect(page.get_by_role("heading", name=f"Order {order_id}")).to_be_visible()
        await support.look("order")
        await _holds_and_releases(support)

        await page.get_by_role("link", name="Support", exact=True).click()
        await page.get_by_label(re.compile("^Order, customer")).fill("RC-7700-1")
        await page.get_by_role("button", name="Find").click()
        await expect(page.get_by_role("heading", name=f"Order {order_id}")).to_be_visible()
        await _refunds(support)
        await _goes_to_temporal_and_back(page, order_id)
        await page.goto(f"{site.url}/support/orders/nobody")
        await support.look("not-found")


async def _holds_and_releases(support: Visit) -> None:
    page = support.page
    hold = await _opened(page, "Put on hold")
    await hold.get_by_label("What").select_option("northtrail-1")
    await hold.get_by_label("Reason").fill("the customer wants to talk first")
    await support.look("hold")
    await hold.get_by_role("button").click()
    release = await _opened(page, "Release northtrail-1-h1")
    await expect(release).to_contain_text("the customer wants to talk first")
    await expect(page.get_by_text("on hold").first).to_be_visible()
    await release.get_by_label("Reason").fill("they called back")
    await support.look("held")
    await release.get_by_role("button").click()
    await expect(release).to_have_count(0)
    await expect(page.get_by_role("listitem").filter(has_text="they called back")).to_be_visible()


async def _opened(page: Page, action: str) -> Locator:
    """One of the actions that an order allows now."""
    found = page.locator("details.action", has=page.locator("summary", has_text=action))
    await found.locator("summary").click()
    return found


async def _refunds(support: Visit) -> None:
    page = support.page
    resolve = await _opened(page, "Resolve inkwell-1-i1")
    await resolve.get_by_label("Remedy").select_option("Refund")
    await resolve.get_by_label("Reason").fill("it was wet through")
    await resolve.get_by_role("button").click()
    await expect(page.get_by_role("heading", name="Issue inkwell-1-i1: damaged").locator("..")).to_contain_text(
        "refund"
    )
    await expect(page.get_by_role("definition").filter(has_text="$43.50")).to_have_count(2)
    await support.look("refunded")


async def _goes_to_temporal_and_back(page: Page, order_id: str) -> None:
    async with page.expect_popup() as opened:
        await page.get_by_role("link", name="in the Temporal UI").click()
    ui = await opened.value
    await expect(ui.get_by_text(f"order:{order_id}").first).to_be_visible()
    await ui.get_by_text("User Metadata").click()
    async with ui.context.expect_page() as opened:
        await ui.locator("iframe").last.content_frame.get_by_role("link").first.click()
    back = await opened.value
    await expect(back.get_by_role("heading", name=f"Order {order_id}")).to_be_visible()
    await back.close()
    await ui.close()
