"""How an order comes to be: its lines, its money shared out, its payments authorized."""

from datetime import datetime, timedelta

from domain import letters
from domain.cancellation import cancel_everything
from domain.charging import ask_to_capture
from domain.currencies import amount_text
from domain.effects import Authorize
from domain.inventory import reserve_pending
from domain.messages import UpdatePayment
from domain.money import line_totals
from domain.order import SYSTEM, counted, edit, emit, key_for, log, money_text, post
from domain.placing import PlaceOrder
from domain.requests import ListedLine, PaymentOutcome
from domain.state import Line, LineMoney, OrderState, Payment, Phase, Totals
from domain.timeline import Entry
from domain.units import Place, Spot, Units


def placed(order: PlaceOrder, listed: tuple[ListedLine, ...], origin: datetime, started_at: datetime) -> OrderState:
    """The order as `record_order` has written it: nothing has been asked of anybody yet."""
    listings = {line.line_id: line for line in listed}
    lines = []
    for line, total in zip(order.lines, line_totals(order), strict=True):
        listing = listings[line.line_id]
        lines.append(
            Line(
                line_id=line.line_id,
                sku=line.sku,
                title=listing.title,
                quantity=line.quantity,
                unit_price=line.unit_price,
                seller=line.seller,
                channel=line.channel,
                money=LineMoney(total=total),
                ship_by=listing.ship_by,
                deliver_by=listing.deliver_by,
                earliest_delivery=listing.earliest_delivery,
            )
        )
    state = OrderState(
        order_id=order.order_id,
        customer_id=order.customer.id,
        method=order.shipping.method,
        country=order.ship_to.country,
        totals=Totals(
            currency=order.currency,
            items=sum(line.quantity * line.unit_price for line in order.lines),
            shipping=order.shipping.price,
            tax=order.tax,
            discount=order.discount,
            total=order.total,
        ),
        policy=order.policy,
        origin=origin,
        started_at=started_at,
        factor=order.clock.factor,
        phase=Phase.PAYING,
        lines=tuple(lines),
        units=tuple(
            Units(line_id=line.line_id, spot=Spot(place=Place.PENDING), quantity=line.quantity) for line in order.lines
        ),
        payments=tuple(
            Payment(payment_id=str(index), kind=payment.kind, amount=payment.amount)
            for index, payment in enumerate(order.payments, start=1)
        ),
    )
    return edit(state, entries=(placed_entry(order, origin),), entry_count=1)


def placed_entry(order: PlaceOrder, at: datetime) -> Entry:
    """The first line of the timeline; `record_order` writes it with the order's other rows."""
    summary = f"{counted(len(order.lines), 'line')}, {amount_text(order.total, order.currency)}"
    return Entry(seq=1, occurred_at=at, received_at=at, who="customer", what="placed", summary=summary)


def open_order(order: PlaceOrder, listed: tuple[ListedLine, ...], origin: datetime, started_at: datetime) -> OrderState:
    """The order placed, and its payments asked for; `started_at` is server time."""
    return _ask_to_authorize(placed(order, listed, origin, started_at), origin)


def _ask_to_authorize(state: OrderState, now: datetime) -> OrderState:
    new = tuple(payment.payment_id for payment in state.payments if payment.status == "new" and payment.amount)
    if not new:  # the order costs nothing
        return _paid(state, now)
    state, key = key_for(state, "authorize")
    return emit(state, Authorize(key=key, payment_ids=new))


def authorized(state: OrderState, effect: Authorize, outcome: PaymentOutcome, now: datetime) -> OrderState:
    """What the provider said: all authorized, or the customer may give another payment."""
    declined = dict(outcome.declined)
    payments = tuple(
        _answered(payment, declined.get(payment.payment_id)) if payment.payment_id in effect.payment_ids else payment
        for payment in state.payments
    )
    money = state.money.model_copy(update={"authorized": state.money.authorized + outcome.done})
    state = edit(state, payments=payments, money=money)
    if not declined:
        state = log(state, now, SYSTEM, "authorized", f"{money_text(state, outcome.done)} authorized")
        return _paid(state, now) if state.phase is Phase.PAYING else _capture_unpaid(state, now)
    reason = "; ".join(sorted(set(declined.values())))
    state = log(state, now, "payments", "payment_declined", f"The payment was declined: {reason}", why=reason)
    if state.phase is not Phase.PAYING or _nothing_wanted(state):
        return state
    until = state.pay_by or now + timedelta(hours=state.policy.payment_retry_hours)
    amount = amount_declined(state)
    state = edit(state, pay_by=until)
    return post(state, letters.payment_declined(state, amount, reason, until, f"{effect.key}:declined"))


def _answered(payment: Payment, refused_because: str | None) -> Payment:
    status = "declined" if refused_because else "authorized"
    return payment.model_copy(update={"status": status, "declined_because": refused_because})


def amount_declined(state: OrderState) -> int:
    """Minor units for which no payment stands good."""
    return sum(payment.amount for payment in state.payments if payment.status == "declined")


def _nothing_wanted(state: OrderState) -> bool:
    return all(unit.spot.place is Place.CANCELLED for unit in state.units)


def _paid(state: OrderState, now: datetime) -> OrderState:
    """The order is paid for: on to the inventory check of what is still wanted."""
    state = edit(state, phase=Phase.CHECKING, pay_by=None)
    return reserve_pending(state, now, "reserve")


# -- another payment -----------------------------------------------------------


def amount_to_pay(state: OrderState) -> int:
    """Minor units for which the customer may give another payment now."""
    return state.unpaid or (amount_declined(state) if state.pay_by else 0)


def is_paying(state: OrderState) -> bool:
    """A payment is being tried: what is owed, and until when, depends on how that ends."""
    return any(isinstance(effect, Authorize) for effect in state.effects)


def update_payment_refusal(state: OrderState, message: UpdatePayment) -> str | None:
    if is_paying(state):
        return "payments: another payment is being tried just now"
    wanted = amount_to_pay(state)
    if not wanted:
        return "payments: nothing of this order is unpaid"
    given = sum(payment.amount for payment in message.payments)
    if given != wanted:
        return f"payments: they add up to {given}, {wanted} is unpaid"
    if any(payment.currency not in (None, state.totals.currency) for payment in message.payments):
        return f"payments: the order is in {state.totals.currency}"
    return None


def accept_update_payment(state: OrderState, message: UpdatePayment, now: datetime) -> tuple[OrderState, str]:
    """Try the new payments; gives the key of the effect whose outcome tells."""
    payments = [
        payment.model_copy(update={"status": "replaced"}) if payment.status == "declined" else payment
        for payment in state.payments
    ]
    ids = []
    for means in message.payments:
        payment_id = str(len(payments) + 1)
        ids.append(payment_id)
        payments.append(Payment(payment_id=payment_id, kind=means.kind, amount=means.amount))
    state = edit(state, payments=tuple(payments))
    state = log(state, now, message.by, "payment_updated", f"{len(ids)} other payments given", why=message.reason)
    state, key = key_for(state, "authorize")
    return emit(state, Authorize(key=key, payment_ids=tuple(ids), added=message.payments)), key


def _capture_unpaid(state: OrderState, now: datetime) -> OrderState:
    amount = state.unpaid
    state = edit(state, unpaid=0, unpaid_since=None)
    return ask_to_capture(state, None, amount)


def payment_time_is_up(state: OrderState, now: datetime) -> OrderState:
    """Nobody gave another payment in time."""
    state = edit(state, pay_by=None)
    return cancel_everything(state, now, SYSTEM, "payment declined")
