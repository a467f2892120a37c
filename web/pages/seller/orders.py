"""All orders of a seller, by its own parts of them; and finding one by id, slip or tracking number."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from domain.model import OrderId
from web.pages.seller.desk import AnOrderId, AtDesk, parts_of
from web.problems import not_found

router = APIRouter()

PAGE = 50
Search = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get("/seller/orders")
async def orders(request: Request, desk: AtDesk, search: Search = "", after: OrderId | None = None) -> Response:
    wanted = search.strip().removeprefix("#")
    if wanted and (page := await _page_of(desk, wanted)):
        return RedirectResponse(page, status_code=303)
    if wanted:
        found, following = await desk.services.sellers.find(desk.seller, wanted), None
        if len(found) == 1 and len(found[0].parts) == 1:
            return _to_part(found[0].order_id, found[0].parts[0].fulfillment_id)
    else:
        listed = await desk.services.sellers.orders(desk.seller, after=after, limit=PAGE)
        found, following = listed.orders, listed.next
    items = await desk.services.sellers.items(
        desk.seller, [(order.order_id, part.fulfillment_id) for order in found for part in order.parts]
    )
    return await desk.render(
        request,
        "seller_orders.html",
        orders=found,
        items=items,
        search=wanted,
        more=f"/seller/orders?after={quote(following)}" if following else None,
        is_first=after is None,
    )


@router.get("/seller/orders/{order_id}")
async def order(order_id: AnOrderId, desk: AtDesk) -> Response:
    """To the seller's part of it; to all of them where it has several."""
    parts = await desk.services.seller_parts.parts(desk.seller, order_id)
    if not parts:
        raise not_found(f"there is no order {order_id!r}")
    if len(parts) == 1:
        return _to_part(order_id, parts[0])
    return RedirectResponse(f"/seller/orders?search={quote(order_id)}", status_code=303)


async def _page_of(desk: AtDesk, scanned: str) -> str | None:
    """The bars of a packing slip are the order and the part with a space between, which no keyboard layout changes."""
    for order_id, fulfillment_id in parts_of([":".join(scanned.replace("/", " ").split())]):
        if fulfillment_id in await desk.services.seller_parts.parts(desk.seller, order_id):
            return f"/seller/orders/{order_id}/{fulfillment_id}?scan=1"
    return None


def _to_part(order_id: str, fulfillment_id: str) -> RedirectResponse:
    return RedirectResponse(f"/seller/orders/{order_id}/{fulfillment_id}", status_code=303)
