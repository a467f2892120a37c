"""Bringing the counts up to date: changed orders become days to count, and those days are counted anew.

Each round is one transaction. A save that commits while days are being counted has left a change of its own, which the
next round takes: nothing is missed, and what is counted twice is counted the same.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.insights import Basis
from domain.model import Frozen
from store.database import Database
from store.insights.counting import HASHED, count_days

CHANGES_AT_ONCE = 5_000
DAYS_AT_ONCE = 7
"""About 30 ms for a day of a hundred orders; a round is to be short, so that a worker that stops waits for little."""

STATEMENT_TIMEOUT = "5min"
"""A day of a very large marketplace may take longer than any other statement of ours."""

_LOCK = 4_201_043
"""Any number that nobody else in this database locks."""


class Round(Frozen):
    """What a round did, and whether something is left for the next one."""

    changes: int = 0
    days: int = 0
    more: bool = False


class Refreshing:
    """`usecases.insights_refresher.Refreshing`. Any number may try at once: one works, others find the lock taken."""

    def __init__(self, database: Database, zone: str) -> None:
        self._database = database
        self._zone = zone

    async def refresh(self) -> Round | None:
        """Take some changes, count some days; None where another refresher is at it."""
        async with self._database.transaction() as connection:
            if not await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}):
                return None
            await connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
            # Few rows are looked at, by indexes; estimates for the arrays and sets here are guesses.
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
            if await connection.scalar(_ZONE) != self._zone:
                await self._count_all(connection)
            changes = await self._note_changes(connection)
            days = await self._count_some(connection)
            more = changes == CHANGES_AT_ONCE or bool(await connection.scalar(_DAYS_WAIT))
            if changes or days:
                await connection.execute(_COUNTED)
            return Round(changes=changes, days=days, more=more)

    async def rebuild(self) -> None:
        """Everything is to be counted anew, in the rounds that follow; what was counted stands until then."""
        async with self._database.transaction() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await self._count_all(connection)

    async def _count_all(self, connection: AsyncConnection) -> None:
        """Of this zone from now on. Days that were counted in another one are counted again, too, and end empty."""
        await connection.execute(text("DELETE FROM daily_counts_state"))
        await connection.execute(
            text("INSERT INTO daily_counts_state (time_zone) VALUES (:zone)"), {"zone": self._zone}
        )
        await connection.execute(_ALL_DAYS, {"zone": self._zone, **_BASES})

    async def _note_changes(self, connection: AsyncConnection) -> int:
        taken = await connection.execute(_TAKE_CHANGES, {"limit": CHANGES_AT_ONCE})
        changed = [row.order_id for row in taken]
        if changed:
            await connection.execute(_NOTE_DAYS, {"changed": sorted({*changed}), "zone": self._zone, **_BASES})
        return len(changed)

    async def _count_some(self, connection: AsyncConnection) -> int:
        """Those that wait longest."""
        taken = (await connection.execute(_TAKE_DAYS, {"limit": DAYS_AT_ONCE})).all()
        if taken:
            await connection.execute(HASHED)
        for basis in Basis:
            days = sorted(row.day for row in taken if row.basis == basis)
            if days:
                await count_days(connection, basis, days, self._zone)
        return len(taken)


_BASES = {basis.value: basis.value for basis in Basis}

_ZONE = text("SELECT time_zone FROM daily_counts_state")
_COUNTED = text("UPDATE daily_counts_state SET counted_at = now()")
_DAYS_WAIT = text("SELECT EXISTS (SELECT FROM days_to_count)")

_TAKE_CHANGES = text(
    """
    DELETE FROM order_changes WHERE id IN (SELECT id FROM order_changes ORDER BY id LIMIT :limit) RETURNING order_id
    """
)
_TAKE_DAYS = text(
    """
    DELETE FROM days_to_count WHERE id IN (SELECT id FROM days_to_count ORDER BY id LIMIT :limit) RETURNING basis, day
    """
)

# Whether a customer is new hangs on what was placed before: an order that is recorded late makes the next one of its
# customer another one's, the next of all and the next from each of its sellers.
_NOTE_DAYS = text(
    """
    INSERT INTO days_to_count (basis, day)
    WITH changed AS MATERIALIZED (
        SELECT order_id, customer_id, placed_at
        FROM unnest(CAST(:changed AS text[])) AS one (id)
        CROSS JOIN LATERAL (SELECT * FROM orders WHERE orders.order_id = one.id) AS found
    ),
    parts AS MATERIALIZED (
        SELECT changed.order_id, part.*
        FROM changed
        CROSS JOIN LATERAL (
            SELECT ship_by, deliver_by FROM fulfillments WHERE fulfillments.order_id = changed.order_id
        ) AS part
    ),
    moments AS (
        SELECT :placed AS basis, placed_at AS at FROM changed
        UNION ALL SELECT :ship_by, ship_by FROM parts
        UNION ALL SELECT :deliver_by, deliver_by FROM parts
        UNION ALL
        SELECT :placed, next.placed_at
        FROM changed
        CROSS JOIN LATERAL (
            SELECT placed_at FROM orders AS later
            WHERE later.customer_id = changed.customer_id
              AND (later.placed_at, later.order_id) > (changed.placed_at, changed.order_id)
            ORDER BY later.placed_at, later.order_id LIMIT 1
        ) AS next
        UNION ALL
        SELECT :placed, next.placed_at
        FROM changed
        CROSS JOIN LATERAL (
            SELECT DISTINCT seller FROM order_lines WHERE order_lines.order_id = changed.order_id
        ) AS part
        CROSS JOIN LATERAL (
            SELECT later.placed_at FROM orders AS later
            WHERE later.customer_id = changed.customer_id
              AND (later.placed_at, later.order_id) > (changed.placed_at, changed.order_id)
              AND EXISTS (
                  SELECT FROM order_sellers AS sold WHERE sold.seller = part.seller
                  AND sold.placed_at = later.placed_at AND sold.order_id = later.order_id
              )
            ORDER BY later.placed_at, later.order_id LIMIT 1
        ) AS next
    )
    SELECT DISTINCT basis, (at AT TIME ZONE :zone)::date FROM moments
    ON CONFLICT (basis, day) DO NOTHING
    """
)

_ALL_DAYS = text(
    """
    INSERT INTO days_to_count (basis, day)
    SELECT basis, day FROM (
        SELECT :placed AS basis, (placed_at AT TIME ZONE :zone)::date AS day FROM orders
        UNION SELECT :ship_by, (ship_by AT TIME ZONE :zone)::date FROM fulfillments
        UNION SELECT :deliver_by, (deliver_by AT TIME ZONE :zone)::date FROM fulfillments
        UNION SELECT basis, day FROM unnest(ARRAY[:placed, :ship_by, :deliver_by]) AS basis
              CROSS JOIN (SELECT DISTINCT day FROM daily_counts) AS counted
    ) AS known
    -- The newest first: they are what people look at.
    ORDER BY day DESC, basis
    ON CONFLICT (basis, day) DO NOTHING
    """
)
