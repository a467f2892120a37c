"""How customers and sellers are reached: asked when a mail is sent, and by pages of those who may see it."""

from typing import Any

from sqlalchemy import ARRAY, Row, Text, any_, bindparam, or_, select

from domain.contacts import Contact, CustomerContact
from store.database import Database
from store.grouping import Grouped
from store.tables.catalog import sellers
from store.tables.orders import order_contacts, orders
from store.tables.people import customer_keys
from store.vault import CONTACT, JOINED


class Contacts:
    """`usecases.outbox.Contacts`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sellers = Grouped(self._of_sellers)
        self._customers = Grouped(self._of_customers)

    async def contact(self, order_id: str, to: str) -> Contact | None:
        """Raises `Unavailable` where the customer's key cannot be had, and `Altered`, for this order alone."""
        role, _, seller_id = to.partition(":")
        if role == "seller":
            return await self._sellers.ask(seller_id)
        row = await self._customers.ask(order_id)
        # Opened here and not in the group: a row that cannot be must not keep the mails of others.
        if row is None:
            return None
        person = self._database.vault.person(order_id, row)
        return Contact(name=person.name, email=person.email, time_zone=row.time_zone)

    async def _of_sellers(self, ids: tuple[str, ...]) -> dict[str, Contact]:
        columns = (sellers.c.seller_id, sellers.c.name, sellers.c.email, sellers.c.time_zone)
        query = select(*columns).where(sellers.c.seller_id == any_(bindparam("ids", list(ids), ARRAY(Text))))
        async with self._database.statement() as connection:
            rows = (await connection.execute(query)).all()
        return {key: Contact(name=name, email=email, time_zone=zone) for key, name, email, zone in rows}

    async def _of_customers(self, ids: tuple[str, ...]) -> dict[str, Row[Any]]:
        wanted = order_contacts.c.order_id == any_(bindparam("ids", list(ids), ARRAY(Text)))
        async with self._database.statement() as connection:
            rows = (await connection.execute(_CUSTOMERS.where(wanted))).all()
        return {row.order_id: row for row in rows}

    async def customer(self, order_id: str) -> CustomerContact | None:
        query = _CUSTOMERS.where(order_contacts.c.order_id == order_id)
        async with self._database.statement() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else self._database.vault.person(order_id, row).contact(row.time_zone)

    async def is_erased(self, order_id: str) -> bool:
        """Whether nobody is to be told anything of the order any more."""
        query = (
            select(orders.c.order_id)
            .join_from(orders, JOINED, order_contacts.c.order_id == orders.c.order_id)
            .where(
                orders.c.order_id == order_id,
                # The second of an order that was restored from a backup of before its erasure.
                or_(orders.c.erased_at.is_not(None), customer_keys.c.destroyed_at.is_not(None)),
            )
        )
        async with self._database.statement() as connection:
            return (await connection.scalar(query)) is not None


_CUSTOMERS = select(order_contacts.c.order_id, *CONTACT).select_from(JOINED)
