"""Units that come in and units that are counted again, in the name of whoever tells of them."""

from typing import Protocol

from domain.access import Caller
from domain.catalog import Correction, Receipt, StockMoved, StockRefused
from usecases.errors import Refused


class Inventory(Protocol):
    """Satisfied by the store."""

    async def receive(self, receipt: Receipt) -> StockMoved | StockRefused: ...

    async def correct(self, correction: Correction) -> StockMoved | StockRefused: ...

    async def is_own_location(self, seller: str, location: str) -> bool: ...


class Stocking:
    """Raises `Refused`, naming the field."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    async def receive(self, caller: Caller, receipt: Receipt) -> StockMoved:
        """Orders that wait for the units are served at once, those placed first first."""
        await self._must_be_own(caller, receipt.location)
        return _moved(await self._inventory.receive(receipt))

    async def correct(self, caller: Caller, correction: Correction) -> StockMoved:
        """What is reserved stays: where too little is left, its seller rejects lines in the orders concerned."""
        if correction.change == 0:
            raise Refused("change: nothing to correct")
        await self._must_be_own(caller, correction.location)
        return _moved(await self._inventory.correct(correction))

    async def _must_be_own(self, caller: Caller, location: str) -> None:
        """A seller moves what lies at its own locations; the network's tells the marketplace."""
        if caller.seller is not None and not await self._inventory.is_own_location(caller.seller, location):
            raise Refused(f"location: {caller.seller} has no location {location!r}")


def _moved(answer: StockMoved | StockRefused) -> StockMoved:
    if isinstance(answer, StockRefused):
        raise Refused(answer.reason)
    return answer
