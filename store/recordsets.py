"""Many rows in one parameter: JSON in, rows out, so that a statement stays the same however many rows it gets.

PostgreSQL then plans it once per connection, and a step of an order is one round trip.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import CTE, Column, ColumnElement, Table, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.sql.selectable import Subquery

from store.tables.stock import effects


def recordset(name: str, columns: Iterable[Column[Any]]) -> Subquery:
    """The rows of the JSON array that is given as the parameter `name`.

    PostgreSQL takes any such array for a hundred rows, and for so many it reads a table of some thousands whole. The
    limit cuts nothing off: it tells the planner how many there are, or to expect ten where it plans for any array.
    """
    typed = [column(c.name, c.type) for c in columns]
    array = bindparam(name, type_=JSONB)
    rows = func.jsonb_to_recordset(array).table_valued(*typed).render_derived("given", with_types=True)
    # Not under the name of a table that may stand beside them.
    return select(rows).limit(func.jsonb_array_length(array)).subquery(f"given_{name}")


def insert_rows(
    table: Table,
    name: str,
    fields: Sequence[str],
    *,
    only_if: ColumnElement[bool] | None = None,
    **same: ColumnElement[Any],
) -> Insert:
    """INSERT the rows in the parameter `name`; `same` are columns that all rows share."""
    rows = recordset(name, [table.c[field] for field in fields])
    source = select(*same.values(), *(rows.c[field] for field in fields))
    if only_if is not None:
        source = source.where(only_if)
    return insert(table).from_select([*same, *fields], source)


def once(name: str) -> CTE:
    """Keep the result of an effect, in the parameter `name`, unless its key has one; empty where it had."""
    return (
        insert_rows(effects, name, ["key", "order_id", "result"])
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(effects.c.key)
        .cte("claimed")
    )
