"""Counting whole days anew from the rows of their orders: three statements, one for each moment that has a day.

A statement gathers the facts of the orders of its days once, in CTEs, and every topic is a SELECT over those. Counts
that are still right are left alone, so that a day of which one order has changed costs a few row versions.

Every look at a large table is by an index: LATERAL, and behind OFFSET 0 where the planner could make another join of
it. A plan that reads whole tables would take longer with every order that was ever placed. All other joins are of
facts, of which the planner expects one row: it would compare each with each, which a day of 10,000 orders cannot bear,
so these are hashed (`HASHED`).
"""
# ruff: noqa: S608 - the statements are put together from constants of ours; what comes from outside is a parameter

from collections.abc import Collection
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.insights import Basis, Topic, topics_of
from domain.insights_baskets import PAIRED_PRODUCTS_MAX, SIZE_MAX
from domain.insights_cancellations import BY_SELLER, MARKETPLACE_REASONS, ROLE_REASONS, Reason
from domain.insights_durations import GROWTH, Stage
from domain.insights_metrics import CANCELLED, FBM, ORDERS, TRACKED, UNTRACKED, Delivery, Handoff
from domain.state import OrderStatus

HASHED = text("SET LOCAL enable_nestloop = off")
"""Before `count_days`, for the rest of its transaction. Looks at single rows have no other way and stay as they are."""


async def count_days(connection: AsyncConnection, basis: Basis, days: Collection[date], zone: str) -> None:
    """In the zone's calendar. Twice is as once; what was counted for these days before is gone or mended."""
    topics = [topic.value for topic in topics_of(basis)]
    await connection.execute(STATEMENTS[basis], {"days": list(days), "topics": topics, "zone": zone})


def _on(column: str) -> str:
    """That a moment lies on the day. The range is for the index, wider than any change of clocks; the date decides."""
    return f"""
        {column} >= (day::timestamp AT TIME ZONE :zone) - interval '3 hours'
        AND {column} < ((day + 1)::timestamp AT TIME ZONE :zone) + interval '3 hours'
        AND ({column} AT TIME ZONE :zone)::date = day
    """


