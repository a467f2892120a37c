"""A marketplace of any size, written straight into the database: orders with the shape of real ones, all adding up.

Shape taken from Olist's public orders (2016-2018): nine in ten have one line of one unit, one in a hundred several
sellers; sales double within a year, most of them in the afternoon and on working days; two days until the handoff and a
week on the way, with long tails; few customers come back. `python -m benchmarks.population URL ORDERS` makes one.
"""

import argparse
import math
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Table

from domain.placing import Address
from domain.sealing import DataKey, Person, Wrapping
from domain.shipping import HandlingProfile
from store.metadata import metadata
from store.vault import Vault, sealed_values

NETWORK = "network-1"
DAYS = 730
STATES = (("SP", 43), ("RJ", 11), ("MG", 10), ("RS", 6), ("PR", 6), ("BA", 5), ("GO", 3), ("SC", 3), ("PE", 2))
HOURS = (20, 10, 4, 2, 2, 2, 3, 16, 32, 51, 51, 85, 48, 85, 66, 58, 79, 59, 56, 61, 61, 53, 49, 47)
WEEKDAYS = (155, 137, 161, 176, 145, 103, 123)
_PROFILE = HandlingProfile(time_zone="America/Sao_Paulo").model_dump(mode="json")
_NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Leslie", "Frances", "Tony")
_SURNAMES = ("Silva", "Souza", "Costa", "Santos", "Oliveira", "Pereira", "Lima", "Alves", "Ribeiro", "Gomes")

Row = Mapping[str, Any]


class Size(NamedTuple):
    orders: int
    sellers: int
    skus: int


def size_of(orders: int) -> Size:
    """As many sellers and products as there were beside so many of Olist's orders."""
    sellers = max(8, orders // 33)
    return Size(orders, sellers, sellers * 10)


def populate(url: str, orders: int, *, seed: int = 1, until: datetime | None = None, prefix: str = "p") -> Size:
    """Into a database with the schema and without any of these ids; nothing is checked but by PostgreSQL itself."""
    population = _Population(size_of(orders), random.Random(seed), until or datetime.now(UTC), prefix)
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        (search_key,) = connection.execute("SELECT wrapped FROM search_key").fetchone() or (b"",)
        population.search_key = bytes(search_key)
        rows: dict[str, list[Row]] = {}
        for table, row in population.rows():
            rows.setdefault(table, []).append(row)
        for table in _IN_ORDER:
            _copy(connection, metadata.tables[table], rows.get(table, ()))
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
    return population.size


# Those that others refer to come first.
_IN_ORDER = (
    *("sellers", "locations", "listings", "shipping_rates", "stock", "orders", "order_contacts", "order_sellers"),
    *("order_lines", "line_money", "order_units", "fulfillments", "parcels", "timeline", "payments", "money_moves"),
    *("stock_movements", "reservations", "outbox", "order_changes", "customer_keys", "order_search"),
)


def _copy(connection: psycopg.Connection, table: Table, rows: Sequence[Row]) -> None:
    if not rows:
        return
    names = list(rows[0])
    columns = ", ".join(f'"{name}"' for name in names)
    with connection.cursor().copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])


class _Sku(NamedTuple):
    seller: str
    sku: str
    title: str
    price: int


