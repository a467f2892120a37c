"""What became of replayed orders, held against the files: each difference with the rule that explains it, or none.

Pure. The rules are those of docs/olist.md. Facts are compared to the second: when an order was handed over and when it
arrived, as the engine's rows say. What the engine noticed by its own timers, a missed ship-by or a missed promise, is
compared too; there the replay's lag may explain a difference, where it reaches from the moment to the limit.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.model import Frozen
from domain.state import OrderStatus
from domain.units import Place
from store.standings import Standing
from usecases.olist import Event, OlistOrder, Recorded
from usecases.replay import Lag, Turndown, is_paid_later
from usecases.replay_moves import CARRIER

WORDS = ("authorized", "handed_over", "delivered", "ship_by_missed", "delayed", "carrier_event")
"""The entries of the timeline that are compared."""

TIMER_SECONDS = 3.0
"""A timer of the server may ring this late, and a message overtake it."""

REFUSED = "(no order)"

_IN_OUR_WORDS = {
    "delivered": OrderStatus.DELIVERED,
    "shipped": OrderStatus.SHIPPED,
    "invoiced": OrderStatus.UNSHIPPED,
    "processing": OrderStatus.UNSHIPPED,
    "approved": OrderStatus.UNSHIPPED,
    "created": OrderStatus.PENDING,
    "canceled": OrderStatus.CANCELED,
    "unavailable": OrderStatus.UNFULFILLABLE,
}

_PLACE = {
    OrderStatus.PENDING: Place.PENDING,
    OrderStatus.UNSHIPPED: Place.RESERVED,
    OrderStatus.SHIPPED: Place.SHIPPED,
    OrderStatus.DELIVERED: Place.DELIVERED,
    OrderStatus.CANCELED: Place.CANCELLED,
    OrderStatus.UNFULFILLABLE: Place.CANCELLED,
}


class Difference(Frozen):
    """Where the files say one thing and the engine another; without a rule nobody knows why."""

    order_id: str
    about: str
    files: str
    engine: str
    rule: str | None


class End(Frozen):
    """How an order ended, or stands at its last recorded moment: the same however often a worker died meanwhile."""

    order_id: str
    status: str
    closed: bool
    units: dict[str, int]
    authorized: int
    captured: int
    refunded: int
    voided: int
    handed_over_at: datetime | None
    handed_over_late: bool
    delivered_at: datetime | None
    delivered_late: bool


class ReplayReport(Frozen):
    folder: str
    factor: float
    orders: int
    seconds: float
    files: dict[str, int]
    """Orders by their status in the files."""

    expected: dict[str, int]
    """By the status that docs/olist.md has them end in."""

    actual: dict[str, int]
    units: int
    captured: int
    """Minor units, of all orders."""

    handed_over_late: int
    delivered_late: int
    rules: dict[str, int]
    """Differences by the rule that explains them."""

    unexplained: int
    lag_answered: Lag | None
    """The largest from when a message was due to its answer, of those that this run sent."""

    lag_heard: Lag | None
    """The largest by the orders' own timelines: from when it happened to when the order heard of it."""

    violations: tuple[str, ...]
    refused: tuple[Turndown, ...]
    differences: tuple[Difference, ...]
    ends: tuple[End, ...]

    @property
    def ok(self) -> bool:
        return not self.unexplained and not self.violations and not self.refused


def differences(order: OlistOrder, standing: Standing | None, largest_lag: Lag | None = None) -> list[Difference]:
    """All of one order; the largest lag of the whole run tells how long its worker may have been away."""
    if order.recorded is None or order.expected.status is None:
        return [_never_an_order(order, standing)]
    comparison = _Comparison(order, order.recorded, order.expected.status, largest_lag)
    if standing is None:
        return [comparison.says("status", order.recorded.status, "was never recorded", None)]
    return [
        *comparison.of_status(standing),
        *comparison.of_units(standing),
        *comparison.of_money(standing),
        *comparison.of_moments(standing),
        *comparison.of_lateness(standing),
        *comparison.of_alarms(standing),
        *comparison.of_scans(standing),
    ]


def is_as_expected(order: OlistOrder, standing: Standing | None, largest_lag: Lag | None = None) -> bool:
    """Nothing more is to be waited for."""
    return all(difference.rule is not None for difference in differences(order, standing, largest_lag))


def end_of(standing: Standing) -> End:
    return End.model_validate(standing.model_dump(include=set(End.model_fields)))