def _words(words: Collection[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _reason() -> str:
    """domain.insights_cancellations.reason_of."""
    by_deadline = " ".join(
        f"WHEN role = 'marketplace' AND why = '{why}' THEN '{reason}'" for why, reason in MARKETPLACE_REASONS.items()
    )
    by_role = " ".join(f"WHEN role = '{role}' THEN '{reason}'" for role, reason in ROLE_REASONS.items())
    return (
        f"CASE WHEN choice IS NOT NULL THEN '{Reason.OUT_OF_STOCK}' {by_deadline} {by_role} ELSE '{Reason.STAFF}' END"
    )


_WHOSE = "CASE WHEN grouping(seller) = 1 THEN '' ELSE seller END AS seller"

# A seller's part has a status of its own, told by its own units as the order's is by all (domain/status.py): nobody
# learns of the parts of others. Where it is the whole order, it is the order's.
_STATUS = f"""
    CASE WHEN seller = '' OR sellers = 1 THEN status
         WHEN kept = 0 AND short = cancelled THEN '{OrderStatus.UNFULFILLABLE}'
         WHEN kept = 0 THEN '{OrderStatus.CANCELED}'
         WHEN status = '{OrderStatus.PENDING}' THEN status
         WHEN delivered > 0 AND delivered + failed = kept THEN '{OrderStatus.DELIVERED}'
         WHEN handed_over = kept THEN '{OrderStatus.SHIPPED}'
         WHEN handed_over > 0 THEN '{OrderStatus.PARTIALLY_SHIPPED}'
         ELSE '{OrderStatus.UNSHIPPED}' END
"""

# Whether the customer has ordered before: anything, or from this seller.
_CUSTOMER = """
    CASE WHEN CASE seller
        WHEN '' THEN EXISTS (
            SELECT FROM orders AS earlier WHERE earlier.customer_id = placed.customer_id
            AND (earlier.placed_at, earlier.order_id) < (placed.placed_at, placed.order_id)
        )
        ELSE EXISTS (
            SELECT FROM orders AS earlier WHERE earlier.customer_id = placed.customer_id
            AND (earlier.placed_at, earlier.order_id) < (placed.placed_at, placed.order_id)
            AND EXISTS (
                SELECT FROM order_sellers AS sold WHERE sold.seller = parts.seller
                AND sold.placed_at = earlier.placed_at AND sold.order_id = earlier.order_id OFFSET 0
            )
        )
    END THEN 'repeat' ELSE 'new' END
"""

# domain.insights_baskets.value_step, by the digits of the amount.
_VALUE_STEP = """
    CASE WHEN cart_value < 1 THEN 0
         ELSE power(10::numeric, length(cart_value::text) - 1)::bigint * CASE
             WHEN left(cart_value::text, 1) >= '5' THEN 5 WHEN left(cart_value::text, 1) >= '2' THEN 2 ELSE 1
         END
    END
"""


# -- of the day of placing -----------------------------------------------------------

_PLACED_FACTS = f"""
    placed AS MATERIALIZED (
        SELECT day, order_id, customer_id, currency, country, one.status, placed_at,
               (SELECT left(upper(btrim(address ->> 'region')), 60) FROM order_contacts
                WHERE order_contacts.order_id = one.order_id) AS region
        FROM days CROSS JOIN LATERAL (SELECT * FROM orders WHERE {_on("placed_at")} OFFSET 0) AS one
    ),
    -- Lines with the places of their units. A reship is the same units sent again: nobody has bought them twice.
    lines AS MATERIALIZED (
        SELECT line.order_id, line_id, replaces, seller, sku, channel, quantity, unit_price,
               position IS NOT NULL AS in_cart, places.*,
               CASE WHEN starts_with(line_id, replaces || '-r') THEN 0 ELSE kept END AS sold
        FROM placed
        CROSS JOIN LATERAL (SELECT * FROM order_lines WHERE order_lines.order_id = placed.order_id OFFSET 0) AS line
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(quantity) FILTER (WHERE place <> 'cancelled'), 0) AS kept,
                   coalesce(sum(quantity) FILTER (WHERE place = 'cancelled'), 0) AS cancelled,
                   coalesce(sum(quantity) FILTER (WHERE place = 'shipped'), 0) AS shipped,
                   coalesce(sum(quantity) FILTER (WHERE place = 'delivered'), 0) AS delivered,
                   coalesce(sum(quantity) FILTER (WHERE place IN ('lost', 'returned')), 0) AS failed
            FROM order_units AS units WHERE units.order_id = line.order_id AND units.line_id = line.line_id
        ) AS places
    ),
    -- What was cancelled, SKU by SKU, as the entries of the timeline name them: `Cancelled: 2 x MUG-1, 1 x TEE-M`.
    cancelled AS MATERIALIZED (
        SELECT order_id, role, {_reason()} AS reason, named[2] AS sku, named[1]::bigint AS units,
               CASE WHEN role = 'seller' THEN substr(split_part(who, '/', 1), 8) END AS by_seller,
               -- What there was none of. Who cancels everything for the sake of it means the rest as well.
               CASE WHEN choice[2] = named[2] THEN least(choice[1]::bigint, named[1]::bigint)
                    WHEN choice IS NULL AND {_reason()} = '{Reason.OUT_OF_STOCK}' THEN named[1]::bigint
                    ELSE 0 END AS short
        FROM (SELECT DISTINCT order_id AS id FROM lines WHERE cancelled > 0) AS concerned
        CROSS JOIN LATERAL (
            SELECT entry.*, split_part(split_part(who, '/', 1), ':', 1) AS role,
                   (SELECT regexp_match(summary, '^([0-9]+) x (\\S+): ') FROM timeline AS before
                    WHERE before.order_id = entry.order_id AND before.seq = entry.seq - 1
                    AND before.what = 'shortage_answered') AS choice
            FROM timeline AS entry WHERE entry.order_id = concerned.id AND what = 'cancelled' OFFSET 0
        ) AS entry
        CROSS JOIN LATERAL regexp_matches(summary, '([0-9]+) x (\\S+)(?:, |$)', 'g') AS named
    ),
    -- And of whose lines: an entry names no seller, those who have units of that SKU cancelled are meant.
    seller_cancelled AS MATERIALIZED (
        SELECT order_id, seller, role, reason, sku, least(cancelled.units, own.units) AS units,
               least(short, own.units) AS short,
               has_fbm AND reason IN ({_words(BY_SELLER)}) AND (short > 0 OR reason <> '{Reason.OUT_OF_STOCK}')
               AS is_blamed
        FROM cancelled
        JOIN (
            SELECT order_id, seller, sku, sum(cancelled) AS units, bool_or(channel = '{FBM}') AS has_fbm
            FROM lines WHERE cancelled > 0 GROUP BY 1, 2, 3
        ) AS own USING (order_id, sku)
        WHERE by_seller IS NULL OR by_seller = seller
    ),
    blame AS MATERIALIZED (
        SELECT order_id, {_WHOSE}, bool_or(is_blamed) AS is_blamed,
               bool_or(bool_or(reason = '{Reason.PAYMENT_DECLINED}')) OVER (PARTITION BY order_id) AS is_declined
        FROM seller_cancelled GROUP BY GROUPING SETS ((order_id), (order_id, seller))
    ),
    -- What customers wanted and there was none of: cancelled for it, or replaced by a substitute.
    unserved AS MATERIALIZED (
        SELECT order_id, seller, sku, short AS units FROM seller_cancelled WHERE short > 0
        UNION ALL
        SELECT order_id, wanted.seller, wanted.sku, instead.quantity
        FROM lines AS instead JOIN lines AS wanted USING (order_id)
        WHERE wanted.line_id = instead.replaces AND starts_with(instead.line_id, instead.replaces || '-s')
    ),
    short AS MATERIALIZED (
        SELECT order_id, seller, sum(units) AS short FROM unserved GROUP BY order_id, seller
    ),
    parts AS MATERIALIZED (
        SELECT order_id, {_WHOSE}, max(count(DISTINCT seller)) OVER (PARTITION BY order_id) AS sellers,
               sum(sold) AS units, sum(sold * unit_price) AS revenue,
               sum(quantity) FILTER (WHERE in_cart) AS cart_units, count(*) FILTER (WHERE in_cart) AS cart_lines,
               sum(quantity * unit_price) FILTER (WHERE in_cart) AS cart_value,
               bool_or(in_cart AND channel = '{FBM}') AS has_fbm,
               sum(kept) AS kept, sum(cancelled) AS cancelled, sum(shipped + delivered + failed) AS handed_over,
               sum(delivered) AS delivered, sum(failed) AS failed
        FROM lines GROUP BY GROUPING SETS ((order_id), (order_id, seller))
    ),
    -- Each order as the marketplace sees it, whose seller is empty, and as each of its sellers does.
    seen AS MATERIALIZED (
        SELECT parts.*, day, currency, country, coalesce(region, '') AS region, placed_at, is_blamed, is_declined,
               {_STATUS} AS status, {_CUSTOMER} AS customer
        FROM parts JOIN placed USING (order_id)
        LEFT JOIN blame USING (order_id, seller) LEFT JOIN short USING (order_id, seller)
    ),
    products AS MATERIALIZED (
        SELECT order_id, day, currency, seller, sku, sum(sold) AS units, sum(sold * unit_price) AS revenue
        FROM lines JOIN placed USING (order_id) WHERE sold > 0 GROUP BY 1, 2, 3, 4, 5
    ),
    together AS MATERIALIZED (
        SELECT order_id, day, seller, product, count(*) OVER (PARTITION BY order_id, seller) AS products
        FROM (
            SELECT order_id, day, seller, sku AS product FROM products
            UNION ALL SELECT order_id, day, '', seller || ' ' || sku FROM products
        ) AS one
    ),
    confirmed AS MATERIALIZED (
        SELECT order_id, day, placed_at, at
        FROM placed
        CROSS JOIN LATERAL (
            SELECT min(occurred_at) AS at FROM timeline
            WHERE timeline.order_id = placed.order_id AND what = 'confirmed'
        ) AS first
        WHERE at IS NOT NULL
    ),
    parcels_made AS MATERIALIZED (
        SELECT placed.day, part.seller, parcel.*, at AS confirmed_at
        FROM placed
        CROSS JOIN LATERAL (
            SELECT fulfillment_id, seller FROM fulfillments WHERE fulfillments.order_id = placed.order_id OFFSET 0
        ) AS part
        CROSS JOIN LATERAL (
            SELECT packed_at, shipped_at, CASE WHEN NOT presumed_delivered THEN delivered_at END AS delivered_at
            FROM parcels WHERE parcels.order_id = placed.order_id AND stage <> 'unpacked'
            AND parcels.fulfillment_id = part.fulfillment_id OFFSET 0
        ) AS parcel
        LEFT JOIN confirmed ON confirmed.order_id = placed.order_id
    ),
    stages AS MATERIALIZED (
        SELECT day, '' AS seller, '{Stage.CONFIRMED}' AS stage, at - placed_at AS took FROM confirmed
        UNION ALL
        -- Of those sellers that had something to ship.
        SELECT day, part.seller, '{Stage.CONFIRMED}', at - placed_at
        FROM confirmed
        CROSS JOIN LATERAL (
            SELECT DISTINCT seller FROM fulfillments WHERE fulfillments.order_id = confirmed.order_id
        ) AS part
        UNION ALL
        SELECT day, whose.seller, stage, took
        FROM parcels_made
        CROSS JOIN LATERAL (VALUES (''), (parcels_made.seller)) AS whose (seller)
        CROSS JOIN LATERAL (
            VALUES ('{Stage.PACKED}', packed_at - confirmed_at), ('{Stage.HANDED_OVER}', shipped_at - packed_at),
                   ('{Stage.DELIVERED}', delivered_at - shipped_at)
        ) AS step (stage, took)
        WHERE took IS NOT NULL
    )
"""


def _seen(topic: Topic, item: str, detail: str = "''", *, units: str = "units", amount: str = "revenue") -> str:
    """A topic to which every order, and every seller's part of one, adds itself once."""
    return f"""
        SELECT '{topic}' AS topic, seller, day, currency, {item} AS item, {detail} AS detail,
               count(*) AS orders, sum({units}) AS units, sum({amount}) AS amount
        FROM seen GROUP BY 1, 2, 3, 4, 5, 6
    """


def _cart(topic: Topic, item: str, units: str = "cart_units") -> str:
    return _seen(topic, f"({item})::text", units=units, amount="cart_value")


_PLACED_TOPICS = (
    _seen(Topic.ORDERS, "status"),
    _seen(Topic.HOURS, "to_char(placed_at AT TIME ZONE :zone, 'HH24')"),
    _seen(Topic.REGIONS, "country", "region"),
    _seen(Topic.CUSTOMERS, "customer"),
    _cart(Topic.BASKET_UNITS, f"least(cart_units, {SIZE_MAX})"),
    _cart(Topic.BASKET_LINES, f"least(cart_lines, {SIZE_MAX})", units="cart_lines"),
    _cart(Topic.BASKET_VALUES, _VALUE_STEP),
    f"""
        SELECT '{Topic.PRODUCTS}', seller, day, currency, sku, '', count(*), sum(units), sum(revenue)
        FROM products GROUP BY 1, 2, 3, 4, 5
    """,
    f"""
        SELECT '{Topic.UNSERVED}', seller, day, '', sku, '', count(DISTINCT order_id), sum(units), 0
        FROM unserved JOIN placed USING (order_id) GROUP BY 1, 2, 3, 4, 5
    """,
    f"""
        SELECT '{Topic.PAIRS}', seller, day, '', one.product, other.product, count(*), 0, 0
        FROM together AS one JOIN together AS other USING (order_id, day, seller)
        WHERE one.product COLLATE "C" < other.product COLLATE "C" AND one.products <= {PAIRED_PRODUCTS_MAX}
        GROUP BY 1, 2, 3, 4, 5, 6
    """,
    f"""
        SELECT '{Topic.CANCELLATIONS}', seller, day, '', reason, role, count(DISTINCT order_id), sum(units), 0
        FROM (
            SELECT order_id, '' AS seller, reason, role, units FROM cancelled
            UNION ALL SELECT order_id, seller, reason, role, units FROM seller_cancelled
        ) AS whose JOIN placed USING (order_id) GROUP BY 1, 2, 3, 4, 5, 6
    """,
    # What was never paid for was never a seller's to ship.
    f"""
        SELECT '{Topic.PREFULFILLMENT}', seller, day, '', item, '', count(*), 0, 0
        FROM seen CROSS JOIN LATERAL (VALUES ('{ORDERS}', true), ('{CANCELLED}', is_blamed)) AS kind (item, counts)
        WHERE counts AND has_fbm AND status <> 'Pending' AND is_declined IS NOT TRUE
        GROUP BY 1, 2, 3, 4, 5
    """,
    f"""
        SELECT '{Topic.STAGES}', seller, day, '', stage,
               floor(ln(greatest(seconds, 1)) / ln({GROWTH}::float8))::int::text, count(*), 0, round(sum(seconds))
        FROM (SELECT *, greatest(extract(epoch FROM took), 0)::float8 AS seconds FROM stages) AS timed
        GROUP BY 1, 2, 3, 4, 5, 6
    """,
)


# -- of the day of ship-by -------------------------------------------------------------

_HANDOFFS = (Handoff.ON_TIME, Handoff.HELD, Handoff.OPEN, Handoff.LATE)
"""From the best to the worst."""

_SHIP_BY_FACTS = f"""
    due AS MATERIALIZED (
        SELECT day, order_id, seller, channel,
               CASE WHEN handed_over_at > coalesce(due_at, ship_by) THEN 3
                    WHEN handed_over_at IS NULL AND NOT on_hold AND coalesce(due_at, ship_by) = ship_by THEN 2
                    WHEN handed_over_at IS NULL THEN 1
                    ELSE 0 END AS badness
        FROM days CROSS JOIN LATERAL (SELECT * FROM fulfillments WHERE {_on("ship_by")} OFFSET 0) AS one
        -- Of a canceled one nothing is left to hand over.
        WHERE one.status <> 'Canceled'
    ),
    parts AS (
        SELECT day, order_id, channel, {_WHOSE},
               (ARRAY[{_words(_HANDOFFS)}])[1 + max(badness)] AS state, count(*) AS fulfillments
        FROM due GROUP BY GROUPING SETS ((day, order_id, channel), (day, order_id, channel, seller))
    )
"""

_SHIP_BY_TOPICS = (
    f"""
        SELECT '{Topic.HANDOFFS}' AS topic, seller, day, '' AS currency, state AS item, channel AS detail,
               count(*) AS orders, sum(fulfillments) AS units, 0 AS amount
        FROM parts GROUP BY 1, 2, 3, 4, 5, 6
    """,
)


# -- of the day of promised delivery ---------------------------------------------------

_DELIVER_BY_FACTS = f"""
    promised AS MATERIALIZED (
        SELECT day, order_id, fulfillment_id, seller, channel, deliver_by
        FROM days CROSS JOIN LATERAL (SELECT * FROM fulfillments WHERE {_on("deliver_by")} OFFSET 0) AS one
    ),
    sent AS MATERIALIZED (
        SELECT day, promised.order_id, seller,
               CASE WHEN presumed_delivered THEN '{Delivery.PRESUMED}'
                    WHEN delivered_at > deliver_by THEN '{Delivery.LATE}'
                    WHEN delivered_at IS NOT NULL THEN '{Delivery.ON_TIME}'
                    WHEN status IN ('lost', 'returned') THEN '{Delivery.FAILED}'
                    ELSE '{Delivery.OPEN}' END AS state,
               channel || ' ' || CASE WHEN scan.seen THEN '{TRACKED}' ELSE '{UNTRACKED}' END AS detail
        FROM promised
        CROSS JOIN LATERAL (
            SELECT parcel_id, delivered_at, presumed_delivered, status FROM parcels
            WHERE parcels.order_id = promised.order_id AND parcels.fulfillment_id = promised.fulfillment_id
              AND shipped_at IS NOT NULL OFFSET 0
        ) AS parcel
        -- A carrier's event names its parcel first; that a label was printed is no scan.
        CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT FROM timeline
                WHERE timeline.order_id = promised.order_id AND what = 'carrier_event'
                  AND starts_with(summary, parcel.parcel_id || ': ')
                  AND NOT starts_with(summary, parcel.parcel_id || ': label created')
            ) AS seen
        ) AS scan
    )
"""

_DELIVER_BY_TOPICS = (
    f"""
        SELECT '{Topic.DELIVERIES}' AS topic, whose.seller, day, '' AS currency, state AS item, detail,
               count(DISTINCT order_id) AS orders, count(*) AS units, 0 AS amount
        FROM sent CROSS JOIN LATERAL (VALUES (''), (sent.seller)) AS whose (seller)
        GROUP BY 1, 2, 3, 4, 5, 6
    """,
)


_KEY = ("topic", "seller", "day", "currency", "item", "detail")


# -- the statements ----------------------------------------------------------------------


def _statement(facts: str, topics: tuple[str, ...]) -> Any:
    """Insert what is new, mend what differs, delete what nothing counts any more; the rest is not touched."""
    same = " AND ".join(f"fresh.{column} = old.{column}" for column in _KEY)
    return text(
        f"""
        WITH days AS MATERIALIZED (SELECT day FROM unnest(CAST(:days AS date[])) AS day),
        {facts},
        fresh AS MATERIALIZED ({" UNION ALL ".join(topics)}),
        gone AS (
            DELETE FROM daily_counts AS old
            WHERE topic = ANY(:topics) AND day = ANY(:days) AND NOT EXISTS (SELECT FROM fresh WHERE {same})
        )
        INSERT INTO daily_counts (topic, seller, day, currency, item, detail, orders, units, amount)
        SELECT topic, seller, day, currency, item, detail, orders, units, amount FROM fresh
        WHERE NOT EXISTS (
            SELECT FROM daily_counts AS old
            WHERE {same} AND (fresh.orders, fresh.units, fresh.amount) = (old.orders, old.units, old.amount) OFFSET 0
        )
        ON CONFLICT (topic, seller, day, currency, item, detail) DO UPDATE
        SET orders = excluded.orders, units = excluded.units, amount = excluded.amount
        """
    )


STATEMENTS = {
    Basis.PLACED: _statement(_PLACED_FACTS, _PLACED_TOPICS),
    Basis.SHIP_BY: _statement(_SHIP_BY_FACTS, _SHIP_BY_TOPICS),
    Basis.DELIVER_BY: _statement(_DELIVER_BY_FACTS, _DELIVER_BY_TOPICS),
}
