"""One route for every message that may come from outside, made from the one table of them."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from pydantic import BaseModel

from domain.access import OUTSIDE_MESSAGES, Caller, may_send, sender, sender_refusal
from domain.messages import Message
from domain.model import Frozen
from usecases.errors import OrderClosed, Refused
from usecases.schemas import example_of
from web.api.answers import Sent
from web.api.bodies import body_of, described
from web.api.callers import Merchant
from web.api.orders import AnOrderId, no_order
from web.problems import HttpProblem, answers, invalid
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
        services: UseServices,
        caller: Merchant,
        body: Annotated[BaseModel, Depends(body_of(message.body))],
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
    """In the caller's name; an update waits for the order's answer. Raises `HttpProblem` and `OrderError`s."""
    fields = body.model_dump(mode="json", exclude_unset=True)
    if "by" in fields:
        refusal = sender_refusal(caller, fields["by"])
        if refusal is not None:
            raise invalid(*refusal.split(": ", 1))
    elif (own := sender(caller)) is not None:
        fields["by"] = own
    if caller.seller is not None:
        await _must_concern(services, caller.seller, order_id)
    if not message.update:
        await services.orders.signal(order_id, message.name, fields)
        return Sent(sent=message.name)
    update_id = f"{caller.key_id}:{idempotency_key}" if idempotency_key else None
    try:
        return await services.orders.update(order_id, message.name, fields, update_id=update_id)
    except OrderClosed:
        if caller.seller is not None:
            raise Refused(_AT_REST) from None
        raise


_AT_REST = "nothing of your part of this order can be changed any more"


async def _must_concern(services: Services, seller: str, order_id: str) -> None:
    """A seller without a part in an order is told the same as of one that is not there; one whose part has ended the
    same whether or not the rest of the order goes on.
    """
    if not await services.sellers.parts(seller, order_id):
        raise no_order(order_id)
    if await services.sellers.is_at_rest(seller, order_id):
        raise Refused(_AT_REST)
