"""The loop that counts, and reports as CSV."""

import asyncio
import csv
import io
import logging
from collections.abc import Callable, Sequence
from datetime import date

import pytest

from domain.insights import Window
from domain.insights_reports import REPORTS, Cell, Report, ReportName
from domain.requests import Unavailable
from usecases.insights_csv import csv_name, csv_of
from usecases.insights_refresher import AWAY_SECONDS, LOOK_SECONDS, InsightsRefresher, bring_up_to_date

# -- the loop ----------------------------------------------------------------------------------


class Done:
    def __init__(self, *, more: bool) -> None:
        self.more = more


class Counts:
    """Answers as it was told to, and ends the loop when it has nothing more to say."""

    def __init__(self, *answers: Done | Exception | None) -> None:
        self._answers = iter(answers)
        self.asked = 0

    async def refresh(self) -> Done | None:
        self.asked += 1
        answer = next(self._answers, asyncio.CancelledError())
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def _pauses(counts: Counts) -> list[float]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    with pytest.raises(asyncio.CancelledError):
        await InsightsRefresher(counts, sleep).run()
    return pauses


async def test_it_looks_every_few_seconds_and_goes_on_at_once_where_there_is_more() -> None:
    pauses = await _pauses(Counts(Done(more=True), Done(more=False), None, Done(more=True)))
    assert [pause >= LOOK_SECONDS for pause in pauses] == [False, True, True, False]


async def test_it_waits_for_a_database_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    counts = Counts(Unavailable("PostgreSQL: gone"), Done(more=False))
    assert await _pauses(counts) == [AWAY_SECONDS, LOOK_SECONDS]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_bug_is_told_and_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    counts = Counts(ZeroDivisionError(), Done(more=False))
    assert len(await _pauses(counts)) == 2
    assert [(record.levelno, bool(record.exc_info)) for record in caplog.records] == [(logging.ERROR, True)]


async def test_bringing_up_to_date_goes_on_until_nothing_is_left() -> None:
    counts = Counts(Done(more=True), None, Done(more=True), Done(more=False))
    await bring_up_to_date(counts)
    assert counts.asked == 4


# -- CSV ---------------------------------------------------------------------------------------


def products(*titles: str) -> Report:
    spec = REPORTS[ReportName.PRODUCTS]
    return Report(
        report=spec.name,
        title=spec.title,
        definition=spec.definition,
        seller=None,
        window=Window(first=date(2026, 1, 1), last=date(2026, 1, 31)),
        time_zone="UTC",
        up_to_date=True,
        sample=len(titles),
        sample_of="orders",
        tiny_sample=True,
        columns=spec.columns,
        rows=tuple(
            {
                "seller": "acme",
                "sku": "MUG",
                "title": title,
                "currency": "EUR",
                "orders": 1,
                "units": 2,
                "revenue": -5,
            }
            for title in titles
        ),
    )


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_a_report_is_read_back_as_it_was() -> None:
    titles = ("plain", 'a "quoted", comma', "two\nlines", "ümläut 漢字")
    header, *rows = read(csv_of(products(*titles)))
    assert header == ["seller", "sku", "title", "currency", "orders", "units", "revenue (minor units)"]
    assert [row[2] for row in rows] == list(titles)
    assert rows[0][4:] == ["1", "2", "-5"]
    assert csv_name(products()) == "products_2026-01-01_2026-01-31.csv"


@pytest.mark.parametrize(
    "title",
    ['=HYPERLINK("https://evil.example","x")', "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1"],
)
def test_no_text_is_a_formula(title: str) -> None:
    (_, row) = read(csv_of(products(title)))
    assert row[2].startswith("'")
    assert row[2].removeprefix("'").strip() == title.strip()


def test_what_is_not_known_is_empty_and_flags_are_words() -> None:
    spec = REPORTS[ReportName.SELLER_METRICS]
    row: dict[str, Cell] = {column.name: None for column in spec.columns}
    report = products().model_copy(update={"columns": spec.columns, "rows": (row, row | {"met": True, "part": 0})})
    of_met: Callable[[Sequence[str]], str] = lambda cells: cells[[c.name for c in spec.columns].index("met")]  # noqa: E731
    assert [of_met(one) for one in read(csv_of(report))[1:]] == ["", "yes"]
