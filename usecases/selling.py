"""What a seller does with its parts of orders: one at a time or many at once, each answered for."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel

from domain.access import Caller
from domain.messages import MESSAGES, Box, Pack, Packed, Ship
from domain.model import Frozen
from domain.placing import Channel
from domain.requests import Unavailable
from domain.results import ShipResult
from domain.state import CarrierStatus, ParcelStage
from domain.units import Place
from store.views.seller_parts import OwnLine, SellerOrder, SellerParcel
from usecases.errors import OrderError, OrderNotFound, Refused, Unreachable
from usecases.own_lines import OwnLines
from usecases.scanning import ToPack

AT_ONCE = 10
"""Parts that are worked on side by side, for whoever does something with many of them."""

SILENT_MAX = 5
_LOOKS = 30
_PAUSE_SECONDS = 0.1

_MESSAGES = {message.name: message for message in MESSAGES}
_Row = TypeVar("_Row")
_Answer = TypeVar("_Answer")


class Delivers(Protocol):
    """`usecases.delivery.Delivery`."""

    async def deliver(
        self, caller: Caller, order_id: str, message: Any, body: BaseModel, idempotency_key: str | None = None
    ) -> Frozen: ...


class ShowsParts(Protocol):
    """`store.views.seller_parts.SellerParts`."""

    async def order(self, seller: str, order_id: str, fulfillment_id: str) -> SellerOrder | None: ...

    async def own_lines(self, seller: str, order_id: str) -> tuple[OwnLine, ...]: ...


# -- what makes sense now, as far as the rows tell; the order itself decides ---------------


class Steps(Frozen):
    """`held` keeps packing and shipping from what would else be possible."""

    held: bool
    pack: bool
    reject: bool
    ship: tuple[SellerParcel, ...]
    unpack: tuple[SellerParcel, ...]
    correct_tracking: tuple[SellerParcel, ...]


def steps_of(part: SellerOrder) -> Steps:
    own = part.fulfillment.channel == Channel.FBM
    waiting = own and bool(to_pack(part))
    asked = {parcel_id for request in part.requests for parcel_id in request.parcel_ids}
    packed = tuple(p for p in part.parcels if own and p.stage == ParcelStage.PACKED and p.parcel_id not in asked)
    return Steps(
        held=part.fulfillment.on_hold,
        pack=waiting,
        reject=waiting,
        ship=packed,
        unpack=packed,
        correct_tracking=tuple(
            p
            for p in part.parcels
            if own and p.stage == ParcelStage.SHIPPED and p.delivered_at is None and p.status != CarrierStatus.RETURNED
        ),
    )


def to_pack(part: SellerOrder) -> tuple[ToPack, ...]:
    return tuple(
        ToPack(line_id=line.line_id, sku=line.sku, to_pack=units)
        for line in part.lines
        if (units := line.units.get(Place.RESERVED, 0))
    )


def as_listed(part: SellerOrder, *, buy_labels: bool) -> Pack:
    """One parcel with all that is to pack. Raises `Refused` where nothing is, in the order's own words."""
    contents = tuple(Packed(line_id=x.line_id, sku=x.sku, quantity=x.to_pack) for x in to_pack(part))
    if not contents:
        raise Refused("nothing of this fulfillment is left to pack")
    return Pack(
        fulfillment_id=part.fulfillment.fulfillment_id, parcels=(Box(contents=contents),), buy_labels=buy_labels
    )


# -- doing it --------------------------------------------------------------------------------


class Selling:
    """Raises `OrderError`s, and `Unavailable` where PostgreSQL cannot be asked."""

    def __init__(self, delivery: Delivers, parts: ShowsParts) -> None:
        self._delivery = delivery
        self._parts = parts

    async def part(self, caller: Caller, order_id: str, fulfillment_id: str) -> SellerOrder:
        """With lines as the seller calls them. Raises `OrderNotFound` for another's as for what is not there."""
        assert caller.seller is not None
        found = await self._parts.order(caller.seller, order_id, fulfillment_id)
        if found is None:
            raise OrderNotFound(f"there is no fulfillment {fulfillment_id!r} of order {order_id!r}")
        return OwnLines(await self._parts.own_lines(caller.seller, order_id)).shown(found)

    async def send(self, caller: Caller, part: SellerOrder, name: str, body: BaseModel, key: str) -> Frozen:
        """In the seller's name, and then wait, not for long, until pages show what came of it.

        The order answers before its rows are written; a page that is read at once would show what was.
        """
        answer = await self._delivery.deliver(caller, part.order_id, _MESSAGES[name], body, key)
        labels = isinstance(body, Pack) and body.buy_labels
        for _ in range(_LOOKS):
            now = await self.part(caller, part.order_id, part.fulfillment.fulfillment_id)
            if now != part and not (labels and _waits_for_label(now, part)):
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        return answer

    async def pack_as_listed(
        self, caller: Caller, order_id: str, fulfillment_id: str, key: str, *, buy_labels: bool
    ) -> str:
        part = await self.part(caller, order_id, fulfillment_id)
        await self.send(caller, part, "pack", as_listed(part, buy_labels=buy_labels), f"{key}:pack")
        return "packed in one parcel"

    async def ship_with_labels(self, caller: Caller, order_id: str, fulfillment_id: str, key: str) -> str:
        part = await self.part(caller, order_id, fulfillment_id)
        return shipped_words(await self.send(caller, part, "ship", Ship(fulfillment_id=fulfillment_id), f"{key}:ship"))


