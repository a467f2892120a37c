"""The steps that a seller takes with a part, a form for each: the message in it, and where its refusal is said."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel
from starlette.datastructures import FormData

from domain.decoding import Refusal, decode
from domain.messages import AnswerCancellation, CorrectTracking, RejectLines, Ship, Unpack
from domain.requests import Unavailable
from domain.results import ShipResult
from store.views.seller_parts import SellerOrder
from usecases.errors import InvalidMessage, OrderError, OrderNotFound
from usecases.selling import readable, shipped_words, steps_of, to_pack
from web.pages.flashes import back_to
from web.pages.seller.desk import AFulfillmentId, AnOrderId, AtDesk, Desk, key_of, text_of
from web.pages.seller.part import Typed, page_of_part, words_of
from web.pages.seller.shown import items_of
from web.pages.sessions import Form
from web.problems import problem_of

router = APIRouter()

_Model = TypeVar("_Model", bound=BaseModel)


class Step(NamedTuple):
    """A form that was sent: the message in it, and which of its fields each field of the message is."""

    name: str
    message: BaseModel
    done: str
    """What is said then, but for `ship`: there the order's answer says it."""

    fields: Mapping[str, str]
    """Field of the form by the path in the order's words, such as `parcels.0.tracking_number`."""


async def _take(
    request: Request,
    desk: Desk,
    form: FormData,
    order_id: str,
    fulfillment_id: str,
    step_of: Callable[[SellerOrder], Step],
    form_name: str,
) -> Response:
    """Send it, and back to the page; where it is refused, the page with what was typed and what is wrong."""
    part = await desk.selling.part(desk.caller, order_id, fulfillment_id)
    fields: Mapping[str, str] = {}
    try:
        step = step_of(part)
        fields = step.fields
        answer = await desk.selling.send(desk.caller, part, step.name, step.message, f"{key_of(form)}:{step.name}")
    except OrderNotFound:
        raise
    except (OrderError, Unavailable) as error:
        part = await desk.selling.part(desk.caller, order_id, fulfillment_id)
        errors = error.fields if isinstance(error, FieldsWrong) else _errors(words_of(error), fields)
        typed = Typed(form_name, {name: text_of(form, name) for name in form}, errors)
        return await page_of_part(request, desk, part, status=problem_of(error).status, typed=typed)
    # Of several parcels some may have been refused a label, and stay.
    done = f"{sentence(shipped_words(answer))}." if isinstance(answer, ShipResult) else step.done
    return back_to(request, f"/seller/orders/{order_id}/{fulfillment_id}", "ok", done)


