"""What has changed between two moments of an order, as the rows that lists and pages read."""

from datetime import datetime
from typing import TypeVar

from domain.holds import ship_by_with_holds
from domain.matters import matters_of
from domain.order import edit, hold_on
from domain.progress import (
    Follow,
    FulfillmentRow,
    LineMoneyRow,
    LineRow,
    OrderRow,
    ParcelRow,
    Progress,
)
from domain.state import Line, OrderState, Parcel, ParcelStage, Phase
from domain.status import attention, fulfillment_status, next_ship_by, order_status, promised_at
from domain.timeline import ENTRIES_KEPT
from domain.units import Spot, Units

_Row = TypeVar("_Row")


def progress_since(saved: OrderState, state: OrderState, now: datetime) -> Progress | None:
    """What differs from `saved`, `ENTRIES_KEPT` entries of the timeline at the most; None where nothing does."""
    progress = _progress(saved, state, now)
    return progress if _tells(progress) or progress.order != order_row(saved) else None


def untold(saved: OrderState, state: OrderState) -> int:
    """Entries of the timeline that the store has not been told of."""
    return state.entry_count - saved.entry_count


def as_told(state: OrderState, progress: Progress) -> tuple[OrderState, OrderState]:
    """How the state goes on, and what the store has of it, once this progress is on its way.

    Any number of messages may come at once: no entry leaves the state before the store is told of it.
    """
    last = progress.entries[-1].seq if progress.entries else state.entry_count
    older, newest = state.entries[:-ENTRIES_KEPT], state.entries[-ENTRIES_KEPT:]
    state = edit(
        state,
        version=progress.version,
        mails=(),
        entries=(*(entry for entry in older if entry.seq > last), *newest),
    )
    return state, edit(state, entry_count=last)


def whole_progress(state: OrderState, now: datetime, refused: Progress | None = None) -> Progress:
    """All rows of the order, with what else a progress that the store has refused was to write."""
    progress = _progress(None, state, now).model_copy(update={"whole": True})
    if refused is None:
        return progress
    seen = {entry.seq for entry in refused.entries}
    entries = (*refused.entries, *(entry for entry in progress.entries if entry.seq not in seen))
    return progress.model_copy(update={"entries": entries, "mails": (*refused.mails, *progress.mails)})


def _progress(saved: OrderState | None, state: OrderState, now: datetime) -> Progress:
    entries = state.entries
    if saved is not None:
        entries = tuple(entry for entry in entries if entry.seq > saved.entry_count)[:ENTRIES_KEPT]
    return Progress(
        order_id=state.order_id,
        version=state.version,
        at=now,
        order=order_row(state),
        lines=_new_lines(saved, state),
        units=_units(saved, state),
        line_money=_line_money(saved, state),
        fulfillments=_changed(tuple(_fulfillment_rows(saved)) if saved else (), tuple(_fulfillment_rows(state))),
        parcels=_changed(tuple(_parcel_rows(saved)) if saved else (), tuple(_parcel_rows(state))),
        entries=entries,
        mails=state.mails,
        follow=_follow(saved, state),
    )


def _tells(progress: Progress) -> bool:
    """Something beside the order's own row."""
    return bool(
        progress.lines
        or progress.units
        or progress.line_money
        or progress.fulfillments
        or progress.parcels
        or progress.entries
        or progress.mails
        or progress.follow
    )


def order_row(state: OrderState) -> OrderRow:
    return OrderRow(
        status=order_status(state),
        attention=attention(state),
        ship_by=next_ship_by(state),
        promised_at=promised_at(state),
        closed=state.phase is Phase.CLOSED,
        unpaid=state.unpaid + state.written_off,
        goodwill=state.money.goodwill,
        matters=matters_of(state),
    )


def _changed(before: tuple[_Row, ...], after: tuple[_Row, ...]) -> tuple[_Row, ...]:
    return tuple(row for row in after if row not in before)


def _new_lines(saved: OrderState | None, state: OrderState) -> tuple[LineRow, ...]:
    """Lines never change but in their money; those placed are in the store already."""
    known = {line.line_id for line in (saved or state).lines if saved or line.replaces is None}
    return tuple(_line_row(line) for line in state.lines if line.line_id not in known)


