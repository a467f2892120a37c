"""A line of the history has a cell for each of its columns, in their order."""

from collections import Counter
from datetime import date

from benchmarks.counts import Counts
from benchmarks.history import History
from benchmarks.rates import Cpu, Rate, Rates
from benchmarks.report import HISTORY, history_line
from benchmarks.sql_meter import Sql


def test_a_line_of_the_history_fills_its_columns() -> None:
    events = Counter({"WORKFLOW_TASK_COMPLETED": 7, "ACTIVITY_TASK_SCHEDULED": 1, "MARKER_RECORDED": 10})
    history = History(events, order=(), history_bytes=10_500, payload_bytes=6_000, transitions=18)
    counts = [Counts(number, history, Sql(Counter(reserve=27), Counter(reserve=16)), mails=5) for number in (1, 2)]
    rate = Rate("1", played=10, seconds=2.0, cpu=Cpu(temporal=0.4, worker=1.0, postgres=0.2, temporal_database=0.1))
    empty = Rate("empty", played=10, seconds=1.0, cpu=Cpu(temporal=0.05, worker=0.05, postgres=0.0))
    line = history_line(counts, Rates(rate.cpu, empty, (rate, rate), workers=1), date(2026, 11, 28))

    header = next(row for row in HISTORY.read_text().splitlines() if row.startswith("| date"))
    found = dict(zip(_cells(header), _cells(line), strict=True))
    assert found == {
        "date": "2026-11-28",
        "events": "18 / 18",
        "workflow tasks": "7 / 7",
        "regular activities": "1 / 1",
        "local activities": "10 / 10",
        "history bytes": "10,500 / 10,500",
        "payload bytes": "6,000 / 6,000",
        "statements of steps": "27 / 27",
        "commits of steps": "16 / 16",
        "orders per second": "5.0 / 5.0",
        "server CPU, ms": "50 / 50",
        "CPU of an empty workflow": "17.0 / 17.0",
    }


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]
