"""Reading counts: added up over the days of a window, for one seller, for all together, or seller by seller."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    all_,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from domain.insights import WHOLE_MARKETPLACE, Count, Topic, Window
from domain.model import Frozen
from store.database import Database
from store.tables.catalog import listings, sellers
from store.tables.insights import daily_counts, daily_counts_state, days_to_count, order_changes
from store.tables.stock import backorders, stock
from store.views.reading import models

Key = Literal["day", "seller", "currency", "item", "detail"]
Sum = Literal["orders", "units", "amount"]

EACH_SELLER: Literal["*"] = "*"
"""In the place of a seller: all of them, told apart. No seller is called so."""


class Freshness(Frozen):
    """In whose zone days are counted, when that was last done, and whether nothing waits."""

    time_zone: str | None = None
    counted_at: datetime | None = None
    up_to_date: bool = False


class WeekdayHour(Frozen):
    """Monday is 1."""

    weekday: int
    hour: int
    orders: int


class SkuDemand(Frozen):
    """Units of a SKU that customers wanted: their sum over days, and that of the squares of each day's units."""

    seller: str
    sku: str
    units: int
    squares: int


class SkuStock(Frozen):
    """What there is of a SKU at all locations of its seller, the network's included, and units on backorder."""

    seller: str
    sku: str
    title: str
    available: int
    waiting: int


