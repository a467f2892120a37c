"""The ways to perform a step: short ones in PostgreSQL, and those of outside parties."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, cast

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.steps import ROWS_AHEAD
    from domain.requests import RowsAhead
    from workflows.names import queue_of
    from workflows.options import OUTSIDE_LOCAL, STORE_LOCAL, STORE_PATIENT, Patience

_Activities = TypeVar("_Activities")
_Input = TypeVar("_Input")
_Output = TypeVar("_Output")


async def store_step(
    step: Callable[[_Activities, _Input], Awaitable[_Output]], arg: _Input, summary: str = ""
) -> _Output:
    """Local while PostgreSQL answers: one event. Regular and patient once it does not.

    Every step is keyed, so one that timed out locally may well have been done already. Raises `RowsAhead`.
    """
    try:
        return await _local_step(step, arg, STORE_LOCAL, summary)
    except FailureError as error:
        _raise_if_ahead(error)
        # A local activity that gave up raises what it failed of itself; only a timeout comes as an ActivityError.
        fields = {"step": getattr(step, "__name__", ""), "cause": str(error.cause or error)}
        workflow.logger.warning("a store step goes on as a regular activity", extra=fields)
        return await outside_step(step, arg, STORE_PATIENT, summary)


async def recorded_step(
    step: Callable[[_Activities, _Input], Awaitable[_Output]], arg: _Input, summary: str = ""
) -> _Output:
    """A step in PostgreSQL that must not be done before the engine has recorded what it is done for.

    An update lives in the server's memory until its workflow task is completed. Were worker and server
    killed in between, a local step would have moved stock for a message that nobody remembers.
    """
    return await outside_step(step, arg, STORE_PATIENT, summary)


async def quick_outside_step(
    step: Callable[[_Activities, _Input], Awaitable[_Output]],
    arg: _Input,
    patience: Patience,
    summary: str = "",
    *,
    before_patience: Callable[[], None],
) -> _Output:
    """An outside party that answers at once, as a rule: one local try, then as `outside_step`.

    Only for what is in the history already: see `recorded_step`. The call is keyed, so one that timed out locally may
    well have been done. Too many that hang are turned away at once (`activities.few_at_once`), and fill no local slot.
    """
    try:
        return await _local_step(step, arg, OUTSIDE_LOCAL, summary)
    except FailureError:
        before_patience()
        return await outside_step(step, arg, patience, summary)


class _TakesTurns(Protocol):
    local_turn: asyncio.Lock


async def _local_step(
    step: Callable[[_Activities, _Input], Awaitable[_Output]], arg: _Input, patience: Patience, summary: str
) -> _Output:
    """One after another within an order.

    Of several the core tells in the order in which they end, but in a replay in the order in which they began (issues
    1578 and 1881 of temporalio/sdk-python): the order would go another way, and be stuck.
    """
    async with cast(_TakesTurns, workflow.instance()).local_turn:
        return await workflow.execute_local_activity_method(
            step,
            arg,
            summary=summary or None,
            start_to_close_timeout=patience.one_try,
            schedule_to_close_timeout=patience.all_tries,
            retry_policy=patience.retries,
        )


async def outside_step(
    step: Callable[[_Activities, _Input], Awaitable[_Output]], arg: _Input, patience: Patience, summary: str = ""
) -> _Output:
    """A regular activity, for what may take long or hang: tried for ever, on the party's own queue."""
    try:
        return await workflow.execute_activity_method(
            step,
            arg,
            summary=summary or None,
            task_queue=queue_of(workflow.info().task_queue, patience.party) if patience.party else None,
            start_to_close_timeout=patience.one_try,
            schedule_to_close_timeout=patience.all_tries,
            heartbeat_timeout=patience.heartbeat,
            retry_policy=patience.retries,
        )
    except FailureError as error:
        _raise_if_ahead(error)
        raise


def _raise_if_ahead(error: FailureError) -> None:
    for one in (error, error.cause):
        if isinstance(one, ApplicationError) and one.type == ROWS_AHEAD:
            raise RowsAhead(int(one.details[0])) from error
