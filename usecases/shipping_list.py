"""Many parcels shipped by a list from a spreadsheet, a row each; safe to send again."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel

from domain.access import Caller
from domain.decoding import Refusal, decode
from domain.messages import Ship
from domain.model import LOCAL_ID, ORDER_ID
from domain.state import ParcelStage
from store.views.seller_parts import SellerOrder
from usecases.errors import InvalidMessage
from usecases.selling import (
    AT_ONCE,
    Outcome,
    Selling,
    Silence,
    as_listed,
    readable,
    shipped_words,
    side_by_side,
    to_pack,
    tried,
)

ROWS_MAX = 2_000
NEEDED = ("order_id", "fulfillment_id", "carrier", "tracking_number")
OPTIONAL = ("parcel_id", "pack")
"""Which of several parcels; and whether to pack first what is not packed yet."""

_YES = frozenset({"yes", "y", "true", "1", "x"})


class ListedRow(NamedTuple):
    """`number` is the row's in the file, the header being the first."""

    number: int
    order_id: str
    fulfillment_id: str
    carrier: str
    tracking_number: str
    parcel_id: str = ""
    pack: bool = False


class RowOutcome(Outcome):
    number: int


class ListedParcel(NamedTuple):
    """A row of the list to be filled in; `due` and `items` are for people, and not read."""

    order_id: str
    fulfillment_id: str
    parcel_id: str
    due: str
    items: str


# -- reading -----------------------------------------------------------------------------------


def decoded_text(raw: bytes) -> str:
    """UTF-8 with or without a byte order mark. Raises `InvalidMessage`."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidMessage("the file is not UTF-8: save it as `CSV UTF-8`") from None


def read_list(text: str) -> tuple[ListedRow, ...]:
    """With commas, semicolons or tabs between the columns, which stand in any order. Raises `InvalidMessage`."""
    text = text.removeprefix("\ufeff")
    if "\x00" in text:
        raise InvalidMessage("this is no text: save the table as `CSV UTF-8`")
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=header.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        table = [(number, row) for number, row in enumerate(reader, start=1) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InvalidMessage(f"this is no CSV: {error}") from None
    if not table:
        raise InvalidMessage("the list is empty")
    names = [cell.strip().lower() for cell in table[0][1]]
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise InvalidMessage(f"the first row names the columns {', '.join(NEEDED)}; it has no {', '.join(missing)}")
    if len(table) - 1 > ROWS_MAX:
        raise InvalidMessage(f"{len(table) - 1:,} rows: at most {ROWS_MAX:,} at once")
    return tuple(
        _row(number, dict(zip(names, (cell.strip() for cell in row), strict=False))) for number, row in table[1:]
    )


def _row(number: int, cells: dict[str, str]) -> ListedRow:
    return ListedRow(
        number=number,
        order_id=cells["order_id"],
        fulfillment_id=cells.get("fulfillment_id", ""),
        carrier=cells.get("carrier", ""),
        tracking_number=cells.get("tracking_number", ""),
        parcel_id=cells.get("parcel_id", ""),
        pack=cells.get("pack", "").lower() in _YES,
    )


def list_to_fill_in(parcels: Iterable[ListedParcel]) -> str:
    """The same CSV with what is known filled in; numbers are written into it and it is sent back."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow((*NEEDED, *OPTIONAL, "due", "items"))
    for one in parcels:
        writer.writerow((one.order_id, one.fulfillment_id, "", "", one.parcel_id, "", one.due, one.items))
    return out.getvalue()


def rows_again(rows: Iterable[ListedRow]) -> str:
    """Rows as CSV, to be mended and sent once more."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*NEEDED, *OPTIONAL))
    for row in rows:
        yes = "yes" if row.pack else ""
        writer.writerow((row.order_id, row.fulfillment_id, row.carrier, row.tracking_number, row.parcel_id, yes))
    return out.getvalue()


# -- shipping ----------------------------------------------------------------------------------


async def ship_list(
    selling: Selling, caller: Caller, rows: Sequence[ListedRow], key: str, *, pack_first: bool, at_once: int = AT_ONCE
) -> tuple[RowOutcome, ...]:
    """Every row is answered for, in the order of the list; parts side by side, the parcels of one in sequence."""
    groups: dict[tuple[str, str], list[ListedRow]] = {}
    for row in rows:
        groups.setdefault((row.order_id, row.fulfillment_id), []).append(row)

    silence = Silence()

    async def group(own: list[ListedRow]) -> list[RowOutcome]:
        return [
            await _ship(selling, caller, row, f"{key}:{row.number}", silence, pack_first=row.pack or pack_first)
            for row in own
        ]

    done = [one for part in await side_by_side(list(groups.values()), group, at_once=at_once) for one in part]
    return tuple(sorted(done, key=lambda one: one.number))


async def _ship(
    selling: Selling, caller: Caller, row: ListedRow, key: str, silence: Silence, *, pack_first: bool
) -> RowOutcome:
    outcome: Literal["done", "done_before", "skipped", "failed"]
    wrong = _wrong(row)
    if wrong is not None:
        outcome, words = "failed", wrong
    elif not row.carrier and not row.tracking_number:
        outcome, words = "skipped", "no carrier and tracking number is given"
    else:
        before = False

        async def shipped() -> str:
            nonlocal before
            part = await selling.part(caller, row.order_id, row.fulfillment_id)
            before = _is_shipped(part, row)
            if before:
                return "shipped before, with this number"
            if pack_first and to_pack(part) and not any(p.stage == ParcelStage.PACKED for p in part.parcels):
                await selling.send(caller, part, "pack", as_listed(part, buy_labels=False), f"{key}:pack")
                part = await selling.part(caller, row.order_id, row.fulfillment_id)
            answer = await selling.send(caller, part, "ship", _message(row), f"{key}:ship")
            return shipped_words(answer)

        outcome, words = await tried(shipped, silence)
        outcome = "done_before" if before else outcome
    return RowOutcome(
        number=row.number, order_id=row.order_id, fulfillment_id=row.fulfillment_id, state=outcome, words=words
    )


def _wrong(row: ListedRow) -> str | None:
    if not ORDER_ID.fullmatch(row.order_id):
        return "order_id: letters, digits, - and _ only"
    if not LOCAL_ID.fullmatch(row.fulfillment_id):
        return "fulfillment_id: letters, digits, - . and _ only"
    if row.carrier and not row.tracking_number:
        return "tracking_number is empty"
    return None


def _is_shipped(part: SellerOrder, row: ListedRow) -> bool:
    number = _plain(row.tracking_number)
    return any(
        parcel.stage == ParcelStage.SHIPPED
        and _plain(parcel.tracking_number or "") == number
        and row.parcel_id in ("", parcel.parcel_id)
        for parcel in part.parcels
    )


def _plain(number: str) -> str:
    return "".join(number.split()).upper()


def _message(row: ListedRow) -> BaseModel:
    """As if it had come as JSON: the words for what is wrong are the same."""
    typed = {"carrier": row.carrier or None, "tracking_number": row.tracking_number}
    body = {"fulfillment_id": row.fulfillment_id}
    message = decode(Ship, (body | ({"parcels": [{"parcel_id": row.parcel_id, **typed}]} if row.parcel_id else typed),))
    if isinstance(message, Refusal):
        raise InvalidMessage(readable(message.reason))
    return message
