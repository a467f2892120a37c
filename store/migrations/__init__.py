"""The schema's history, kept by Alembic and run from code: no ini file, no command to remember."""

import asyncio
import logging
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from store.database import Database, plain_url, unavailable

logger = logging.getLogger("openorders.migrations")

_LOCK = 4_201_042
"""Any number that nobody else in this database locks."""

_SCHEMA = """
    SELECT (SELECT version_num FROM alembic_version), obj_description(CAST('alembic_version' AS regclass), 'pg_class')
"""
"""The revision that the database is of, and the oldest code that can live with it, where that was ever noted."""

_WAIT_SECONDS = 0.2
_LOCK_TIMEOUT_MS = 5_000
"""What a migration waits for a table. Whoever comes later for the same table stands behind it, so it gives up early."""


class SchemaTooNew(Exception):
    """The database was changed so that this code cannot live with it any more; a newer build must run."""


async def migrate(url: str | SecretStr) -> None:
    """Bring the schema up to date. Workers that start side by side wait for the first one and find nothing to do.

    A schema that is ahead of this code is left as it is: the build before restarts while a new one rolls out, or comes
    back after it. Raises `SchemaTooNew` where a contracting migration has taken away what this code needs, and
    `Unavailable` where PostgreSQL does not answer, or somebody holds a table for too long.
    """
    engine = create_async_engine(plain_url(url), poolclass=NullPool, hide_parameters=True)
    try:
        with unavailable():
            async with engine.connect() as connection:
                await _lock(connection)
                if await connection.run_sync(_is_behind):
                    await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()  # which lets the lock go


async def _lock(connection: AsyncConnection) -> None:
    """Of the session, since a migration may commit in its middle. Asked for again and again: a statement that waited
    for it would hold up an index that another worker makes concurrently, which waits for all statements to end.
    """
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
        await connection.commit()
        await asyncio.sleep(_WAIT_SECONDS)
    await connection.execute(text(f"SET lock_timeout = {_LOCK_TIMEOUT_MS}"))
    await connection.commit()


def _is_behind(connection: Connection) -> bool:
    """Whether there is anything to do. Revisions are numbers: one that is unknown and higher is ahead."""
    there = connection.scalar(text("SELECT to_regclass('alembic_version')"))
    revision, needed = connection.execute(text(_SCHEMA)).one() if there else (None, None)
    connection.commit()
    if reason := _too_new(revision, needed):
        raise SchemaTooNew(reason)
    if revision is None or revision in revisions():
        return revision != head()
    logger.warning("the schema is ahead of this code, and left as it is", extra={"schema": revision, "code": head()})
    return False


def _too_new(revision: str | None, needed: str | None) -> str | None:
    if needed is not None and needed not in revisions():
        return f"the schema of the database is {revision} and needs code of {needed} or later, not of {head()}"
    if revision is not None and revision not in revisions() and revision < max(revisions()):
        return f"the schema of the database is {revision}, which no code up to {head()} has had"
    return None


def _upgrade(connection: Connection) -> None:
    """Each migration in a transaction of its own, with what it takes away written down in the same one."""
    command.upgrade(_config(connection), "head")
    connection.commit()


async def schema_trouble(database: Database) -> str | None:
    """Why this code cannot work on the schema as it is; None where it can, be the schema ahead of it.

    Raises `Unavailable`.
    """
    async with database.statement() as connection:
        if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            return "the database has no schema"
        revision, needed = (await connection.execute(text(_SCHEMA))).one()
    return _too_new(revision, needed) or (
        f"the schema is at revision {revision}, this version needs {head()}" if revision in revisions()[:-1] else None
    )


async def write_revision(url: str | SecretStr, message: str, revision: str) -> None:
    """For developers: a new file in `versions/` with what the tables have and the database has not."""
    engine = create_async_engine(plain_url(url), poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(
            lambda sync: command.revision(_config(sync), message, autogenerate=True, rev_id=revision)
        )
    await engine.dispose()


@cache
def revisions() -> tuple[str, ...]:
    """All that this code knows, oldest first."""
    script = ScriptDirectory(str(Path(__file__).parent))
    return tuple(reversed([one.revision for one in script.walk_revisions()]))


def head() -> str:
    """The newest revision that this code knows."""
    return revisions()[-1]


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
