"""Real orders from a folder of Olist's public dataset, as orders of ours, with what was recorded of them.

Pure but for reading the files; nothing is random, so that the same folder always gives the same bodies. The rules, also
in docs/olist.md:

- times are local, America/Sao_Paulo; amounts are BRL, in centavos here; the order's clock begins at its purchase;
- a line is a product, seller and price: Olist repeats a row per unit. Freight is added up as shipping;
- every payment row is a payment: credit and debit cards are cards, boletos prepaid, vouchers vouchers, anything else
  prepaid; over 20 rows are added up by kind. What was paid above items and freight (interest) is tax, below it
  discount. Without payment rows the order counts as prepaid. Neither approved nor handed over, its payments
  are declined;
- promised delivery is the end of the estimated day, promised ship-by the latest shipping limit;
- each seller has one location, with exactly the units that the folder's orders want. Items of `unavailable` orders get
  a SKU of their own, of which there is none;
- names, streets and addresses are not in the dataset and made up from ids, mail addresses at `example.invalid`;
- no automatic cancellation, and no parcel is given up as lost: the marketplace did neither;
- what cannot be an order (no items, no customer, no readable number) stands in the list with its reason.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from domain.catalog import Catalog, Listing, Location, OpeningStock, Seller
from domain.decoding import Refusal, decode
from domain.placing import PAYMENTS_MAX, PlaceOrder
from domain.shipping import HandlingProfile
from domain.state import OrderStatus

ZONE = ZoneInfo("America/Sao_Paulo")
CURRENCY = "BRL"

_COLUMNS = {
    "orders": (
        *("order_id", "customer_id", "order_status", "order_purchase_timestamp", "order_approved_at"),
        *("order_delivered_carrier_date", "order_delivered_customer_date", "order_estimated_delivery_date"),
    ),
    "order_items": (
        *("order_id", "order_item_id", "product_id", "seller_id", "shipping_limit_date", "price", "freight_value"),
    ),
    "order_payments": ("order_id", "payment_sequential", "payment_type", "payment_value"),
    "customers": (
        *("customer_id", "customer_unique_id", "customer_zip_code_prefix", "customer_city", "customer_state"),
    ),
}
_BYTES_MAX = 500_000_000
"""Of one file, which is held in memory; all of Olist's orders take 18 MB."""

_YEARS = range(1970, 2200)
"""Those that a time may be in, anywhere here (`domain.model.MOMENT`)."""

_DIGITS_MAX = 15
_SHOWN_MAX = 64
_KINDS = {"credit_card": "card", "debit_card": "card", "voucher": "voucher"}
_POLICY = {
    "payment_retry_hours": 24 * 365,
    "late_cancel_days": None,
    "lost_after_days": None,
}
_PROFILE = HandlingProfile(time_zone=ZONE.key, holiday_country="BR")

_Row = Mapping[str, str]


class NotOlist(Exception):
    """The folder lacks a file, or a file lacks a column; one sentence."""


class Recorded(NamedTuple):
    """What the files say happened, in UTC. A cancellation has no time of its own there."""

    status: str
    purchased_at: datetime
    approved_at: datetime | None
    handed_at: datetime | None
    delivered_at: datetime | None
    promised_by: datetime
    promised_ship_by: datetime | None
    """None without items."""

    units: int
    """Rows of items: one is a unit."""

    paid: int | None
    """The sum of the payment rows, in centavos; None without one."""

    @property
    def paid_at(self) -> datetime | None:
        """The approval, at the latest with the handoff: nobody ships what is not paid for."""
        moments = [moment for moment in (self.approved_at, self.handed_at, self.arrived_at) if moment is not None]
        return max(min(moments), self.purchased_at) if moments else None

    @property
    def arrived_at(self) -> datetime | None:
        """The delivery; an order that is `delivered` without a date arrives on its estimated day."""
        return self.promised_by if self.delivered_at is None and self.status == "delivered" else self.delivered_at

    @property
    def handed_late(self) -> bool | None:
        if self.handed_at is None or self.promised_ship_by is None:
            return None
        return self.handed_at > self.promised_ship_by

    @property
    def delivered_late(self) -> bool | None:
        return None if self.delivered_at is None else self.delivered_at > self.promised_by

    @property
    def last_at(self) -> datetime:
        """The last recorded date: an order without an end is looked at then."""
        moments = (self.purchased_at, self.approved_at, self.handed_at, self.delivered_at)
        return max(moment for moment in moments if moment is not None)


