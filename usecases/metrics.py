"""What a process tells Prometheus: what it counted itself, and what it last saw in the database.

No label holds an id: statuses, words, kinds, activities, route templates and codes are bounded by the code. Counters
are each process's own and are summed. What was seen in the database is the same for every worker, and is looked at by
`max`; it disappears from the answer when it is too old to be true.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.steps import CloseInput, DeliveryInput, Step
from domain.effects import HandOver
from domain.outbox import OutboxKind
from domain.reconciling import DeadOrder, Found, HalfWritten, HeldMoney, MendedStock, ReconcileInput
from domain.requests import LabelOutcome, PaymentOutcome, RecordedOrder, Reservation, Unavailable
from store.database import Database
from store.gauges import Observation

LOOK_SECONDS = 15.0
STALE_SECONDS = 3 * LOOK_SECONDS
"""What was seen longer ago than this is told no more."""

SCHEDULE_LOOK_SECONDS = 30.0
"""A list of Temporal's, of which a server answers ten a second to everybody."""

RECONCILED = (
    *("taken_up", "rewritten", "stock_released", "level_mended", "voided"),
    *("held_back", "ended", "without_rows", "level_not_mended"),
)
"""The words of `docs/operations.md`: what is mended, and what is left to a person and counted by each run anew."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

logger = logging.getLogger(__name__)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a time per series, which nobody asks for


class Meters:
    """All metrics of a process, in a registry of its own."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.seen = Seen()
        self.registry.register(self.seen)
        self.registry.register(_Troubles(database))
        in_use = Gauge(
            "openorders_database_connections_in_use", "Connections of the pool in use.", registry=self.registry
        )
        in_use.set_function(lambda: database.connections_in_use)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"openorders_{name}", text, labels, registry=self.registry)

        # An activity may run again, so that these may count a little more than there were; the rows are exact.
        self.activities = counter("activities", "Tries of activities.", "activity", "party", "outcome")
        self.recorded = counter("orders_recorded", "Orders that were recorded, or refused.", "verdict")
        self.ended = counter("orders_ended", "Orders that have ended.", "status")
        self.checks = counter("inventory_checks", "Inventory checks.", "outcome")
        self.short_units = counter("inventory_short_units", "Units that inventory checks came out short of.")
        self.parcels = counter("parcels_handed_over", "Parcels handed to a carrier.")
        self.outbox = counter("outbox_tries", "Tries to send a row of the outbox.", "kind", "outcome")
        self.reconciled = counter("reconciled", "What reconciliation mended, or found and left to a person.", "kind")
        for kind in RECONCILED:
            self.reconciled.labels(kind)  # an alert on an increase misses the first of a series that was not there
        self.requests = counter("http_requests", "Requests answered.", "method", "route", "status")
        self.request_seconds = Histogram(
            "openorders_http_request_seconds",
            "From a request to the beginning of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )

    def reconciled_at(self, every_minutes: float) -> Gauge:
        """For a process that keeps the schedule. 0, long ago, until it is known: that nobody knows rings, too."""

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"openorders_reconciliation_{name}", text, registry=self.registry)

        gauge("interval_seconds", "How often the schedule is to run.").set(60 * every_minutes)
        text = "When the schedule's last run ended well, or the schedule was made."
        return gauge("last_success_timestamp_seconds", text)

    def text(self) -> bytes:
        """For Prometheus. Callable from any thread."""
        return generate_latest(self.registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is the template; whoever makes methods up makes no new series."""
        known = method if method in _METHODS else "other"
        self.requests.labels(known, route, str(status)).inc()
        self.request_seconds.labels(known, route).observe(seconds)

    def outbox_try(self, kind: OutboxKind, outcome: str) -> None:
        self.outbox.labels(kind.value, outcome).inc()


class Seen(Collector):
    """The last look at the database, as long as it is fresh."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[float, Observation] | None = None
        self._up: bool | None = None  # before the first look, and where nobody looks

    def saw(self, observation: Observation) -> None:
        self._last = (self._clock(), observation)
        self._up = True

    def failed(self) -> None:
        self._up = False

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        if self._up is None:
            return
        yield _gauge("database_up", "Whether the last look at the database was answered.", float(self._up))
        if self._last is None or self._clock() - self._last[0] > STALE_SECONDS:
            return
        age, seen = self._clock() - self._last[0], self._last[1]
        yield _gauge("observation_age_seconds", "Since what follows was seen in the database.", age)
        by_status = {one.status: one for one in seen.open_orders}
        yield _labeled("open_orders", "Open orders.", "status", {k: v.orders for k, v in by_status.items()})
        yield _labeled(
            "oldest_open_order_seconds",
            "Since the oldest open order was recorded.",
            "status",
            {status: one.oldest_seconds for status, one in by_status.items()},
        )
        late = {
            "ship": sum(one.late_to_ship for one in seen.open_orders),
            "deliver": sum(one.late_to_deliver for one in seen.open_orders),
        }
        yield _labeled("late_orders", "Open orders past their ship-by, or past their promise.", "what", late)
        yield _labeled("attention_orders", "Orders that need a person, by reason.", "word", dict(seen.attention))
        yield _labeled("outbox_waiting", "Not sent.", "kind", {one.kind: one.waiting for one in seen.outbox})
        yield _labeled(
            "outbox_lag_seconds",
            "Since the oldest that is not sent was written, or due.",
            "kind",
            {one.kind: one.oldest_seconds for one in seen.outbox},
        )
        yield _labeled("outbox_failed", "Given up for good.", "kind", {one.kind: one.failed for one in seen.outbox})
        yield _gauge("backorders_waiting", "Lines that wait for stock to come in.", seen.backorders)
        yield _gauge(
            "money_unsettled_seconds",
            "Since the longest waiting movement of money was asked for.",
            seen.unsettled_seconds,
        )
        yield _gauge("insights_changes_waiting", "Changed orders not counted yet.", seen.insights_waiting)
        yield _gauge("insights_lag_seconds", "By how much insights are behind.", seen.insights_lag_seconds)


class _Troubles(Collector):
    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "openorders_database_troubles", "Statements that met trouble which passes.", labels=["code"]
        )
        # The usual ones from the start: an alert on an increase misses the first of a series that was not there.
        for code in {"40P01", "57014", "connection", "pool", *list(self._database.troubles)}:
            family.add_metric([code], self._database.troubles[code])
        yield family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"openorders_{name}", text, value=value)


