"""The promise at sale and the estimates after it, by Amazon's published rules."""

import json
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.business_calendar import end_of_day, is_operating_day, local_day
from domain.promise import delayed_estimate, estimate, latest_order_time, promise
from domain.shipping import (
    MONDAY_TO_FRIDAY,
    WEEK,
    Estimate,
    HandlingProfile,
    Promise,
    ShippingMethod,
    TransitCalendar,
    TransitTime,
    TransitTimes,
    Weekday,
)
from tests.data import data_folder

NEW_YORK, SAO_PAULO, KOLKATA = "America/New_York", "America/Sao_Paulo", "Asia/Kolkata"
MONDAY_TO_SATURDAY = (*MONDAY_TO_FRIDAY, Weekday.SATURDAY)

SAME_DAY = HandlingProfile(time_zone=NEW_YORK, handling_days=0, cutoff_local=time(12))
ONE_DAY = HandlingProfile(time_zone=NEW_YORK, handling_days=1)
CARRIER = TransitCalendar(time_zone=NEW_YORK)


def at(zone: str, day: str, clock: str = "00:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone))


def end(zone: str, day: str) -> datetime:
    return end_of_day(date.fromisoformat(day), ZoneInfo(zone))


def standard(placed_at: datetime, profile: HandlingProfile) -> Promise:
    return promise(placed_at, profile, ShippingMethod.STANDARD, CARRIER)


# The rules of amazon_rules.json, each under its id. 2 June 2025 is a Monday.


def test_rule_same_day_before_cutoff() -> None:
    placed_at = at(NEW_YORK, "2025-06-02", "11:00")
    assert standard(placed_at, SAME_DAY).ship_by == end(NEW_YORK, "2025-06-02")


def test_rule_same_day_after_cutoff() -> None:
    placed_at = at(NEW_YORK, "2025-06-02", "16:00")
    assert standard(placed_at, SAME_DAY).ship_by == end(NEW_YORK, "2025-06-03")


@pytest.mark.parametrize("clock", ["00:00", "11:59", "12:01", "23:59:59"])
def test_rule_one_business_day_handling(clock: str) -> None:
    placed_at = at(NEW_YORK, "2025-06-02", clock)
    assert standard(placed_at, ONE_DAY).ship_by == end(NEW_YORK, "2025-06-03")


def test_rule_customer_facing_cutoff() -> None:
    morning = at(NEW_YORK, "2025-06-02", "09:00")
    assert latest_order_time(morning, SAME_DAY) == at(NEW_YORK, "2025-06-02", "11:00")
    assert latest_order_time(morning, ONE_DAY) == at(NEW_YORK, "2025-06-02", "23:00")


def test_rule_weekends() -> None:
    placed_at = at(NEW_YORK, "2025-06-06", "15:00")  # a Friday
    open_on_saturday = ONE_DAY.model_copy(update={"weekdays": MONDAY_TO_SATURDAY})
    delivers_on_weekends = CARRIER.model_copy(update={"weekdays": WEEK})

    assert standard(placed_at, ONE_DAY).ship_by == end(NEW_YORK, "2025-06-09")
    assert standard(placed_at, open_on_saturday).ship_by == end(NEW_YORK, "2025-06-07")

    by_weekday = promise(placed_at, open_on_saturday, ShippingMethod.NEXT_DAY, CARRIER)
    by_sunday = promise(placed_at, open_on_saturday, ShippingMethod.NEXT_DAY, delivers_on_weekends)
    assert by_weekday.deliver_by == end(NEW_YORK, "2025-06-09")
    assert by_sunday.deliver_by == end(NEW_YORK, "2025-06-08")


def test_rule_total() -> None:
    """One day of handling and two of transit, with Independence Day and a weekend between."""
    profile = ONE_DAY.model_copy(update={"holiday_country": "US"})
    carrier = CARRIER.model_copy(update={"holiday_country": "US"})
    placed_at = at(NEW_YORK, "2025-07-02", "10:00")  # a Wednesday
    assert promise(placed_at, profile, ShippingMethod.TWO_DAY, carrier) == Promise(
        ship_by=end(NEW_YORK, "2025-07-03"),
        earliest_delivery=at(NEW_YORK, "2025-07-08"),
        deliver_by=end(NEW_YORK, "2025-07-08"),
    )


def test_every_published_rule_has_its_test() -> None:
    rules = json.loads((data_folder() / "amazon_rules.json").read_text())
    ids = [rule["id"] for rule in rules["ship_by_and_deliver_by_rules"]]
    assert ids
    assert [each for each in ids if f"test_rule_{each.replace('-', '_')}" not in globals()] == []


# Handling


def test_the_cutoff_itself_is_too_late() -> None:
    cutoff = at(NEW_YORK, "2025-06-02", "12:00")
    assert standard(cutoff, SAME_DAY).ship_by == end(NEW_YORK, "2025-06-03")
    just_before = cutoff - timedelta(microseconds=1)
    assert standard(just_before, SAME_DAY).ship_by == end(NEW_YORK, "2025-06-02")


@pytest.mark.parametrize("profile", [SAME_DAY, ONE_DAY])
@pytest.mark.parametrize("day", ["2025-06-07", "2025-06-08"])
def test_an_order_of_the_weekend_leaves_on_monday(profile: HandlingProfile, day: str) -> None:
    placed_at = at(NEW_YORK, day, "10:00")
    assert standard(placed_at, profile).ship_by == end(NEW_YORK, "2025-06-09")


def test_an_order_of_a_holiday_leaves_on_the_next_operating_day() -> None:
    profile = SAME_DAY.model_copy(update={"holiday_country": "US"})
    placed_at = at(NEW_YORK, "2025-12-25", "09:00")  # a Thursday
    assert standard(placed_at, profile).ship_by == end(NEW_YORK, "2025-12-26")


def test_several_handling_days_skip_the_weekend() -> None:
    profile = ONE_DAY.model_copy(update={"handling_days": 3})
    placed_at = at(NEW_YORK, "2025-06-05", "10:00")  # a Thursday
    assert standard(placed_at, profile).ship_by == end(NEW_YORK, "2025-06-10")


# Transit


@pytest.mark.parametrize(
    ("method", "earliest", "latest"),
    [
        (ShippingMethod.STANDARD, "2025-06-05", "2025-06-09"),
        (ShippingMethod.EXPEDITED, "2025-06-04", "2025-06-05"),
        (ShippingMethod.TWO_DAY, "2025-06-04", "2025-06-04"),
        (ShippingMethod.NEXT_DAY, "2025-06-03", "2025-06-03"),
    ],
)
def test_each_method_has_its_transit_time(method: ShippingMethod, earliest: str, latest: str) -> None:
    given_at_sale = promise(at(NEW_YORK, "2025-06-02", "09:00"), SAME_DAY, method, CARRIER)
    assert given_at_sale.earliest_delivery == at(NEW_YORK, earliest)
    assert given_at_sale.deliver_by == end(NEW_YORK, latest)


def test_transit_times_are_configuration() -> None:
    slow = TransitTimes(standard=TransitTime(min_days=7, max_days=10))
    carrier = CARRIER.model_copy(update={"transit": slow})
    placed_at = at(NEW_YORK, "2025-06-02", "09:00")
    given_at_sale = promise(placed_at, SAME_DAY, ShippingMethod.STANDARD, carrier)
    assert given_at_sale.deliver_by == end(NEW_YORK, "2025-06-16")


def test_holidays_of_the_destination_count_for_transit_only() -> None:
    profile = HandlingProfile(time_zone=SAO_PAULO, handling_days=0, holiday_country="BR")
    to_new_york = TransitCalendar(time_zone=NEW_YORK, holiday_country="US")
    placed_at = at(SAO_PAULO, "2025-07-03", "09:00")
    given_at_sale = promise(placed_at, profile, ShippingMethod.NEXT_DAY, to_new_york)
    assert given_at_sale.ship_by == end(SAO_PAULO, "2025-07-03")
    assert given_at_sale.deliver_by == end(NEW_YORK, "2025-07-07")


# Zones and clocks


def test_the_day_of_an_order_is_the_day_at_the_seller() -> None:
    profile = HandlingProfile(time_zone=KOLKATA, handling_days=0, cutoff_local=time(12))
    in_india = TransitCalendar(time_zone=KOLKATA)
    # Sunday evening in New York is Monday morning in India: 21:00 and 06:30.
    placed_at = at(NEW_YORK, "2025-06-01", "21:00")
    given_at_sale = promise(placed_at, profile, ShippingMethod.NEXT_DAY, in_india)
    assert given_at_sale.ship_by == datetime(2025, 6, 2, 18, 29, 59, tzinfo=UTC)
    assert given_at_sale.deliver_by == datetime(2025, 6, 3, 18, 29, 59, tzinfo=UTC)


def test_midnight_stays_midnight_when_new_york_puts_its_clocks_forward() -> None:
    placed_at = at(NEW_YORK, "2025-03-06", "15:00")  # a Thursday; clocks change on Sunday, the 9th
    given_at_sale = promise(placed_at, ONE_DAY, ShippingMethod.NEXT_DAY, CARRIER)
    assert given_at_sale.ship_by == datetime(2025, 3, 8, 4, 59, 59, tzinfo=UTC)
    assert given_at_sale.deliver_by == datetime(2025, 3, 11, 3, 59, 59, tzinfo=UTC)


def test_a_saturday_in_sao_paulo_ends_an_hour_later_when_the_clocks_go_back() -> None:
    profile = HandlingProfile(time_zone=SAO_PAULO, handling_days=0, weekdays=MONDAY_TO_SATURDAY, holiday_country="BR")
    carrier = TransitCalendar(time_zone=SAO_PAULO, holiday_country="BR")
    placed_at = at(SAO_PAULO, "2018-02-17", "08:00")
    given_at_sale = promise(placed_at, profile, ShippingMethod.NEXT_DAY, carrier)
    assert given_at_sale.ship_by == datetime(2018, 2, 18, 2, 59, 59, tzinfo=UTC)
    assert given_at_sale.deliver_by == datetime(2018, 2, 20, 2, 59, 59, tzinfo=UTC)


def test_next_day_is_tomorrow_across_a_country() -> None:
    """The end of Monday in Los Angeles is Tuesday in New York, and delivery still Tuesday."""
    profile = HandlingProfile(time_zone="America/Los_Angeles", handling_days=0)
    placed_at = at("America/Los_Angeles", "2025-06-02", "09:00")
    given_at_sale = promise(placed_at, profile, ShippingMethod.NEXT_DAY, CARRIER)
    assert given_at_sale.deliver_by == end(NEW_YORK, "2025-06-03")


def test_a_parcel_cannot_arrive_before_it_leaves() -> None:
    profile = HandlingProfile(time_zone="Pacific/Pago_Pago", handling_days=0)
    ahead = TransitCalendar(time_zone="Pacific/Kiritimati")
    placed_at = at("Pacific/Pago_Pago", "2025-06-02", "09:00")
    given_at_sale = promise(placed_at, profile, ShippingMethod.NEXT_DAY, ahead)
    assert given_at_sale.ship_by == end("Pacific/Pago_Pago", "2025-06-02")
    assert given_at_sale.deliver_by == end("Pacific/Kiritimati", "2025-06-04")


@pytest.mark.parametrize(
    "placed_at",
    [
        datetime(2025, 6, 2),
        datetime(1969, 12, 31, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
    ],
)
def test_a_moment_that_cannot_be_is_refused_by_its_name(placed_at: datetime) -> None:
    with pytest.raises(ValueError, match=r"^placed_at "):
        standard(placed_at, SAME_DAY)
    with pytest.raises(ValueError, match=r"^handed_over_at "):
        estimate(placed_at, SAME_DAY, ShippingMethod.STANDARD, CARRIER)
    with pytest.raises(ValueError, match=r"^now "):
        latest_order_time(placed_at, SAME_DAY)


# Estimates


def test_the_estimate_counts_transit_from_the_real_handoff() -> None:
    """Promised for Tuesday, handed over two days late."""
    late = at(NEW_YORK, "2025-06-04", "17:00")
    assert estimate(late, SAME_DAY, ShippingMethod.TWO_DAY, CARRIER) == Estimate(
        earliest_delivery=at(NEW_YORK, "2025-06-06"), deliver_by=end(NEW_YORK, "2025-06-06")
    )


def test_a_handoff_on_a_closed_day_counts_from_that_day() -> None:
    sunday = at(NEW_YORK, "2025-06-08", "12:00")
    expected = estimate(sunday, SAME_DAY, ShippingMethod.NEXT_DAY, CARRIER)
    assert expected.deliver_by == end(NEW_YORK, "2025-06-09")


EXPECTED = Estimate(earliest_delivery=at(NEW_YORK, "2025-06-05"), deliver_by=end(NEW_YORK, "2025-06-06"))


def test_a_delay_moves_the_expected_day_by_operating_days() -> None:
    delayed = delayed_estimate(EXPECTED, at(NEW_YORK, "2025-06-04", "10:00"), CARRIER)
    assert delayed.earliest_delivery == EXPECTED.earliest_delivery
    assert delayed.deliver_by == end(NEW_YORK, "2025-06-09")


def test_a_parcel_that_is_late_already_is_expected_after_today() -> None:
    today = at(NEW_YORK, "2025-06-11", "10:00")
    delayed = delayed_estimate(EXPECTED, today, CARRIER, delay_days=2)
    assert delayed.earliest_delivery == at(NEW_YORK, "2025-06-11")
    assert delayed.deliver_by == end(NEW_YORK, "2025-06-13")


def test_the_carriers_own_date_goes_first_unless_it_has_passed() -> None:
    today = at(NEW_YORK, "2025-06-09", "10:00")
    saturday = delayed_estimate(EXPECTED, today, CARRIER, announced=date(2025, 6, 14))
    assert saturday == Estimate(earliest_delivery=at(NEW_YORK, "2025-06-14"), deliver_by=end(NEW_YORK, "2025-06-14"))
    passed = delayed_estimate(EXPECTED, today, CARRIER, announced=date(2025, 6, 6))
    assert passed.deliver_by == end(NEW_YORK, "2025-06-10")


# The countdown


def test_after_the_cutoff_the_countdown_is_for_the_next_operating_day() -> None:
    friday_noon = at(NEW_YORK, "2025-06-06", "11:00")
    assert latest_order_time(friday_noon, SAME_DAY) == at(NEW_YORK, "2025-06-09", "11:00")


def test_a_whole_weekend_shares_one_cutoff_with_a_day_of_handling() -> None:
    saturday = at(NEW_YORK, "2025-06-07", "08:00")
    assert latest_order_time(saturday, ONE_DAY) == at(NEW_YORK, "2025-06-08", "23:00")
    sunday_night = at(NEW_YORK, "2025-06-08", "23:00")
    assert latest_order_time(sunday_night, ONE_DAY) == at(NEW_YORK, "2025-06-09", "23:00")


# Whatever the calendar

ZONES = st.sampled_from([NEW_YORK, SAO_PAULO, KOLKATA, "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/London"])
WEEKDAYS = st.sampled_from([MONDAY_TO_FRIDAY, MONDAY_TO_SATURDAY, WEEK, (*MONDAY_TO_FRIDAY, Weekday.SUNDAY)])
COUNTRIES = st.sampled_from([None, "US", "BR", "GB", "JP"])
MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2032, 12, 31), timezones=st.just(UTC))
PROFILES = st.builds(
    HandlingProfile,
    time_zone=ZONES,
    weekdays=WEEKDAYS,
    holiday_country=COUNTRIES,
    holiday_subdivision=st.none(),
    closed_dates=st.lists(st.dates(date(2015, 1, 1), date(2033, 1, 1)), max_size=5).map(tuple),
    handling_days=st.integers(0, 5),
    cutoff_local=st.times(),
    customer_cutoff_margin=st.just(timedelta(hours=1)),
)
TRANSIT_TIMES = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(
    lambda days: TransitTime(min_days=min(days), max_days=max(days))
)
CARRIERS = st.builds(
    TransitCalendar,
    time_zone=ZONES,
    weekdays=WEEKDAYS,
    holiday_country=COUNTRIES,
    holiday_subdivision=st.none(),
    closed_dates=st.just(()),
    transit=st.builds(
        TransitTimes,
        standard=TRANSIT_TIMES,
        expedited=TRANSIT_TIMES,
        two_day=TRANSIT_TIMES,
        next_day=TRANSIT_TIMES,
    ),
)
METHODS = st.sampled_from(ShippingMethod)


