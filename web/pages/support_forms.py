"""What support fills in, as the message that goes to the order: a function of the form for each kind of message."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters.mail.formats import Formats
from domain.currencies import minor_units
from domain.placing import Address
from store.views.order import OrderDetail
from usecases.addresses import address_form, checked_address
from usecases.errors import InvalidMessage
from web.pages.numbers import items_of, number_of
from web.pages.templates import known_zone

Texts = Mapping[str, str]

REASON_FIELDS = {"confirm_delivery": "note", "report_issue": "note", "note": "text"}
"""Where the reason goes in a message that calls it otherwise."""

WITHOUT_REASON = frozenset({"pack", "ship"})
"""These have no place for one: it is written into the timeline as a note."""


def body_of(message: str, texts: Texts, order: OrderDetail, country: str, formats: Formats) -> dict[str, Any]:
    """Raises `InvalidMessage` where something was left out."""
    reason = texts.get("reason", "").strip()
    if not reason:
        raise InvalidMessage("reason: please say why")
    body = _fields(message, texts, order, country, formats)
    return body if message in WITHOUT_REASON else body | {REASON_FIELDS.get(message, "reason"): reason}


def _fields(message: str, texts: Texts, order: OrderDetail, country: str, formats: Formats) -> dict[str, Any]:
    match message:
        case "cancel":
            return _cancel(texts)
        case "hold":
            until = texts.get("expires_at", "")
            return _given(texts, "fulfillment_id") | ({"expires_at": _moment(until, formats)} if until else {})
        case "change_address":
            return {"ship_to": _address(texts, country)}
        case "choose_for_shortage":
            choice, _, sku = texts.get("choice", "").partition(":")
            return _given(texts, "line_id") | {"choice": choice} | ({"substitute_sku": sku} if sku else {})
        case "update_payment":
            return {"payments": [{"token": texts.get("card", ""), "amount": number_of(texts.get("amount", "")) or 0}]}
        case "goodwill_refund":
            amount = minor_units(texts.get("amount", ""), order.order.currency)
            if amount is None:
                raise InvalidMessage(f"amount: please give an amount of {order.order.currency}, such as 5.00")
            return {"amount": amount}
        case "pack":
            fulfillment_id = texts.get("fulfillment_id", "")
            return {"fulfillment_id": fulfillment_id, "parcels": [{"contents": _all_of(order, fulfillment_id)}]}
        case "reject_lines":
            return _given(texts, "fulfillment_id") | {"items": _items(texts)}
        case _:
            return _given(texts, *(name for name in texts if name in _PLAIN))


_PLAIN = {
    *("fulfillment_id", "parcel_id", "hold_id", "issue_id", "request_id", "line_id", "mail_key"),
    *("answer", "remedy", "kind", "carrier", "tracking_number"),
}


def _given(texts: Texts, *names: str) -> dict[str, Any]:
    return {name: texts[name] for name in names if texts.get(name)}


def _cancel(texts: Texts) -> dict[str, Any]:
    match texts.get("what", "everything"):
        case "everything":
            return {}
        case "some":
            return {"items": _items(texts)}
        case part:
            return {"fulfillment_id": part}


def _items(texts: Texts) -> list[dict[str, Any]]:
    items = items_of(texts)
    if not items:
        raise InvalidMessage("items: please say how many of which line")
    return items


def _all_of(order: OrderDetail, fulfillment_id: str) -> list[dict[str, Any]]:
    skus = {line.line_id: line.sku for line in order.lines}
    return [
        {"line_id": unit.line_id, "sku": skus[unit.line_id], "quantity": unit.quantity}
        for unit in order.units
        if unit.fulfillment_id == fulfillment_id and unit.place == "reserved"
    ]


def _address(texts: Texts, country: str) -> dict[str, Any]:
    address = checked_address(country, texts)
    if isinstance(address, Address):
        return address.model_dump(mode="json")
    names = {field.name: field.label for field in address_form(country).fields}
    raise InvalidMessage("; ".join(f"{names.get(name, name)}: {why}" for name, why in address.items()))


def _moment(text: str, formats: Formats) -> str:
    """Of a field `datetime-local`, in the zone of the page."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=known_zone(formats.zone.key)).isoformat()
    except ValueError:
        raise InvalidMessage("expires_at: please give a day and a time") from None
