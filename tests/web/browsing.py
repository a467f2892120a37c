"""Pages as people without scripts use them: read the page, fill in its form, send it."""

import asyncio
import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import NamedTuple

import httpx

from tests.shop import PATIENCE_SECONDS


class Form(NamedTuple):
    """Fields as they stand, and the buttons that have a name."""

    action: str
    method: str
    fields: dict[str, list[str]]
    buttons: tuple[tuple[str, str], ...]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._area: tuple[Form, str] | None = None
        self._select: tuple[Form, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get"), {}, ()))
        if not self.forms:
            return
        form, name = self.forms[-1], given.get("name", "")
        if tag == "input" and name and given.get("type") not in ("file", "submit"):
            if given.get("type") in ("checkbox", "radio") and "checked" not in given:
                return
            form.fields.setdefault(name, []).append(given.get("value", ""))
        elif tag == "textarea" and name:
            form.fields.setdefault(name, []).append("")
            self._area = (form, name)
        elif tag == "select" and name:
            self._select = (form, name)
        elif tag == "option" and self._select and (name := self._select[1]):
            if "selected" in given or name not in form.fields:
                form.fields[name] = [given.get("value", "")]
        elif tag == "button" and name:
            self.forms[-1] = form._replace(buttons=(*form.buttons, (name, given.get("value", ""))))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = None
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            form, name = self._area
            # A line break right behind the tag is none.
            form.fields[name][-1] = data.removeprefix("\n")


class Page:
    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.status = response.status_code
        self.path = response.url.raw_path.decode()
        self.html = response.text
        reader = _Reader()
        reader.feed(self.html)
        self.forms = reader.forms

    @property
    def text(self) -> str:
        """What people read, its white space made single."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.html)).split())

    def form(self, action: str) -> Form:
        """The first one that goes there."""
        for form in self.forms:
            if form.action == action:
                return form
        raise AssertionError(f"no form goes to {action}: {[form.action for form in self.forms]}")

    def has_form(self, action: str) -> bool:
        return any(form.action == action for form in self.forms)


class Visitor:
    """Keeps cookies, follows redirects."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str) -> Page:
        return Page(await self.client.get(path))

    async def until(self, path: str, condition: Callable[[Page], bool]) -> Page:
        """Ask again until the page is so: rows are written just after the order has answered."""
        for _ in range(PATIENCE_SECONDS * 10):
            page = await self.get(path)
            if condition(page):
                return page
            await asyncio.sleep(0.1)
        raise AssertionError(f"{path} never came there: {page.text}")

    async def submit(self, page: Page, action: str, /, **changes: str | list[str] | None) -> Page:
        """The form of the page that goes there, with these fields changed; None leaves one out."""
        form = page.form(action)
        fields: dict[str, list[str]] = dict(form.fields)
        for name, value in changes.items():
            fields[name] = [value] if isinstance(value, str) else list(value or [])
        return Page(await self.client.post(form.action, data=fields))
