"""Which effects may be performed now: most at once, some only after others."""

from domain.effects import (
    AskNetwork,
    Authorize,
    BuyLabel,
    CancelBackorder,
    CancelNetwork,
    Capture,
    Effect,
    Refund,
    SaveAddress,
    VoidRest,
)
from domain.order import the_fulfillment, units_in
from domain.state import OrderState
from domain.units import Place


def is_ready(state: OrderState, effect: Effect) -> bool:
    match effect:
        case AskNetwork():
            # With nothing left to ask for it is done at once, also on hold.
            assert effect.fulfillment_id is not None
            if not units_in(state, effect.fulfillment_id, Place.RESERVED):
                return True
            return the_fulfillment(state, effect.fulfillment_id).released_to_network and not _address_changes(state)
        case BuyLabel():
            return not _address_changes(state)
        case CancelNetwork():
            assert effect.fulfillment_id is not None
            known = the_fulfillment(state, effect.fulfillment_id).network_status is not None
            return known or not any(
                isinstance(other, AskNetwork) and other.fulfillment_id == effect.fulfillment_id
                for other in state.effects
            )
        case CancelBackorder():
            return all(other.key != effect.backorder_key for other in state.effects)
        case Refund():
            return not any(isinstance(other, Capture) for other in state.effects)
        case VoidRest():
            return not any(isinstance(other, Authorize | Capture) for other in state.effects)
        case _:
            return True


def _address_changes(state: OrderState) -> bool:
    """The new address is not saved yet, and carriers and the network would be given the old one."""
    return any(isinstance(effect, SaveAddress) for effect in state.effects)
