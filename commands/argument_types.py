"""Words of the command line as values; argparse says which argument an error is about."""

import argparse
from datetime import UTC, date, datetime

from domain.insights_stock import LEAD_TIME_DAYS_MAX, SERVICE_LEVEL_MAX, SERVICE_LEVEL_MIN
from domain.placing import TIME_FACTOR_MAX


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 3600 seconds")
    return value


def factor(text: str) -> float:
    value = float(text)
    if not 1 <= value <= TIME_FACTOR_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and {TIME_FACTOR_MAX:g}")
    return value


def percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"must be from 0 to 100, not {text}")
    return value


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 or more")
    return value


def days(text: str) -> float:
    value = float(text)
    if not 0 < value <= LEAD_TIME_DAYS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and {LEAD_TIME_DAYS_MAX:g} days")
    return value


_HOURS_MAX = 24 * 365


def hours(text: str) -> float:
    value = float(text)
    if not 0 < value <= _HOURS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and {_HOURS_MAX} hours")
    return value


def level(text: str) -> float:
    value = float(text)
    if not SERVICE_LEVEL_MIN <= value <= SERVICE_LEVEL_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not between {SERVICE_LEVEL_MIN} and {SERVICE_LEVEL_MAX}")
    return value


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2026-11-01") from None


def moment(text: str) -> datetime:
    """A day begins at midnight UTC."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day or time such as 2026-03-05T12:00Z") from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