def _line_row(line: Line) -> LineRow:
    return LineRow(
        line_id=line.line_id,
        sku=line.sku,
        title=line.title,
        quantity=line.quantity,
        unit_price=line.unit_price,
        total=line.money.total,
        seller=line.seller,
        channel=line.channel,
        replaces=line.replaces,
        ship_by=line.ship_by,
        deliver_by=line.deliver_by,
        earliest_delivery=line.earliest_delivery,
    )


def _units(saved: OrderState | None, state: OrderState) -> tuple[Units, ...]:
    """Changed spots, with zero for those that were left."""
    before = _counts(saved.units) if saved else {}
    after = _counts(state.units)
    changed = []
    for line_id, spot in {**before, **after}:
        quantity = after.get((line_id, spot), 0)
        if before.get((line_id, spot), 0) != quantity:
            changed.append(Units(line_id=line_id, spot=spot, quantity=quantity))
    return tuple(changed)


def _counts(units: tuple[Units, ...]) -> dict[tuple[str, Spot], int]:
    return {(unit.line_id, unit.spot): unit.quantity for unit in units}


def _line_money(saved: OrderState | None, state: OrderState) -> tuple[LineMoneyRow, ...]:
    before = {line.line_id: line.money for line in saved.lines} if saved else {}
    return tuple(
        LineMoneyRow(
            line_id=line.line_id,
            captured=line.money.captured,
            dropped=line.money.dropped,
            refunded=line.money.refunded,
        )
        for line in state.lines
        if before.get(line.line_id) != line.money and (line.money.captured or line.money.dropped or line.money.refunded)
    )


def _fulfillment_rows(state: OrderState) -> list[FulfillmentRow]:
    asked = {request.fulfillment_id for request in state.requests if request.answer_by is not None}
    return [
        FulfillmentRow(
            fulfillment_id=fulfillment.fulfillment_id,
            seller=fulfillment.seller,
            location=fulfillment.location,
            channel=fulfillment.channel,
            ship_by=fulfillment.ship_by,
            due_at=ship_by_with_holds(fulfillment),
            deliver_by=fulfillment.deliver_by,
            status=fulfillment_status(state, fulfillment),
            on_hold=hold_on(state, fulfillment.fulfillment_id) is not None,
            cancellation_asked=fulfillment.fulfillment_id in asked,
            network_status=fulfillment.network_status,
            handed_over_at=fulfillment.handed_over_at,
        )
        for fulfillment in state.fulfillments
    ]


def _parcel_rows(state: OrderState) -> list[ParcelRow]:
    return [
        ParcelRow(
            parcel_id=parcel.parcel_id,
            fulfillment_id=parcel.fulfillment_id,
            stage=parcel.stage,
            carrier=parcel.carrier or (parcel.label.carrier if parcel.label else None),
            tracking_number=parcel.tracking_number or (parcel.label.tracking_number if parcel.label else None),
            tracking_url=parcel.tracking_url or (parcel.label.tracking_url if parcel.label else None),
            status=parcel.status,
            weight_grams=parcel.weight_grams,
            packed_at=parcel.packed_at,
            shipped_at=parcel.shipped_at,
            estimate=parcel.estimate,
            delivered_at=parcel.delivered_at,
            presumed_delivered=parcel.presumed_delivered,
            proof=parcel.proof,
        )
        for parcel in state.parcels
    ]


def _follow(saved: OrderState | None, state: OrderState) -> tuple[Follow, ...]:
    """Parcels on their way whose number is new: the carrier is asked for their events."""
    before = {_number(parcel) for parcel in saved.parcels if _is_tracked(parcel)} if saved else set()
    promised = {f.fulfillment_id: f.deliver_by for f in state.fulfillments}
    return tuple(
        Follow(
            parcel_id=parcel.parcel_id,
            fulfillment_id=parcel.fulfillment_id,
            carrier=parcel.carrier or "",
            tracking_number=parcel.tracking_number or "",
            method=state.method,
            shipped_at=parcel.shipped_at,
            deliver_by=promised[parcel.fulfillment_id],
            factor=state.factor,
            server_time=state.started_at + (parcel.shipped_at - state.origin) / state.factor,
        )
        for parcel in state.parcels
        if _is_tracked(parcel) and _number(parcel) not in before and parcel.shipped_at is not None
    )


def _is_tracked(parcel: Parcel) -> bool:
    return parcel.stage is ParcelStage.SHIPPED and parcel.tracking_number is not None


def _number(parcel: Parcel) -> tuple[str, str | None]:
    return parcel.parcel_id, parcel.tracking_number
