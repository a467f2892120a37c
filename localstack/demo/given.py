"""Orders of somebody else's: a file of JSON Lines or an Olist folder, with sellers who pack and ship as they should."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from adapters.payments.tokens import decline_reason
from domain.catalog import Catalog, Listing, Location, OpeningStock, Seller
from domain.decoding import Refusal, decode
from domain.placing import TIME_FACTOR_MAX, Channel, PlaceOrder
from domain.shipping import HandlingProfile
from localstack.demo.story import Programme, Story
from localstack.errors import LocalStackError
from usecases.importing import ImportRow, json_lines
from usecases.olist import NotOlist, is_olist, read_olist

_SECONDS_MAX = 240

# They would make the demo last for days or for ever; what they are replaced by is told.
_SET_ASIDE = ("clock", "policy", "promised_by", "promised_ship_by")

_PROFILE = HandlingProfile(time_zone="UTC")


def given(path: Path, orders_max: int) -> Programme:
    """Raises `LocalStackError` where nothing of this can be read."""
    if path.is_dir():
        return _programme(*_olist(path, orders_max), orders_max)
    try:
        with path.open("rb") as file:
            rows = list(islice(json_lines(file), orders_max + 1))
    except OSError as error:
        raise LocalStackError(f"ORDERS={path}: {error}") from None
    return _programme(rows, None, orders_max)


def _olist(folder: Path, orders_max: int) -> tuple[list[ImportRow], Catalog]:
    if not is_olist(folder):
        raise LocalStackError(f"ORDERS={folder}: no Olist folder, it has no olist_orders_dataset.csv")
    try:
        olist = read_olist(folder)
    except NotOlist as error:
        raise LocalStackError(f"ORDERS={folder}: {error}") from None
    return [ImportRow(o.order_id, o.body, o.reason) for o in olist.orders[: orders_max + 1]], olist.catalog


def _programme(rows: list[ImportRow], catalog: Catalog | None, orders_max: int) -> Programme:
    notes = ["Their own clock, policy and promised dates are set aside: a day takes ten seconds here, under defaults."]
    if len(rows) > orders_max:
        notes.append(f"The first {orders_max} orders only; ORDERS_MAX=... plays more of them.")
    orders: dict[str, PlaceOrder] = {}
    stories, troubles = [], []
    for row in rows[:orders_max]:
        body = _on_a_fast_clock(row.body)
        order = decode(PlaceOrder, (body,)) if row.reason is None else Refusal(reason=row.reason)
        if isinstance(order, Refusal):
            troubles.append(f"No order: {row.where}: {order.reason}")
        elif order.order_id in orders:
            troubles.append(f"No order: {row.where}: order_id: {order.order_id!r} stands twice")
        else:
            orders[order.order_id] = order
            stories.append(_story(body, order, catalog))
    return Programme(
        catalog=catalog or _catalog_of(orders.values()),
        stories=tuple(stories),
        seconds_max=_SECONDS_MAX + len(stories),
        # Of Olist's own rows it is known that some are no orders.
        notes=(*notes, *(troubles if catalog is not None else ())),
        troubles=tuple(troubles if catalog is None else ()),
    )


def _on_a_fast_clock(body: Any) -> Any:
    if not isinstance(body, Mapping):
        return body
    clock = body.get("clock")
    origin = {"origin": clock["origin"]} if isinstance(clock, Mapping) and clock.get("origin") else {}
    kept = {name: value for name, value in body.items() if name not in _SET_ASIDE}
    return kept | {"clock": {**origin, "factor": TIME_FACTOR_MAX}}


def _story(body: dict[str, Any], order: PlaceOrder, catalog: Catalog | None) -> Story:
    """Nothing goes wrong but what the order itself brings: a card that is declined, or goods that nobody has."""
    title = f"{_count(len(order.lines), 'line')}, {_count(len({line.seller for line in order.lines}), 'seller')}"
    if any(decline_reason(payment.token) for payment in order.payments):
        return Story(body, f"{title}, declined", "Canceled", paid=0)
    if catalog is not None:
        there = {(level.seller, level.sku) for level in catalog.stock}
        if not any((line.seller, line.sku) in there for line in order.lines):
            return Story(body, f"{title}, out of stock", "Unfulfillable", paid=0)
    return Story(body, title, "Delivered", paid=order.total)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _catalog_of(orders: Iterable[PlaceOrder]) -> Catalog:
    """Whatever the orders name is sold, and there are just as many units of it as they want."""
    listings: dict[tuple[str, str], Listing] = {}
    wanted: dict[tuple[str, str, str], int] = defaultdict(int)
    for order in orders:
        for line in order.lines:
            listing = Listing(
                seller=line.seller, sku=line.sku, title=line.sku, unit_price=line.unit_price, currency=order.currency
            )
            listings.setdefault((line.seller, line.sku), listing)
            place = "network" if line.channel is Channel.FBA else _location(line.seller)
            wanted[place, line.seller, line.sku] += line.quantity
    sellers = sorted({seller for seller, _ in listings})
    return Catalog(
        sellers=tuple(Seller(seller=s, name=s, email=f"{s}@sellers.example") for s in sellers),
        locations=(
            Location(location="network", profile=_PROFILE),
            *(Location(location=_location(s), seller=s, profile=_PROFILE) for s in sellers),
        ),
        listings=tuple(listings.values()),
        stock=tuple(
            OpeningStock(location=place, seller=seller, sku=sku, on_hand=quantity)
            for (place, seller, sku), quantity in sorted(wanted.items())
        ),
    )


def _location(seller: str) -> str:
    return f"{seller[:54]}-warehouse"
