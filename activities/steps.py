"""The inputs of activities: an effect of an order, and the rows to write beside it."""

from datetime import datetime
from typing import Generic, TypeVar

from domain.effects import RecordDelivery
from domain.model import Frozen
from domain.placing import PlaceOrder
from domain.progress import Progress
from domain.results import OrderResult

E = TypeVar("E", bound=Frozen)


class Step(Frozen, Generic[E]):
    """An effect to perform, with the rows that changed so far in the same transaction."""

    order_id: str
    effect: E
    progress: Progress | None = None


class AcceptInput(Frozen):
    """The order as placed; `placed_at` is business time."""

    order: PlaceOrder
    first_run_id: str
    placed_at: datetime


class DeliveryInput(Step[RecordDelivery]):
    """`result` where nothing is left to do after it: the order is closed in the same transaction."""

    result: OrderResult | None = None


class CloseInput(Frozen):
    progress: Progress
    result: OrderResult
