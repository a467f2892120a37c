"""What must hold of every order at every moment, and more once nothing is under way."""

import json
from datetime import datetime
from typing import Any

from domain import obedience
from domain.changes import progress_since
from domain.inventory import being_checked, not_short
from domain.mails import mail_from_json, mail_to_json
from domain.messages import PackingListQuery, TimelineQuery
from domain.order import the_fulfillment, units_in, units_of_parcel
from domain.state import OrderState, ParcelStage, Phase
from domain.status import is_at_rest
from domain.units import HANDED_OVER, Place
from domain.views import details, order_result, packing_list_view, status_view, timeline_view
from tests.domain.building import BODIES, Story, World, address, card, plain

MAILED_ONCE_FOR_MANY_CAUSES = ("delayed", "out_for_delivery")
"""A second mail with the same key is left out on purpose."""


def check(state: OrderState, world: World, now: datetime) -> None:
    """At every moment."""
    for line in state.lines:
        own = [unit for unit in state.units if unit.line_id == line.line_id]
        assert all(unit.quantity > 0 for unit in own)
        assert sum(unit.quantity for unit in own) == line.quantity, line
        handed_over = sum(unit.quantity for unit in own if unit.spot.place in HANDED_OVER)
        cancelled = sum(unit.quantity for unit in own if unit.spot.place is Place.CANCELLED)
        money = line.money
        assert world.handed_over.get(line.line_id, 0) <= handed_over
        assert money.captured + money.dropped <= money.total
        assert 0 <= money.refunded <= money.captured
        assert money.refunded_units <= money.captured_units
        assert 0 <= line.short_units <= cancelled or line.short_units <= line.quantity
        if line.reship:
            assert money.captured_units == 0
        else:
            assert money.captured_units == handed_over
            assert money.dropped_units == cancelled
            if handed_over + cancelled == line.quantity:
                assert money.captured + money.dropped == money.total
        assert not_short(state, line.line_id) >= 0
        waiting = sum(b.quantity for b in state.backorders if b.line_id == line.line_id)
        assert waiting == sum(unit.quantity for unit in own if unit.spot.place is Place.BACKORDERED)
        if state.phase is Phase.OPEN:
            assert not_short(state, line.line_id) <= being_checked(state, line.line_id), "stranded units"
    assert sum(line.money.total for line in state.lines if line.replaces is None) == state.totals.total
    assert state.money.captured <= state.money.authorized
    assert state.money.refunded <= state.money.refund_asked
    assert len({effect.key for effect in state.effects}) == len(state.effects)
    _check_parcels(state)
    _check_requests(state)
    for shortage in state.shortages:
        assert shortage.quantity > 0
        assert sum(other.line_id == shortage.line_id for other in state.shortages) == 1
    assert len({hold.hold_id for hold in state.holds}) == len(state.holds)
    _check_views(state, now)


def _check_parcels(state: OrderState) -> None:
    for parcel in state.parcels:
        inside = {unit.spot.place for unit in units_of_parcel(state, parcel.parcel_id)}
        match parcel.stage:
            case ParcelStage.PACKED:
                assert inside == {Place.PACKED}, parcel
            case ParcelStage.SHIPPING:
                assert inside == {Place.PACKED}, parcel
                labels = [e for e in state.effects if e.kind == "buy_label" and e.parcel_id == parcel.parcel_id]
                assert len(labels) == 1, "it waits for a label that nobody buys"
            case ParcelStage.SHIPPED:
                assert inside, parcel
                assert inside <= set(HANDED_OVER), parcel
                assert parcel.shipped_at is not None
            case ParcelStage.UNPACKED:
                assert not inside, parcel
    # Of each seller: whether another's parcel has the number is not to be learnt by trying it.
    numbers = [
        (the_fulfillment(state, parcel.fulfillment_id).seller, parcel.carrier, parcel.tracking_number)
        for parcel in state.parcels
        if parcel.tracking_number
    ]
    assert len(numbers) == len(set(numbers))


def _check_requests(state: OrderState) -> None:
    for request in state.requests:
        for line_id, quantity in request.units:
            if request.answer_by is None:
                continue  # the network may have shipped it meanwhile
            there = sum(
                unit.quantity
                for unit in state.units
                if unit.line_id == line_id
                and unit.spot.place is Place.PACKED
                and unit.spot.parcel_id in request.parcel_ids
            )
            assert there >= quantity, request


def _check_views(state: OrderState, now: datetime) -> None:
    view = status_view(state, now)
    for action in view.actions:
        body = _body_for(state, action.model_dump(exclude_none=True))
        if body is not None:
            message = BODIES[action.message].model_validate_json(json.dumps(plain(body)))
            assert obedience.refusal(state, action.message, message, now) is None, (action, state.requests)
    details(state)
    timeline_view(state, TimelineQuery())
    order_result(state)
    for fulfillment in state.fulfillments:
        query = PackingListQuery(fulfillment_id=fulfillment.fulfillment_id)
        assert packing_list_view(state, query) is not None


