"""A part of an order as its seller's page shows it: by items, since the ids of lines would tell of lines of others."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domain.units import HANDED_OVER, Place
from store.views.seller_parts import SellerOrder, SellerParcel
from web.documents.slips import SlipItem


class Item(NamedTuple):
    """All units of a SKU in the part, by what is to be done with them."""

    sku: str
    title: str
    to_pack: int
    packed: int
    gone: int
    cancelled: int
    line_ids: tuple[str, ...]
    """For messages, never for a page."""

    @property
    def to_send(self) -> int:
        return self.to_pack + self.packed


def items_of(part: SellerOrder) -> tuple[Item, ...]:
    found: dict[str, Item] = {}
    for line in part.lines:
        old = found.get(line.sku, Item(line.sku, line.title, 0, 0, 0, 0, ()))
        found[line.sku] = Item(
            line.sku,
            line.title,
            old.to_pack + line.units.get(Place.RESERVED, 0),
            old.packed + line.units.get(Place.PACKED, 0),
            old.gone + sum(line.units.get(place, 0) for place in HANDED_OVER),
            old.cancelled + line.units.get(Place.CANCELLED, 0),
            (*old.line_ids, line.line_id),
        )
    return tuple(found.values())


def contents_of(part: SellerOrder, units: Mapping[str, int] | Iterable[tuple[str, int]]) -> tuple[SlipItem, ...]:
    """Units by line, such as those of a parcel or of a cancellation, by SKU."""
    lines = {line.line_id: line for line in part.lines}
    counts: dict[str, SlipItem] = {}
    for line_id, quantity in units.items() if isinstance(units, Mapping) else units:
        line = lines[line_id]
        old = counts.get(line.sku)
        counts[line.sku] = SlipItem(sku=line.sku, title=line.title, quantity=quantity + (old.quantity if old else 0))
    return tuple(counts.values())


def boxes_of(part: SellerOrder) -> tuple[SellerParcel, ...]:
    """Parcels that are or were a box: not those that were opened again."""
    return tuple(parcel for parcel in part.parcels if parcel.stage != "unpacked")
