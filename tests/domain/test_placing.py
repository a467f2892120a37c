"""What a backend sends to place an order, and how the order begins."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decoding import Refusal, decode
from domain.placing import PlaceOrder, body_hash
from domain.state import OrderStatus, Phase
from domain.units import Place
from tests.domain.building import (
    Luck,
    Refused,
    Shelf,
    an_order,
    card,
    cart_line,
    open_story,
    story,
)
from tests.domain.identities import check_all
from tests.domain.strategies import orders


def body(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(an_order(cart_line(quantity=2)).model_dump_json(exclude_defaults=True))
    return {**plain, **changes}


def refusal(**changes: Any) -> str:
    verdict = decode(PlaceOrder, (body(**changes),))
    assert isinstance(verdict, Refusal), verdict
    return verdict.reason


def test_a_good_body_is_taken() -> None:
    assert isinstance(decode(PlaceOrder, (body(),)), PlaceOrder)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"lines": []}, "lines"),
        ({"currency": "usd"}, "currency"),
        ({"order_id": "a b"}, "order_id"),
        ({"order_id": "x" * 65}, "order_id"),
        ({"unknown": 1}, "unknown"),
        ({"tax": -1}, "tax"),
        ({"tax": "2"}, "tax"),
        ({"tax": True}, "tax"),
        ({"tax": 1.5}, "tax"),
        ({"payments": []}, "payments"),
        ({"payments": [{"token": "t", "amount": 1}]}, "payments: they add up to 1, the order to 2000"),
        ({"discount": 2001}, "discount: 2001 is more than the order is worth"),
        ({"clock": {"factor": float("nan")}}, "clock.factor"),
        ({"clock": {"factor": 9000}}, "clock.factor"),
        ({"policy": {"issue_default": "wish"}}, "policy.issue_default"),
        ({"policy": {"silence_days": float("nan")}}, "policy.silence_days"),
        ({"promised_by": "2025-06-02T12:00:00"}, "promised_by"),
    ],
)
def test_a_bad_body_is_refused_by_the_name_of_its_field(changes: dict[str, Any], named: str) -> None:
    assert named in refusal(**changes)


@pytest.mark.parametrize(
    ("field", "value"),
    [("quantity", 0), ("quantity", -1), ("quantity", 10_001), ("quantity", "2"), ("unit_price", -5), ("sku", "a b")],
)
def test_a_bad_line_is_refused_by_its_number(field: str, value: Any) -> None:
    line = {"line_id": "L1", "sku": "MUG", "quantity": 2, "unit_price": 1000, "seller": "acme", field: value}
    assert f"lines.0.{field}" in refusal(lines=[line])


def test_a_line_that_stands_twice_is_refused() -> None:
    line = {"line_id": "L1", "sku": "MUG", "quantity": 1, "unit_price": 1000, "seller": "acme"}
    assert refusal(lines=[line, line]) == "lines.1.line_id: 'L1' stands twice"


def test_mixed_currencies_are_refused() -> None:
    line = {"line_id": "L1", "sku": "MUG", "quantity": 2, "unit_price": 1000, "seller": "acme", "currency": "EUR"}
    assert refusal(lines=[line]).startswith("lines.0.currency: EUR")
    assert refusal(payments=[{"token": "t", "amount": 2000, "currency": "EUR"}]).startswith("payments.0.currency")


def test_more_than_500_lines_are_refused() -> None:
    line = {"sku": "MUG", "quantity": 1, "unit_price": 0, "seller": "acme"}
    assert "lines" in refusal(lines=[{**line, "line_id": f"L{number}"} for number in range(501)])


def test_the_same_order_has_the_same_hash_however_it_is_written() -> None:
    order = an_order(cart_line(), tax=5)
    spelled_out = PlaceOrder.model_validate_json(order.model_dump_json())
    assert body_hash(order) == body_hash(spelled_out)
    assert body_hash(order) != body_hash(an_order(cart_line(), tax=6))


@given(orders())
def test_an_order_survives_json(order: PlaceOrder) -> None:
    assert PlaceOrder.model_validate_json(order.model_dump_json()) == order


@given(orders(), st.data())
def test_what_lines_cost_adds_up_to_the_order(order: PlaceOrder, data: st.DataObject) -> None:
    placed = story(*order.lines, shipping=order.shipping.price, tax=order.tax, discount=order.discount)
    assert sum(line.money.total for line in placed.state.lines) == order.total


# -- paying ----------------------------------------------------------------------------


def test_an_order_is_pending_until_it_is_paid_for() -> None:
    placed = story()
    assert placed.status() is OrderStatus.PENDING
    assert (
        placed.refusal(
            "pack", fulfillment_id="acme-1", parcels=[{"contents": [{"line_id": "L1", "sku": "MUG", "quantity": 1}]}]
        )
        == "the order is Pending: it is not paid for yet"
    )
    placed.settle()
    assert placed.status() is OrderStatus.UNSHIPPED
    assert placed.state.money.authorized == 1_000
    assert placed.state.money.captured == 0
    check_all(placed)


def test_an_order_that_costs_nothing_needs_no_payment() -> None:
    free = open_story(cart_line(unit_price=0))
    assert free.units(Place.RESERVED) == 1
    assert "authorized" not in free.said()


def test_the_customer_is_confirmed_once_and_each_seller_told_of_its_own() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))
    assert told.mailed() == ["confirmed", "seller_new_order", "seller_new_order"]
    confirmed, acme, beta = told.state.mails
    assert confirmed.template == "confirmed"
    assert [line.title for line in confirmed.lines] == ["A MUG", "A TEE"]
    assert all(line.estimated_until for line in confirmed.lines)
    assert acme.template == beta.template == "seller_new_order"
    assert [line.sku for line in acme.lines] == ["MUG"]
    assert [line.sku for line in beta.lines] == ["TEE"]


def test_the_same_sku_on_two_lines_is_not_sold_twice() -> None:
    shelf = Shelf("north", "acme", "MUG", on_hand=3)
    told = open_story(cart_line("L1", 2), cart_line("L2", 2), shelves=[shelf])
    assert shelf.reserved == 3
    assert told.units(Place.RESERVED, line_id="L1") == 2
    assert told.state.shortages[0].line_id == "L2"
    assert told.state.shortages[0].quantity == 1
    check_all(told)


def declined_story() -> Any:
    told = story()
    told.world.luck = Luck(declined=frozenset({"1"}))
    return told.settle()


def test_a_declined_customer_may_give_another_payment() -> None:
    told = declined_story()
    assert told.mailed() == ["payment_declined"]
    assert told.status() is OrderStatus.PENDING
    assert told.refusal("update_payment", payments=[{"token": "t", "amount": 999}]) == (
        "payments: they add up to 999, 1000 is unpaid"
    )
    told.send("update_payment", payments=[{"token": "t", "amount": 1000}])
    assert told.refusal("update_payment", payments=[{"token": "t", "amount": 1000}]) == (
        "payments: another payment is being tried just now"
    )
    told.settle()
    assert told.status() is OrderStatus.UNSHIPPED
    check_all(told)


def test_of_two_payments_only_the_declined_one_is_given_again() -> None:
    told = story(cart_line(unit_price=1000), payments=(card(300), card(700)))
    told.world.luck = Luck(declined=frozenset({"2"}))
    told.settle()
    told.send("update_payment", payments=[{"token": "t", "amount": 700}])
    told.settle()
    assert told.state.money.authorized == 1000
    check_all(told)


def test_without_another_payment_in_time_the_order_is_cancelled() -> None:
    told = declined_story().later(hours=73)
    assert told.status() is OrderStatus.CANCELED
    told.close()
    assert told.state.money.captured == 0
    check_all(told)


def test_a_payment_that_is_being_tried_at_the_deadline_still_counts() -> None:
    told = declined_story()
    told.send("update_payment", payments=[{"token": "t", "amount": 1000}])
    told.later(hours=73)
    assert told.status() is OrderStatus.UNSHIPPED
    assert told.units(Place.RESERVED) == 1


def test_an_order_cancelled_while_it_pays_reserves_nothing() -> None:
    told = story()
    told.send("cancel")
    told.settle()
    assert told.status() is OrderStatus.CANCELED
    assert told.world.shelves[0].reserved == 0
    told.close()
    assert told.state.money.voided == 1000
    check_all(told)


def test_a_declined_order_that_is_cancelled_asks_for_no_payment_any_more() -> None:
    told = declined_story()
    told.send("cancel")
    assert told.state.pay_by is None
    with pytest.raises(Refused, match="nothing of this order is unpaid"):
        told.send("update_payment", payments=[{"token": "t", "amount": 1000}])


def test_lines_cancelled_before_the_check_are_not_reserved() -> None:
    told = story(cart_line("L1"), cart_line("L2", sku="TEE"))
    told.send("cancel", items=[{"line_id": "L2"}])
    told.settle()
    assert told.units(Place.RESERVED, line_id="L1") == 1
    assert told.units(Place.CANCELLED, line_id="L2") == 1
    assert told.state.phase is Phase.OPEN
    check_all(told)
