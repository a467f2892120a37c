"""Baskets as customers filled them: how large, worth how much, and what lies in them together."""

PAIRED_PRODUCTS_MAX = 20
"""An order of more different products is left out of what is bought together: its pairs grow with their square, and an
order of everything says nothing about any two of them.
"""

PAIR_ORDERS_MIN = 2
"""What was bought together once is chance."""

SIZE_MAX = 11
"""From here on sizes are counted as one: 11 and more."""


def size_label(size: int) -> str:
    return f"{size} or more" if size >= SIZE_MAX else str(size)


def value_step(amount: int) -> int:
    """The lower end of the step that an amount belongs to: 0, 1, 2, 5, 10, 20, 50 and so on, in minor units.

    The store's SQL says the same.
    """
    if amount < 1:
        return 0
    power = int("1" + "0" * (len(str(amount)) - 1))
    return next(first for first in (5 * power, 2 * power, power) if amount >= first)


def value_step_after(step: int) -> int:
    """Where the next step begins."""
    if step == 0:
        return 1
    return step // 2 * 5 if str(step)[0] == "2" else 2 * step


def lift(together: int, first: int, second: int, orders: int) -> float | None:
    """How many times as often two products are bought together as if nobody chose them for each other:
    P(both) / (P(first) x P(second)). None where it cannot be told.
    """
    return round(together * orders / (first * second), 4) if first and second else None
