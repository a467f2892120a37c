"""Recording an order: all of its rows or none, and what an order id means that is there already."""

import json
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, Select, Text, and_, bindparam, cast, exists, func, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.money import line_totals
from domain.placement import placed_entry
from domain.placing import PlaceOrder
from domain.requests import KnownOrder, ListedLine, RecordedOrder, RecordOrder, Unavailable, UnknownLine
from domain.results import OrderResult
from domain.sealing import Person
from domain.state import OrderStatus
from domain.timeline import Entry
from domain.units import Place
from store.promises import promise_from
from store.recordsets import insert_rows, recordset
from store.tables.catalog import listings, locations
from store.tables.insights import order_changes
from store.tables.orders import order_contacts, order_lines, order_sellers, order_units, orders, timeline
from store.tables.payments import payments
from store.tables.people import customer_keys, order_search, search_key
from store.vault import Vault, in_json, sealed_values


async def record(connection: AsyncConnection, request: RecordOrder, vault: Vault) -> RecordedOrder:
    """Two statements for a new order; each is a transaction of its own, since only the second writes."""
    order = request.order
    for _ in range(_KEY_TRIES):
        wanted = {"lines": _cart(order), "customer": order.customer.id}
        found = (await connection.execute(_BEFORE_RECORDING, wanted)).all()
        unknown = tuple(UnknownLine(row.position, row.sku, row.seller) for row in found if row.profile is None)
        if not unknown:
            listed = [_listed(row, request) for row in found]
            sealed = _sealed(order, found[0], vault)
            if await connection.scalar(_RECORD, _new_rows(request, listed) | sealed):
                return RecordedOrder(verdict="new", lines=tuple(listed), first_run_id=request.first_run_id)
        # An order of before is known even where its SKUs are not sold any more.
        recorded = await _recorded(connection, request)
        if recorded is not None:
            return recorded
        if unknown:
            return RecordedOrder(verdict="unknown_sku", unknown=unknown)
        # The customer's key was made, or destroyed, by somebody else at this very moment.
    raise Unavailable("the key of the customer changed each time that it was used")


async def look_up(connection: AsyncConnection, order: PlaceOrder) -> tuple[KnownOrder | None, tuple[UnknownLine, ...]]:
    """Whether the order is here already, and its lines that nobody sells, in one statement."""
    found = (await connection.execute(_BEFORE_PLACING, {"lines": _cart(order), "of": order.order_id})).all()
    unknown = tuple(UnknownLine(row.position, row.sku, row.seller) for row in found if row.profile is None)
    return known_order(found[0]), unknown


def known_order(row: Row[Any]) -> KnownOrder | None:
    """From a row with `body_hash` and `result`."""
    if row.body_hash is None:
        return None
    result = None if row.result is None else OrderResult.model_validate_json(row.result)
    return KnownOrder(body_hash=row.body_hash, result=result)


# -- the catalog, for the lines of a cart ---------------------------------------


def _cart(order: PlaceOrder) -> list[dict[str, Any]]:
    return [
        {"position": position, "line_id": line.line_id, "sku": line.sku, "seller": line.seller, "channel": line.channel}
        for position, line in enumerate(order.lines)
    ]


def _in_catalog() -> Select[Any]:
    """Each line with its title and the profile of the location that comes first; without one it cannot be sold."""
    line = recordset("lines", [order_lines.c[name] for name in ("position", "line_id", "sku", "seller", "channel")])
    place = (
        select(cast(locations.c.profile, Text).label("profile"))
        .where(
            locations.c.channel == line.c.channel,
            or_(locations.c.seller_id == line.c.seller, locations.c.seller_id.is_(None)),
            listings.c.sku.is_not(None),
        )
        .order_by(locations.c.priority, locations.c.location_id)
        .limit(1)
        .lateral("place")
    )
    return (
        select(line.c.position, line.c.line_id, line.c.sku, line.c.seller, listings.c.title, place.c.profile)
        .select_from(line)
        .outerjoin(listings, and_(listings.c.seller_id == line.c.seller, listings.c.sku == line.c.sku))
        .outerjoin(place, true())
        .order_by(line.c.position)
    )


def _before_placing() -> Select[Any]:
    known = (
        select(orders.c.body_hash, cast(orders.c.result, Text).label("result"))
        .where(orders.c.order_id == bindparam("of", type_=Text))
        .subquery("known")
    )
    lines = _IN_CATALOG.subquery("lines_in_catalog")
    return (
        select(lines.c.position, lines.c.sku, lines.c.seller, lines.c.profile, known.c.body_hash, known.c.result)
        .select_from(lines)
        .outerjoin(known, true())
    )


