"""The geometry of charts: what is there is seen, in its place, and labels stay where they can be read."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from adapters.mail.formats import Formats
from domain.insights import Window
from web.pages.charts import (
    PLOT_HEIGHT,
    MoneyTicks,
    Part,
    Point,
    Ticks,
    bars,
    grain_of,
    heat,
    short,
    start_label,
    start_of,
    start_words,
    starts,
)

FORMATS = Formats(Locale("en"), ZoneInfo("UTC"))


def points(*amounts: float) -> list[Point]:
    return [Point(str(n), f"bar {n}", (Part(amount),)) for n, amount in enumerate(amounts)]


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=800))
def test_every_bar_lies_within_the_chart_and_none_that_is_there_is_lost(amounts: list[int]) -> None:
    chart = bars(points(*amounts), Ticks())
    assert len(chart.rects) == sum(amount > 0 for amount in amounts)
    for rect in chart.rects:
        assert rect.x >= 0
        assert rect.x + rect.width <= 100.01
        assert rect.y >= 0
        assert rect.y + rect.height <= PLOT_HEIGHT + 1
        assert rect.height >= 1


def test_bars_are_as_high_as_their_share_and_half_the_top_is_a_plain_number() -> None:
    chart = bars(points(10, 5, 0), Ticks())
    assert [(rect.y, rect.height) for rect in chart.rects] == [(0, PLOT_HEIGHT), (PLOT_HEIGHT / 2, PLOT_HEIGHT / 2)]
    assert chart.ticks == ("10", "5", "0")
    assert bars(points(11), Ticks()).ticks == ("20", "10", "0")
    assert bars(points(21), Ticks()).ticks == ("30", "15", "0")
    assert bars(points(3), Ticks()).ticks == ("4", "2", "0")
    assert bars(points(4_200), Ticks()).ticks == ("5,000", "2,500", "0")
    assert bars(points(0), Ticks()).ticks == ("2", "1", "0")


def test_parts_stand_on_each_other() -> None:
    chart = bars([Point("", "", (Part(6, "ok"), Part(4, "bad")))], Ticks())
    ok, bad = chart.rects
    assert (ok.css, bad.css) == ("ok", "bad")
    assert bad.y == 0
    assert bad.y + bad.height == ok.y
    assert ok.y + ok.height == PLOT_HEIGHT


@pytest.mark.parametrize(("how_many", "wide", "on_phone"), [(1, 1, 1), (7, 7, 7), (12, 12, 6), (13, 7, 3), (700, 7, 3)])
def test_there_are_as_many_labels_as_have_room(how_many: int, wide: int, on_phone: int) -> None:
    labels = bars(points(*range(how_many)), Ticks()).labels
    assert len(labels) == wide
    assert sum(label.css != "wide" for label in labels) == on_phone
    assert [label.x for label in labels] == sorted(label.x for label in labels)
    if how_many > 12:
        assert (labels[0].anchor, labels[-1].anchor) == ("start", "end")
        assert (labels[0].text, labels[-1].text) == ("0", str(how_many - 1))


def test_the_darkest_cell_is_the_most_and_only_nothing_is_blank() -> None:
    chart = heat([[0, 1], [50, 100]], [["a", "b"], ["c", "d"]], ["Monday", "Tuesday"], ["00", ""])
    assert [cell.css for cell in chart.cells] == ["heat0", "heat1", "heat3", "heat5"]
    assert [cell.tip for cell in chart.cells] == ["a", "b", "c", "d"]
    assert [label.text for label in chart.labels] == ["00"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (7, "7"), (1_234, "1,234"), (15_000, "15k"), (2_500_000, "2.5M"), (3e9, "3B")]
)
def test_large_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("currency", "minor", "text"),
    [("USD", 150_000, "$1,500"), ("JPY", 20_000, "¥20k"), ("BRL", 2_000_000, "R$20k"), ("BHD", 5_000, "BHD\u00a05")],
)
def test_money_at_the_axis_has_its_symbol_and_its_digits(currency: str, minor: int, text: str) -> None:
    assert MoneyTicks(FORMATS, currency).text(minor) == text


def test_a_bar_is_a_day_a_week_or_a_month() -> None:
    def window(days: int) -> Window:
        return Window(first=date(2026, 1, 1), last=date.fromordinal(date(2026, 1, 1).toordinal() + days - 1))

    assert [grain_of(window(days)) for days in (1, 62, 63, 400, 401)] == ["day", "day", "week", "week", "month"]
    assert start_of(date(2026, 1, 1), "week") == date(2025, 12, 29)
    assert len(starts(window(365), "week")) == 53
    assert starts(window(60), "month") == (date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1))
    assert (start_label(date(2026, 1, 5), "day"), start_label(date(2026, 1, 1), "month")) == ("Jan 5", "Jan 2026")
    assert start_words(date(2026, 1, 5), "week") == "week of Jan 5, 2026"
