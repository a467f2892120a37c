"""The words of a PDF that reportlab made, page by page; enough of a reader for tests, and no more."""

import base64
import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\s*(.*?)\s*endobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\n?endstream", re.DOTALL)
_FONT = re.compile(rb"/(F\d+(?:\+\d+)?) (\d+) 0 R")
_SHOWN = re.compile(rb"/(F\d+(?:\+\d+)?) [\d.]+ Tf|\(((?:\\.|[^\\()])*)\) Tj", re.DOTALL)
_ESCAPED = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page, a line for every piece that was drawn."""
    objects = _objects(pdf)
    fonts = {name: int(number) for body in objects.values() for name, number in _FONT.findall(body)}
    letters = {name: _letters(objects, number) for name, number in fonts.items()}
    return [_words(content, letters) for content in contents_of(pdf)]


def contents_of(pdf: bytes) -> list[bytes]:
    """What each page is drawn with."""
    objects = _objects(pdf)
    pages = (body for body in objects.values() if re.search(rb"/Type /Page\b", body))
    return [_stream(objects[_reference(page, b"Contents")]) for page in pages]


def _objects(pdf: bytes) -> dict[int, bytes]:
    return {int(number): body for number, body in _OBJECT.findall(pdf)}


def _reference(body: bytes, name: bytes) -> int:
    match = re.search(rb"/" + name + rb" (\d+) 0 R", body)
    assert match, name
    return int(match[1])


def _stream(body: bytes) -> bytes:
    match = _STREAM.search(body)
    assert match
    data = match[1]
    if b"ASCII85Decode" in body:
        data = base64.a85decode(data.strip().removesuffix(b"~>"))
    return zlib.decompress(data) if b"FlateDecode" in body else data


def _letters(objects: dict[int, bytes], font: int) -> dict[int, str]:
    """What each byte of a text in this font means; nothing where the font says nothing of it."""
    if b"/ToUnicode" not in objects[font]:
        return {}
    table = _stream(objects[_reference(objects[font], b"ToUnicode")])
    pairs = re.findall(rb"^<([0-9A-Fa-f]{2})> <([0-9A-Fa-f]{4})>$", table, re.MULTILINE)
    return {int(code, 16): chr(int(letter, 16)) for code, letter in pairs}


def _words(content: bytes, letters: dict[bytes, dict[int, str]]) -> str:
    words: list[str] = []
    font = b""
    for name, shown in _SHOWN.findall(content):
        if name:
            font = name
            continue
        raw = _ESCAPED.sub(lambda match: _escaped(match[1]), shown)
        words.append("".join(letters.get(font, {}).get(byte, chr(byte)) for byte in raw))
    return "\n".join(words)


def _escaped(code: bytes) -> bytes:
    plain = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
    return bytes([int(code, 8)]) if code.isdigit() else plain.get(code, code)
