"""How many orders stand, in one read: for comparing them with what was to become of them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from domain.model import Frozen
from store.database import Database


class Heard(Frozen):
    """An entry of the timeline: when it happened and when the order heard of it, in business time."""

    what: str
    who: str
    occurred_at: datetime
    received_at: datetime


class Standing(Frozen):
    """An order as its rows tell; amounts in minor units, summed over its payments."""

    order_id: str
    status: str
    closed: bool
    factor: float
    total: int
    unpaid: int
    units: dict[str, int]
    """Units by place."""

    authorized: int
    captured: int
    refunded: int
    voided: int
    handed_over_at: datetime | None
    """Of the fulfillment that left last."""

    handed_over_late: bool
    delivered_at: datetime | None
    """Of the parcel that arrived last."""

    delivered_late: bool
    presumed_delivered: bool
    heard: tuple[Heard, ...]
    """Of the words that were asked for, oldest first."""


class Standings:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, order_ids: Sequence[str], words: Sequence[str]) -> dict[str, Standing]:
        """By order id, those that were recorded; `words` say which entries of the timeline come with them."""
        async with self._database.statement() as connection:
            rows = await connection.execute(_STANDINGS, {"order_ids": list(order_ids), "words": list(words)})
            return {row.order_id: Standing.model_validate(row._asdict()) for row in rows}

    async def heard_from(self, word: str, others_than: str, order_ids: Sequence[str]) -> int:
        """How many timeline entries of this word came from anybody else."""
        values = {"order_ids": list(order_ids), "word": word, "who": others_than}
        async with self._database.statement() as connection:
            return int(await connection.scalar(_FROM_OTHERS, values) or 0)


_IDS = bindparam("order_ids", type_=ARRAY(Text))

_FROM_OTHERS = text(
    "SELECT count(*) FROM timeline WHERE order_id = ANY(:order_ids) AND what = :word AND who <> :who"
).bindparams(_IDS)

_STANDINGS = text(
    """
    SELECT orders.order_id, status, closed, factor, total, unpaid,
           coalesce(places.units, '{}') AS units,
           coalesce(money.authorized, 0) AS authorized, coalesce(money.captured, 0) AS captured,
           coalesce(money.refunded, 0) AS refunded, coalesce(money.voided, 0) AS voided,
           handed.at AS handed_over_at, coalesce(handed.late, false) AS handed_over_late,
           arrived.at AS delivered_at, coalesce(arrived.late, false) AS delivered_late,
           coalesce(arrived.presumed, false) AS presumed_delivered,
           coalesce(news.heard, '[]') AS heard
    FROM orders
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(place, quantity) AS units
        FROM (
            SELECT place, sum(quantity) AS quantity FROM order_units
            WHERE order_units.order_id = orders.order_id AND quantity > 0 GROUP BY place
        ) AS by_place
    ) AS places ON true
    LEFT JOIN LATERAL (
        SELECT sum(authorized)::bigint AS authorized, sum(captured)::bigint AS captured,
               sum(refunded)::bigint AS refunded, sum(voided)::bigint AS voided
        FROM payments WHERE payments.order_id = orders.order_id
    ) AS money ON true
    LEFT JOIN LATERAL (
        SELECT max(handed_over_at) AS at, bool_or(handed_over_at > ship_by) AS late
        FROM fulfillments WHERE fulfillments.order_id = orders.order_id
    ) AS handed ON true
    LEFT JOIN LATERAL (
        SELECT max(parcels.delivered_at) AS at, bool_or(parcels.delivered_at > deliver_by) AS late,
               bool_or(presumed_delivered) AS presumed
        FROM parcels JOIN fulfillments USING (order_id, fulfillment_id)
        WHERE parcels.order_id = orders.order_id
    ) AS arrived ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(
            jsonb_build_object('what', what, 'who', who, 'occurred_at', occurred_at, 'received_at', received_at)
            ORDER BY seq
        ) AS heard
        FROM timeline WHERE timeline.order_id = orders.order_id AND what = ANY(:words)
    ) AS news ON true
    WHERE orders.order_id = ANY(:order_ids)
    """
).bindparams(_IDS, bindparam("words", type_=ARRAY(Text)))