def _before_recording() -> Select[Any]:
    """With the customer's key, where there is one, and the one for searching."""
    searched = select(
        search_key.c.wrapped.label("search_wrapped"), search_key.c.wrapped_by.label("search_wrapped_by")
    ).subquery("key_of_searching")
    key = (
        select(customer_keys.c.key_id, customer_keys.c.wrapped, customer_keys.c.wrapped_by)
        .where(customer_keys.c.customer_id == bindparam("customer", type_=Text), customer_keys.c.destroyed_at.is_(None))
        .subquery("customer_key")
    )
    lines = _IN_CATALOG.subquery("lines_in_catalog")
    with_keys = lines.outerjoin(key, true()).outerjoin(searched, true())
    return select(lines, key, searched).select_from(with_keys).order_by(lines.c.position)


_IN_CATALOG = _in_catalog()
_BEFORE_RECORDING = _before_recording()
_BEFORE_PLACING = _before_placing()


def _listed(row: Row[Any], request: RecordOrder) -> ListedLine:
    order = request.order
    promise = promise_from(
        row.profile, request.placed_at, order.shipping.method, order.ship_to.country, order.customer.time_zone
    )
    return ListedLine(
        line_id=row.line_id,
        title=row.title,
        ship_by=order.promised_ship_by or promise.ship_by,
        deliver_by=order.promised_by or promise.deliver_by,
        earliest_delivery=min(promise.earliest_delivery, order.promised_by or promise.earliest_delivery),
    )


# -- recording -------------------------------------------------------------------

_KEY_TRIES = 5
_KEY_FIELDS = ("key_id", "customer_id", "wrapped", "wrapped_by")
_CONTACT_FIELDS = ("time_zone", "address", "sealed", "key_id")


def _sealed(order: PlaceOrder, row: Row[Any], vault: Vault) -> dict[str, Any]:
    """The rows that tell of the person, sealed by the key in `row`, or by a new one."""
    customer = order.customer
    person = Person(name=customer.name, email=customer.email, address=order.ship_to)
    new = vault.new_key() if row.key_id is None else None
    key = new.key if new is not None else vault.key(row.key_id, row.wrapped, row.wrapped_by)
    values = sealed_values(key, order.order_id, person)
    contact = {"time_zone": customer.time_zone, **{name: values[name] for name in ("address", "sealed", "key_id")}}
    search = vault.read_search_key(row.search_wrapped, row.search_wrapped_by)
    made = [] if new is None else [(key.key_id, customer.id, in_json(new.wrapped.content), new.wrapped.by)]
    return {
        "contact": [contact | {"sealed": in_json(values["sealed"])}],
        "new_key": [dict(zip(_KEY_FIELDS, one, strict=True)) for one in made],
        "by_key": key.key_id,
        "search": [{"hashes": person.hashes(search)}],
    }


_ORDER_FIELDS = (
    *("body_hash", "first_run_id", "customer_id", "currency", "items", "shipping", "tax", "discount", "total"),
    *("method", "country", "placed_at", "factor", "given_ship_by", "given_deliver_by", "status", "promised_at"),
    *("ship_by", "updated_at"),
)
_LINE_FIELDS = (
    *("line_id", "position", "sku", "title", "quantity", "unit_price", "total", "seller", "channel"),
    *("ship_by", "deliver_by", "earliest_delivery"),
)
_PAYMENT_FIELDS = ("payment_id", "kind", "token", "amount", "currency")


