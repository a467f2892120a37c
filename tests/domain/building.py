"""Small builders for the tests of the domain, and a world in memory that performs what an order asks for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from domain import charging, handoff, network, obedience, placement, shortage
from domain import effects as fx
from domain.allocation import Level, allocate
from domain.changes import progress_since, whole_progress
from domain.deadlines import apply_due
from domain.decoding import Refusal, decode
from domain.ledger import Balance, spread
from domain.mails import Mail
from domain.messages import MESSAGES, AllocatedUnits, StockAllocated
from domain.order import answered, edit
from domain.placement import open_order
from domain.placing import (
    Address,
    CartLine,
    Channel,
    Customer,
    PaymentMeans,
    PlaceOrder,
    Shipping,
)
from domain.policy import Policy
from domain.progress import Progress
from domain.readiness import is_ready
from domain.requests import (
    Allocation,
    BackorderAllocation,
    LineShortage,
    ListedLine,
    MoveKind,
    PaymentOutcome,
    Reservation,
)
from domain.state import Label, OrderState, OrderStatus, Parcel, Phase, Substitute
from domain.status import is_at_rest, order_status
from domain.units import Place

NOW = datetime(2025, 6, 2, 12, tzinfo=UTC)
SHIP_BY = NOW + timedelta(days=2)
DELIVER_BY = NOW + timedelta(days=7)
BODIES = {message.name: message.body for message in MESSAGES}

Answer = Callable[[OrderState, datetime], OrderState]


# -- orders --------------------------------------------------------------------------


def cart_line(
    line_id: str = "L1",
    quantity: int = 1,
    unit_price: int = 1_000,
    *,
    sku: str = "MUG",
    seller: str = "acme",
    channel: Channel = Channel.FBM,
) -> CartLine:
    return CartLine(line_id=line_id, sku=sku, quantity=quantity, unit_price=unit_price, seller=seller, channel=channel)


def address(country: str = "US") -> Address:
    return Address(name="Ada Lovelace", line1="1 Main Street", city="Springfield", country=country)


def an_order(
    *lines: CartLine,
    shipping: int = 0,
    tax: int = 0,
    discount: int = 0,
    payments: tuple[PaymentMeans, ...] | None = None,
    policy: Policy = Policy(),
) -> PlaceOrder:
    """An order of these lines, or of one mug; paid with one card unless said otherwise."""
    lines = lines or (cart_line(),)
    total = sum(line.quantity * line.unit_price for line in lines) + shipping + tax - discount
    return PlaceOrder(
        order_id="1042",
        customer=Customer(id="C7", name="Ada Lovelace", email="ada@example.com"),
        ship_to=address(),
        currency="USD",
        lines=lines,
        shipping=Shipping(price=shipping),
        tax=tax,
        discount=discount,
        payments=payments if payments is not None else (card(total),),
        policy=policy,
    )


def card(amount: int, token: str = "tok_good") -> PaymentMeans:
    return PaymentMeans(token=token, amount=amount)


def listed(order: PlaceOrder) -> tuple[ListedLine, ...]:
    return tuple(
        ListedLine(
            line_id=line.line_id,
            title=f"A {line.sku}",
            ship_by=SHIP_BY,
            deliver_by=DELIVER_BY,
            earliest_delivery=SHIP_BY,
        )
        for line in order.lines
    )


# -- the world -----------------------------------------------------------------------


@dataclass
class Shelf:
    """A stock level; it holds what PostgreSQL's constraint holds."""

    location: str
    seller: str
    sku: str
    on_hand: int
    channel: Channel = Channel.FBM
    priority: int = 100
    reserved: int = 0

    def move(self, on_hand: int, reserved: int) -> None:
        self.on_hand += on_hand
        self.reserved += reserved
        assert 0 <= self.reserved <= self.on_hand, self


@dataclass
class Account:
    """One payment at the provider, in minor units."""

    payment_id: str
    amount: int
    kind: str
    asked: bool = False
    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    voided: int = 0
    capture_refused: bool = False

    def check(self) -> None:
        assert 0 <= self.captured + self.voided <= self.authorized, self
        assert 0 <= self.refunded <= self.captured, self

    def balance(self) -> Balance:
        return Balance.model_validate(
            {
                "payment_id": self.payment_id,
                "kind": self.kind,
                "unauthorized": 0 if self.asked else self.amount,
                "open": self.authorized - self.captured - self.voided,
                "refundable": self.captured - self.refunded,
                "capture_refused": self.capture_refused,
            }
        )


