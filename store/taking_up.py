"""What is left of an order whose workflow is gone, read at one moment; and its messages that nobody has heard."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.effects import StockItem
from domain.matters import Matters
from domain.outbox import NOBODY_THERE, OutboxKind
from domain.progress import FulfillmentRow, ParcelRow
from domain.requests import MoveKind
from domain.results import OrderResult
from domain.state import Backorder, Line, LineMoney, Money, Payment, Totals
from domain.taking_up import FoundOrder, HeldStock, MoneyUnderWay, Remains
from domain.timeline import ENTRIES_KEPT, Entry
from domain.units import Place, Spot, Units
from store.database import Database
from store.tables.orders import fulfillments, orders, parcels, timeline
from store.tables.outbox import outbox
from store.tables.payments import money_moves, payments
from store.tables.stock import backorder_allocations, backorders


class TakingUp:
    """`activities.ports.LostOrders`, as the order itself uses it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_up(self, order_id: str, run_id: str) -> FoundOrder:
        """Read what there is. From then on the order is that run's, and messages go out again that came too late."""
        async with self._database.snapshot() as connection:
            found = await _find(connection, order_id)
        if found.remains is not None:
            async with self._database.transaction() as connection:
                await connection.execute(
                    update(orders).where(orders.c.order_id == order_id).values(first_run_id=run_id)
                )
                await connection.execute(
                    update(outbox)
                    .where(
                        outbox.c.order_id == order_id,
                        outbox.c.kind == OutboxKind.MESSAGE,
                        outbox.c.last_error == NOBODY_THERE,
                    )
                    .values(sent_at=None, last_error=None, due_at=func.now())
                )
        return found


async def _find(connection: AsyncConnection, order_id: str) -> FoundOrder:
    order = (await connection.execute(select(orders).where(orders.c.order_id == order_id))).one_or_none()
    if order is None:
        return FoundOrder()
    if order.closed:
        return FoundOrder(result=OrderResult.model_validate(order.result))

    async def of_order(query: Any) -> list[Row[Any]]:
        return list(await connection.execute(query, {"of": order_id}))

    entries = await of_order(
        select(timeline).where(timeline.c.order_id == order_id).order_by(timeline.c.seq.desc()).limit(ENTRIES_KEPT)
    )
    moves = await of_order(
        select(money_moves).where(money_moves.c.order_id == order_id).order_by(money_moves.c.position)
    )
    paid = await of_order(select(payments).where(payments.c.order_id == order_id).order_by(payments.c.position))
    waiting = await of_order(select(backorders).where(backorders.c.order_id == order_id))
    until = {b.key: b.until for b in Matters.model_validate(order.matters or {}).backorders}
    return FoundOrder(
        remains=Remains(
            order_id=order_id,
            customer_id=order.customer_id,
            method=order.method,
            country=order.country,
            totals=Totals.model_validate({name: getattr(order, name) for name in Totals.model_fields}),
            placed_at=order.placed_at,
            recorded_at=order.recorded_at,
            updated_at=order.updated_at,
            factor=order.factor,
            version=order.version,
            attention=tuple(order.attention),
            unpaid=order.unpaid,
            goodwill=order.goodwill,
            matters=None if order.matters is None else Matters.model_validate(order.matters),
            lines=tuple(_line(row, order) for row in await of_order(_LINES)),
            units=tuple(_units(row) for row in await of_order(_UNITS)),
            fulfillments=tuple(
                FulfillmentRow.model_validate(row._asdict())
                for row in await of_order(select(fulfillments).where(fulfillments.c.order_id == order_id))
            ),
            parcels=tuple(
                ParcelRow.model_validate(row._asdict())
                for row in await of_order(
                    select(parcels).where(parcels.c.order_id == order_id).order_by(parcels.c.packed_at)
                )
            ),
            payments=tuple(_payment(row) for row in paid),
            money=Money(**{name: sum(getattr(row, name) for row in paid) for name in _SUMS}),
            held=tuple(_held(row) for row in await of_order(_HELD)),
            under_way=tuple(_plans(moves)),
            waiting=tuple(
                Backorder(
                    line_id=row.line_id,
                    quantity=row.quantity - row.allocated,
                    until=until.get(row.key, order.updated_at),
                    key=row.key,
                )
                for row in waiting
                if row.cancelled is None and row.allocated < row.quantity
            ),
            backorder_keys=tuple(row.key for row in waiting),
            allocations=tuple(row.key for row in await of_order(_ALLOCATIONS)),
            entries=tuple(Entry.model_validate(row._asdict()) for row in reversed(entries)),
            entry_count=entries[0].seq if entries else 0,
            lives=int((await connection.scalar(_LIVES, {"of": order_id})) or 0),
        )
    )


