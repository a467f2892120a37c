"""The store under random calls, repeated ones among them, beside a model of a few numbers."""

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from domain.catalog import Correction, Receipt, StockRefused
from domain.effects import StockItem
from domain.outbox import OutboxKind
from domain.placing import PlaceOrder
from domain.requests import MoveKind, PaymentMove, ProviderOutcome, QueuedMessage, RowsAhead
from store.database import Database
from store.identities import violations
from store.messages import Messages
from store.outbox import Outbox
from store.payments import Payments
from tests.store.shop import NOON, Shop, progress_of, rows, wants_of

LEASE = timedelta(hours=1)
_numbers = count(1)


class Held:
    """An order of one line, and what it holds of the stock and of the money, as the store was asked for."""

    def __init__(self, order: PlaceOrder, quantity: int) -> None:
        self.order = order
        self.quantity = quantity
        self.version = 0
        self.waits = 0
        self.backorders = 0
        self.money = dict.fromkeys(("authorized", "captured", "refunded", "voided"), 0)
        self.under_way: list[PaymentMove] = []
        self.plans: list[tuple[str, MoveKind, int | None, tuple[PaymentMove, ...]]] = []
        self.asked = False

    def coming(self, kind: MoveKind) -> int:
        return sum(move.amount for move in self.under_way if move.kind is kind)

    @property
    def open(self) -> int:
        money = self.money
        gone = self.coming(MoveKind.CAPTURE) + self.coming(MoveKind.VOID)
        return money["authorized"] - money["captured"] - money["voided"] - gone

    @property
    def refundable(self) -> int:
        return self.money["captured"] - self.money["refunded"] - self.coming(MoveKind.REFUND)


