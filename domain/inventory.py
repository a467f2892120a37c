"""What is asked of the inventory check."""

from datetime import datetime

from domain.effects import Reserve, Want
from domain.order import caused_key, edit, emit
from domain.state import OrderState, Phase
from domain.units import Place, Spot, count


def reserve_pending(state: OrderState, now: datetime, *words: str, only: frozenset[str] | None = None) -> OrderState:
    """Ask for all pending units, or those of some lines, in one inventory check.

    Units that wait for the customer's choice, or that a check under way asks for, are left to those.
    """
    wants = tuple(
        Want(
            line_id=line.line_id,
            seller=line.seller,
            channel=line.channel,
            sku=line.sku,
            quantity=quantity,
            barred=line.barred_locations,
        )
        for line in state.lines
        if only is None or line.line_id in only
        if (quantity := not_short(state, line.line_id) - being_checked(state, line.line_id)) > 0
    )
    if not wants:
        return edit(state, phase=Phase.OPEN)
    state, key = caused_key(state, *words)
    return emit(
        state,
        Reserve(key=key, wants=wants, placed_at=now, method=state.method, country=state.country),
    )


def not_short(state: OrderState, line_id: str) -> int:
    """Pending units of a line that wait for no choice of the customer."""
    short = sum(shortage.quantity for shortage in state.shortages if shortage.line_id == line_id)
    return count(state.units, line_id, Spot(place=Place.PENDING)) - short


def being_checked(state: OrderState, line_id: str) -> int:
    """Units of a line that inventory checks under way ask for; some may have been cancelled since."""
    return sum(
        want.quantity
        for effect in state.effects
        if isinstance(effect, Reserve)
        for want in effect.wants
        if want.line_id == line_id
    )
