"""Where a parcel goes to, as a calendar: the customer's zone and the public holidays of the country."""

from domain.business_calendar import calendar_refusal
from domain.shipping import TransitCalendar


def destination_calendar(country: str, time_zone: str) -> TransitCalendar:
    """Carriers work Monday to Friday there. A country or zone that nobody knows costs no order: no holidays, UTC."""
    try:
        calendar = TransitCalendar(time_zone=time_zone, holiday_country=country)
    except ValueError:
        calendar = TransitCalendar(time_zone="UTC", holiday_country=country)
    if calendar_refusal(calendar) is None:
        return calendar
    return TransitCalendar(time_zone=calendar.time_zone)
