"""Messages to orders, queued in the outbox until they are due."""

from typing import Any

from sqlalchemy import bindparam, delete, func
from sqlalchemy.types import Text

from domain.outbox import OutboxKind
from domain.requests import QueuedMessage
from store.database import Database
from store.recordsets import insert_rows
from store.tables.outbox import outbox


def message_body(signal: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body of an outbox row that is a message."""
    return {"signal": signal, "body": body}


class Messages:
    """`activities.ports.MessageQueue`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def schedule(self, messages: tuple[QueuedMessage, ...]) -> None:
        rows = [
            {
                "key": message.key,
                "kind": OutboxKind.MESSAGE,
                "order_id": message.order_id,
                "body": message_body(message.signal, message.body),
                "due_at": message.due_at.isoformat(),
            }
            for message in messages
        ]
        if rows:
            async with self._database.statement() as connection:
                await connection.execute(_SCHEDULE, {"messages": rows})

    async def withdraw(self, order_id: str, key_prefix: str) -> int:
        async with self._database.statement() as connection:
            return (await connection.execute(_WITHDRAW, {"of": order_id, "prefix": key_prefix})).rowcount


_SCHEDULE = insert_rows(outbox, "messages", ["key", "kind", "order_id", "body", "due_at"]).on_conflict_do_nothing(
    index_elements=["key"]
)
_WITHDRAW = delete(outbox).where(
    outbox.c.order_id == bindparam("of", type_=Text),
    outbox.c.kind == OutboxKind.MESSAGE,
    func.starts_with(outbox.c.key, bindparam("prefix", type_=Text)),
    outbox.c.sent_at.is_(None),
    outbox.c.failed_at.is_(None),
)
