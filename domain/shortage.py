"""What the inventory check found, and what becomes of units without stock."""

from collections.abc import Callable
from datetime import datetime, timedelta

from domain import letters, mails
from domain.cancellation import cancel_everything, cancel_units, stop_waiting
from domain.effects import AskNetwork, CancelBackorder, RegisterBackorder, ReleaseStock, Reserve, StockItem
from domain.inventory import being_checked, not_short, reserve_pending
from domain.messages import AllocatedUnits, ChooseForShortage, StockAllocated
from domain.money import drop_units
from domain.order import (
    SYSTEM,
    caused_key,
    counted,
    edit,
    edit_line,
    emit,
    hold_on,
    line_of,
    log,
    move,
    numbered,
    performed,
    post,
    role_of,
    stock_items,
    the_fulfillment,
    the_line,
    units_in,
    units_text,
    units_where,
)
from domain.placing import Channel
from domain.requests import Allocation, BackorderAllocation, Reservation
from domain.state import (
    Backorder,
    Fulfillment,
    Line,
    LineMoney,
    OrderState,
    Phase,
    Shortage,
)
from domain.units import Place, Spot, Units

_PENDING = Spot(place=Place.PENDING)
_BACKORDERED = Spot(place=Place.BACKORDERED)


# -- the inventory check ---------------------------------------------------------


def reserved(state: OrderState, effect: Reserve, found: Reservation, now: datetime) -> OrderState:
    """Put what was reserved into fulfillments and open a shortage for the rest."""
    state = performed(edit(state, phase=Phase.OPEN), effect.key)
    state, made = _assign(state, found.allocations, _PENDING, not_short, effect.key, now)
    state, short = _open_shortages(state, found, now)
    text = _made_text(state, made) or "nothing"
    state = log(state, now, SYSTEM, "inventory_checked", f"Reserved: {text}; {counted(len(short), 'line')} short")
    if short:
        state = post(state, letters.out_of_stock(state, short, f"{effect.key}:out_of_stock", bool(made)))
    return _announce(state, made, now)


def _made_text(state: OrderState, fulfillment_ids: tuple[str, ...]) -> str:
    return "; ".join(
        f"{units_text(state, units_in(state, fulfillment_id))} as {fulfillment_id}"
        for fulfillment_id in fulfillment_ids
    )


def _assign(
    state: OrderState,
    allocations: tuple[Allocation, ...],
    source: Spot,
    still_wanted: Callable[[OrderState, str], int],
    key: str,
    now: datetime,
) -> tuple[OrderState, tuple[str, ...]]:
    """A new fulfillment per seller, location and channel; gives the ids of those made.

    Units cancelled while the store was asked are no longer wanted: their stock is given back.
    """
    made: dict[tuple[str, str, Channel], str] = {}
    surplus: list[StockItem] = []
    for allocation in allocations:
        line = the_line(state, allocation.line_id)
        wanted = min(allocation.quantity, still_wanted(state, line.line_id))
        if wanted < allocation.quantity:
            surplus.append(
                StockItem(
                    line_id=line.line_id,
                    location=allocation.location,
                    seller=line.seller,
                    sku=line.sku,
                    quantity=allocation.quantity - wanted,
                )
            )
        if wanted == 0:
            continue
        group = (line.seller, allocation.location, line.channel)
        if group not in made:
            state, made[group] = _new_fulfillment(
                state, line.seller, allocation.location, line.channel, allocation.ship_by, allocation.deliver_by, now
            )
        target = Spot(place=Place.RESERVED, fulfillment_id=made[group])
        state = move(state, line.line_id, wanted, source, target)
    if surplus:
        state = emit(state, ReleaseStock(key=f"{key}:surplus", items=tuple(surplus)))
    return state, tuple(made.values())


def _new_fulfillment(
    state: OrderState,
    seller: str,
    location: str,
    channel: Channel,
    ship_by: datetime,
    deliver_by: datetime,
    now: datetime,
) -> tuple[OrderState, str]:
    state, number = numbered(state, f"fulfillment:{seller}")
    held = hold_on(state, None) is not None
    fulfillment = Fulfillment(
        fulfillment_id=f"{seller}-{number}",
        seller=seller,
        location=location,
        channel=channel,
        ship_by=ship_by,
        deliver_by=deliver_by,
        held_since=now if held else None,
        released_to_network=channel is Channel.FBA and not held,
    )
    return edit(state, fulfillments=(*state.fulfillments, fulfillment)), fulfillment.fulfillment_id