class _Population:
    def __init__(self, size: Size, chance: random.Random, until: datetime, prefix: str) -> None:
        self.size = size
        self._chance = chance
        self._until = until.replace(microsecond=0)
        self._prefix = prefix
        self._skus: list[_Sku] = []
        self._weights: list[float] = []
        self._sold: dict[tuple[str, str, str], int] = {}
        self._left: dict[tuple[str, str, str], int] = {}
        self._held: dict[tuple[str, str, str], int] = {}
        self._customers: list[str] = []
        self._keys: dict[str, DataKey] = {}
        self._vault = Vault(Wrapping())
        self.search_key = b""

    def rows(self) -> Iterator[tuple[str, Row]]:
        yield from self._catalog()
        for number in range(self.size.orders):
            yield from _Order(self, self._chance, number).rows()
        yield from self._stock()

    def person(self, order_id: str, customer: str, person: Person) -> Iterator[tuple[str, Row]]:
        key = self._keys.get(customer)
        if key is None:
            new = self._vault.new_key()
            key = self._keys[customer] = new.key
            yield "customer_keys", {"key_id": key.key_id, "customer_id": customer, "wrapped": new.wrapped.content}
        sealed = sealed_values(key, order_id, person)
        sealed |= {name: Jsonb(sealed[name]) for name in ("address", "earlier_addresses")}
        yield "order_contacts", {"order_id": order_id, "time_zone": "America/Sao_Paulo", **sealed}
        yield "order_search", {"order_id": order_id, "hashes": person.hashes(self.search_key)}

    # -- what is sold ------------------------------------------------------------------

    def _catalog(self) -> Iterator[tuple[str, Row]]:
        yield "locations", _location(NETWORK if self._prefix == "p" else f"{self._prefix}-{NETWORK}", None)
        for number in range(self.size.sellers):
            seller = f"{self._prefix}s{number}"
            yield (
                "sellers",
                {
                    "seller_id": seller,
                    "name": f"Seller {number}",
                    "email": f"{seller}@example.invalid",
                    "time_zone": "America/Sao_Paulo",
                },
            )
            yield "locations", _location(f"{seller}-home", seller)
        for number in range(self.size.skus):
            seller = f"{self._prefix}s{number % self.size.sellers}"
            price = max(500, round(self._chance.lognormvariate(8.9, 0.8)))
            sku = _Sku(seller, f"SKU-{number}", f"Product {number}, in {self._chance.choice(('S', 'M', 'L'))}", price)
            self._skus.append(sku)
            self._weights.append(1 / (1 + number) ** 0.7)  # few sell much, many hardly ever
            yield (
                "listings",
                {
                    "seller_id": sku.seller,
                    "sku": sku.sku,
                    "title": sku.title,
                    "unit_price": sku.price,
                    "currency": "BRL",
                    "weight_grams": self._chance.randint(50, 9_000),
                    "substitutes": [],
                },
            )
        self._cumulative = _cumulative(self._weights)

    def pick(self) -> _Sku:
        return self._chance.choices(self._skus, cum_weights=self._cumulative)[0]

    @property
    def network(self) -> str:
        return NETWORK if self._prefix == "p" else f"{self._prefix}-{NETWORK}"

    def customer(self, number: int) -> str:
        """Three in a hundred have bought before."""
        if self._customers and self._chance.random() < 0.03:
            return self._chance.choice(self._customers)
        self._customers.append(f"c-{self._prefix}{number}")
        return self._customers[-1]

    def take(self, location: str, sku: _Sku, units: int, *, left: bool) -> None:
        key = (location, sku.seller, sku.sku)
        if left:
            self._left[key] = self._left.get(key, 0) + units
        else:
            self._held[key] = self._held.get(key, 0) + units

    def _stock(self) -> Iterator[tuple[str, Row]]:
        for location, seller, sku in sorted({*self._left, *self._held}):
            key = (location, seller, sku)
            spare = self._chance.choice((0, 0, 2, 5, 10, 30))
            held = self._held.get(key, 0)
            yield (
                "stock",
                {
                    "location_id": location,
                    "seller_id": seller,
                    "sku": sku,
                    "on_hand": held + spare,
                    "reserved": held,
                },
            )
            opening = self._left.get(key, 0) + held + spare
            if opening:
                yield (
                    "stock_movements",
                    _movement(f"opening:{':'.join(key)}", key, opening, 0, "opening", None, "", self.start),
                )

    @property
    def start(self) -> datetime:
        return self._until - timedelta(days=DAYS + 1)

    @property
    def until(self) -> datetime:
        return self._until

    @property
    def prefix(self) -> str:
        return self._prefix

    def moment(self) -> datetime:
        """Twice as many at the end as a year before; by hour and weekday as people buy."""
        while True:
            day = self._until.date() - timedelta(days=int(DAYS * (1 - math.sqrt(self._chance.random()))))
            if self._chance.random() * max(WEEKDAYS) > WEEKDAYS[day.weekday()]:
                continue
            hour = self._chance.choices(range(24), HOURS)[0]
            moment = datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(hours=3)
            moment += timedelta(seconds=self._chance.randint(0, 3_599))
            if moment < self._until - timedelta(minutes=5):
                return moment