def _body_for(state: OrderState, action: dict[str, str]) -> dict[str, Any] | None:
    """A body with which the offered action must be obeyed."""
    on: dict[str, Any] = {name: action[name] for name in action if name in ("fulfillment_id", "parcel_id")}
    match action["message"]:
        case "cancel" | "hold":
            return on
        case "change_address":
            return {"ship_to": address().model_dump(mode="json")}
        case "choose_for_shortage":
            return {"line_id": action["id"], "choice": "refund"}
        case "answer_cancellation":
            return {"request_id": action["id"], "answer": "accept"}
        case "release_hold":
            return {"hold_id": action["id"]}
        case "resolve_issue":
            return {"issue_id": action["id"], "remedy": "dismiss"}
        case "pack":
            line = units_in(state, action["fulfillment_id"], Place.RESERVED)[0]
            sku = next(one.sku for one in state.lines if one.line_id == line.line_id)
            contents = [{"line_id": line.line_id, "sku": sku, "quantity": 1}]
            return {**on, "parcels": [{"contents": contents}]}
        case "reject_lines":
            line = units_in(state, action["fulfillment_id"], Place.RESERVED)[0]
            return {**on, "items": [{"line_id": line.line_id}]}
        case "unpack" | "ship" | "confirm_delivery":
            return on
        case "correct_tracking":
            return {"parcel_id": action["parcel_id"], "carrier": "local-courier", "tracking_number": "NEW-1"}
        case "goodwill_refund":
            return {"amount": 1, "reason": "sorry"}
        case "update_payment":
            declined = sum(payment.amount for payment in state.payments if payment.status == "declined")
            means = card(state.unpaid or declined).model_dump(mode="json", exclude_none=True)
            return {"payments": [means]}
        case _:
            return None


def check_at_peace(state: OrderState, world: World) -> None:
    """Once every effect is performed and every message taken: the order and the world tell the same."""
    assert not state.effects
    assert not world.messages
    _check_stock(state, world)
    _check_money(state, world)
    live = {
        parcel.label.tracking_number: parcel.parcel_id
        for parcel in state.parcels
        if parcel.label is not None and parcel.stage is not ParcelStage.UNPACKED
    }
    assert world.labels == live, "a label is paid for that no parcel carries, or the other way round"
    for backorder in world.waiting.values():
        if not backorder.cancelled and backorder.allocated < backorder.effect.quantity:
            assert any(b.key == backorder.effect.key for b in state.backorders), "the store waits for nobody"
    for fulfillment in state.fulfillments:
        if fulfillment.released_to_network and units_in(state, fulfillment.fulfillment_id, Place.RESERVED):
            job = world.jobs[fulfillment.fulfillment_id]
            assert job.status in ("Received", "Planning", "Processing"), "nobody ships this"


def _check_stock(state: OrderState, world: World) -> None:
    held: dict[tuple[str, str, str], int] = {}
    locations = {f.fulfillment_id: f.location for f in state.fulfillments}
    lines = {line.line_id: line for line in state.lines}
    for unit in state.units:
        if unit.spot.place in (Place.RESERVED, Place.PACKED):
            line = lines[unit.line_id]
            key = (locations[unit.spot.fulfillment_id or ""], line.seller, line.sku)
            held[key] = held.get(key, 0) + unit.quantity
    for shelf in world.shelves:
        key = (shelf.location, shelf.seller, shelf.sku)
        assert shelf.reserved == held.pop(key, 0), shelf
    assert not held
    for line in state.lines:
        gone = sum(u.quantity for u in state.units if u.line_id == line.line_id and u.spot.place in HANDED_OVER)
        assert world.handed_over.get(line.line_id, 0) == gone


def _check_money(state: OrderState, world: World) -> None:
    money = state.money
    assert money.authorized == world.total("authorized")
    assert money.captured == world.total("captured")
    assert money.refunded == money.refund_asked == world.total("refunded")
    assert money.voided == world.total("voided")
    due = sum(line.money.captured - line.money.refunded for line in state.lines)
    owed = due - state.unpaid - state.written_off
    kept = money.captured - money.refunded
    assert owed - money.goodwill <= kept <= owed + state.refunds_refused, (owed, kept, money)
    if state.phase is Phase.CLOSED:
        assert money.authorized == money.captured + money.voided
        assert is_at_rest(state)


def check_json(state: OrderState) -> None:
    again = OrderState.model_validate_json(state.model_dump_json())
    assert again == state
    for mail in state.mails:
        assert mail_from_json(mail_to_json(mail)) == mail


def check_mails(told: Story) -> None:
    """The outbox keeps one mail of a key: a second one would never be sent."""
    seen = set()
    for mail in told.mails:
        if mail.template not in MAILED_ONCE_FOR_MANY_CAUSES:
            assert mail.key not in seen, mail.key
        seen.add(mail.key)


def check_progress(told: Story) -> None:
    """Rows written by upserts give the units of the state."""
    rows: dict[tuple[str, str, str | None, str | None], int] = {}
    known = {line.line_id for line in told.progress[0].lines} if told.progress else set()
    for progress in told.progress:
        known |= {line.line_id for line in progress.lines}
        for unit in progress.units:
            rows[unit.line_id, unit.spot.place, unit.spot.fulfillment_id, unit.spot.parcel_id] = unit.quantity
    if not told.progress:
        return
    saved = told.saved
    assert saved is not None
    expected = {
        (u.line_id, u.spot.place.value, u.spot.fulfillment_id, u.spot.parcel_id): u.quantity for u in saved.units
    }
    assert {key: quantity for key, quantity in rows.items() if quantity} == expected
    assert known == {line.line_id for line in saved.lines if line.replaces is not None}
    assert progress_since(saved, saved, told.now) is None


def check_all(told: Story) -> None:
    told.save()
    check(told.state, told.world, told.now)
    check_json(told.state)
    check_mails(told)
    check_progress(told)
    if not told.state.effects and not told.world.messages:
        check_at_peace(told.state, told.world)
