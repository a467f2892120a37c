"""Taking an order up again whose workflow is gone: its state from what PostgreSQL knows, and what then becomes of it.

Whoever terminates the workflow of an order wants it to end. What has not left is cancelled, what was going on with
money is finished, and what has left is followed to the doorstep.

See `docs/decisions/0021-orders-without-a-workflow.md`.
"""

from collections.abc import Iterable
from datetime import datetime

from domain.cancellation import ask_for_cancellation, cancel_units, stop_waiting
from domain.charging import ask_to_capture, ask_to_refund
from domain.effects import Authorize, BuyLabel, Capture, Effect, HandOver, Refund, ReleaseStock, StockItem, VoidRest
from domain.matters import Matters
from domain.model import Body, Frozen, OptionalParagraph, OrderId, Paragraph
from domain.order import caused_by, caused_key, edit, edit_parcel, emit, key_for, log, money_text, units_where
from domain.placing import Channel
from domain.policy import Policy
from domain.progress import FulfillmentRow, ParcelRow
from domain.requests import MoveKind
from domain.results import OrderResult
from domain.state import (
    Backorder,
    CancellationRequest,
    Fulfillment,
    Label,
    Line,
    Money,
    OrderState,
    Parcel,
    ParcelStage,
    Payment,
    Phase,
    Totals,
)
from domain.timeline import Entry
from domain.units import BEFORE_HANDOFF, HANDED_OVER, Place, Units

BY = "reconciliation"
REASON = "The marketplace has ended the order."
"""For customers and sellers; why somebody terminated it is for the timeline."""

_NUMBERS_PER_LIFE = 10_000
_NETWORK_ENDED = ("Cancelled", "Complete", "CompletePartialled", "Unfulfillable", "Invalid")


class TakeUp(Body):
    """What a workflow is started with to take up an order whose own workflow is gone."""

    order_id: OrderId
    how: Paragraph
    """What became of its workflow, as in `its workflow was terminated`."""

    why: OptionalParagraph = ""
    """The reason that was given for that, if any."""


class HeldStock(Frozen):
    """What the stock's ledgers say of a line at a location."""

    item: StockItem
    """The quantity is what the line holds there now."""

    handed_over: int = 0


class MoneyUnderWay(Frozen):
    """A plan of the payments that no provider has answered in full. Amounts in minor units."""

    key: str
    kind: MoveKind
    payment_ids: tuple[str, ...]
    amount: int
    done: int
    """So much of it is settled already; the answer to the whole plan counts it once more."""


class Remains(Frozen):
    """All that PostgreSQL knows of an order, read at one moment. No name, no address."""

    order_id: str
    customer_id: str
    method: str
    country: str
    totals: Totals
    placed_at: datetime
    recorded_at: datetime
    """Server time at which business time was `placed_at`, or some time after it."""

    updated_at: datetime
    factor: float
    version: int
    attention: tuple[str, ...]
    unpaid: int
    goodwill: int
    matters: Matters | None
    lines: tuple[Line, ...]
    units: tuple[Units, ...]
    fulfillments: tuple[FulfillmentRow, ...]
    parcels: tuple[ParcelRow, ...]
    payments: tuple[Payment, ...]
    money: Money
    """As the payments' rows have it."""

    held: tuple[HeldStock, ...] = ()
    under_way: tuple[MoneyUnderWay, ...] = ()
    waiting: tuple[Backorder, ...] = ()
    """Backorders that the store would still allocate to."""

    backorder_keys: tuple[str, ...] = ()
    allocations: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    entry_count: int = 0
    lives: int = 0
    """How often it has been taken up before."""

    page: str = ""


class FoundOrder(Frozen):
    """What there is to take up; a result where the order has ended, neither where nobody knows it."""

    remains: Remains | None = None
    result: OrderResult | None = None


# -- the state of an order, from its rows --------------------------------------------------


def as_it_stood(remains: Remains, server_now: datetime) -> OrderState:
    """The order as its rows have it. What only its workflow knew, its policy above all, is as in a new order."""
    matters = remains.matters or Matters()
    numbers_from = _NUMBERS_PER_LIFE * (remains.lives + 1)
    owed = remains.unpaid if "unpaid" in remains.attention else 0
    # The clock must not go back behind what stands in the timeline, whenever its first worker took it up.
    lived = (remains.updated_at - remains.placed_at) / remains.factor
    return OrderState(
        order_id=remains.order_id,
        customer_id=remains.customer_id,
        method=remains.method,
        country=remains.country,
        totals=remains.totals,
        policy=Policy(),
        origin=remains.placed_at,
        started_at=min(remains.recorded_at, server_now - lived),
        factor=remains.factor,
        phase=Phase.OPEN,
        lines=tuple(_counted(line, remains.units) for line in remains.lines),
        units=remains.units,
        payments=remains.payments,
        money=remains.money.model_copy(update={"refund_asked": remains.money.refunded, "goodwill": remains.goodwill}),
        unpaid=owed,
        unpaid_since=remains.updated_at if owed else None,
        written_off=remains.unpaid - owed,
        fulfillments=tuple(_fulfillment(row, remains.parcels) for row in remains.fulfillments),
        parcels=tuple(_parcel(row) for row in remains.parcels),
        shortages=matters.shortages,
        backorders=matters.backorders,
        backorder_keys=remains.backorder_keys,
        allocations_seen=remains.allocations,
        requests=matters.requests,
        holds=matters.holds,
        issues=matters.issues,
        confirmed=True,
        numbers_from=numbers_from,
        entries=remains.entries,
        entry_count=remains.entry_count,
        version=remains.version,
        page=remains.page,
    )