class Event(NamedTuple):
    """`approved`, `handed`, `canceled` or `delivered`, to be played at this business time."""

    what: str
    at: datetime


class Expected(NamedTuple):
    """How the order must end, or stand at its last event, and by which rule; no status: it is no order."""

    status: OrderStatus | None
    closed: bool
    rule: str


class OlistOrder(NamedTuple):
    """`body` is what to place, also where it is refused for `reason`; None where not even a body could be made."""

    order_id: str
    body: dict[str, Any] | None
    reason: str | None
    recorded: Recorded | None
    events: tuple[Event, ...]
    expected: Expected


class OlistFolder(NamedTuple):
    orders: tuple[OlistOrder, ...]
    catalog: Catalog


def is_olist(folder: Path) -> bool:
    return (folder / "olist_orders_dataset.csv").is_file()


def read_olist(folder: Path, factor: float = 1.0) -> OlistFolder:
    """All orders of the folder in the order of its file, each on a clock of this speed. Raises `NotOlist`."""
    tables = {name: _read(folder / f"olist_{name}_dataset.csv", columns) for name, columns in _COLUMNS.items()}
    items, payments = _by(tables["order_items"], "order_id"), _by(tables["order_payments"], "order_id")
    customers = {row["customer_id"]: row for row in tables["customers"]}
    orders = tuple(
        _order(row, customers.get(row["customer_id"]), items[row["order_id"]], payments[row["order_id"]], factor)
        for row in tables["orders"]
    )
    try:
        return OlistFolder(orders, _catalog(folder.resolve().name, orders))
    except ValidationError as error:
        # Where an order's seller, of any letters and length, makes no mail address or location.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise NotOlist(f"{folder}: {error.title}: {first['loc'][-1]}: {first['msg']}") from None


# -- one order -----------------------------------------------------------------------


class _Unreadable(Exception):
    pass


def _order(row: _Row, customer: _Row | None, items: list[_Row], payments: list[_Row], factor: float) -> OlistOrder:
    order_id = row["order_id"]
    recorded = None
    try:
        recorded = _recorded(row, items, payments)
        if customer is None:
            raise _Unreadable(f"customer_id: no customer {_shown(row['customer_id'])} is in the folder")
        body = _body(row, customer, items, payments, recorded, factor)
    except _Unreadable as error:
        return OlistOrder(order_id, None, str(error), recorded, (), Expected(None, True, "unreadable: refused"))
    verdict = decode(PlaceOrder, (body,))
    reason = verdict.reason if isinstance(verdict, Refusal) else None
    if reason is not None:
        rule = "no items: refused" if not items else "not an order: refused"
        return OlistOrder(order_id, body, reason, recorded, (), Expected(None, True, rule))
    return OlistOrder(order_id, body, None, recorded, events_of(recorded), expected_end(recorded))


def _recorded(row: _Row, items: list[_Row], payments: list[_Row]) -> Recorded:
    limits = [_moment(item, "shipping_limit_date") for item in items]
    estimated_day = _moment(row, "order_estimated_delivery_date").astimezone(ZONE).date()
    end_of_day = datetime.combine(estimated_day + timedelta(days=1), time(0), tzinfo=ZONE) - timedelta(seconds=1)
    return Recorded(
        status=row["order_status"],
        purchased_at=_moment(row, "order_purchase_timestamp"),
        approved_at=_moment_or_none(row, "order_approved_at"),
        handed_at=_moment_or_none(row, "order_delivered_carrier_date"),
        delivered_at=_moment_or_none(row, "order_delivered_customer_date"),
        promised_by=end_of_day.astimezone(UTC),
        promised_ship_by=max(limits, default=None),
        units=len(items),
        paid=sum(_centavos(payment, "payment_value") for payment in payments) if payments else None,
    )


