"""Every business deadline: warned, missed, escalated, cancelled; and always an end to it."""

from datetime import timedelta

from domain.deadlines import apply_due, next_deadline
from domain.policy import Policy
from domain.state import OrderStatus
from domain.status import attention
from domain.units import Place
from tests.domain.building import SHIP_BY, Luck, cart_line, open_story, shipped_story, story
from tests.domain.identities import check_all


def test_the_seller_is_warned_before_the_ship_by_and_told_after_it() -> None:
    told = open_story()
    deadline = next_deadline(told.state)
    assert deadline is not None
    assert (deadline.what, deadline.at) == ("ship_by_warning", SHIP_BY - timedelta(hours=12))
    told.later(hours=37)
    assert told.mailed()[-1] == "ship_by_warning"
    told.later(hours=12)
    assert told.mailed()[-1] == "ship_by_missed"
    assert attention(told.state) == ("late",)
    check_all(told)


def test_support_is_called_and_the_customer_told_that_it_leaves_late() -> None:
    told = open_story().later(days=3, hours=1)
    assert "escalated" in told.said()
    assert told.mail("delayed").estimated_until > told.mail("delayed").promised_until


def test_what_is_far_too_late_is_cancelled() -> None:
    told = open_story()
    told.pack(buy_labels=True)
    told.later(days=9, hours=1)
    assert told.status() is OrderStatus.CANCELED
    assert told.world.labels == {}
    told.close()
    assert told.state.money.captured == 0
    check_all(told)


def test_late_cancellation_is_policy() -> None:
    told = open_story(policy=Policy(late_cancel_days=None)).later(days=300)
    assert told.units(Place.RESERVED) == 1
    assert told.mail("ship_by_missed").cancels_at is None


def test_a_parcel_that_is_leaving_is_not_cancelled_under_the_carriers_hands() -> None:
    told = open_story()
    told.pack()
    told.send("ship", fulfillment_id="acme-1")
    told.now += timedelta(days=30)
    told.state = apply_due(told.state, told.now)
    assert told.units(Place.PACKED) == 1
    told.settle()
    assert told.status() is OrderStatus.SHIPPED


def test_a_late_order_that_is_asked_to_be_cancelled_is_cancelled_once() -> None:
    told = open_story(policy=Policy(cancellation_answer_hours=24 * 30))
    told.pack()
    told.send("cancel")
    told.later(days=40)
    assert told.status() is OrderStatus.CANCELED
    assert told.state.requests == ()
    check_all(told)


def test_after_a_long_night_all_deadlines_are_kept_in_their_order() -> None:
    told = open_story().later(days=30)
    assert [word for word in told.said() if word in ("ship_by_missed", "escalated", "cancelled")] == [
        "ship_by_missed",
        "escalated",
        "cancelled",
    ]
    assert next_deadline(told.state) is None


def test_waits_of_no_time_at_all_come_to_an_end() -> None:
    at_once = Policy(
        payment_retry_hours=0,
        shortage_answer_hours=0,
        shortage_default="wait",
        backorder_days_max=0,
        ship_by_warning_hours=0,
        ship_by_escalation_hours=0,
        late_cancel_days=0,
        cancellation_answer_hours=0,
        silence_days=0,
        lost_after_days=0,
        untracked_delivered_days=0,
        unpaid_close_days=0,
        issue_answer_hours=0,
        issue_default="wait",
    )
    told = shipped_story(policy=at_once)
    told.later(hours=0)
    assert told.units(Place.LOST) == 1
    assert told.state.money.refunded == 1000
    told.close()
    declined = story(policy=at_once)
    declined.world.luck = Luck(declined=frozenset({"1"}))
    declined.settle().later(hours=0).close()
    assert declined.status() is OrderStatus.CANCELED


def test_an_order_at_rest_has_no_deadline() -> None:
    told = shipped_story(cart_line(quantity=2))
    told.carrier_says("delivered")
    told.close()
    assert next_deadline(told.state) is None
