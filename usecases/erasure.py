"""Erasure on request: the person behind ended orders is forgotten here and in Temporal; what accounts need stays."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.model import ORDER_ID
from store.erasure import ErasureRow
from usecases.errors import OrderNotFound, Refused, Unreachable
from usecases.orders import RPC_TIMEOUT
from workflows.names import workflow_id

logger = logging.getLogger(__name__)


class ErasureStore(Protocol):
    async def of_customer(self, customer_id: str) -> tuple[str, ...]: ...

    async def open_of_customer(self, customer_id: str) -> tuple[str, ...]: ...

    async def of_destroyed_keys(self) -> tuple[str, ...]: ...

    async def erase(self, order_id: str, by: str) -> ErasureRow: ...


class _Runs(NamedTuple):
    """What Temporal keeps of an order."""

    ids: set[str]
    is_open: bool


class Erasure:
    """Given again it does what is left to do, and harms nothing."""

    def __init__(self, store: ErasureStore, client: Client) -> None:
        self._store = store
        self._client = client

    async def order(self, order_id: str, by: str) -> ErasureRow:
        """Also of a start that was refused: it has no row, and its body lies in Temporal alone.

        Raises `OrderNotFound`, `Refused` for an order that is open, and `Unreachable`.
        """
        row = await self._store.erase(order_id, by)
        if row.outcome == "open":
            raise _still_open(order_id)
        if row.outcome == "unknown":
            await self._forget_refused_start(order_id, by)
            return ErasureRow(order_id=order_id, outcome="erased")
        await self._forget(order_id)
        return row

    async def customer(self, customer_id: str, by: str) -> tuple[ErasureRow, ...]:
        """All orders of a customer that have ended; the open ones are in the answer too, as `open`.

        Raises `OrderNotFound` and `Unreachable`.
        """
        order_ids = await self._store.of_customer(customer_id)
        if not order_ids:
            raise OrderNotFound(f"there is no order of the customer {customer_id!r}")
        return await self._each(order_ids, by)

    async def whole_customer(self, customer_id: str, by: str) -> tuple[ErasureRow, ...]:
        """All orders of a customer, or none: raises `Refused` while one is open, `OrderNotFound` and `Unreachable`.

        One that is placed at this very moment is in the answer, as `open`, and the customer's key stays for it.
        """
        still_open = await self._store.open_of_customer(customer_id)
        if still_open:
            named = ", ".join(still_open[:5])
            raise Refused(f"orders of the customer are open: {named}: cancel them, or erase when they have ended")
        return await self.customer(customer_id, by)

    async def again(self, by: str) -> tuple[ErasureRow, ...]:
        """After a restore: all orders of customers whose key was destroyed since the data were backed up.

        Raises `Unreachable`.
        """
        return await self._each(await self._store.of_destroyed_keys(), by)

    async def _each(self, order_ids: tuple[str, ...], by: str) -> tuple[ErasureRow, ...]:
        rows = []
        for order_id in order_ids:
            row = await self._store.erase(order_id, by)
            if row.outcome != "open":
                await self._forget(order_id)
            rows.append(row)
        return tuple(rows)

    async def _forget(self, order_id: str) -> None:
        """Delete every run of the order that Temporal still keeps; none is running, since the order has ended."""
        with _temporal_is_asked():
            await self._delete(order_id, (await self._runs(order_id)).ids)

    async def _forget_refused_start(self, order_id: str, by: str) -> None:
        if not ORDER_ID.fullmatch(order_id):  # it goes into a filter of Temporal's list
            raise _no_order(order_id)
        with _temporal_is_asked():
            runs = await self._runs(order_id)
            if runs.is_open:  # one that nobody has recorded yet, or whose rows were lost
                raise _still_open(order_id)
            if not runs.ids:
                raise _no_order(order_id)
            await self._delete(order_id, runs.ids)
        # It has no timeline that could say so.
        logger.info("a start that was refused is erased", extra={"order_id": order_id, "by": by})

    async def _runs(self, order_id: str) -> _Runs:
        """The list may not have the last run yet, so that one is asked for by its id.

        It is asked for after the list, so that no other run of the list can be open.
        """
        listed = self._client.list_workflows(f'WorkflowId = "{workflow_id(order_id)}"')
        ids = {run.run_id async for run in listed}
        try:
            last = await self._client.get_workflow_handle(workflow_id(order_id)).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return _Runs(ids, is_open=False)
        return _Runs(ids | {last.run_id}, is_open=last.status is WorkflowExecutionStatus.RUNNING)

    async def _delete(self, order_id: str, run_ids: set[str]) -> None:
        for run_id in run_ids:
            execution = WorkflowExecution(workflow_id=workflow_id(order_id), run_id=run_id)
            request = DeleteWorkflowExecutionRequest(namespace=self._client.namespace, workflow_execution=execution)
            try:
                await self._client.workflow_service.delete_workflow_execution(request, timeout=RPC_TIMEOUT)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise


@contextmanager
def _temporal_is_asked() -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        raise Unreachable(f"Temporal: {error.message}; its histories may still be there: give it again") from None
    except RuntimeError as error:  # of a lazy client, which connects at its first call
        if "client connect" not in str(error):
            raise
        raise Unreachable("Temporal does not answer; its histories are still there: give it again") from None


def _no_order(order_id: str) -> OrderNotFound:
    return OrderNotFound(f"there is no order {order_id!r}")


def _still_open(order_id: str) -> Refused:
    return Refused(f"order {order_id!r} is open: cancel it, or erase it when it has ended")
