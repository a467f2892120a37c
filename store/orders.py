"""Orders: recorded once, saved with every step, closed with a result."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import Select, Text, bindparam, cast, exists, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.outbox import OutboxKind
from domain.placing import Address, PlaceOrder
from domain.progress import Progress
from domain.requests import KnownOrder, RecordedOrder, RecordOrder, UnknownLine
from store.database import Database
from store.progress import save_progress
from store.recording import known_order, look_up, record
from store.recordsets import once, recordset
from store.tables.orders import order_contacts, orders
from store.tables.outbox import outbox


class Orders:
    """`activities.ports.OrderStore`, and the one place that writes a customer's name and address."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_order(self, request: RecordOrder) -> RecordedOrder:
        async with self._database.statement() as connection:
            return await record(connection, request)

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
        new = {"order_id": order_id, "address": address.model_dump(mode="json")}
        async with self._database.transaction() as connection:
            # Once per key: a late second try must not undo the change that came after it.
            effect = {"key": key, "order_id": order_id, "result": {}}
            await connection.execute(_CHANGE_ADDRESS, {"effect": [effect], "contact": [new], "left": [*left]})
            if progress is not None:
                await save_progress(connection, progress)

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
        async with self._database.statement() as connection:
            address = await connection.scalar(
                select(cast(order_contacts.c.address, Text)).where(order_contacts.c.order_id == order_id)
            )
        return None if address is None else Address.model_validate_json(address)


def _change_address() -> Select[Any]:
    first = once("effect")
    new = recordset("contact", [order_contacts.c.order_id, order_contacts.c.address])
    left = func.unnest(bindparam("left", type_=ARRAY(Text))).column_valued("fulfillment_id")
    kept = select(
        func.coalesce(func.jsonb_object_agg(left, order_contacts.c.address), cast({}, JSONB))
    ).scalar_subquery()
    changed = (
        update(order_contacts)
        .where(order_contacts.c.order_id == new.c.order_id, exists(select(first.c.key)))
        .values(
            address=new.c.address,
            # What was kept at an earlier change stays.
            earlier_addresses=kept.op("||")(order_contacts.c.earlier_addresses),
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


_CHANGE_ADDRESS = _change_address()
_RESEND = _resend()