def _body(
    row: _Row, customer: _Row, items: list[_Row], payments: list[_Row], recorded: Recorded, factor: float
) -> dict[str, Any]:
    lines = _lines(items, short=recorded.status == "unavailable")
    freight = sum(_centavos(item, "freight_value") for item in items)
    due = freight + sum(line["quantity"] * line["unit_price"] for line in lines)
    paid = _payments(payments, due, approved=recorded.paid_at is not None)
    difference = sum(payment["amount"] for payment in paid) - due
    person = customer["customer_unique_id"]
    name = f"Customer {person[:8]}"
    return {
        "order_id": row["order_id"],
        "customer": {"id": person, "name": name, "email": f"{person}@example.invalid", "time_zone": ZONE.key},
        "ship_to": {
            "name": name,
            "line1": "(street not recorded)",
            "city": customer["customer_city"],
            "region": customer["customer_state"],
            "postal_code": customer["customer_zip_code_prefix"],
            "country": "BR",
        },
        "currency": CURRENCY,
        "lines": lines,
        "shipping": {"method": "Standard", "price": freight},
        "tax": max(difference, 0),
        "discount": max(-difference, 0),
        "payments": paid,
        "promised_by": recorded.promised_by.isoformat(),
        "promised_ship_by": recorded.promised_ship_by.isoformat() if recorded.promised_ship_by else None,
        "clock": {"origin": recorded.purchased_at.isoformat(), "factor": factor},
        "policy": dict(_POLICY),
    }


def _lines(items: list[_Row], *, short: bool) -> list[dict[str, Any]]:
    units: dict[tuple[str, str, int], int] = defaultdict(int)
    for item in sorted(items, key=lambda item: _whole(item, "order_item_id")):
        units[item["product_id"], item["seller_id"], _centavos(item, "price")] += 1
    return [
        {
            "line_id": str(number),
            "sku": f"{product}-unavailable" if short else product,
            "quantity": quantity,
            "unit_price": price,
            "seller": seller,
        }
        for number, ((product, seller, price), quantity) in enumerate(units.items(), start=1)
    ]


def _payments(rows: list[_Row], due: int, *, approved: bool) -> list[dict[str, Any]]:
    payments = [
        (_KINDS.get(row["payment_type"], "prepaid"), _centavos(row, "payment_value"))
        for row in sorted(rows, key=lambda row: _whole(row, "payment_sequential"))
    ]
    if len(payments) > PAYMENTS_MAX:
        by_kind: dict[str, int] = defaultdict(int)
        for kind, amount in payments:
            by_kind[kind] += amount
        payments = list(by_kind.items())
    return [
        # The sandbox declines a test card that says so, and takes any token of somebody else's.
        {"kind": kind, "token": f"olist-{number}" if approved else "tok_decline_never_approved", "amount": amount}
        for number, (kind, amount) in enumerate(payments or [("prepaid", due)], start=1)
    ]


# -- what happened, and how it must end ---------------------------------------------------


def events_of(recorded: Recorded) -> tuple[Event, ...]:
    """What to play, in order of time: nothing happens before the purchase, and no delivery before its handoff.

    A cancellation is tried right after handoff where there was one, else at the last recorded date.
    """
    handed, delivered = recorded.handed_at, recorded.arrived_at
    if handed is None:
        handed = delivered
    if handed is not None:
        handed = max(handed, recorded.purchased_at)
    events = []
    if recorded.paid_at is not None:
        events.append(Event("approved", recorded.paid_at))
    if handed is not None:
        events.append(Event("handed", handed))
    if recorded.status == "canceled":
        events.append(Event("canceled", handed or recorded.last_at))
    if delivered is not None and handed is not None:
        events.append(Event("delivered", max(delivered, handed)))
    return tuple(sorted(events, key=lambda event: event.at))


def expected_end(recorded: Recorded) -> Expected:
    """The table of docs/olist.md, by the recorded status and dates."""
    handed, delivered = recorded.handed_at is not None, recorded.delivered_at is not None
    match recorded.status:
        case "unavailable":
            return Expected(OrderStatus.UNFULFILLABLE, True, "unavailable: no stock, refunded by default")
        case "canceled" if delivered:
            return Expected(OrderStatus.DELIVERED, True, "canceled yet delivered: too late to cancel after handoff")
        case "canceled" if handed:
            return Expected(OrderStatus.SHIPPED, False, "canceled after handoff: too late, the parcel is on its way")
        case "canceled":
            return Expected(OrderStatus.CANCELED, True, "canceled before handoff")
        case "delivered":
            return Expected(OrderStatus.DELIVERED, True, "delivered")
        case _ if delivered:
            return Expected(OrderStatus.DELIVERED, True, f"{recorded.status} with a date of delivery")
        case _ if handed:
            return Expected(OrderStatus.SHIPPED, False, f"{recorded.status}: handed over, never seen delivered")
        case _ if recorded.paid_at is None:
            return Expected(OrderStatus.PENDING, False, f"{recorded.status}: the payment was never approved")
        case status:
            return Expected(OrderStatus.UNSHIPPED, False, f"{status}: nobody handed it over")


