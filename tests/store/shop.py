"""A small shop for the tests of the store: sellers, their locations, and orders that are one call long."""

from copy import copy
from datetime import UTC, datetime
from itertools import count

from sqlalchemy import text

from domain.catalog import Catalog, Listing, Location, OpeningStock, Seller
from domain.effects import Reserve, StockItem, Want
from domain.placing import Address, CartLine, Channel, Customer, PaymentKind, PaymentMeans, PlaceOrder, body_hash
from domain.progress import Progress
from domain.requests import Allocation, RecordedOrder, RecordOrder, Reservation
from domain.shipping import HandlingProfile
from domain.units import Place, Spot, Units
from store.database import Database
from store.inventory import Inventory
from store.orders import Orders
from store.stock import Stock

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
PROFILE = HandlingProfile(time_zone="Europe/Berlin", handling_days=1)
_numbers = count(1)


class Shop:
    """Seller `s<n>` with SKU `mug` in locations `near` and `far` (in this order), all of its own."""

    def __init__(self, database: Database, *, near: int = 0, far: int = 0, network: int = 0) -> None:
        number = next(_numbers)
        self.database = database
        self.seller = f"s{number}"
        self.near, self.far, self.network = f"near{number}", f"far{number}", f"fba{number}"
        self.orders, self.stock, self.inventory = Orders(database), Stock(database), Inventory(database)
        self._on_hand = {self.near: near, self.far: far, self.network: network}

    def on(self, database: Database) -> "Shop":
        """The same shop, by other connections."""
        same = copy(self)
        same.database = database
        same.orders, same.stock, same.inventory = Orders(database), Stock(database), Inventory(database)
        return same

    async def open(self) -> "Shop":
        refused = await self.inventory.load(self.catalog())
        assert refused is None, refused
        return self

    def catalog(self, *, title: str = "Mug") -> Catalog:
        seller = self.seller
        return Catalog(
            sellers=(Seller(seller=seller, name=f"Shop {seller}", email=f"{seller}@example.com"),),
            locations=(
                Location(location=self.far, seller=seller, priority=20, profile=PROFILE),
                Location(location=self.near, seller=seller, priority=10, profile=PROFILE),
                Location(location=self.network, priority=10, profile=PROFILE),
            ),
            listings=(
                Listing(
                    seller=seller, sku="mug", title=title, unit_price=500, currency="EUR", substitutes=("cup", "jug")
                ),
                Listing(seller=seller, sku="jug", title="Jug", unit_price=400, currency="EUR"),
                Listing(seller=seller, sku="cup", title="Cup", unit_price=450, currency="EUR"),
            ),
            stock=tuple(
                OpeningStock(location=place, seller=seller, sku="mug", on_hand=units)
                for place, units in self._on_hand.items()
            ),
        )

    def order(
        self, *quantities: int, channel: Channel = Channel.FBM, order_id: str = "", sku: str = "mug"
    ) -> PlaceOrder:
        lines = tuple(
            CartLine(line_id=f"l{n}", sku=sku, quantity=quantity, unit_price=500, seller=self.seller, channel=channel)
            for n, quantity in enumerate(quantities or (1,), start=1)
        )
        return PlaceOrder(
            order_id=order_id or f"order-{next(_numbers)}",
            customer=Customer(id="c1", name="Ada", email="ada@example.com", time_zone="Europe/Berlin"),
            ship_to=Address(name="Ada", line1="Street 1", city="Berlin", country="DE"),
            currency="EUR",
            lines=lines,
            payments=(PaymentMeans(kind=PaymentKind.CARD, token="tok", amount=500 * sum(quantities or (1,))),),
        )

    async def place(self, order: PlaceOrder, *, run: str = "run-1", at: datetime = NOON) -> RecordedOrder:
        return await self.orders.record_order(
            RecordOrder(order=order, body_hash=body_hash(order), first_run_id=run, placed_at=at)
        )

    async def placed(self, *quantities: int, channel: Channel = Channel.FBM, at: datetime = NOON) -> PlaceOrder:
        order = self.order(*quantities, channel=channel)
        recorded = await self.place(order, at=at)
        assert recorded.verdict == "new", recorded
        return order

    async def reserve(self, order: PlaceOrder, *, key: str = "", barred: tuple[str, ...] = ()) -> Reservation:
        return await self.stock.reserve(order.order_id, reserve_of(order, key=key, barred=barred), None)

    async def level(self, location: str, sku: str = "mug") -> tuple[int, int]:
        """On hand and reserved."""
        (level,) = await self.inventory.levels(location=location, seller=self.seller, sku=sku)
        return level.on_hand, level.reserved


def wants_of(order: PlaceOrder, barred: tuple[str, ...] = ()) -> tuple[Want, ...]:
    return tuple(
        Want(line_id=x.line_id, seller=x.seller, channel=x.channel, sku=x.sku, quantity=x.quantity, barred=barred)
        for x in order.lines
    )


def reserve_of(order: PlaceOrder, *, key: str = "", barred: tuple[str, ...] = ()) -> Reserve:
    return Reserve(
        key=key or f"{order.order_id}:reserve:1",
        wants=wants_of(order, barred),
        placed_at=NOON,
        method=order.shipping.method,
        country=order.ship_to.country,
    )


def items_of(order: PlaceOrder, allocations: tuple[Allocation, ...]) -> tuple[StockItem, ...]:
    lines = {line.line_id: line for line in order.lines}
    return tuple(
        StockItem(
            line_id=a.line_id,
            location=a.location,
            seller=lines[a.line_id].seller,
            sku=lines[a.line_id].sku,
            quantity=a.quantity,
        )
        for a in allocations
    )


def progress_of(placed: PlaceOrder, version: int, **parts: object) -> Progress:
    own = {"order_id": placed.order_id, "version": version, "at": NOON, "order": {"status": "Pending"}}
    return Progress.model_validate({**own, **parts})


def units(line_id: str, place: Place, quantity: int, fulfillment_id: str | None = None) -> Units:
    return Units(line_id=line_id, spot=Spot(place=place, fulfillment_id=fulfillment_id), quantity=quantity)


async def rows(database: Database, query: str, **parameters: object) -> list[tuple[object, ...]]:
    async with database.statement() as connection:
        return [tuple(row) for row in await connection.execute(text(query), parameters)]
