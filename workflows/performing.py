"""Which activity performs an effect, and which transition takes its answer into the state."""

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.inventory import InventoryActivities
    from activities.orders import OrderActivities
    from activities.payments import PaymentActivities
    from activities.shipping import CarrierActivities, NetworkActivities
    from activities.steps import DeliveryInput, Step
    from domain import charging, handoff, network, placement, shortage
    from domain import effects as fx
    from domain.order import counted, log, units_text
    from domain.progress import Progress
    from domain.state import OrderState
    from workflows.options import CARRIER, NETWORK, PAYMENT
    from workflows.steps import outside_step, quick_outside_step, recorded_step, store_step

Answer = Callable[[OrderState, datetime], OrderState]
"""Takes the answer into the state as it is by then, at the business time of the answer."""

WRITES_ROWS = (
    fx.Reserve,
    fx.ReleaseStock,
    fx.RegisterBackorder,
    fx.CancelBackorder,
    fx.RecordPacking,
    fx.HandOver,
    fx.RecordDelivery,
    fx.SaveAddress,
    fx.ResendMail,
)
"""Effects in PostgreSQL: what else has changed is written in the same transaction."""


async def perform(
    state: OrderState,
    effect: fx.Effect,
    progress: Progress | None,
    now: datetime,
    recorded: bool,
    show: Callable[[], None],
) -> Answer:
    """Perform one effect, however long that takes; the state is the one it was started with.

    `recorded` is false where an update that the engine has not recorded yet may have asked for it. `show` tells the
    server how the order stands, where a step that was to take a moment takes longer.
    """
    order_id = state.order_id
    stock_step = store_step if recorded else recorded_step
    match effect:
        case fx.Authorize():
            return await _authorize(Step[fx.Authorize](order_id=order_id, effect=effect), recorded, show)
        case fx.Reserve():
            check = Step[fx.Reserve](order_id=order_id, effect=effect, progress=progress)
            found = await stock_step(InventoryActivities.check_inventory, check, counted(len(effect.wants), "line"))
            return lambda state, now: shortage.reserved(state, effect, found, now)
        case fx.RecordPacking():
            contents = units_text(state, (u for u in state.units if u.spot.parcel_id in effect.parcel_ids))
            packing = Step[fx.RecordPacking](order_id=order_id, effect=effect, progress=progress)
            await store_step(OrderActivities.record_packing, packing, contents)
            return _nothing
        case fx.BuyLabel():
            return await _buy_label(Step[fx.BuyLabel](order_id=order_id, effect=effect))
        case fx.HandOver():
            handoff_step = Step[fx.HandOver](order_id=order_id, effect=effect, progress=progress)
            await store_step(InventoryActivities.hand_to_carrier, handoff_step, ", ".join(effect.parcel_ids))
            return _nothing
        case fx.Capture():
            return await _capture(Step[fx.Capture](order_id=order_id, effect=effect))
        case fx.RecordDelivery():
            delivery = DeliveryInput(order_id=order_id, effect=effect, progress=progress)
            await store_step(OrderActivities.confirm_delivery, delivery, ", ".join(effect.parcel_ids))
            return _nothing
        case fx.AskNetwork():
            return await _ask_network(state, effect, now)
        case fx.CancelNetwork():
            return await _cancel_network(Step[fx.CancelNetwork](order_id=order_id, effect=effect))
        case fx.ReleaseStock():
            release = Step[fx.ReleaseStock](order_id=order_id, effect=effect, progress=progress)
            await stock_step(InventoryActivities.release_stock, release)
            return _nothing
        case fx.RegisterBackorder():
            backorder = Step[fx.RegisterBackorder](order_id=order_id, effect=effect, progress=progress)
            await stock_step(InventoryActivities.register_backorder, backorder)
            return _nothing
        case fx.CancelBackorder():
            stop = Step[fx.CancelBackorder](order_id=order_id, effect=effect, progress=progress)
            made = await stock_step(InventoryActivities.cancel_backorder, stop)
            return lambda state, now: shortage.backorder_cancelled(state, effect, made.allocations, now)
        case fx.VoidLabel():
            return await _void_label(Step[fx.VoidLabel](order_id=order_id, effect=effect))
        case fx.Refund():
            return await _refund(Step[fx.Refund](order_id=order_id, effect=effect))
        case fx.VoidRest():
            return await _void_rest(Step[fx.VoidRest](order_id=order_id, effect=effect))
        case fx.SaveAddress():
            address = Step[fx.SaveAddress](order_id=order_id, effect=effect, progress=progress)
            await store_step(OrderActivities.change_address, address)
            return _nothing
        case fx.ResendMail():
            return await _resend_mail(Step[fx.ResendMail](order_id=order_id, effect=effect, progress=progress))
        case _:
            assert_never(effect)


