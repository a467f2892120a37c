"""What a seller packs by: its part of an order, and where that goes."""

from typing import Protocol

from domain.placing import Address
from domain.results import PackingList


class Addresses(Protocol):
    """Satisfied by the store, the only one who knows them: no query of a workflow tells a name or an address."""

    async def address(self, order_id: str) -> Address | None: ...


class PackingSlip(PackingList):
    """`ship_to` is as of now: it may change until the parcel leaves. None where it could not be looked up."""

    ship_to: Address | None


async def packing_slip(todo: PackingList, addresses: Addresses) -> PackingSlip:
    return PackingSlip(**dict(todo), ship_to=await addresses.address(todo.order_id))
