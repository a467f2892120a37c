"""How customers and sellers are reached: asked when a mail is sent, and by pages of those who may see it."""

from sqlalchemy import select

from domain.contacts import Contact, CustomerContact
from domain.placing import Address
from store.database import Database
from store.tables.catalog import sellers
from store.tables.orders import order_contacts


class Contacts:
    """`usecases.outbox.Contacts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def contact(self, order_id: str, to: str) -> Contact | None:
        role, _, seller_id = to.partition(":")
        if role == "seller":
            query = select(sellers.c.name, sellers.c.email, sellers.c.time_zone).where(sellers.c.seller_id == seller_id)
        else:
            query = select(order_contacts.c.name, order_contacts.c.email, order_contacts.c.time_zone).where(
                order_contacts.c.order_id == order_id
            )
        async with self._database.statement() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Contact(name=row.name, email=row.email, time_zone=row.time_zone)

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
