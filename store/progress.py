"""Saving what changed in an order: one statement, alone or inside the transaction of another effect."""

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from sqlalchemy import (
    CTE,
    ColumnElement,
    Delete,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Boolean, Integer, Text

from domain.mails import mail_to_json
from domain.progress import FulfillmentRow, LineMoneyRow, LineRow, OrderRow, ParcelRow, Progress
from domain.requests import RowsAhead
from domain.timeline import Entry
from store.recordsets import insert_rows, recordset
from store.tables.insights import order_changes
from store.tables.orders import fulfillments, line_money, order_lines, order_units, orders, parcels, timeline
from store.tables.outbox import outbox


async def save_progress(connection: AsyncConnection, progress: Progress, result: str | None = None) -> None:
    """Write the rows that changed, all of them or none.

    Raises `RowsAhead` where the order's rows are not older: a worker died between our commit and its report, or an
    earlier try was told of as failed. Messages that came meanwhile may have made that version another one, so the
    order then writes all its rows (`progress.whole`), and what else stands there goes. That must be a transaction.
    """
    rows = _rows(progress, result)
    if await connection.scalar(_SAVE, rows) is None:
        raise RowsAhead((await connection.execute(_VERSION_NOW, rows)).scalar_one())
    if progress.whole:
        for drop in _DROPS:
            await connection.execute(drop, rows)


def _rows(progress: Progress, result: str | None) -> dict[str, Any]:
    return {
        "of_order": progress.order_id,
        "of_version": progress.version,
        "whole": progress.whole,
        "order_row": [_order_row(progress, result)],
        "lines": _plain(progress.lines),
        "line_money": _plain(progress.line_money),
        "units": [
            {
                "line_id": units.line_id,
                "place": units.spot.place,
                "fulfillment_id": units.spot.fulfillment_id or "",
                "parcel_id": units.spot.parcel_id or "",
                "quantity": units.quantity,
            }
            for units in progress.units
        ],
        "fulfillments": _plain(progress.fulfillments),
        "parcels": _plain(progress.parcels),
        "timeline": _plain(progress.entries),
        "outbox": [
            *({"key": mail.key, "kind": "mail", "body": json.loads(mail_to_json(mail))} for mail in progress.mails),
            *(
                {
                    "key": f"{progress.order_id}:follow:{follow.parcel_id}:{follow.tracking_number}",
                    "kind": "follow",
                    "body": follow.model_dump(mode="json"),
                }
                for follow in progress.follow
            ),
        ],
    }


def _order_row(progress: Progress, result: str | None) -> dict[str, Any]:
    return {
        "order_id": progress.order_id,
        **progress.order.model_dump(mode="json"),
        "updated_at": progress.at.isoformat(),
        "result": None if result is None else json.loads(result),
    }


def _plain(rows: Iterable[BaseModel]) -> list[dict[str, Any]]:
    return [row.model_dump(mode="json") for row in rows]


# Not the names of columns: SQLAlchemy takes a parameter named as a column of an UPDATE for a value to set.
_ORDER_ID = bindparam("of_order", type_=Text)
_VERSION = bindparam("of_version", type_=Integer)
_WHOLE = bindparam("whole", type_=Boolean)


_UNIT_FIELDS = ("line_id", "place", "fulfillment_id", "parcel_id", "quantity")


def _update_order() -> CTE:
    """Empty where the order's rows are ahead. All other parts write only if this one did."""
    fields = [*OrderRow.model_fields, "updated_at"]
    row = recordset("order_row", [orders.c[field] for field in ("order_id", *fields, "result")])
    changed: dict[str, Any] = {field: row.c[field] for field in fields}
    since = case((row.c.attention != [], func.coalesce(orders.c.attention_since, row.c.updated_at)))
    # All rows may be written twice: an answer that was lost must not keep them from being written for good.
    again = and_(_WHOLE, orders.c.version == _VERSION, orders.c.updated_at == row.c.updated_at)
    return (
        update(orders)
        .where(orders.c.order_id == row.c.order_id, or_(orders.c.version < _VERSION, again))
        .values(
            **changed,
            attention_since=since,
            result=case((_WHOLE, row.c.result), else_=func.coalesce(row.c.result, orders.c.result)),
            version=_VERSION,
            saved_at=func.now(),
        )
        .returning(orders.c.order_id)
        .cte("saved_order")
    )


_saved_order = _update_order()
_is_newer = exists(select(_saved_order.c.order_id))


def _upsert(table: Table, name: str, fields: Iterable[str]) -> CTE:
    statement = insert_rows(table, name, list(fields), only_if=_is_newer, order_id=_ORDER_ID)
    key = [column.name for column in table.primary_key]
    changed = {field: statement.excluded[field] for field in fields if field not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=changed).cte(f"saved_{name}")


# Every part every time: an empty array costs PostgreSQL nothing, and the statement stays one that it has planned.
_SAVE = select(_saved_order.c.order_id).add_cte(
    _upsert(order_lines, "lines", LineRow.model_fields),
    _upsert(line_money, "line_money", LineMoneyRow.model_fields),
    _upsert(order_units, "units", _UNIT_FIELDS),
    _upsert(fulfillments, "fulfillments", FulfillmentRow.model_fields),
    _upsert(parcels, "parcels", ParcelRow.model_fields),
    _upsert(timeline, "timeline", Entry.model_fields),
    insert_rows(outbox, "outbox", ["key", "kind", "body"], only_if=_is_newer, order_id=_ORDER_ID)
    .on_conflict_do_nothing(index_elements=["key"])
    .cte("saved_outbox"),
    insert(order_changes).from_select(["order_id"], select(_saved_order.c.order_id)).cte("noted_change"),
)

_VERSION_NOW = select(orders.c.version).where(orders.c.order_id == _ORDER_ID)


def _drop(table: Table, name: str, *which: ColumnElement[bool]) -> Delete:
    """Rows of the order that are not among those in the parameter `name`."""
    key = [column for column in table.primary_key if column.name != "order_id"]
    row = recordset(name, key)
    named = exists().where(*(row.c[column.name] == column for column in key))
    return delete(table).where(table.c.order_id == _ORDER_ID, ~named, *which)


_last = recordset("timeline", [timeline.c.seq])
_DROPS = (
    _drop(order_lines, "lines", order_lines.c.position.is_(None)),
    _drop(line_money, "line_money"),
    _drop(order_units, "units"),
    _drop(fulfillments, "fulfillments"),
    _drop(parcels, "parcels"),
    # An order knows its newest entries only.
    delete(timeline).where(
        timeline.c.order_id == _ORDER_ID, timeline.c.seq > select(func.max(_last.c.seq)).scalar_subquery()
    ),
)
