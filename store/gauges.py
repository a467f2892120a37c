"""What operators watch, in one look: open orders, what is late, what waits to be sent or paid."""

from sqlalchemy import text

from domain.model import Frozen
from store.database import Database


class OpenOrders(Frozen):
    """Orders that have not ended, of one status."""

    status: str
    orders: int
    oldest_seconds: float
    late_to_ship: int
    """Something of the order should have left by now."""

    late_to_deliver: int
    """Past the latest delivery date that was promised at sale, and not delivered."""


class Waiting(Frozen):
    """Rows of the outbox, of one kind: those not sent (of messages to orders, the ones that are due)."""

    kind: str
    waiting: int
    oldest_seconds: float
    failed: int
    """Given up; a person has to look."""


class Observation(Frozen):
    open_orders: tuple[OpenOrders, ...]
    attention: tuple[tuple[str, int], ...]
    outbox: tuple[Waiting, ...]
    backorders: int
    unsettled_seconds: float
    """Since the longest waiting capture, refund or void was asked of its provider."""

    insights_waiting: int
    """Changed orders that insights have not counted; at most `INSIGHTS_WAITING_MAX`."""

    insights_lag_seconds: float


INSIGHTS_WAITING_MAX = 10_000


class Gauges:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def observe(self) -> Observation:
        """Raises `Unavailable`. Four statements on indexes of what is open; ended orders cost nothing."""
        async with self._database.snapshot() as connection:
            opened = (await connection.execute(_OPEN)).mappings().all()
            attention = (await connection.execute(_ATTENTION)).all()
            outbox = (await connection.execute(_OUTBOX)).mappings().all()
            rest = (await connection.execute(_REST, {"most": INSIGHTS_WAITING_MAX})).mappings().one()
        return Observation(
            open_orders=tuple(OpenOrders.model_validate(dict(row)) for row in opened),
            attention=tuple((row.word, row.orders) for row in attention),
            outbox=tuple(Waiting.model_validate(dict(row)) for row in outbox),
            **rest,
        )


# Business time runs by the order's own factor: 1 in life. ix_orders_open holds every column.
_OPEN = text("""
    SELECT status, count(*) AS orders,
           extract(epoch FROM now() - min(recorded_at))::float AS oldest_seconds,
           count(*) FILTER (WHERE ship_by < placed_at + factor * (now() - recorded_at)) AS late_to_ship,
           count(*) FILTER (
               WHERE promised_at < placed_at + factor * (now() - recorded_at) AND status <> 'Delivered'
           ) AS late_to_deliver
    FROM orders WHERE NOT closed GROUP BY status
""")

_ATTENTION = text("""
    SELECT word, count(*) AS orders FROM orders, unnest(attention) AS word
    WHERE attention_since IS NOT NULL GROUP BY word
""")

# A message may be written long before it is due: scans of the simulated carrier are.
_OUTBOX = text("""
    SELECT kind, coalesce(waiting, 0) AS waiting, coalesce(oldest_seconds, 0)::float AS oldest_seconds,
           coalesce(failed, 0) AS failed
    FROM unnest(ARRAY['mail', 'message', 'follow']) AS kind
    LEFT JOIN (
        SELECT kind, count(*) AS waiting, extract(epoch FROM now() - min(created_at)) AS oldest_seconds
        FROM outbox WHERE kind IN ('mail', 'follow') AND sent_at IS NULL AND failed_at IS NULL GROUP BY kind
        UNION ALL
        SELECT kind, count(*), extract(epoch FROM now() - min(due_at))
        FROM outbox WHERE kind = 'message' AND due_at <= now() AND sent_at IS NULL AND failed_at IS NULL GROUP BY kind
    ) AS pending USING (kind)
    LEFT JOIN (
        SELECT kind, count(*) AS failed FROM outbox WHERE failed_at IS NOT NULL GROUP BY kind
    ) AS given_up USING (kind)
""")

_REST = text("""
    SELECT (SELECT count(*) FROM backorders WHERE cancelled IS NULL AND allocated < quantity) AS backorders,
           coalesce((
               SELECT extract(epoch FROM now() - min(planned_at)) FROM money_moves WHERE NOT settled
           ), 0)::float AS unsettled_seconds,
           waiting AS insights_waiting,
           CASE WHEN waiting > 0
                THEN coalesce((SELECT extract(epoch FROM now() - min(counted_at)) FROM daily_counts_state), 0)
                ELSE 0 END::float AS insights_lag_seconds
    FROM (SELECT count(*) AS waiting FROM (SELECT FROM order_changes LIMIT :most) AS limited) AS changes
""")