# -- what is sold, and what lies where ------------------------------------------------------


def _catalog(folder_name: str, orders: Iterable[OlistOrder]) -> Catalog:
    """Only of what is an order. The location bears the folder's name: the stock of each folder comes on top."""
    prices: dict[tuple[str, str], int] = {}
    wanted: dict[tuple[str, str], int] = defaultdict(int)
    tag = "".join(char for char in folder_name if char.isascii() and (char.isalnum() or char in "-_."))[:24]
    dated = ((o.recorded.purchased_at, o.body) for o in orders if o.reason is None and o.body and o.recorded)
    for _, body in sorted(dated, key=lambda one: one[0]):
        for line in body["lines"]:
            key = line["seller"], line["sku"]
            prices[key] = line["unit_price"]  # that of the last sale
            wanted[key] += 0 if line["sku"].endswith("-unavailable") else line["quantity"]
    sellers = sorted({seller for seller, _ in prices})
    return Catalog(
        sellers=tuple(
            Seller(seller=s, name=f"Seller {s[:8]}", email=f"{s}@example.invalid", time_zone=ZONE.key) for s in sellers
        ),
        locations=tuple(Location(location=f"{s}-{tag}", seller=s, profile=_PROFILE) for s in sellers),
        listings=tuple(
            Listing(seller=seller, sku=sku, title=f"Product {sku[:8]}", unit_price=price, currency=CURRENCY)
            for (seller, sku), price in sorted(prices.items())
        ),
        stock=tuple(
            OpeningStock(location=f"{seller}-{tag}", seller=seller, sku=sku, on_hand=quantity)
            for (seller, sku), quantity in sorted(wanted.items())
            if quantity
        ),
    )


# -- reading --------------------------------------------------------------------------------


def _read(path: Path, columns: Iterable[str]) -> list[_Row]:
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise NotOlist(f"{path}: larger than {_BYTES_MAX:,} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            for column in columns:
                if column not in (reader.fieldnames or ()):
                    raise NotOlist(f"{path}: there is no column {column!r}")
            return list(reader)
    except OSError as error:
        raise NotOlist(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotOlist(f"{path}: is not UTF-8") from None
    except csv.Error as error:
        raise NotOlist(f"{path}: {error}") from None


def _by(rows: Iterable[_Row], column: str) -> defaultdict[str, list[_Row]]:
    groups: defaultdict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups


def _moment(row: _Row, column: str) -> datetime:
    try:
        moment = datetime.strptime(row[column], "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE)
    except ValueError:
        raise _Unreadable(f"{column}: {_shown(row[column])} is no time") from None
    if moment.year not in _YEARS:
        raise _Unreadable(f"{column}: {_shown(row[column])} is not within the years {_YEARS[0]} to {_YEARS[-1]}")
    return moment.astimezone(UTC)


def _moment_or_none(row: _Row, column: str) -> datetime | None:
    return _moment(row, column) if row[column] else None


def _centavos(row: _Row, column: str) -> int:
    try:
        amount = Decimal(row[column])
    except InvalidOperation:
        raise _Unreadable(f"{column}: {_shown(row[column])} is no amount") from None
    # 1e999999 is a number too, and would be written out in full.
    if not amount.is_finite() or amount.adjusted() > _DIGITS_MAX:
        raise _Unreadable(f"{column}: {_shown(row[column])} is no amount")
    return int((amount * 100).to_integral_value(ROUND_HALF_UP))


def _whole(row: _Row, column: str) -> int:
    try:
        return int(row[column])
    except ValueError:
        raise _Unreadable(f"{column}: {_shown(row[column])} is no number") from None


def shown(order_id: str) -> str:
    """An order's id as it is, or so that it harms no terminal."""
    return order_id if len(order_id) <= _SHOWN_MAX and order_id.isprintable() else _shown(order_id)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}...")
