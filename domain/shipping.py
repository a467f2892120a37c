"""How a parcel may travel, on which days sellers and carriers work, and what is promised about it.

Light on purpose: workflows import this module, so the calendar of public holidays stays out of it.
The dates themselves are worked out in `domain.promise`.
"""

from datetime import date, time, timedelta
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from domain.model import Body, Country, Frozen


class ShippingMethod(StrEnum):
    """The speed that the customer bought."""

    STANDARD = "Standard"
    EXPEDITED = "Expedited"
    TWO_DAY = "TwoDay"
    NEXT_DAY = "NextDay"


class Promise(Frozen):
    """The dates given at sale, frozen for the life of the order; an `Estimate` stands beside them.

    `ship_by` is the last second of a day where the parcel leaves, `deliver_by` of a day where it
    arrives, and `earliest_delivery` the first second of one there. All three are in UTC. Nothing
    holds them in order: imported orders bring the dates that somebody else promised.
    """

    ship_by: AwareDatetime
    earliest_delivery: AwareDatetime
    deliver_by: AwareDatetime


class Estimate(Frozen):
    """When a parcel is expected now: first second of one local day to last second of another."""

    earliest_delivery: AwareDatetime
    deliver_by: AwareDatetime


class TransitTime(Body):
    """How long a carrier takes, in its own operating days after the day of handoff."""

    min_days: int = Field(ge=0, le=60)
    max_days: int = Field(ge=0, le=60)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_days > self.max_days:
            raise ValueError(f"min_days {self.min_days} is more than max_days {self.max_days}")
        return self


class TransitTimes(Body):
    """The transit time of each method; the defaults are a policy for domestic parcels."""

    standard: TransitTime = TransitTime(min_days=3, max_days=5)
    expedited: TransitTime = TransitTime(min_days=2, max_days=3)
    two_day: TransitTime = TransitTime(min_days=2, max_days=2)
    next_day: TransitTime = TransitTime(min_days=1, max_days=1)

    def of(self, method: ShippingMethod) -> TransitTime:
        match method:
            case ShippingMethod.STANDARD:
                return self.standard
            case ShippingMethod.EXPEDITED:
                return self.expedited
            case ShippingMethod.TWO_DAY:
                return self.two_day
            case ShippingMethod.NEXT_DAY:
                return self.next_day


class Weekday(StrEnum):
    MONDAY = "Mon"
    TUESDAY = "Tue"
    WEDNESDAY = "Wed"
    THURSDAY = "Thu"
    FRIDAY = "Fri"
    SATURDAY = "Sat"
    SUNDAY = "Sun"


WEEK = tuple(Weekday)
MONDAY_TO_FRIDAY = WEEK[:5]


def weekday_of(day: date) -> Weekday:
    return WEEK[day.weekday()]


# Files beside the zones on many machines; they name no place, or count leap seconds.
_NO_ZONE = ("localtime", "posixrules", "Factory", "posix/", "right/")


def known_zone(name: str) -> str:
    if not name.startswith(_NO_ZONE):
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # OSError: the name of a folder, such as "America"
            pass
        else:
            return name
    raise ValueError(f"time_zone {name!r} is not an IANA time zone such as America/Sao_Paulo")


def _in_week_order(weekdays: tuple[Weekday, ...]) -> tuple[Weekday, ...]:
    return tuple(day for day in WEEK if day in weekdays)


def _without_zone(moment: time) -> time:
    if moment.tzinfo is not None:
        raise ValueError("cutoff_local is a local time and takes no offset")
    return moment


class WorkingDays(Body):
    """The days on which somebody works, in a place.

    `holiday_country` is an ISO 3166-1 alpha-2 code, `holiday_subdivision` a state or province as
    the `holidays` package writes it; without a country no day is a public holiday. Whether the
    package knows them is asked by `domain.business_calendar.calendar_refusal`.
    """

    time_zone: Annotated[str, Field(max_length=64), AfterValidator(known_zone)]
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1), AfterValidator(_in_week_order)] = MONDAY_TO_FRIDAY
    holiday_country: Country | None = None
    holiday_subdivision: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    closed_dates: tuple[date, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @model_validator(mode="after")
    def _subdivision_of_a_country(self) -> Self:
        if self.holiday_subdivision is not None and self.holiday_country is None:
            raise ValueError("holiday_subdivision needs a holiday_country")
        return self


class HandlingProfile(WorkingDays):
    """How fast a seller, or a location of the network, hands parcels over.

    `handling_days` are operating days; with 0 an order placed before `cutoff_local` leaves on the
    same day, with more the cut-off is midnight. Customers are shown a cut-off that is
    `customer_cutoff_margin` earlier. Monday to Friday are mandatory, as on Amazon
    (https://sellercentral.amazon.es/gp/help/external/help.html?itemID=202096730).
    """

    handling_days: int = Field(default=1, ge=0, le=30)
    cutoff_local: Annotated[time, AfterValidator(_without_zone)] = time(12, 0)
    customer_cutoff_margin: timedelta = Field(default=timedelta(hours=1), ge=timedelta(0), lt=timedelta(days=1))

    @model_validator(mode="after")
    def _works_monday_to_friday(self) -> Self:
        missing = [day for day in MONDAY_TO_FRIDAY if day not in self.weekdays]
        if missing:
            raise ValueError(f"weekdays lack {', '.join(missing)}: Monday to Friday are mandatory")
        return self


class TransitCalendar(WorkingDays):
    """How fast a carrier brings parcels to a destination, and on which days it works there."""

    transit: TransitTimes = TransitTimes()
