"""A real Chromium for tests, where the machine has one."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, expect

from localstack.chromium import NoChromium, chromium
from tests.shop import PATIENCE_SECONDS


@asynccontextmanager
async def new_browser() -> AsyncIterator[Browser]:
    """The test is skipped where there is none, and fails in CI, which installs it."""
    try:
        async with chromium() as browser:
            expect.set_options(timeout=PATIENCE_SECONDS * 1000)
            yield browser
    except NoChromium as error:
        if os.environ.get("OPENORDERS_CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@asynccontextmanager
async def new_page() -> AsyncIterator[Page]:
    async with new_browser() as browser:
        page = await browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        yield page
