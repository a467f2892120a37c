"""Saving what changed in an order: one statement, alone or inside the transaction of another effect."""

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from sqlalchemy import CTE, Table, bindparam, case, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Integer, Text

from domain.mails import mail_to_json
from domain.progress import FulfillmentRow, LineMoneyRow, LineRow, OrderRow, ParcelRow, Progress
from domain.timeline import Entry
from store.recordsets import insert_rows, recordset
from store.tables.insights import order_changes
from store.tables.orders import fulfillments, line_money, order_lines, order_units, orders, parcels, timeline
from store.tables.outbox import outbox


async def save_progress(connection: AsyncConnection, progress: Progress, result: str | None = None) -> None:
    """Write the rows that changed. Twice is as once, and a row of a newer version stays as it is."""
    await connection.execute(
        _SAVE,
        {
            "of_order": progress.order_id,
            "of_version": progress.version,
            "order_row": _order_row(progress, result),
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
        },
    )


def _order_row(progress: Progress, result: str | None) -> list[dict[str, Any]]:
    if progress.order is None:
        assert result is None, "the last progress of an order carries its row"
        return []
    return [
        {
            "order_id": progress.order_id,
            **progress.order.model_dump(mode="json"),
            "updated_at": progress.at.isoformat(),
            "result": None if result is None else json.loads(result),
        }
    ]


def _plain(rows: Iterable[BaseModel]) -> list[dict[str, Any]]:
    return [row.model_dump(mode="json") for row in rows]


# Not the names of columns: SQLAlchemy takes a parameter named as a column of an UPDATE for a value to set.
_ORDER_ID = bindparam("of_order", type_=Text)
_VERSION = bindparam("of_version", type_=Integer)


def _upsert(table: Table, name: str, fields: Iterable[str]) -> CTE:
    """Insert the rows, or overwrite those that are there, unless these are of a newer version.

    Those of the same version are overwritten: a worker that dies between our commit and its report does the step
    again, messages that came meanwhile can make that version another one, and the later write is then the one that
    the history tells.
    """
    statement = insert_rows(table, name, list(fields), order_id=_ORDER_ID, version=_VERSION)
    key = [column.name for column in table.primary_key]
    changed = {field: statement.excluded[field] for field in [*fields, "version"] if field not in key}
    return statement.on_conflict_do_update(
        index_elements=key, set_=changed, where=statement.excluded.version >= table.c.version
    ).cte(f"saved_{name}")


def _update_order() -> CTE:
    fields = [*OrderRow.model_fields, "updated_at"]
    row = recordset("order_row", [orders.c[field] for field in ("order_id", *fields, "result")])
    changed: dict[str, Any] = {field: row.c[field] for field in fields}
    since = case((row.c.attention != [], func.coalesce(orders.c.attention_since, row.c.updated_at)))
    return (
        update(orders)
        .where(orders.c.order_id == row.c.order_id, orders.c.version <= _VERSION)
        .values(
            **changed,
            attention_since=since,
            result=func.coalesce(row.c.result, orders.c.result),
            version=_VERSION,
        )
        .cte("saved_order")
    )


# Every part every time: an empty array costs PostgreSQL nothing, and the statement stays one that it has planned.
_SAVE = select(literal(1)).add_cte(
    _update_order(),
    _upsert(order_lines, "lines", LineRow.model_fields),
    _upsert(line_money, "line_money", LineMoneyRow.model_fields),
    _upsert(order_units, "units", ["line_id", "place", "fulfillment_id", "parcel_id", "quantity"]),
    _upsert(fulfillments, "fulfillments", FulfillmentRow.model_fields),
    _upsert(parcels, "parcels", ParcelRow.model_fields),
    _upsert(timeline, "timeline", Entry.model_fields),
    insert_rows(outbox, "outbox", ["key", "kind", "body"], order_id=_ORDER_ID)
    .on_conflict_do_nothing(index_elements=["key"])
    .cte("saved_outbox"),
    insert(order_changes).from_select(["order_id"], select(_ORDER_ID)).cte("noted_change"),
)
