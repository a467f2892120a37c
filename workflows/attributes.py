"""Search attributes by which staff find orders; none holds personal data."""

from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from domain.state import OrderState
from domain.status import attention, next_ship_by, order_status, promised_at
from workflows import names


def search_attributes(state: OrderState) -> list[tuple[SearchAttributeKey[Any], Any]]:
    """Key and value; None where the order has no such value now."""
    return [
        (names.ORDER_STATUS, order_status(state).value),
        (names.ORDER_CUSTOMER, state.customer_id),
        (names.ORDER_SELLERS, sorted({line.seller for line in state.lines})),
        (names.ORDER_SHIP_BY, next_ship_by(state)),
        (names.ORDER_PROMISED_AT, promised_at(state)),
        (names.ORDER_ATTENTION, list(attention(state)) or None),
    ]


def typed_search_attributes(state: OrderState) -> TypedSearchAttributes:
    """Those that have a value."""
    pairs = (SearchAttributePair(key, value) for key, value in search_attributes(state) if value is not None)
    return TypedSearchAttributes(tuple(pairs))
