"""Keys to the API and the pages, as hashes; and how often somebody has tried something."""

from datetime import datetime, timedelta

from sqlalchemy import Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from domain.access import Caller, FoundKey, Scope
from domain.model import Frozen
from store.database import Database
from store.tables.access import api_keys, attempts
from store.views.reading import models


class KeyRow(Frozen):
    """A key as lists show it: nobody can make the key of it again."""

    key_id: str
    scope: Scope
    seller_id: str | None
    label: str
    created_at: datetime
    revoked_at: datetime | None


class Keys:
    """`usecases.keys.KeyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, caller: Caller, secret_hash: str, label: str) -> bool:
        """False where nobody knows the seller."""
        row = {
            "key_id": caller.key_id,
            "secret_hash": secret_hash,
            "scope": caller.scope,
            "seller_id": caller.seller,
            "label": label,
        }
        try:
            async with self._database.statement() as connection:
                await connection.execute(insert(api_keys).values(row))
        except IntegrityError:
            return False
        return True

    async def find(self, key_id: str) -> FoundKey | None:
        """None where it is unknown or revoked."""
        async with self._database.statement() as connection:
            row = (await connection.execute(_FIND, {"id": key_id})).one_or_none()
        if row is None:
            return None
        caller = Caller(scope=Scope(row.scope), key_id=row.key_id, seller=row.seller_id)
        return FoundKey(caller, row.secret_hash, row.sessions_since)

    async def end_sessions(self, key_id: str, at: datetime) -> None:
        """Those that began by then are signed out, wherever they are."""
        query = update(api_keys).where(api_keys.c.key_id == key_id).values(sessions_since=at)
        async with self._database.statement() as connection:
            await connection.execute(query)

    async def revoke(self, key_id: str) -> bool:
        """From the next request on it opens nothing. False where there is no such key, or it is revoked already."""
        query = (
            update(api_keys)
            .where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=func.now())
        )
        async with self._database.statement() as connection:
            return (await connection.execute(query)).rowcount == 1

    async def all(self) -> tuple[KeyRow, ...]:
        """The newest first, revoked ones too."""
        query = select(*(api_keys.c[name] for name in KeyRow.model_fields)).order_by(api_keys.c.created_at.desc())
        async with self._database.statement() as connection:
            return models(KeyRow, await connection.execute(query))


# With every request of a program.
_FIND = select(api_keys).where(api_keys.c.key_id == bindparam("id", type_=Text), api_keys.c.revoked_at.is_(None))

_KEPT = timedelta(days=1)


class Attempts:
    """Counts per subject and minute, shared by all web processes: a window slides, so nobody gets twice at its edge."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, subject: str, window: timedelta) -> int:
        """How often this was noted in the last `window`, up to a minute less."""
        noted = attempts.c.subject == subject, attempts.c.window_start > func.now() - window
        async with self._database.statement() as connection:
            return int(await connection.scalar(select(func.sum(attempts.c.count)).where(*noted)) or 0)

    async def note(self, subject: str) -> None:
        """One more. Counts of long ago are deleted on the way."""
        counted = insert(attempts).values(subject=subject, window_start=func.date_trunc("minute", func.now()), count=1)
        query = counted.on_conflict_do_update(
            index_elements=["subject", "window_start"], set_={"count": attempts.c.count + 1}
        )
        old = attempts.delete().where(attempts.c.window_start < func.now() - _KEPT).cte("old")
        async with self._database.statement() as connection:
            await connection.execute(query.add_cte(old))