def lag_heard(played: Iterable[OlistOrder], standings: Mapping[str, Standing]) -> Lag | None:
    lags = [
        lag
        for order in played
        if (standing := standings.get(order.order_id)) is not None
        for event in order.events
        if (lag := _lag_of(order, event, standing)) is not None
    ]
    return max(lags, key=lambda lag: lag.seconds, default=None)


def counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def report_on(
    folder: str,
    factor: float,
    seconds: float,
    played: Sequence[OlistOrder],
    standings: Mapping[str, Standing],
    *,
    lag_answered: Lag | None = None,
    violations: Sequence[str] = (),
    refused: Sequence[Turndown] = (),
) -> ReplayReport:
    found = [one for order in played for one in differences(order, standings.get(order.order_id), lag_answered)]
    ends = tuple(end_of(standings[order.order_id]) for order in played if order.order_id in standings)
    return ReplayReport(
        folder=folder,
        factor=factor,
        orders=len(played),
        seconds=round(seconds, 1),
        files=counted(order.recorded.status if order.recorded else "(unreadable)" for order in played),
        expected=counted(str(order.expected.status or REFUSED) for order in played),
        actual=counted(
            standings[order.order_id].status if order.order_id in standings else REFUSED for order in played
        ),
        units=sum(sum(end.units.values()) for end in ends),
        captured=sum(end.captured for end in ends),
        handed_over_late=sum(end.handed_over_late for end in ends),
        delivered_late=sum(end.delivered_late for end in ends),
        rules=counted(one.rule for one in found if one.rule is not None),
        unexplained=sum(one.rule is None for one in found),
        lag_answered=lag_answered,
        lag_heard=lag_heard(played, standings),
        violations=tuple(violations),
        refused=tuple(refused),
        differences=tuple(found),
        ends=ends,
    )


# -- one order ----------------------------------------------------------------------------


def _never_an_order(order: OlistOrder, standing: Standing | None) -> Difference:
    return Difference(
        order_id=order.order_id,
        about="status",
        files=order.recorded.status if order.recorded else "(unreadable)",
        engine=standing.status if standing else REFUSED,
        rule=None if standing else order.expected.rule,
    )


class _Money(NamedTuple):
    authorized: int
    captured: int
    refunded: int
    voided: int