def _counted(line: Line, units: Iterable[Units]) -> Line:
    """With the units that its money is for."""
    own = [unit for unit in units if unit.line_id == line.line_id]
    money = line.money
    gone = sum(unit.quantity for unit in own if unit.spot.place in HANDED_OVER)
    dropped = sum(unit.quantity for unit in own if unit.spot.place is Place.CANCELLED)
    reship = line.replaces is not None and money.total == 0
    counts = {"captured_units": gone, "dropped_units": dropped}
    if money.refunded:
        counts["refunded_units"] = -(-money.refunded * gone // money.captured)
    return line.model_copy(
        update={"reship": reship, "money": money if reship else money.model_copy(update=counts)},
    )


def _fulfillment(row: FulfillmentRow, parcels: Iterable[ParcelRow]) -> Fulfillment:
    return Fulfillment(
        fulfillment_id=row.fulfillment_id,
        seller=row.seller,
        location=row.location,
        channel=Channel(row.channel),
        ship_by=row.ship_by,
        deliver_by=row.deliver_by,
        parcels_made=sum(parcel.fulfillment_id == row.fulfillment_id for parcel in parcels),
        released_to_network=row.channel == Channel.FBA,
        network_status=row.network_status,
        handed_over_at=row.handed_over_at,
    )


def _parcel(row: ParcelRow) -> Parcel:
    """The row of a parcel that has not left shows its label's number, if it has one."""
    fields = row.model_dump()
    label = None
    if row.stage == ParcelStage.PACKED and row.carrier and row.tracking_number:
        label = Label(carrier=row.carrier, tracking_number=row.tracking_number, tracking_url=row.tracking_url)
        fields |= {"carrier": None, "tracking_number": None, "tracking_url": None}
    return Parcel.model_validate({**fields, "label": label, "last_event_at": row.shipped_at})


# -- what becomes of it --------------------------------------------------------------------


def taken_up(state: OrderState, remains: Remains, message: TakeUp, now: datetime) -> OrderState:
    """Finish what was under way, cancel what has not left, follow the rest."""
    state = caused_by(state, f"taken-up-{remains.lives + 1}")
    state = log(state, now, BY, "taken_up", f"Taken up again: {message.how}. {_kept(state)}", why=message.why)
    state = _finish_money(state, remains, now)
    state = _finish_handoffs(state, remains.held)
    state = edit(state, holds=(), shortages=())
    at_network = [f.fulfillment_id for f in state.fulfillments if _may_be_at_network(f)]
    kept = units_where(state, lambda u: u.spot.place is Place.RESERVED and u.spot.fulfillment_id in at_network)
    given_back = _surplus(state, remains.held, kept)
    # Sellers and customers are told of it all at once; what waits for a seller's answer need not any more.
    state = edit(state, requests=tuple(r for r in state.requests if r.fulfillment_id in at_network))
    state = _stop_buying_labels(state)
    gone = units_where(state, lambda u: u.spot.place in BEFORE_HANDOFF and u not in kept)
    if gone:
        state, _ = cancel_units(state, gone, now, BY, REASON, held=given_back)
    elif given_back:
        state, key = caused_key(state, "release")
        state = emit(state, ReleaseStock(key=key, items=given_back))
    for backorder in (*state.backorders, *remains.waiting):
        if not any(effect.key == f"{backorder.key}:cancel" for effect in state.effects):
            state = stop_waiting(state, backorder)
    for fulfillment_id in at_network:
        own = [unit for unit in kept if unit.spot.fulfillment_id == fulfillment_id]
        if own:
            state = _ask_network_to_stop(state, fulfillment_id, own, now)
    return state


def _kept(state: OrderState) -> str:
    """What cancelling must not lose, in words."""
    on_the_way = [p.parcel_id for p in state.parcels if p.stage is ParcelStage.SHIPPED and p.delivered_at is None]
    words = [f"{', '.join(on_the_way)} still on the way"] if on_the_way else []
    if state.money.captured > state.money.refunded:
        words.append(f"{money_text(state, state.money.captured - state.money.refunded)} captured")
    return f"Kept: {'; '.join(words)}." if words else "Nothing had left and nothing was captured."


def _may_be_at_network(fulfillment: Fulfillment) -> bool:
    return fulfillment.channel is Channel.FBA and fulfillment.network_status not in _NETWORK_ENDED


def _ask_network_to_stop(state: OrderState, fulfillment_id: str, units: list[Units], now: datetime) -> OrderState:
    asked: tuple[CancellationRequest, ...] = tuple(r for r in state.requests if r.fulfillment_id == fulfillment_id)
    state = edit(state, requests=tuple(r for r in state.requests if r not in asked))
    return ask_for_cancellation(state, units, now, BY, REASON)[0]


def _stop_buying_labels(state: OrderState) -> OrderState:
    """A parcel that waits for its label stays here. Asked again by its key, a label that was bought is found, and
    voided because its parcel is open by then.
    """
    for parcel in state.parcels:
        if parcel.stage is ParcelStage.SHIPPING:
            state = edit_parcel(state, parcel.parcel_id, stage=ParcelStage.PACKED)
            key = f"{state.order_id}:label:{parcel.parcel_id}:1"
            state = emit(
                state,
                BuyLabel(
                    key=key,
                    fulfillment_id=parcel.fulfillment_id,
                    parcel_id=parcel.parcel_id,
                    method=state.method,
                    weight_grams=parcel.weight_grams,
                ),
            )
    return state


# -- stock, by its ledgers -----------------------------------------------------------------


def _left(state: OrderState, held: HeldStock) -> int:
    """Units of the line that have left its location by the order's rows, and not by the ledger."""
    places = {f.fulfillment_id for f in state.fulfillments if f.location == held.item.location}
    gone = sum(
        unit.quantity
        for unit in state.units
        if unit.line_id == held.item.line_id and unit.spot.place in HANDED_OVER and unit.spot.fulfillment_id in places
    )
    return min(max(0, gone - held.handed_over), held.item.quantity)


def _finish_handoffs(state: OrderState, held: Iterable[HeldStock]) -> OrderState:
    """Rows may be written before the handoff's own transaction: its stock has left all the same."""
    items = tuple(_of(one.item, quantity) for one in held if (quantity := _left(state, one)))
    if not items:
        return state
    state, key = key_for(state, "hand_over", "late")
    return emit(state, HandOver(key=key, items=items, parcel_ids=()))


def _surplus(state: OrderState, held: Iterable[HeldStock], kept: tuple[Units, ...]) -> tuple[StockItem, ...]:
    """What the order holds and nothing of it needs: also units whose reservation it never heard of."""
    location = {f.fulfillment_id: f.location for f in state.fulfillments}
    items = []
    for one in held:
        needed = _left(state, one) + sum(
            unit.quantity
            for unit in kept
            if unit.line_id == one.item.line_id and location[unit.spot.fulfillment_id or ""] == one.item.location
        )
        if one.item.quantity > needed:
            items.append(_of(one.item, one.item.quantity - needed))
    return tuple(items)


def _of(item: StockItem, quantity: int) -> StockItem:
    return item.model_copy(update={"quantity": quantity})


# -- money ---------------------------------------------------------------------------------


def _finish_money(state: OrderState, remains: Remains, now: datetime) -> OrderState:
    """Ask again, by its key, for what no provider has answered; then ask for what nobody ever asked for."""
    money = state.money.model_dump()
    effects: list[Effect] = []
    coming = 0
    for plan in remains.under_way:
        match plan.kind:
            case MoveKind.AUTHORIZE:
                money["authorized"] -= plan.done
                effects.append(Authorize(key=plan.key, payment_ids=plan.payment_ids))
            case MoveKind.CAPTURE:
                money["captured"] -= plan.done
                coming += plan.amount - plan.done
                effects.append(Capture(key=plan.key, amount=plan.amount))
            case MoveKind.REFUND:
                money["refunded"] -= plan.done
                coming -= plan.amount - plan.done
                money["refund_asked"] += plan.amount - plan.done
                effects.append(Refund(key=plan.key, amount=plan.amount, reason=REASON))
            case MoveKind.VOID:
                money["voided"] -= plan.done
                effects.append(VoidRest(key=plan.key))
    state = emit(edit(state, money=Money.model_validate(money)), *effects)
    due = sum(line.money.captured - line.money.refunded for line in state.lines) - remains.goodwill
    missing = due - (remains.money.captured - remains.money.refunded + coming) - state.unpaid - state.written_off
    if missing > 0:
        state = log(state, now, BY, "capture_asked", f"{money_text(state, missing)} of what has left is charged now")
        state = ask_to_capture(state, None, missing)
    elif missing < 0:
        state, _ = ask_to_refund(state, -missing, REASON)
    return state
