"""Amounts, dates and titles as one recipient reads them."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_interval, format_skeleton, format_time, get_timezone_name
from babel.numbers import NumberPattern, parse_pattern

from domain.contacts import Contact
from domain.currencies import major_units, minor_digits

# CLDR puts narrow and thin spaces into times and ranges; some phones draw a box in their place.
_THIN_SPACES = str.maketrans({"\u202f": " ", "\u2009": " "})

_TITLE_WIDTH = 60


class _Titled(Protocol):
    @property
    def title(self) -> str: ...


@dataclass(frozen=True)
class Formats:
    """How to write figures for one recipient; templates know it as `f`."""

    locale: Locale
    zone: ZoneInfo

    @classmethod
    def of(cls, contact: Contact) -> "Formats":
        """The mails are in English, so English habits of the recipient's country, else those of the United States."""
        try:
            locale = Locale.parse(contact.language, sep="-")
        except (ValueError, UnknownLocaleError):
            locale = Locale("en")
        return cls(locale if locale.language == "en" else Locale("en"), contact.zone)

    def money(self, amount: int, currency: str) -> str:
        """An amount in minor units, such as `$1,234.56`, `¥1,234`, `BHD 1.234`."""
        digits = minor_digits(currency)
        # Babel keeps its patterns; a fresh one may be changed.
        pattern: NumberPattern = parse_pattern(self.locale.currency_formats["standard"].pattern)
        pattern.frac_prec = (digits, digits)
        value = major_units(amount, currency)
        written: str = pattern.apply(value, self.locale, currency=currency, currency_digits=False)
        # A symbol stands close to the figure, a code apart from it.
        return written.replace(currency, f"{currency}\N{NO-BREAK SPACE}")

    def day(self, moment: datetime) -> str:
        """A day, such as `Thu, Nov 26, 2026`."""
        return _plain(format_skeleton("yMMMEd", moment, tzinfo=self.zone, locale=self.locale))

    def moment(self, moment: datetime) -> str:
        """Where the zone is named once for all: `Thu, Nov 26, 2026, 5:00 PM`."""
        clock = format_time(moment, "short", tzinfo=self.zone, locale=self.locale)
        return _plain(f"{self.day(moment)}, {clock}")

    def time(self, moment: datetime) -> str:
        """A moment, such as `Thu, Nov 26, 2026, 5:00 PM Brasilia Standard Time`."""
        zone = get_timezone_name(moment.astimezone(self.zone), locale=self.locale)
        return _plain(f"{self.moment(moment)} {zone}")

    def window(self, start: datetime | None, end: datetime | None) -> str:
        """Days such as `Thu, Nov 26 - Mon, Nov 30, 2026`, `by ...` or `from ...`; empty where nothing is known."""
        if start and end:
            return _plain(format_interval(start, end, "yMMMEd", tzinfo=self.zone, locale=self.locale))
        if end:
            return f"by {self.day(end)}"
        return f"from {self.day(start)}" if start else ""

    def titles(self, lines: Sequence[_Titled]) -> str:
        """A few words that name the lines in a subject or preview: the first title, cut, and how many follow."""
        if not lines:
            return "your items"
        first = one_line(lines[0].title)
        if len(first) > _TITLE_WIDTH:
            first = first[: _TITLE_WIDTH - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
        return first if len(lines) == 1 else f"{first} and {len(lines) - 1} more"


def one_line(text: str) -> str:
    """Text without line breaks and other controls, so that nobody's title can start a line or header of its own."""
    kept = "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)
    return re.sub(" +", " ", kept).strip()


def paragraph(text: str, indent: str = "") -> str:
    """Plain text wrapped for a narrow screen; a word that is too long, such as a link, is left whole."""
    return textwrap.fill(
        one_line(text),
        width=72,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def sentence(text: str) -> str:
    """A reason that somebody gave, with a full stop where they left it out, so that more may follow."""
    words = one_line(text)
    return words if words.endswith((".", "!", "?", "\N{IDEOGRAPHIC FULL STOP}")) else f"{words}."


# Not printable by Python's reckoning, yet part of emoji and of several scripts.
_JOINERS = "\u200c\u200d\ufe0f\N{NO-BREAK SPACE}"


def _plain(text: str) -> str:
    return text.translate(_THIN_SPACES)
