"""The mails of an order, each made from its state by one function; none holds a name or address."""

from collections.abc import Iterable
from datetime import datetime

from domain import mails
from domain.mails import MailLine, MailParcel, MailTotals
from domain.order import (
    fulfillment_of,
    role_of,
    the_fulfillment,
    the_line,
    the_parcel,
    units_in,
    units_of_parcel,
    units_where,
)
from domain.placing import Channel
from domain.state import Fulfillment, OrderState, Parcel, Shortage
from domain.units import BEFORE_HANDOFF, Place, Units

_ACTORS: dict[str, mails.Actor] = {
    "customer": "customer",
    "seller": "seller",
    "support": "support",
}


def actor(by: str) -> mails.Actor:
    return _ACTORS.get(role_of(by), "marketplace")


def mail_lines(state: OrderState, units: Iterable[Units], *, priced: bool = False) -> tuple[MailLine, ...]:
    """Units as lines of a mail, those of one line together, with the dates promised for them."""
    counts: dict[tuple[str, str | None], int] = {}
    for unit in units:
        key = (unit.line_id, unit.spot.fulfillment_id)
        counts[key] = counts.get(key, 0) + unit.quantity
    result = []
    for (line_id, fulfillment_id), quantity in counts.items():
        line = the_line(state, line_id)
        fulfillment = fulfillment_of(state, fulfillment_id)
        result.append(
            MailLine(
                sku=line.sku,
                title=line.title,
                quantity=quantity,
                unit_price=line.unit_price if priced else None,
                amount=line.unit_price * quantity if priced else None,
                seller=line.seller,
                estimated_from=line.earliest_delivery if fulfillment is None else None,
                estimated_until=fulfillment.deliver_by if fulfillment else line.deliver_by,
            )
        )
    return tuple(result)


def mail_totals(state: OrderState) -> MailTotals:
    totals = state.totals
    return MailTotals(
        currency=totals.currency,
        items=totals.items,
        shipping=totals.shipping,
        tax=totals.tax,
        discount=totals.discount,
        total=totals.total,
    )


def mail_parcel(state: OrderState, parcel: Parcel) -> MailParcel:
    return MailParcel(
        carrier=parcel.carrier or "",
        tracking_number=parcel.tracking_number or "",
        tracking_url=parcel.tracking_url or "",
        lines=mail_lines(state, units_of_parcel(state, parcel.parcel_id)),
    )


def confirmed(state: OrderState, units: tuple[Units, ...]) -> mails.ConfirmedMail:
    return mails.ConfirmedMail(
        key=f"{state.order_id}:confirmed",
        order_id=state.order_id,
        lines=mail_lines(state, units, priced=True),
        totals=mail_totals(state),
        shipping_method=state.method,
    )


def seller_new_order(state: OrderState, fulfillment: Fulfillment) -> mails.SellerNewOrderMail:
    return mails.SellerNewOrderMail(
        key=f"{state.order_id}:new:{fulfillment.fulfillment_id}",
        order_id=state.order_id,
        to=mails.to_seller(fulfillment.seller),
        fulfillment_id=fulfillment.fulfillment_id,
        lines=mail_lines(state, units_in(state, fulfillment.fulfillment_id), priced=True),
        ship_by=fulfillment.ship_by,
        shipping_method=state.method,
        currency=state.totals.currency,
        by_network=fulfillment.channel is Channel.FBA,
    )


def seller_address_changed(state: OrderState, fulfillment: Fulfillment, key: str) -> mails.SellerAddressChangedMail:
    fulfillment_id = fulfillment.fulfillment_id
    return mails.SellerAddressChangedMail(
        key=f"{key}:{fulfillment_id}",
        order_id=state.order_id,
        to=mails.to_seller(fulfillment.seller),
        fulfillment_id=fulfillment_id,
        lines=mail_lines(state, units_in(state, fulfillment_id, *BEFORE_HANDOFF)),
        packed=bool(units_in(state, fulfillment_id, Place.PACKED)),
    )


