"""A backend in another language: plain JSON straight to Temporal, with nothing checked on the way."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from domain.outbox import OutboxKind
from store.tables.orders import timeline
from store.tables.outbox import outbox
from store.tables.payments import money_moves
from store.tables.stock import stock_movements
from tests.shop import Shop

AT_MOST = timedelta(seconds=200)
"""Nothing may hang: Temporal itself ends what is not answered by then, and the test fails."""


async def start(
    shop: Shop, *arguments: Any, workflow_id: str | None = None, name: str = "OrderWorkflow", **options: Any
) -> WorkflowHandle[Any, Any]:
    """By default under the id that the body's order id asks for, whatever else the body is."""
    body = arguments[0] if arguments else None
    order_id = body.get("order_id") if isinstance(body, dict) else None
    return await shop.client.start_workflow(
        name,
        args=arguments,
        id=workflow_id or f"order:{order_id if isinstance(order_id, str) and order_id else uuid4().hex}",
        task_queue=shop.task_queue,
        execution_timeout=AT_MOST,
        **options,
    )


async def failure(handle: WorkflowHandle[Any, Any]) -> tuple[str | None, str]:
    """Type and words of the failure with which the workflow ended; fails where it ended otherwise."""
    with pytest.raises(WorkflowFailureError) as ended:
        await handle.result()
    cause = ended.value.cause
    assert isinstance(cause, ApplicationError), repr(cause)
    return cause.type, cause.message


async def refusal(shop: Shop, order_id: str, name: str, *arguments: Any) -> tuple[str | None, str]:
    """Type and words of the refusal that an update is answered with."""
    with pytest.raises(WorkflowUpdateFailedError) as ended:
        await shop.handle(order_id).execute_update(name, args=arguments)
    cause = ended.value.cause
    assert isinstance(cause, ApplicationError), repr(cause)
    return cause.type, cause.message


def payload(data: bytes, encoding: str = "json/plain") -> RawValue:
    """As it is, even where it is no JSON."""
    return RawValue(Payload(metadata={"encoding": encoding.encode()}, data=data))


async def effects(shop: Shop, order_id: str) -> dict[str, int]:
    """How many rows of each kind an order has left behind: none of them may come twice."""
    counts = {}
    async with shop.database.statement() as connection:
        for name, table in {"money": money_moves, "stock": stock_movements, "timeline": timeline}.items():
            query = select(func.count()).select_from(table).where(table.c.order_id == order_id)
            counts[name] = await connection.scalar(query) or 0
        mails = select(func.count()).where(outbox.c.order_id == order_id, outbox.c.kind == OutboxKind.MAIL)
        counts["mails"] = await connection.scalar(mails) or 0
    return counts