class FieldsWrong(InvalidMessage):
    """What is wrong by field of the form, before there is a message to send."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(fields.values()))
        self.fields = fields


_NAMED_FIELD = re.compile(r"^[a-z_]+(?:\.\d+)?(?:\.[a-z_]+)?: ")
"""Of a message, where the form has none for it."""

_AT = re.compile(r"((?:(?:parcels|items)\.\d+\.)?[a-z_]+):? (.+)", re.DOTALL)


def _errors(reason: str, fields: Mapping[str, str]) -> dict[str, str]:
    match = _AT.fullmatch(reason)
    if match is not None and match[1] in fields:
        return {fields[match[1]]: sentence(readable(reason).replace("_", " ", 1))}
    return {"": _NAMED_FIELD.sub("", readable(reason))}


def sentence(words: str) -> str:
    """Beginning with a capital letter, and the rest as it is."""
    return words[:1].upper() + words[1:]


def _message(model: type[_Model], body: dict[str, Any]) -> _Model:
    """As if it had come as JSON: the words for what is wrong are the same."""
    message = decode(model, (body,))
    if isinstance(message, Refusal):
        raise InvalidMessage(message.reason)
    return message


@router.post("/seller/orders/{order_id}/{fulfillment_id}/unpack")
async def unpack(
    request: Request, order_id: AnOrderId, fulfillment_id: AFulfillmentId, desk: AtDesk, form: Form
) -> Response:
    def step(_: SellerOrder) -> Step:
        body = {"fulfillment_id": fulfillment_id, "parcel_ids": [text_of(form, "parcel")]}
        return Step("unpack", _message(Unpack, body), "Unpacked: its items are to be packed again.", {})

    return await _take(request, desk, form, order_id, fulfillment_id, step, "unpack")


@router.post("/seller/orders/{order_id}/{fulfillment_id}/ship")
async def ship(
    request: Request, order_id: AnOrderId, fulfillment_id: AFulfillmentId, desk: AtDesk, form: Form
) -> Response:
    """With labels that are or will be bought; or each parcel with what was typed for it."""

    def step(part: SellerOrder) -> Step:
        with_labels = text_of(form, "do") == "labels"
        message, fields = (Ship(fulfillment_id=fulfillment_id), {}) if with_labels else _typed_numbers(part, form)
        return Step("ship", message, "", fields)

    name = "ship-labels" if text_of(form, "do") == "labels" else "ship"
    return await _take(request, desk, form, order_id, fulfillment_id, step, name)


def _typed_numbers(part: SellerOrder, form: FormData) -> tuple[Ship, dict[str, str]]:
    """Parcels for which nothing was typed stay. Raises `FieldsWrong`."""
    shipped: list[dict[str, str]] = []
    fields: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for parcel in steps_of(part).ship:
        carrier = text_of(form, f"carrier-{parcel.parcel_id}").strip()
        number = text_of(form, f"number-{parcel.parcel_id}").strip()
        untracked = bool(text_of(form, f"untracked-{parcel.parcel_id}"))
        if not number and not untracked:
            if carrier and len(steps_of(part).ship) == 1:
                wrong[f"number-{parcel.parcel_id}"] = "Type the tracking number, or tick that there is none."
            continue
        if not carrier:
            wrong[f"carrier-{parcel.parcel_id}"] = "Which carrier takes it?"
            continue
        at = f"parcels.{len(shipped)}"
        fields |= {
            f"{at}.carrier": f"carrier-{parcel.parcel_id}",
            f"{at}.tracking_number": f"number-{parcel.parcel_id}",
        }
        one = {"parcel_id": parcel.parcel_id, "carrier": carrier}
        shipped.append(one if untracked and not number else one | {"tracking_number": number})
    if wrong:
        raise FieldsWrong(wrong)
    if not shipped:
        raise FieldsWrong({"": "Type the carrier and tracking number of at least one parcel."})
    try:
        return _message(Ship, {"fulfillment_id": part.fulfillment.fulfillment_id, "parcels": shipped}), fields
    except InvalidMessage as error:
        raise FieldsWrong(_errors(error.reason, fields)) from None


@router.post("/seller/orders/{order_id}/{fulfillment_id}/reject")
async def reject(
    request: Request, order_id: AnOrderId, fulfillment_id: AFulfillmentId, desk: AtDesk, form: Form
) -> Response:
    def step(part: SellerOrder) -> Step:
        rejected, fields = _rejected(part, form)
        body = {"fulfillment_id": fulfillment_id, "items": rejected, "reason": text_of(form, "reason").strip()}
        done = "Told: other stock is looked for, and what is nowhere goes back to the customer to decide."
        return Step("reject_lines", _message(RejectLines, body), done, fields | {"reason": "reason"})

    return await _take(request, desk, form, order_id, fulfillment_id, step, "reject")


def _rejected(part: SellerOrder, form: FormData) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Units by SKU, onto its lines; too many go onto the last one, where the order refuses them."""
    rejected: list[dict[str, Any]] = []
    fields: dict[str, str] = {}
    left = {line.line_id: line.to_pack for line in to_pack(part)}
    for number, item in enumerate(items_of(part)):
        field = f"missing-{number}"
        text = text_of(form, field).strip()
        if text in ("", "0"):
            continue
        if not re.fullmatch(r"[0-9]{1,5}", text):
            raise FieldsWrong({field: "How many are missing, as a number?"})
        missing = int(text)
        own = [line_id for line_id in item.line_ids if line_id in left]
        for line_id in own:
            units = missing if line_id == own[-1] else min(missing, left[line_id])
            if units:
                fields[f"items.{len(rejected)}.quantity"] = field
                rejected.append({"line_id": line_id, "quantity": units})
                missing -= units
    if not rejected:
        raise FieldsWrong({"": "Type how many of which item are missing."})
    return rejected, fields


@router.post("/seller/orders/{order_id}/{fulfillment_id}/answer")
async def answer(
    request: Request, order_id: AnOrderId, fulfillment_id: AFulfillmentId, desk: AtDesk, form: Form
) -> Response:
    request_id = text_of(form, "request")

    def step(_: SellerOrder) -> Step:
        given = text_of(form, "answer")
        body = {"request_id": request_id, "answer": given, "reason": text_of(form, f"reason-{request_id}").strip()}
        done = {
            "accept": "Accepted: the parcel is unpacked, put its items back on the shelf.",
            "reject": "Rejected: the customer is told. Ship the parcel as planned.",
        }
        message = _message(AnswerCancellation, body)
        return Step("answer_cancellation", message, done[message.answer], {"reason": f"reason-{request_id}"})

    return await _take(request, desk, form, order_id, fulfillment_id, step, f"answer-{request_id}")


@router.post("/seller/orders/{order_id}/{fulfillment_id}/correct")
async def correct(
    request: Request, order_id: AnOrderId, fulfillment_id: AFulfillmentId, desk: AtDesk, form: Form
) -> Response:
    parcel_id = text_of(form, "parcel")

    def step(part: SellerOrder) -> Step:
        if parcel_id not in {parcel.parcel_id for parcel in part.parcels}:
            raise InvalidMessage(f"parcel_id: the order has no parcel {parcel_id!r}")
        names = {
            "carrier": f"carrier-{parcel_id}",
            "tracking_number": f"number-{parcel_id}",
            "reason": f"reason-{parcel_id}",
        }
        body = {path: text_of(form, name).strip() for path, name in names.items()} | {"parcel_id": parcel_id}
        if not body["carrier"] or not body["tracking_number"]:
            raise FieldsWrong(
                {names[path]: "Please fill this in." for path in ("carrier", "tracking_number") if not body[path]}
            )
        return Step("correct_tracking", _message(CorrectTracking, body), "Corrected. The customer is told.", names)

    return await _take(request, desk, form, order_id, fulfillment_id, step, f"correct-{parcel_id}")


@router.get("/seller/orders/{order_id}/{fulfillment_id}/{step}")
async def back(order_id: AnOrderId, fulfillment_id: AFulfillmentId, step: str, _: AtDesk) -> Response:
    """Where the address of a form is opened as a page: after a form was refused, when that page is asked for again."""
    return RedirectResponse(f"/seller/orders/{order_id}/{fulfillment_id}", status_code=303)