@given(placed_at=MOMENTS, profile=PROFILES, method=METHODS, carrier=CARRIERS)
def test_a_promise_is_in_order_and_ships_on_an_operating_day(
    placed_at: datetime, profile: HandlingProfile, method: ShippingMethod, carrier: TransitCalendar
) -> None:
    given_at_sale = promise(placed_at, profile, method, carrier)
    assert placed_at <= given_at_sale.ship_by <= given_at_sale.deliver_by
    assert given_at_sale.earliest_delivery < given_at_sale.deliver_by
    assert is_operating_day(local_day(given_at_sale.ship_by, profile.zone), profile)
    for moment in (
        given_at_sale.ship_by,
        given_at_sale.earliest_delivery,
        given_at_sale.deliver_by,
    ):
        assert moment.tzinfo is UTC


@given(
    placed_at=MOMENTS,
    later=st.timedeltas(timedelta(0), timedelta(days=10)),
    profile=PROFILES,
    method=METHODS,
    carrier=CARRIERS,
)
def test_a_later_order_is_never_promised_earlier(
    placed_at: datetime,
    later: timedelta,
    profile: HandlingProfile,
    method: ShippingMethod,
    carrier: TransitCalendar,
) -> None:
    first = promise(placed_at, profile, method, carrier)
    second = promise(placed_at + later, profile, method, carrier)
    assert first.ship_by <= second.ship_by
    assert first.earliest_delivery <= second.earliest_delivery
    assert first.deliver_by <= second.deliver_by


@given(placed_at=MOMENTS, profile=PROFILES, method=METHODS, carrier=CARRIERS)
def test_a_parcel_handed_over_in_time_is_expected_within_its_promise(
    placed_at: datetime, profile: HandlingProfile, method: ShippingMethod, carrier: TransitCalendar
) -> None:
    given_at_sale = promise(placed_at, profile, method, carrier)
    expected = estimate(given_at_sale.ship_by, profile, method, carrier)
    assert expected.deliver_by == given_at_sale.deliver_by


@given(now=MOMENTS, profile=PROFILES)
def test_whoever_orders_before_the_countdown_ends_gets_the_date_shown_with_it(
    now: datetime, profile: HandlingProfile
) -> None:
    latest = latest_order_time(now, profile)
    assert latest > now
    shown = standard(latest - timedelta(seconds=1), profile)
    assert standard(now, profile).ship_by <= shown.ship_by
    within_margin = standard(latest + profile.customer_cutoff_margin / 2, profile)
    assert within_margin.ship_by == shown.ship_by
    after_margin = standard(latest + profile.customer_cutoff_margin, profile)
    assert after_margin.ship_by > shown.ship_by
