"""Erasing the person behind an ended order: what accounts and insights need stays, without anybody's name."""

from typing import Literal

from sqlalchemy import text

from domain.model import Frozen
from domain.sealing import ERASED
from store.database import Database


class ErasureRow(Frozen):
    order_id: str
    outcome: Literal["erased", "erased_before", "open", "unknown"]


class Erasures:
    """`usecases.erasure.ErasureStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_customer(self, customer_id: str) -> tuple[str, ...]:
        """The customer's orders, the oldest first."""
        async with self._database.statement() as connection:
            return tuple((await connection.execute(_OF_CUSTOMER, {"customer": customer_id})).scalars())

    async def open_of_customer(self, customer_id: str) -> tuple[str, ...]:
        """Those that have not ended, the oldest first."""
        async with self._database.statement() as connection:
            return tuple((await connection.execute(_OPEN_OF_CUSTOMER, {"customer": customer_id})).scalars())

    async def of_destroyed_keys(self) -> tuple[str, ...]:
        """Orders that are not erased, of customers whose key is destroyed: restored from a backup of before."""
        async with self._database.statement() as connection:
            return tuple((await connection.execute(_OF_DESTROYED_KEYS)).scalars())

    async def erase(self, order_id: str, by: str) -> ErasureRow:
        """In one transaction; an order that is open, or erased already, is left as it is.

        With the last order of the customer that was not erased, the customer's key is destroyed.
        """
        async with self._database.transaction() as connection:
            query = text("SELECT closed, erased_at FROM orders WHERE order_id = :order FOR UPDATE")
            row = (await connection.execute(query, {"order": order_id})).one_or_none()
            if row is None:
                return ErasureRow(order_id=order_id, outcome="unknown")
            if row.erased_at is None and not row.closed:
                return ErasureRow(order_id=order_id, outcome="open")
            for statement in _STATEMENTS if row.erased_at is None else ():
                wanted = {"order": order_id, "erased": ERASED, "by": by}
                await connection.execute(statement, {name: wanted[name] for name in statement.compile().params})
            # A statement of its own, once the lock is held: whoever held it before may have recorded an order.
            key_id = await connection.scalar(_LOCK_KEY, {"order": order_id})
            if key_id is not None:
                await connection.execute(_DESTROY_KEY, {"key": key_id})
        return ErasureRow(order_id=order_id, outcome="erased" if row.erased_at is None else "erased_before")


# The country and region stay: tax is owed there, and insights count by them. Neither tells of a person.
_CONTACT = text("""
    UPDATE order_contacts SET name = :erased, email = '', earlier_addresses = '{}', sealed = NULL, key_id = NULL,
        address = jsonb_build_object(
            'name', CAST(:erased AS text), 'line1', CAST(:erased AS text), 'city', CAST(:erased AS text),
            'region', coalesce(address ->> 'region', ''), 'country', address ->> 'country')
    WHERE order_id = :order
""")

# No list of the entries in which somebody may have typed something could be whole: so the texts that stay are named,
# which we make ourselves and which insights read.
_TIMELINE = text("""
    UPDATE timeline SET
        why = CASE WHEN who = 'marketplace' OR why = '' THEN why ELSE :erased END,
        summary = CASE
            WHEN what IN ('cancelled', 'shortage_answered') THEN summary
            WHEN what = 'carrier_event' THEN regexp_replace(summary, '^([^:]*: )(label created)?.*$', '\\1\\2')
            ELSE :erased END
    WHERE order_id = :order
""")

_TOLD = text("""
    INSERT INTO timeline (order_id, seq, occurred_at, received_at, who, what, summary, why)
    SELECT :order, coalesce(max(seq), 0) + 1, now(), now(), :by, 'erased', 'Personal data was erased', ''
    FROM timeline WHERE order_id = :order
""")

_STATEMENTS = (
    _CONTACT,
    text("DELETE FROM order_search WHERE order_id = :order"),
    _TIMELINE,
    text("UPDATE parcels SET proof = NULL WHERE order_id = :order"),
    text("UPDATE payments SET token = :erased, declined_because = NULL WHERE order_id = :order"),
    text("UPDATE money_moves SET refused_because = :erased WHERE order_id = :order AND refused_because IS NOT NULL"),
    # Mails and messages, with the words in them; nothing of an ended order must still be sent.
    text("DELETE FROM outbox WHERE order_id = :order"),
    _TOLD,
    text("""
        UPDATE orders SET erased_at = now(), matters = NULL,
            result = CASE WHEN result ->> 'reason' IS NULL THEN result
                     ELSE jsonb_set(result, '{reason}', to_jsonb(CAST(:erased AS text))) END
        WHERE order_id = :order
    """),
)

_OF_CUSTOMER = text("SELECT order_id FROM orders WHERE customer_id = :customer ORDER BY placed_at, order_id")
_OPEN_OF_CUSTOMER = text("""
    SELECT order_id FROM orders WHERE customer_id = :customer AND NOT closed ORDER BY placed_at, order_id
""")
_LOCK_KEY = text("""
    SELECT key_id FROM customer_keys JOIN orders USING (customer_id)
    WHERE order_id = :order AND destroyed_at IS NULL FOR UPDATE OF customer_keys
""")
_DESTROY_KEY = text("""
    UPDATE customer_keys SET wrapped = NULL, wrapped_by = NULL, destroyed_at = now()
    WHERE key_id = :key AND NOT EXISTS (
        SELECT FROM orders WHERE orders.customer_id = customer_keys.customer_id AND erased_at IS NULL
    )
""")

_OF_DESTROYED_KEYS = text("""
    SELECT order_id FROM customer_keys JOIN order_contacts USING (key_id) JOIN orders USING (order_id)
    WHERE destroyed_at IS NOT NULL AND erased_at IS NULL ORDER BY placed_at, order_id
""")
