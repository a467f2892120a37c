"""Letters on paper: a font that ships with reportlab, and what becomes of letters that it does not have.

Bitstream Vera has the Latin of Western Europe, Turkish, Croatian and part of Czech and Polish. Accents that it lacks
are left off (`Wałęsa` is printed `Wałesa`), and letters of other scripts, such as Greek, Cyrillic or Chinese, cannot
be printed: a question mark stands for each, and whoever prints them is told.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import reportlab
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR = "openorders-regular"
BOLD = "openorders-bold"

_FOLDER = Path(reportlab.__file__).parent / "fonts"
_PLAIN = str.maketrans({"ẞ": "SS", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T", "ŋ": "n", "Ŋ": "N", "ə": "e", "Ə": "E"})


@lru_cache(maxsize=1)
def register_fonts() -> frozenset[int]:
    """Gives the code points that both fonts have."""
    fonts = {REGULAR: "Vera.ttf", BOLD: "VeraBd.ttf"}
    for name, file in fonts.items():
        pdfmetrics.registerFont(TTFont(name, str(_FOLDER / file)))
    return frozenset.intersection(*(frozenset(pdfmetrics.getFont(name).face.charToGlyph) for name in fonts))


def printable(text: str) -> str:
    """The text in letters that the font has."""
    known = register_fonts()
    return "".join(_letters(unicodedata.normalize("NFC", text), known))


def cannot_be_printed(text: str) -> bool:
    """Letters of it are lost, and not just their accents."""
    return printable(text).count("?") > text.count("?")


def _letters(text: str, known: frozenset[int]) -> Iterator[str]:
    for letter in text:
        if ord(letter) in known:
            yield letter
            continue
        plain = unicodedata.normalize("NFKD", letter.translate(_PLAIN))
        kept = "".join(part for part in plain if ord(part) in known)
        if kept:
            yield kept
        elif letter.isspace() or not unicodedata.combining(letter):
            yield " " if letter.isspace() else "?"


def width(text: str, font: str, size: float) -> float:
    return float(pdfmetrics.stringWidth(text, font, size))


def wrapped(text: str, font: str, size: float, room: float) -> list[str]:
    """Lines no wider than the room; a word that is too long for one is cut."""
    lines = [""]
    for word in _pieces(printable(text).split(), font, size, room):
        longer = f"{lines[-1]} {word}".strip()
        if width(longer, font, size) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _pieces(words: Iterable[str], font: str, size: float, room: float) -> Iterator[str]:
    for word in words:
        rest = word
        while width(rest, font, size) > room and len(rest) > 1:
            length = len(rest) - 1
            while length > 1 and width(rest[:length], font, size) > room:
                length -= 1
            yield rest[:length]
            rest = rest[length:]
        yield rest


def largest(text: str, font: str, room: float, sizes: Iterable[float]) -> float:
    """The first of these sizes, the largest first, at which the text fits into one line; else the last."""
    size = 0.0
    for size in sizes:
        if width(printable(text), font, size) <= room:
            break
    return size