def _open_shortages(state: OrderState, found: Reservation, now: datetime) -> tuple[OrderState, tuple[Shortage, ...]]:
    """One shortage a line: further units join the one that is open, and the clock starts anew."""
    opened = []
    for short in found.shortages:
        unasked = not_short(state, short.line_id) - being_checked(state, short.line_id)
        quantity = min(short.quantity, unasked)
        if quantity <= 0:
            continue
        earlier = shortage_of(state, short.line_id)
        shortage = Shortage(
            line_id=short.line_id,
            quantity=quantity + (earlier.quantity if earlier else 0),
            opened_at=now,
            answer_by=now + timedelta(hours=state.policy.shortage_answer_hours),
            substitutes=short.substitutes,
        )
        others = tuple(other for other in state.shortages if other is not earlier)
        state = edit(state, shortages=(*others, shortage))
        opened.append(shortage)
    return state, tuple(opened)


def _announce(state: OrderState, made: tuple[str, ...], now: datetime) -> OrderState:
    """Confirm to the customer once, tell each seller of its own lines, ask the network."""
    if made and not state.confirmed:
        units = units_where(state, lambda unit: unit.spot.fulfillment_id in made)
        state = post(edit(state, confirmed=True), letters.confirmed(state, units))
        state = log(state, now, SYSTEM, "confirmed", "The customer was sent the confirmation")
    for fulfillment_id in made:
        fulfillment = the_fulfillment(state, fulfillment_id)
        state = post(state, letters.seller_new_order(state, fulfillment))
        if fulfillment.channel is Channel.FBA:
            state = emit(
                state,
                AskNetwork(
                    key=f"{state.order_id}:network:{fulfillment_id}",
                    fulfillment_id=fulfillment_id,
                ),
            )
    return state


# -- the customer's choice -------------------------------------------------------


def shortage_of(state: OrderState, line_id: str) -> Shortage | None:
    return next((s for s in state.shortages if s.line_id == line_id), None)


def choose_refusal(state: OrderState, message: ChooseForShortage, now: datetime) -> str | None:
    if role_of(message.by) in ("seller", "carrier", "network"):
        return "by: the customer or support chooses"
    shortage = shortage_of(state, message.line_id)
    if shortage is None:
        waiting = ", ".join(s.line_id for s in state.shortages) or "none"
        return f"line_id: {message.line_id!r} waits for no choice (waiting: {waiting})"
    if message.choice == "substitute":
        offered = [substitute.sku for substitute in shortage.substitutes]
        if message.substitute_sku not in offered:
            return (
                f"substitute_sku: {message.substitute_sku!r} is not offered (offered: {', '.join(offered) or 'none'})"
            )
    elif message.substitute_sku is not None:
        return f"substitute_sku: belongs to the choice 'substitute', not to {message.choice!r}"
    if message.choice == "wait":
        latest = now + timedelta(days=state.policy.backorder_days_max)
        if message.wait_until is not None and not now < message.wait_until <= latest:
            return f"wait_until: must lie between now and {latest.isoformat()}"
    elif message.wait_until is not None:
        return f"wait_until: belongs to the choice 'wait', not to {message.choice!r}"
    return None


