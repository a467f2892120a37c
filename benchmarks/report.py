"""The figures as a table for people, and as one line of the history."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from benchmarks.counts import Counts
from benchmarks.placing import Placing
from benchmarks.rates import Rate, Rates
from benchmarks.reference_app import Reference
from benchmarks.sql_meter import IDLE_LOOKS, OUTBOX, SqlMeter

AIMS = {1: 50, 2: 72}
"""History events for one seller and for two."""

# temporalio/reference-app-orders-go, which checks no stock, sends no mail and keeps no money.
REFERENCE = {1: 96, 2: 170}

_CPU_AIM = 0.5
_RATE_AIM = 1.5
"""Ours to the reference application's."""

HISTORY = Path(__file__).parent / "HISTORY.md"

Row = tuple[str, ...]


def counts_table(counts: Sequence[Counts], meter: SqlMeter, database_commits: int) -> str:
    """One column per order that was counted; `database_commits` are all that PostgreSQL saw meanwhile."""
    rows: list[Row] = [("counted, per order", *(_sellers(one.sellers) for one in counts))]
    rows += [
        ("history events", *(str(one.history.total) for one in counts)),
        ("  our aim", *(f"<= {AIMS[one.sellers]}" for one in counts)),
        ("  Temporal's reference application *", *(str(REFERENCE[one.sellers]) for one in counts)),
        ("workflow tasks", *(str(one.history.workflow_tasks) for one in counts)),
        ("regular activities", *(str(one.history.regular_activities) for one in counts)),
        ("local activities", *(str(one.history.local_activities) for one in counts)),
        ("history bytes", *(f"{one.history.history_bytes:,}" for one in counts)),
        ("  of them payloads", *(f"{one.history.payload_bytes:,}" for one in counts)),
        ("SQL statements of steps", *(str(one.sql.of_steps()[0]) for one in counts)),
        ("SQL commits of steps", *(str(one.sql.of_steps()[1]) for one in counts)),
        ("SQL statements to send the mails", *(str(one.sql.of_outbox()[0]) for one in counts)),
        ("SQL commits to send the mails", *(str(one.sql.of_outbox()[1]) for one in counts)),
        ("mails", *(str(one.mails) for one in counts)),
    ]
    rows.append(("events by type", *("" for _ in counts)))
    types = [one.history.events for one in counts]
    rows += [(f"  {name.lower()}", *(str(events[name]) for events in types)) for name in _names(types)]
    rows.append(("statements/commits by step", *("" for _ in counts)))
    rows += [
        (f"  {name}", *(f"{one.sql.statements[name]}/{one.sql.commits[name]}" for one in counts))
        for name in _names([one.sql.statements for one in counts])
        if name not in (OUTBOX, IDLE_LOOKS)
    ]
    return (
        f"{table(rows)}\n\n"
        "* its published counts for one and two shipments; it checks no stock, sends no mail and keeps no money.\n"
        "Statements of the sandbox that plays the payment provider are among those of its activities. Looks of the\n"
        "outbox that found nothing are no order's and not in here.\n"
        f"Commits of the whole run: {meter.commits_in_all()} and one for each of {meter.connections} connections "
        f"counted by us,\n{database_commits} by PostgreSQL, which also counts the few times that the driver prepares "
        "a statement for the first time."
    )


def rates_table(rates: Rates) -> str:
    rows: list[Row] = [("measured", "per second", "temporal", "worker", "postgres", "CPU ms each", "of an empty one")]
    for rate in (rates.empty, *rates.orders):
        rows.append(
            (
                _name(rate),
                f"{rate.per_second:.1f}",
                *(f"{rate.cpu_ms(seconds):.1f}" for seconds in (*rate.cpu[:3], rate.cpu.total)),
                f"{_ratio(rate, rates.empty):.1f} x CPU",
            )
        )
    idle = rates.idle
    return (
        f"{table(rows)}\n\n"
        f"{rates.empty.played} of each, {rates.workers} worker process(es). Idle, all of it takes "
        f"{1000 * idle.total:.0f} ms CPU a second\n"
        f"(temporal {1000 * idle.temporal:.0f}, worker {1000 * idle.worker:.0f}, postgres {1000 * idle.postgres:.0f}), "
        "which is part of the figures above."
    )


def waits_table(measured: Mapping[str, Rates]) -> str:
    """From placing to confirmed, by what each was measured on; `Refused` answers asked again count as waiting."""
    rows: list[Row] = [("from placing to confirmed, ms", "p50", "p99", "p50 of an empty one", "p99")]
    for where, rates in measured.items():
        for waits in rates.waits:
            order, empty = waits.order, waits.empty
            cells = (f"{ms:.0f}" for ms in (order.p50, order.p99, empty.p50, empty.p99))
            rows.append((f"{where}: {waits.load}", *cells))
    return table(rows)


