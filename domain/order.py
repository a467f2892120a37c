"""The small vocabulary in which every transition of an order is written."""

from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

from domain import units as unit_ledger
from domain.currencies import amount_text
from domain.effects import Effect, StockItem
from domain.mails import Mail
from domain.state import Fulfillment, Hold, Line, OrderState, Parcel
from domain.timeline import Entry
from domain.units import Place, Spot, Units

SYSTEM = "marketplace"
RUN = "run"
"""Numbered by continue-as-new."""

_Row = TypeVar("_Row")


def edit(state: OrderState, **updates: Any) -> OrderState:
    return state.model_copy(update=updates)


def log(
    state: OrderState,
    now: datetime,
    who: str,
    what: str,
    summary: str,
    *,
    why: str = "",
    occurred_at: datetime | None = None,
    fulfillment_id: str | None = None,
    before: str | None = None,
    after: str | None = None,
) -> OrderState:
    """Write one line into the timeline."""
    entry = Entry(
        seq=state.entry_count + 1,
        occurred_at=occurred_at or now,
        received_at=now,
        who=who,
        what=what,
        summary=summary,
        why=why,
        fulfillment_id=fulfillment_id,
        before=before,
        after=after,
    )
    return edit(state, entries=(*state.entries, entry), entry_count=entry.seq)


def emit(state: OrderState, *effects: Effect) -> OrderState:
    """Ask the outside world for something; the workflow performs it until it is done."""
    return edit(state, effects=(*state.effects, *effects))


def answered(
    state: OrderState, key: str, answer: Callable[[OrderState, datetime], OrderState], now: datetime
) -> OrderState:
    """Take the answer of an effect into the state; what it leads to is caused by it."""
    return performed(answer(caused_by(state, key.removeprefix(f"{state.order_id}:")), now), key)


def performed(state: OrderState, key: str) -> OrderState:
    """The effect is done: it is asked for no more."""
    return edit(state, effects=tuple(effect for effect in state.effects if effect.key != key))


def post(state: OrderState, *mails: Mail) -> OrderState:
    return edit(state, mails=(*state.mails, *mails))


def numbered(state: OrderState, kind: str) -> tuple[OrderState, int]:
    """The next number of its kind, each given once."""
    numbers = dict(state.numbers)
    numbers[kind] = numbers.get(kind, state.numbers_from) + 1
    return edit(state, numbers=tuple(numbers.items())), numbers[kind]


def key_for(state: OrderState, *words: str) -> tuple[OrderState, str]:
    """An idempotency key in business words: `1042:capture:acme-1:1`."""
    name = ":".join(words)
    state, number = numbered(state, f"key:{name}")
    return state, f"{state.order_id}:{name}:{number}"


def caused_by(state: OrderState, cause: str) -> OrderState:
    """What follows is done because of this; no two causes of an order have one name."""
    return state if state.cause == cause else edit(state, cause=cause, cause_keys=0)


def update_cause(state: OrderState, update_id: str) -> str:
    """Whoever sends an update chooses its id: any text, and may choose the same one much later."""
    run = dict(state.numbers).get(RUN, state.numbers_from)
    return f"update-{sha256(f'{run}:{update_id}'.encode()).hexdigest()[:20]}"


def caused_key(state: OrderState, *words: str) -> tuple[OrderState, str]:
    """An idempotency key named after its cause: `1042:release:<id of the update that cancelled>`.

    For steps in PostgreSQL, which are done before the engine has recorded what they were done for:
    after a crash another message may come first, and a mere number would then name another effect.
    """
    uses = state.cause_keys + 1
    words = (state.order_id, *words, state.cause) if uses == 1 else (state.order_id, *words, state.cause, str(uses))
    return edit(state, cause_keys=uses), ":".join(words)


# -- looking things up ---------------------------------------------------------


def line_of(state: OrderState, line_id: str) -> Line | None:
    return next((line for line in state.lines if line.line_id == line_id), None)


def the_line(state: OrderState, line_id: str) -> Line:
    line = line_of(state, line_id)
    assert line is not None, line_id
    return line


def fulfillment_of(state: OrderState, fulfillment_id: str | None) -> Fulfillment | None:
    return next((f for f in state.fulfillments if f.fulfillment_id == fulfillment_id), None)


def the_fulfillment(state: OrderState, fulfillment_id: str) -> Fulfillment:
    fulfillment = fulfillment_of(state, fulfillment_id)
    assert fulfillment is not None, fulfillment_id
    return fulfillment


def parcel_of(state: OrderState, parcel_id: str | None) -> Parcel | None:
    return next((p for p in state.parcels if p.parcel_id == parcel_id), None)


def the_parcel(state: OrderState, parcel_id: str) -> Parcel:
    parcel = parcel_of(state, parcel_id)
    assert parcel is not None, parcel_id
    return parcel


