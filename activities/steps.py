"""The inputs of activities: an effect of an order, and the rows to write beside it."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.effects import RecordDelivery
from domain.model import Frozen
from domain.placing import PlaceOrder
from domain.progress import Progress
from domain.requests import RowsAhead
from domain.results import OrderResult

E = TypeVar("E", bound=Frozen)
_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


class Step(Frozen, Generic[E]):
    """An effect to perform, with the rows that changed so far in the same transaction."""

    order_id: str
    effect: E
    progress: Progress | None = None


ROWS_AHEAD = "RowsAhead"


def writes_rows(step: Callable[_Arguments, Awaitable[_Answer]]) -> Callable[_Arguments, Coroutine[Any, Any, _Answer]]:
    """For activities that save progress: `RowsAhead` goes to the order with the version, and is not tried again."""

    @wraps(step)
    async def written(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Answer:
        try:
            return await step(*arguments, **named)
        except RowsAhead as ahead:
            raise ApplicationError(
                str(ahead),
                ahead.version,
                type=ROWS_AHEAD,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,
            ) from None

    return written


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
