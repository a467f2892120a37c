"""Insights: days, shares, times, baskets, reasons and who may see what."""

import math
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.access import Caller, Scope
from domain.insights import Basis, Day, Topic, Window, basis_of, share, topics_of, window_of, window_until
from domain.insights_baskets import SIZE_MAX, lift, size_label, value_step, value_step_after
from domain.insights_cancellations import MARKETPLACE_REASONS, Reason, reason_of
from domain.insights_durations import GROWTH, PRECISION, bucket_of, middle_of, quantile
from domain.insights_reports import REPORTS, Kind, ReportName, ReportSpec, access_refusal, reports_for
from domain.order import role_of
from tests.domain.building import Luck, Shelf, Story, World, an_order, cart_line, open_story, story

TODAY = date(2026, 3, 10)


# -- days ------------------------------------------------------------------------------------


def test_thirty_days_until_today_where_no_days_are_given() -> None:
    assert window_of(None, None, TODAY) == Window(first=date(2026, 2, 9), last=TODAY)
    assert window_of(None, None, TODAY).days == 30
    assert window_of(None, date(2026, 1, 31), TODAY).first == date(2026, 1, 2)
    assert window_of(date(2026, 3, 10), None, TODAY).days == 1


def test_two_days_are_taken_in_either_order() -> None:
    first, last = date(2026, 1, 1), date(2026, 2, 1)
    assert window_of(last, first, TODAY) == window_of(first, last, TODAY) == Window(first=first, last=last)
    assert window_of(date(2026, 4, 1), None, TODAY) == Window(first=TODAY, last=date(2026, 4, 1))


def test_the_window_before_is_as_long_and_touches_it() -> None:
    window = window_until(TODAY, 7)
    assert window.before() == Window(first=date(2026, 2, 25), last=date(2026, 3, 3))
    assert window.before().last + timedelta(days=1) == window.first
    assert TODAY in window
    assert window.first - timedelta(days=1) not in window


@pytest.mark.parametrize("text", ["2026-11-01", "1970-01-01", "2199-12-31"])
def test_a_day_is_written_in_full(text: str) -> None:
    assert str(TypeAdapter(Day).validate_python(text)) == text


