"""Names that the outside world knows: they never change once released."""

from typing import Final

from temporalio.common import SearchAttributeKey

WORKFLOW: Final = "OrderWorkflow"
TASK_QUEUE: Final = "openorders"
DEPLOYMENT: Final = "openorders"
"""Of which all builds of the worker are versions, for Temporal."""

ORDER_STATUS = SearchAttributeKey.for_keyword("OrderStatus")
ORDER_CUSTOMER = SearchAttributeKey.for_keyword("OrderCustomer")
ORDER_SELLERS = SearchAttributeKey.for_keyword_list("OrderSellers")
ORDER_SHIP_BY = SearchAttributeKey.for_datetime("OrderShipBy")
ORDER_PROMISED_AT = SearchAttributeKey.for_datetime("OrderPromisedAt")
ORDER_ATTENTION = SearchAttributeKey.for_keyword_list("OrderAttention")

SEARCH_ATTRIBUTES: Final[dict[str, str]] = {
    "OrderStatus": "Keyword",
    "OrderCustomer": "Keyword",
    "OrderSellers": "KeywordList",
    "OrderShipBy": "Datetime",
    "OrderPromisedAt": "Datetime",
    "OrderAttention": "KeywordList",
}
"""Name to type, as the server registers them; none holds personal data."""


RECONCILE: Final = "ReconcileWorkflow"
TAKE_UP: Final = "take_up"
"""What a workflow is started with that takes up an order, in place of the order itself."""


def workflow_id(order_id: str) -> str:
    return f"order:{order_id}"


def queue_of(task_queue: str, party: str) -> str:
    """A queue of its own per outside party: one that hangs fills its own slots and stops nobody else."""
    return f"{task_queue}-{party}"
