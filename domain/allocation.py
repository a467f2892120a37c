"""Which location gives which units: the inventory check as arithmetic, for one seller or many."""

from collections.abc import Iterable, Sequence

from domain.effects import Want
from domain.model import Frozen
from domain.placing import Channel


class Level(Frozen):
    """Units of a SKU that can be had at a location; that with the lowest priority is asked first."""

    location: str
    seller: str
    sku: str
    channel: Channel
    priority: int
    available: int


class Take(Frozen):
    """Units of a line to take from a location."""

    line_id: str
    location: str
    seller: str
    sku: str
    quantity: int


def allocate(wants: Sequence[Want], levels: Iterable[Level]) -> tuple[tuple[Take, ...], dict[str, int]]:
    """What to take for each want, and the units of each line that are short.

    One location that has all of a want is better than several: one parcel instead of two. Wants of one SKU share what
    there is, in their order.
    """
    ranked = sorted(levels, key=lambda level: (level.priority, level.location))
    left = {(level.location, level.seller, level.sku): level.available for level in ranked}
    takes: list[Take] = []
    short: dict[str, int] = {}
    for want in wants:
        places = [
            level.location
            for level in ranked
            if (level.seller, level.sku, level.channel) == (want.seller, want.sku, want.channel)
            and level.location not in want.barred
        ]
        whole = [place for place in places if left[place, want.seller, want.sku] >= want.quantity]
        missing = want.quantity
        for place in whole[:1] or places:
            stock = (place, want.seller, want.sku)
            taken = min(missing, left[stock])
            if taken > 0:
                left[stock] -= taken
                missing -= taken
                takes.append(
                    Take(line_id=want.line_id, location=place, seller=want.seller, sku=want.sku, quantity=taken)
                )
        if missing:
            short[want.line_id] = short.get(want.line_id, 0) + missing
    return tuple(takes), short