class StoreMachine(RuleBasedStateMachine):
    """Stock, backorders, progress, money and outbox of one seller's orders."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = Database(self.url)
        self.shop: Shop = self.do(Shop(self.database, near=3, far=2).open())
        self.payments, self.outbox, self.messages = (
            Payments(self.database),
            Outbox(self.database),
            Messages(self.database),
        )
        # The outbox is everybody's: what the example before has left there is none of this one's.
        self.do(rows(self.database, "DELETE FROM outbox RETURNING key"))
        self.on_hand, self.reserved = 5, 0
        self.orders: list[Held] = []
        self.repeatable: list[Callable[[], Any]] = []
        self.queued: set[str] = set()

    def do(self, call: Any) -> Any:
        return self.runner.run(call)

    def teardown(self) -> None:
        found = self.do(violations(self.database, at_rest=False))
        self.do(self.database.close())
        self.runner.close()
        assert found == []

    # -- stock ---------------------------------------------------------------------------

    def serve(self) -> None:
        """Who was placed first is served first, with all that is free."""
        for held in self.orders:
            taken = min(held.waits, self.on_hand - self.reserved)
            held.waits -= taken
            self.reserved += taken

    @rule(quantity=st.integers(1, 4), far=st.booleans())
    def receive(self, quantity: int, far: bool) -> None:
        shop = self.shop
        place = shop.far if far else shop.near
        receipt = Receipt(location=place, seller=shop.seller, sku="mug", quantity=quantity, key=f"in{next(_numbers)}")
        self.do(shop.inventory.receive(receipt))
        self.repeatable.append(lambda: self.do(shop.inventory.receive(receipt)))
        self.on_hand += quantity
        self.serve()

    @rule(change=st.integers(-3, 3).filter(bool), far=st.booleans())
    def correct(self, change: int, far: bool) -> None:
        shop = self.shop
        place = shop.far if far else shop.near
        on_hand, reserved = self.do(shop.level(place))
        counted = Correction(location=place, seller=shop.seller, sku="mug", change=change, key=f"c{next(_numbers)}")
        refused = isinstance(self.do(shop.inventory.correct(counted)), StockRefused)
        assert refused == (on_hand + change < reserved)
        if not refused:
            self.on_hand += change
            self.serve()

    @rule(quantity=st.integers(1, 4), charged=st.integers(0, 2_000))
    def place_and_reserve(self, quantity: int, charged: int) -> None:
        """Most are paid for at once, and some of it charged."""
        shop = self.shop
        order = self.do(shop.placed(quantity, at=NOON + timedelta(minutes=len(self.orders))))
        held = Held(order, quantity)
        taken = min(quantity, self.on_hand - self.reserved)
        found = self.do(shop.reserve(order))
        assert sum(a.quantity for a in found.allocations) == taken
        assert sum(s.quantity for s in found.shortages) == quantity - taken
        self.repeatable.append(lambda: self.do(shop.reserve(order)))
        self.reserved += taken
        self.orders.append(held)
        if charged:
            for kind, amount in ((MoveKind.AUTHORIZE, None), (MoveKind.CAPTURE, charged)):
                self.plan(held, kind, amount)
                while held.under_way:
                    self.answer(held, held.under_way[0], refused=False)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def wait_for_the_rest(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.orders))
        have = self.do(self.held_of(held))
        missing = held.quantity - sum(item.quantity for item in have) - held.waits - self.do(self.gone_of(held))
        if missing <= 0:
            return
        held.backorders += 1
        key = f"{held.order.order_id}:b{held.backorders}"
        (want,) = wants_of(held.order)
        want = want.model_copy(update={"quantity": missing})
        at = NOON + timedelta(minutes=self.orders.index(held))

        def register() -> None:
            self.do(self.shop.stock.register_backorder(held.order.order_id, key, want, at, None))

        register()
        self.repeatable.append(register)
        held.waits += missing
        self.serve()

    @precondition(lambda self: any(held.backorders for held in self.orders))
    @rule(data=st.data())
    def stop_waiting(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from([held for held in self.orders if held.backorders]))
        order_id = held.order.order_id
        for number in range(1, held.backorders + 1):
            key = f"{order_id}:b{number}"
            self.do(self.shop.stock.cancel_backorder(order_id, f"{key}:cancel", key, None))
        held.waits = 0

    async def held_of(self, held: Held) -> tuple[StockItem, ...]:
        query = "SELECT location_id, quantity FROM reservations WHERE order_id = :of AND quantity > 0 ORDER BY 1"
        found = await rows(self.database, query, of=held.order.order_id)
        item = StockItem(line_id="l1", location="", seller=self.shop.seller, sku="mug", quantity=1)
        return tuple(item.model_copy(update={"location": place, "quantity": n}) for place, n in found)

    async def gone_of(self, held: Held) -> int:
        query = "SELECT coalesce(-sum(on_hand_delta), 0)::int FROM stock_movements WHERE order_id = :of"
        ((gone,),) = await rows(self.database, query, of=held.order.order_id)
        assert isinstance(gone, int)
        return gone

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), leaves=st.booleans())
    def release_or_hand_over(self, data: st.DataObject, leaves: bool) -> None:
        """One unit of each location, or all."""
        held = data.draw(st.sampled_from(self.orders))
        items = self.do(self.held_of(held))
        if data.draw(st.booleans()):
            items = tuple(item.model_copy(update={"quantity": 1}) for item in items)
        if not items:
            return
        order_id, key, stock = held.order.order_id, f"{held.order.order_id}:m{next(_numbers)}", self.shop.stock

        def move() -> None:
            if leaves:
                self.do(stock.hand_over(order_id, key, items, None))
            else:
                self.do(stock.release(order_id, key, items, False, None))

        move()
        self.repeatable.append(move)
        moved = sum(item.quantity for item in items)
        self.reserved -= moved
        if leaves:
            self.on_hand -= moved
        else:
            self.serve()

    # -- rows ----------------------------------------------------------------------------

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), step=st.integers(-1, 2))
    def save_progress(self, data: st.DataObject, step: int) -> None:
        """An older or equal version is refused, with the version that stands there."""
        held = data.draw(st.sampled_from(self.orders))
        version = held.version + step
        progress = progress_of(held.order, version, order={"status": f"v{version}"})
        if step > 0:
            self.do(self.shop.orders.save(progress))
            held.version = version
        else:
            with pytest.raises(RowsAhead) as ahead:
                self.do(self.shop.orders.save(progress))
            assert ahead.value.version == held.version
        query = "SELECT version, status FROM orders WHERE order_id = :of"
        status = f"v{held.version}" if held.version else "Pending"
        assert self.do(rows(self.database, query, of=held.order.order_id)) == [(held.version, status)]

    # -- money ---------------------------------------------------------------------------

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), kind=st.sampled_from(list(MoveKind)), amount=st.integers(1, 1500))
    def plan_money(self, data: st.DataObject, kind: MoveKind, amount: int) -> None:
        held = data.draw(st.sampled_from(self.orders))
        # A second authorization before the first is settled asks anew, and no order ever does that.
        if kind is not MoveKind.AUTHORIZE or not any(move.kind is kind for move in held.under_way):
            self.plan(held, kind, amount if kind in (MoveKind.CAPTURE, MoveKind.REFUND) else None)

    def plan(self, held: Held, kind: MoveKind, amount: int | None) -> None:
        """Never more than there is, what is under way counted as done."""
        key = f"{held.order.order_id}:{kind}:{next(_numbers)}"
        expected = {
            MoveKind.AUTHORIZE: 0 if held.asked else 500 * held.quantity,
            MoveKind.CAPTURE: min(amount or 0, held.open),
            MoveKind.REFUND: min(amount or 0, held.refundable),
            MoveKind.VOID: held.open,
        }
        moves = self.do(self.payments.plan(held.order.order_id, key, kind, amount))
        assert sum(move.amount for move in moves) == expected[kind], (kind, moves)
        held.under_way += moves
        held.plans.append((key, kind, amount, moves))

    @precondition(lambda self: any(held.under_way for held in self.orders))
    @rule(data=st.data(), refused=st.booleans())
    def provider_answers(self, data: st.DataObject, refused: bool) -> None:
        held = data.draw(st.sampled_from([held for held in self.orders if held.under_way]))
        move = data.draw(st.sampled_from(held.under_way))
        self.answer(held, move, refused=refused and move.kind is not MoveKind.AUTHORIZE)

    def answer(self, held: Held, move: PaymentMove, *, refused: bool) -> None:
        """The first answer counts, whatever a second one says."""
        held.under_way.remove(move)
        outcome = ProviderOutcome(refused_because="no") if refused else ProviderOutcome(reference=move.key)
        self.do(self.payments.settle(move, outcome))
        self.do(self.payments.settle(move, ProviderOutcome(refused_because="too late")))
        held.asked |= move.kind is MoveKind.AUTHORIZE
        if not refused:
            word = {"authorize": "authorized", "capture": "captured", "refund": "refunded", "void": "voided"}[move.kind]
            held.money[word] += move.amount

    @precondition(lambda self: any(held.plans for held in self.orders))
    @rule(data=st.data())
    def plan_again(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from([held for held in self.orders if held.plans]))
        key, kind, asked, moves = data.draw(st.sampled_from(held.plans))
        again = self.do(self.payments.plan(held.order.order_id, key, kind, asked))
        if moves:
            assert [(m.key, m.amount) for m in again] == [(m.key, m.amount) for m in moves]
        else:  # nothing was planned under this key: it is free
            held.under_way += again
            held.plans.remove((key, kind, asked, moves))

    # -- the outbox ----------------------------------------------------------------------

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), again=st.booleans())
    def queue_message(self, data: st.DataObject, again: bool) -> None:
        held = data.draw(st.sampled_from(self.orders))
        key = f"{held.order.order_id}:x{next(_numbers)}"
        message = QueuedMessage(key=key, order_id=held.order.order_id, signal="pack", body={}, due_at=NOON)
        for _ in range(1 + again):
            self.do(self.messages.schedule((message,)))
        self.queued.add(key)

    @rule(limit=st.integers(1, 4), sent=st.booleans())
    def claim(self, limit: int, sent: bool) -> None:
        """Nobody else gets a row while its lease runs, nor one that was sent."""
        found = self.do(self.outbox.claim(OutboxKind.MESSAGE, limit, LEASE))
        own = {row.key for row in found if row.key in self.queued}
        assert len({row.key for row in found}) == len(found) <= limit
        others = {row.key for row in found if ":stock_allocated" in row.key}
        assert own | others == {row.key for row in found}, "one that was lent already"
        assert len(found) == limit or own == self.queued
        self.queued -= own
        for row in found:
            if sent:
                self.do(self.outbox.sent(row.row_id))

    # -- what must hold ------------------------------------------------------------------

    @precondition(lambda self: self.repeatable)
    @rule(data=st.data())
    def a_call_comes_twice(self, data: st.DataObject) -> None:
        """The worker died before it could tell: one key, one effect."""
        data.draw(st.sampled_from(self.repeatable))()

    @invariant()
    def levels_are_those_of_the_model(self) -> None:
        levels = [self.do(self.shop.level(place)) for place in (self.shop.near, self.shop.far)]
        assert (sum(on_hand for on_hand, _ in levels), sum(taken for _, taken in levels)) == (
            self.on_hand,
            self.reserved,
        )
        assert all(0 <= taken <= on_hand for on_hand, taken in levels)

    @invariant()
    def money_is_that_of_the_model(self) -> None:
        query = (
            "SELECT order_id, authorized, captured, refunded, voided, capturing, refunding, voiding FROM payments"
            " WHERE order_id = any(:of) ORDER BY order_id"
        )
        found = self.do(rows(self.database, query, of=[held.order.order_id for held in self.orders]))
        under_way = (MoveKind.CAPTURE, MoveKind.REFUND, MoveKind.VOID)
        model = [
            (held.order.order_id, *held.money.values(), *(held.coming(kind) for kind in under_way))
            for held in self.orders
        ]
        assert sorted(found) == sorted(model)


EXAMPLES = {"quick": 8, "thorough": 500}[os.environ.get("HYPOTHESIS_PROFILE", "quick")]


def test_the_store_does_what_a_small_model_does(new_database: Callable[[], str]) -> None:
    StoreMachine.url = new_database()
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=25, suppress_health_check=list(HealthCheck)),
    )