def out_of_stock(
    state: OrderState, shortages: tuple[Shortage, ...], key: str, others_ship: bool
) -> mails.OutOfStockMail:
    lines = []
    for shortage in shortages:
        line = the_line(state, shortage.line_id)
        substitutes = tuple(
            mails.MailSubstitute(sku=s.sku, title=s.title, unit_price=s.unit_price) for s in shortage.substitutes
        )
        choices: tuple[mails.ShortageChoice, ...] = ("wait", "refund", "cancel")
        lines.append(
            mails.MailShortLine(
                sku=line.sku,
                title=line.title,
                quantity=shortage.quantity,
                choices=("substitute", *choices) if substitutes else choices,
                substitutes=substitutes,
            )
        )
    return mails.OutOfStockMail(
        key=key,
        order_id=state.order_id,
        lines=tuple(lines),
        decide_by=shortages[0].answer_by,
        default=state.policy.shortage_default,
        currency=state.totals.currency,
        others_ship=others_ship,
    )


def shipped(state: OrderState, fulfillment_id: str, parcel_ids: tuple[str, ...], charged: int) -> mails.ShippedMail:
    fulfillment = the_fulfillment(state, fulfillment_id)
    still = units_where(state, lambda unit: unit.spot.place in BEFORE_HANDOFF)
    first = parcel_ids[0].removeprefix(f"{fulfillment_id}-")
    parcels = tuple(the_parcel(state, parcel_id) for parcel_id in parcel_ids)
    estimates = [parcel.estimate for parcel in parcels if parcel.estimate]
    return mails.ShippedMail(
        key=f"{state.order_id}:shipped:{fulfillment_id}:{first}",
        order_id=state.order_id,
        parcels=tuple(mail_parcel(state, parcel) for parcel in parcels),
        still_to_come=mail_lines(state, still),
        estimated_until=max(estimates, default=fulfillment.deliver_by),
        charged=charged,
        currency=state.totals.currency,
    )


def out_for_delivery(state: OrderState, parcel: Parcel) -> mails.OutForDeliveryMail:
    return mails.OutForDeliveryMail(
        key=f"{state.order_id}:out_for_delivery:{parcel.parcel_id}",
        order_id=state.order_id,
        parcel=mail_parcel(state, parcel),
        expected_by=parcel.estimate,
    )


def delayed(state: OrderState, parcel: Parcel, reason: str, key: str) -> mails.DelayedMail:
    return mails.DelayedMail(
        key=key,
        order_id=state.order_id,
        parcel=mail_parcel(state, parcel),
        promised_until=the_fulfillment(state, parcel.fulfillment_id).deliver_by,
        estimated_until=parcel.estimate,
        reason=reason,
    )


def delivered(state: OrderState, parcel: Parcel, by: str, place: str) -> mails.DeliveredMail:
    assert parcel.delivered_at is not None
    still = units_where(state, lambda unit: unit.spot.place in (*BEFORE_HANDOFF, Place.SHIPPED))
    who = "assumed" if parcel.presumed_delivered else role_of(by)
    return mails.DeliveredMail(
        key=f"{state.order_id}:delivered:{parcel.parcel_id}",
        order_id=state.order_id,
        parcel=mail_parcel(state, parcel),
        delivered_at=parcel.delivered_at,
        confirmed_by=_CONFIRMED_BY.get(who, "support"),
        received_by=parcel.proof or "",
        place=place,
        still_to_come=mail_lines(state, still),
    )


_CONFIRMED_BY = {"carrier": "carrier", "customer": "customer", "assumed": "assumed"}


def refunded(
    state: OrderState, amount: int, reason: str, key: str, units: tuple[Units, ...] = ()
) -> mails.RefundedMail:
    return mails.RefundedMail(
        key=f"{key}:mail",
        order_id=state.order_id,
        amount=amount,
        currency=state.totals.currency,
        reason=reason,
        lines=mail_lines(state, units),
    )


def payment_declined(
    state: OrderState, amount: int, reason: str, until: datetime, key: str
) -> mails.PaymentDeclinedMail:
    return mails.PaymentDeclinedMail(
        key=key,
        order_id=state.order_id,
        amount=amount,
        currency=state.totals.currency,
        reason=reason,
        retry_until=until,
    )
