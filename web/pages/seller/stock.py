"""A seller's stock: what lies where and for whom, how it came to be so, what comes in and what was counted."""

import re
from collections.abc import Mapping
from datetime import datetime
from secrets import token_hex
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.catalog import Correction, Receipt, StockMoved
from domain.decoding import Refusal, decode
from domain.model import Moment
from domain.requests import Unavailable
from usecases.errors import InvalidMessage, OrderError, Unreachable
from web.pages.flashes import back_to
from web.pages.seller.desk import AtDesk, Desk, text_of
from web.pages.sessions import Form
from web.problems import field_errors, problem_of

router = APIRouter()

LEVELS_PAGE = 50
MOVEMENTS_PAGE = 100
_Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


class Change(NamedTuple):
    """A form that moves stock: what it is called, and what its fields ask for."""

    kind: Literal["receive", "correct"]
    title: str
    quantity_label: str
    quantity_hint: str
    key_label: str
    button: str


CHANGES: Mapping[str, Change] = {
    "receive": Change(
        "receive",
        "Receive units",
        "Units that came in",
        "Orders that wait for them are served at once, those placed first first.",
        "Delivery note",
        "Receive",
    ),
    "correct": Change(
        "correct",
        "Correct a count",
        "Change",
        "3 for three more than the shelf list says, -3 for three fewer. What is reserved stays reserved.",
        "Number of the count",
        "Correct",
    ),
}


@router.get("/seller/stock")
async def levels(request: Request, desk: AtDesk, search: _Text = "", after: _Text | None = None) -> Response:
    wanted = search.strip()
    page = await desk.services.stock.levels(seller=desk.seller, search=wanted or None, after=after, limit=LEVELS_PAGE)
    more = {"after": page.next} | ({"search": wanted} if wanted else {})
    return await desk.render(
        request,
        "seller_stock.html",
        levels=page.levels,
        search=wanted,
        is_first=after is None,
        own=desk.profile.countries,
        more=f"/seller/stock?{urlencode(more)}" if page.next else None,
    )


@router.get("/seller/stock/movements")
async def movements(
    request: Request,
    desk: AtDesk,
    sku: _Text = "",
    location: _Text = "",
    before: Moment | None = None,
) -> Response:
    found = await desk.services.stock.movements(
        desk.seller, sku=sku.strip() or None, location=location or None, before=before, limit=MOVEMENTS_PAGE
    )
    more = len(found) >= MOVEMENTS_PAGE and {"sku": sku, "location": location, "before": found[-1].at.isoformat()}
    return await desk.render(
        request,
        "seller_movements.html",
        movements=found,
        sku=sku.strip(),
        location=location,
        is_first=before is None,
        more=more and f"/seller/stock/movements?{urlencode(more)}",
    )


# -- receiving and correcting ----------------------------------------------------------------------


@router.get("/seller/stock/receive")
async def ask_to_receive(request: Request, desk: AtDesk, sku: _Text = "", location: _Text = "") -> Response:
    return await _form(request, desk, CHANGES["receive"], _fresh(desk, sku, location))


@router.get("/seller/stock/correct")
async def ask_to_correct(request: Request, desk: AtDesk, sku: _Text = "", location: _Text = "") -> Response:
    return await _form(request, desk, CHANGES["correct"], _fresh(desk, sku, location))


@router.post("/seller/stock/receive")
async def receive(request: Request, desk: AtDesk, form: Form) -> Response:
    return await _change(request, desk, form, CHANGES["receive"])


@router.post("/seller/stock/correct")
async def correct(request: Request, desk: AtDesk, form: Form) -> Response:
    return await _change(request, desk, form, CHANGES["correct"])


def _fresh(desk: Desk, sku: str, location: str) -> dict[str, str]:
    """The key is the delivery's or the count's own; whoever has none keeps the one that is made up here."""
    return {"sku": sku, "location": location, "key": f"{datetime.now(desk.zone):%Y%m%d}-{token_hex(3)}"}


async def _form(
    request: Request, desk: Desk, change: Change, values: Mapping[str, str], error: OrderError | None = None
) -> Response:
    return await desk.render(
        request,
        "seller_stock_change.html",
        status=problem_of(error).status if error else 200,
        change=change,
        values=values,
        errors=_errors(error) if error else {},
        own=sorted(desk.profile.countries),
    )


async def _change(request: Request, desk: Desk, form: FormData, change: Change) -> Response:
    values = {name: text_of(form, name).strip() for name in ("location", "sku", "quantity", "key", "reason")}
    try:
        level = await _moved(desk, change, values)
    except OrderError as error:
        return await _form(request, desk, change, values, error)
    except Unavailable as error:
        # It may have been counted all the same: sent again with this key, it counts once.
        return await _form(request, desk, change, values, Unreachable(f"{error}; please send it again"))
    where = f"{level.sku} at {level.location}"
    words = f"{where}: {level.on_hand:,} on hand, {level.available:,} available."
    if level.repeated:
        words = f"{change.key_label} {values['key']} was told of {where} before, and counts once. {words}"
    return back_to(request, f"/seller/stock?search={quote(level.sku)}", "ok", words)


async def _moved(desk: Desk, change: Change, values: Mapping[str, str]) -> StockMoved:
    named = {"seller": desk.seller, **{name: values[name] for name in ("location", "sku", "key")}}
    units = _number(values["quantity"])
    if change.kind == "receive":
        return await desk.services.stocking.receive(desk.caller, _decoded(Receipt, named | {"quantity": units}))
    reason = {"reason": values["reason"]} if values["reason"] else {}
    return await desk.services.stocking.correct(desk.caller, _decoded(Correction, named | {"change": units} | reason))


_WHOLE = re.compile(r"[+-]?(\d{1,9}|\d{1,3}(,\d{3}){1,2})")


def _number(text: str) -> int:
    """`12`, `-3`, `1,250`; never `1,5`, which means another number to everybody."""
    plain = text.replace("\N{MINUS SIGN}", "-")
    if not _WHOLE.fullmatch(plain):
        raise InvalidMessage("quantity: how many, as a whole number?")
    return int(plain.replace(",", ""))


def _decoded(model: type[Any], body: dict[str, Any]) -> Any:
    decoded = decode(model, (body,))
    if isinstance(decoded, Refusal):
        raise InvalidMessage(decoded.reason)
    return decoded


_FIELDS = {
    **{name: name for name in ("location", "sku", "quantity", "key", "reason")},
    "change": "quantity",
    "on_hand": "quantity",
    "stock": "sku",
}
"""Of the form, by the field that is named in the words of the store; whatever else is wrong concerns the form."""


def _errors(error: OrderError) -> dict[str, str]:
    found = {_FIELDS[one.field]: _plain(one.message) for one in field_errors(error.reason) if one.field in _FIELDS}
    return found or {"": error.reason}


def _plain(message: str) -> str:
    if message.startswith(("String should", "Field required")):
        return "Please fill this in."
    return message