def accept_choice(state: OrderState, message: ChooseForShortage, now: datetime) -> tuple[OrderState, str | None]:
    """Do as the customer chose; gives the id of the substitute's line, if any."""
    shortage = shortage_of(state, message.line_id)
    assert shortage is not None
    state = edit(state, shortages=tuple(s for s in state.shortages if s is not shortage))
    line = the_line(state, message.line_id)
    state = log(
        state,
        now,
        message.by,
        "shortage_answered",
        f"{shortage.quantity} x {line.sku}: {message.choice}",
        why=message.reason,
        before="out_of_stock",
        after=message.choice,
    )
    settled = mails.MailSettledLine(sku=line.sku, title=line.title, quantity=shortage.quantity, choice=message.choice)
    substitute_line: str | None = None
    match message.choice:
        case "substitute":
            assert message.substitute_sku is not None
            state, substitute_line = _substitute(state, shortage, message.substitute_sku, now)
            new = the_line(state, substitute_line)
            offer = mails.MailSubstitute(sku=new.sku, title=new.title, unit_price=new.unit_price)
            settled = settled.model_copy(update={"substitute": offer})
        case "wait":
            until = message.wait_until or now + timedelta(days=state.policy.backorder_days_max)
            state = _backorder(state, shortage, until, now)
            settled = settled.model_copy(update={"wait_until": until})
        case "refund":
            units = (Units(line_id=line.line_id, spot=_PENDING, quantity=shortage.quantity),)
            state = _fell_short(state, line, shortage.quantity)
            state, worth = cancel_units(state, units, now, message.by, "out of stock")
            settled = settled.model_copy(update={"refund": worth})
        case "cancel":
            state = _fell_short(state, line, shortage.quantity)
            return cancel_everything(state, now, message.by, "out of stock"), None
    key = f"{state.order_id}:shortage_settled:{line.line_id}:{state.entry_count}"
    decided = {"customer": "customer", SYSTEM: "default"}.get(message.by.split("/")[0], "support")
    return post(
        state,
        mails.ShortageSettledMail.model_validate(
            {
                "key": key,
                "order_id": state.order_id,
                "lines": (settled,),
                "decided_by": decided,
                "currency": state.totals.currency,
            }
        ),
    ), substitute_line


def _fell_short(state: OrderState, line: Line, quantity: int) -> OrderState:
    return edit_line(state, line.line_id, short_units=line.short_units + quantity)


def _substitute(state: OrderState, shortage: Shortage, sku: str, now: datetime) -> tuple[OrderState, str]:
    """A new line for another SKU, which never costs more than what it replaces."""
    offer = next(s for s in shortage.substitutes if s.sku == sku)
    old = the_line(state, shortage.line_id)
    state, worth = drop_units(state, old.line_id, shortage.quantity)
    cheaper = max(0, old.unit_price - offer.unit_price) * shortage.quantity
    total = max(0, worth - cheaper)
    state, number = numbered(state, f"substitute:{old.line_id}")
    line = old.model_copy(
        update={
            "line_id": f"{old.line_id}-s{number}",
            "sku": offer.sku,
            "title": offer.title,
            "unit_price": min(old.unit_price, offer.unit_price),
            "quantity": shortage.quantity,
            "money": LineMoney(total=total),
            "replaces": old.line_id,
            "barred_locations": (),
            "short_units": 0,
        }
    )
    cancelled = Spot(place=Place.CANCELLED)
    state = move(state, old.line_id, shortage.quantity, _PENDING, cancelled)
    state = _fell_short(state, the_line(state, old.line_id), shortage.quantity)
    units = Units(line_id=line.line_id, spot=_PENDING, quantity=line.quantity)
    state = edit(state, lines=(*state.lines, line), units=(*state.units, units))
    only = frozenset({line.line_id})
    return reserve_pending(state, now, "reserve", line.line_id, only=only), line.line_id


# -- backorders --------------------------------------------------------------------


def _backorder(state: OrderState, shortage: Shortage, until: datetime, now: datetime) -> OrderState:
    line = the_line(state, shortage.line_id)
    state, key = caused_key(state, "backorder", line.line_id)
    backorder = Backorder(line_id=line.line_id, quantity=shortage.quantity, until=until, key=key)
    state = move(state, line.line_id, shortage.quantity, _PENDING, _BACKORDERED)
    state = edit(
        state, backorders=(*state.backorders, backorder), backorder_keys=(*state.backorder_keys, backorder.key)
    )
    return emit(
        state,
        RegisterBackorder(
            key=key,
            line_id=line.line_id,
            seller=line.seller,
            channel=line.channel,
            sku=line.sku,
            quantity=shortage.quantity,
            placed_at=state.origin,
            barred=line.barred_locations,
        ),
    )


def stock_allocated(state: OrderState, message: StockAllocated, now: datetime) -> OrderState:
    """Units came in and are reserved for this order: they form a new fulfillment."""
    if message.key in state.allocations_seen:
        return state
    state = edit(state, allocations_seen=(*state.allocations_seen, message.key))
    given = message.allocation
    allocation = Allocation.model_validate(given.model_dump())
    backorder = next((b for b in state.backorders if b.key == _backorder_key(message)), None)
    waiting = backorder.quantity if backorder else 0
    state, made = _assign(state, (allocation,), _BACKORDERED, lambda _, __: waiting, message.key, now)
    if backorder is not None:
        state = _served(state, backorder, min(given.quantity, waiting))
    line = the_line(state, message.line_id)
    state = log(
        state,
        now,
        SYSTEM,
        "stock_allocated",
        f"{given.quantity} x {line.sku} came in at {given.location}",
        before="backordered",
        after="reserved" if made else "released",
    )
    if made and state.confirmed:
        units = units_where(state, lambda unit: unit.spot.fulfillment_id in made)
        key = f"{message.key}:back_in_stock"
        back = mails.BackInStockMail(key=key, order_id=state.order_id, lines=letters.mail_lines(state, units))
        state = post(state, back)
    return _announce(state, made, now)


