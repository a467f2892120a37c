"""Orders: recorded once, saved with every step, closed with a result."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import LargeBinary, Row, Select, Text, bindparam, cast, exists, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.outbox import OutboxKind
from domain.placing import Address, PlaceOrder
from domain.progress import Progress
from domain.requests import KnownOrder, RecordedOrder, RecordOrder, UnknownLine
from store.database import Database
from store.progress import save_progress
from store.recording import known_order, look_up, record
from store.recordsets import once
from store.tables.orders import order_contacts, orders
from store.tables.outbox import outbox
from store.tables.people import order_search
from store.vault import CONTACT, JOINED, clear_values, sealed_values


class Orders:
    """`activities.ports.OrderStore`, and the one place that writes a customer's name and address."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_order(self, request: RecordOrder) -> RecordedOrder:
        async with self._database.statement() as connection:
            return await record(connection, request, self._database.vault)

    async def save(self, progress: Progress) -> None:
        async with self._saving(progress) as connection:
            await save_progress(connection, progress)

    async def close(self, progress: Progress, result: str) -> None:
        async with self._saving(progress) as connection:
            await save_progress(connection, progress, result)

    def _saving(self, progress: Progress) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._database.transaction() if progress.whole else self._database.statement()

    async def change_address(
        self, order_id: str, key: str, address: Address, left: tuple[str, ...], progress: Progress | None
    ) -> None:
        """Fulfillments that have `left` keep the address that they left for."""
        async with self._database.transaction() as connection:
            row = (await connection.execute(_CONTACT_TO_CHANGE, {"of": order_id})).one_or_none()
            if row is not None:
                # Once per key: a late second try must not undo the change that came after it.
                effect = {"key": key, "order_id": order_id, "result": {}}
                values = self._moved(order_id, row, address, left)
                await connection.execute(_CHANGE_ADDRESS, {"effect": [effect], "of": order_id, **values})
            if progress is not None:
                await save_progress(connection, progress)

    def _moved(self, order_id: str, row: Row[Any], address: Address, left: tuple[str, ...]) -> dict[str, Any]:
        vault = self._database.vault
        person = vault.person(order_id, row)
        # What was kept at an earlier change stays.
        earlier = dict.fromkeys(left, person.address) | dict(person.earlier_addresses)
        person = person.model_copy(update={"address": address, "earlier_addresses": earlier})
        if row.sealed is None:
            return {
                "to": clear_values(person)["address"],
                "before": clear_values(person)["earlier_addresses"],
                "sealed": None,
            }
        if row.destroyed_at is not None:  # nobody is known there any more
            return {"to": row.address, "before": {}, "sealed": row.sealed}
        values = sealed_values(vault.key(row.sealed_by, row.wrapped, row.wrapped_by), order_id, person)
        return {"to": values["address"], "before": {}, "sealed": values["sealed"]}

    async def correct_email(self, order_id: str, email: str) -> bool:
        """For mails that are sent from now on. False where there is no such order, or its customer is erased."""
        vault = self._database.vault
        async with self._database.transaction() as connection:
            row = (await connection.execute(_CONTACT_TO_CHANGE, {"of": order_id})).one_or_none()
            if row is None or row.destroyed_at is not None or row.email == "":
                return False
            person = vault.person(order_id, row).model_copy(update={"email": email})
            of_order = order_contacts.c.order_id == order_id
            if row.sealed is None:
                await connection.execute(update(order_contacts).where(of_order).values(email=email))
                return True
            key = vault.key(row.sealed_by, row.wrapped, row.wrapped_by)
            values = sealed_values(key, order_id, person)
            await connection.execute(update(order_contacts).where(of_order).values(values))
            hashes = await vault.hashes(connection, person)
            found = update(order_search).where(order_search.c.order_id == order_id)
            await connection.execute(found.values(hashes=hashes))
        return True

    async def resend_mail(self, order_id: str, key: str, mail_key: str, progress: Progress | None) -> bool:
        """The copy has a key, and so a Message-ID, of its own: the same one would be taken for the mail they have."""
        async with self._database.transaction() as connection:
            found = await connection.scalar(_RESEND, {"of": order_id, "mail": mail_key, "copy": key})
            if progress is not None:
                await save_progress(connection, progress)
        return bool(found)

    async def known_order(self, order_id: str) -> KnownOrder | None:
        async with self._database.statement() as connection:
            found = select(orders.c.body_hash, cast(orders.c.result, Text).label("result")).where(
                orders.c.order_id == order_id
            )
            row = (await connection.execute(found)).one_or_none()
        return None if row is None else known_order(row)

    async def look_up(self, order: PlaceOrder) -> tuple[KnownOrder | None, tuple[UnknownLine, ...]]:
        """Before it is placed: whether it is here already, and its lines that nobody sells at this moment."""
        async with self._database.statement() as connection:
            return await look_up(connection, order)

    async def address(self, order_id: str) -> Address | None:
        query = select(*CONTACT).select_from(JOINED).where(order_contacts.c.order_id == order_id)
        async with self._database.statement() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else self._database.vault.person(order_id, row).address


def _change_address() -> Select[Any]:
    first = once("effect")
    changed = (
        update(order_contacts)
        .where(order_contacts.c.order_id == bindparam("of", type_=Text), exists(select(first.c.key)))
        .values(
            address=bindparam("to", type_=JSONB),
            earlier_addresses=bindparam("before", type_=JSONB),
            sealed=bindparam("sealed", type_=LargeBinary),
        )
        .cte("changed")
    )
    return select(func.count()).select_from(first).add_cte(changed)


def _resend() -> Select[Any]:
    """Gives how many mails there are of the old key: one or none."""
    copy = bindparam("copy", type_=Text)
    mail = (
        select(outbox.c.kind, outbox.c.order_id, outbox.c.body)
        .where(
            outbox.c.key == bindparam("mail", type_=Text),
            outbox.c.order_id == bindparam("of", type_=Text),
            outbox.c.kind == OutboxKind.MAIL,
        )
        .cte("mail_of_before")
    )
    body = mail.c.body.op("||")(func.jsonb_build_object("key", copy))
    again = (
        insert(outbox)
        .from_select(["key", "kind", "order_id", "body"], select(copy, mail.c.kind, mail.c.order_id, body))
        .on_conflict_do_nothing(index_elements=["key"])
        .cte("again")
    )
    return select(func.count()).select_from(mail).add_cte(again)


_CONTACT_TO_CHANGE = (
    select(*CONTACT)
    .select_from(JOINED)
    .where(order_contacts.c.order_id == bindparam("of", type_=Text))
    .with_for_update(of=order_contacts)
)
_CHANGE_ADDRESS = _change_address()
_RESEND = _resend()
