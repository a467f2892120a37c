"""Money in integer minor units: shares that add up, and what a few units of a line are worth."""

from collections.abc import Sequence

from domain.order import edit_line, the_line
from domain.placing import PlaceOrder
from domain.state import LineMoney, OrderState


def largest_remainder(amount: int, weights: Sequence[int]) -> list[int]:
    """Share `amount` by weight so that the shares add up to it exactly (Hamilton's method).

    Ties go to the earlier weight; where all weigh nothing, all weigh the same.
    """
    assert amount >= 0, amount
    assert all(weight >= 0 for weight in weights), weights
    if not any(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
    shares = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % whole), i))
    for index in by_remainder[: amount - sum(shares)]:
        shares[index] += 1
    return shares


def line_totals(order: PlaceOrder) -> list[int]:
    """What each line costs with its share of shipping, tax and discount; frozen at sale."""
    items = [line.quantity * line.unit_price for line in order.lines]
    shipping = largest_remainder(order.shipping.price, items)
    tax = largest_remainder(order.tax, items)
    gross = [sum(parts) for parts in zip(items, shipping, tax, strict=True)]
    discount = largest_remainder(order.discount, gross)
    return [whole - less for whole, less in zip(gross, discount, strict=True)]


def _part(amount: int, units: int, of_units: int) -> int:
    """The share of `units` in what is left; the last units take the rest, so nothing is lost."""
    assert 0 < units <= of_units, (units, of_units)
    return amount * units // of_units


def uncaptured_share(money: LineMoney, quantity: int, units: int) -> int:
    """What `units` of a line are worth that are neither captured nor dropped yet."""
    left = money.total - money.captured - money.dropped
    return _part(left, units, quantity - money.captured_units - money.dropped_units)


def capture_units(state: OrderState, line_id: str, units: int) -> tuple[OrderState, int]:
    """Count units of a line as charged; gives their amount."""
    line = the_line(state, line_id)
    amount = uncaptured_share(line.money, line.quantity, units)
    money = line.money.model_copy(
        update={
            "captured_units": line.money.captured_units + units,
            "captured": line.money.captured + amount,
        }
    )
    return edit_line(state, line_id, money=money), amount


def drop_units(state: OrderState, line_id: str, units: int) -> tuple[OrderState, int]:
    """Count units of a line as never to be charged; gives their amount."""
    line = the_line(state, line_id)
    amount = uncaptured_share(line.money, line.quantity, units)
    money = line.money.model_copy(
        update={
            "dropped_units": line.money.dropped_units + units,
            "dropped": line.money.dropped + amount,
        }
    )
    return edit_line(state, line_id, money=money), amount


def refund_units(state: OrderState, line_id: str, units: int) -> tuple[OrderState, int]:
    """Count charged units of a line as given back; gives their amount.

    Of a reship, which costs nothing, the line that was paid for is refunded.
    """
    line = the_line(state, line_id)
    while line.reship:
        assert line.replaces is not None
        line = the_line(state, line.replaces)
    money = line.money
    units = min(units, money.captured_units - money.refunded_units)
    if units == 0:
        return state, 0
    amount = _part(money.captured - money.refunded, units, money.captured_units - money.refunded_units)
    money = money.model_copy(
        update={
            "refunded_units": money.refunded_units + units,
            "refunded": money.refunded + amount,
        }
    )
    return edit_line(state, line.line_id, money=money), amount
