"""Pictures of the pages, taken in a real Chromium of orders that are real: the demo's, and some that are under way."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.async_api import Browser, Page, ViewportSize, expect

from domain.access import Scope
from domain.insights import Window
from localstack.chromium import chromium
from localstack.demo.under_way import BIG_ORDER, DAMAGED_ORDER, MAPLE, UnderWay
from store.keys import Keys
from usecases.keys import new_key

WIDE = ViewportSize(width=1280, height=800)
LOW = ViewportSize(width=1280, height=612)
"""For a page of much small text: its picture would be large in bytes."""

PHONE = ViewportSize(width=390, height=844)

IN_README = (
    *("checkout", "order", "order-phone", "seller-queue", "seller-part", "support-order", "insights"),
    "seller-insights",
)

Pictures = Mapping[str, bytes]
"""PNGs by name, in the order in which they were taken."""

_MUGS, _LAMP = "Stoneware mugs, sand, set of 4", "Desk lamp, solid oak"
_COUNTED_SECONDS = 10


async def take_pictures(web_url: str, keys: Keys, under_way: UnderWay, days: Window | None) -> Pictures:
    """Of what insights show of these days, or of the last ones. Raises `NoChromium`, and playwright's `Error`."""
    async with chromium() as browser:
        await under_way.bring()
        album = _Album(browser, web_url, keys, days)
        await album.of_a_customer(under_way)
        await album.of_a_seller()
        await album.of_support()
        return album.pictures


def keep(pictures: Pictures, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in pictures.items():
        (folder / f"{name}.png").write_bytes(png)


class _Album:
    def __init__(self, browser: Browser, web_url: str, keys: Keys, days: Window | None) -> None:
        self.pictures: dict[str, bytes] = {}
        self._browser = browser
        self._web_url = web_url
        self._keys = keys
        self._days = urlencode({"from": days.first, "until": days.last}) if days else ""

    async def of_a_customer(self, under_way: UnderWay) -> None:
        async with self._window() as page:
            await page.goto(self._web_url)
            await self._take(page, "shop")
            await page.get_by_role("link", name=_MUGS).click()
            await page.get_by_label("Quantity").fill("2")
            await self._take(page, "product")
            await page.get_by_role("button", name="Add to cart").click()
            await page.get_by_role("link", name="Keep shopping").click()
            await page.get_by_role("button", name=f"Add {_LAMP} to the cart").click()
            await page.get_by_role("link", name="Go to checkout").click()
            await _fill_in(page)
            await self._take(page, "checkout")
            await page.get_by_role("complementary").get_by_role("button", name="Place the order").click()
            await expect(page.get_by_role("heading", name=re.compile("Arriving by"))).to_have_count(2)
            await under_way.sends(page.url.rpartition("/")[2], MAPLE, "Edison, NJ")
            await expect(page.get_by_text("Edison, NJ").first).to_be_visible()
            await self._take(page, "order")
            await self._take(page, "order-phone", PHONE)
            await page.get_by_role("link", name="Mails we sent").click()
            await page.get_by_role("heading", name="is on its way").click()
            await self._take(page, "order-mails")

    async def of_a_seller(self) -> None:
        async with self._signed_in(Scope.SELLER, MAPLE) as page:
            await self._take(page, "seller-queue")
            await self._take(page, "seller-queue-phone", PHONE)
            await page.get_by_role("link", name=BIG_ORDER, exact=True).click()
            await page.get_by_label("What goes into it").press_sequentially("SKILLET-26\n")
            await self._take(page, "seller-part")
            await page.get_by_role("link", name="Stock", exact=True).click()
            await self._take(page, "seller-stock")
            await self._take_insights(page, "seller-insights", "/insights/performance", LOW)

    async def of_support(self) -> None:
        async with self._signed_in(Scope.SUPPORT) as page:
            await self._take(page, "support")
            await page.goto(f"{self._web_url}/support/orders/{DAMAGED_ORDER}")
            await self._take(page, "support-order")
            await self._take_insights(page, "insights", "/insights")

    @asynccontextmanager
    async def _window(self) -> AsyncIterator[Page]:
        """Somebody's own, on the East Coast."""
        own = await self._browser.new_context(viewport=WIDE, locale="en-US", timezone_id="America/New_York")
        try:
            yield await own.new_page()
        finally:
            await own.close()

    @asynccontextmanager
    async def _signed_in(self, scope: Scope, seller: str | None = None) -> AsyncIterator[Page]:
        key = await new_key(self._keys, scope, "pictures", seller)
        async with self._window() as page:
            await page.goto(f"{self._web_url}/signin")
            await page.get_by_label("Key").fill(key)
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url(re.compile("/(seller|support)$"))
            yield page

    async def _take_insights(self, page: Page, name: str, path: str, size: ViewportSize = WIDE) -> None:
        """Once the worker has counted what has changed; after a while as it is, which the page then says."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + _COUNTED_SECONDS
        await page.goto(f"{self._web_url}{path}?{self._days}")
        while await page.get_by_text("that are not counted yet").count() and clock() < deadline:
            await asyncio.sleep(0.5)
            await page.reload()
        await self._take(page, name, size)

    async def _take(self, page: Page, name: str, size: ViewportSize = WIDE) -> None:
        await page.set_viewport_size(size)
        await page.evaluate("window.scrollTo(0, 0)")
        self.pictures[name] = await page.screenshot(animations="disabled")
        await page.set_viewport_size(WIDE)


async def _fill_in(page: Page) -> None:
    await page.get_by_label("Email").fill("ada@example.com")
    await page.get_by_label("Full name").fill("Ada Lovelace")
    await page.get_by_label("Street address").fill("12 Mill Street")
    await page.get_by_label("City").fill("Springfield")
    await page.get_by_label("State").select_option("Massachusetts")
    await page.get_by_label("ZIP code").fill("01103")
