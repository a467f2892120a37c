"""The catalogue as customers see it: what is listed, what of it is free, and where it would ship from."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, Text, and_, case, cast, func, or_, select, true, tuple_

from domain.catalog import ShippingRate
from domain.model import Frozen
from domain.offers import CatalogItem, Source, Wish
from domain.placing import Channel
from domain.shipping import HandlingProfile, ShippingMethod
from store.database import Database
from store.recordsets import recordset
from store.tables.catalog import listings, locations, sellers, shipping_rates
from store.tables.orders import order_lines
from store.tables.stock import stock
from store.views.reading import PAGE_MAX, models


class ItemPage(Frozen):
    """`next` is what to give as `after` for the next page; None on the last one."""

    items: tuple[CatalogItem, ...]
    next: str | None = None


class Offers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def items(
        self, *, search: str | None = None, seller: str | None = None, after: str | None = None, limit: int = 24
    ) -> ItemPage:
        """By title. `search` is a part of a title or SKU, in any case; `after` the `next` of the page before."""
        limit = min(limit, PAGE_MAX)
        query = _ITEMS.order_by(listings.c.title, listings.c.seller_id, listings.c.sku).limit(limit + 1)
        if seller is not None:
            query = query.where(listings.c.seller_id == seller)
        if search:
            query = query.where(
                or_(
                    listings.c.title.icontains(search, autoescape=True),
                    listings.c.sku.icontains(search, autoescape=True),
                )
            )
        async with self._database.statement() as connection:
            if after is not None:
                seller_id, _, sku = after.partition(" ")
                title = await connection.scalar(
                    select(listings.c.title).where(listings.c.seller_id == seller_id, listings.c.sku == sku)
                )
                place = (listings.c.title, listings.c.seller_id, listings.c.sku)
                query = query.where(tuple_(*place) > tuple_(title or "", seller_id, sku))
            found = models(CatalogItem, await connection.execute(query))
        last = found[limit - 1] if len(found) > limit else None
        return ItemPage(items=found[:limit], next=last and f"{last.seller} {last.sku}")

    async def item(self, seller: str, sku: str) -> CatalogItem | None:
        query = _ITEMS.where(listings.c.seller_id == seller, listings.c.sku == sku)
        async with self._database.statement() as connection:
            return next(iter(models(CatalogItem, await connection.execute(query))), None)

    async def sources(self, wishes: Iterable[Wish]) -> tuple[Source, ...]:
        """Of those that are listed and have a location to ship from, by their position among the wishes."""
        rows = [
            {"position": position, "seller_id": wish.seller, "sku": wish.sku, "channel": wish.channel}
            for position, wish in enumerate(wishes)
        ]
        async with self._database.statement() as connection:
            found = [row._asdict() for row in await connection.execute(_SOURCES, {"wishes": rows})]
        return tuple(
            Source.model_validate({**row, "profile": HandlingProfile.model_validate_json(row["profile"])})
            for row in found
        )

    async def rates(self, currency: str) -> dict[ShippingMethod, ShippingRate]:
        query = select(shipping_rates).where(shipping_rates.c.currency == currency)
        async with self._database.statement() as connection:
            found = [row._asdict() for row in await connection.execute(query)]
        rates = [ShippingRate.model_validate(row, strict=False) for row in found]
        return {rate.method: rate for rate in rates}


def _free() -> Any:
    """Free units of a listing, in the network's locations and in all."""
    there = stock.c.on_hand - stock.c.reserved
    in_network = func.sum(case((locations.c.channel == Channel.FBA, there), else_=0))
    return (
        select(
            func.coalesce(in_network, 0).label("in_network"),
            func.coalesce(func.sum(there) - in_network, 0).label("at_seller"),
        )
        .join_from(stock, locations, stock.c.location_id == locations.c.location_id)
        .where(stock.c.seller_id == listings.c.seller_id, stock.c.sku == listings.c.sku)
        .lateral("free")
    )


_free_units = _free()
_by_network = _free_units.c.in_network > 0
_FACTS = (
    *(listings.c.seller_id.label("seller"), sellers.c.name.label("seller_name"), listings.c.sku, listings.c.title),
    *(listings.c.unit_price, listings.c.currency, listings.c.weight_grams),
)
_ITEMS = (
    select(
        *_FACTS,
        case((_by_network, Channel.FBA), else_=Channel.FBM).label("channel"),
        case((_by_network, _free_units.c.in_network), else_=_free_units.c.at_seller).label("available"),
    )
    .join_from(listings, sellers, sellers.c.seller_id == listings.c.seller_id)
    .join(_free_units, true())
)


def _sources() -> Select[Any]:
    """As the inventory check will take them: from a location with stock before one without, by priority."""
    wish = recordset("wishes", [order_lines.c.position, listings.c.seller_id, listings.c.sku, locations.c.channel])
    channel = func.coalesce(wish.c.channel, case((_by_network, Channel.FBA), else_=Channel.FBM))
    free_there = func.coalesce(stock.c.on_hand - stock.c.reserved, 0)
    place = (
        select(cast(locations.c.profile, Text).label("profile"))
        .select_from(locations)
        .outerjoin(
            stock,
            and_(
                stock.c.location_id == locations.c.location_id,
                stock.c.seller_id == listings.c.seller_id,
                stock.c.sku == listings.c.sku,
            ),
        )
        .where(
            locations.c.channel == channel,
            or_(locations.c.seller_id == listings.c.seller_id, locations.c.seller_id.is_(None)),
        )
        .order_by((free_there > 0).desc(), locations.c.priority, locations.c.location_id)
        .limit(1)
        .lateral("place")
    )
    return (
        select(
            wish.c.position,
            *_FACTS,
            channel.label("channel"),
            case((channel == Channel.FBA, _free_units.c.in_network), else_=_free_units.c.at_seller).label("available"),
            place.c.profile,
        )
        .select_from(wish)
        .join(listings, and_(listings.c.seller_id == wish.c.seller_id, listings.c.sku == wish.c.sku))
        .join(sellers, sellers.c.seller_id == listings.c.seller_id)
        .join(_free_units, true())
        .join(place, true())
        .order_by(wish.c.position)
    )


_SOURCES = _sources()
