"""What happens to an order, told by people who try again where nobody answers, and how each story must end."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from sqlalchemy import text

from domain.catalog import Receipt
from domain.model import Frozen
from domain.requests import MoveKind, Unavailable
from domain.results import Accepted, OrderResult, PackingList, StatusView
from store.identities import violations
from store.sandbox import PaymentSandboxBook
from tests.faults.shop import bugs, copies, history
from tests.shop import UPS, Body, Shop, line
from usecases.errors import Refused, Unreachable

PRICE = 1000
DAY = timedelta(days=1)
CLOCK = {"factor": 8640}
"""A day in ten seconds, so that parcels arrive while somebody waits."""

# However long servers are away on a fast clock, no deadline tells another story; a parcel may be late.
PATIENT = {
    "late_cancel_days": None,
    "lost_after_days": None,
    "silence_days": 365,
    "untracked_delivered_days": 365,
    "backorder_days_max": 365,
    "payment_retry_hours": 8760,
    "cancellation_answer_hours": 8760,
    "shortage_answer_hours": 8760,
    "issue_answer_hours": 8760,
}
LOST_OVERRIDES = {"default": "on_time", "overrides": {"*-lost:acme-1-p1": "declared_lost"}}
LOST_PARCELS = {"OPENORDERS_CARRIER_SCENARIOS": json.dumps(LOST_OVERRIDES)}
"""With these a worker's carrier loses the first parcel of each order named `lost`."""

_LOOK_SECONDS = 0.3
_CHECKS_AT_ONCE = 8
_PASSING = "out_for_delivery."
_Answer = TypeVar("_Answer")


class Expected(NamedTuple):
    """The one right end. Amounts in minor units; `left` are the parcels that left, `mails` the kinds of mail."""

    status: str
    units: dict[str, int]
    captured: tuple[int, ...] = ()
    refunded: tuple[int, ...] = ()
    left: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    declined: int = 0
    stock: Mapping[str, tuple[int, int]] = MappingProxyType({"ACME-1": (10, 0)})


class Teller:
    """Tells one order's story: sends everything until it is answered, updates under one id, so with one effect."""

    def __init__(self, shop: Shop, name: str, token: str = "tok_visa", *, order_id: str | None = None) -> None:
        self.shop = shop
        self.order_id = order_id or f"{uuid4().hex[:8]}-{name}"
        self.skus: list[str] = []
        self._token = token

    async def lists(self, on_hand: int = 10, **more: Any) -> str:
        self.skus.append(await answered(lambda: self.shop.lists(on_hand, **more)))
        return self.skus[-1]

    async def place(self, *lines: Body, ship_days: float = 60, token: str | None = None) -> None:
        now = datetime.now(UTC)
        body = self.shop.body(
            *lines,
            order_id=self.order_id,
            clock=CLOCK,
            policy=PATIENT,
            shipping={"method": "NextDay"},
            promised_ship_by=(now + ship_days * DAY).isoformat(),
            promised_by=(now + DAY).isoformat(),
        )
        for payment in body["payments"]:
            payment["token"] = token or self._token
        await answered(lambda: self.shop.orders.place(body))

    async def when(self, holds: Callable[[StatusView], bool]) -> StatusView:
        while True:
            try:
                view = await answered(lambda: self.shop.status(self.order_id))
                if holds(view):
                    return view
            except Refused:  # not recorded yet
                pass
            await asyncio.sleep(_LOOK_SECONDS)

    async def reserved(self, fulfillments: int = 1) -> StatusView:
        return await self.when(lambda view: len(view.fulfillments) == fulfillments)

    async def send(self, name: str, by: str, **body: Any) -> Frozen:
        update_id = f"{name}-{uuid4().hex}"
        return await answered(
            lambda: self.shop.orders.update(self.order_id, name, {"by": by, **body}, update_id=update_id)
        )

    async def pack(self, fulfillment_id: str = "acme-1", **more: Any) -> None:
        todo: PackingList = await answered(lambda: self.shop.packing_list(self.order_id, fulfillment_id))
        box = [{"line_id": one.line_id, "sku": one.sku, "quantity": one.to_pack} for one in todo.lines if one.to_pack]
        by = f"seller:{todo.seller}"
        await self.send("pack", by, fulfillment_id=fulfillment_id, parcels=[{"contents": box}], **more)

    async def ship(self, fulfillment_id: str = "acme-1", **how: Any) -> None:
        await self.send("ship", f"seller:{fulfillment_id.rsplit('-', 1)[0]}", fulfillment_id=fulfillment_id, **how)

    async def ended(self) -> OrderResult:
        return await answered(lambda: self.shop.orders.result(self.order_id))


