"""What queries show of an order, and what it returns in the end; no name, no address."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from domain.cancellation import cancellation_refusal
from domain.messages import Cancel, PackingListQuery, TimelineQuery
from domain.order import hold_on, money_text, units_in, units_of_parcel
from domain.packing import packing_list
from domain.placement import amount_to_pay, is_paying
from domain.placing import Channel
from domain.results import (
    ActionView,
    FulfillmentView,
    LineView,
    MoneyView,
    OrderResult,
    PackingList,
    ParcelView,
    ShortageView,
    StatusView,
    TimelineView,
)
from domain.service import change_of_address_refusal
from domain.state import CarrierStatus, Fulfillment, OrderState, Parcel, ParcelStage, Phase
from domain.status import attention, fulfillment_status, order_status
from domain.units import BEFORE_HANDOFF, Place, Units


def by_place(units: Iterable[Units]) -> dict[str, int]:
    """How many units are in each place; places without any are left out."""
    counts: dict[str, int] = {}
    for unit in units:
        counts[unit.spot.place] = counts.get(unit.spot.place, 0) + unit.quantity
    return dict(sorted(counts.items()))


def status_view(state: OrderState, now: datetime) -> StatusView:
    return StatusView(
        order_id=state.order_id,
        status=order_status(state),
        attention=attention(state),
        business_time=now,
        method=state.method,
        totals=state.totals,
        money=MoneyView.model_validate({**state.money.model_dump(), "unpaid": state.unpaid}),
        lines=tuple(
            LineView(
                line_id=line.line_id,
                sku=line.sku,
                title=line.title,
                quantity=line.quantity,
                unit_price=line.unit_price,
                total=line.money.total,
                seller=line.seller,
                channel=line.channel,
                replaces=line.replaces,
                promised_ship_by=line.ship_by,
                promised_delivery=line.deliver_by,
                units=by_place(unit for unit in state.units if unit.line_id == line.line_id),
            )
            for line in state.lines
        ),
        fulfillments=tuple(_fulfillment_view(state, fulfillment) for fulfillment in state.fulfillments),
        shortages=tuple(
            ShortageView(
                line_id=shortage.line_id,
                quantity=shortage.quantity,
                answer_by=shortage.answer_by,
                default=state.policy.shortage_default,
                choices=("substitute", "wait", "refund", "cancel")
                if shortage.substitutes
                else ("wait", "refund", "cancel"),
                substitutes=tuple(substitute.sku for substitute in shortage.substitutes),
            )
            for shortage in state.shortages
        ),
        cancellation_requests=tuple(request.request_id for request in state.requests),
        holds=tuple(hold.hold_id for hold in state.holds),
        issues=tuple(issue.issue_id for issue in state.issues if issue.resolved_at is None),
        actions=tuple(_actions(state)),
        waits_for=tuple(_waits(state)),
        to_pay=amount_to_pay(state),
        pay_by=state.pay_by,
        closed=state.phase is Phase.CLOSED,
        version=state.version,
    )


def _fulfillment_view(state: OrderState, fulfillment: Fulfillment) -> FulfillmentView:
    fulfillment_id = fulfillment.fulfillment_id
    return FulfillmentView(
        fulfillment_id=fulfillment_id,
        seller=fulfillment.seller,
        location=fulfillment.location,
        channel=fulfillment.channel,
        status=fulfillment_status(state, fulfillment),
        ship_by=fulfillment.ship_by,
        deliver_by=fulfillment.deliver_by,
        network_status=fulfillment.network_status,
        units=by_place(units_in(state, fulfillment_id)),
        parcels=tuple(_parcel_view(state, p) for p in state.parcels if p.fulfillment_id == fulfillment_id),
    )


def _parcel_view(state: OrderState, parcel: Parcel) -> ParcelView:
    return ParcelView(
        parcel_id=parcel.parcel_id,
        stage=parcel.stage,
        carrier=parcel.carrier,
        tracking_number=parcel.tracking_number,
        tracking_url=parcel.tracking_url,
        status=parcel.status,
        contents={unit.line_id: unit.quantity for unit in units_of_parcel(state, parcel.parcel_id)},
        shipped_at=parcel.shipped_at,
        estimate=parcel.estimate,
        delivered_at=parcel.delivered_at,
        presumed_delivered=parcel.presumed_delivered,
        proof=parcel.proof,
    )


# -- what may be done, what is waited for --------------------------------------------


def _actions(state: OrderState) -> Iterator[ActionView]:
    """The messages that would be obeyed now, each with what it is about."""
    if state.phase is Phase.CLOSED:
        return
    if cancellation_refusal(state, Cancel(by="support")) is None:
        yield ActionView(message="cancel")
    if any(unit.spot.place in BEFORE_HANDOFF for unit in state.units):
        yield ActionView(message="hold")
        if change_of_address_refusal(state) is None:
            yield ActionView(message="change_address")
    for shortage in state.shortages:
        yield ActionView(message="choose_for_shortage", id=shortage.line_id)
    if amount_to_pay(state) and not is_paying(state):
        yield ActionView(message="update_payment")
    for request in state.requests:
        if request.answer_by is not None:
            yield ActionView(
                message="answer_cancellation", fulfillment_id=request.fulfillment_id, id=request.request_id
            )
    for hold in state.holds:
        yield ActionView(message="release_hold", fulfillment_id=hold.fulfillment_id, id=hold.hold_id)
    for issue in state.issues:
        if issue.resolved_at is None:
            yield ActionView(message="resolve_issue", parcel_id=issue.parcel_id, id=issue.issue_id)
    for fulfillment in state.fulfillments:
        if fulfillment.channel is Channel.FBM:
            yield from _seller_actions(state, fulfillment)
    for parcel in state.parcels:
        if parcel.stage is ParcelStage.SHIPPED:
            on = {"fulfillment_id": parcel.fulfillment_id, "parcel_id": parcel.parcel_id}
            yield ActionView(message="report_issue", **on)
            if parcel.delivered_at is None and parcel.status is not CarrierStatus.RETURNED:
                yield ActionView(message="carrier_event", **on)
                yield ActionView(message="confirm_delivery", **on)
                yield ActionView(message="correct_tracking", **on)
    if state.money.captured > state.money.refund_asked:
        yield ActionView(message="goodwill_refund")
    yield ActionView(message="resend_mail")
    yield ActionView(message="note")


def _seller_actions(state: OrderState, fulfillment: Fulfillment) -> Iterator[ActionView]:
    fulfillment_id = fulfillment.fulfillment_id
    held = hold_on(state, fulfillment_id) is not None
    if units_in(state, fulfillment_id, Place.RESERVED):
        if not held:
            yield ActionView(message="pack", fulfillment_id=fulfillment_id)
        yield ActionView(message="reject_lines", fulfillment_id=fulfillment_id)
    packed = [p for p in state.parcels if p.fulfillment_id == fulfillment_id and p.stage is ParcelStage.PACKED]
    asked = {parcel_id for request in state.requests for parcel_id in request.parcel_ids}
    if packed and not asked & {parcel.parcel_id for parcel in packed}:
        if not held:
            yield ActionView(message="ship", fulfillment_id=fulfillment_id)
        yield ActionView(message="unpack", fulfillment_id=fulfillment_id)


def _waits(state: OrderState) -> Iterator[str]:
    """In words, what the order waits for now."""
    if state.pay_by is not None:
        yield f"another payment, until {state.pay_by:%Y-%m-%d %H:%M}"
    for effect in state.effects:
        yield f"{effect.kind.replace('_', ' ')} ({effect.fulfillment_id or 'order'})"
    for shortage in state.shortages:
        yield f"the customer's choice for line {shortage.line_id}, until {shortage.answer_by:%Y-%m-%d %H:%M}"
    for backorder in state.backorders:
        yield f"stock for line {backorder.line_id}, until {backorder.until:%Y-%m-%d %H:%M}"
    for request in state.requests:
        yield f"an answer to {request.request_id} ({request.fulfillment_id})"
    for hold in state.holds:
        yield f"the release of {hold.hold_id}"
    for issue in state.issues:
        if issue.resolved_at is None:
            yield f"a remedy for {issue.issue_id} ({issue.kind.replace('_', ' ')})"
    for fulfillment in state.fulfillments:
        fulfillment_id = fulfillment.fulfillment_id
        if fulfillment.channel is Channel.FBA and units_in(state, fulfillment_id, Place.RESERVED):
            yield f"the fulfillment network ({fulfillment_id}: {fulfillment.network_status or 'being asked'})"
        elif units_in(state, fulfillment_id, Place.RESERVED):
            yield f"{fulfillment.seller} to pack {fulfillment_id}, by {fulfillment.ship_by:%Y-%m-%d %H:%M}"
        elif units_in(state, fulfillment_id, Place.PACKED):
            yield f"{fulfillment.seller} to ship {fulfillment_id}, by {fulfillment.ship_by:%Y-%m-%d %H:%M}"
    for parcel in state.parcels:
        if units_of_parcel(state, parcel.parcel_id, Place.SHIPPED):
            yield f"the delivery of {parcel.parcel_id}"
    if state.unpaid:
        yield f"a payment of {money_text(state, state.unpaid)}"


# -- the other queries, and the end ---------------------------------------------------


def timeline_view(state: OrderState, query: TimelineQuery) -> TimelineView:
    return TimelineView(order_id=state.order_id, count=state.entry_count, entries=state.entries[-query.newest :])


def packing_list_view(state: OrderState, query: PackingListQuery) -> PackingList | None:
    """None where there is no such fulfillment, or it is another seller's: the same to the asker."""
    for fulfillment in state.fulfillments:
        if fulfillment.fulfillment_id == query.fulfillment_id and query.seller in (None, fulfillment.seller):
            return packing_list(state, query.fulfillment_id)
    return None


