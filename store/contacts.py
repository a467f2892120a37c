"""How customers and sellers are reached: asked when a mail is sent, and by pages of those who may see it."""

from typing import Any

from sqlalchemy import ARRAY, Select, Text, any_, bindparam, select

from domain.contacts import Contact, CustomerContact
from domain.placing import Address
from store.database import Database
from store.grouping import Grouped
from store.tables.catalog import sellers
from store.tables.orders import order_contacts, orders


class Contacts:
    """`usecases.outbox.Contacts`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sellers = Grouped(self._of_sellers)
        self._customers = Grouped(self._of_customers)

    async def contact(self, order_id: str, to: str) -> Contact | None:
        role, _, seller_id = to.partition(":")
        return await (self._sellers.ask(seller_id) if role == "seller" else self._customers.ask(order_id))

    async def _of_sellers(self, ids: tuple[str, ...]) -> dict[str, Contact]:
        columns = (sellers.c.seller_id, sellers.c.name, sellers.c.email, sellers.c.time_zone)
        return await self._of(
            select(*columns).where(sellers.c.seller_id == any_(bindparam("ids", list(ids), ARRAY(Text))))
        )

    async def _of_customers(self, ids: tuple[str, ...]) -> dict[str, Contact]:
        found = order_contacts.c
        columns = (found.order_id, found.name, found.email, found.time_zone)
        return await self._of(select(*columns).where(found.order_id == any_(bindparam("ids", list(ids), ARRAY(Text)))))

    async def _of(self, query: Select[Any]) -> dict[str, Contact]:
        async with self._database.statement() as connection:
            rows = (await connection.execute(query)).all()
        return {key: Contact(name=name, email=email, time_zone=zone) for key, name, email, zone in rows}

    async def customer(self, order_id: str) -> CustomerContact | None:
        async with self._database.statement() as connection:
            row = (
                await connection.execute(select(order_contacts).where(order_contacts.c.order_id == order_id))
            ).one_or_none()
        if row is None:
            return None
        return CustomerContact(
            name=row.name,
            email=row.email,
            time_zone=row.time_zone,
            address=Address.model_validate(row.address),
            earlier_addresses={
                part: Address.model_validate(address) for part, address in row.earlier_addresses.items()
            },
        )

    async def is_erased(self, order_id: str) -> bool:
        """Whether nobody is to be told anything of the order any more."""
        query = select(orders.c.order_id).where(orders.c.order_id == order_id, orders.c.erased_at.is_not(None))
        async with self._database.statement() as connection:
            return (await connection.scalar(query)) is not None
