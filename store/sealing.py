"""Sealing what was written in clear by code of before, and wrapping keys by the key that encrypts now."""

from typing import Any

from sqlalchemy import Text, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.model import Frozen
from store.database import Database
from store.tables.orders import order_contacts, orders
from store.tables.people import customer_keys, order_search, search_key
from store.vault import CONTACT, JOINED, Vault, sealed_values

_AT_ONCE = 500


class SealedRows(Frozen):
    """How many were done."""

    contacts: int
    keys: int
    """Wrapped anew."""


class Sealing:
    """Given again it does what is left to do, while workers run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seal(self) -> SealedRows:
        """Raises `Unavailable` where a key is wrapped by one that is not known here."""
        return SealedRows(contacts=await self._contacts(), keys=await self._keys())

    async def _contacts(self) -> int:
        after, done = "", 0
        while True:
            async with self._database.transaction() as connection:
                rows = (await connection.execute(_CLEAR, {"after": after})).all()
                for row in rows:
                    await _seal(connection, row, self._database.vault)
            if not rows:
                return done
            after, done = rows[-1].order_id, done + len(rows)

    async def _keys(self) -> int:
        """Of each batch a statement, in the sequence of the keys' ids."""
        vault, after, done = self._database.vault, "", 0
        current = vault.wrapping.current
        if current is None:
            return 0
        async with self._database.transaction() as connection:
            for row in await connection.execute(
                select(search_key).where(search_key.c.wrapped_by.is_distinct_from(current))
            ):
                wrapped = vault.rewrap(row.wrapped, row.wrapped_by, None)
                await connection.execute(update(search_key).values(wrapped=wrapped.content, wrapped_by=wrapped.by))
                done += 1
        while True:
            async with self._database.transaction() as connection:
                rows = (await connection.execute(_OTHERWISE_WRAPPED, {"after": after, "current": current})).all()
                for row in rows:
                    wrapped = vault.rewrap(row.wrapped, row.wrapped_by, row.key_id)
                    changed = update(customer_keys).where(customer_keys.c.key_id == row.key_id)
                    await connection.execute(changed.values(wrapped=wrapped.content, wrapped_by=wrapped.by))
            if not rows:
                return done
            after, done = rows[-1].key_id, done + len(rows)


async def _seal(connection: AsyncConnection, row: Any, vault: Vault) -> None:
    new = vault.new_key()
    made = insert(customer_keys).values(
        key_id=new.key.key_id, customer_id=row.customer_id, wrapped=new.wrapped.content, wrapped_by=new.wrapped.by
    )
    await connection.execute(
        made.on_conflict_do_nothing(index_elements=["customer_id"], index_where=customer_keys.c.destroyed_at.is_(None))
    )
    found = (await connection.execute(_KEY, {"customer": row.customer_id})).one()
    key = vault.key(found.key_id, found.wrapped, found.wrapped_by)
    person = vault.person(row.order_id, row)
    of_order = order_contacts.c.order_id == row.order_id
    await connection.execute(update(order_contacts).where(of_order).values(sealed_values(key, row.order_id, person)))
    hashes = await vault.hashes(connection, person)
    await connection.execute(insert(order_search).values(order_id=row.order_id, hashes=hashes).on_conflict_do_nothing())


_CLEAR = (
    select(order_contacts.c.order_id, orders.c.customer_id, *CONTACT)
    .select_from(JOINED.join(orders, orders.c.order_id == order_contacts.c.order_id))
    .where(
        order_contacts.c.order_id > bindparam("after", type_=Text),
        order_contacts.c.sealed.is_(None),
        order_contacts.c.email != "",  # erased
    )
    .order_by(order_contacts.c.order_id)
    .limit(_AT_ONCE)
    .with_for_update(of=order_contacts)
)
_KEY = text("""
    SELECT key_id, wrapped, wrapped_by FROM customer_keys
    WHERE customer_id = :customer AND destroyed_at IS NULL FOR SHARE
""")
_OTHERWISE_WRAPPED = (
    select(customer_keys)
    .where(
        customer_keys.c.key_id > bindparam("after", type_=Text),
        customer_keys.c.destroyed_at.is_(None),
        customer_keys.c.wrapped_by.is_distinct_from(bindparam("current", type_=Text)),
    )
    .order_by(customer_keys.c.key_id)
    .limit(_AT_ONCE)
    .with_for_update()
)
