"""What a cart would cost to ship and when it would arrive, by each shipping method: a look that holds nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from domain.catalog import ShippingRate
from domain.destination import destination_calendar
from domain.offers import Offer, OfferedLine, Source, Wish, shipment_weights, shipping_price
from domain.promise import latest_order_time, promise
from domain.shipping import ShippingMethod, TransitCalendar
from usecases.errors import InvalidMessage


class Catalogue(Protocol):
    """Satisfied by `store.offers.Offers`."""

    async def sources(self, wishes: Sequence[Wish]) -> tuple[Source, ...]: ...

    async def rates(self, currency: str) -> Mapping[ShippingMethod, ShippingRate]: ...


async def quote(
    catalogue: Catalogue, wishes: Sequence[Wish], country: str, time_zone: str, now: datetime
) -> tuple[Offer, ...]:
    """The cheapest first. Raises `InvalidMessage`, naming the line, for what is not listed or in another currency."""
    sources = {source.position: source for source in await catalogue.sources(wishes)}
    for position, wish in enumerate(wishes):
        if position not in sources:
            raise InvalidMessage(f"lines.{position}.sku: {wish.seller} has no {wish.sku!r} to sell")
    lines = [(wish, sources[position]) for position, wish in enumerate(wishes)]
    if not lines:
        return ()
    currency = sources[0].currency
    for position, (_, source) in enumerate(lines):
        if source.currency != currency:
            raise InvalidMessage(f"lines.{position}.sku: is sold in {source.currency}, the first line in {currency}")
    rates = await catalogue.rates(currency)
    calendar = destination_calendar(country, time_zone)
    offers = [_offer(rates[method], lines, calendar, now) for method in ShippingMethod if method in rates]
    return tuple(sorted(offers, key=lambda offer: (offer.price, offer.deliver_by)))


def _offer(rate: ShippingRate, lines: Sequence[tuple[Wish, Source]], calendar: TransitCalendar, now: datetime) -> Offer:
    offered = [_line(wish, source, rate.method, calendar, now) for wish, source in lines]
    weights = shipment_weights(
        (source.seller, source.channel, (source.weight_grams or 0) * wish.quantity) for wish, source in lines
    )
    return Offer(
        method=rate.method,
        price=shipping_price(rate, weights.values()),
        currency=rate.currency,
        earliest_delivery=min(line.earliest_delivery for line in offered),
        deliver_by=max(line.deliver_by for line in offered),
        order_by=min(latest_order_time(now, source.profile) for _, source in lines),
        lines=tuple(offered),
    )


def _line(wish: Wish, source: Source, method: ShippingMethod, calendar: TransitCalendar, now: datetime) -> OfferedLine:
    dates = promise(now, source.profile, method, calendar)
    return OfferedLine(
        seller=source.seller,
        sku=source.sku,
        title=source.title,
        quantity=wish.quantity,
        unit_price=source.unit_price,
        channel=source.channel,
        available=source.available,
        ship_by=dates.ship_by,
        earliest_delivery=dates.earliest_delivery,
        deliver_by=dates.deliver_by,
    )