def order_result(state: OrderState) -> OrderResult:
    return OrderResult(
        order_id=state.order_id,
        status=order_status(state),
        units=by_place(state.units),
        captured=state.money.captured,
        refunded=state.money.refunded,
        voided=state.money.voided,
        currency=state.totals.currency,
        reason=state.cancel_reason,
        attention=attention(state),
    )


def details(state: OrderState) -> str:
    """A summary in Markdown for the Temporal UI."""
    lines = [f"**{order_status(state)}**" + "".join(f" `{flag}`" for flag in attention(state)), ""]
    if state.page:  # first, because the UI shows a few lines only
        lines += [f"[Open the page of this order]({state.page})", ""]
    lines += ["| line | units |", "|---|---|"]
    for line in state.lines:
        units = by_place(unit for unit in state.units if unit.line_id == line.line_id)
        where = ", ".join(f"{quantity} {place}" for place, quantity in units.items())
        lines.append(f"| {line.line_id}: {line.quantity} x {line.sku} ({line.seller}, {line.channel}) | {where} |")
    for parcel in state.parcels:
        lines.append("")
        lines.append(
            f"- {parcel.parcel_id}: {parcel.stage}, {parcel.carrier or 'no carrier'} "
            f"{parcel.tracking_number or ''} {parcel.status or ''}"
        )
    waits = list(_waits(state))
    if waits:
        lines += ["", "Waits for:", "", *(f"- {wait}" for wait in waits)]
    return "\n".join(lines)