def reference_table(ours: Rates, counts: Sequence[Counts], theirs: Reference) -> str:
    """Parcel by parcel: an order of ours with one seller beside one of theirs with one shipment."""
    rows: list[Row] = [("beside the reference application", "1 parcel", "theirs", "2 parcels", "theirs")]
    counted = list(zip(counts, theirs.counts, strict=True))
    rates = list(zip(ours.orders, theirs.rates, strict=True))

    def row(name: str, pairs: Iterable[Iterable[object]]) -> None:
        rows.append((name, *(str(cell) for pair in pairs for cell in pair)))

    row("workflows", [(1, their.workflows) for _, their in counted])
    row("history events", [(our.history.total, their.events) for our, their in counted])
    row("workflow tasks", [(our.history.workflow_tasks, their.workflow_tasks) for our, their in counted])
    row("history bytes", [(f"{our.history.history_bytes:,}", f"{their.history_bytes:,}") for our, their in counted])
    row("server CPU, ms", [(f"{server_ms(our):.0f}", f"{server_ms(their):.0f}") for our, their in rates])
    row(f"  our aim: <= {_CPU_AIM} x", [(times(server_ms(our) / server_ms(their)), "") for our, their in rates])
    row("CPU of all, ms", [[f"{one.cpu_ms(one.cpu.total):.0f}" for one in pair] for pair in rates])
    row("orders per second", [[f"{one.per_second:.1f}" for one in pair] for pair in rates])
    row(f"  our aim: >= {_RATE_AIM} x", [(times(our.per_second / their.per_second), "") for our, their in rates])
    return f"{table(rows)}\n\n{workers(ours.workers)} of ours, one of theirs."


def server_ms(rate: Rate) -> float:
    """CPU of Temporal and of what keeps its state, for one order."""
    return rate.cpu_ms(rate.cpu.temporal + rate.cpu.temporal_database)


def times(ratio: float) -> str:
    return f"{ratio:.2f} x"


def workers(number: int) -> str:
    return "1 worker" if number == 1 else f"{number} workers"


def placing_table(placing: Placing) -> str:
    bare, http = placing.bare, placing.http
    rows: list[Row] = [
        ("placing, one at a time", "median", "CPU of all"),
        ("bare start_workflow", f"{bare.latency:.1f} ms", f"{bare.cpu:.1f} ms"),
        ("POST /v1/orders", f"{http.latency:.1f} ms", f"{http.cpu:.1f} ms"),
        ("  our aim: <= 2.0 x", f"{http.latency / bare.latency:.1f} x", f"{http.cpu / bare.cpu:.1f} x"),
    ]
    return f"{table(rows)}\n\n{placing.orders} of each in turn, without a worker."


def history_line(counts: Sequence[Counts], rates: Rates, today: date) -> str:
    """For `HISTORY.md`: counts for one and two sellers, then ratios, which other machines can be compared by."""
    one, two = counts
    ratios = " / ".join(f"{_ratio(rate, rates.empty):.1f}" for rate in rates.orders)
    speeds = " / ".join(f"{rate.per_second:.1f}" for rate in rates.orders)
    cells = [
        today.isoformat(),
        f"{one.history.total} / {two.history.total}",
        f"{one.history.workflow_tasks} / {two.history.workflow_tasks}",
        f"{one.history.regular_activities} / {two.history.regular_activities}",
        f"{one.history.local_activities} / {two.history.local_activities}",
        f"{one.history.history_bytes:,} / {two.history.history_bytes:,}",
        f"{one.history.payload_bytes:,} / {two.history.payload_bytes:,}",
        f"{one.sql.of_steps()[0]} / {two.sql.of_steps()[0]}",
        f"{one.sql.of_steps()[1]} / {two.sql.of_steps()[1]}",
        speeds,
        " / ".join(f"{server_ms(rate):.0f}" for rate in rates.orders),
        ratios,
    ]
    return f"| {' | '.join(cells)} |\n"


def _sellers(number: int) -> str:
    return "1 seller" if number == 1 else f"{number} sellers"


def _name(rate: Rate) -> str:
    return "empty workflow" if rate.what == "empty" else f"order, {_sellers(int(rate.what))}"


def _ratio(rate: Rate, empty: Rate) -> float:
    return rate.cpu_ms(rate.cpu.total) / empty.cpu_ms(empty.cpu.total)


def _names(counts: Iterable[Iterable[str]]) -> list[str]:
    """Each once, in the order of their first appearance."""
    return list(dict.fromkeys(name for names in counts for name in names))


def table(rows: Sequence[Row]) -> str:
    """The first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