def _new_rows(request: RecordOrder, listed: list[ListedLine]) -> dict[str, Any]:
    order = request.order
    return {
        "order_id": order.order_id,
        "order_row": [
            {
                "body_hash": request.body_hash,
                "first_run_id": request.first_run_id,
                "customer_id": order.customer.id,
                "currency": order.currency,
                "items": sum(line.quantity * line.unit_price for line in order.lines),
                "shipping": order.shipping.price,
                "tax": order.tax,
                "discount": order.discount,
                "total": order.total,
                "method": order.shipping.method,
                "country": order.ship_to.country,
                "placed_at": request.placed_at.isoformat(),
                "factor": order.clock.factor,
                "given_ship_by": _iso(order.promised_ship_by),
                "given_deliver_by": _iso(order.promised_by),
                "status": OrderStatus.PENDING,
                "promised_at": max(line.deliver_by for line in listed).isoformat(),
                "ship_by": None,  # until a seller has something to ship
                "updated_at": request.placed_at.isoformat(),
            }
        ],
        "lines": [
            line.model_dump(mode="json", include={"line_id", "sku", "quantity", "unit_price", "seller", "channel"})
            | listing.model_dump(mode="json")
            | {"position": position, "total": total}
            for position, (line, listing, total) in enumerate(zip(order.lines, listed, line_totals(order), strict=True))
        ],
        "payments": [
            {
                "payment_id": str(number),
                "kind": payment.kind,
                "token": payment.token,
                "amount": payment.amount,
                "currency": order.currency,
            }
            for number, payment in enumerate(order.payments, start=1)
        ],
        "units": [{"line_id": line.line_id, "place": Place.PENDING, "quantity": line.quantity} for line in order.lines],
        "sellers": [
            {"seller": seller, "placed_at": request.placed_at.isoformat()}
            for seller in sorted({line.seller for line in order.lines})
        ],
        "timeline": [placed_entry(order, request.placed_at).model_dump(mode="json")],
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _record() -> Select[Any]:
    """All rows of a new order or none: whoever inserts the order's own row inserts the rest, in the same statement."""
    order_id = bindparam("order_id", type_=Text)
    made = (
        insert_rows(customer_keys, "new_key", _KEY_FIELDS, only_if=~exists().where(orders.c.order_id == order_id))
        .on_conflict_do_nothing(index_elements=["customer_id"], index_where=customer_keys.c.destroyed_at.is_(None))
        .returning(customer_keys.c.key_id)
        .cte("made_key")
    )
    # Locked, so that no erasure destroys it until the order can be seen.
    kept = (
        select(customer_keys.c.key_id)
        .where(customer_keys.c.key_id == bindparam("by_key", type_=Text), customer_keys.c.destroyed_at.is_(None))
        .with_for_update(read=True)
        .cte("kept_key")
    )
    has_key = or_(exists(select(made.c.key_id)), exists(select(kept.c.key_id)))
    new = (
        insert_rows(orders, "order_row", _ORDER_FIELDS, only_if=has_key, order_id=order_id)
        .on_conflict_do_nothing(index_elements=["order_id"])
        .returning(orders.c.order_id)
        .cte("new")
    )
    only_if = exists(select(new.c.order_id))
    return (
        select(func.count())
        .select_from(new)
        .add_cte(
            insert_rows(order_contacts, "contact", _CONTACT_FIELDS, only_if=only_if, order_id=order_id).cte(
                "new_contact"
            ),
            insert_rows(order_search, "search", ["hashes"], only_if=only_if, order_id=order_id).cte("new_search"),
            insert_rows(order_lines, "lines", _LINE_FIELDS, only_if=only_if, order_id=order_id).cte("new_lines"),
            insert_rows(payments, "payments", _PAYMENT_FIELDS, only_if=only_if, order_id=order_id).cte("new_payments"),
            insert_rows(order_units, "units", ["line_id", "place", "quantity"], only_if=only_if, order_id=order_id).cte(
                "new_units"
            ),
            insert_rows(order_sellers, "sellers", ["seller", "placed_at"], only_if=only_if, order_id=order_id).cte(
                "new_sellers"
            ),
            insert_rows(timeline, "timeline", list(Entry.model_fields), only_if=only_if, order_id=order_id).cte(
                "new_timeline"
            ),
            insert(order_changes).from_select(["order_id"], select(new.c.order_id)).cte("new_change"),
        )
    )


_RECORD = _record()


# -- a repeated order id ---------------------------------------------------------


async def _recorded(connection: AsyncConnection, request: RecordOrder) -> RecordedOrder | None:
    """What the order that is there already means for this one; None where there is none."""
    order_id = request.order.order_id
    row = (await connection.execute(select(orders).where(orders.c.order_id == order_id))).one_or_none()
    if row is None:
        return None
    if row.body_hash != request.body_hash:
        return RecordedOrder(verdict="conflict", first_run_id=row.first_run_id)
    # Our own insert, whose answer was lost, is new still.
    verdict: Literal["new", "same"] = "new" if row.first_run_id == request.first_run_id else "same"
    lines = await connection.execute(
        select(*(order_lines.c[field] for field in ListedLine.model_fields))
        .where(order_lines.c.order_id == order_id, order_lines.c.position.is_not(None))
        .order_by(order_lines.c.position)
    )
    result = None
    if verdict == "same":
        result = json.dumps(row.result) if row.result else (await _result_so_far(connection, row)).model_dump_json()
    return RecordedOrder(
        verdict=verdict,
        lines=tuple(ListedLine.model_validate(line._asdict()) for line in lines),
        result=result,
        first_run_id=row.first_run_id,
    )


async def _result_so_far(connection: AsyncConnection, order: Row[Any]) -> OrderResult:
    """The result as it would be now, for an order whose workflow has not ended or was terminated."""
    units = await connection.execute(
        select(order_units.c.place, func.sum(order_units.c.quantity).label("quantity"))
        .where(order_units.c.order_id == order.order_id, order_units.c.quantity > 0)
        .group_by(order_units.c.place)
    )
    sums = [func.coalesce(func.sum(payments.c[name]), 0).label(name) for name in ("captured", "refunded", "voided")]
    money = (await connection.execute(select(*sums).where(payments.c.order_id == order.order_id))).one()
    return OrderResult(
        order_id=order.order_id,
        status=order.status,
        units={Place(row.place).value: int(row.quantity) for row in units},
        captured=int(money.captured),
        refunded=int(money.refunded),
        voided=int(money.voided),
        currency=order.currency,
        attention=tuple(order.attention),
    )