def _nothing(state: OrderState, now: datetime) -> OrderState:
    return state


# -- stock and mail, in PostgreSQL -----------------------------------------------------


async def _resend_mail(step: Step[fx.ResendMail]) -> Answer:
    found = await store_step(OrderActivities.resend_mail, step)
    if found:
        return _nothing
    return lambda state, now: log(
        state, now, "marketplace", "resend_mail_refused", f"mail_key: no mail {step.effect.mail_key!r} was sent"
    )


# -- payments --------------------------------------------------------------------------


async def _authorize(step: Step[fx.Authorize], recorded: bool, show: Callable[[], None]) -> Answer:
    effect = step.effect
    authorize, summary = PaymentActivities.authorize_payment, f"{len(effect.payment_ids)} payments"
    if recorded:
        outcome = await quick_outside_step(authorize, step, PAYMENT, summary, before_patience=show)
    else:
        outcome = await outside_step(authorize, step, PAYMENT, summary)
    return lambda state, now: placement.authorized(state, effect, outcome, now)


async def _capture(step: Step[fx.Capture]) -> Answer:
    effect = step.effect
    outcome = await outside_step(
        PaymentActivities.capture_payment,
        step,
        PAYMENT,
        f"{effect.amount} for {effect.fulfillment_id or 'what was unpaid'}",
    )
    return lambda state, now: charging.captured(state, effect, outcome, now)


async def _refund(step: Step[fx.Refund]) -> Answer:
    effect = step.effect
    outcome = await outside_step(
        PaymentActivities.refund_payment,
        step,
        PAYMENT,
        f"{effect.amount}: {effect.reason}",
    )
    return lambda state, now: charging.refunded(state, effect, outcome, now)


async def _void_rest(step: Step[fx.VoidRest]) -> Answer:
    effect = step.effect
    outcome = await outside_step(PaymentActivities.void_payment, step, PAYMENT)
    return lambda state, now: charging.voided(state, effect, outcome, now)


# -- carriers and the network ----------------------------------------------------------


async def _buy_label(step: Step[fx.BuyLabel]) -> Answer:
    effect = step.effect
    outcome = await outside_step(CarrierActivities.buy_label, step, CARRIER, effect.parcel_id)
    label = outcome.label
    if label is not None:
        return lambda state, now: handoff.label_bought(state, effect.parcel_id, label, now)
    reason = outcome.refused_because or "the carrier gave no reason"
    return lambda state, now: handoff.label_refused(state, effect.parcel_id, reason, now)


async def _void_label(step: Step[fx.VoidLabel]) -> Answer:
    effect = step.effect
    voided = await outside_step(CarrierActivities.void_label, step, CARRIER, effect.parcel_id)
    word = "voided" if voided else "not voided: the carrier refused"
    return lambda state, now: log(
        state, now, "carrier", "label_voided", f"{effect.parcel_id}: label {effect.tracking_number} {word}"
    )


async def _ask_network(state: OrderState, effect: fx.AskNetwork, now: datetime) -> Answer:
    assert effect.fulfillment_id is not None
    fulfillment_id = effect.fulfillment_id
    order = network.network_order(state, fulfillment_id, effect.key, now)
    if order is None:  # cancelled before the network was asked
        return _nothing
    status = await outside_step(NetworkActivities.ask_network, order, NETWORK, fulfillment_id)
    return lambda state, now: network.network_asked(state, fulfillment_id, status, now)


async def _cancel_network(step: Step[fx.CancelNetwork]) -> Answer:
    effect = step.effect
    assert effect.fulfillment_id is not None
    fulfillment_id = effect.fulfillment_id
    agreed = await outside_step(
        NetworkActivities.cancel_network,
        step,
        NETWORK,
        fulfillment_id,
    )
    return lambda state, now: network.cancel_answered(state, fulfillment_id, agreed, now)
