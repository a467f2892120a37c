"""One part of an order: what to pack, where to, and every step that makes sense now."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.couriers import COURIERS
from domain.requests import Unavailable
from store.views.seller_parts import SellerOrder
from usecases.errors import OrderError, Unreachable
from usecases.scanning import ParcelText, Trouble, boxes, lacking
from usecases.selling import Steps, steps_of, to_pack
from web.documents.fonts import cannot_be_printed
from web.pages.seller.desk import AFulfillmentId, AnOrderId, AtDesk, Desk
from web.pages.seller.shown import Item, boxes_of, contents_of, items_of

router = APIRouter()


class Typed(NamedTuple):
    """What was typed into a form and refused: shown again, with what is wrong by field. `""` is the form itself."""

    form: str = ""
    values: Mapping[str, str] = {}
    errors: Mapping[str, str] = {}


class Packing(NamedTuple):
    """The packing form as it stands: a parcel more, or refused."""

    parcels: tuple[ParcelText, ...] = (ParcelText(),)
    troubles: tuple[Trouble, ...] = ()
    only_part: bool = False
    buy_labels: bool = True
    focus: int = 0


@router.get("/seller/orders/{order_id}/{fulfillment_id}")
async def show(request: Request, order_id: AnOrderId, fulfillment_id: AFulfillmentId, desk: AtDesk) -> Response:
    return await page_of_part(request, desk, await desk.selling.part(desk.caller, order_id, fulfillment_id))


async def page_of_part(
    request: Request,
    desk: Desk,
    part: SellerOrder,
    *,
    status: int = 200,
    typed: Typed = Typed(),
    packing: Packing = Packing(),
) -> Response:
    items, boxed = items_of(part), boxes_of(part)
    steps = steps_of(part)
    scanned, _ = boxes(packing.parcels, to_pack(part))
    return await desk.render(
        request,
        "seller_part.html",
        status=status,
        part=part,
        fulfillment=part.fulfillment,
        items=items,
        packing_list=[{"sku": item.sku, "to_pack": item.to_pack} for item in items if item.to_pack],
        scanned=_scanned(items, lacking(scanned, to_pack(part))),
        boxes=boxed,
        contents={box.parcel_id: contents_of(part, box.contents) for box in boxed},
        asked={one.request_id: contents_of(part, one.units) for one in part.requests},
        steps=steps,
        is_late=_is_late(part, steps),
        has_labels=any(box.tracking_number for box in boxed),
        unprintable=_unprintable(part),
        carriers=[courier.name for courier in COURIERS],
        sells_labels=desk.sells_labels,
        typed=typed,
        stray=typed.errors.values() if typed.form not in _forms(part, steps) else (),
        packing=packing,
        path_of_part=f"/seller/orders/{part.order_id}/{part.fulfillment.fulfillment_id}",
    )


def _forms(part: SellerOrder, steps: Steps) -> set[str]:
    """Those that are on the page now: one that was sent may have no sense any more, and what is wrong is said all the
    same.
    """
    return {
        *(["reject"] if steps.reject else []),
        *(["unpack"] if steps.unpack else []),
        *(["ship", "ship-labels"] if steps.ship and not steps.held else []),
        *(f"answer-{asked.request_id}" for asked in part.requests),
        *(f"correct-{parcel.parcel_id}" for parcel in steps.correct_tracking),
    }


def _scanned(items: tuple[Item, ...], missing: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    return {item.sku: missing.get(item.sku, (item.to_pack, 0))[0] for item in items}


def _is_late(part: SellerOrder, steps: Steps) -> bool:
    due = part.fulfillment.due_at or part.fulfillment.ship_by
    return due < datetime.now(UTC) and not steps.held and (steps.pack or bool(steps.ship))


def _unprintable(part: SellerOrder) -> bool:
    to = part.ship_to
    return any(cannot_be_printed(text) for text in (to.name, to.line1, to.line2, to.city, to.region, to.postal_code))


def words_of(error: OrderError | Unavailable) -> str:
    """The order's own; nobody knows whether what got no answer has arrived."""
    if isinstance(error, Unreachable):
        return f"{error.reason} It may have arrived all the same: look again before you send it once more."
    return str(error)
