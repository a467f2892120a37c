"""Many orders at once: a list of tracking numbers from a spreadsheet, each row answered for."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from domain.state import ParcelStage
from domain.units import Place
from store.views.sellers import PartItem, SellerFulfillment
from usecases.errors import InvalidMessage
from usecases.selling import side_by_side
from usecases.shipping_list import (
    NEEDED,
    ROWS_MAX,
    ListedParcel,
    decoded_text,
    list_to_fill_in,
    read_list,
    rows_again,
    ship_list,
)
from web.pages.seller.desk import AtDesk, Desk, formats_of, key_of, text_of
from web.pages.seller.shown import boxes_of
from web.pages.sessions import Form

router = APIRouter()


@router.get("/seller/import")
async def ask(request: Request, desk: AtDesk) -> Response:
    return await _form(request, desk, "")


async def _form(request: Request, desk: Desk, text: str, *, pack: bool = False, error: str | None = None) -> Response:
    return await desk.render(
        request,
        "seller_import.html",
        status=422 if error else 200,
        columns=NEEDED,
        rows_max=ROWS_MAX,
        text=text,
        pack=pack,
        error=error,
    )


@router.post("/seller/import")
async def send(request: Request, desk: AtDesk, form: Form) -> Response:
    pack = bool(text_of(form, "pack"))
    text = text_of(form, "text")
    try:
        text = await _uploaded(form) or text
        rows = read_list(text)
        if not rows:
            raise InvalidMessage("the list has no row below the names of its columns")
    except InvalidMessage as error:
        return await _form(request, desk, text, pack=pack, error=error.reason)
    outcomes = await ship_list(desk.selling, desk.caller, rows, key_of(form), pack_first=pack)
    failed = {outcome.number for outcome in outcomes if outcome.state == "failed"}
    return await desk.render(
        request,
        "seller_imported.html",
        outcomes=sorted(outcomes, key=lambda outcome: (outcome.state != "failed", outcome.number)),
        counts={state: sum(one.state == state for one in outcomes) for state in ("done", "done_before", "skipped")},
        failed=len(failed),
        again=rows_again(row for row in rows if row.number in failed),
        pack=pack,
    )


async def _uploaded(form: FormData) -> str:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        return ""
    try:
        return decoded_text(await file.read())
    finally:
        await file.close()


@router.get("/seller/import/template.csv")
async def template(desk: AtDesk) -> Response:
    """What is open, a row for each parcel or part, the most urgent first."""
    page = await desk.services.sellers.queue(desk.seller, limit=500)
    items = await desk.services.sellers.items(
        desk.seller, [(row.order_id, row.fulfillment_id) for row in page.fulfillments]
    )
    listed = await side_by_side(page.fulfillments, lambda row: _listed(desk, row, items))
    text = list_to_fill_in(parcel for parcels in listed for parcel in parcels)
    name = f"to-ship-{datetime.now(desk.zone):%Y-%m-%d}.csv"
    # The mark tells spreadsheets that it is UTF-8.
    return Response(
        "\ufeff" + text,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _listed(
    desk: Desk, row: SellerFulfillment, items: Mapping[tuple[str, str], Sequence[PartItem]]
) -> list[ListedParcel]:
    own = items.get((row.order_id, row.fulfillment_id), ())
    contents = ", ".join(f"{item.quantity} x {item.sku}" for item in own)
    due = formats_of(desk).moment(row.due_at or row.ship_by)
    return [
        ListedParcel(row.order_id, row.fulfillment_id, parcel_id, due, contents)
        for parcel_id in await _boxes_to_tell_apart(desk, row) or [""]
    ]


async def _boxes_to_tell_apart(desk: Desk, row: SellerFulfillment) -> list[str]:
    """None where the part goes in one box, which needs no name."""
    if not row.units.get(Place.PACKED):
        return []
    part = await desk.services.seller_parts.order(desk.seller, row.order_id, row.fulfillment_id)
    packed = [box.parcel_id for box in boxes_of(part) if box.stage == ParcelStage.PACKED] if part else []
    return packed if len(packed) > 1 else []