async def answered(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    while True:
        try:
            return await ask()
        except (Unreachable, Unavailable):
            await asyncio.sleep(_LOOK_SECONDS)


# -- the stories -------------------------------------------------------------------------------


def _to_the_door(fulfillment_id: str, parcel: str = "p1") -> tuple[str, ...]:
    """The mails about a fulfillment that arrives."""
    return (
        f"new.{fulfillment_id}",
        f"shipped.{fulfillment_id}.{parcel}",
        f"out_for_delivery.{fulfillment_id}-{parcel}",
        f"delivered.{fulfillment_id}-{parcel}",
    )


ONE_DELIVERED = Expected(
    status="Delivered",
    units={"delivered": 2},
    captured=(2 * PRICE,),
    left=("acme-1-p1",),
    mails=("confirmed", *_to_the_door("acme-1")),
    stock={"ACME-1": (8, 0)},
)


async def plain(teller: Teller) -> Expected:
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    await teller.pack()
    await teller.ship(carrier="ups", tracking_number=UPS)
    return ONE_DELIVERED


async def two_sellers(teller: Teller) -> Expected:
    mug = await teller.lists()
    lamp = await teller.lists(seller="birch")
    await teller.place(line(mug, 2), line(lamp, 1, "birch"))
    await teller.reserved(2)

    async def hand_over(fulfillment_id: str) -> None:
        await teller.pack(fulfillment_id)
        await teller.ship(fulfillment_id)

    await asyncio.gather(hand_over("acme-1"), hand_over("birch-1"))
    return Expected(
        status="Delivered",
        units={"delivered": 3},
        captured=(PRICE, 2 * PRICE),
        left=("acme-1-p1", "birch-1-p1"),
        mails=("confirmed", *_to_the_door("acme-1"), *_to_the_door("birch-1")),
        stock={"ACME-1": (8, 0), "BIRCH-1": (9, 0)},
    )


async def by_the_network(teller: Teller) -> Expected:
    sku = await teller.lists(at="FBA-1")
    await teller.place(line(sku, 2, channel="FBA"), ship_days=0.4)
    return ONE_DELIVERED._replace(stock={"FBA-1": (8, 0)})


async def backordered(teller: Teller) -> Expected:
    sku = await teller.lists(0)
    await teller.place(line(sku, 2))
    await teller.when(lambda view: bool(view.shortages))
    await teller.send("choose_for_shortage", "customer", line_id="1", choice="wait")
    await teller.when(lambda view: "backordered" in view.lines[0].units)
    receipt = Receipt(location="ACME-1", seller="acme", sku=sku, quantity=5, key=teller.order_id)
    await answered(lambda: teller.shop.inventory.receive(receipt))
    await teller.reserved()
    await teller.pack()
    await teller.ship()
    return ONE_DELIVERED._replace(
        mails=(*ONE_DELIVERED.mails, "out_of_stock", "shortage_settled"), stock={"ACME-1": (3, 0)}
    )


async def cancelled(teller: Teller) -> Expected:
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    await teller.send("cancel", "customer", reason="ordered twice")
    return Expected(
        status="Canceled",
        units={"cancelled": 2},
        mails=("confirmed", "new.acme-1", "cancelled", "cancelled.acme-1"),
    )


async def cancelled_when_packed(teller: Teller) -> Expected:
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    await teller.pack(buy_labels=True)
    await teller.send("cancel", "customer", reason="found it cheaper")
    await teller.send("answer_cancellation", "seller:acme", request_id="acme-1-c1", answer="accept")
    return Expected(
        status="Canceled",
        units={"cancelled": 2},
        mails=("confirmed", "new.acme-1", "acme-1-c1", "cancelled", "cancelled.acme-1"),
    )


async def label_bought(teller: Teller) -> Expected:
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    await teller.pack(buy_labels=True)
    await teller.ship()
    return ONE_DELIVERED


async def lost(teller: Teller) -> Expected:
    """The worker must run with `LOST_PARCELS`."""
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    await teller.pack()
    await teller.ship()
    await teller.when(lambda view: view.issues == ("acme-1-i1",))
    await teller.send("resolve_issue", "support", issue_id="acme-1-i1", remedy="reship")
    await teller.reserved(2)
    await teller.pack("acme-2")
    await teller.ship("acme-2")
    return Expected(
        status="Delivered",
        units={"delivered": 2, "lost": 2},
        captured=(2 * PRICE,),
        left=("acme-1-p1", "acme-2-p1"),
        mails=(
            "confirmed",
            "new.acme-1",
            "shipped.acme-1.p1",
            "acme-1-i1",
            "acme-1-i1.resolved",
            *_to_the_door("acme-2"),
        ),
        stock={"ACME-1": (6, 0)},
    )


async def goodwill(teller: Teller) -> Expected:
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    await teller.pack()
    await teller.send("ship", "seller:acme", fulfillment_id="acme-1", carrier="by bike")  # untracked: it stays open
    await teller.when(lambda view: view.money.captured == 2 * PRICE)
    await teller.send("goodwill_refund", "support", amount=300, reason="sorry")
    await teller.send("confirm_delivery", "customer")
    return ONE_DELIVERED._replace(
        refunded=(300,),
        mails=("confirmed", "new.acme-1", "shipped.acme-1.p1", "refunded", "delivered.acme-1-p1"),
    )


async def substituted(teller: Teller) -> Expected:
    other = await teller.lists()
    scarce = await teller.lists(1, substitutes=[other])
    await teller.place(line(scarce, 2))
    await teller.when(lambda view: bool(view.shortages))
    await teller.send("choose_for_shortage", "customer", line_id="1", choice="substitute", substitute_sku=other)
    await teller.reserved(2)
    for fulfillment_id in ("acme-1", "acme-2"):
        await teller.pack(fulfillment_id)
        await teller.ship(fulfillment_id)
    return Expected(
        status="Delivered",
        units={"cancelled": 1, "delivered": 2},
        captured=(PRICE, PRICE),
        left=("acme-1-p1", "acme-2-p1"),
        mails=("confirmed", "out_of_stock", "shortage_settled", *_to_the_door("acme-1"), *_to_the_door("acme-2")),
        stock={"ACME-1": (9, 0)},
    )


async def short_and_refunded(teller: Teller) -> Expected:
    await teller.place(line(await teller.lists(1), 2))
    await teller.when(lambda view: bool(view.shortages))
    await teller.send("choose_for_shortage", "customer", line_id="1", choice="refund")
    await teller.reserved()
    await teller.pack()
    await teller.ship()
    return ONE_DELIVERED._replace(
        units={"cancelled": 1, "delivered": 1},
        captured=(PRICE,),
        mails=(*ONE_DELIVERED.mails, "cancelled", "out_of_stock", "shortage_settled"),
        stock={},
    )


async def held_and_moved(teller: Teller) -> Expected:
    """On hold until the customer has given another address."""
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    hold = await teller.send("hold", "support", reason="does the street exist?")
    assert isinstance(hold, Accepted)
    address = {"name": "A. L.", "line1": "1 New Road", "city": "Salem", "country": "US"}
    await teller.send("change_address", "customer", ship_to=address)
    await teller.send("release_hold", "support", hold_id=hold.id)
    await teller.pack()
    await teller.ship()
    return ONE_DELIVERED._replace(
        mails=(*ONE_DELIVERED.mails, "held.acme-1", "hold_released.acme-1", "moved", "moved.acme-1")
    )


async def declined_then_paid(teller: Teller) -> Expected:
    await teller.place(line(await teller.lists(), 2), token="tok_decline_expired")
    await teller.when(lambda view: view.to_pay == 2 * PRICE)
    await teller.send("update_payment", "customer", payments=[{"token": "tok_visa", "amount": 2 * PRICE}])
    await teller.reserved()
    await teller.pack()
    await teller.ship(carrier="ups", tracking_number=UPS)
    return ONE_DELIVERED._replace(mails=(*ONE_DELIVERED.mails, "declined"), declined=1)


async def cancellation_rejected(teller: Teller) -> Expected:
    """Asked for after packing; the seller has it at the door already, and ships."""
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    await teller.pack()
    await teller.send("cancel", "customer", reason="changed my mind")
    await teller.send("answer_cancellation", "seller:acme", request_id="acme-1-c1", answer="reject", reason="too late")
    await teller.ship()
    return ONE_DELIVERED._replace(mails=(*ONE_DELIVERED.mails, "acme-1-c1", "acme-1-c1.refused"))


Story = Callable[[Teller], Awaitable[Expected]]
STORIES: tuple[Story, ...] = (
    plain,
    two_sellers,
    by_the_network,
    backordered,
    cancelled,
    cancelled_when_packed,
    label_bought,
    lost,
    goodwill,
    substituted,
    short_and_refunded,
    held_and_moved,
    declined_then_paid,
    cancellation_rejected,
)


# -- whether one ended right ---------------------------------------------------------------------


class Told(NamedTuple):
    """A story that was told to its end."""

    teller: Teller
    expected: Expected
    result: OrderResult
    in_order: bool = True
    """False where scans may overtake one another: what comes too late is no news, and no mail."""


async def told_of(teller: Teller, expected: Expected) -> Told:
    return Told(teller, expected, await teller.ended())


async def tell(shop: Shop, story: Story, token: str = "tok_visa") -> Told:
    teller = Teller(shop, story.__name__, token)
    return await told_of(teller, await story(teller))


async def wrongs(shop: Shop, told: Sequence[Told]) -> list[str]:
    """Everything that is not as the stories must end; nothing of those that ended right."""
    kinds: dict[str, list[str]] = {}
    for message_id in copies(shop):
        order_id, _, kind = message_id.strip("<").split("@")[0].partition(".")
        kinds.setdefault(order_id, []).append(kind)
    at_once = asyncio.Semaphore(_CHECKS_AT_ONCE)

    async def check(one: Told) -> list[str]:
        async with at_once:
            return await _wrongs(one, kinds.get(one.teller.order_id, []))

    return [wrong for found in await asyncio.gather(*map(check, told)) for wrong in found]


async def _wrongs(told: Told, kinds: Sequence[str]) -> list[str]:
    teller, expected, result, in_order = told
    due_mails: Sequence[str] = expected.mails
    if not in_order:
        due_mails, kinds = ([one for one in some if not one.startswith(_PASSING)] for some in (due_mails, kinds))
    order_id, shop = teller.order_id, teller.shop
    movements = await PaymentSandboxBook(shop.database).movements(f"{order_id}:")
    moved = {
        kind: tuple(sorted(m.amount for m in movements if m.kind is kind and m.refused_because is None))
        for kind in MoveKind
    }
    [authorized] = moved[MoveKind.AUTHORIZE]
    seen = {
        "status": (result.status, expected.status),
        "units": (result.units, expected.units),
        "captured": (moved[MoveKind.CAPTURE], expected.captured),
        "refunded": (moved[MoveKind.REFUND], expected.refunded),
        "voided": (sum(moved[MoveKind.VOID]), authorized - sum(expected.captured)),
        "declined": (len([m for m in movements if m.refused_because]), expected.declined),
        "parcels": (await _parcels_left(shop, order_id), expected.left),
        "labels": (await _numbers_scanned(shop, order_id), await _numbers_shipped(shop, order_id)),
        "mails": (_plain_kinds(kinds), tuple(sorted(due_mails))),
        "stock": (await _stock(teller), expected.stock),
        "violations": (await violations(shop.database, order_id), []),
        "bugs": (bugs(await history(shop, order_id)), []),
    }
    return [f"{order_id}: {what} {is_}, not {due}" for what, (is_, due) in seen.items() if is_ != due]


async def _parcels_left(shop: Shop, order_id: str) -> tuple[str, ...]:
    rows = text("SELECT parcel_id FROM parcels WHERE order_id = :order AND stage = 'shipped' ORDER BY 1")
    async with shop.database.statement() as connection:
        return tuple(await connection.scalars(rows, {"order": order_id}))


async def _stock(teller: Teller) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for sku in teller.skus:
        found |= {place: level for place, level in (await teller.shop.on_hand(sku)).items() if level != (0, 0)}
    return found


# Keys that end in what a mail was caused by, as plain kinds.
_CAUSED = (
    (r"cancelled\..*\.((acme|birch)-\d)", r"cancelled.\1"),
    (r"cancelled\..*", "cancelled"),
    (r".*\.out_of_stock", "out_of_stock"),
    (r"shortage_settled\..*", "shortage_settled"),
    (r"([a-z]+-\d-i\d)\.resolved.*", r"\1.resolved"),
    (r"refund\..*", "refunded"),
    (r"address\..*\.(acme-\d)", r"moved.\1"),
    (r"address\..*", "moved"),
    (r"authorize\.\d+\.declined", "declined"),
    (r"(held|hold_released)\.(acme-\d)\..*", r"\1.\2"),
)


def _plain_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """`<1042.shipped.acme-1.p1@domain>` has the kind `shipped.acme-1.p1`; of copies with one Message-ID one counts.

    Mails that something is late are left out: on a fast clock any fault makes it so.
    """
    plain = []
    for kind in kinds:
        if not kind.startswith(("delayed.", "ship_by_")):
            plain.append(
                next((re.sub(found, name, kind) for found, name in _CAUSED if re.fullmatch(found, kind)), kind)
            )
    return tuple(sorted(plain))


async def _numbers_scanned(shop: Shop, order_id: str) -> tuple[str, ...]:
    """The tracking numbers that the carrier was asked to follow: more than one a parcel would be a second label."""
    rows = text(
        "SELECT DISTINCT split_part(key, ':', 3) FROM outbox"
        " WHERE order_id = :order AND starts_with(key, :order || ':scan:') ORDER BY 1"
    )
    async with shop.database.statement() as connection:
        return tuple(await connection.scalars(rows, {"order": order_id}))


async def _numbers_shipped(shop: Shop, order_id: str) -> tuple[str, ...]:
    rows = text(
        "SELECT DISTINCT tracking_number FROM parcels"
        " WHERE order_id = :order AND stage = 'shipped' AND tracking_number IS NOT NULL ORDER BY 1"
    )
    async with shop.database.statement() as connection:
        return tuple(await connection.scalars(rows, {"order": order_id}))
