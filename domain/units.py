"""Where each unit of an order is: exactly one place, and one function that moves units."""

from collections.abc import Callable, Iterable
from enum import StrEnum

from domain.model import Frozen


class Place(StrEnum):
    PENDING = "pending"
    RESERVED = "reserved"
    BACKORDERED = "backordered"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    LOST = "lost"
    RETURNED = "returned"
    CANCELLED = "cancelled"


BEFORE_HANDOFF = (Place.PENDING, Place.BACKORDERED, Place.RESERVED, Place.PACKED)
HANDED_OVER = (Place.SHIPPED, Place.DELIVERED, Place.LOST, Place.RETURNED)
AT_REST = (Place.DELIVERED, Place.LOST, Place.RETURNED, Place.CANCELLED)
"""Units here wait for nothing any more."""


class Spot(Frozen):
    """A place, in a fulfillment once one has the units, in a parcel once they are packed."""

    place: Place
    fulfillment_id: str | None = None
    parcel_id: str | None = None


class Units(Frozen):
    """So many units of a line in one spot."""

    line_id: str
    spot: Spot
    quantity: int


def move(units: tuple[Units, ...], line_id: str, quantity: int, source: Spot, target: Spot) -> tuple[Units, ...]:
    """Move `quantity` units of a line; that they are there is the caller's duty (an assert).

    No unit appears or goes: the sum per line stays what was ordered.
    """
    assert quantity > 0, quantity
    there = count(units, line_id, source)
    assert there >= quantity, f"{line_id}: {quantity} to move from {source}, {there} there"
    moved = [
        unit.model_copy(update={"quantity": unit.quantity - quantity})
        if (unit.line_id, unit.spot) == (line_id, source)
        else unit
        for unit in units
    ]
    for index, unit in enumerate(moved):
        if (unit.line_id, unit.spot) == (line_id, target):
            moved[index] = unit.model_copy(update={"quantity": unit.quantity + quantity})
            break
    else:
        moved.append(Units(line_id=line_id, spot=target, quantity=quantity))
    return tuple(unit for unit in moved if unit.quantity)


def count(units: Iterable[Units], line_id: str, spot: Spot) -> int:
    return sum(unit.quantity for unit in units if (unit.line_id, unit.spot) == (line_id, spot))


def total(units: Iterable[Units], where: Callable[[Units], bool] = lambda _: True) -> int:
    return sum(unit.quantity for unit in units if where(unit))