@pytest.mark.parametrize("text", ["0001-01-01", "2200-01-01", "2026-02-30", "20260101", "1768003200", "", "today"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Day).validate_python(text)


def test_every_topic_has_one_day() -> None:
    assert sorted(topic for basis in Basis for topic in topics_of(basis)) == sorted(Topic)
    assert basis_of(Topic.HANDOFFS) is Basis.SHIP_BY
    assert basis_of(Topic.DELIVERIES) is Basis.DELIVER_BY


def test_of_nothing_there_is_no_share() -> None:
    assert share(0, 0) is None
    assert share(0, 3) == 0
    assert share(1, 3) == pytest.approx(1 / 3, abs=1e-6)


# -- times -----------------------------------------------------------------------------------


@given(st.floats(min_value=1, max_value=10 * 365 * 86_400))
def test_a_bucket_tells_a_time_within_the_precision(seconds: float) -> None:
    assert abs(middle_of(bucket_of(seconds)) - seconds) / seconds < PRECISION


def test_what_takes_no_time_is_in_the_first_bucket() -> None:
    assert bucket_of(0) == bucket_of(0.5) == bucket_of(1) == 0


@given(st.lists(st.floats(min_value=1, max_value=1e7), min_size=1, max_size=200), st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_a_quantile_is_that_of_the_times_within_the_precision(times: list[float], q: float) -> None:
    buckets: dict[int, int] = {}
    for seconds in times:
        buckets[bucket_of(seconds)] = buckets.get(bucket_of(seconds), 0) + 1
    exact = sorted(times)[math.ceil(q * len(times)) - 1]
    assert abs(quantile(buckets, q) - exact) / exact < PRECISION


def test_days_are_added_up_by_adding_buckets() -> None:
    assert quantile({10: 1, 20: 1, 30: 1}, 0.5) == middle_of(20)
    assert quantile({10: 9, 20: 0, 30: 1}, 0.9) == middle_of(10)
    assert quantile({10: 9, 30: 1}, 0.95) == middle_of(30)
    assert middle_of(0) == pytest.approx(math.sqrt(GROWTH))


# -- baskets ---------------------------------------------------------------------------------


@given(st.integers(min_value=0, max_value=10**15))
def test_every_amount_lies_in_its_step(amount: int) -> None:
    step = value_step(amount)
    assert step <= amount < value_step_after(step)
    assert value_step(step) == step


def test_steps_are_1_2_and_5() -> None:
    steps = [0]
    while steps[-1] < 1_000:
        steps.append(value_step_after(steps[-1]))
    assert steps == [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


def test_large_baskets_are_counted_as_one_size() -> None:
    assert [size_label(size) for size in (1, 10, SIZE_MAX)] == ["1", "10", "11 or more"]


def test_lift_is_one_where_nobody_chooses_two_products_for_each_other() -> None:
    assert lift(together=10, first=100, second=100, orders=1_000) == 1
    assert lift(together=50, first=100, second=100, orders=1_000) == 5
    assert lift(together=0, first=0, second=4, orders=9) is None


# -- reasons ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "why", "after_shortage", "reason"),
    [
        ("customer", "", False, Reason.CUSTOMER),
        ("customer", "out of stock", True, Reason.OUT_OF_STOCK),
        ("customer", "payment declined", False, Reason.CUSTOMER),
        ("seller", "the seller did not ship in time", False, Reason.SELLER),
        ("marketplace", "the seller did not ship in time", False, Reason.LATE),
        ("marketplace", "payment declined", False, Reason.PAYMENT_DECLINED),
        ("marketplace", "not in stock in time", False, Reason.OUT_OF_STOCK),
        ("marketplace", "out of stock", True, Reason.OUT_OF_STOCK),
        ("marketplace", "fraud", False, Reason.STAFF),
        ("support", "", False, Reason.STAFF),
        ("backend", "", False, Reason.STAFF),
    ],
)
def test_a_reason_is_told_by_who_and_when_and_not_by_what_people_write(
    role: str, why: str, after_shortage: bool, reason: Reason
) -> None:
    assert reason_of(role, why, after_shortage=after_shortage) is reason


def _reason_of_the_last(told: Story) -> Reason:
    entries = told.state.entries
    last = max(entry.seq for entry in entries if entry.what == "cancelled")
    entry, before = entries[last - 1], entries[last - 2]
    return reason_of(role_of(entry.who), entry.why, after_shortage=before.what == "shortage_answered")


def _without_stock() -> Story:
    return Story(an_order(cart_line(quantity=2)), World([Shelf("acme-fbm", "acme", "MUG", 0)])).settle()


def test_the_orders_own_words_are_those_that_are_known() -> None:
    """What orders write when they cancel by a deadline, played once each."""
    late = open_story().later(days=60)
    assert _reason_of_the_last(late) is Reason.LATE
    declined = story()
    declined.world.luck = Luck(declined=frozenset({"1"}))
    assert _reason_of_the_last(declined.settle().later(days=60)) is Reason.PAYMENT_DECLINED
    unanswered = _without_stock().later(days=60)
    assert _reason_of_the_last(unanswered) is Reason.OUT_OF_STOCK
    waiting = _without_stock()
    waiting.send("choose_for_shortage", line_id="L1", choice="wait", by="customer")
    assert _reason_of_the_last(waiting.settle().later(days=365)) is Reason.OUT_OF_STOCK
    words = {entry.why for told in (late, declined, unanswered, waiting) for entry in told.state.entries}
    assert {*MARKETPLACE_REASONS} <= words


# -- who may see what --------------------------------------------------------------------------

ACME = Caller(scope=Scope.SELLER, key_id="k", seller="acme")
STAFF = [Caller(scope=scope, key_id="k") for scope in Scope if scope is not Scope.SELLER]


@pytest.mark.parametrize("report", REPORTS.values(), ids=lambda report: report.name)
def test_a_seller_sees_its_own_reports_and_no_others(report: ReportSpec) -> None:
    for seller in ("birch", "nobody-of-that-name"):
        assert access_refusal(ACME, seller, report) == "seller: this key is of acme"
    for own in (None, "acme"):
        assert (access_refusal(ACME, own, report) is None) is not report.not_for_sellers
    for caller in STAFF:
        assert access_refusal(caller, "birch", report) is access_refusal(caller, None, report) is None


def test_a_seller_is_not_told_of_reports_about_others() -> None:
    names = {spec.name for spec in reports_for(ACME)}
    assert names == {*ReportName} - {ReportName.SELLERS, ReportName.METRICS_BY_SELLER}
    assert {spec.name for spec in reports_for(STAFF[0])} == {*ReportName}


@pytest.mark.parametrize("report", REPORTS.values(), ids=lambda report: report.name)
def test_a_definition_is_a_sentence_or_two_and_money_has_its_currency(report: ReportSpec) -> None:
    assert report.definition.endswith(".")
    names = [column.name for column in report.columns]
    assert len(names) == len({*names})
    if any(column.kind is Kind.MONEY for column in report.columns):
        assert "currency" in names