class _Line(NamedTuple):
    line_id: str
    sku: _Sku
    quantity: int
    channel: str
    location: str

    @property
    def amount(self) -> int:
        return self.sku.price * self.quantity


class _Order:
    """One order from checkout to wherever it has come by now, as its workflow would have left it."""

    def __init__(self, population: _Population, chance: random.Random, number: int) -> None:
        self._population = population
        self._chance = chance
        self._order_id = f"{population.prefix}{number:07d}"
        self._placed_at = population.moment()
        self._until = population.until
        self._lines = self._cart()
        self._seq = count(1)
        self._customer = population.customer(number)

    def _cart(self) -> list[_Line]:
        kinds = self._chance.choices((1, 2, 3, 5), (898, 80, 15, 7))[0]
        first = self._population.pick()
        chosen = {(first.seller, first.sku): first}
        for _ in range(kinds - 1):
            other = self._population.pick()
            if other.seller == first.seller or self._chance.random() < 0.15:
                chosen[other.seller, other.sku] = other
        lines = []
        for number, sku in enumerate(chosen.values(), start=1):
            by_network = hash_share(sku.sku) < 0.3
            lines.append(
                _Line(
                    str(number),
                    sku,
                    self._chance.choices((1, 2, 3), (92, 6, 2))[0],
                    "FBA" if by_network else "FBM",
                    self._population.network if by_network else f"{sku.seller}-home",
                )
            )
        return lines

    def rows(self) -> Iterator[tuple[str, Row]]:
        fate = self._chance.choices(("goes", "canceled", "unavailable", "pending"), (976, 12, 6, 6))[0]
        handed = self._placed_at + timedelta(days=self._chance.lognormvariate(0.85, 0.75))
        delivered = handed + timedelta(days=self._chance.lognormvariate(1.95, 0.75))
        if fate == "pending" and self._until - self._placed_at > timedelta(days=3):
            fate = "canceled"
        match fate:
            case "goes":
                yield from self._goes(handed, delivered)
            case "pending":
                yield from self._waits_for_payment()
            case _:
                yield from self._ends_unsent(fate)

    # -- fates -----------------------------------------------------------------------

    def _goes(self, handed: datetime, delivered: datetime) -> Iterator[tuple[str, Row]]:
        left, arrived = handed <= self._until, delivered <= self._until
        place = "delivered" if arrived else "shipped" if left else "reserved"
        late = not arrived and ((left and self._deliver_by < self._until) or (not left and self._ship_by < self._until))
        status = "Delivered" if arrived else "Shipped" if left else "Unshipped"
        yield from self._head(status, closed=arrived, attention=["late"] if late else [], ship_by=not left, paid=left)
        yield self._entry(self._placed_at, "placed", "customer", f"{len(self._lines)} lines")
        yield self._entry(self._placed_at + timedelta(seconds=2), "authorized", "marketplace", "authorized")
        confirmed = self._placed_at + timedelta(seconds=3)
        yield self._entry(confirmed, "inventory_checked", "marketplace", "Reserved; 0 lines short")
        yield self._entry(confirmed, "confirmed", "marketplace", "The customer was sent the confirmation")
        for number, (seller, channel) in enumerate(sorted({(line.sku.seller, line.channel) for line in self._lines})):
            own = [line for line in self._lines if (line.sku.seller, line.channel) == (seller, channel)]
            part = f"{seller}-{1 + (number if channel == 'FBM' else 100 + number)}"
            yield from self._part(part, seller, channel, own, place, handed, delivered)

    def _part(
        self, part: str, seller: str, channel: str, own: list[_Line], place: str, handed: datetime, delivered: datetime
    ) -> Iterator[tuple[str, Row]]:
        left, arrived = place in ("shipped", "delivered"), place == "delivered"
        parcel = f"{part}-p1"
        status = {"reserved": "Unshipped", "shipped": "Shipped", "delivered": "Delivered"}[place]
        yield (
            "fulfillments",
            {
                "order_id": self._order_id,
                "fulfillment_id": part,
                "seller": seller,
                "location": own[0].location,
                "channel": channel,
                "ship_by": self._ship_by,
                "due_at": self._ship_by,
                "deliver_by": self._deliver_by,
                "status": status,
                "on_hold": not left and self._chance.random() < 0.01,
                "cancellation_asked": False,
                "network_status": None if channel == "FBM" else "Complete" if left else "Processing",
                "handed_over_at": handed if left else None,
            },
        )
        for line in own:
            yield self._units(line, place, part, parcel if left else "")
            key = (line.location, line.sku.seller, line.sku.sku)
            order = (self._order_id, line.line_id, self._placed_at)
            yield "stock_movements", _movement(f"{self._order_id}:reserve", key, 0, line.quantity, "reserved", *order)
            yield (
                "reservations",
                {
                    "order_id": self._order_id,
                    "line_id": line.line_id,
                    "location_id": line.location,
                    "seller_id": line.sku.seller,
                    "sku": line.sku.sku,
                    "quantity": 0 if left else line.quantity,
                },
            )
            self._population.take(line.location, line.sku, line.quantity, left=left)
            if left:
                out = (f"{self._order_id}:handoff:{parcel}", key, -line.quantity, -line.quantity, "handed_over")
                yield "stock_movements", _movement(*out, self._order_id, line.line_id, handed)
        if not left:
            return
        packed = handed - timedelta(hours=self._chance.uniform(0.2, 20)) if channel == "FBM" else handed
        packed = max(packed, self._placed_at + timedelta(seconds=10))
        tracked = self._chance.random() < 0.98
        yield (
            "parcels",
            {
                "order_id": self._order_id,
                "parcel_id": parcel,
                "fulfillment_id": part,
                "stage": "shipped",
                "carrier": "Correios" if tracked else "own",
                "tracking_number": f"BR{self._order_id.upper()}{part[-3:].upper()}" if tracked else None,
                "tracking_url": None,
                "status": "delivered" if arrived else "in_transit",
                "weight_grams": None,
                "packed_at": packed,
                "shipped_at": handed,
                "estimate": self._deliver_by,
                "delivered_at": delivered if arrived else None,
                "presumed_delivered": False,
                "proof": None,
            },
        )
        yield self._entry(packed, "packed", f"seller:{seller}", f"{parcel}: packed", part)
        yield self._entry(handed, "handed_over", f"seller:{seller}", f"{parcel}: handed over", part)
        yield self._entry(handed, "captured", "marketplace", "captured", part)
        scan = f"{parcel}: in transit"
        yield self._entry(handed + timedelta(hours=8), "carrier_event", "carrier", scan, part, after="in_transit")
        if arrived:
            said = f"{parcel}: delivered"
            yield self._entry(delivered, "carrier_event", "carrier", said, part, after="delivered")
            yield self._entry(delivered, "delivered", "carrier", said, part)

    def _waits_for_payment(self) -> Iterator[tuple[str, Row]]:
        yield from self._head(
            "Pending", closed=False, attention=["payment_declined"], ship_by=False, paid=False, declined=True
        )
        yield self._entry(self._placed_at, "placed", "customer", f"{len(self._lines)} lines")
        yield self._entry(self._placed_at, "payment_declined", "payments", "The payment was declined: expired card")
        for line in self._lines:
            yield self._units(line, "pending", "", "")

    def _ends_unsent(self, fate: str) -> Iterator[tuple[str, Row]]:
        short = fate == "unavailable"
        yield from self._head(
            "Unfulfillable" if short else "Canceled", closed=True, attention=[], ship_by=False, paid=False, dropped=True
        )
        who = (
            "marketplace"
            if short
            else self._chance.choice(("customer", "customer", f"seller:{self._lines[0].sku.seller}"))
        )
        why = "out of stock" if short else self._chance.choice(("ordered twice", "found cheaper", "no inventory"))
        yield self._entry(self._placed_at, "placed", "customer", f"{len(self._lines)} lines")
        at = min(self._placed_at + timedelta(hours=self._chance.uniform(0.1, 40)), self._until)
        yield self._entry(at, "cancelled", who, "Cancelled: everything", why=why)
        for line in self._lines:
            yield self._units(line, "cancelled", "", "")

    # -- rows ------------------------------------------------------------------------

    @property
    def _ship_by(self) -> datetime:
        return self._placed_at.replace(hour=2, minute=59, second=59) + timedelta(days=7)

    @property
    def _deliver_by(self) -> datetime:
        return self._placed_at.replace(hour=2, minute=59, second=59) + timedelta(days=24)

    def _head(
        self,
        status: str,
        *,
        closed: bool,
        attention: list[str],
        ship_by: bool,
        paid: bool,
        declined: bool = False,
        dropped: bool = False,
    ) -> Iterator[tuple[str, Row]]:
        items = sum(line.amount for line in self._lines)
        shipping = 990
        total = items + shipping
        name = f"{self._chance.choice(_NAMES)} {self._chance.choice(_SURNAMES)}"
        yield (
            "orders",
            {
                "order_id": self._order_id,
                "body_hash": "0" * 64,
                "first_run_id": self._order_id,
                "customer_id": self._customer,
                "currency": "BRL",
                "items": items,
                "shipping": shipping,
                "tax": 0,
                "discount": 0,
                "total": total,
                "method": self._chance.choices(("Standard", "Expedited", "TwoDay", "NextDay"), (80, 12, 6, 2))[0],
                "country": "BR",
                "placed_at": self._placed_at,
                "factor": 1.0,
                "recorded_at": self._placed_at,
                "status": status,
                "attention": attention,
                "attention_since": self._placed_at + timedelta(days=8) if attention else None,
                "ship_by": self._ship_by if ship_by else None,
                "promised_at": self._deliver_by,
                "closed": closed,
                "result": Jsonb({"order_id": self._order_id, "status": status}) if closed else None,
                "version": 6,
                "updated_at": self._placed_at,
            },
        )
        state = self._chance.choices([s for s, _ in STATES], [n for _, n in STATES])[0]
        address = Address(name=name, line1="Rua 1", city="Centro", region=state, postal_code="01000-000", country="BR")
        person = Person(name=name, email=f"{self._customer}@example.invalid", address=address)
        yield from self._population.person(self._order_id, self._customer, person)
        for seller in sorted({line.sku.seller for line in self._lines}):
            yield "order_sellers", {"seller": seller, "placed_at": self._placed_at, "order_id": self._order_id}
        shares = _shares(shipping, [line.amount for line in self._lines])
        for line, share in zip(self._lines, shares, strict=True):
            yield "order_lines", self._line(line, line.amount + share)
            charged = line.amount + share if paid else 0
            if paid or dropped:
                yield (
                    "line_money",
                    {
                        "order_id": self._order_id,
                        "line_id": line.line_id,
                        "captured": charged,
                        "dropped": line.amount + share if dropped else 0,
                        "refunded": 0,
                    },
                )
        yield from self._payment(total, paid=paid, declined=declined, dropped=dropped)
        changed_at = self._placed_at.isoformat()
        mail = {"template": "address_changed", "order_id": self._order_id, "changed_at": changed_at}
        for key in ("confirmed", "shipped", "delivered")[: 3 if closed else 1]:
            yield (
                "outbox",
                {
                    "key": f"{self._order_id}:{key}",
                    "kind": "mail",
                    "order_id": self._order_id,
                    "body": Jsonb(mail | {"key": f"{self._order_id}:{key}"}),
                    "created_at": self._placed_at,
                    "due_at": self._placed_at,
                    "attempts": 1,
                    "sent_at": self._placed_at + timedelta(seconds=1),
                },
            )
        yield "order_changes", {"order_id": self._order_id}

    def _line(self, line: _Line, total: int) -> Row:
        return {
            "order_id": self._order_id,
            "line_id": line.line_id,
            "position": int(line.line_id) - 1,
            "sku": line.sku.sku,
            "title": line.sku.title,
            "quantity": line.quantity,
            "unit_price": line.sku.price,
            "total": total,
            "seller": line.sku.seller,
            "channel": line.channel,
            "replaces": None,
            "ship_by": self._ship_by,
            "deliver_by": self._deliver_by,
            "earliest_delivery": self._placed_at,
        }

    def _payment(self, total: int, *, paid: bool, declined: bool, dropped: bool) -> Iterator[tuple[str, Row]]:
        authorized = 0 if declined else total
        yield (
            "payments",
            {
                "order_id": self._order_id,
                "payment_id": "1",
                "kind": "card",
                "token": "tok_visa",
                "amount": total,
                "currency": "BRL",
                "status": "declined" if declined else "authorized",
                "authorized": authorized,
                "captured": total if paid else 0,
                "voided": total if dropped else 0,
            },
        )
        moves = [("authorize", not declined), ("capture", paid), ("void", dropped)]
        for kind, done in moves:
            if done or kind == "authorize":
                yield (
                    "money_moves",
                    {
                        "key": f"{self._order_id}:{kind}",
                        "plan_key": f"{self._order_id}:{kind}",
                        "order_id": self._order_id,
                        "payment_id": "1",
                        "kind": kind,
                        "amount": total,
                        "settled": True,
                        "refused_because": None if done else "expired card",
                        "planned_at": self._placed_at,
                        "settled_at": self._placed_at,
                    },
                )

    def _units(self, line: _Line, place: str, part: str, parcel: str) -> tuple[str, Row]:
        return "order_units", {
            "order_id": self._order_id,
            "line_id": line.line_id,
            "place": place,
            "fulfillment_id": part,
            "parcel_id": parcel,
            "quantity": line.quantity,
        }

    def _entry(
        self,
        at: datetime,
        what: str,
        who: str,
        summary: str,
        part: str | None = None,
        *,
        why: str = "",
        after: str | None = None,
    ) -> tuple[str, Row]:
        return "timeline", {
            "order_id": self._order_id,
            "seq": next(self._seq),
            "occurred_at": at,
            "received_at": at,
            "who": who,
            "what": what,
            "summary": summary,
            "why": why,
            "fulfillment_id": part,
            "before": None,
            "after": after,
        }


