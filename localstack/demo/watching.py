"""What happens, while it happens: a line for each entry of a timeline that a reader would want to know of."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from domain.requests import Unavailable
from domain.timeline import Entry
from store.views.order import OrderViews
from store.views.orders import OrderFilter, OrderLists, OrderSummary

Print = Callable[[str], None]

_LOOK_SECONDS = 0.4
_SIGN_OF_LIFE_SECONDS = 15

# Steps that every order takes and scans on the way: they stand in the timelines at the end.
_ORDINARY = {"authorized", "inventory_checked", "label_bought", "network_asked", "network_event", "voided"}
_ORDINARY_SCANS = {"label_created", "in_transit", "delivered"}


class Live:
    """Prints one line per event, always whole, so that it reads the same on a terminal and in a file."""

    def __init__(self, lists: OrderLists, views: OrderViews, line: Print, id_width: int) -> None:
        self._lists = lists
        self._views = views
        self._line = line
        self._id_width = id_width
        self._started = time.monotonic()
        self._printed_at = self._started
        self._seen: dict[str, int] = {}
        self._closed: set[str] = set()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def say(self, order_id: str, who: str, what: str, at: datetime | None = None) -> None:
        moment = business_time(at) if at else ""
        self._put(f"{self.seconds:5.1f} s  {order_id:<{self._id_width}}  {moment:<16}  {who:<17}  {what}")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Print what is new."""
        try:
            for order in await self._orders():
                if order.order_id not in self._closed:
                    for entry in await self._views.timeline(order.order_id, after=self._seen.get(order.order_id, 0)):
                        self._show(order.order_id, entry)
                if order.closed:  # before its entries were read, so that was the last of them
                    self._closed.add(order.order_id)
        except Unavailable:
            return
        if time.monotonic() - self._printed_at > _SIGN_OF_LIFE_SECONDS:
            self._put(f"{self.seconds:5.1f} s  {len(self._seen) - len(self._closed)} orders are open still.")

    async def _orders(self) -> list[OrderSummary]:
        found: list[OrderSummary] = []
        after: str | None = None
        while True:
            page = await self._lists.orders(OrderFilter(), after=after, limit=500)
            found += page.orders
            after = page.next
            if after is None:
                return found

    def _show(self, order_id: str, entry: Entry) -> None:
        self._seen[order_id] = entry.seq
        if not _is_ordinary(entry):
            self.say(order_id, entry.who, f"{words(entry):<18}  {entry.summary}{why(entry)}", entry.occurred_at)

    def _put(self, line: str) -> None:
        self._printed_at = time.monotonic()
        self._line(line)


def _is_ordinary(entry: Entry) -> bool:
    if entry.what == "carrier_event":
        return entry.after in _ORDINARY_SCANS
    return entry.what in _ORDINARY


def words(entry: Entry) -> str:
    return entry.what.replace("_", " ")


def why(entry: Entry) -> str:
    return f" ({entry.why})" if entry.why and entry.why not in entry.summary else ""


def business_time(moment: datetime) -> str:
    """On the order's own clock, in UTC."""
    return f"{moment.astimezone(UTC):%a %d %b %H:%M}"
