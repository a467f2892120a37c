"""What must always add up: units and money over the whole database, or of one order."""

from typing import NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.types import Text

from store.database import Database


class Identity(NamedTuple):
    """A query that finds what breaks it; each row is one violation, its columns say which and how.

    With `at_rest` it holds whenever the orders wait for somebody: in the middle of a step the workflow knows more, or
    less, than the ledgers do.
    """

    name: str
    query: str
    at_rest: bool = False


async def violations(database: Database, order_id: str | None = None, *, at_rest: bool = True) -> list[str]:
    """One sentence per violation; none is what operators, fault runs and tests want to see.

    `at_rest=False` asks only what must hold at every moment, also in the middle of any step.
    """
    found = []
    async with database.statement() as connection:
        for identity in IDENTITIES:
            if identity.at_rest and not at_rest:
                continue
            query = text(identity.query).bindparams(bindparam("order_id", order_id, type_=Text))
            for row in await connection.execute(query):
                facts = ", ".join(f"{name} {value}" for name, value in row._mapping.items())
                found.append(f"{identity.name}: {facts}")
    return found


IDENTITIES = (
    Identity(
        "the places of a line's units add up to what was ordered",
        """
        SELECT order_id AS "order", line_id AS line, quantity AS ordered, placed
        FROM order_lines
        JOIN (SELECT order_id, line_id, sum(quantity) AS placed FROM order_units GROUP BY 1, 2) AS units
        USING (order_id, line_id)
        WHERE placed <> quantity AND (:order_id IS NULL OR order_id = :order_id)
        """,
    ),
    Identity(
        "reserved stock is what orders hold of it",
        """
        SELECT location_id AS location, seller_id AS seller, sku, reserved, held
        FROM stock
        FULL JOIN (
            SELECT location_id, seller_id, sku, sum(quantity) AS held FROM reservations GROUP BY 1, 2, 3
        ) AS holders USING (location_id, seller_id, sku)
        WHERE coalesce(reserved, 0) <> coalesce(held, 0) AND :order_id IS NULL
        """,
    ),
    Identity(
        "stock is the sum of its movements",
        """
        SELECT location_id AS location, seller_id AS seller, sku,
               on_hand, came AS on_hand_moved, reserved, taken AS reserved_moved
        FROM stock
        FULL JOIN (
            SELECT location_id, seller_id, sku, sum(on_hand_delta) AS came, sum(reserved_delta) AS taken
            FROM stock_movements GROUP BY 1, 2, 3
        ) AS moved USING (location_id, seller_id, sku)
        WHERE (coalesce(on_hand, 0), coalesce(reserved, 0)) <> (coalesce(came, 0), coalesce(taken, 0))
          AND :order_id IS NULL
        """,
    ),
    Identity(
        "what an order holds is the sum of its movements",
        """
        SELECT order_id AS "order", line_id AS line, location_id AS location, quantity AS held, moved
        FROM (SELECT * FROM reservations WHERE :order_id IS NULL OR order_id = :order_id) AS holding
        FULL JOIN (
            SELECT order_id, line_id, location_id, sum(reserved_delta) AS moved
            FROM stock_movements
            WHERE order_id IS NOT NULL AND (:order_id IS NULL OR order_id = :order_id)
            GROUP BY 1, 2, 3
        ) AS movements USING (order_id, line_id, location_id)
        WHERE coalesce(quantity, 0) <> coalesce(moved, 0)
        """,
    ),
    Identity(
        # Units that came in for a backorder are held from that moment, and backordered until the order hears of it.
        "units reserved or packed are held at their location",
        """
        SELECT order_id AS "order", line_id AS line, location_id AS location, coalesce(there, 0) AS reserved_or_packed,
               coalesce(held, 0) AS held
        FROM (
            SELECT units.order_id, line_id, location AS location_id, sum(quantity) AS there
            FROM order_units AS units JOIN fulfillments USING (order_id, fulfillment_id)
            WHERE place IN ('reserved', 'packed') AND (:order_id IS NULL OR units.order_id = :order_id)
            GROUP BY 1, 2, 3
        ) AS standing
        FULL JOIN (
            SELECT order_id, line_id, location_id, quantity AS held FROM reservations
            WHERE :order_id IS NULL OR order_id = :order_id
        ) AS holding USING (order_id, line_id, location_id)
        LEFT JOIN (
            SELECT order_id, line_id, sum(quantity) AS waiting
            FROM order_units WHERE place = 'backordered' GROUP BY 1, 2
        ) AS backordered USING (order_id, line_id)
        WHERE coalesce(held, 0) - coalesce(there, 0) NOT BETWEEN 0 AND coalesce(waiting, 0)
        """,
        at_rest=True,
    ),
    Identity(
        "a backorder has what was allocated to it",
        """
        SELECT key, allocated, given
        FROM backorders
        JOIN (SELECT backorder_key AS key, sum(quantity) AS given FROM backorder_allocations GROUP BY 1) AS allocations
        USING (key)
        WHERE allocated <> given AND (:order_id IS NULL OR order_id = :order_id)
        """,
    ),
    Identity(
        "a payment is the sum of its movements",
        """
        SELECT order_id AS "order", payment_id AS payment,
               (payments.authorized, payments.captured, payments.refunded, payments.voided,
                payments.capturing, payments.refunding, payments.voiding)::text AS held,
               sums::text AS moved
        FROM payments
        LEFT JOIN LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE kind = 'authorize' AND done), 0) AS authorized,
                   coalesce(sum(amount) FILTER (WHERE kind = 'capture' AND done), 0) AS captured,
                   coalesce(sum(amount) FILTER (WHERE kind = 'refund' AND done), 0) AS refunded,
                   coalesce(sum(amount) FILTER (WHERE kind = 'void' AND done), 0) AS voided,
                   coalesce(sum(amount) FILTER (WHERE kind = 'capture' AND NOT settled), 0) AS capturing,
                   coalesce(sum(amount) FILTER (WHERE kind = 'refund' AND NOT settled), 0) AS refunding,
                   coalesce(sum(amount) FILTER (WHERE kind = 'void' AND NOT settled), 0) AS voiding
            FROM (
                SELECT kind, amount, settled, settled AND refused_because IS NULL AS done FROM money_moves
                WHERE order_id = payments.order_id AND payment_id = payments.payment_id
            ) AS moves
        ) AS sums ON true
        WHERE (:order_id IS NULL OR order_id = :order_id)
          AND (payments.authorized, payments.captured, payments.refunded, payments.voided,
               payments.capturing, payments.refunding, payments.voiding)
           <> (sums.authorized, sums.captured, sums.refunded, sums.voided,
               sums.capturing, sums.refunding, sums.voiding)
        """,
    ),
    Identity(
        "no payment gives more than it holds",
        """
        SELECT order_id AS "order", payment_id AS payment, authorized, captured, refunded, voided
        FROM payments
        WHERE (captured + voided > authorized OR refunded > captured) AND (:order_id IS NULL OR order_id = :order_id)
        """,
    ),
    Identity(
        # Captured less refunded, by the payments and by the lines. What was refused after handoff is owed by the
        # customer; goodwill belongs to no line.
        "the payments brought in what the lines were charged for",
        """
        SELECT order_id AS "order", paid, charged, unpaid, goodwill
        FROM orders
        JOIN (SELECT order_id, sum(captured - refunded) AS paid FROM payments GROUP BY 1) AS payments USING (order_id)
        JOIN (SELECT order_id, sum(captured - refunded) AS charged FROM line_money GROUP BY 1) AS lines USING (order_id)
        WHERE paid + unpaid + goodwill <> charged AND (:order_id IS NULL OR order_id = :order_id)
        """,
        at_rest=True,
    ),
    Identity(
        "the lines cost what the order does",
        """
        SELECT order_id AS "order", orders.total, sum(order_lines.total) AS lines
        FROM orders JOIN order_lines USING (order_id)
        WHERE replaces IS NULL AND (:order_id IS NULL OR order_id = :order_id)
        GROUP BY order_id HAVING orders.total <> sum(order_lines.total)
        """,
    ),
    Identity(
        "a closed order has charged or dropped all of each line",
        """
        SELECT order_id AS "order", line_id AS line, order_lines.total, coalesce(captured, 0) AS captured,
               coalesce(dropped, 0) AS dropped
        FROM orders JOIN order_lines USING (order_id) LEFT JOIN line_money USING (order_id, line_id)
        WHERE closed AND coalesce(captured, 0) + coalesce(dropped, 0) <> order_lines.total
          AND (:order_id IS NULL OR order_id = :order_id)
        """,
        at_rest=True,
    ),
    Identity(
        "a closed order holds no stock",
        """
        SELECT order_id AS "order", line_id AS line, location_id AS location, quantity AS held
        FROM orders JOIN reservations USING (order_id)
        WHERE closed AND quantity > 0 AND (:order_id IS NULL OR order_id = :order_id)
        """,
        at_rest=True,
    ),
    Identity(
        # A void that the provider refused has to run out at the bank.
        "a closed order holds no authorization and waits for no provider",
        """
        SELECT order_id AS "order", payment_id AS payment, authorized, captured, voided, capturing, refunding, voiding
        FROM orders JOIN payments USING (order_id)
        LEFT JOIN LATERAL (
            SELECT max(amount) AS amount FROM money_moves AS moves
            WHERE moves.order_id = payments.order_id AND moves.payment_id = payments.payment_id
              AND moves.kind = 'void' AND refused_because IS NOT NULL
        ) AS refused ON true
        WHERE closed
          AND (authorized - captured - voided NOT BETWEEN 0 AND coalesce(refused.amount, 0)
               OR capturing + refunding + voiding > 0)
          AND (:order_id IS NULL OR order_id = :order_id)
        """,
        at_rest=True,
    ),
    Identity(
        "a closed order waits for no stock",
        """
        SELECT order_id AS "order", key, quantity, allocated
        FROM orders JOIN backorders USING (order_id)
        WHERE closed AND cancelled IS NULL AND allocated < backorders.quantity
          AND (:order_id IS NULL OR order_id = :order_id)
        """,
        at_rest=True,
    ),
    Identity(
        "a closed order has its result",
        """
        SELECT order_id AS "order", status FROM orders
        WHERE closed AND result IS NULL AND (:order_id IS NULL OR order_id = :order_id)
        """,
        at_rest=True,
    ),
    Identity(
        "the timeline has no gap",
        """
        SELECT order_id AS "order", count(*) AS entries, max(seq) AS last
        FROM timeline WHERE :order_id IS NULL OR order_id = :order_id
        GROUP BY order_id HAVING count(*) <> max(seq)
        """,
        at_rest=True,
    ),
    Identity(
        "the outbox has one row per key",
        """
        SELECT key, count(*) AS rows FROM outbox
        WHERE :order_id IS NULL OR order_id = :order_id
        GROUP BY key HAVING count(*) > 1
        """,
    ),
)
