"""The ledger of money: every movement is written down before the provider is asked, and never exceeds what there is."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, Select, Text, bindparam, case, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.ledger import Balance, spread
from domain.placing import PaymentMeans
from domain.requests import MoveKind, PaymentMove, ProviderOutcome
from store.database import Database
from store.recordsets import insert_rows
from store.tables.orders import orders
from store.tables.payments import money_moves, payments


class Payments:
    """`activities.ports.PaymentLedger`.

    What is planned counts as moved until the provider refuses it, so that two captures under way at once can never
    exceed an authorization; the constraints of the table say the same.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def plan(self, order_id: str, key: str, move: MoveKind, amount: int | None) -> tuple[PaymentMove, ...]:
        """Fewer minor units than asked for where the payments do not hold as many."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_LOCKED, {"of": order_id, "plan": key})).all()
            if not any(row.planned for row in rows):
                shares = spread([_balance(row) for row in rows], move, amount)
                by_id = {row.payment_id: row for row in rows}
                moves = tuple(_move(key, move, by_id[payment_id], share) for payment_id, share in shares)
                if not moves or await _insert(connection, order_id, key, moves):
                    return moves
            return await _planned(connection, key)

    async def settle(self, move: PaymentMove, outcome: ProviderOutcome) -> None:
        """The first answer counts; a later one to the same key changes nothing."""
        async with self._database.statement() as connection:
            await connection.execute(
                _SETTLE, {"move": move.key, "refused": outcome.refused_because, "answered": outcome.reference}
            )

    async def add(self, order_id: str, payment_ids: tuple[str, ...], means: tuple[PaymentMeans, ...]) -> None:
        rows = [
            {"payment_id": payment_id, **payment.model_dump(mode="json", include={"kind", "token", "amount"})}
            for payment_id, payment in zip(payment_ids, means, strict=True)
        ]
        async with self._database.statement() as connection:
            await connection.execute(_ADD, {"of": order_id, "payments": rows})


def _balance(row: Row[Any]) -> Balance:
    return Balance(
        payment_id=row.payment_id,
        kind=row.kind,
        unauthorized=row.amount if row.status == "new" else 0,
        open=row.authorized - row.captured - row.capturing - row.voided - row.voiding,
        refundable=row.captured - row.refunded - row.refunding,
        capture_refused=row.capture_refused,
    )


def _move(key: str, kind: MoveKind, payment: Row[Any], amount: int) -> PaymentMove:
    return PaymentMove(
        key=f"{key}:{payment.payment_id}",
        payment_id=payment.payment_id,
        kind=kind,
        amount=amount,
        currency=payment.currency,
        token=payment.token,
        reference=payment.reference,
    )


async def _insert(connection: AsyncConnection, order_id: str, key: str, moves: Iterable[PaymentMove]) -> bool:
    """False where another try of the same plan was first; we did not see it while we waited for the payments."""
    rows = [move.model_dump(mode="json", include={"key", "payment_id", "kind", "amount"}) for move in moves]
    return bool(await connection.scalar(_PLAN, {"of": order_id, "plan": key, "moves": rows}))


async def _planned(connection: AsyncConnection, key: str) -> tuple[PaymentMove, ...]:
    rows = await connection.execute(_MOVES, {"plan": key})
    return tuple(
        PaymentMove(
            key=row.key,
            payment_id=row.payment_id,
            kind=MoveKind(row.kind),
            amount=row.amount,
            currency=row.currency,
            token=row.token,
            reference=row.authorization,
            settled=row.settled,
            refused_because=row.refused_because,
        )
        for row in rows
    )


# -- statements ----------------------------------------------------------------------

_OF = bindparam("of", type_=Text)
_PLAN_KEY = bindparam("plan", type_=Text)

_LOCKED = (
    select(payments, exists().where(money_moves.c.plan_key == _PLAN_KEY).label("planned"))
    .where(payments.c.order_id == _OF)
    .order_by(payments.c.position)
    .with_for_update(of=payments)
)

_MOVES = (
    select(money_moves, payments.c.currency, payments.c.token, payments.c.reference.label("authorization"))
    .join_from(money_moves, payments)
    .where(money_moves.c.plan_key == _PLAN_KEY)
    .order_by(money_moves.c.position)
)


def _plan() -> Select[Any]:
    """Write the moves down, unless the plan is known, and count them as under way."""
    known = exists().where(money_moves.c.plan_key == _PLAN_KEY)
    moves = (
        insert_rows(
            money_moves,
            "moves",
            ["key", "payment_id", "kind", "amount"],
            only_if=~known,
            order_id=_OF,
            plan_key=_PLAN_KEY,
        )
        .returning(money_moves)
        .cte("planned")
    )

    def under_way(kind: MoveKind) -> Any:
        return case((moves.c.kind == kind, moves.c.amount), else_=0)

    counted = (
        update(payments)
        .where(payments.c.order_id == moves.c.order_id, payments.c.payment_id == moves.c.payment_id)
        .values(
            capturing=payments.c.capturing + under_way(MoveKind.CAPTURE),
            refunding=payments.c.refunding + under_way(MoveKind.REFUND),
            voiding=payments.c.voiding + under_way(MoveKind.VOID),
        )
        .cte("counted")
    )
    return select(func.count()).select_from(moves).add_cte(counted)


def _settle() -> Select[Any]:
    refused = bindparam("refused", type_=Text)
    answered = bindparam("answered", type_=Text)
    move = (
        update(money_moves)
        .where(money_moves.c.key == bindparam("move", type_=Text), ~money_moves.c.settled)
        .values(settled=True, settled_at=func.now(), refused_because=refused, reference=answered)
        .returning(money_moves)
        .cte("move_settled")
    )

    def asked(kind: MoveKind) -> Any:
        return case((move.c.kind == kind, move.c.amount), else_=0)

    def done(kind: MoveKind) -> Any:
        return case((move.c.kind != kind, 0), (move.c.refused_because.is_(None), move.c.amount), else_=0)

    is_authorization = move.c.kind == MoveKind.AUTHORIZE
    is_refused = move.c.refused_because.is_not(None)
    counted = (
        update(payments)
        .where(payments.c.order_id == move.c.order_id, payments.c.payment_id == move.c.payment_id)
        .values(
            authorized=payments.c.authorized + done(MoveKind.AUTHORIZE),
            captured=payments.c.captured + done(MoveKind.CAPTURE),
            refunded=payments.c.refunded + done(MoveKind.REFUND),
            voided=payments.c.voided + done(MoveKind.VOID),
            capturing=payments.c.capturing - asked(MoveKind.CAPTURE),
            refunding=payments.c.refunding - asked(MoveKind.REFUND),
            voiding=payments.c.voiding - asked(MoveKind.VOID),
            status=case(
                (is_authorization & is_refused, "declined"), (is_authorization, "authorized"), else_=payments.c.status
            ),
            declined_because=case((is_authorization, move.c.refused_because), else_=payments.c.declined_because),
            reference=case((is_authorization, move.c.reference), else_=payments.c.reference),
            capture_refused=payments.c.capture_refused | ((move.c.kind == MoveKind.CAPTURE) & is_refused),
        )
        .cte("counted")
    )
    return select(func.count()).select_from(move).add_cte(counted)


_PLAN = _plan()
_SETTLE = _settle()
_ADD = insert_rows(
    payments,
    "payments",
    ["payment_id", "kind", "token", "amount"],
    order_id=_OF,
    currency=select(orders.c.currency).where(orders.c.order_id == _OF).scalar_subquery(),
).on_conflict_do_nothing()