def units_where(state: OrderState, where: Callable[[Units], bool]) -> tuple[Units, ...]:
    return tuple(unit for unit in state.units if where(unit))


def units_in(state: OrderState, fulfillment_id: str, *places: Place) -> tuple[Units, ...]:
    """The fulfillment's units, in these places or in any."""
    return tuple(
        unit
        for unit in state.units
        if unit.spot.fulfillment_id == fulfillment_id and (not places or unit.spot.place in places)
    )


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def units_of_parcel(state: OrderState, parcel_id: str, *places: Place) -> tuple[Units, ...]:
    return tuple(
        unit for unit in state.units if unit.spot.parcel_id == parcel_id and (not places or unit.spot.place in places)
    )


def parcels_beside(state: OrderState, fulfillment_id: str) -> tuple[Parcel, ...]:
    """All of its seller: whether another's parcel has some tracking number is not to be learnt by trying it."""
    seller = the_fulfillment(state, fulfillment_id).seller
    return tuple(p for p in state.parcels if the_fulfillment(state, p.fulfillment_id).seller == seller)


def is_pending(state: OrderState, line_id: str) -> bool:
    """The inventory check of this line is still to come, or under way."""
    return any(
        effect.kind == "reserve" and any(want.line_id == line_id for want in effect.wants) for effect in state.effects
    )


def hold_on(state: OrderState, fulfillment_id: str | None) -> Hold | None:
    """A hold that stops this fulfillment: its own, or one of the whole order."""
    return next((h for h in state.holds if h.fulfillment_id in (None, fulfillment_id)), None)


# -- changing one of many --------------------------------------------------------


def _swap(rows: Iterable[_Row], old: _Row, new: _Row) -> tuple[_Row, ...]:
    return tuple(new if row is old else row for row in rows)


def edit_line(state: OrderState, line_id: str, **updates: Any) -> OrderState:
    line = the_line(state, line_id)
    return edit(state, lines=_swap(state.lines, line, line.model_copy(update=updates)))


def edit_fulfillment(state: OrderState, fulfillment_id: str, **updates: Any) -> OrderState:
    old = the_fulfillment(state, fulfillment_id)
    new = old.model_copy(update=updates)
    return edit(state, fulfillments=_swap(state.fulfillments, old, new))


def edit_parcel(state: OrderState, parcel_id: str, **updates: Any) -> OrderState:
    parcel = the_parcel(state, parcel_id)
    return edit(state, parcels=_swap(state.parcels, parcel, parcel.model_copy(update=updates)))


def move(state: OrderState, line_id: str, quantity: int, source: Spot, target: Spot) -> OrderState:
    return edit(state, units=unit_ledger.move(state.units, line_id, quantity, source, target))


def move_all(state: OrderState, units: Iterable[Units], place: Place) -> OrderState:
    """Move units to another place, within their fulfillment and parcel."""
    for unit in units:
        target = unit.spot.model_copy(update={"place": place})
        state = move(state, unit.line_id, unit.quantity, unit.spot, target)
    return state


def stock_items(state: OrderState, units: Iterable[Units]) -> tuple[StockItem, ...]:
    """Units of fulfillments as the stock of their location."""
    items = []
    for unit in units:
        assert unit.spot.fulfillment_id is not None, unit
        line = the_line(state, unit.line_id)
        items.append(
            StockItem(
                line_id=unit.line_id,
                location=the_fulfillment(state, unit.spot.fulfillment_id).location,
                seller=line.seller,
                sku=line.sku,
                quantity=unit.quantity,
            )
        )
    return tuple(items)


def units_text(state: OrderState, units: Iterable[Units]) -> str:
    """Units for people: `2 x MUG-1, 1 x TEE-M`."""
    counts: dict[str, int] = {}
    for unit in units:
        sku = the_line(state, unit.line_id).sku
        counts[sku] = counts.get(sku, 0) + unit.quantity
    return ", ".join(f"{quantity} x {sku}" for sku, quantity in counts.items())


def money_text(state: OrderState, amount: int) -> str:
    """Minor units for people: `32.39 USD`."""
    return amount_text(amount, state.totals.currency)


def role_of(by: str) -> str:
    """`seller:acme/ann` -> `seller`."""
    return by.split("/", 1)[0].split(":", 1)[0]


def seller_of(by: str) -> str | None:
    """`seller:acme/ann` -> `acme`; None for other roles."""
    party = by.split("/", 1)[0]
    return party.removeprefix("seller:") if party.startswith("seller:") else None


_OUR_OWN = ("backend", "marketplace", "support")


def speaks_for(party: str, by: str) -> bool:
    """Whether an event of the carrier or the network may come in this name: its own, or that of the marketplace."""
    return by.split("/", 1)[0] in (party, *_OUR_OWN)
