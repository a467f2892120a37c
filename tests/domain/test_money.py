"""Money in minor units: shares that add up, captures, refunds, and what is left when the provider refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import capture_units, drop_units, largest_remainder, line_totals, refund_units, uncaptured_share
from domain.placing import PlaceOrder
from domain.state import LineMoney
from tests.domain.building import Luck, Refused, Story, an_order, cart_line, open_story, shipped_story, story
from tests.domain.identities import check_all
from tests.domain.strategies import orders

weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=20)


@given(st.integers(0, 10**12), weights)
def test_shares_add_up_and_differ_from_the_exact_share_by_less_than_one(amount: int, weights: list[int]) -> None:
    shares = largest_remainder(amount, weights)
    assert sum(shares) == amount
    whole = sum(weights) or len(weights)
    for share, weight in zip(shares, weights if any(weights) else [1] * len(weights), strict=True):
        assert abs(share * whole - amount * weight) < whole


def test_a_cent_that_cannot_be_shared_goes_to_the_earlier_line() -> None:
    assert largest_remainder(100, [1, 1, 1]) == [34, 33, 33]
    assert largest_remainder(5, [0, 0]) == [3, 2]


@given(orders())
def test_no_line_costs_less_than_nothing(order: PlaceOrder) -> None:
    totals = line_totals(order)
    assert sum(totals) == order.total
    assert min(totals) >= 0


def test_shipping_tax_and_discount_are_shared_by_value() -> None:
    order = an_order(cart_line("L1", 1, 300), cart_line("L2", 1, 100), shipping=40, tax=4, discount=44)
    assert line_totals(order) == [300, 100]


@given(st.integers(0, 10_000), st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=6))
def test_units_charged_and_dropped_one_after_the_other_lose_no_cent(total: int, steps: list[tuple[int, bool]]) -> None:
    quantity = sum(units for units, _ in steps)
    state = story(cart_line(quantity=quantity, unit_price=0), shipping=total).state
    for units, charged in steps:
        state, amount = (capture_units if charged else drop_units)(state, "L1", units)
        assert amount >= 0
    money = state.lines[0].money
    assert money.captured + money.dropped == total
    state, back = refund_units(state, "L1", quantity)
    assert back == money.captured
    state, again = refund_units(state, "L1", 1)
    assert again == 0


def test_what_a_unit_is_worth_is_its_part_of_what_is_left() -> None:
    money = LineMoney(total=100, captured_units=1, captured=33)
    assert uncaptured_share(money, 3, 1) == 33
    assert uncaptured_share(money, 3, 2) == 67


# -- capture ---------------------------------------------------------------------------


def test_only_what_ships_is_charged_when_it_ships() -> None:
    told = open_story(cart_line(quantity=3, unit_price=500), shipping=100)
    told.send(
        "pack",
        fulfillment_id="acme-1",
        parcels=[{"contents": [{"line_id": "L1", "sku": "MUG", "quantity": 1}]}],
    )
    told.settle()
    assert told.state.money.captured == 0
    told.ship()
    assert told.state.money.captured == 533
    assert told.mail("shipped").charged == 533
    told.send("cancel")
    told.settle()
    told.carrier_says("delivered")
    told.close()
    assert told.state.money.voided == 1067
    check_all(told)


def unpaid_story() -> Story:
    told = open_story(cart_line(quantity=2))
    told.pack()
    told.world.luck = Luck(captures=False)
    told.ship()
    return told


def test_a_capture_refused_after_handoff_stays_owed_and_tracking_goes_on() -> None:
    told = unpaid_story()
    assert told.state.unpaid == 2000
    assert "payment_declined" in told.mailed()
    told.carrier_says("delivered")
    check_all(told)
    told.world.luck = Luck()
    told.send("update_payment", payments=[{"token": "t", "amount": 2000}])
    told.settle()
    assert told.state.unpaid == 0
    assert told.state.money.captured == 2000
    told.close()
    check_all(told)


def test_another_payment_that_is_declined_leaves_the_debt() -> None:
    told = unpaid_story()
    told.world.luck = Luck(declined=frozenset({"2"}))
    told.send("update_payment", payments=[{"token": "t", "amount": 2000}])
    told.settle()
    assert told.state.unpaid == 2000
    check_all(told)


def test_a_debt_nobody_pays_is_written_off_and_the_order_closes() -> None:
    told = unpaid_story()
    told.carrier_says("delivered")
    told.later(days=31)
    assert (told.state.unpaid, told.state.written_off) == (0, 2000)
    told.close()
    check_all(told)


def test_what_was_never_paid_is_forgiven_and_not_refunded() -> None:
    told = unpaid_story()
    told.carrier_says("lost")
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund")
    told.settle()
    assert (told.state.unpaid, told.state.unpaid_since) == (0, None)
    assert told.state.money.refunded == 0
    told.close()
    check_all(told)


def test_a_loss_after_writing_off_refunds_nothing_that_another_parcel_paid() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))
    told.pack()
    told.world.luck = Luck(captures=False)
    told.ship()
    told.world.luck = Luck()
    told.pack("beta-1")
    told.ship("beta-1", "TRACK-2")
    told.carrier_says("delivered", "beta-1-p1")
    told.carrier_says("in_transit")
    told.later(days=10)
    told.carrier_says("in_transit")
    told.later(days=10)
    told.carrier_says("in_transit")
    told.later(days=11)
    assert told.state.written_off == 1000
    told.carrier_says("lost")
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund")
    told.settle()
    assert told.state.money.captured == 1000
    assert told.state.money.refunded == 0
    check_all(told)


# -- refunds ---------------------------------------------------------------------------


def test_goodwill_is_never_more_than_what_was_captured() -> None:
    told = shipped_story()
    assert told.refusal("goodwill_refund", amount=1001, reason="sorry") == (
        "amount: 1001, but only 1000 of what was captured is left to refund"
    )
    told.send("goodwill_refund", amount=400, reason="sorry")
    assert told.refusal("goodwill_refund", amount=601, reason="sorry") is not None
    told.settle()
    assert told.state.money.refunded == 400
    assert told.mail("refunded").amount == 400
    check_all(told)


@pytest.mark.parametrize("by", ["customer", "seller:acme", "carrier"])
def test_goodwill_is_not_for_everybody_to_give(by: str) -> None:
    with pytest.raises(Refused, match="by: support or the marketplace gives goodwill"):
        shipped_story().send("goodwill_refund", by=by, amount=1, reason="sorry")


def test_a_refund_after_goodwill_gives_back_what_is_left() -> None:
    told = shipped_story()
    told.send("goodwill_refund", amount=400, reason="sorry")
    told.settle()
    told.carrier_says("lost")
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund")
    told.settle()
    assert told.mail("issue_resolved").refund == 600
    assert told.state.money.refunded == 1000
    check_all(told)


def test_a_refund_that_the_provider_refuses_needs_attention() -> None:
    told = shipped_story()
    told.carrier_says("lost")
    told.world.luck = Luck(refunds=False)
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund")
    told.settle()
    assert told.state.refunds_refused == 1000
    assert told.close().state.refunds_refused == 1000
    check_all(told)


def test_a_refund_waits_for_the_capture_that_it_gives_back() -> None:
    told = open_story()
    told.pack()
    told.send("ship", fulfillment_id="acme-1", carrier="local-courier", tracking_number="TRACK-1")
    told.send("carrier_event", event_id="x", occurred_at=told.now, tracking_number="TRACK-1", status="lost")
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund")
    assert {effect.kind for effect in told.state.effects} >= {"capture", "refund"}
    told.settle()
    assert told.state.money.captured == told.state.money.refunded == 1000
    check_all(told)


def test_a_refund_whose_capture_failed_gives_back_nothing() -> None:
    told = open_story()
    told.pack()
    told.send("ship", fulfillment_id="acme-1", carrier="local-courier", tracking_number="TRACK-1")
    told.send("carrier_event", event_id="x", occurred_at=told.now, tracking_number="TRACK-1", status="lost")
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund")
    told.world.luck = Luck(captures=False)
    told.settle()
    assert told.state.unpaid == 0
    assert told.state.money.refunded == 0
    told.close()
    check_all(told)
