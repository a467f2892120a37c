"""What sellers have to hand over: their queue, and the packing slip of each part."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from domain.access import Caller, Scope
from domain.model import LocalId, Moment, PartyId
from store.views.seller_parts import SellerOrder
from store.views.sellers import QueuePage
from usecases.own_lines import OwnLines
from web.api.callers import Merchant
from web.api.orders import AnOrderId
from web.problems import HttpProblem, answers, not_found
from web.services import UseServices

router = APIRouter(tags=["fulfillments"])

AFulfillmentId = Annotated[LocalId, Path(description="Numbered per seller.", examples=["acme-1"])]
ASeller = Annotated[PartyId | None, Query(description="Whose; a seller's key sees its own only.")]


def seller_asked_for(caller: Caller, seller: str | None) -> str | None:
    """A seller's own, always; None: of all sellers, for the marketplace."""
    if caller.scope is Scope.SELLER and seller not in (None, caller.seller):
        raise HttpProblem(403, "forbidden", f"seller: this key is of {caller.seller}")
    return caller.seller or seller


@router.get("/fulfillments", summary="What a seller has to hand over", responses=answers(401, 403, 422, 503))
async def queue(
    services: UseServices,
    caller: Merchant,
    seller: ASeller = None,
    due_until: Moment | None = None,
    after: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}:[A-Za-z0-9_.-]{1,80}$", description="The page's `next`.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> QueuePage:
    """The most urgent first; late ones are the most urgent of all. Of one seller, or of all."""
    whose = seller_asked_for(caller, seller)
    return await services.sellers.queue(whose, due_until=due_until, after=after, limit=limit)


@router.get(
    "/orders/{order_id}/fulfillments/{fulfillment_id}",
    summary="One part of an order",
    responses=answers(401, 403, 404, 422, 503),
)
async def part(
    order_id: AnOrderId,
    fulfillment_id: AFulfillmentId,
    services: UseServices,
    caller: Merchant,
    seller: ASeller = None,
) -> SellerOrder:
    """What its seller needs to pack and ship it: lines, parcels, the address, and the cancellations it is to answer.
    For a seller's key the lines are numbered 1, 2, 3 among its own, and it speaks of them so in its messages.
    """
    found = await services.seller_parts.order(seller_asked_for(caller, seller), order_id, fulfillment_id)
    if found is None:
        raise not_found(f"there is no fulfillment {fulfillment_id!r} of order {order_id!r}")
    if caller.seller is None:
        return found
    return OwnLines(await services.seller_parts.own_lines(caller.seller, order_id)).shown(found)