_SUMS = ("authorized", "captured", "refunded", "voided")


def _line(row: Row[Any], order: Row[Any]) -> Line:
    fields = {name: getattr(row, name) for name in Line.model_fields if hasattr(row, name)}
    money = {name: getattr(row, name) or 0 for name in ("captured", "dropped", "refunded")}
    # Rows of early releases have no dates for lines that came later.
    for name in ("ship_by", "deliver_by", "earliest_delivery"):
        fields[name] = fields[name] or order.promised_at or order.placed_at
    return Line.model_validate({**fields, "money": LineMoney(total=row.total, **money)})


def _units(row: Row[Any]) -> Units:
    spot = Spot(place=Place(row.place), fulfillment_id=row.fulfillment_id or None, parcel_id=row.parcel_id or None)
    return Units(line_id=row.line_id, spot=spot, quantity=row.quantity)


def _payment(row: Row[Any]) -> Payment:
    return Payment(
        payment_id=row.payment_id,
        kind=row.kind,
        amount=row.amount,
        status=row.status,
        declined_because=row.declined_because,
    )


def _held(row: Row[Any]) -> HeldStock:
    item = StockItem(
        line_id=row.line_id, location=row.location_id, seller=row.seller_id, sku=row.sku, quantity=row.held
    )
    return HeldStock(item=item, handed_over=row.handed_over)


def _plans(moves: Iterable[Row[Any]]) -> Iterable[MoneyUnderWay]:
    """Plans of which some movement has no answer."""
    plans: dict[str, list[Row[Any]]] = {}
    for move in moves:
        plans.setdefault(move.plan_key, []).append(move)
    for key, parts in plans.items():
        if not all(part.settled for part in parts):
            yield MoneyUnderWay(
                key=key,
                kind=MoveKind(parts[0].kind),
                payment_ids=tuple(part.payment_id for part in parts),
                amount=sum(part.amount for part in parts),
                done=sum(part.amount for part in parts if part.settled and part.refused_because is None),
            )


_LINES = text(
    """
    SELECT order_lines.*, line_money.captured, line_money.dropped, line_money.refunded
    FROM order_lines LEFT JOIN line_money USING (order_id, line_id)
    WHERE order_id = :of ORDER BY position NULLS LAST, line_id
    """
)
_UNITS = text("SELECT * FROM order_units WHERE order_id = :of AND quantity > 0")
_HELD = text(
    """
    SELECT line_id, location_id, seller_id, sku, quantity AS held,
           (SELECT coalesce(-sum(on_hand_delta), 0) FROM stock_movements AS moves
            WHERE moves.order_id = :of AND moves.line_id = held.line_id
              AND moves.location_id = held.location_id AND reason = 'handed_over') AS handed_over
    FROM reservations AS held WHERE order_id = :of AND quantity > 0
    """
)
_LIVES = text("SELECT count(*) FROM timeline WHERE order_id = :of AND what = 'taken_up'")
_ALLOCATIONS = (
    select(backorder_allocations.c.key)
    .join_from(backorder_allocations, backorders)
    .where(backorders.c.order_id == text(":of"))
)
