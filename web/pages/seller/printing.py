"""Packing slips and labels: what stands on them, made in a thread of its own."""

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from domain.state import ParcelStage
from domain.tracking_numbers import parse
from store.views.seller_parts import SellerOrder, SellerParcel
from usecases.errors import OrderError, OrderNotFound
from usecases.selling import Outcome, side_by_side
from web.documents.labels import ParcelLabel, parcel_labels
from web.documents.slips import LETTER_COUNTRIES, Slip, SlipItem, SlipParcel, packing_slips
from web.pages import words
from web.pages.seller.desk import AFulfillmentId, AnOrderId, AtDesk, Desk, Parts, formats_of
from web.pages.seller.shown import boxes_of, contents_of, items_of
from web.problems import not_found

router = APIRouter()

Paper = Annotated[str | None, Query(pattern=r"^(a4|letter)$")]

# The viewers of browsers draw with styles of their own; a script in a PDF runs nowhere.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'none'"


@router.get("/seller/orders/{order_id}/{fulfillment_id}/slip.pdf")
async def slip(order_id: AnOrderId, fulfillment_id: AFulfillmentId, desk: AtDesk, paper: Paper = None) -> Response:
    part = await desk.selling.part(desk.caller, order_id, fulfillment_id)
    letter = _has_letter_paper(desk, part) if paper is None else paper == "letter"
    made = await asyncio.to_thread(packing_slips, [_slip(desk, part)], letter=letter)
    return _pdf(made, f"packing-slip-{order_id}-{fulfillment_id}")


@router.get("/seller/orders/{order_id}/{fulfillment_id}/labels.pdf")
async def labels(
    order_id: AnOrderId,
    fulfillment_id: AFulfillmentId,
    desk: AtDesk,
    parcel: Annotated[str | None, Query(max_length=80)] = None,
) -> Response:
    part = await desk.selling.part(desk.caller, order_id, fulfillment_id)
    found = [label for label in _labels(desk, part) if parcel in (None, label.parcel_id)]
    if not found:
        raise not_found("There is no label yet: it comes with packing, or with shipping.")
    made = await asyncio.to_thread(parcel_labels, found)
    return _pdf(made, f"labels-{order_id}-{fulfillment_id}")


# -- many at once ----------------------------------------------------------------------------


async def slips_of_all(desk: Desk, parts: Parts) -> Response:
    """In the order of the list; a part that is gone meanwhile is left out."""
    found = [part for part in await _read(desk, parts) if not isinstance(part, OrderError)]
    if not found:
        raise not_found("None of these is there any more.")
    letter = _has_letter_paper(desk, found[0])
    made = await asyncio.to_thread(packing_slips, [_slip(desk, part) for part in found], letter=letter)
    return _pdf(made, "packing-slips")


async def all_labels(desk: Desk, parts: Parts) -> Response | tuple[Outcome, ...]:
    """The labels; or, where one of them is missing, what there is of each part."""
    found = await _read(desk, parts)
    outcomes = tuple(_outcome(*named, part) for named, part in zip(parts, found, strict=True))
    return await _labels_of(desk, found) if all(one.state == "done" for one in outcomes) else outcomes


async def labels_of_all(desk: Desk, parts: Parts) -> Response:
    """Those that are there."""
    return await _labels_of(desk, await _read(desk, parts))


async def _labels_of(desk: Desk, found: list[SellerOrder | OrderError]) -> Response:
    there = [label for part in found if not isinstance(part, OrderError) for label in _labels(desk, part)]
    if not there:
        raise not_found("There is no label yet: it comes with packing, or with shipping.")
    return _pdf(await asyncio.to_thread(parcel_labels, there), "labels")


async def _read(desk: Desk, parts: Parts) -> list[SellerOrder | OrderError]:
    async def read(named: tuple[str, str]) -> SellerOrder | OrderError:
        try:
            return await desk.selling.part(desk.caller, *named)
        except OrderNotFound as error:
            return error

    return await side_by_side(parts, read)


def _outcome(order_id: str, fulfillment_id: str, part: SellerOrder | OrderError) -> Outcome:
    missing: str | None
    if isinstance(part, OrderError):
        missing = part.reason
    else:
        bare = [box.parcel_id for box in boxes_of(part) if box.tracking_number is None]
        missing = f"no label yet for {', '.join(bare)}" if bare else None if boxes_of(part) else "it is not packed yet"
    return Outcome(
        order_id=order_id,
        fulfillment_id=fulfillment_id,
        state="failed" if missing else "done",
        words=missing or "its labels are there",
    )


# -- what stands on them -----------------------------------------------------------------------


def _slip(desk: Desk, part: SellerOrder) -> Slip:
    """What has not left yet; of a part that has left altogether, what was in it."""
    f = formats_of(desk)
    fulfillment = part.fulfillment
    items = items_of(part)
    waiting = any(item.to_send for item in items)
    return Slip(
        order_id=part.order_id,
        fulfillment_id=fulfillment.fulfillment_id,
        seller_name=desk.profile.name,
        shop_name=desk.services.settings.shop_name,
        location=fulfillment.location,
        method=words.label(part.method, words.METHODS),
        placed=f.day(part.placed_at),
        ship_by=f.moment(fulfillment.due_at or fulfillment.ship_by),
        ship_to=part.ship_to,
        items=tuple(
            SlipItem(sku=item.sku, title=item.title, quantity=quantity)
            for item in items
            if (quantity := item.to_send if waiting else item.gone)
        ),
        parcels=tuple(
            SlipParcel(parcel_id=box.parcel_id, items=contents_of(part, box.contents))
            for box in boxes_of(part)
            if box.contents and (box.stage != ParcelStage.SHIPPED or not waiting)
        ),
    )


def _labels(desk: Desk, part: SellerOrder) -> tuple[ParcelLabel, ...]:
    boxes = boxes_of(part)
    return tuple(
        _label(desk, part, box, number, len(boxes)) for number, box in enumerate(boxes, start=1) if box.tracking_number
    )


def _label(desk: Desk, part: SellerOrder, box: SellerParcel, number: int, of: int) -> ParcelLabel:
    carrier, tracking_number = box.carrier or "", box.tracking_number or ""
    known = parse(tracking_number, carrier)
    return ParcelLabel(
        order_id=part.order_id,
        parcel_id=box.parcel_id,
        number=number,
        of=of,
        seller_name=desk.profile.name,
        location=part.fulfillment.location,
        ship_to=part.ship_to,
        carrier=known.courier_name if known else carrier,
        tracking_number=tracking_number,
        method=words.label(part.method, words.METHODS),
        ship_by=formats_of(desk).day(part.fulfillment.due_at or part.fulfillment.ship_by),
        weight_grams=box.weight_grams,
    )


def _has_letter_paper(desk: Desk, part: SellerOrder) -> bool:
    return desk.profile.countries.get(part.fulfillment.location) in LETTER_COUNTRIES


def _pdf(made: bytes, name: str) -> Response:
    file = re.sub(r"[^A-Za-z0-9_.-]", "-", name)
    return Response(
        made,
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="{file}.pdf"', "Content-Security-Policy": _POLICY},
    )
