"""A movement of money is spread without a minor unit lost or invented."""

from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import Balance, spread
from domain.placing import PaymentKind
from domain.requests import MoveKind

_AMOUNT = st.integers(0, 1000)
_BALANCES = st.lists(
    st.builds(
        Balance,
        payment_id=st.uuids().map(str),
        kind=st.sampled_from(PaymentKind),
        unauthorized=_AMOUNT,
        open=_AMOUNT,
        refundable=_AMOUNT,
        capture_refused=st.booleans(),
    ),
    max_size=6,
)
_HELD = {
    MoveKind.AUTHORIZE: "unauthorized",
    MoveKind.CAPTURE: "open",
    MoveKind.VOID: "open",
    MoveKind.REFUND: "refundable",
}


@given(_BALANCES, st.sampled_from(MoveKind), st.one_of(st.none(), st.integers(0, 5000)))
def test_no_payment_gives_more_than_it_holds(balances: list[Balance], move: MoveKind, amount: int | None) -> None:
    held = {balance.payment_id: getattr(balance, _HELD[move]) for balance in balances}
    shares = dict(spread(balances, move, amount))
    assert all(0 < share <= held[payment_id] for payment_id, share in shares.items())
    everything = sum(held.values())
    assert sum(shares.values()) == (everything if amount is None else min(amount, everything))


def test_vouchers_are_captured_before_cards_and_cards_refunded_before_vouchers() -> None:
    card = Balance(payment_id="card", kind=PaymentKind.CARD, open=5, refundable=5)
    voucher = Balance(payment_id="voucher", kind=PaymentKind.VOUCHER, open=5, refundable=5)
    assert spread([card, voucher], MoveKind.CAPTURE, 7) == (("voucher", 5), ("card", 2))
    assert spread([card, voucher], MoveKind.REFUND, 7) == (("card", 5), ("voucher", 2))
