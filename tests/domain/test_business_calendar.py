"""Operating days, public holidays, and where a day ends when the clocks change."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.business_calendar import (
    add_operating_days,
    calendar_refusal,
    end_of_day,
    is_operating_day,
    local_day,
    next_operating_day,
    start_of_day,
)
from domain.shipping import WEEK, HandlingProfile, TransitCalendar, TransitTime, WorkingDays

NEW_YORK = WorkingDays(time_zone="America/New_York", holiday_country="US")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


def test_a_public_holiday_and_its_observed_day_are_closed() -> None:
    assert not is_operating_day(date(2025, 7, 4), NEW_YORK)
    assert not is_operating_day(date(2021, 12, 31), NEW_YORK)  # New Year's Day was a Saturday
    assert is_operating_day(date(2025, 7, 3), NEW_YORK)


def test_holidays_of_a_state_count_only_there() -> None:
    revolution = date(2025, 7, 9)  # of 1932, in the state of São Paulo
    brazil = WorkingDays(time_zone="America/Sao_Paulo", holiday_country="BR")
    state = brazil.model_copy(update={"holiday_subdivision": "SP"})
    assert is_operating_day(revolution, brazil)
    assert not is_operating_day(revolution, state)


def test_without_a_country_no_day_is_a_holiday() -> None:
    assert is_operating_day(date(2025, 12, 25), WorkingDays(time_zone="UTC"))


def test_a_closed_date_is_skipped() -> None:
    inventory = WorkingDays(time_zone="UTC", closed_dates=(date(2025, 6, 2), date(2025, 6, 3)))
    assert next_operating_day(date(2025, 5, 30), inventory) == date(2025, 6, 4)


def test_operating_days_are_counted_over_a_weekend_and_a_holiday() -> None:
    assert add_operating_days(date(2025, 7, 3), 2, NEW_YORK) == date(2025, 7, 8)
    assert add_operating_days(date(2025, 7, 4), 0, NEW_YORK) == date(2025, 7, 4)


def test_a_calendar_that_never_opens_is_an_error_and_no_endless_search() -> None:
    every_day = tuple(date(2025, 1, 1) + timedelta(days=n) for n in range(400))
    shut = WorkingDays(time_zone="UTC", closed_dates=every_day)
    with pytest.raises(ValueError, match="closed_dates leave no operating day"):
        next_operating_day(date(2025, 1, 1), shut)


@pytest.mark.parametrize(
    ("country", "subdivision", "field"),
    [("ZZ", None, "holiday_country"), ("US", "Bavaria", "holiday_subdivision")],
)
def test_holidays_that_are_not_known_are_named(country: str, subdivision: str | None, field: str) -> None:
    calendar = WorkingDays(time_zone="UTC", holiday_country=country, holiday_subdivision=subdivision)
    refusal = calendar_refusal(calendar)
    assert refusal is not None
    assert refusal.startswith(field)
    with pytest.raises(ValueError, match=field):
        is_operating_day(date(2025, 6, 2), calendar)


def test_holidays_that_are_known_are_not_refused() -> None:
    assert calendar_refusal(NEW_YORK) is None
    assert calendar_refusal(WorkingDays(time_zone="UTC")) is None


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2025, 3, 9), 23), (date(2025, 3, 10), 24), (date(2025, 11, 2), 25)],
)
def test_a_day_in_new_york_is_as_long_as_its_clocks_say(day: date, hours: int) -> None:
    begin, end = start_of_day(day, NEW_YORK.zone), end_of_day(day, NEW_YORK.zone)
    assert end - begin == timedelta(hours=hours) - timedelta(seconds=1)


def test_a_day_begins_at_one_where_the_clocks_skip_midnight() -> None:
    begin = start_of_day(date(2017, 10, 15), SAO_PAULO)
    assert begin == datetime(2017, 10, 15, 3, tzinfo=UTC)
    assert begin.astimezone(SAO_PAULO).hour == 1


def test_a_day_ends_with_the_second_of_two_last_hours() -> None:
    end = end_of_day(date(2018, 2, 17), SAO_PAULO)
    assert end == datetime(2018, 2, 18, 2, 59, 59, tzinfo=UTC)
    assert local_day(end, SAO_PAULO) == date(2018, 2, 17)


@given(
    day=st.dates(date(2000, 1, 1), date(2037, 12, 31)),
    zone=st.sampled_from(["America/Sao_Paulo", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "UTC"]).map(
        ZoneInfo
    ),
)
def test_days_follow_each_other_without_gap(day: date, zone: ZoneInfo) -> None:
    begin, end = start_of_day(day, zone), end_of_day(day, zone)
    assert local_day(begin, zone) == day == local_day(end, zone)
    assert end + timedelta(seconds=1) == start_of_day(day + timedelta(days=1), zone)
    assert local_day(begin - timedelta(seconds=1), zone) == day - timedelta(days=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "America"),
        ("time_zone", ""),
        ("time_zone", "../etc/passwd"),
        ("time_zone", "/etc/localtime"),
        ("time_zone", "localtime"),
        ("time_zone", "right/UTC"),
        ("time_zone", "UTC\x00"),
        ("time_zone", "+03:00"),
        ("time_zone", "é" * 64),
        ("weekdays", []),
        ("weekdays", ["Mon", "Tue", "Wed", "Thu", "Sat"]),
        ("weekdays", ["Monday"]),
        ("handling_days", -1),
        ("handling_days", "2"),
        ("cutoff_local", "12:00:00-03:00"),
        ("cutoff_local", "25:00"),
        ("holiday_country", "usa"),
        ("holiday_subdivision", "SP"),
        ("closed_dates", ["2025-02-30"]),
        ("opens", "09:00"),
    ],
)
def test_a_profile_with_a_fault_is_refused_by_the_name_of_the_field(field: str, value: Any) -> None:
    profile = json.dumps({"time_zone": "UTC", field: value})
    with pytest.raises(ValidationError) as refused:
        HandlingProfile.model_validate_json(profile)
    assert field in str(refused.value)


def test_weekdays_are_kept_in_the_order_of_the_week() -> None:
    calendar = TransitCalendar(time_zone="UTC", weekdays=(*reversed(WEEK), *WEEK))
    assert calendar.weekdays == WEEK


def test_a_transit_time_is_in_order() -> None:
    with pytest.raises(ValidationError, match="min_days 3 is more than max_days 2"):
        TransitTime(min_days=3, max_days=2)