def shipped_words(answer: Frozen) -> str:
    """`shipped: UPS 1Z999, local courier without a number`."""
    assert isinstance(answer, ShipResult)
    numbers = (f"{p.carrier or 'no carrier'} {p.tracking_number or 'without a number'}" for p in answer.parcels)
    return f"shipped: {', '.join(numbers)}"


def _waits_for_label(part: SellerOrder, before: SellerOrder) -> bool:
    """One was asked for with a parcel that is new, and neither is there nor was refused."""
    old = {parcel.parcel_id for parcel in before.parcels}
    waiting = {p.parcel_id for p in part.parcels if p.stage == ParcelStage.PACKED and p.tracking_number is None} - old
    refused = {entry.summary.split(":")[0] for entry in part.timeline if entry.what == "label_refused"}
    return bool(waiting - refused)


# -- many at once ----------------------------------------------------------------------------


class Outcome(Frozen):
    """What became of one part; `words` are the order's own."""

    order_id: str
    fulfillment_id: str
    state: Literal["done", "done_before", "skipped", "failed"]
    words: str


async def side_by_side(
    rows: Sequence[_Row], do: Callable[[_Row], Awaitable[_Answer]], *, at_once: int = AT_ONCE
) -> list[_Answer]:
    """The answers in the order of the rows; no more of them are under way than are allowed."""
    gate = asyncio.Semaphore(at_once)

    async def one(row: _Row) -> _Answer:
        async with gate:
            return await do(row)

    return await asyncio.gather(*(one(row) for row in rows))


class Silence:
    """Where several in a row got no answer the rest is not even tried: each of them would be waited for."""

    def __init__(self) -> None:
        self._in_a_row = 0

    @property
    def is_long(self) -> bool:
        return self._in_a_row >= SILENT_MAX

    def note(self, *, answered: bool) -> None:
        self._in_a_row = 0 if answered else self._in_a_row + 1


async def for_each(parts: Sequence[tuple[str, str]], do: Callable[[str, str], Awaitable[str]]) -> tuple[Outcome, ...]:
    """Do it with every part, by order id and fulfillment id; what goes wrong with one stops no other."""

    silence = Silence()

    async def one(part: tuple[str, str]) -> Outcome:
        state, words = await tried(lambda: do(*part), silence)
        return Outcome(order_id=part[0], fulfillment_id=part[1], state=state, words=words)

    return tuple(await side_by_side(parts, one))


async def tried(do: Callable[[], Awaitable[str]], silence: Silence) -> tuple[Literal["done", "failed"], str]:
    if silence.is_long:
        return "failed", "not tried, because nobody answers at the moment"
    try:
        done = await do()
    except (Unreachable, Unavailable) as error:
        silence.note(answered=False)
        return "failed", f"{error}; it may have been done all the same: look again before you send it once more"
    except OrderError as error:
        silence.note(answered=True)
        return "failed", readable(error.reason)
    silence.note(answered=True)
    return "done", done


# -- the order's words, for people -------------------------------------------------------------

_OF_ONE_PARCEL = re.compile(r"^parcels\.\d+\.")
_PATTERNS: Mapping[str, str] = {
    "tracking_number": "letters, digits, spaces and - . / only, 3 to 64 of them",
}


def readable(reason: str) -> str:
    """Without the path to a field of a message that nobody typed, and without regular expressions."""
    words = _OF_ONE_PARCEL.sub("", reason)
    for field, pattern in _PATTERNS.items():
        words = re.sub(rf"{field}: String should match pattern .*", f"{field}: {pattern}", words)
    return words
