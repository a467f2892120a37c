"""What is open in an order beside its units: what people are asked, and what they stopped or complained of."""

from domain.model import Frozen
from domain.state import Backorder, CancellationRequest, Hold, Issue, OrderState, Shortage


class Matters(Frozen):
    """As pages show them, written with the order's row. Issues stay after their end, for their answer."""

    shortages: tuple[Shortage, ...] = ()
    backorders: tuple[Backorder, ...] = ()
    requests: tuple[CancellationRequest, ...] = ()
    holds: tuple[Hold, ...] = ()
    issues: tuple[Issue, ...] = ()


def matters_of(state: OrderState) -> Matters | None:
    matters = Matters(
        shortages=state.shortages,
        backorders=state.backorders,
        requests=state.requests,
        holds=state.holds,
        issues=state.issues,
    )
    return None if matters == _NOTHING else matters


_NOTHING = Matters()
