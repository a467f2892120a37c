"""What could be bought, when it would arrive and what its shipping would cost: before an order is placed."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from domain.catalog import ShippingRate
from domain.model import Frozen
from domain.placing import Channel
from domain.shipping import HandlingProfile, ShippingMethod


class CatalogItem(Frozen):
    """A listing as customers see it; the price in minor units. `available` units are free at this moment."""

    seller: str
    seller_name: str
    sku: str
    title: str
    unit_price: int
    currency: str
    weight_grams: int | None
    channel: Channel
    """Through which it would ship: the network's stock first, as it is the faster one."""

    available: int


class Source(CatalogItem):
    """An item of a cart with where it would ship from now."""

    position: int
    """Among the wishes, from 0."""

    profile: HandlingProfile


class Wish(Frozen):
    """So many units of an item, not bought yet; None lets the stock decide through which channel."""

    seller: str
    sku: str
    quantity: int
    channel: Channel | None = None


class OfferedLine(Frozen):
    """A wish as it would be promised now. Units that are `available` are not held for anybody."""

    seller: str
    sku: str
    title: str
    quantity: int
    unit_price: int
    channel: Channel
    available: int
    ship_by: datetime
    earliest_delivery: datetime
    deliver_by: datetime


class Offer(Frozen):
    """One shipping method: what it costs in minor units, and when all of it would be there.

    The dates hold for an order placed before `order_by`.
    """

    method: ShippingMethod
    price: int
    currency: str
    earliest_delivery: datetime
    deliver_by: datetime
    order_by: datetime
    lines: tuple[OfferedLine, ...]


def shipping_price(rate: ShippingRate, shipments: Iterable[int]) -> int:
    """For shipments of these weights in grams, each from one seller through one channel; minor units."""
    return sum(rate.per_shipment + rate.per_kilogram * -(-grams // 1000) for grams in shipments)


def shipment_weights(lines: Iterable[tuple[str, Channel, int]]) -> Mapping[tuple[str, Channel], int]:
    """Grams by seller and channel, from seller, channel and grams of each line."""
    weights: dict[tuple[str, Channel], int] = {}
    for seller, channel, grams in lines:
        weights[seller, channel] = weights.get((seller, channel), 0) + grams
    return weights