class _Comparison:
    def __init__(self, order: OlistOrder, recorded: Recorded, status: OrderStatus, largest_lag: Lag | None) -> None:
        self._order = order
        self._seconds_away = max(TIMER_SECONDS, largest_lag.seconds if largest_lag else 0.0)
        self._recorded = recorded
        self._status = status
        self._events = {event.what: event for event in order.events}

    def says(self, about: str, files: object, engine: object, rule: str | None) -> Difference:
        return Difference(
            order_id=self._order.order_id, about=about, files=_text(files), engine=_text(engine), rule=rule
        )

    def of_status(self, standing: Standing) -> Iterable[Difference]:
        expected = self._order.expected
        if (standing.status, standing.closed) != (expected.status, expected.closed):
            yield self.says(
                "status", _ended(self._status, expected.closed), _ended(standing.status, standing.closed), None
            )
        elif standing.status != _IN_OUR_WORDS.get(self._recorded.status):
            yield self.says("status", self._recorded.status, standing.status, expected.rule)

    def of_units(self, standing: Standing) -> Iterable[Difference]:
        expected = {_PLACE[self._status].value: self._recorded.units}
        if standing.units != expected:
            yield self.says("units", expected, standing.units, None)

    def of_money(self, standing: Standing) -> Iterable[Difference]:
        """The files know what was paid, not what became of it: charged is what left, and the rest given back."""
        paid = self._recorded.paid
        if paid is None:
            paid = standing.total
            yield self.says(
                "money", "no payment rows", paid, "no payment rows: one prepaid payment of items and freight"
            )
        held = paid if self._recorded.paid_at is not None else 0
        left = self._status in (OrderStatus.SHIPPED, OrderStatus.DELIVERED)
        given_back = self._status in (OrderStatus.CANCELED, OrderStatus.UNFULFILLABLE)
        expected = _Money(held, captured=held if left else 0, refunded=0, voided=held if given_back else 0)
        actual = _Money(standing.authorized, standing.captured, standing.refunded, standing.voided)
        if actual != expected:
            yield self.says("money", expected._asdict(), actual._asdict(), None)
        if standing.unpaid or standing.total != paid:
            yield self.says("total", paid, f"{standing.total}, {standing.unpaid} unpaid", None)

    def of_moments(self, standing: Standing) -> Iterable[Difference]:
        yield from self._moment("handed", self._recorded.handed_at, standing.handed_over_at)
        yield from self._moment("delivered", self._recorded.delivered_at, standing.delivered_at)
        if standing.presumed_delivered:
            yield self.says("delivered", self._recorded.delivered_at, "presumed", None)
        approved = self._recorded.approved_at
        if "approved" in self._events and approved != self._events["approved"].at:
            rule = "handed over before its approval: approved with the handoff" if approved else "handed over, so paid"
            yield self.says("approved", approved, self._events["approved"].at, rule)

    def _moment(self, what: str, recorded: datetime | None, actual: datetime | None) -> Iterable[Difference]:
        played = self._events[what].at if what in self._events else None
        if actual != played:
            yield self.says(what, played, actual, None)
        elif actual != recorded:
            yield self.says(what, recorded, actual, self._moment_rule(what))

    def _moment_rule(self, what: str) -> str:
        if what == "handed":
            if self._recorded.handed_at is None:
                return "no date of handoff: with its delivery"
            return "handed over before its purchase: at the purchase"
        if self._recorded.delivered_at is None:
            return "delivered without a date: on its estimated day"
        return "delivered before its handoff: with the handoff"

    def of_lateness(self, standing: Standing) -> Iterable[Difference]:
        """By the dates of the files and by those of the engine, which may differ where a moment had to be moved."""
        moved = {one.about for one in self.of_moments(standing)}
        for what, recorded, actual in (
            ("handed", self._recorded.handed_late, standing.handed_over_late),
            ("delivered", self._recorded.delivered_late, standing.delivered_late),
        ):
            if what in self._events and actual != bool(recorded):
                rule = self._moment_rule(what) if what in moved else None
                yield self.says(f"{what} late", bool(recorded), actual, rule)

    # -- what the engine's timers noticed ----------------------------------------------------

    def of_alarms(self, standing: Standing) -> Iterable[Difference]:
        ship_by, handed = self._recorded.promised_ship_by, standing.handed_over_at
        if ship_by is None or handed is None:
            return
        yield from self._alarm(standing, "ship_by_missed", "handed_over", handed, ship_by)
        if standing.delivered_at is not None:
            # What left late is expected that much later.
            expected = self._recorded.promised_by + max(timedelta(0), handed - ship_by)
            yield from self._alarm(standing, "delayed", "delivered", standing.delivered_at, expected)

    def _alarm(
        self, standing: Standing, alarm: str, word: str, happened: datetime, limit: datetime
    ) -> Iterable[Difference]:
        rang = any(entry.what == alarm for entry in standing.heard)
        late = happened > limit
        if rang == late:
            return
        heard = max((entry.received_at for entry in standing.heard if entry.what == word), default=happened)
        rule = None
        if rang and heard >= limit:
            rule = f"{alarm} rang: it happened in time, and the replay's lag let the order hear of it after the limit"
        # A worker that was away at the limit finds the timer and the message at once when it is back.
        away = max(heard - happened, timedelta(seconds=self._seconds_away * standing.factor))
        if not rang and happened - limit <= away:
            rule = f"{alarm} did not ring: the message overtook the timer"
        yield self.says(alarm, late, rang, rule)

    def of_scans(self, standing: Standing) -> Iterable[Difference]:
        scans = sum(entry.what == "carrier_event" and entry.who != CARRIER for entry in standing.heard)
        if scans:
            yield self.says("scans", 0, scans, None)


_HEARD_AS = {"approved": "authorized", "handed": "handed_over", "delivered": "delivered"}


def _lag_of(order: OlistOrder, event: Event, standing: Standing) -> Lag | None:
    """By the timeline, where the entry says when the order heard of it. An approval with the purchase is none."""
    assert order.recorded is not None
    word = _HEARD_AS.get(event.what)
    if word is None or (event.what == "approved" and not is_paid_later(order.recorded)):
        return None
    heard = [entry.received_at for entry in standing.heard if entry.what == word]
    if not heard:
        return None
    lag = max(heard) - event.at
    return Lag(
        order_id=order.order_id,
        what=event.what,
        seconds=round(lag.total_seconds() / standing.factor, 3),
        business_hours=round(lag.total_seconds() / 3600, 2),
    )


def _ended(status: str, closed: bool) -> str:
    return f"{status}, {'closed' if closed else 'open'}"


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(timespec="seconds")
        case dict():
            return ", ".join(f"{name} {one}" for name, one in value.items()) or "-"
        case _:
            return str(value)
