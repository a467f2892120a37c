"""The outbox as its sender sees it: rows lent out when due, taken back when their lease ends."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Interval, Text, bindparam, func, select, update
from sqlalchemy.types import Integer

from domain.outbox import OutboxKind, OutboxRow
from store.database import Database
from store.grouping import Grouped
from store.tables.outbox import outbox


class Outbox:
    """`usecases.outbox.Outbox`. A lease instead of a lock: a lock would keep a transaction open while mail is sent."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sent = Grouped(self._end_sent)

    async def claim(self, kind: OutboxKind, limit: int, lease: timedelta) -> tuple[OutboxRow, ...]:
        async with self._database.statement() as connection:
            rows = (await connection.execute(_CLAIM, {"of_kind": kind, "limit": limit, "lease": lease})).all()
        return tuple(
            OutboxRow(
                row_id=row.id,
                kind=OutboxKind(row.kind),
                key=row.key,
                order_id=row.order_id,
                body=row.body,
                attempts=row.attempts,
            )
            for row in sorted(rows, key=lambda row: (row.was_due_at, row.id))
        )

    async def sent(self, row_id: int, note: str = "") -> None:
        await self._sent.ask((row_id, note))

    async def retry(self, row_id: int, error: str, after: timedelta) -> None:
        await self._end(row_id, due_at=func.now() + after, last_error=error)

    async def give_up(self, row_id: int, reason: str) -> None:
        await self._end(row_id, failed_at=func.now(), last_error=reason)

    async def next_due(self, kind: OutboxKind) -> timedelta | None:
        """How long until the next row is due, by the clock of the database; None where nothing waits."""
        async with self._database.statement() as connection:
            wait: timedelta | None = await connection.scalar(_NEXT_DUE, {"of_kind": kind})
        return None if wait is None else max(wait, timedelta(0))

    async def _end(self, row_id: int, **changes: Any) -> None:
        async with self._database.statement() as connection:
            await connection.execute(update(outbox).where(outbox.c.id == row_id, *_OPEN).values(**changes))

    async def _end_sent(self, group: tuple[tuple[int, str], ...]) -> dict[tuple[int, str], None]:
        notes = dict(group)
        async with self._database.statement() as connection:
            await connection.execute(_SENT, {"ids": list(notes), "notes": list(notes.values())})
        return {}


# A row that was sent stays sent, whatever another sender says of it whose lease had ended.
_OPEN = (outbox.c.sent_at.is_(None), outbox.c.failed_at.is_(None))
_PENDING = (outbox.c.kind == bindparam("of_kind", type_=Text), *_OPEN)


def _claim() -> Any:
    due = (
        select(outbox.c.id, outbox.c.due_at)
        .where(*_PENDING, outbox.c.due_at <= func.now())
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return (
        update(outbox)
        .where(outbox.c.id == due.c.id)
        .values(due_at=func.now() + bindparam("lease", type_=Interval), attempts=outbox.c.attempts + 1)
        .returning(
            *(outbox.c.id, outbox.c.kind, outbox.c.key, outbox.c.order_id, outbox.c.body, outbox.c.attempts),
            due.c.due_at.label("was_due_at"),
        )
    )


def _sent() -> Any:
    rows = func.unnest(bindparam("ids", type_=ARRAY(BigInteger)), bindparam("notes", type_=ARRAY(Text)))
    ended = rows.table_valued("id", "note", name="ended").render_derived()
    return (
        update(outbox)
        .where(outbox.c.id == ended.c.id, *_OPEN)
        .values(sent_at=func.now(), last_error=func.nullif(ended.c.note, ""))
    )


_CLAIM = _claim()
_SENT = _sent()
_NEXT_DUE = select(func.min(outbox.c.due_at) - func.now()).where(*_PENDING)
