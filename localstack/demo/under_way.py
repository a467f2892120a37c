"""Orders that are under way on today's clock: what people have on their desks while the pages are looked at."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from domain.catalog import Catalog
from localstack.players import Desk, Part, can, contents
from usecases.orders import Orders

MAPLE, INKWELL = "maple", "inkwell"

BIG_ORDER = "2004"
"""Of two sellers, both of whom have all of it to pack still."""

DAMAGED_ORDER = "2005"
"""Its notebooks came wet through, and nobody has answered yet."""


class _Customer(NamedTuple):
    name: str
    line1: str
    city: str
    region: str
    postal_code: str


_ADA = _Customer("Ada Lovelace", "12 Mill Street", "Springfield", "MA", "01103")
_GRACE = _Customer("Grace Hopper", "9 Harbor Lane", "Arlington", "VA", "22201")
_ALAN = _Customer("Alan Turing", "17 Hut Lane", "Madison", "WI", "53703")
_BARBARA = _Customer("Barbara Liskov", "4 Substitution Square", "Cambridge", "MA", "02139")
_EDSGER = _Customer("Edsger Dijkstra", "30 Shortest Path", "Austin", "TX", "78712")


class UnderWay:
    """Of the sample's sellers and goods; `bring` once, when nobody else acts in the sellers' names any more."""

    def __init__(self, orders: Orders, catalog: Catalog) -> None:
        self._orders = orders
        self._offered = {listing.sku: listing for listing in catalog.listings}

    async def bring(self) -> None:
        await asyncio.gather(
            self._late(), self._urgent(), self._held(), self._unwanted(), self._big(), self._damaged(), self._short()
        )

    async def sends(self, order_id: str, seller: str, *scanned_at: str) -> None:
        """The seller packs its part and hands it over; then it is scanned at these places."""
        desk = Desk(self._orders, order_id)
        await desk.when(lambda view: can(view, "pack"))
        part = Part(desk, seller, f"{seller}-1")
        await part.pack(contents(await part.packing_list()))
        await part.ship()
        for place in scanned_at:
            await self._scanned(desk, f"{seller}-1-p1", "in_transit", place)

    async def _late(self) -> None:
        """It should have left days ago."""
        await self._placed("2001", _GRACE, {"SKILLET-26": 1}, placed_at=_days_ago(6))

    async def _urgent(self) -> None:
        await self._placed("2002", _ALAN, {"MUGS-SAND-4": 2}, method="NextDay")

    async def _held(self) -> None:
        desk = await self._placed("2003", _EDSGER, {"SKILLET-26": 1, "MUGS-SAND-4": 1}, placed_at=_days_ago(1))
        await desk.send("hold", "support/7", reason="the house number is missing")

    async def _big(self) -> None:
        goods = {"SKILLET-26": 2, "MUGS-SAND-4": 1, "SHELF-OAK-60": 2, "LAMP-OAK": 1}
        await self._placed(BIG_ORDER, _BARBARA, goods)

    async def _damaged(self) -> None:
        desk = await self._placed(DAMAGED_ORDER, _ADA, {"NOTEBOOK-A5": 3, "BOTTLE-1L": 1})
        part = Part(desk, INKWELL, "inkwell-1")
        await part.pack(contents(await part.packing_list()))
        await part.ship(carrier="Rose City Couriers", tracking_number="RC-7700-1")
        parcel = "inkwell-1-p1"
        for status in ("in_transit", "out_for_delivery", "delivered"):
            await self._scanned(desk, parcel, status, "Springfield, MA")
        await desk.when(lambda view: any("delivered" in part.units for part in view.fulfillments))
        await desk.send("report_issue", "customer", parcel_id=parcel, kind="damaged", note="All three are wet through.")

    async def _unwanted(self) -> None:
        """Packed already when the customer asks."""
        desk = await self._placed("2006", _GRACE, {"MUGS-SAND-4": 1})
        part = Part(desk, MAPLE, "maple-1")
        await part.pack(contents(await part.packing_list()))
        await desk.send("cancel", "customer", reason="ordered twice")

    async def _short(self) -> None:
        await self._placed("2007", _ALAN, {"TENT-2P": 1}, until="choose_for_shortage")

    async def _placed(
        self,
        order_id: str,
        customer: _Customer,
        goods: Mapping[str, int],
        *,
        placed_at: datetime | None = None,
        method: str = "Standard",
        until: str = "pack",
    ) -> Desk:
        """Placed, and come so far that it would obey this message."""
        body = self._body(order_id, customer, goods, method)
        if placed_at is not None:
            body["clock"] = {"origin": placed_at.isoformat(), "factor": 1}
        await self._orders.place(body)
        if refusal := await self._orders.refusal(order_id):
            raise refusal
        desk = Desk(self._orders, order_id)
        await desk.when(lambda view: can(view, until))
        return desk

    def _body(self, order_id: str, customer: _Customer, goods: Mapping[str, int], method: str) -> dict[str, Any]:
        lines = [
            {
                "line_id": str(number),
                "sku": sku,
                "quantity": quantity,
                "unit_price": self._offered[sku].unit_price,
                "seller": self._offered[sku].seller,
            }
            for number, (sku, quantity) in enumerate(goods.items(), start=1)
        ]
        shipping = {"Standard": 499, "NextDay": 1999}[method]
        total = shipping + sum(self._offered[sku].unit_price * quantity for sku, quantity in goods.items())
        given_name = customer.name.partition(" ")[0].lower()
        return {
            "order_id": order_id,
            "customer": {"id": f"c-{given_name}", "name": customer.name, "email": f"{given_name}@example.com"},
            "ship_to": {**customer._asdict(), "country": "US"},
            "currency": "USD",
            "lines": lines,
            "shipping": {"method": method, "price": shipping},
            "payments": [{"kind": "card", "token": "tok_visa", "amount": total}],
        }

    async def _scanned(self, desk: Desk, parcel: str, status: str, place: str) -> None:
        now = (await desk.status()).business_time
        scan = {"event_id": uuid4().hex, "parcel_id": parcel, "status": status, "location": place}
        await self._orders.signal(desk.order_id, "carrier_event", {**scan, "occurred_at": now.isoformat()})


def _days_ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
