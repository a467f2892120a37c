"""The schema's history, kept by Alembic and run from code: no ini file, no command to remember."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from store.database import Database, plain_url, unavailable

_LOCK = 4_201_042
"""Any number that nobody else in this database locks."""


async def migrate(url: str | SecretStr) -> None:
    """Bring the schema up to date. Workers that start side by side wait for the first one and find nothing to do."""
    engine = create_async_engine(plain_url(url), poolclass=NullPool, hide_parameters=True)
    try:
        with unavailable():
            async with engine.begin() as connection:
                # Held until the commit of the whole upgrade: a schema half made is never seen.
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
    finally:
        await engine.dispose()


async def schema_trouble(database: Database) -> str | None:
    """Why this code cannot work on the schema as it is; None where it can.

    A schema of a later version than ours is fine: migrations only add, until no worker of before is left.
    Raises `Unavailable`.
    """
    async with database.statement() as connection:
        if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            return "the database has no schema"
        found: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    head, earlier = _revisions()
    return f"the schema is at revision {found}, this version needs {head}" if found in earlier else None


@cache
def _revisions() -> tuple[str, frozenset[str]]:
    """The newest that this code knows, and all before it."""
    scripts = ScriptDirectory(str(Path(__file__).parent))
    head = scripts.get_current_head()
    assert head is not None, "a schema without any revision"
    return head, frozenset(one.revision for one in scripts.walk_revisions()) - {head}


async def write_revision(url: str | SecretStr, message: str, revision: str) -> None:
    """For developers: a new file in `versions/` with what the tables have and the database has not."""
    engine = create_async_engine(plain_url(url), poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(
            lambda sync: command.revision(_config(sync), message, autogenerate=True, rev_id=revision)
        )
    await engine.dispose()


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
