"""PostgreSQL's own count of commits, by which ours is checked."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from localstack.stack import Stack


class CommitCheck:
    """Reads from another database, so that looking is not counted."""

    def __init__(self, stack: Stack, database: str) -> None:
        self._dsn = stack.postgres.dsn.replace("+psycopg", "")
        self._database = database

    def commits(self) -> int:
        """A backend reports what it did when it ends at the latest: close the pools before. Each commits once itself,
        as it starts.
        """
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            row = connection.execute(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = %s", (self._database,)
            ).fetchone()
        assert row is not None, self._database
        return int(row[0])

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Autovacuum commits, too, and in whatever database it likes."""
        self._say("ALTER SYSTEM SET autovacuum = off")
        try:
            yield
        finally:
            self._say("ALTER SYSTEM RESET autovacuum")

    def _say(self, statement: "psycopg.abc.Query") -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(statement)
            connection.execute("SELECT pg_reload_conf()")
