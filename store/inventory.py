"""Stock as sellers see it: what they bring in, receive, count again, and what is there."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, Table, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.business_calendar import calendar_refusal
from domain.catalog import LEVEL_MAX, Catalog, Correction, Receipt, StockLevel, StockMoved, StockRefused
from store.backorders import allocate_to_waiting
from store.database import Database
from store.movements import Movement, move_stock
from store.recordsets import insert_rows, recordset
from store.tables.catalog import listings, locations, sellers, shipping_rates
from store.tables.stock import stock, stock_movements


class Inventory:
    """Each change is one transaction; units that come in go to waiting backorders in it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, catalog: Catalog) -> StockRefused | None:
        """Add or update sellers, locations and listings. Stock is the opening balance, taken once per level."""
        for index, location in enumerate(catalog.locations):
            refusal = calendar_refusal(location.profile)
            if refusal is not None:
                return StockRefused(reason=f"locations.{index}.profile.{refusal}")
        opening = [
            Movement(
                key=f"opening:{level.location}:{level.seller}:{level.sku}",
                location_id=level.location,
                seller_id=level.seller,
                sku=level.sku,
                reason="opening",
                on_hand_delta=level.on_hand,
            )
            for level in catalog.stock
        ]
        try:
            async with self._database.transaction() as connection:
                await _save_catalog(connection, catalog)
                await _change(connection, opening)
        except _Refused as refused:
            return StockRefused(reason=str(refused))
        return None

    async def receive(self, receipt: Receipt) -> StockMoved | StockRefused:
        return await self._move(_movement("received", receipt, receipt.quantity, "received"))

    async def correct(self, correction: Correction) -> StockMoved | StockRefused:
        return await self._move(_movement("corrected", correction, correction.change, correction.reason))

    async def is_own_location(self, seller: str, location: str) -> bool:
        query = select(locations.c.location_id).where(
            locations.c.location_id == location, locations.c.seller_id == seller
        )
        async with self._database.statement() as connection:
            return (await connection.scalar(query)) is not None

    async def levels(
        self, *, location: str | None = None, seller: str | None = None, sku: str | None = None
    ) -> tuple[StockLevel, ...]:
        query = _LEVELS.order_by(stock.c.location_id, stock.c.seller_id, stock.c.sku)
        for column, value in ((stock.c.location_id, location), (stock.c.seller_id, seller), (stock.c.sku, sku)):
            if value is not None:
                query = query.where(column == value)
        async with self._database.statement() as connection:
            return tuple(StockLevel.model_validate(row._asdict()) for row in await connection.execute(query))

    async def _move(self, movement: Movement) -> StockMoved | StockRefused:
        query = _LEVELS.where(
            stock.c.location_id == movement.location_id,
            stock.c.seller_id == movement.seller_id,
            stock.c.sku == movement.sku,
        )
        try:
            async with self._database.transaction() as connection:
                told = (await _change(connection, [movement])).get(movement.key)
                if told not in (None, movement.on_hand_delta):
                    raise _Refused(f"key: {told} units of {movement.sku} were told of by this key before")
                level = (await connection.execute(query)).one()._asdict()
                return StockMoved.model_validate({**level, "repeated": told is not None})
        except _Refused as refused:
            return StockRefused(reason=str(refused))


def _movement(kind: str, told: Receipt | Correction, change: int, reason: str) -> Movement:
    """One delivery note has many items, and each of them counts once."""
    key = f"{kind}:{told.location}:{told.seller}:{told.sku}:{told.key}"
    return Movement(key, told.location, told.seller, told.sku, reason, on_hand_delta=change)


class _Refused(Exception):
    """Takes the transaction back; never leaves this module."""


