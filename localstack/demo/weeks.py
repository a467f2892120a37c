"""The weeks before the stories: ordinary orders, so that insights have something to show in the README's pictures."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from adapters.carriers.plan import CarrierScenario
from adapters.carriers.simulated import CarrierScenarios
from domain.catalog import Catalog
from domain.placing import TIME_FACTOR_MAX, Channel
from localstack.demo import people
from localstack.demo.story import Programme, Story

_ORDERS = 110
_FIRST_ID = 1101
_DAYS = range(2, 29)
"""How long ago they were placed; what is of today is `under_way`."""

_SECONDS_MORE = 120

# What is sold, and how often. What the stories must find scarce is not among it.
_GOODS = {
    "SKILLET-26": 14,
    "MUGS-SAND-4": 12,
    "KETTLE-GOOSE": 9,
    "HEADLAMP-400": 10,
    "BOTTLE-1L": 16,
    "POLES-CARBON": 5,
    "LAMP-OAK": 9,
    "SHELF-OAK-60": 7,
    "STOOL-BEECH": 4,
    "NOTEBOOK-A5": 18,
    "PEN-FINE-NAVY": 8,
}
_BOUGHT_WITH = {"PEN-FINE-NAVY": "NOTEBOOK-A5", "LAMP-OAK": "SHELF-OAK-60", "SKILLET-26": "MUGS-SAND-4"}

_HOURS = (0, 0, 0, 0, 0, 0, 1, 2, 4, 7, 8, 9, 8, 8, 9, 8, 7, 7, 8, 9, 9, 7, 4, 1)
_METHODS = {"Standard": (499, 60), "Expedited": (999, 20), "TwoDay": (1299, 12), "NextDay": (1999, 8)}
_PLACES = (
    ("Springfield", "MA", "01103"),
    ("Brooklyn", "NY", "11201"),
    ("Albany", "NY", "12207"),
    ("Newark", "NJ", "07102"),
    ("Arlington", "VA", "22201"),
    ("Austin", "TX", "78712"),
    ("Madison", "WI", "53703"),
    ("Denver", "CO", "80202"),
    ("Portland", "OR", "97205"),
    ("Oakland", "CA", "94612"),
    ("San Diego", "CA", "92101"),
    ("Pasadena", "CA", "91101"),
)
_NAMES = (
    *("Adele Goldberg", "Anita Borg", "Annie Easley", "Betty Holberton", "Butler Lampson", "Carl Hewitt"),
    *("Dana Scott", "David Parnas", "Dorothy Vaughan", "Edgar Codd", "Erna Hoover", "Fran Allen", "Gordon Moore"),
    *("Hedy Lamarr", "Irene Greif", "Jean Sammet", "Jim Gray", "Joan Clarke", "John Backus", "Karen Jones"),
    *("Ken Thompson", "Kathleen Booth", "Leslie Lamport", "Lynn Conway", "Margaret Hamilton", "Mary Shaw"),
    *("Nancy Lynch", "Niklaus Wirth", "Peter Naur", "Radia Perlman", "Robin Milner", "Shafi Goldwasser"),
)


def with_weeks(programme: Programme, today: datetime) -> Programme:
    """The same programme and orders of the last weeks, with as many more units in stock as those take."""
    chance = Random(7)
    bodies = [_body(programme.catalog, chance, number, today) for number in range(_ORDERS)]
    sold = Counter[str]()
    for body in bodies:
        for line in body["lines"]:
            sold[line["sku"]] += line["quantity"]
    late = {f"{body['order_id']}:*": CarrierScenario.DELAYED for body in bodies if chance.random() < 0.06}
    return replace(
        programme,
        catalog=_stocked(programme.catalog, sold),
        stories=(*programme.stories, *(_story(body, chance) for body in bodies)),
        carrier=CarrierScenarios(default=programme.carrier.default, overrides={**programme.carrier.overrides, **late}),
        seconds_max=programme.seconds_max + _SECONDS_MORE,
    )


def _story(body: dict[str, Any], chance: Random) -> Story:
    if chance.random() < 0.05:
        cancels = (people.cancels_at_once,)
        return Story(body, "cancelled at once", "Canceled", seller=people.has_not_looked_yet, others=cancels)
    return Story(body, "an ordinary order", "Delivered")


def _body(catalog: Catalog, chance: Random, number: int, today: datetime) -> dict[str, Any]:
    listings = {listing.sku: listing for listing in catalog.listings}
    lines: list[dict[str, Any]] = [
        {
            "line_id": str(place),
            "sku": sku,
            "quantity": quantity,
            "unit_price": listings[sku].unit_price,
            "seller": listings[sku].seller,
            "channel": Channel.FBA if sku in _of_network(catalog) else Channel.FBM,
        }
        for place, (sku, quantity) in enumerate(_cart(chance).items(), start=1)
    ]
    customer = chance.randrange(len(_NAMES))
    name, (city, region, postal_code) = _NAMES[customer], _PLACES[customer % len(_PLACES)]
    method = chance.choices(list(_METHODS), [share for _, share in _METHODS.values()])[0]
    price = _METHODS[method][0]
    total = price + sum(line["quantity"] * line["unit_price"] for line in lines)
    return {
        "order_id": str(_FIRST_ID + number),
        "customer": {
            "id": f"c-{301 + customer}",
            "name": name,
            "email": f"{name.replace(' ', '.').lower()}@example.com",
            "time_zone": "America/New_York",
        },
        "ship_to": {
            "name": name,
            "line1": f"{11 + customer} Main Street",
            "city": city,
            "region": region,
            "postal_code": postal_code,
            "country": "US",
        },
        "currency": "USD",
        "lines": lines,
        "shipping": {"method": method, "price": price},
        "payments": [{"kind": "card", "token": "tok_visa", "amount": total}],
        "clock": {"origin": _moment(chance, today).isoformat(), "factor": TIME_FACTOR_MAX},
    }


def _cart(chance: Random) -> dict[str, int]:
    sku = chance.choices(list(_GOODS), list(_GOODS.values()))[0]
    cart = {sku: chance.choices((1, 2, 3), (80, 15, 5))[0]}
    if sku in _BOUGHT_WITH and chance.random() < 0.45:
        cart[_BOUGHT_WITH[sku]] = 1
    return cart


def _moment(chance: Random, today: datetime) -> datetime:
    """By daylight on the East Coast, and a little more often of late."""
    days = chance.choices(_DAYS, [60 - days for days in _DAYS])[0]
    midnight = today.astimezone(UTC).replace(hour=5, minute=0, second=0, microsecond=0)
    hour = chance.choices(range(24), _HOURS)[0]
    return midnight - timedelta(days=days) + timedelta(hours=hour, seconds=chance.randrange(3600))


def _of_network(catalog: Catalog) -> set[str]:
    network = {place.location for place in catalog.locations if place.seller is None}
    return {level.sku for level in catalog.stock if level.location in network}


def _stocked(catalog: Catalog, sold: Counter[str]) -> Catalog:
    """At the first place that has any."""
    stock = []
    for level in catalog.stock:
        stock.append(level.model_copy(update={"on_hand": level.on_hand + sold.pop(level.sku, 0)}))
    return catalog.model_copy(update={"stock": tuple(stock)})
