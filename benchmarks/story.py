"""The order that is counted: from checkout to the doorstep, one line a seller, with everything on."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from domain.catalog import Catalog
from domain.results import StatusView
from store.database import Database
from store.inventory import Inventory
from usecases.errors import Refused
from usecases.orders import Orders

SELLERS = ("acme", "birch")
CARRIER_WORDS = ("in_transit", "out_for_delivery", "delivered")

# UPS's own examples: typed by the seller, so their checksums are checked.
_NUMBERS = {"acme": "1Z5R89390357567127", "birch": "1Z879E930346834440"}
PRICE = 1000
_UNITS = 1_000_000
_ASK_AGAIN_SECONDS_MIN = 0.1
_ASK_AGAIN_SECONDS_MAX = 2.0
_PATIENCE_SECONDS = 300

Body = dict[str, Any]
Pause = Callable[[], Awaitable[None]]


async def open_shop(database: Database) -> None:
    """Two sellers with a location each, and enough of one thing."""
    profile = {"time_zone": "America/New_York", "handling_days": 1}
    catalog = {
        "sellers": [
            {"seller": seller, "name": seller.title(), "email": f"orders@{seller}.example"} for seller in SELLERS
        ],
        "locations": [{"location": location(seller), "seller": seller, "profile": profile} for seller in SELLERS],
        "listings": [
            {"seller": seller, "sku": sku(seller), "title": "Mug", "unit_price": PRICE, "currency": "USD"}
            for seller in SELLERS
        ],
        "stock": [
            {"location": location(seller), "seller": seller, "sku": sku(seller), "on_hand": _UNITS}
            for seller in SELLERS
        ],
    }
    refused = await Inventory(database).load(Catalog.model_validate_json(json.dumps(catalog)))
    assert refused is None, refused


def body(order_id: str, sellers: tuple[str, ...]) -> Body:
    """Of a customer of its own: no marketplace has one who orders a thousand times in a day."""
    lines = [
        {"line_id": seller, "sku": sku(seller), "quantity": 1, "unit_price": PRICE, "seller": seller}
        for seller in sellers
    ]
    return {
        "order_id": order_id,
        "customer": {"id": f"c-{order_id}", "name": "Ada Lovelace", "email": "ada@example.com"},
        "ship_to": {"name": "Ada Lovelace", "line1": "12 Mill Street", "city": "Springfield", "country": "US"},
        "currency": "USD",
        "lines": lines,
        "payments": [{"token": "tok_visa", "amount": PRICE * len(sellers)}],
    }


def mails_of(sellers: tuple[str, ...]) -> int:
    """Confirmation; per seller its notice; per parcel: shipped, out for delivery, delivered."""
    return 1 + 4 * len(sellers)


async def play(orders: Orders, order_id: str, sellers: tuple[str, ...], pause: Pause) -> None:
    """Place the order and bring it to the customer; `pause` stands for the hours between two messages."""
    await orders.place(body(order_id, sellers))
    await _confirmed(orders, order_id)
    for seller in sellers:
        await pause()
        await orders.update(order_id, "pack", pack(seller))
        await pause()
        await orders.update(order_id, "ship", ship(seller))
    for seller in sellers:
        for word in CARRIER_WORDS:
            await pause()
            await orders.signal(order_id, "carrier_event", event(seller, word))
    result = await orders.result(order_id)
    assert result.status == "Delivered", result
    assert result.captured == PRICE * len(sellers), result


async def _confirmed(orders: Orders, order_id: str) -> None:
    """A seller learns of it by mail; here the order is asked, which leaves no event."""
    wait = _ASK_AGAIN_SECONDS_MIN
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            await asyncio.sleep(wait)
            wait = min(2 * wait, _ASK_AGAIN_SECONDS_MAX)
            try:
                status = await orders.query(order_id, "status")
            except Refused:  # not recorded yet
                continue
            assert isinstance(status, StatusView)
            if status.fulfillments:
                return


def pack(seller: str) -> Body:
    contents = [{"line_id": seller, "sku": sku(seller), "quantity": 1}]
    return {"by": f"seller:{seller}", "fulfillment_id": f"{seller}-1", "parcels": [{"contents": contents}]}


def ship(seller: str) -> Body:
    return {
        "by": f"seller:{seller}",
        "fulfillment_id": f"{seller}-1",
        "carrier": "ups",
        "tracking_number": _NUMBERS[seller],
    }


def event(seller: str, word: str) -> Body:
    return {
        "event_id": f"{seller}-{word}",
        "parcel_id": f"{seller}-1-p1",
        "status": word,
        "occurred_at": datetime.now(UTC).isoformat(),
    }


def sku(seller: str) -> str:
    return f"MUG-{seller.upper()}"


def location(seller: str) -> str:
    return f"{seller.upper()}-1"