async def _change(connection: AsyncConnection, movements: Sequence[Movement]) -> dict[str, int]:
    """Change what is on hand, and give what is free then to those who wait.

    Gives the movements that were there before, which move nothing now: how many units each has moved by key.
    """
    if not movements:
        return {}
    rows = [
        {"location_id": m.location_id, "seller_id": m.seller_id, "sku": m.sku, "on_hand": 0, "reserved": 0}
        for m in movements
    ]
    rows.sort(key=lambda row: (row["location_id"], row["seller_id"], row["sku"]))
    for row in await connection.execute(_UNKNOWN, {"levels": rows}):
        raise _Refused(f"stock: {row.seller_id} lists no {row.sku}, or has no location {row.location_id}")
    await connection.execute(_OPEN_LEVELS, {"levels": rows})
    # Locked before they are looked at: the refusal below must not be overtaken.
    levels = {
        (row.location_id, row.seller_id, row.sku): row
        for row in await connection.execute(_LOCK_LEVELS, {"levels": rows})
    }
    told = select(stock_movements.c.key, stock_movements.c.on_hand_delta).where(
        stock_movements.c.key.in_([m.key for m in movements])
    )
    done = {row.key: row.on_hand_delta for row in await connection.execute(told)}
    new = [m for m in movements if m.key not in done]
    for movement in new:
        level = levels[movement.location_id, movement.seller_id, movement.sku]
        on_hand = level.on_hand + movement.on_hand_delta
        if not level.reserved <= on_hand <= LEVEL_MAX:
            raise _Refused(
                f"on_hand: {movement.sku} at {movement.location_id} would be {on_hand}, {level.reserved} are reserved"
            )
    if await move_stock(connection, new):
        await allocate_to_waiting(connection, {(m.location_id, m.seller_id, m.sku) for m in new if m.on_hand_delta > 0})
    return done


async def _save_catalog(connection: AsyncConnection, catalog: Catalog) -> None:
    await _upsert(
        connection,
        sellers,
        [{"seller_id": s.seller, "name": s.name, "email": s.email, "time_zone": s.time_zone} for s in catalog.sellers],
        key=("seller_id",),
    )
    known = set(await connection.scalars(select(sellers.c.seller_id)))
    named = {x.seller for x in catalog.locations if x.seller is not None} | {x.seller for x in catalog.listings}
    strangers = named - known
    if strangers:
        raise _Refused(f"seller: nobody knows {', '.join(sorted(strangers))}")
    await _upsert(
        connection,
        locations,
        [
            {
                "location_id": place.location,
                "seller_id": place.seller,
                "channel": place.channel,
                "priority": place.priority,
                "profile": place.profile.model_dump(mode="json"),
            }
            for place in catalog.locations
        ],
        # Whose location it is never changes: stock lies there.
        key=("location_id", "seller_id", "channel"),
    )
    await _upsert(
        connection,
        listings,
        [{"seller_id": x.seller, **x.model_dump(mode="json", exclude={"seller"})} for x in catalog.listings],
        key=("seller_id", "sku"),
    )
    await _upsert(
        connection,
        shipping_rates,
        [rate.model_dump(mode="json") for rate in catalog.shipping_rates],
        key=("currency", "method"),
    )


async def _upsert(connection: AsyncConnection, table: Table, rows: list[dict[str, Any]], *, key: Iterable[str]) -> None:
    if not rows:
        return
    statement = insert_rows(table, "rows", list(rows[0]))
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed), {"rows": rows}
    )


# -- statements ----------------------------------------------------------------------


_LEVELS = select(
    stock.c.location_id.label("location"),
    stock.c.seller_id.label("seller"),
    *(stock.c.sku, stock.c.on_hand, stock.c.reserved),
)

_level = recordset("levels", [stock.c.location_id, stock.c.seller_id, stock.c.sku])


def _unknown() -> Select[Any]:
    """Levels that cannot be: nobody lists that, or the location is another seller's."""
    listed = and_(listings.c.seller_id == _level.c.seller_id, listings.c.sku == _level.c.sku)
    owned = or_(locations.c.seller_id == _level.c.seller_id, locations.c.seller_id.is_(None))
    return (
        select(_level.c.location_id, _level.c.seller_id, _level.c.sku)
        .outerjoin_from(_level, listings, listed)
        .outerjoin(locations, and_(locations.c.location_id == _level.c.location_id, owned))
        .where(or_(listings.c.sku.is_(None), locations.c.location_id.is_(None)))
        .limit(1)
    )


_UNKNOWN = _unknown()
_OPEN_LEVELS = insert_rows(
    stock, "levels", ["location_id", "seller_id", "sku", "on_hand", "reserved"]
).on_conflict_do_nothing()
_LOCK_LEVELS = (
    select(stock)
    .join(_level, and_(*(stock.c[name] == _level.c[name] for name in ("location_id", "seller_id", "sku"))))
    .order_by(stock.c.location_id, stock.c.seller_id, stock.c.sku)
    .with_for_update(of=stock)
)
