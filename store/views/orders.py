"""Lists of orders: filtered, sorted by an index, in pages that follow each other without gap or copy."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, or_, select, tuple_

from domain.model import Frozen
from store.database import Database
from store.tables.orders import order_sellers, orders
from store.views.reading import PAGE_MAX, models

Sorting = Literal["newest", "ship_by"]
"""The newest first; or the most urgent first, those without a ship-by last."""


class OrderSummary(Frozen):
    """A line of a list of orders; the total in minor units."""

    order_id: str
    customer_id: str
    status: str
    attention: tuple[str, ...]
    ship_by: datetime | None
    promised_at: datetime | None
    closed: bool
    currency: str
    total: int
    method: str
    placed_at: datetime
    updated_at: datetime


class OrderFilter(Frozen):
    """All that is given must hold; `open_only` leaves out orders that are at their end."""

    status: str | None = None
    seller: str | None = None
    attention: str | None = None
    customer_id: str | None = None
    ship_by_until: datetime | None = None
    placed_from: datetime | None = None
    placed_until: datetime | None = None
    open_only: bool = False


class OrderPage(Frozen):
    """`next` is the order id to be given for the next page; None on the last one."""

    orders: tuple[OrderSummary, ...]
    next: str | None = None


class OrderLists:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def orders(
        self, wanted: OrderFilter, *, sort: Sorting = "newest", after: str | None = None, limit: int = 50
    ) -> OrderPage:
        """`after` is the `next` of the page before; an order that nobody knows has nothing behind it."""
        limit = min(limit, PAGE_MAX)
        query = _filtered(wanted).limit(limit + 1)
        # Of a seller by the table that has nobody else's: its index is in this very sequence.
        source = orders if wanted.seller is None else order_sellers
        newest = (source.c.placed_at, source.c.order_id)
        async with self._database.statement() as connection:
            if after is not None:
                last = select(orders.c.ship_by, orders.c.placed_at).where(orders.c.order_id == after)
                row = (await connection.execute(last)).one_or_none()
                if row is None:
                    return OrderPage(orders=())
                older = tuple_(*newest) < tuple_(row.placed_at, after)
                query = query.where(_less_urgent(row.ship_by, after) if sort == "ship_by" else older)
            if sort == "ship_by":
                query = query.order_by(orders.c.ship_by, orders.c.order_id)
            else:
                query = query.order_by(*(column.desc() for column in newest))
            found = models(OrderSummary, await connection.execute(query))
        return OrderPage(orders=found[:limit], next=found[limit - 1].order_id if len(found) > limit else None)


_SUMMARY = select(*(orders.c[field] for field in OrderSummary.model_fields))


def _filtered(wanted: OrderFilter) -> Select[Any]:
    query = _SUMMARY
    if wanted.status is not None:
        query = query.where(orders.c.status == wanted.status)
    if wanted.attention is not None:
        # The second condition is that of the index.
        query = query.where(orders.c.attention.contains([wanted.attention]), orders.c.attention != [])
    if wanted.customer_id is not None:
        query = query.where(orders.c.customer_id == wanted.customer_id)
    if wanted.ship_by_until is not None:
        query = query.where(orders.c.ship_by <= wanted.ship_by_until)
    if wanted.placed_from is not None:
        query = query.where(orders.c.placed_at >= wanted.placed_from)
    if wanted.placed_until is not None:
        query = query.where(orders.c.placed_at < wanted.placed_until)
    if wanted.open_only:
        query = query.where(~orders.c.closed)
    if wanted.seller is not None:
        query = query.join(order_sellers, order_sellers.c.order_id == orders.c.order_id)
        query = query.where(order_sellers.c.seller == wanted.seller)
    return query


def _less_urgent(ship_by: datetime | None, order_id: str) -> ColumnElement[bool]:
    """Of the orders by ship-by date and id, NULL last, those after this one."""
    if ship_by is None:
        return and_(orders.c.ship_by.is_(None), orders.c.order_id > order_id)
    later = tuple_(orders.c.ship_by, orders.c.order_id) > tuple_(ship_by, order_id)
    return or_(later, orders.c.ship_by.is_(None))