class InsightViews:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def freshness(self) -> Freshness:
        async with self._database.statement() as connection:
            row = (await connection.execute(_FRESHNESS)).one()
        return Freshness(time_zone=row.time_zone, counted_at=row.counted_at, up_to_date=not row.waiting)

    async def counts(
        self,
        topic: Topic,
        seller: str,
        window: Window,
        *by: Key,
        currency: str | None = None,
        among_sellers: Sequence[str] | None = None,
        among_items: Sequence[str] | None = None,
        least: int = 1,
        most: Sum | None = None,
        limit: int | None = None,
    ) -> tuple[Count, ...]:
        """Told apart by `by`, in that order; with `most` the largest first, without those of less than `least` orders.
        Of those sellers and items only, where they are given.
        """
        keys = [daily_counts.c[name] for name in by]
        sums = [func.sum(daily_counts.c[name]).label(name) for name in ("orders", "units", "amount")]
        query = select(*keys, *sums).where(*_where(topic, seller, window, currency)).group_by(*keys)
        if among_sellers is not None:
            query = query.where(daily_counts.c.seller == any_(_array("sellers", among_sellers)))
        if among_items is not None:
            query = query.where(daily_counts.c.item == any_(_array("items", among_items)))
        if most is not None:
            query = query.order_by(func.sum(daily_counts.c[most]).desc())
        # Of nothing at all a sum without keys is a row of NULLs, which this leaves out, too.
        query = query.having(func.sum(daily_counts.c.orders) >= least).order_by(*keys).limit(limit)
        async with self._database.statement() as connection:
            return models(Count, await connection.execute(query))

    async def hours(self, seller: str, window: Window, currency: str | None = None) -> tuple[WeekdayHour, ...]:
        weekday = cast(func.extract("isodow", daily_counts.c.day), Integer)
        hour = cast(daily_counts.c.item, Integer)
        query = (
            select(weekday.label("weekday"), hour.label("hour"), func.sum(daily_counts.c.orders).label("orders"))
            .where(*_where(Topic.HOURS, seller, window, currency))
            .group_by(weekday, hour)
            .order_by(weekday, hour)
        )
        async with self._database.statement() as connection:
            return models(WeekdayHour, await connection.execute(query))

    async def busiest_sellers(self, topics: Sequence[Topic], window: Window, limit: int) -> tuple[str, ...]:
        """Those with the most orders in these topics first."""
        query = (
            select(daily_counts.c.seller)
            .where(
                daily_counts.c.topic.in_(topics),
                daily_counts.c.day.between(window.first, window.last),
                daily_counts.c.seller != WHOLE_MARKETPLACE,
            )
            .group_by(daily_counts.c.seller)
            .order_by(func.sum(daily_counts.c.orders).desc(), daily_counts.c.seller)
            .limit(limit)
        )
        async with self._database.statement() as connection:
            return tuple(await connection.scalars(query))

    async def demand(self, seller: str, window: Window, limit: int) -> tuple[SkuDemand, ...]:
        """What was sold of each SKU, and what was wanted and not there; the most wanted first."""
        whose, sku = daily_counts.c.seller, daily_counts.c.item.label("sku")
        days = (
            select(whose, sku, func.sum(daily_counts.c.units).label("units"))
            .where(
                daily_counts.c.topic.in_([Topic.PRODUCTS, Topic.UNSERVED]),
                daily_counts.c.day.between(window.first, window.last),
                _is_of(seller),
            )
            .group_by(whose, sku, daily_counts.c.day)
            .subquery()
        )
        units, squares = func.sum(days.c.units), func.sum(days.c.units * days.c.units)
        query = (
            select(days.c.seller, days.c.sku, units.label("units"), squares.label("squares"))
            .group_by(days.c.seller, days.c.sku)
            .order_by(units.desc(), days.c.seller, days.c.sku)
            .limit(limit)
        )
        async with self._database.statement() as connection:
            return models(SkuDemand, await connection.execute(query))

    async def last_day(self, seller: str) -> date | None:
        """On which an order was placed."""
        query = select(func.max(daily_counts.c.day)).where(
            daily_counts.c.topic == Topic.ORDERS, daily_counts.c.seller == seller
        )
        async with self._database.statement() as connection:
            day: date | None = await connection.scalar(query)
        return day

    async def stock(self, products: Sequence[tuple[str, str]]) -> dict[tuple[str, str], SkuStock]:
        """Of these pairs of seller and SKU, those that are listed."""
        sellers_of, skus = _array("sellers", [one[0] for one in products]), _array("skus", [one[1] for one in products])
        wanted = func.unnest(sellers_of, skus).table_valued("seller", "sku").render_derived("wanted")
        of_wanted = and_(listings.c.seller_id == wanted.c.seller, listings.c.sku == wanted.c.sku)
        found = await self._stock(_STOCK.join_from(wanted, listings, of_wanted))
        return {(row.seller, row.sku): row for row in found}

    async def idle_stock(self, seller: str, but: Sequence[str], limit: int) -> tuple[SkuStock, ...]:
        """What lies there of a seller's other SKUs, the most of it first."""
        query = _STOCK.where(listings.c.seller_id == seller, listings.c.sku != all_(_array("but", but)), _AVAILABLE > 0)
        return await self._stock(query.order_by(_AVAILABLE.desc(), listings.c.sku).limit(limit))

    async def _stock(self, query: Select[Any]) -> tuple[SkuStock, ...]:
        async with self._database.statement() as connection:
            return models(SkuStock, await connection.execute(query))

    async def titles(self, products: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """By seller and SKU, as they are listed now."""
        query = select(listings.c.seller_id, listings.c.sku, listings.c.title).where(
            tuple_(listings.c.seller_id, listings.c.sku).in_(products)
        )
        async with self._database.statement() as connection:
            return {(row.seller_id, row.sku): row.title for row in await connection.execute(query)}

    async def names(self, seller_ids: Sequence[str]) -> dict[str, str]:
        query = select(sellers.c.seller_id, sellers.c.name).where(sellers.c.seller_id.in_(seller_ids))
        async with self._database.statement() as connection:
            return {row.seller_id: row.name for row in await connection.execute(query)}


def _array(name: str, words: Sequence[str]) -> Any:
    """One parameter, however many they are."""
    return bindparam(name, list(words), ARRAY(Text))


def _where(topic: Topic, seller: str, window: Window, currency: str | None) -> list[ColumnElement[bool]]:
    holds = [
        daily_counts.c.topic == topic,
        _is_of(seller),
        daily_counts.c.day.between(window.first, window.last),
    ]
    if currency is not None:
        holds.append(daily_counts.c.currency == currency)
    return holds


def _is_of(seller: str) -> ColumnElement[bool]:
    if seller == EACH_SELLER:
        return daily_counts.c.seller != WHOLE_MARKETPLACE
    return daily_counts.c.seller == seller


_FRESHNESS = (
    select(
        daily_counts_state.c.time_zone,
        daily_counts_state.c.counted_at,
        or_(exists(select(order_changes.c.id)), exists(select(days_to_count.c.id))).label("waiting"),
    )
    .select_from(select(literal(1)).subquery())
    .outerjoin(daily_counts_state, literal(True))
)

_AVAILABLE = (
    select(func.coalesce(func.sum(stock.c.on_hand - stock.c.reserved), 0))
    .where(stock.c.seller_id == listings.c.seller_id, stock.c.sku == listings.c.sku)
    .scalar_subquery()
)
_WAITING = (
    select(func.coalesce(func.sum(backorders.c.quantity - backorders.c.allocated), 0))
    .where(
        *(backorders.c.seller_id == listings.c.seller_id, backorders.c.sku == listings.c.sku),
        *(backorders.c.cancelled.is_(None), backorders.c.allocated < backorders.c.quantity),
    )
    .scalar_subquery()
)
_STOCK = select(
    *(listings.c.seller_id.label("seller"), listings.c.sku, listings.c.title),
    *(_AVAILABLE.label("available"), _WAITING.label("waiting")),
)