@dataclass
class Waiting:
    """A backorder as the store knows it."""

    effect: fx.RegisterBackorder
    allocated: int = 0
    cancelled: bool = False
    made: list[BackorderAllocation] = field(default_factory=list)


@dataclass
class NetworkJob:
    """What the network was asked to ship, as line ids and quantities."""

    items: dict[str, int]
    status: str


@dataclass
class Luck:
    """How the next calls of outside parties end; as it stands, well."""

    declined: frozenset[str] = frozenset()
    """Payment ids whose authorization is declined."""

    captures: bool = True
    refunds: bool = True
    labels: bool = True
    network: str = "Received"
    network_cancels: bool = True


@dataclass
class World:
    """Stock, payments, labels and the network, changed by effects at the moment they are started."""

    shelves: list[Shelf]
    accounts: dict[str, Account] = field(default_factory=dict)
    substitutes: dict[str, tuple[Substitute, ...]] = field(default_factory=dict)
    """By SKU."""

    luck: Luck = field(default_factory=Luck)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    messages: list[StockAllocated] = field(default_factory=list)
    """Signals that the store has yet to send."""

    labels: dict[str, str] = field(default_factory=dict)
    """Tracking numbers of labels that are paid for, with their parcels."""

    jobs: dict[str, NetworkJob] = field(default_factory=dict)
    handed_over: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    addresses: list[Address] = field(default_factory=list)

    def shelf(self, location: str, seller: str, sku: str) -> Shelf:
        return next(s for s in self.shelves if (s.location, s.seller, s.sku) == (location, seller, sku))

    def total(self, what: str) -> int:
        return sum(getattr(account, what) for account in self.accounts.values())

    def perform(self, state: OrderState, effect: fx.Effect) -> Answer:
        """Do it outside now; the answer goes into the state as it will be by then."""
        assert effect.key not in self.keys, f"{effect.key} stands for two effects"
        self.keys.add(effect.key)
        match effect:
            case fx.Authorize():
                return self._authorize(effect)
            case fx.Capture():
                captured = self._move(MoveKind.CAPTURE, effect.amount, refused=not self.luck.captures)
                return lambda state, now: charging.captured(state, effect, captured, now)
            case fx.Refund():
                refunded = self._move(MoveKind.REFUND, effect.amount, refused=not self.luck.refunds)
                return lambda state, now: charging.refunded(state, effect, refunded, now)
            case fx.VoidRest():
                voided = self._move(MoveKind.VOID, None, refused=False)
                return lambda state, now: charging.voided(state, effect, voided, now)
            case fx.Reserve():
                found = self._reserve(effect)
                return lambda state, now: shortage.reserved(state, effect, found, now)
            case fx.ReleaseStock():
                for item in effect.items:
                    shelf = self.shelf(item.location, item.seller, item.sku)
                    shelf.move(-item.quantity if effect.missing else 0, -item.quantity)
                if not effect.missing:
                    self.serve_backorders()
            case fx.HandOver():
                for item in effect.items:
                    self.shelf(item.location, item.seller, item.sku).move(-item.quantity, -item.quantity)
                    self.handed_over[item.line_id] = self.handed_over.get(item.line_id, 0) + item.quantity
            case fx.RegisterBackorder():
                self.waiting[effect.key] = Waiting(effect)
            case fx.CancelBackorder():
                backorder = self.waiting[effect.backorder_key]
                backorder.cancelled = True
                made = tuple(backorder.made)
                return lambda state, now: shortage.backorder_cancelled(state, effect, made, now)
            case fx.BuyLabel():
                return self._buy_label(effect)
            case fx.VoidLabel():
                del self.labels[effect.tracking_number]
            case fx.AskNetwork():
                return self._ask_network(state, effect)
            case fx.CancelNetwork():
                return self._cancel_network(effect)
            case fx.SaveAddress():
                self.addresses.append(effect.ship_to)
            case fx.RecordPacking() | fx.RecordDelivery() | fx.ResendMail():
                pass
            case _:
                assert_never(effect)
        return lambda state, now: state

    # -- money

    def _authorize(self, effect: fx.Authorize) -> Answer:
        if effect.added:
            for payment_id, means in zip(effect.payment_ids, effect.added, strict=True):
                self.accounts[payment_id] = Account(payment_id, means.amount, means.kind)
        done, declined = 0, []
        for payment_id, share in spread(self._balances(), MoveKind.AUTHORIZE, None):
            account = self.accounts[payment_id]
            account.asked = True
            if payment_id in self.luck.declined:
                declined.append((payment_id, "insufficient funds"))
            else:
                account.authorized += share
                done += share
        outcome = PaymentOutcome(done=done, declined=tuple(declined))
        return lambda state, now: placement.authorized(state, effect, outcome, now)

    def _move(self, kind: MoveKind, amount: int | None, *, refused: bool) -> PaymentOutcome:
        done, declined = 0, []
        for payment_id, share in spread(self._balances(), kind, amount):
            account = self.accounts[payment_id]
            if refused:
                account.capture_refused |= kind is MoveKind.CAPTURE
                declined.append((payment_id, "card expired"))
                continue
            match kind:
                case MoveKind.CAPTURE:
                    account.captured += share
                case MoveKind.REFUND:
                    account.refunded += share
                case _:
                    account.voided += share
            account.check()
            done += share
        return PaymentOutcome(done=done, declined=tuple(declined))

    def _balances(self) -> list[Balance]:
        return [account.balance() for account in self.accounts.values()]

    # -- stock

    def _levels(self) -> list[Level]:
        return [
            Level(
                location=shelf.location,
                seller=shelf.seller,
                sku=shelf.sku,
                channel=shelf.channel,
                priority=shelf.priority,
                available=shelf.on_hand - shelf.reserved,
            )
            for shelf in self.shelves
        ]

    def _reserve(self, effect: fx.Reserve) -> Reservation:
        takes, short = allocate(effect.wants, self._levels())
        for take in takes:
            self.shelf(take.location, take.seller, take.sku).move(0, take.quantity)
        skus = {want.line_id: want.sku for want in effect.wants}
        return Reservation(
            allocations=tuple(self._promised(take.line_id, take.location, take.quantity) for take in takes),
            shortages=tuple(
                LineShortage(line_id=line_id, quantity=n, substitutes=self.substitutes.get(skus[line_id], ()))
                for line_id, n in short.items()
            ),
        )

    def _promised(self, line_id: str, location: str, quantity: int) -> Allocation:
        return Allocation(line_id=line_id, location=location, quantity=quantity, ship_by=SHIP_BY, deliver_by=DELIVER_BY)

    def receive(self, location: str, seller: str, sku: str, quantity: int) -> None:
        self.shelf(location, seller, sku).on_hand += quantity
        self.serve_backorders()

    def serve_backorders(self) -> None:
        """As the store does it: who was placed first is served first, and woken by a message."""
        for key, backorder in self.waiting.items():
            effect = backorder.effect
            missing = effect.quantity - backorder.allocated
            if backorder.cancelled or not missing:
                continue
            want = fx.Want(
                line_id=effect.line_id,
                seller=effect.seller,
                channel=effect.channel,
                sku=effect.sku,
                quantity=missing,
                barred=effect.barred,
            )
            for take in allocate([want], self._levels())[0]:
                self.shelf(take.location, take.seller, take.sku).move(0, take.quantity)
                backorder.allocated += take.quantity
                made = BackorderAllocation(
                    key=f"{key}:{len(backorder.made) + 1}",
                    line_id=effect.line_id,
                    allocation=self._promised(effect.line_id, take.location, take.quantity),
                )
                backorder.made.append(made)
                units = AllocatedUnits.model_validate(made.allocation.model_dump())
                self.messages.append(StockAllocated(key=made.key, line_id=made.line_id, allocation=units))

    # -- carriers and the network

    def _buy_label(self, effect: fx.BuyLabel) -> Answer:
        if not self.luck.labels:
            return lambda state, now: handoff.label_refused(state, effect.parcel_id, "no such service", now)
        label = Label(carrier="local-courier", tracking_number=f"LBL{len(self.keys)}")
        self.labels[label.tracking_number] = effect.parcel_id
        return lambda state, now: handoff.label_bought(state, effect.parcel_id, label, now)

    def _ask_network(self, state: OrderState, effect: fx.AskNetwork) -> Answer:
        assert effect.fulfillment_id is not None
        fulfillment_id = effect.fulfillment_id
        order = network.network_order(state, fulfillment_id, effect.key, NOW)
        if order is None:
            return lambda state, now: state
        assert fulfillment_id not in self.jobs, f"the network has {fulfillment_id} already"
        status = self.luck.network
        items: dict[str, int] = {}
        for item in order.items:
            items[item.line_id] = items.get(item.line_id, 0) + item.quantity
        self.jobs[fulfillment_id] = NetworkJob(items, status)
        return lambda state, now: network.network_asked(state, fulfillment_id, status, now)

    def _cancel_network(self, effect: fx.CancelNetwork) -> Answer:
        assert effect.fulfillment_id is not None
        fulfillment_id = effect.fulfillment_id
        job = self.jobs[fulfillment_id]
        agreed = self.luck.network_cancels and job.status in ("Received", "Planning")
        if agreed:
            job.status = "Cancelled"
        return lambda state, now: network.cancel_answered(state, fulfillment_id, agreed, now)


