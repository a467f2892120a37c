"""One route for every message that may come from outside, made from the one table of them."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from pydantic import BaseModel

from domain.access import OUTSIDE_MESSAGES, Caller, may_send
from domain.messages import Message
from domain.model import Frozen
from usecases.delivery import Sent
from usecases.schemas import example_of
from web.api.bodies import body_of, described
from web.api.callers import Merchant
from web.api.orders import AnOrderId
from web.problems import HttpProblem, answers
from web.services import Services, UseServices

router = APIRouter(tags=["messages"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[!-~]{1,64}$",
        description="Any id of yours: sent again with the same one, the message has no second effect.",
    ),
]


def _route(message: Message) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def send(
        order_id: AnOrderId,
        caller: Merchant,
        body: Annotated[BaseModel, Depends(body_of(message.body))],
        services: UseServices,
        idempotency_key: IdempotencyKey = None,
    ) -> Frozen:
        if not may_send(caller, message.name):
            raise HttpProblem(403, "forbidden", f"a key of {caller.scope} may not send {message.name}")
        return await deliver(services, caller, order_id, message, body, idempotency_key)

    return send


for _message in OUTSIDE_MESSAGES:
    router.add_api_route(
        f"/orders/{{order_id}}/{_message.name}",
        _route(_message),
        methods=["POST"],
        name=_message.name,
        summary=_message.description.rstrip("."),
        status_code=200 if _message.update else 202,
        response_model=_message.result if _message.update else Sent,
        responses=answers(401, 403, 404, 409, 413, 422, 503),
        openapi_extra=described(_message.body, example_of(_message.name)),
    )


async def deliver(
    services: Services,
    caller: Caller,
    order_id: str,
    message: Message,
    body: BaseModel,
    idempotency_key: str | None = None,
) -> Frozen:
    """In the caller's name; an update waits for the order's answer. Raises `OrderError`s."""
    return await services.delivery.deliver(caller, order_id, message, body, idempotency_key)
