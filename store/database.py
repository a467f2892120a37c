"""The way to PostgreSQL: one pool per process, one place where its troubles become `Unavailable`."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from pydantic import SecretStr
from sqlalchemy import QueuePool, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from domain.requests import Unavailable
from domain.sealing import Wrapping
from store.vault import Vault

STATEMENT_TIMEOUT_MS = 10_000
"""Longer than any statement of ours; a lock that is held longer is somebody's crash, and a retry is due."""


class Database:
    """A pool of connections. `url` is like `postgresql+psycopg://user:password@host/database`.

    Connections are not pinged before use: that would be a round trip per statement. After a restart of the server the
    first call fails as `Unavailable`, SQLAlchemy throws the whole pool away, and the retry gets a fresh one.
    """

    def __init__(
        self, url: str | SecretStr, *, pool_size: int = 20, overflow: int = 0, wrapping: Wrapping | None = None
    ) -> None:
        self.vault = Vault(wrapping or Wrapping())
        """What opens the names and addresses that are in it."""

        self.troubles: Counter[str] = Counter()
        """How often a statement met trouble that passes, by SQLSTATE: `40P01` is a deadlock, `57014` a statement that
        took too long, mostly because of a lock. `connection` where there is no code, `pool` where all were taken.
        """

        self._engine = create_async_engine(
            plain_url(url),
            pool_size=pool_size,
            max_overflow=overflow,
            pool_timeout=5,
            pool_recycle=1800,
            hide_parameters=True,  # errors end up in histories and logs, parameters hold addresses
            connect_args={
                "connect_timeout": 5,
                "application_name": "openorders",
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
            },
        )
        # The same pool, without BEGIN and COMMIT around a single statement.
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._snapshots = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True, postgresql_deferrable=False
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        with unavailable(self.troubles):
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """For several reads of one moment."""
        with unavailable(self.troubles):
            async with self._snapshots.begin() as connection:
                yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncConnection]:
        """For single statements, each a transaction of its own."""
        with unavailable(self.troubles):
            async with self._autocommit.connect() as connection:
                yield connection

    @property
    def connections_in_use(self) -> int:
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    async def ready(self) -> bool:
        try:
            await self.answer()
        except Unavailable:
            return False
        return True

    async def answer(self) -> None:
        """Raises `Unavailable` with the reason where it does not."""
        async with self.statement() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._engine.dispose()


def plain_url(url: str | SecretStr) -> str:
    return url.get_secret_value() if isinstance(url, SecretStr) else url


@contextmanager
def unavailable(troubles: Counter[str] | None = None) -> Iterator[None]:
    """Tell trouble, which passes, from bugs. Only the error's class and code are told on: its text may hold the DSN,
    its parameters personal data, and what an activity raises stands in the order's history for good.
    """
    seen = Counter[str]() if troubles is None else troubles
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        code = getattr(error.orig, "sqlstate", None)
        seen[code or "connection"] += 1
        raise Unavailable(f"PostgreSQL: {type(error.orig).__name__} ({code or 'no connection'})") from None
    except PoolTimeout:
        seen["pool"] += 1
        raise Unavailable("PostgreSQL: no connection of the pool is free") from None
    except DBAPIError as error:
        if error.connection_invalidated:
            seen["connection"] += 1
            raise Unavailable(f"PostgreSQL: {type(error.orig).__name__}, the connection was lost") from None
        raise
