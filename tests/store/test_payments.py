"""The ledger of money: no plan exceeds what there is, no answer counts twice."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from domain.placing import PaymentKind, PaymentMeans
from domain.requests import MoveKind, PaymentMove, ProviderOutcome
from store.database import Database
from store.identities import violations
from store.payments import Payments
from tests.store.shop import Shop, rows

DONE = ProviderOutcome(reference="auth-1")
REFUSED = ProviderOutcome(refused_because="insufficient funds")


class Purse:
    """An order of 1000 minor units with a card, a voucher and a prepaid payment, given in this order."""

    def __init__(self, database: Database, order_id: str) -> None:
        self.order_id = order_id
        self.ledger = Payments(database)
        self._database = database

    async def plan(self, key: str, kind: MoveKind, amount: int | None = None) -> tuple[PaymentMove, ...]:
        return await self.ledger.plan(self.order_id, f"{self.order_id}:{key}", kind, amount)

    async def do(self, key: str, kind: MoveKind, amount: int | None = None) -> dict[str, int]:
        moves = await self.plan(key, kind, amount)
        for move in moves:
            await self.ledger.settle(move, DONE)
        return shares(moves)

    async def row(self, payment_id: str, *columns: str) -> tuple[object, ...]:
        query = f"SELECT {', '.join(columns)} FROM payments WHERE order_id = :order AND payment_id = :payment"
        (row,) = await rows(self._database, query, order=self.order_id, payment=payment_id)
        return row


def shares(moves: tuple[PaymentMove, ...]) -> dict[str, int]:
    return {move.payment_id: move.amount for move in moves}


@pytest.fixture
async def purse(database: Database) -> Purse:
    shop = await Shop(database, near=10).open()
    kinds = ((PaymentKind.CARD, 500), (PaymentKind.VOUCHER, 200), (PaymentKind.PREPAID, 300))
    payments = tuple(PaymentMeans(kind=kind, token=f"tok-{kind}", amount=amount) for kind, amount in kinds)
    order = shop.order(2).model_copy(update={"payments": payments})
    await shop.place(order)
    return Purse(database, order.order_id)


async def test_vouchers_are_captured_first_cards_last_and_refunds_go_the_other_way(purse: Purse) -> None:
    assert await purse.do("authorize", MoveKind.AUTHORIZE) == {"2": 200, "3": 300, "1": 500}
    assert await purse.do("capture:1", MoveKind.CAPTURE, 400) == {"2": 200, "3": 200}
    assert await purse.do("capture:2", MoveKind.CAPTURE, 400) == {"3": 100, "1": 300}
    assert await purse.do("refund", MoveKind.REFUND, 350) == {"1": 300, "3": 50}
    assert await purse.do("void", MoveKind.VOID) == {"1": 200}
    assert await purse.row("1", "authorized", "captured", "refunded", "voided") == (500, 300, 300, 200)


async def test_a_plan_is_given_again_with_what_was_settled_since(purse: Purse) -> None:
    first = await purse.plan("authorize", MoveKind.AUTHORIZE)
    assert await purse.plan("authorize", MoveKind.AUTHORIZE) == first
    for _ in range(2):
        await purse.ledger.settle(first[0], DONE)
    again = await purse.plan("authorize", MoveKind.AUTHORIZE)
    assert [(m.key, m.settled) for m in again] == [(m.key, m is first[0]) for m in first]
    assert again[0].reference == "auth-1"


async def test_the_first_answer_counts(purse: Purse) -> None:
    move, *_ = await purse.plan("authorize", MoveKind.AUTHORIZE)
    await purse.ledger.settle(move, DONE)
    await purse.ledger.settle(move, REFUSED)
    assert await purse.row(move.payment_id, "status", "authorized") == ("authorized", 200)


async def test_captures_under_way_leave_less_for_others(purse: Purse) -> None:
    await purse.do("authorize", MoveKind.AUTHORIZE)
    plans = await asyncio.gather(*(purse.plan(f"capture:{n}", MoveKind.CAPTURE, 150) for n in range(10)))
    assert sorted(sum(shares(plan).values()) for plan in plans) == [0, 0, 0, 100, *[150] * 6]
    assert await purse.plan("void", MoveKind.VOID) == ()


async def test_many_tries_of_one_plan_are_one(purse: Purse) -> None:
    await purse.do("authorize", MoveKind.AUTHORIZE)
    plans = await asyncio.gather(*(purse.plan("capture", MoveKind.CAPTURE, 300) for _ in range(10)))
    assert all(plan == plans[0] for plan in plans)
    assert await purse.row("2", "capturing") == (200,)


async def test_a_refused_capture_is_free_again_and_its_payment_comes_last(purse: Purse) -> None:
    await purse.do("authorize", MoveKind.AUTHORIZE)
    (move,) = await purse.plan("capture:1", MoveKind.CAPTURE, 100)
    await purse.ledger.settle(move, REFUSED)
    assert await purse.row("2", "capturing", "captured") == (0, 0)
    assert shares(await purse.plan("capture:2", MoveKind.CAPTURE, 900)) == {"3": 300, "1": 500, "2": 100}


async def test_a_declined_payment_is_replaced_by_another(purse: Purse) -> None:
    for move in await purse.plan("authorize:1", MoveKind.AUTHORIZE):
        await purse.ledger.settle(move, REFUSED if move.payment_id == "1" else DONE)
    assert await purse.row("1", "status", "declined_because") == ("declined", "insufficient funds")
    for _ in range(2):
        await purse.ledger.add(purse.order_id, ("4",), (PaymentMeans(token="tok-2", amount=500),))
    assert await purse.do("authorize:2", MoveKind.AUTHORIZE) == {"4": 500}


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("captured = 501", "ck_payments_"),
        ("capturing = 501", "ck_payments_"),
        ("refunded = 1", "ck_payments_refunded"),
        ("captured = 300, voided = 201", "ck_payments_voided"),
        ("authorized = 501", "ck_payments_authorized"),
        ("voided = -1", "ck_payments_not_negative"),
    ],
)
async def test_the_table_itself_holds_the_line(purse: Purse, database: Database, change: str, constraint: str) -> None:
    await purse.do("authorize", MoveKind.AUTHORIZE)
    update = text(f"UPDATE payments SET {change} WHERE order_id = :order AND payment_id = '1'")
    with pytest.raises(IntegrityError, match=constraint):
        async with database.transaction() as connection:
            await connection.execute(update, {"order": purse.order_id})


async def test_all_this_adds_up(purse: Purse, database: Database) -> None:
    await purse.do("authorize", MoveKind.AUTHORIZE)
    await purse.plan("capture", MoveKind.CAPTURE, 10)
    assert await violations(database, at_rest=False) == []
