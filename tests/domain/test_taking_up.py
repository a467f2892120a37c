"""An order made up from its rows: the same order, and one that ends."""

from datetime import timedelta

import pytest

from domain.changes import whole_progress
from domain.effects import StockItem
from domain.matters import matters_of
from domain.order import edit
from domain.placing import Channel
from domain.requests import MoveKind
from domain.state import LineMoney, OrderState, Phase
from domain.status import attention
from domain.taking_up import BY, HeldStock, MoneyUnderWay, Remains, TakeUp, as_it_stood, taken_up
from domain.units import Place
from tests.domain.building import Story, cart_line, open_story, shipped_story
from tests.domain.identities import check_all

MESSAGE = TakeUp(order_id="1042", how="its workflow was terminated", why="by mistake")


def _remains(told: Story, **more: object) -> Remains:
    """As the store would read it."""
    state = told.state
    progress = whole_progress(state, told.now)
    accounts = told.world.accounts.values()
    fields = {
        "order_id": state.order_id,
        "customer_id": state.customer_id,
        "method": state.method,
        "country": state.country,
        "totals": state.totals,
        "placed_at": state.origin,
        "recorded_at": state.started_at,
        "updated_at": told.now,
        "factor": state.factor,
        "version": state.version,
        "attention": attention(state),
        "unpaid": state.unpaid + state.written_off,
        "goodwill": state.money.goodwill,
        "matters": matters_of(state),
        "lines": tuple(line.model_copy(update={"money": _as_row(line.money)}) for line in state.lines),
        "units": state.units,
        "fulfillments": progress.fulfillments,
        "parcels": progress.parcels,
        "payments": state.payments,
        "money": {name: sum(getattr(a, name) for a in accounts) for name in ("authorized", "captured", "refunded")},
        "held": _held(told),
        "entries": state.entries,
        "entry_count": state.entry_count,
    }
    return Remains.model_validate({**fields, **more})


def _as_row(money: LineMoney) -> LineMoney:
    return LineMoney(total=money.total, captured=money.captured, dropped=money.dropped, refunded=money.refunded)


def _held(told: Story) -> tuple[HeldStock, ...]:
    state = told.state
    return tuple(
        HeldStock(
            item=StockItem(
                line_id=line.line_id,
                location=shelf.location,
                seller=line.seller,
                sku=line.sku,
                quantity=told.units(Place.RESERVED, Place.PACKED, line_id=line.line_id),
            ),
            handed_over=told.world.handed_over.get(line.line_id, 0),
        )
        for line in state.lines
        for shelf in told.world.shelves
        if (shelf.seller, shelf.sku) == (line.seller, line.sku)
        and told.units(Place.RESERVED, Place.PACKED, line_id=line.line_id)
    )


def _take_up(told: Story, **more: object) -> OrderState:
    remains = _remains(told, **more)
    told.now += timedelta(hours=1)
    told.saved = told.state = as_it_stood(remains, told.now)
    told.state = taken_up(told.state, remains, MESSAGE, told.now)
    return told.state


@pytest.mark.parametrize("packed", [False, True])
def test_what_has_not_left_is_cancelled_and_the_order_ends(packed: bool) -> None:
    told = open_story(cart_line(quantity=3, unit_price=333))
    if packed:
        told.pack(buy_labels=True)
    _take_up(told)
    told.close()
    check_all(told)
    assert told.units(Place.CANCELLED) == 3
    assert told.world.total("voided") == 999
    assert (told.world.shelves[0].reserved, told.world.labels) == (0, {})
    entry = next(entry for entry in told.state.entries if entry.what == "taken_up")
    assert (entry.who, entry.why) == (BY, "by mistake")
    assert told.mailed().count("cancelled") == told.mailed().count("seller_cancelled") == 1


def test_a_parcel_on_its_way_is_followed() -> None:
    told = shipped_story(cart_line(quantity=2, unit_price=333))
    before = told.state
    state = _take_up(told)
    assert (state.units, state.parcels[0].tracking_number) == (before.units, "TRACK-1")
    assert state.phase is Phase.OPEN
    told.carrier_says("delivered")
    told.close()
    check_all(told)
    assert (told.world.total("captured"), told.status()) == (666, "Delivered")


def test_what_left_and_was_never_charged_is_charged() -> None:
    """The workflow was terminated between the handoff and its capture."""
    told = open_story(cart_line(quantity=2, unit_price=333))
    told.pack()
    told.send("ship", fulfillment_id="acme-1", carrier="local-courier", tracking_number="TRACK-1")
    told.state = edit(told.state, effects=())  # all of them are forgotten, the handoff's stock too
    told.saved = told.state
    item = StockItem(line_id="L1", location="acme-fbm", seller="acme", sku="MUG", quantity=2)
    _take_up(told, held=(HeldStock(item=item),))
    told.carrier_says("delivered")
    told.close()
    check_all(told)
    assert told.world.total("captured") == 666
    assert (told.world.shelves[0].on_hand, told.world.shelves[0].reserved) == (98, 0)


def test_a_reservation_that_the_order_never_heard_of_is_given_back() -> None:
    told = open_story(cart_line(quantity=2))
    told.world.shelves[0].move(0, 5)
    item = StockItem(line_id="L1", location="acme-fbm", seller="acme", sku="MUG", quantity=7)
    _take_up(told, held=(HeldStock(item=item),))
    told.close()
    check_all(told)
    assert told.world.shelves[0].reserved == 0


def test_money_under_way_is_asked_for_by_its_own_key() -> None:
    told = open_story(cart_line(quantity=1))
    plan = MoneyUnderWay(key="1042:capture:acme-1:1", kind=MoveKind.CAPTURE, payment_ids=("1",), amount=1000, done=0)
    told.pack()
    told.send("ship", fulfillment_id="acme-1", carrier="local-courier", tracking_number="TRACK-1")
    told.state = edit(told.state, effects=())
    item = StockItem(line_id="L1", location="acme-fbm", seller="acme", sku="MUG", quantity=1)
    state = _take_up(told, under_way=(plan,), held=(HeldStock(item=item),))
    captures = [effect for effect in state.effects if effect.kind == "capture"]
    assert [(effect.key, effect.amount) for effect in captures] == [("1042:capture:acme-1:1", 1000)]
    told.carrier_says("delivered")
    told.close()
    check_all(told)


def test_keys_of_its_new_life_are_not_those_of_the_former_one() -> None:
    told = open_story(cart_line(quantity=2))
    used = set(told.world.keys)
    _take_up(told)
    assert not used & {effect.key for effect in told.state.effects}
    again = as_it_stood(_remains(told, lives=1), told.now)
    assert again.numbers_from > told.state.numbers_from


def test_the_network_is_asked_to_stop_and_what_it_ships_is_followed() -> None:
    told = open_story(cart_line(quantity=2, channel=Channel.FBA))
    told.world.luck.network_cancels = False
    _take_up(told)
    told.settle()
    assert told.units(Place.RESERVED) == 2
    item = {"line_id": "L1", "quantity": 2}
    told.network_says("Complete", {"carrier": "local-courier", "tracking_number": "FBA-1", "items": [item]})
    told.carrier_says("delivered")
    told.close()
    check_all(told)
    assert told.status() == "Delivered"
