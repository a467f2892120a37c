"""Orders from the outside: place them, send them messages, ask them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, Protocol, TypeVar
from uuid import uuid4

from pydantic import BaseModel
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.currencies import amount_text
from domain.decoding import Refusal, decode
from domain.messages import MESSAGES, QUERIES, Message, Query
from domain.model import Frozen
from domain.order import counted
from domain.placing import PlaceOrder, body_hash
from domain.requests import KnownOrder, Unavailable, UnknownLine
from domain.results import OrderResult
from usecases.errors import (
    InvalidMessage,
    InvalidOrder,
    OrderClosed,
    OrderConflict,
    OrderError,
    OrderNotFound,
    Refused,
    Unreachable,
)
from workflows.arguments import ArgumentConverter
from workflows.names import TASK_QUEUE, WORKFLOW, workflow_id
from workflows.runner import TAKEN_OVER

BODY_HASH = "body_hash"
"""In the memo of a workflow: which body it was started with, without showing it."""

RPC_TIMEOUT = timedelta(seconds=10)
_TOOK_TOO_LONG = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)

_PAUSES = (0.05, 0.2, 0.5, 1.0)
"""Seconds between tries of an update that the server asks for anew, and of a query that came too early."""

_Body = Mapping[str, Any] | BaseModel
_Model = TypeVar("_Model", bound=BaseModel)
_Answer = TypeVar("_Answer")


class KnownOrders(Protocol):
    """Satisfied by the store: it remembers an order longer than Temporal does."""

    async def known_order(self, order_id: str) -> KnownOrder | None: ...

    async def look_up(self, order: PlaceOrder) -> tuple[KnownOrder | None, tuple[UnknownLine, ...]]: ...


class Placed(Frozen):
    """`new`; or the same order again, which is still running, or has ended with `result`."""

    order_id: str
    outcome: Literal["new", "running_same", "finished_same"]
    result: OrderResult | None = None


class Orders:
    """All methods raise `OrderError`s only. Anything that raised `Unreachable` may be sent again."""

    def __init__(
        self,
        client: Client,
        known: KnownOrders | None = None,
        *,
        task_queue: str = TASK_QUEUE,
        rpc_timeout: timedelta = RPC_TIMEOUT,
    ) -> None:
        self._client = client
        self._known = known
        self._task_queue = task_queue
        self._rpc_timeout = rpc_timeout

    async def place(self, body: _Body) -> Placed:
        """Start the order, or say what has become of it: the same body again never has an effect twice.

        Raises `InvalidOrder` before anything starts, and `OrderConflict` where the id stands for another body. Without
        the store, what only the catalog knows, an unknown SKU, is refused by the order itself: see `refusal`.
        """
        order = decoded(PlaceOrder, body, InvalidOrder)
        fingerprint = body_hash(order)
        if self._known is not None:
            known, unknown = await self._from_store(self._known.look_up(order))
            if known is None:
                _raise_if_unknown(unknown)
            else:
                _same_or_conflict(order.order_id, known.body_hash, fingerprint)
                if known.result is not None:
                    return Placed(order_id=order.order_id, outcome="finished_same", result=known.result)
        try:
            async with self._calls(order.order_id):
                await self._client.start_workflow(
                    WORKFLOW,
                    order.model_dump(mode="json", exclude_unset=True),
                    id=workflow_id(order.order_id),
                    task_queue=self._task_queue,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    # One that failed was refused: it may be placed again once the catalog has been mended.
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    memo={BODY_HASH: fingerprint},
                    static_summary=f"{counted(len(order.lines), 'line')}, {amount_text(order.total, order.currency)}",
                    rpc_timeout=self._rpc_timeout,
                )
        except WorkflowAlreadyStartedError:
            return await self._placed_before(order.order_id, fingerprint)
        return Placed(order_id=order.order_id, outcome="new")

    async def refusal(self, order_id: str) -> OrderError | None:
        """Wait until a new order has been recorded: why it was refused, or None where it goes on.

        Raises `Unreachable` where nobody could look at it yet; the order stands, and waits for that.
        """
        handle = self._handle(order_id)
        deadline = asyncio.get_running_loop().time() + self._rpc_timeout.total_seconds()
        async with self._calls(order_id):
            while not await self._is_recorded(handle):
                description = await handle.describe(rpc_timeout=self._rpc_timeout)
                if description.status is WorkflowExecutionStatus.FAILED:
                    return await _why_it_failed(handle)
                if description.status is not WorkflowExecutionStatus.RUNNING:
                    return None
                if asyncio.get_running_loop().time() > deadline:
                    raise Unreachable("the order waits to be recorded: is PostgreSQL running?")
                await asyncio.sleep(0.1)
        return None

    async def why_refused(self, order_id: str) -> OrderError | None:
        """Why an order that has no rows was refused; None where it was not, or not yet, and waits to be recorded.

        Raises `OrderNotFound` where nobody knows of it.
        """
        handle = self._handle(order_id)
        async with self._calls(order_id):
            description = await handle.describe(rpc_timeout=self._rpc_timeout)
            is_refused = description.status is WorkflowExecutionStatus.FAILED
            return await _why_it_failed(handle) if is_refused else None

    async def _is_recorded(self, handle: WorkflowHandle[Any, Any]) -> bool:
        """The query is answered after the first step, which is where an order is recorded or refused."""
        try:
            await handle.query("status", {}, rpc_timeout=self._rpc_timeout)
        except WorkflowQueryFailedError:
            return False
        return True

    async def started_at(self, order_id: str) -> datetime:
        """The server's time at which the order's clock began, also after continue-as-new."""
        async with self._calls(order_id):
            found = await self._handle(order_id).describe(rpc_timeout=self._rpc_timeout)
            first_run = found.raw_description.workflow_execution_info.first_run_id
            if first_run and first_run != found.run_id:
                handle = self._client.get_workflow_handle(found.id, run_id=first_run)
                found = await handle.describe(rpc_timeout=self._rpc_timeout)
        return found.start_time

    async def result(self, order_id: str) -> OrderResult:
        """Wait for the order's end, however long that takes."""
        async with self._calls(order_id):
            handle = self._client.get_workflow_handle(workflow_id(order_id), result_type=OrderResult)
            try:
                result: OrderResult = await handle.result()
            except WorkflowFailureError as error:
                raise _failure(error.cause) from None
        return result

    async def signal(self, order_id: str, name: str, body: _Body) -> None:
        """Returns as soon as Temporal has it; a refusal stands in the timeline then."""
        message = _message(name)
        if not message.signal:
            raise InvalidMessage(f"{name} is sent as an update, not as a signal")
        payload = decoded(message.body, body, InvalidMessage).model_dump(mode="json", exclude_unset=True)
        async with self._calls(order_id):
            await self._handle(order_id).signal(name, payload, rpc_timeout=self._rpc_timeout)

    async def update(self, order_id: str, name: str, body: _Body, *, update_id: str | None = None) -> Frozen:
        """Send a message and wait for its answer, a model as `MESSAGES` says.

        With an `update_id` it may be sent again without a second effect. Raises `Refused` with the order's reason.
        """
        message = _message(name)
        if not message.update:
            raise InvalidMessage(f"{name} is sent as a signal, not as an update")
        payload = decoded(message.body, body, InvalidMessage).model_dump(mode="json", exclude_unset=True)
        send = partial(
            self._handle(order_id).execute_update,
            name,
            payload,
            id=update_id or uuid4().hex,
            result_type=message.result,
            rpc_timeout=self._rpc_timeout,
        )
        async with self._calls(order_id):
            return await _asked_again(send, _is_taken_back)

    async def query(
        self, order_id: str, name: str, body: _Body | None = None, *, patience: timedelta | None = None
    ) -> Frozen:
        """Also after the end, as long as Temporal keeps the order. The patience is for each of two tries."""
        query = _query(name)
        payload = decoded(query.body, body or {}, InvalidMessage).model_dump(mode="json", exclude_unset=True)
        ask = partial(
            self._handle(order_id).query,
            name,
            payload,
            result_type=query.result,
            rpc_timeout=patience or self._rpc_timeout / 2,
        )
        async with self._calls(order_id):
            try:
                return await _asked_again(ask, _came_too_early)
            except RPCError as error:
                if error.status not in _TOOK_TOO_LONG:
                    raise
            # The SDK's core forgets a query that meets the end of a run: asked again, it is answered.
            last: Frozen = await ask()
        return last

    def _handle(self, order_id: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(workflow_id(order_id))

    # -- a repeated order id ---------------------------------------------------------

    async def _ask_store(self, order_id: str) -> KnownOrder | None:
        if self._known is None:
            return None
        return await self._from_store(self._known.known_order(order_id))

    @staticmethod
    async def _from_store(asking: Awaitable[_Answer]) -> _Answer:
        try:
            return await asking
        except Unavailable as error:
            raise Unreachable(str(error)) from None

    async def _placed_before(self, order_id: str, fingerprint: str) -> Placed:
        async with self._calls(order_id):
            description = await self._handle(order_id).describe(rpc_timeout=self._rpc_timeout)
            _same_or_conflict(order_id, await self._fingerprint(description), fingerprint)
            if description.status is not WorkflowExecutionStatus.COMPLETED:
                return Placed(order_id=order_id, outcome="running_same")
        return Placed(order_id=order_id, outcome="finished_same", result=await self.result(order_id))

    async def _fingerprint(self, description: WorkflowExecutionDescription) -> str | None:
        """From the memo; one that somebody started by other means has its start body, as long as that is kept."""
        # Whoever reaches Temporal may have started it, with anything in it.
        reading = replace(self._client.data_converter, payload_converter_class=ArgumentConverter)
        known = description.raw_description.workflow_execution_info.memo.fields.get(BODY_HASH)
        if known is not None:
            return str((await reading.decode([known]))[0])
        first_run = description.raw_description.workflow_execution_info.first_run_id or description.run_id
        handle = self._client.get_workflow_handle(description.id, run_id=first_run)
        async for event in handle.fetch_history_events(page_size=1):
            payloads = event.workflow_execution_started_event_attributes.input.payloads
            bodies = await reading.decode(payloads)
            order = decode(PlaceOrder, tuple(bodies))
            return None if isinstance(order, Refusal) else body_hash(order)
        return None

    # -- what can go wrong on the way ------------------------------------------------

    @asynccontextmanager
    async def _calls(self, order_id: str) -> AsyncIterator[None]:
        """Tells Temporal's errors apart and in our words."""
        try:
            yield
        except WorkflowUpdateFailedError as error:
            raise _failure(error.cause) from None
        except WorkflowQueryFailedError as error:
            raise _query_failure(str(error)) from None
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            _raise_if_cancelled()
            raise Unreachable(self._no_worker()) from None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise await self._not_found(order_id) from None
            if error.status in _TOOK_TOO_LONG:
                _raise_if_cancelled()
                raise Unreachable(self._no_worker()) from None
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise InvalidMessage(error.message) from None
            raise Unreachable(f"Temporal: {error.message}") from None
        except RuntimeError as error:  # of a lazy client, which connects at its first call
            if "client connect" not in str(error):
                raise
            raise Unreachable("Temporal does not answer") from None

    def _no_worker(self) -> str:
        return f"no answer within {self._rpc_timeout.total_seconds():g} s: is a worker running?"

    async def _not_found(self, order_id: str) -> OrderError:
        """Temporal says the same of an order that has ended, one that never was, and a run that another follows."""
        try:
            found = await self._handle(order_id).describe(rpc_timeout=self._rpc_timeout)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                return Unreachable(f"Temporal: {error.message}")
            known = await self._ask_store(order_id)
            if known is None or known.result is None:
                return OrderNotFound(f"there is no order {order_id!r}")
        else:
            if found.status is WorkflowExecutionStatus.RUNNING:
                return Unreachable(f"order {order_id!r} was just going on in another run, ask again")
        return OrderClosed(f"order {order_id!r} has ended and takes no messages any more")


async def _asked_again(ask: Callable[[], Awaitable[Frozen]], may_be: Callable[[Exception], bool]) -> Frozen:
    """The answer; asked for again, after a pause, where it failed of something that will soon be over."""
    for pause in _PAUSES:
        try:
            return await ask()
        except (RPCError, WorkflowQueryFailedError) as error:
            if not may_be(error):
                raise
        await asyncio.sleep(pause)
    return await ask()


def _is_taken_back(error: Exception) -> bool:
    """Something else came in just as the order was to end by an update: the server takes both back."""
    return isinstance(error, RPCError) and error.status is RPCStatusCode.FAILED_PRECONDITION


def _came_too_early(error: Exception) -> bool:
    return str(error) == TAKEN_OVER


def _raise_if_cancelled() -> None:
    """The SDK tells a caller who was cancelled the same as one who waited for too long; asyncio must not lose it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _why_it_failed(handle: WorkflowHandle[Any, Any]) -> OrderError:
    try:
        await handle.result()
    except WorkflowFailureError as error:
        return _failure(error.cause)
    return Refused("the order has ended meanwhile")


def decoded(model: type[_Model], body: _Body, error: type[OrderError]) -> _Model:
    """The body as the order would read it. Raises `error` in the order's own words."""
    found = decode(model, (dict(body) if isinstance(body, Mapping) else body,))
    if isinstance(found, Refusal):
        raise error(found.reason)
    return found


def _message(name: str) -> Message:
    for message in MESSAGES:
        if message.name == name:
            return message
    raise InvalidMessage(f"there is no message {name!r}")


def _query(name: str) -> Query:
    for query in QUERIES:
        if query.name == name:
            return query
    raise InvalidMessage(f"there is no query {name!r}")


def _raise_if_unknown(lines: tuple[UnknownLine, ...]) -> None:
    """In the words of the order itself."""
    if lines:
        raise InvalidOrder(
            "; ".join(f"lines.{index}.sku: {seller} has no {sku!r} to sell" for index, sku, seller in lines)
        )


def _same_or_conflict(order_id: str, known: str | None, fingerprint: str) -> None:
    if known is None:
        raise OrderConflict(f"order id {order_id!r} is taken, by a body that cannot be read any more")
    if known != fingerprint:
        raise OrderConflict(f"order id {order_id!r} is taken by an order with another body")


_BY_TYPE: dict[str, type[OrderError]] = {
    kind.__name__: kind for kind in (InvalidOrder, InvalidMessage, OrderConflict, OrderClosed, Refused, Unreachable)
}


def _failure(cause: BaseException | None) -> OrderError:
    """The order's own refusal, by the type of the failure that it gave."""
    if isinstance(cause, ApplicationError) and cause.type in _BY_TYPE:
        return _BY_TYPE[cause.type](cause.message)
    # Trouble that nobody foresaw: its text is for the order's history, not for whoever asked.
    kind = cause.type if isinstance(cause, ApplicationError) else type(cause).__name__
    return Refused(f"the order failed ({kind}); the Temporal UI shows why")


def _query_failure(words: str) -> OrderError:
    """A failed query tells no type: its text begins with it where it is not a plain refusal."""
    kind, _, reason = words.partition(": ")
    return _BY_TYPE[kind](reason) if kind in _BY_TYPE else Refused(words)
