"""When a parcel leaves and when it arrives, by the rules that Amazon publishes for its sellers.

The rules are those of https://sellercentral.amazon.com/gp/help/external/G200955560 (ship-by and
delivery dates) and https://sellercentral-europe.amazon.com/gp/help/external/help.html?itemID=572PTT6REHNWSEL
(cut-offs). Activities and use cases ask here; workflows only carry the answer, because
`domain.business_calendar` loads the public holidays.
"""

from datetime import UTC, date, datetime, timedelta

from domain.business_calendar import (
    add_operating_days,
    end_of_day,
    is_operating_day,
    local_day,
    next_operating_day,
    start_of_day,
)
from domain.shipping import (
    Estimate,
    HandlingProfile,
    Promise,
    ShippingMethod,
    TransitCalendar,
    TransitTime,
)

YEAR_MIN, YEAR_MAX = 1970, 2199


def promise(
    placed_at: datetime,
    profile: HandlingProfile,
    method: ShippingMethod,
    calendar: TransitCalendar,
) -> Promise:
    """The dates to give at sale: handling, then transit, each on the operating days of its own.

    Raises ValueError, naming the field, for a `placed_at` without an offset or outside the years
    1970 to 2199, for holidays that are not known, and for a calendar that is always closed.
    """
    ship_day = _ship_day(_checked(placed_at, "placed_at"), profile)
    ship_by = end_of_day(ship_day, profile.zone)
    arrival = _arrival(ship_day, ship_by, calendar.transit.of(method), calendar)
    return Promise(
        ship_by=ship_by,
        earliest_delivery=arrival.earliest_delivery,
        deliver_by=arrival.deliver_by,
    )


def estimate(
    handed_over_at: datetime,
    profile: HandlingProfile,
    method: ShippingMethod,
    calendar: TransitCalendar,
) -> Estimate:
    """When a parcel is expected that was handed over at that moment: transit only.

    The day of handoff is the one in the seller's zone. Raises ValueError as `promise` does.
    """
    handed_over_at = _checked(handed_over_at, "handed_over_at")
    ship_day = local_day(handed_over_at, profile.zone)
    return _arrival(ship_day, handed_over_at, calendar.transit.of(method), calendar)


def delayed_estimate(
    current: Estimate,
    now: datetime,
    calendar: TransitCalendar,
    *,
    announced: date | None = None,
    delay_days: int = 1,
) -> Estimate:
    """When a delayed parcel is expected: on the day that the carrier announced, at the destination.

    Without one, or with one that has passed, it is `delay_days` of the carrier's operating days
    after the day expected so far, or after today where that has passed. Raises ValueError as
    `promise` does.
    """
    today = local_day(_checked(now, "now"), calendar.zone)
    if announced is not None and announced >= today:
        return _between(announced, announced, calendar)
    expected = max(today, local_day(current.deliver_by, calendar.zone))
    day = add_operating_days(expected, delay_days, calendar)
    return _between(max(today, local_day(current.earliest_delivery, calendar.zone)), day, calendar)


def latest_order_time(now: datetime, profile: HandlingProfile) -> datetime:
    """The next customer-facing cut-off after `now`, in UTC: "order within 3 h to get it by ...".

    The date to show with it is the `promise` for an order placed at that moment less a second.
    Raises ValueError as `promise` does.
    """
    now = _checked(now, "now")
    day = local_day(now, profile.zone) - timedelta(days=1)
    while (latest := _cutoff(day, profile) - profile.customer_cutoff_margin) <= now:
        day = next_operating_day(day, profile)
    return latest


def _ship_day(placed_at: datetime, profile: HandlingProfile) -> date:
    """Same-day handling ends at the cut-off; any other counts from midnight, whatever the day."""
    placed_on = local_day(placed_at, profile.zone)
    if profile.handling_days > 0:
        return add_operating_days(placed_on, profile.handling_days, profile)
    if is_operating_day(placed_on, profile) and placed_at < _cutoff(placed_on, profile):
        return placed_on
    return next_operating_day(placed_on, profile)


def _cutoff(day: date, profile: HandlingProfile) -> datetime:
    """The moment from which an order waits for the next operating day.

    With same-day handling it is the seller's cut-off on `day`. Else it is the midnight before the
    next operating day: Friday, Saturday and Sunday share the one between Sunday and Monday.
    """
    if profile.handling_days > 0:
        return start_of_day(next_operating_day(day, profile), profile.zone)
    return datetime.combine(day, profile.cutoff_local, tzinfo=profile.zone).astimezone(UTC)


def _arrival(ship_day: date, handed_over_at: datetime, transit: TransitTime, calendar: TransitCalendar) -> Estimate:
    earliest = add_operating_days(ship_day, transit.min_days, calendar)
    latest = add_operating_days(ship_day, transit.max_days, calendar)
    # A day can be over at the destination before it is at the origin.
    while end_of_day(latest, calendar.zone) < handed_over_at:
        latest = next_operating_day(latest, calendar)
    return _between(earliest, latest, calendar)


def _between(first: date, last: date, calendar: TransitCalendar) -> Estimate:
    return Estimate(
        earliest_delivery=start_of_day(first, calendar.zone),
        deliver_by=end_of_day(last, calendar.zone),
    )


def _checked(moment: datetime, field: str) -> datetime:
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"{field} has no offset from UTC")
    if not YEAR_MIN <= moment.year <= YEAR_MAX:
        raise ValueError(f"{field} is in the year {moment.year}, not in {YEAR_MIN} to {YEAR_MAX}")
    return moment
