"""Stock as people see it: levels with who holds them and who waits, and the movements that made them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, cast, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from domain.model import Frozen
from store.database import Database
from store.tables.catalog import listings, locations
from store.tables.stock import backorders, reservations, stock, stock_movements
from store.views.reading import PAGE_MAX, models


class Holder(Frozen):
    """An order that holds units of a level."""

    order_id: str
    quantity: int


class StockRow(Frozen):
    location: str
    channel: str
    seller: str
    sku: str
    title: str
    on_hand: int
    reserved: int
    waiting: int
    """Units on backorder for this seller and SKU, at whatever location they will come in."""

    held_by: tuple[Holder, ...]


class StockPage(Frozen):
    """`next` is what to give as `after` for the next page; None on the last one."""

    levels: tuple[StockRow, ...]
    next: str | None = None


class MovementRow(Frozen):
    """A line of the ledger; units, and whose order they were for. Without a number: gaps would tell of others'."""

    at: datetime
    location: str
    sku: str
    on_hand_delta: int
    reserved_delta: int
    reason: str
    order_id: str | None


class StockViews:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def levels(
        self,
        *,
        seller: str | None = None,
        location: str | None = None,
        sku: str | None = None,
        search: str | None = None,
        after: str | None = None,
        limit: int = PAGE_MAX,
    ) -> StockPage:
        """By seller, SKU and location. `search` is a part of a SKU or title, in any case; `after` the `next` of the
        page before.
        """
        limit = min(limit, PAGE_MAX)
        place = (stock.c.seller_id, stock.c.sku, stock.c.location_id)
        query = _LEVELS.order_by(*place).limit(limit + 1)
        for column, value in ((stock.c.seller_id, seller), (stock.c.location_id, location), (stock.c.sku, sku)):
            if value is not None:
                query = query.where(column == value)
        if search:
            query = query.where(
                or_(stock.c.sku.icontains(search, autoescape=True), listings.c.title.icontains(search, autoescape=True))
            )
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(*_split(after)))
        async with self._database.statement() as connection:
            found = models(StockRow, await connection.execute(query))
        last = found[limit - 1] if len(found) > limit else None
        return StockPage(levels=found[:limit], next=last and f"{last.seller} {last.sku} {last.location}")

    async def movements(
        self,
        seller: str | None,
        *,
        sku: str | None = None,
        location: str | None = None,
        before: datetime | None = None,
        limit: int = 50,
    ) -> tuple[MovementRow, ...]:
        """The newest first; `before` is when the last one seen was. What was moved at one moment stays together, so
        there may be more than `limit`.
        """
        query = (
            select(
                *(stock_movements.c[name] for name in ("at", "sku", "on_hand_delta", "reserved_delta", "reason")),
                *(stock_movements.c.order_id, stock_movements.c.location_id.label("location")),
            )
            .order_by(stock_movements.c.at.desc())
            .fetch(min(limit, PAGE_MAX), with_ties=True)
        )
        if seller is not None:
            query = query.where(stock_movements.c.seller_id == seller)
        if sku is not None:
            query = query.where(stock_movements.c.sku == sku)
        if location is not None:
            query = query.where(stock_movements.c.location_id == location)
        if before is not None:
            query = query.where(stock_movements.c.at < before)
        async with self._database.statement() as connection:
            return models(MovementRow, await connection.execute(query))


def _split(after: str) -> tuple[str, str, str]:
    """None of the three may hold a space."""
    seller, sku, location = (*after.split(" "), "", "", "")[:3]
    return seller, sku, location


def _levels() -> Select[Any]:
    holders = (
        select(reservations.c.order_id, func.sum(reservations.c.quantity).label("quantity"))
        .where(
            *(reservations.c[name] == stock.c[name] for name in ("location_id", "seller_id", "sku")),
            reservations.c.quantity > 0,
        )
        .group_by(reservations.c.order_id)
        .correlate(stock)
        .subquery("holders")
    )
    holder = func.jsonb_build_object("order_id", holders.c.order_id, "quantity", holders.c.quantity)
    held = select(func.jsonb_agg(aggregate_order_by(holder, holders.c.order_id))).scalar_subquery()
    waiting = (
        select(func.sum(backorders.c.quantity - backorders.c.allocated))
        .where(
            *(backorders.c.seller_id == stock.c.seller_id, backorders.c.sku == stock.c.sku),
            backorders.c.channel == locations.c.channel,
            backorders.c.cancelled.is_(None),
            backorders.c.allocated < backorders.c.quantity,
        )
        .scalar_subquery()
    )
    return (
        select(
            *(stock.c.location_id.label("location"), locations.c.channel, stock.c.seller_id.label("seller")),
            *(stock.c.sku, listings.c.title, stock.c.on_hand, stock.c.reserved),
            func.coalesce(waiting, 0).label("waiting"),
            func.coalesce(held, cast([], JSONB)).label("held_by"),
        )
        .join_from(stock, listings)
        .join(locations, locations.c.location_id == stock.c.location_id)
    )


_LEVELS = _levels()