def allocation_refusal(state: OrderState, message: StockAllocated) -> str | None:
    """Only backorders of this order are served; that one is closed by now does not matter."""
    if line_of(state, message.line_id) is None:
        return f"line_id: the order has no line {message.line_id!r}"
    if _backorder_key(message) not in state.backorder_keys:
        return f"key: {message.key!r} is of no backorder of the order"
    if message.allocation.line_id != message.line_id:
        return f"allocation.line_id: {message.allocation.line_id!r} is not {message.line_id!r}"
    return None


def _backorder_key(message: StockAllocated) -> str:
    return message.key.rpartition(":")[0]


def _served(state: OrderState, backorder: Backorder, quantity: int) -> OrderState:
    """Forget a backorder once no unit waits for it any more."""
    left = backorder.model_copy(update={"quantity": backorder.quantity - quantity})
    if left.quantity:
        return edit(state, backorders=tuple(left if b is backorder else b for b in state.backorders))
    if left.given_up:
        return stop_waiting(state, backorder)
    return edit(state, backorders=tuple(b for b in state.backorders if b is not backorder))


def backorder_ran_out(state: OrderState, backorder: Backorder, now: datetime) -> OrderState:
    """The date that the customer would wait until has come: the units are given up."""
    state = _fell_short(state, the_line(state, backorder.line_id), backorder.quantity)
    units = (Units(line_id=backorder.line_id, spot=_BACKORDERED, quantity=backorder.quantity),)
    state = stop_waiting(state, backorder)
    state, _ = cancel_units(state, units, now, SYSTEM, "not in stock in time")
    return state


def backorder_cancelled(
    state: OrderState, effect: CancelBackorder, allocations: tuple[BackorderAllocation, ...], now: datetime
) -> OrderState:
    """The store allocates no more to it; what it had allocated unheard of is given back."""
    for made in allocations:
        message = StockAllocated(
            key=made.key,
            line_id=made.line_id,
            allocation=AllocatedUnits.model_validate(made.allocation.model_dump()),
        )
        state = stock_allocated(state, message, now)
    return state


def shortage_time_is_up(state: OrderState, shortage: Shortage, now: datetime) -> OrderState:
    """The customer did not answer: the policy's default."""
    choice = ChooseForShortage(by=SYSTEM, line_id=shortage.line_id, choice=state.policy.shortage_default)
    state, _ = accept_choice(state, choice, now)
    return state


def to_new_fulfillment(state: OrderState, fulfillment_id: str, now: datetime) -> OrderState:
    """What is left of a fulfillment goes on as a new one, its stock as it is."""
    old = the_fulfillment(state, fulfillment_id)
    state, new_id = _new_fulfillment(state, old.seller, old.location, old.channel, old.ship_by, old.deliver_by, now)
    for unit in units_in(state, fulfillment_id, Place.RESERVED):
        target = Spot(place=Place.RESERVED, fulfillment_id=new_id)
        state = move(state, unit.line_id, unit.quantity, unit.spot, target)
    return _announce(state, (new_id,), now)


def unavailable_again(state: OrderState, units: tuple[Units, ...], now: datetime, words: str) -> OrderState:
    """Reserved units turned out not to be there: their location is barred and corrected."""
    items = stock_items(state, units)
    state, key = caused_key(state, "missing", words)
    state = emit(state, ReleaseStock(key=key, items=items, missing=True))
    for unit, item in zip(units, items, strict=True):
        line = the_line(state, unit.line_id)
        if item.location not in line.barred_locations:
            barred = (*line.barred_locations, item.location)
            state = edit_line(state, unit.line_id, barred_locations=barred)
        state = move(state, unit.line_id, unit.quantity, unit.spot, _PENDING)
    only = frozenset(unit.line_id for unit in units)
    return reserve_pending(state, now, "reserve", words, only=only)
