"""From rows to promises: a location's profile as it is stored, the destination as an order knows it."""

from datetime import datetime
from functools import lru_cache

from domain.destination import destination_calendar
from domain.promise import promise
from domain.shipping import HandlingProfile, Promise, ShippingMethod


@lru_cache(maxsize=4096)
def promise_from(profile: str, placed_at: datetime, method: str, country: str, time_zone: str) -> Promise:
    """The promise of a location, by its profile as JSON. The lines of an order mostly share one: hence the cache."""
    return promise(
        placed_at,
        HandlingProfile.model_validate_json(profile),
        ShippingMethod(method),
        destination_calendar(country, time_zone),
    )
