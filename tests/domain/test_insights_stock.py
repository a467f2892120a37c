"""Days of cover and reorder points, by hand and by what must always hold."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.insights_stock import Advice, Demand, Level, Plan, advice

HALF = Plan(lead_time_days=10, service_level=0.5)
"""No safety stock: z is 0."""


def demand(*units: int) -> Demand:
    return Demand(units=sum(units), squares=sum(one**2 for one in units), days=len(units))


def advised(wanted: Demand, available: int, waiting: int = 0, plan: Plan = Plan()) -> Advice:
    return advice(wanted, Level(available=available, waiting=waiting), plan)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=60))
def test_mean_and_deviation_are_those_of_the_days(units: list[int]) -> None:
    assert demand(*units).per_day == pytest.approx(statistics.mean(units))
    assert demand(*units).deviation == pytest.approx(statistics.stdev(units), abs=1e-6)


def test_a_textbook_example() -> None:
    """Ten a day give or take four, nine days until a delivery comes, 97.7 percent: 90 + 2 x 4 x 3 = 114."""
    wanted = Demand(units=300, squares=3_000 + 16 * 29, days=30)
    assert wanted.deviation == pytest.approx(4)
    plan = Plan(lead_time_days=9, service_level=0.9772)
    assert plan.z == pytest.approx(2, abs=1e-3)
    made = advised(wanted, 50, plan=plan)
    assert made == Advice(cover_days=5, safety_stock=24, reorder_point=114, reorder=True, missing=64)


def test_z_is_that_of_the_service_level() -> None:
    assert Plan(service_level=0.95).z == pytest.approx(1.645, abs=1e-3)
    assert Plan(service_level=0.99).z == pytest.approx(2.326, abs=1e-3)
    assert HALF.z == pytest.approx(0)


def test_what_nobody_wants_lasts_for_ever() -> None:
    made = advised(demand(0, 0, 0), 5)
    assert made == Advice(cover_days=None, safety_stock=0, reorder_point=0, reorder=False, missing=0)
    assert not advised(demand(0, 0, 0), 0).reorder


def test_without_stock_there_is_no_cover() -> None:
    made = advised(demand(1, 1, 1, 1), 0, plan=HALF)
    assert made == Advice(cover_days=0, safety_stock=0, reorder_point=10, reorder=True, missing=10)


def test_one_day_tells_no_deviation() -> None:
    assert demand(7).deviation == 0
    assert advised(demand(7), 100).safety_stock == 0


def test_the_point_itself_is_the_moment_to_order() -> None:
    assert advised(demand(1, 1), 11, plan=HALF).reorder is False
    made = advised(demand(1, 1), 10, plan=HALF)
    assert (made.reorder, made.missing) == (True, 0)


def test_units_that_are_waited_for_are_as_good_as_sold() -> None:
    made = advised(demand(2, 2), 6, waiting=10, plan=HALF)
    assert made == Advice(cover_days=0, safety_stock=0, reorder_point=20, reorder=True, missing=24)


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=40),
    st.integers(0, 1_000),
    st.floats(0.5, 365),
    st.floats(0.5, 0.999),
)
def test_more_patience_and_more_safety_never_order_later(
    units: list[int], available: int, lead: float, level: float
) -> None:
    plan = Plan(lead_time_days=lead, service_level=level)
    made = advised(demand(*units), available, plan=plan)
    assert made.reorder_point >= math.floor(demand(*units).per_day * lead)
    assert made.missing == max(made.reorder_point - available, 0)
    if lead <= 182 and level <= 0.9:
        longer = advised(demand(*units), available, plan=Plan(lead_time_days=2 * lead, service_level=level + 0.05))
        assert longer.reorder_point >= made.reorder_point


@pytest.mark.parametrize(
    "plan", [{"lead_time_days": 0}, {"lead_time_days": 366}, {"service_level": 1}, {"service_level": 0.4}]
)
def test_a_plan_has_its_limits(plan: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Plan(**plan)
