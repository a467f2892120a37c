"""Packing by scanner: what was scanned into each parcel is checked by the order, and kept where it is refused."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.messages import Pack
from domain.requests import Unavailable
from store.views.seller_parts import SellerOrder
from usecases.errors import OrderError, OrderNotFound
from usecases.scanning import PARCELS_MAX, ParcelText, Trouble, boxes, too_few, trouble_of
from usecases.selling import to_pack
from web.pages.flashes import back_to
from web.pages.seller.desk import AFulfillmentId, AnOrderId, AtDesk, Desk, key_of, text_of, texts_of
from web.pages.seller.part import Packing, page_of_part, words_of
from web.pages.sessions import Form
from web.problems import problem_of

router = APIRouter()


@router.post("/seller/orders/{order_id}/{fulfillment_id}/pack")
async def pack(
    request: Request, order_id: AnOrderId, fulfillment_id: AFulfillmentId, desk: AtDesk, form: Form
) -> Response:
    part = await desk.selling.part(desk.caller, order_id, fulfillment_id)
    packing = _typed(form)
    if text_of(form, "do") == "add":
        parcels = (*packing.parcels, ParcelText())[:PARCELS_MAX]
        return await page_of_part(
            request, desk, part, packing=packing._replace(parcels=parcels, focus=len(parcels) - 1)
        )
    scanned, troubles = boxes(packing.parcels, to_pack(part))
    if not troubles and not packing.only_part:
        troubles = too_few(scanned, to_pack(part))
    if troubles:
        return await _refused(request, desk, part, packing, troubles, 422)
    message = Pack(
        fulfillment_id=fulfillment_id,
        parcels=tuple(one.box for one in scanned),
        buy_labels=packing.buy_labels and desk.sells_labels,
    )
    try:
        await desk.selling.send(desk.caller, part, "pack", message, f"{key_of(form)}:pack")
    except OrderNotFound:
        raise
    except (OrderError, Unavailable) as error:
        part = await desk.selling.part(desk.caller, order_id, fulfillment_id)
        trouble = trouble_of(words_of(error), scanned)
        return await _refused(request, desk, part, packing, (trouble,), problem_of(error).status)
    words = f"Packed: {'one parcel' if len(scanned) == 1 else f'{len(scanned)} parcels'}."
    return back_to(request, f"/seller/orders/{order_id}/{fulfillment_id}", "ok", words)


def _typed(form: FormData) -> Packing:
    contents, weights = texts_of(form, "contents"), texts_of(form, "weight_grams")
    weights += [""] * (len(contents) - len(weights))
    parcels = tuple(
        ParcelText(contents=text, weight_grams=weight) for text, weight in zip(contents, weights, strict=False)
    )
    return Packing(
        parcels=parcels or (ParcelText(),),
        only_part=bool(text_of(form, "only_part")),
        buy_labels=bool(text_of(form, "buy_labels")),
    )


async def _refused(
    request: Request, desk: Desk, part: SellerOrder, packing: Packing, troubles: tuple[Trouble, ...], status: int
) -> Response:
    focus = next((trouble.parcel for trouble in troubles if trouble.parcel is not None), 0)
    shown = packing._replace(troubles=troubles, focus=focus)
    return await page_of_part(request, desk, part, status=status, packing=shown)
