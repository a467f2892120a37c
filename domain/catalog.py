"""What sellers bring in: themselves, their locations, what they list and what lies there at the start."""

from typing import Annotated, ClassVar, Self

from pydantic import FailFast, Field, model_validator

from domain.model import Body, Currency, Frozen, Name, OptionalLine, PartyId, Sku
from domain.placing import Amount, Channel, Email
from domain.shipping import HandlingProfile, ShippingMethod

LEVEL_MAX = 10**9
"""Units of a SKU at a location: far below what PostgreSQL's integer holds."""

Level = Annotated[int, Field(ge=0, le=LEVEL_MAX)]


class Seller(Body):
    seller: PartyId
    name: Name
    email: Email
    time_zone: OptionalLine = "UTC"


class Location(Body):
    """Where parcels leave from. Of a seller's own (FBM), or without one: of the fulfillment network (FBA).

    Stock is taken from the location with the lowest `priority` first.
    """

    location: PartyId
    seller: PartyId | None = None
    priority: Annotated[int, Field(ge=0, le=10_000)] = 100
    profile: HandlingProfile

    @property
    def channel(self) -> Channel:
        return Channel.FBA if self.seller is None else Channel.FBM


class Listing(Body):
    """`substitutes` are other SKUs of the same seller, the best first."""

    seller: PartyId
    sku: Sku
    title: Name
    unit_price: Amount
    currency: Currency
    weight_grams: Annotated[int, Field(ge=0, le=10**7)] | None = None
    substitutes: tuple[Sku, ...] = ()


class OpeningStock(Body):
    """What lies at a location the first time that it is loaded; later changes are receipts and corrections."""

    location: PartyId
    seller: PartyId
    sku: Sku
    on_hand: Level


class ShippingRate(Body):
    """What a method costs in a currency: for each parcel that leaves somewhere, and each kilogram in it begun."""

    currency: Currency
    method: ShippingMethod
    per_shipment: Amount
    per_kilogram: Amount = 0


class Catalog(Body):
    """What `starter.py stock load` takes. Loading it again updates all but the stock.

    However large it is, of each list the first that is wrong is named.
    """

    values_max: ClassVar[int] = 4_000_000

    sellers: Annotated[tuple[Seller, ...], FailFast()] = ()
    locations: Annotated[tuple[Location, ...], FailFast()] = ()
    listings: Annotated[tuple[Listing, ...], FailFast()] = ()
    stock: Annotated[tuple[OpeningStock, ...], FailFast()] = ()
    shipping_rates: Annotated[tuple[ShippingRate, ...], FailFast()] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for field, keys in (
            ("sellers", [(s.seller,) for s in self.sellers]),
            ("locations", [(p.location,) for p in self.locations]),
            ("listings", [(x.seller, x.sku) for x in self.listings]),
            ("stock", [(x.location, x.seller, x.sku) for x in self.stock]),
            ("shipping_rates", [(x.currency, x.method) for x in self.shipping_rates]),
        ):
            seen: set[tuple[str, ...]] = set()
            for index, key in enumerate(keys):
                if key in seen:
                    raise ValueError(f"{field}.{index}: {' '.join(key)} stands twice")
                seen.add(key)
        return self


class StockLevel(Frozen):
    location: str
    seller: str
    sku: str
    on_hand: int
    reserved: int

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


class Receipt(Body):
    """Units that came in. `key` is the delivery's: told twice of one item, it counts once."""

    location: PartyId
    seller: PartyId
    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=LEVEL_MAX)]
    key: Name


class Correction(Body):
    """Units found (`change` above 0) or missed at a count. `key` is the count's: told twice of one item, it counts
    once.
    """

    location: PartyId
    seller: PartyId
    sku: Sku
    change: Annotated[int, Field(ge=-LEVEL_MAX, le=LEVEL_MAX)]
    key: Name
    reason: OptionalLine = "counted"


class StockMoved(StockLevel):
    """The level as it is now. `repeated`: the key was told of this item before, and nothing was moved this time."""

    repeated: bool = False


class StockRefused(Frozen):
    """Why stock cannot be loaded, received or corrected so; nothing was changed."""

    reason: str