# -- stories -------------------------------------------------------------------------


class Refused(Exception):
    """The order does not obey a message; the words say why."""


class Story:
    """One order from placing on: messages, effects and time, in the order in which a test tells them."""

    def __init__(self, order: PlaceOrder, world: World, started_at: datetime = NOW) -> None:
        self.world = world
        self.now = started_at
        self.saved: OrderState | None = None
        self.mails: list[Mail] = []
        self.events = 0
        self.sent = 0
        self.tick = timedelta(0)
        """How long an effect takes."""

        self.progress: list[Progress] = []
        world.accounts = {
            str(number): Account(str(number), payment.amount, payment.kind)
            for number, payment in enumerate(order.payments, start=1)
        }
        self.state = open_order(order, listed(order), started_at, started_at)

    # -- what happens

    def send(self, name: str, **body: Any) -> Any:
        """A message as JSON would bring it; gives what its answer needs."""
        message = self.decoded(name, body)
        refusal = obedience.refusal(self.state, name, message, self.now)
        if refusal is not None:
            raise Refused(refusal)
        self.state, answer = self.obey(name, message)
        return answer

    def obey(self, name: str, message: Any) -> tuple[OrderState, Any]:
        self.sent += 1
        return obedience.obey(self.state, name, message, self.now, f"message-{self.sent}")

    def start(self, kind: str) -> Callable[[], None]:
        """Start the effect of this kind: the world has done it. Call what this gives to let the order know."""
        effect = next(effect for effect in self.state.effects if effect.kind == kind)
        answer = self.world.perform(self.state, effect)

        def end() -> None:
            self.state = answered(self.state, effect.key, answer, self.now)

        return end

    def settle_until(self, kind: str) -> "Story":
        """Perform effects until there is one of this kind."""
        while all(effect.kind != kind for effect in self.state.effects):
            self.start(next(e.kind for e in self.state.effects if is_ready(self.state, e)))()
        return self

    def decoded(self, name: str, body: dict[str, Any]) -> Any:
        message = decode(BODIES[name], (plain(body),))
        assert not isinstance(message, Refusal), message.reason
        return message

    def refusal(self, name: str, **body: Any) -> str | None:
        return obedience.refusal(self.state, name, self.decoded(name, body), self.now)

    def settle(self) -> "Story":
        """Perform effects, and take the store's messages, until nothing is left to do."""
        while True:
            ready = next((e for e in self.state.effects if is_ready(self.state, e)), None)
            if ready is not None:
                answer = self.world.perform(self.state, ready)
                self.now += self.tick
                self.state = answered(self.state, ready.key, answer, self.now)
            elif self.world.messages:
                self.take_message()
            else:
                return self

    def take_message(self, index: int = 0) -> None:
        message = self.world.messages.pop(index)
        assert obedience.refusal(self.state, "stock_allocated", message, self.now) is None
        self.state, _ = self.obey("stock_allocated", message)

    def later(self, **time: float) -> "Story":
        self.now += timedelta(**time)
        self.state = apply_due(self.state, self.now)
        return self.settle()

    def save(self) -> Progress:
        """What the workflow would write now, if anything; mails leave the state."""
        self.state = edit(self.state, version=self.state.version + 1)
        changed = self.saved is None or progress_since(self.saved, self.state, self.now)
        progress = changed if isinstance(changed, Progress) else whole_progress(self.state, self.now)
        self.mails.extend(self.state.mails)
        self.saved = self.state = edit(self.state, mails=())
        if changed:
            self.progress.append(progress)
        return progress

    def close(self) -> "Story":
        self.settle()
        assert is_at_rest(self.state), "the order still waits for something"
        self.state = charging.ask_to_void_rest(self.state)
        self.settle()
        self.state = edit(self.state, phase=Phase.CLOSED)
        return self

    # -- shorthands

    def pack(self, fulfillment_id: str = "acme-1", **more: Any) -> tuple[str, ...]:
        """All that is reserved of it, in one parcel."""
        contents = [
            {"line_id": unit.line_id, "sku": self.line(unit.line_id).sku, "quantity": unit.quantity}
            for unit in self.state.units
            if unit.spot.place is Place.RESERVED and unit.spot.fulfillment_id == fulfillment_id
        ]
        parcel_ids: tuple[str, ...] = self.send(
            "pack", fulfillment_id=fulfillment_id, parcels=[{"contents": contents}], **more
        )
        self.settle()
        return parcel_ids

    def ship(self, fulfillment_id: str = "acme-1", number: str | None = "TRACK-1", **more: Any) -> None:
        self.send("ship", fulfillment_id=fulfillment_id, carrier="local-courier", tracking_number=number, **more)
        self.settle()

    def carrier_says(self, status: str, parcel_id: str = "acme-1-p1", **more: Any) -> None:
        self.events += 1
        event = {"event_id": f"e{self.events}", "occurred_at": self.now, "parcel_id": parcel_id, "status": status}
        self.send("carrier_event", **{**event, **more})
        self.settle()

    def network_says(self, status: str, *parcels: dict[str, Any], fulfillment_id: str = "acme-1") -> None:
        self.events += 1
        self.send(
            "network_event",
            event_id=f"n{self.events}",
            fulfillment_id=fulfillment_id,
            status=status,
            occurred_at=self.now,
            parcels=list(parcels),
        )
        self.settle()

    # -- what can be seen

    def line(self, line_id: str = "L1") -> Any:
        return next(line for line in self.state.lines if line.line_id == line_id)

    def units(self, *places: Place, line_id: str | None = None) -> int:
        return sum(
            unit.quantity for unit in self.state.units if unit.spot.place in places and line_id in (None, unit.line_id)
        )

    def mailed(self) -> list[str]:
        """Templates of all mails so far, in order."""
        return [mail.template for mail in (*self.mails, *self.state.mails)]

    def mail(self, template: str) -> Any:
        return [mail for mail in (*self.mails, *self.state.mails) if mail.template == template][-1]

    def said(self) -> list[str]:
        """The stable words of the timeline."""
        return [entry.what for entry in self.state.entries]

    def status(self) -> OrderStatus:
        return order_status(self.state)

    def parcel(self, number: int = 1) -> Parcel:
        return self.state.parcels[number - 1]


def plain(value: Any) -> Any:
    """As JSON would bring it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items() if part is not None}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def stocked(order: PlaceOrder, on_hand: int = 100) -> list[Shelf]:
    """One shelf with enough of everything that the order wants."""
    goods = {(line.seller, line.sku, line.channel) for line in order.lines}
    return [
        Shelf(f"{seller}-{channel.lower()}", seller, sku, on_hand, channel) for seller, sku, channel in sorted(goods)
    ]


def story(*lines: CartLine, shelves: Iterable[Shelf] | None = None, **order: Any) -> Story:
    """A placed order whose effects have not been answered yet."""
    placed = an_order(*lines, **order)
    return Story(placed, World(list(shelves) if shelves is not None else stocked(placed)))


def open_story(*lines: CartLine, shelves: Iterable[Shelf] | None = None, **order: Any) -> Story:
    """Paid for, and checked against the stock."""
    return story(*lines, shelves=shelves, **order).settle()


def shipped_story(*lines: CartLine, number: str | None = "TRACK-1", **order: Any) -> Story:
    """One fulfillment, packed in one parcel and handed over."""
    told = open_story(*lines, **order)
    told.pack()
    told.ship(number=number)
    return told
