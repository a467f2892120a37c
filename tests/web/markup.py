"""What a page would have a browser run or fetch."""

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

_FETCHED = {
    *(("script", "src"), ("img", "src"), ("iframe", "src"), ("audio", "src"), ("video", "src"), ("source", "src")),
    *(("link", "href"), ("image", "href"), ("use", "href"), ("image", "xlink:href"), ("use", "xlink:href")),
    *(("form", "action"), ("button", "formaction"), ("input", "formaction"), ("object", "data"), ("embed", "src")),
}
"""Attributes whose address is gone to without anybody's following a link; those of forms, where they are sent."""

_ADDRESSES = {name for _, name in _FETCHED} | {"ping", "poster", "background"}


def dangers(html: str) -> list[str]:
    """Scripts and styles that stand in the page itself, and addresses of other hosts that it loads or sends to."""
    reader = _Reader()
    reader.feed(html)
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.found += [f"<{tag} {name}={value}>" for name, value in attrs if _is_danger(tag, name, value or "")]
        self.found += _links(tag, {name: value or "" for name, value in attrs})

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.found.append(f"<{self._inside}>{data}")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def _is_danger(tag: str, name: str, value: str) -> bool:
    if name in ("style", "srcdoc") or name.startswith("on"):
        return True
    if name not in _ADDRESSES:
        return False
    parts = urlsplit(value.strip())
    if (tag, name) in _FETCHED:
        return bool(parts.netloc) or parts.scheme not in ("", "data" if tag == "img" else "")
    return parts.scheme not in ("", "http", "https", "mailto")


def _links(tag: str, given: dict[str, str]) -> Iterator[str]:
    """A link to another host must not tell it where somebody came from, or give it the window."""
    if tag == "a" and urlsplit(given.get("href", "")).netloc and "noopener" not in given.get("rel", ""):
        yield f"<a href={given['href']}> without rel=noopener"
