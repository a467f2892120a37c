"""Erasure on request: the person behind ended orders is forgotten here and in Temporal; what accounts need stays."""

from typing import Protocol

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from store.erasure import ErasureRow
from usecases.errors import OrderNotFound, Refused, Unreachable
from usecases.orders import RPC_TIMEOUT
from workflows.names import workflow_id


class ErasureStore(Protocol):
    async def of_customer(self, customer_id: str) -> tuple[str, ...]: ...

    async def open_of_customer(self, customer_id: str) -> tuple[str, ...]: ...

    async def of_destroyed_keys(self) -> tuple[str, ...]: ...

    async def erase(self, order_id: str, by: str) -> ErasureRow: ...


class Erasure:
    """Given again it does what is left to do, and harms nothing."""

    def __init__(self, store: ErasureStore, client: Client) -> None:
        self._store = store
        self._client = client

    async def order(self, order_id: str, by: str) -> ErasureRow:
        """Raises `OrderNotFound`, `Refused` for an order that is open, and `Unreachable`."""
        row = await self._store.erase(order_id, by)
        if row.outcome == "unknown":
            raise OrderNotFound(f"there is no order {order_id!r}")
        if row.outcome == "open":
            raise Refused(f"order {order_id!r} is open: cancel it, or erase it when it has ended")
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
        try:
            for run_id in await self._runs(order_id):
                await self._delete(WorkflowExecution(workflow_id=workflow_id(order_id), run_id=run_id))
        except RPCError as error:
            raise Unreachable(f"Temporal: {error.message}; its histories may still be there: give it again") from None
        except RuntimeError as error:  # of a lazy client, which connects at its first call
            if "client connect" not in str(error):
                raise
            raise Unreachable("Temporal does not answer; its histories are still there: give it again") from None

    async def _runs(self, order_id: str) -> set[str]:
        """The list may not have the last run yet, so that one is asked for by its id."""
        runs = {run.run_id async for run in self._client.list_workflows(f'WorkflowId = "{workflow_id(order_id)}"')}
        try:
            last = await self._client.get_workflow_handle(workflow_id(order_id)).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        else:
            runs.add(last.run_id)
        return runs

    async def _delete(self, execution: WorkflowExecution) -> None:
        request = DeleteWorkflowExecutionRequest(namespace=self._client.namespace, workflow_execution=execution)
        try:
            await self._client.workflow_service.delete_workflow_execution(request, timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
