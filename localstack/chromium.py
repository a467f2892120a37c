"""A real Chromium, where the machine has one: for pictures of the pages, and for tests that look at them."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from localstack.errors import LocalStackError

HOW_TO_GET_IT = (
    "`.venv/bin/playwright install --with-deps chromium` or `apt-get install chromium`, or name one in "
    "OPENORDERS_CHROMIUM"
)

_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")


class NoChromium(LocalStackError):
    """There is none on this machine."""

    def __init__(self) -> None:
        super().__init__(f"no Chromium was found: {HOW_TO_GET_IT}")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The one that a setting names, the machine's own, or playwright's. Raises `NoChromium`."""
    async with async_playwright() as playwright:
        path = _found(playwright.chromium.executable_path)
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


def _found(of_playwright: str) -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    of_machine = next((path for path in map(shutil.which, names) if path), None)
    path = os.environ.get("OPENORDERS_CHROMIUM") or of_machine or of_playwright
    if not Path(path).exists():
        raise NoChromium
    return path
