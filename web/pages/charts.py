"""The geometry of charts: across in percent of whatever width there is, upright in pixels, so that text stays text."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from adapters.mail.formats import Formats
from domain.insights import Window
from domain.model import Frozen

PLOT_HEIGHT = 180
"""Of `.plot` in the style sheet, without the line of labels below."""

ROW_HEIGHT = 22
_HEATS = 5
_LABELS_MAX, _LABELS_ON_PHONE_MAX = 12, 8
_DAYS_MAX, _WEEKS_MAX = 62, 400
"""Up to so many days a bar is a day, or a week; beyond it a month."""


class Part(NamedTuple):
    """A piece of a bar, from the bottom up: how much, in which color (a class of the style sheet)."""

    amount: float
    css: str = ""


class Point(NamedTuple):
    label: str
    """Below the bar, where there is room."""

    tip: str
    """What the bar says when somebody points at it."""

    parts: tuple[Part, ...]


class Rect(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    css: str
    tip: str


class Label(NamedTuple):
    x: float
    text: str
    anchor: str
    css: str
    """`wide`: left out on a phone."""


class Bars(Frozen):
    rects: tuple[Rect, ...]
    labels: tuple[Label, ...]
    ticks: tuple[str, ...]
    """From the top down to nothing."""

    grid: tuple[float, ...]


class Cell(NamedTuple):
    x: float
    y: int
    width: float
    css: str
    tip: str


class Heat(Frozen):
    cells: tuple[Cell, ...]
    rows: tuple[str, ...]
    labels: tuple[Label, ...]
    height: int


def bars(points: Sequence[Point], tick: "Ticks") -> Bars:
    """Stacked where a point has several parts."""
    top = _nice(max((sum(part.amount for part in point.parts) for point in points), default=0), whole=tick.whole)
    slot = 100 / max(len(points), 1)
    rects = []
    for index, point in enumerate(points):
        bottom = float(PLOT_HEIGHT)
        for part in point.parts:
            height = part.amount / top * PLOT_HEIGHT
            bottom -= height
            if height:
                # A bar that is there is seen, however small it is.
                rect = _round(index * slot + slot * 0.1), _round(bottom), _round(slot * 0.8), max(_round(height), 1.0)
                rects.append(Rect(*rect, part.css, point.tip))
    return Bars(
        rects=tuple(rects),
        labels=_labels([point.label for point in points]),
        ticks=tuple(tick.text(top * share) for share in (1, 0.5, 0)),
        grid=(0.5, PLOT_HEIGHT / 2, PLOT_HEIGHT - 0.5),
    )


def heat(
    values: Sequence[Sequence[float]], tips: Sequence[Sequence[str]], rows: Sequence[str], columns: Sequence[str]
) -> Heat:
    """A row of cells for each of `rows`, the darker the more; `columns` without a text are not labelled."""
    most = max((value for row in values for value in row), default=0)
    width = 100 / len(columns)
    return Heat(
        cells=tuple(
            Cell(_round(x * width), y * ROW_HEIGHT, _round(width), f"heat{_heat_of(value, most)}", tips[y][x])
            for y, row in enumerate(values)
            for x, value in enumerate(row)
        ),
        rows=tuple(rows),
        labels=tuple(
            Label(_round((x + 0.5) * width), text, "middle", "" if x % 6 == 0 else "wide")
            for x, text in enumerate(columns)
            if text
        ),
        height=len(rows) * ROW_HEIGHT,
    )


def _heat_of(value: float, most: float) -> int:
    """0 for nothing at all, and for anything at least 1."""
    return 0 if not value else min(_HEATS, 1 + int(value / most * (_HEATS - 0.001)))


def _labels(texts: Sequence[str]) -> tuple[Label, ...]:
    """All of a dozen; of more, seven of them, three on a phone, those at the ends within the chart."""
    last = len(texts) - 1
    slot = 100 / max(len(texts), 1)
    if last < _LABELS_MAX:
        sparse = last >= _LABELS_ON_PHONE_MAX
        return tuple(
            Label(_round((index + 0.5) * slot), text, "middle", "wide" if sparse and index % 2 else "")
            for index, text in enumerate(texts)
        )
    ends = {0: (0.0, "start"), last: (100.0, "end")}
    labels = []
    for step in range(7):
        index = round(step * last / 6)
        x, anchor = ends.get(index, (_round((index + 0.5) * slot), "middle"))
        labels.append(Label(x, texts[index], anchor, "" if step % 3 == 0 else "wide"))
    return tuple(labels)


def _nice(most: float, *, whole: bool) -> float:
    """A plain number that is not much more; where only whole ones make sense, one whose half is one, too."""
    power = 1.0
    while True:
        for step in (1, 2, 3, 4, 5, 6, 8):
            top = step * power
            if top >= most and not (whole and top % 2):
                return top
        power *= 10


def _round(value: float) -> float:
    return round(value, 2)


# -- what is written at the axis -------------------------------------------------------------


class Ticks:
    """Counts: `1,200`, `15k`."""

    whole = True

    def text(self, value: float) -> str:
        return short(value)


class MoneyTicks(Ticks):
    """Minor units: `$1.2k`."""

    whole = False

    def __init__(self, formats: Formats, currency: str) -> None:
        nothing = formats.money(0, currency)
        self._symbol = nothing[: nothing.index("0")]
        self._digits = len(nothing.partition(".")[2])

    def text(self, value: float) -> str:
        return self._symbol + short(value / 10**self._digits)


def short(value: float) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):,.3g}{letter}"
    return f"{value:,.4g}"


# -- days into bars ----------------------------------------------------------------------------


def grain_of(window: Window) -> str:
    """What a bar is: a `day`, `week` or `month`."""
    return "day" if window.days <= _DAYS_MAX else "week" if window.days <= _WEEKS_MAX else "month"


def start_of(day: date, grain: str) -> date:
    """The first day of the bar that a day belongs to; a week begins on Monday."""
    if grain == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if grain == "week" else day


def starts(window: Window, grain: str) -> tuple[date, ...]:
    """Of all bars of the window, those without any order too."""
    days = (window.first + timedelta(days=n) for n in range(window.days))
    return tuple(dict.fromkeys(start_of(day, grain) for day in days))


def start_label(start: date, grain: str) -> str:
    return f"{start:%b %Y}" if grain == "month" else f"{start:%b} {start.day}"


def start_words(start: date, grain: str) -> str:
    """For tips: `Nov 3, 2026`, `week of Nov 2, 2026`, `November 2026`."""
    if grain == "month":
        return f"{start:%B %Y}"
    return f"{'week of ' if grain == 'week' else ''}{start:%b} {start.day}, {start.year}"
