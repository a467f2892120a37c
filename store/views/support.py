"""What support looks for: an order by whatever somebody knows of it, what needs a person, and what does not move."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Select,
    String,
    bindparam,
    cast,
    func,
    literal,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.types import Text

from domain.model import Frozen
from domain.sealing import mail_hash, name_hashes
from store.database import Database
from store.tables.orders import order_contacts, orders, parcels
from store.tables.people import order_search
from store.views.orders import OrderSummary
from store.views.reading import PAGE_MAX, models

FOUND_MAX = 50


class Found(OrderSummary):
    """An order, and by what it was found."""

    by: str


class Waiting(OrderSummary):
    """An order that needs a person, since when in business time."""

    attention_since: datetime


class AttentionPage(Frozen):
    """`next` is the order id to be given for the next page; None on the last one."""

    orders: tuple[Waiting, ...]
    next: str | None = None


class AttentionCount(Frozen):
    word: str
    orders: int


class Standstill(Frozen):
    """Something that should have moved on by itself, and has not for so long: trouble that no order knows of."""

    order_id: str
    what: str
    since: datetime
    """Real time."""


class SupportViews:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, words: str) -> tuple[Found, ...]:
        """By order id or its beginning, customer id, tracking number, mail address, or whole words of a name."""
        plain = words.strip()
        given: dict[str, Any] = {
            "words": plain,
            "beginning": f"{_escaped(plain)}%",
            "name": f"{_escaped(plain.lower())}%",
            "number": plain.replace(" ", "").upper(),
            "email": plain.lower(),
        }
        async with self._database.statement() as connection:
            key = await self._database.vault.search_key(connection)
            # Without a word in it nobody's name is meant: a mail's hash then, which no order has twice.
            given["mail_hash"] = [mail_hash(key, plain)]
            given["name_hashes"] = name_hashes(key, plain) or given["mail_hash"]
            found = models(Found, await connection.execute(_SEARCH, given))
        once: dict[str, Found] = {}
        for order in found:
            once.setdefault(order.order_id, order)
        return tuple(once.values())[:FOUND_MAX]

    async def attention(self, *, word: str | None = None, after: str | None = None, limit: int = 50) -> AttentionPage:
        """Whoever waits for longest comes first."""
        limit = min(limit, PAGE_MAX)
        place = (orders.c.attention_since, orders.c.order_id)
        query = (
            select(*(orders.c[name] for name in Waiting.model_fields))
            .where(orders.c.attention_since.is_not(None))
            .order_by(*place)
            .limit(limit + 1)
        )
        if word is not None:
            query = query.where(orders.c.attention.contains([word]), orders.c.attention != [])
        async with self._database.statement() as connection:
            if after is not None:
                since = await connection.scalar(select(orders.c.attention_since).where(orders.c.order_id == after))
                if since is None:
                    return AttentionPage(orders=())
                query = query.where(tuple_(*place) > tuple_(since, after))
            found = models(Waiting, await connection.execute(query))
        return AttentionPage(orders=found[:limit], next=found[limit - 1].order_id if len(found) > limit else None)

    async def attention_counts(self) -> tuple[AttentionCount, ...]:
        """How many orders need a person for each reason; the most frequent first."""
        words = select(func.unnest(orders.c.attention).label("word")).where(orders.c.attention != []).subquery()
        query = (
            select(words.c.word, func.count().label("orders"))
            .group_by(words.c.word)
            .order_by(func.count().desc(), words.c.word)
        )
        async with self._database.statement() as connection:
            return models(AttentionCount, await connection.execute(query))

    async def standstills(self, limit: int = 100) -> tuple[Standstill, ...]:
        """The longest first. Every look is at a small index of what is under way, however many orders there are."""
        async with self._database.statement() as connection:
            return models(Standstill, await connection.execute(_STANDSTILLS, {"most": limit}))


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _search() -> Any:
    columns = [orders.c[name] for name in OrderSummary.model_fields]

    def by(what: str) -> Select[Any]:
        return select(*columns, literal(what, String).label("by")).limit(FOUND_MAX)

    newest = orders.c.placed_at.desc()

    def by_hashes(what: str, name: str) -> Select[Any]:
        """Those found are gathered first: with the limit in sight, PostgreSQL reads the table and hopes."""
        wanted = cast(bindparam(name, type_=ARRAY(BigInteger)), ARRAY(BigInteger))
        found = (
            select(order_search.c.order_id)
            .where(order_search.c.hashes.contains(wanted))
            .cte(f"of_{name}")
            .prefix_with("MATERIALIZED")
        )
        return by(what).join(found, found.c.order_id == orders.c.order_id).order_by(newest)

    contact = order_contacts.c.order_id == orders.c.order_id
    parcel = parcels.c.order_id == orders.c.order_id
    number = func.upper(func.replace(parcels.c.tracking_number, " ", ""))
    words = bindparam("words", type_=Text)
    ways = (
        by("order id").where(orders.c.order_id == words),
        by("tracking number").join(parcels, parcel).where(number == bindparam("number", type_=Text)),
        by_hashes("email", "mail_hash"),
        # In clear are those that workers of before have written, until `starter.py seal`.
        by("email")
        .join(order_contacts, contact)
        .where(func.lower(order_contacts.c.email) == bindparam("email", type_=Text))
        .order_by(newest),
        by("customer id").where(orders.c.customer_id == words).order_by(newest),
        by_hashes("name", "name_hashes"),
        by("name")
        .join(order_contacts, contact)
        .where(func.lower(order_contacts.c.name).like(bindparam("name", type_=Text))),
        by("order id").where(orders.c.order_id.like(bindparam("beginning", type_=Text))).order_by(orders.c.order_id),
    )
    return union_all(*(select(way.subquery()) for way in ways))


_SEARCH = _search()

# Each part finds what a step left behind that should take seconds, by the server's clock.
_STANDSTILLS = text("""
    SELECT order_id, what, since FROM (
        SELECT order_id, 'recorded, and its payment never asked for' AS what, recorded_at AS since
        FROM orders WHERE status = 'Pending' AND attention = '{}' AND recorded_at < now() - interval '10 minutes'
        UNION ALL
        SELECT order_id, 'waits for a label', min(at) FROM (
            SELECT parcels.order_id, coalesce(orders.recorded_at
                + (parcels.packed_at - orders.placed_at) / orders.factor, orders.recorded_at) AS at
            FROM parcels JOIN orders USING (order_id) WHERE stage = 'shipping'
        ) AS labels WHERE at < now() - interval '10 minutes' GROUP BY order_id
        UNION ALL
        SELECT order_id, 'a payment provider does not answer (' || min(kind) || ')', min(planned_at)
        FROM money_moves WHERE NOT settled AND planned_at < now() - interval '10 minutes' GROUP BY order_id
        UNION ALL
        SELECT order_id, 'cannot be told or mailed: ' || coalesce(min(last_error), 'nobody sends'), min(created_at)
        FROM outbox WHERE sent_at IS NULL AND failed_at IS NULL
          AND created_at < now() - interval '10 minutes' AND due_at < now() + interval '6 minutes'
          AND (attempts > 0 OR due_at < now() - interval '10 minutes')
        GROUP BY order_id
        UNION ALL
        SELECT urgent.order_id, 'its ship-by has passed, and nobody was told', orders.recorded_at
            + (urgent.due_at - orders.placed_at) / orders.factor
        FROM (
            SELECT order_id, due_at, on_hold FROM fulfillments
            WHERE status IN ('Unshipped', 'Packed', 'PartiallyShipped') ORDER BY due_at LIMIT 2000
        ) AS urgent JOIN orders USING (order_id)
        WHERE NOT on_hold AND NOT orders.attention @> '{late}'
          AND orders.recorded_at + (urgent.due_at - orders.placed_at) / orders.factor < now() - interval '1 hour'
    ) AS found
    ORDER BY since LIMIT :most
""")
