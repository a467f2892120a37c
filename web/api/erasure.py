"""Erasure on request, for programs of the marketplace and for support."""

from typing import Annotated

from fastapi import APIRouter, Path

from domain.access import sender
from domain.model import Frozen, PartyId
from store.erasure import ErasureRow
from web.api.callers import Marketplace
from web.api.orders import AnOrderId
from web.problems import answers
from web.services import UseServices

router = APIRouter(tags=["erasure"])

ACustomerId = Annotated[PartyId, Path(description="The `customer.id` of the orders.", examples=["c-201"])]


class ErasedAnswer(Frozen):
    """`outcome` is `erased`, or `erased_before`."""

    orders: tuple[ErasureRow, ...]


@router.post(
    "/orders/{order_id}/erase",
    summary="Erase the person behind an order",
    responses=answers(401, 403, 404, 409, 422, 503),
)
async def erase_order(order_id: AnOrderId, services: UseServices, caller: Marketplace) -> ErasedAnswer:
    """For good, and for an order that has ended: an open one answers 409. Amounts, items, country, region, dates and
    ids stay. With the last order of a customer that was not erased, the customer's data key is destroyed. Given again
    it does what is left to do. Of a start that was refused, which is no order, Temporal's history is deleted; when that
    is gone this answers 404.
    """
    row = await services.erasure.order(order_id, sender(caller) or caller.scope)
    return ErasedAnswer(orders=(row,))


@router.post(
    "/customers/{customer_id}/erase",
    summary="Erase a customer",
    responses=answers(401, 403, 404, 409, 422, 503),
)
async def erase_customer(customer_id: ACustomerId, services: UseServices, caller: Marketplace) -> ErasedAnswer:
    """All orders of a customer, for good; the customer's data key is destroyed, which makes what backups hold of the
    name and the addresses unreadable. While an order is open this answers 409, and erases none.
    """
    rows = await services.erasure.whole_customer(customer_id, sender(caller) or caller.scope)
    return ErasedAnswer(orders=rows)
