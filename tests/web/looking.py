"""People at their browsers, and what is seen over their shoulder: how a page looks, wide and on a phone, and all that
must not happen on any: a violation that axe finds, a page wider than its screen, an error in the console (as one of
the Content-Security-Policy is), or a request to another host.
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, ConsoleMessage, Page, Request, Response, ViewportSize, expect

from domain.access import Scope
from tests.shop import PATIENCE_SECONDS
from tests.web.conftest import Site
from tests.web.pdf_text import pages_of

WIDE = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)

PATIENT = PATIENCE_SECONDS * 1000
"""In milliseconds: for what comes by itself, after a message has gone its way through worker and database."""

_SAID_BY_PAGES = {403, 404, 409, 422}
"""Statuses of pages that say what is wrong; any other from 400 is trouble, and so is each of these on anything else."""

_FOLDER = os.environ.get("OPENORDERS_SCREENSHOTS")


class Visit:
    """Somebody's own browser window, its cookies and nobody else's; `page` is where they are."""

    def __init__(self, who: str, page: Page, host: str, size: ViewportSize, *, scripts: bool) -> None:
        self.page = page
        self.troubles: list[str] = []
        self._who = who
        self._host = host
        self._size = size
        self._scripts = scripts
        self._steps = count(1)
        page.set_default_timeout(PATIENT)
        expect.set_options(timeout=PATIENT)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        page.on("request", self._on_request)
        page.on("response", self._on_response)

    async def look(self, name: str) -> None:
        """At the page as it is now; a picture of it is left where `OPENORDERS_SCREENSHOTS` names a folder."""
        step = f"{self._who}{next(self._steps):02}-{name}"
        async with self._examined() as examined:
            for size in (PHONE, WIDE) if self._size is WIDE else (WIDE, PHONE):
                await self.page.set_viewport_size(size)
                if _FOLDER:
                    await self.page.screenshot(path=f"{_FOLDER}/{step}-{size['width']}.png", full_page=True)
                await examined.set_viewport_size(size)
                where = f"{step} at {size['width']}"
                width = await examined.evaluate("document.documentElement.scrollWidth")
                if width > size["width"]:
                    self.troubles.append(f"{where}: {width} wide")
                self.troubles += [f"{where}: {violation}" for violation in await _violations(examined)]

    @asynccontextmanager
    async def _examined(self) -> AsyncIterator[Page]:
        """The page itself; where no script may run axe cannot either, and examines a copy where one may."""
        if self._scripts:
            yield self.page
            return
        browser = self.page.context.browser
        assert browser is not None
        html = re.sub(r"<script[^>]*></script>", "", await self.page.content())
        copy = await browser.new_page()
        await copy.route(self.page.url, lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
        await copy.goto(self.page.url)
        yield copy
        await copy.close()

    async def sign_in(self, key: str) -> None:
        await self.page.get_by_label("Key").fill(key)
        await self.page.get_by_role("button", name="Sign in").click()

    async def scan(self, label: str, *lines: str) -> None:
        """As a scanner does: the keys of each code, and Enter."""
        field = self.page.get_by_label(label)
        for text in lines:
            await field.press_sequentially(text)
            await field.press("Enter")

    async def pdf(self, link: str) -> list[str]:
        """The text of each page of what the first link of this name opens."""
        href = await self.page.get_by_role("link", name=link).first.get_attribute("href")
        answer = await self.page.request.get(f"http://{self._host}{href}")
        assert answer.headers["content-type"] == "application/pdf", href
        return pages_of(await answer.body())

    def _on_console(self, message: ConsoleMessage) -> None:
        # What Chromium says of every answer from 400 on is judged where the answer is.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.troubles.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self._host:
            self.troubles.append(f"a request to {parts.netloc}")

    def _on_response(self, response: Response) -> None:
        said = response.status in _SAID_BY_PAGES and response.request.is_navigation_request()
        if response.status >= 400 and not said:
            self.troubles.append(f"{response.status} for {response.url}")


@asynccontextmanager
async def visit(
    browser: Browser, site: Site, who: str, *, size: ViewportSize = WIDE, scripts: bool = True
) -> AsyncIterator[Visit]:
    """A fresh browser window; `who` names the pictures. What must not happen is told at the end, all of it."""
    own = await browser.new_context(viewport=size, java_script_enabled=scripts)
    try:
        visitor = Visit(who, await own.new_page(), urlsplit(site.url).netloc, size, scripts=scripts)
        yield visitor
        assert not visitor.troubles, "\n".join(visitor.troubles)
    finally:
        await own.close()


@asynccontextmanager
async def signed_in(
    browser: Browser, site: Site, scope: Scope, seller: str | None = None, *, scripts: bool = True
) -> AsyncIterator[Visit]:
    """Somebody with a key, on their first page."""
    async with visit(browser, site, seller or scope.value, scripts=scripts) as visitor:
        await visitor.page.goto(f"{site.url}/signin")
        await visitor.sign_in(await site.key(scope, seller))
        yield visitor


async def _violations(page: Page) -> list[str]:
    """What axe finds, of whatever impact: the rule, its impact and the first element that breaks it."""
    found = (await Axe().run(page)).response["violations"]
    return [f"{one['id']} ({one['impact']}) by {one['nodes'][0]['html']}" for one in found]