def _labeled(name: str, text: str, label: str, values: dict[str, Any]) -> Metric:
    family = GaugeMetricFamily(f"openorders_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


class Observes(Protocol):
    """Satisfied by the store."""

    async def observe(self) -> Observation: ...


async def keep_looking(
    gauges: Observes, seen: Seen, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Until cancelled: what is in the database, every `LOOK_SECONDS`."""
    while True:
        try:
            seen.saw(await gauges.observe())
        except Unavailable:
            seen.failed()
        except Exception:
            # A bug here must not end the process that orders run in; `openorders_database_up` tells of it.
            seen.failed()
            logger.exception("what operators watch could not be looked at")
        await sleep(LOOK_SECONDS)


async def keep_looking_at_schedule(
    last_finished: Callable[[], Awaitable[datetime | None]],
    finished_at: Gauge,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Until cancelled: when reconciliation last came to its end, as Temporal has it, whichever worker ran it.

    What is known stays where Temporal does not answer, or has deleted the run: it grows older meanwhile.
    """
    known = 0.0
    while True:
        try:
            if (finished := await last_finished()) is not None:
                known = max(known, finished.timestamp())
                finished_at.set(known)
        except Unavailable:
            pass  # `/readyz` tells of it
        except Exception:
            # As above: orders run in this process.
            logger.exception("when reconciliation last ended could not be looked up")
        await sleep(SCHEDULE_LOOK_SECONDS)


class ActivityMeter(Interceptor):
    """Counts what activities came to, and says it in the log at DEBUG, beside them: they know nothing of it."""

    def __init__(self, meters: Meters, parties: Mapping[str, str]) -> None:
        """`parties`: activity to the outside party that it asks; all others are steps in the store."""
        self._meters = meters
        self._parties = parties

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _CountedActivities(next, self._meters, self._parties)


class _CountedActivities(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, meters: Meters, parties: Mapping[str, str]) -> None:
        super().__init__(next)
        self._meters = meters
        self._parties = parties

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        outcome = "failed"
        try:
            answer = await super().execute_activity(input)
            outcome = "refused" if _is_refusal(answer) else "done"
        except Unavailable:
            outcome = "unavailable"
            raise
        except asyncio.CancelledError:
            outcome = "timed_out"
            raise
        finally:
            name = activity.info().activity_type
            self._meters.activities.labels(name, self._parties.get(name, "store"), outcome).inc()
            logger.debug("an activity ended", extra={"outcome": outcome})
        _count(self._meters, input.args[0] if input.args else None, answer)
        return answer


def _is_refusal(answer: object) -> bool:
    match answer:
        case PaymentOutcome():
            return bool(answer.declined)
        case LabelOutcome():
            return answer.label is None
    return False


def _count(meters: Meters, given: object, answer: object) -> None:
    match given, answer:
        case _, RecordedOrder():
            meters.recorded.labels(answer.verdict).inc()
        case _, Reservation():
            short = sum(one.quantity for one in answer.shortages)
            meters.checks.labels("short" if short else "reserved").inc()
            meters.short_units.inc(short)
        case Step(effect=HandOver() as handover), _:
            meters.parcels.inc(len(handover.parcel_ids))
        case ReconcileInput(dry_run=False), (Found() | MendedStock()) as found:
            for kind, number in _found(found).items():
                meters.reconciled.labels(kind).inc(number)
        case DeadOrder(), True:
            meters.reconciled.labels("taken_up").inc()
        case HalfWritten(), True:
            meters.reconciled.labels("rewritten").inc()
        case HeldMoney(), None:
            meters.reconciled.labels("voided").inc()
        case CloseInput() | DeliveryInput(), _ if given.result is not None:
            meters.ended.labels(given.result.status).inc()


def _found(found: Found | MendedStock) -> dict[str, int]:
    """Orders or levels, not units: how many of each kind one look came to."""
    if isinstance(found, MendedStock):
        return {
            "stock_released": found.orders_count,
            "level_mended": found.levels_count,
            "level_not_mended": found.not_mended_count,
        }
    return {
        "held_back": found.held_back_count,
        "ended": found.ended_count,
        "without_rows": found.without_rows_count,
    }
