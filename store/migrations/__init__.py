"""The schema's history, kept by Alembic and run from code: no ini file, no command to remember."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from pydantic import SecretStr
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from store.database import plain_url, unavailable

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