def _location(location: str, seller: str | None) -> Row:
    return {
        "location_id": location,
        "seller_id": seller,
        "channel": "FBA" if seller is None else "FBM",
        "priority": 10,
        "profile": Jsonb(_PROFILE),
    }


def _movement(
    key: str, level: tuple[str, str, str], on_hand: int, reserved: int, reason: str,
    order_id: str | None, line_id: str, at: datetime,
) -> Row:  # fmt: skip
    location, seller, sku = level
    return {
        "key": key,
        "line_id": line_id,
        "location_id": location,
        "seller_id": seller,
        "sku": sku,
        "on_hand_delta": on_hand,
        "reserved_delta": reserved,
        "reason": reason,
        "order_id": order_id,
        "at": at,
    }


def _shares(amount: int, weights: Sequence[int]) -> list[int]:
    """Rounded down, and the rest to the first."""
    shares = [amount * weight // sum(weights) for weight in weights]
    shares[0] += amount - sum(shares)
    return shares


def _cumulative(weights: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for weight in weights:
        total += weight
        sums.append(total)
    return sums


def hash_share(text: str) -> float:
    """From 0 up to 1, the same in every process: which SKUs lie with the network."""
    return sum(text.encode()) * 2_654_435_761 % 2**32 / 2**32


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.population", description=__doc__)
    parser.add_argument("url", help="postgresql://..., with the schema and nothing else in it")
    parser.add_argument("orders", type=int)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    print(populate(chosen.url, chosen.orders, seed=chosen.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
