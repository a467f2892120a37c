"""How a movement of money is spread over the payments of an order."""

from collections.abc import Iterable

from domain.model import Frozen
from domain.placing import PaymentKind
from domain.requests import MoveKind

_RANK = {PaymentKind.VOUCHER: 0, PaymentKind.PREPAID: 1, PaymentKind.CARD: 2}


class Balance(Frozen):
    """What can still be done with a payment, in minor units; movements under way are taken off already."""

    payment_id: str
    kind: PaymentKind
    unauthorized: int = 0
    open: int = 0
    """Authorized, and neither captured nor voided."""

    refundable: int = 0
    capture_refused: bool = False


def spread(payments: Iterable[Balance], move: MoveKind, amount: int | None) -> tuple[tuple[str, int], ...]:
    """Payment ids with their shares; `None` is all there is, and it is less than `amount` where there is no more.

    Vouchers are captured first and cards last, so that a card is charged no more than it must be; refunds go the other
    way. A payment whose capture was refused comes after all others.
    """
    ranked = sorted(payments, key=lambda payment: _RANK[payment.kind])  # stable: else in the order given
    match move:
        case MoveKind.AUTHORIZE:
            held = [(payment.payment_id, payment.unauthorized) for payment in ranked]
        case MoveKind.CAPTURE:
            ranked.sort(key=lambda payment: payment.capture_refused)
            held = [(payment.payment_id, payment.open) for payment in ranked]
        case MoveKind.REFUND:
            held = [(payment.payment_id, payment.refundable) for payment in reversed(ranked)]
        case MoveKind.VOID:
            held = [(payment.payment_id, payment.open) for payment in ranked]
    left = sum(there for _, there in held) if amount is None else amount
    shares = []
    for payment_id, there in held:
        share = min(there, left)
        if share > 0:
            shares.append((payment_id, share))
            left -= share
    return tuple(shares)
