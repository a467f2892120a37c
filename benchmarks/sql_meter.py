"""Counts what this process sends to PostgreSQL, and tells an order's steps from what else a worker does."""

import asyncio
from collections import Counter
from types import TracebackType
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import Pool
from temporalio import activity

OUTBOX = "outbox"
IDLE_LOOKS = "idle looks at the outbox"
INSIGHTS = "insights"
"""The task of this name counts what has changed, for many orders at once."""


class Sql(NamedTuple):
    """Statements and commits by activity, or by what else was at work: `OUTBOX`, `IDLE_LOOKS`, `INSIGHTS`."""

    statements: Counter[str]
    commits: Counter[str]

    def since(self, before: "Sql") -> "Sql":
        return Sql(self.statements - before.statements, self.commits - before.commits)

    def of_steps(self) -> tuple[int, int]:
        """Statements and commits of the activities: the same at every run."""
        others = (OUTBOX, IDLE_LOOKS, INSIGHTS)
        return _sum_without(self.statements, *others), _sum_without(self.commits, *others)

    def of_outbox(self) -> tuple[int, int]:
        """Of what was sent: a claim takes all that is due by then, so this varies by a few."""
        return self.statements[OUTBOX], self.commits[OUTBOX]


class SqlMeter:
    """Listens to every engine of this process while it is entered.

    Activities and the outbox run here, too: what is sent within an activity is its own, the rest is the outbox's.
    A statement of the outbox that touches no row is one of the looks that it takes whether or not there are orders.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._statements: Counter[str] = Counter()
        self._commits: Counter[str] = Counter()
        self.connections = 0

    def read(self) -> Sql:
        return Sql(self._statements.copy(), self._commits.copy())

    def commits_in_all(self) -> int:
        return self._commits.total()

    def __enter__(self) -> Self:
        event.listen(Engine, "after_cursor_execute", self._executed)
        event.listen(Engine, "commit", self._committed)
        event.listen(Pool, "connect", self._connected)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        event.remove(Engine, "after_cursor_execute", self._executed)
        event.remove(Engine, "commit", self._committed)
        event.remove(Pool, "connect", self._connected)

    def _executed(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        whose = _whose(touched=cursor.rowcount != 0)
        self._statements[whose] += 1
        if _commits_by_itself(connection):
            self._commits[whose] += 1

    def _committed(self, connection: Connection) -> None:
        if not _commits_by_itself(connection):
            self._commits[_whose()] += 1

    def _connected(self, connection: Any, record: Any) -> None:
        self.connections += 1


def _whose(touched: bool = True) -> str:
    if activity.in_activity():
        return activity.info().activity_type
    if (task := asyncio.current_task()) is not None and task.get_name() == INSIGHTS:
        return INSIGHTS
    return OUTBOX if touched else IDLE_LOOKS


def _commits_by_itself(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT")


def _sum_without(counts: Counter[str], *names: str) -> int:
    return sum(count for name, count in counts.items() if name not in names)
