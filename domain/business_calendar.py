"""Which days somebody works, and where those days begin and end on the clock.

Public holidays come from the `holidays` package, which takes most of a second to load. Only
activities, use cases and tests ask: no module that a workflow imports may import this one.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from domain.shipping import WorkingDays, weekday_of

CLOSED_DAYS_MAX = 366


def is_operating_day(day: date, calendar: WorkingDays) -> bool:
    """Raises ValueError, naming the field, for holidays that are not known (`calendar_refusal`)."""
    if weekday_of(day) not in calendar.weekdays or day in calendar.closed_dates:
        return False
    return calendar.holiday_country is None or day not in _public_holidays(
        calendar.holiday_country, calendar.holiday_subdivision, day.year
    )


def next_operating_day(day: date, calendar: WorkingDays) -> date:
    """The first operating day after `day`.

    Raises ValueError when there is none for `CLOSED_DAYS_MAX` days.
    """
    for ahead in range(1, CLOSED_DAYS_MAX + 1):
        candidate = day + timedelta(days=ahead)
        if is_operating_day(candidate, calendar):
            return candidate
    raise ValueError(f"closed_dates leave no operating day in the {CLOSED_DAYS_MAX} days after {day}")


def add_operating_days(day: date, count: int, calendar: WorkingDays) -> date:
    """The `count`-th operating day after `day`; with 0, `day` itself, whether it is one or not."""
    for _ in range(count):
        day = next_operating_day(day, calendar)
    return day


def calendar_refusal(calendar: WorkingDays) -> str | None:
    """Why the public holidays of this calendar cannot be known, naming the field; else None."""
    if calendar.holiday_country is None:
        return None
    return _holidays_refusal(calendar.holiday_country, calendar.holiday_subdivision)


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local day, in UTC; the jump itself where the clocks skip midnight."""
    return datetime.combine(day, time(0), tzinfo=zone).astimezone(UTC)


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The last second of a local day, in UTC; of the second 23 h where that hour comes twice."""
    return start_of_day(day + timedelta(days=1), zone) - timedelta(seconds=1)


@lru_cache(maxsize=512)
def _public_holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    refusal = _holidays_refusal(country, subdivision)
    if refusal is not None:
        raise ValueError(refusal)
    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False))


def _holidays_refusal(country: str, subdivision: str | None) -> str | None:
    subdivisions = _supported_countries().get(country)
    if subdivisions is None:
        return f"holiday_country {country!r} is not a country whose public holidays are known"
    if subdivision is not None and subdivision not in subdivisions:
        return f"holiday_subdivision {subdivision!r} is not a subdivision of {country}"
    return None


@lru_cache(maxsize=1)
def _supported_countries() -> dict[str, list[str]]:
    return holidays.list_supported_countries(include_aliases=True)
