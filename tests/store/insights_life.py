"""Orders that live at random, saved as they change, and what insights must count of them, told from their states.

The states are the domain's own objects: nothing here asks the database, or reads how it counts.
"""

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from itertools import combinations
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.catalog import Catalog, Listing, Location, OpeningStock, Seller
from domain.holds import ship_by_with_holds
from domain.insights import Topic
from domain.insights_baskets import PAIRED_PRODUCTS_MAX, SIZE_MAX, value_step
from domain.insights_cancellations import BY_SELLER, Reason, reason_of
from domain.insights_durations import Stage, bucket_of
from domain.insights_metrics import CANCELLED, FBM, ORDERS, Delivery, Handoff, delivery_detail
from domain.order import edit, hold_on, role_of, seller_of
from domain.placing import Address, CartLine, Channel, Customer, PlaceOrder, body_hash
from domain.requests import Allocation, RecordOrder
from domain.shipping import HandlingProfile
from domain.state import CarrierStatus, Line, OrderState, OrderStatus, Parcel, ParcelStage, Substitute
from domain.status import fulfillment_status, order_status
from domain.timeline import Entry
from domain.units import Place, Spot
from store.database import Database
from store.insights.refreshing import Refreshing
from store.inventory import Inventory
from store.orders import Orders
from tests.domain.building import Luck, Refused, Shelf, Story, World, card

SELLERS = ("acme", "birch", "cedar")
SKUS = ("MUG", "TEE", "LAMP,", "x")
"""Two of them made to be misread in a list such as `2 x MUG, 1 x LAMP,, 3 x x`."""

CURRENCIES = ("EUR", "JPY")
START = datetime(2025, 10, 24, tzinfo=ZoneInfo("UTC"))
"""Two days before clocks go back in Europe: a day of 25 hours is among those that are counted."""


async def open_shop(database: Database) -> None:
    profile = HandlingProfile(time_zone="UTC", handling_days=1)
    places = [(f"{seller}-{channel.lower()}", seller, channel) for seller in SELLERS for channel in Channel]
    refused = await Inventory(database).load(
        Catalog(
            sellers=tuple(Seller(seller=s, name=s.title(), email=f"{s}@example.com") for s in SELLERS),
            locations=tuple(
                Location(location=place, seller=seller if channel is Channel.FBM else None, profile=profile)
                for place, seller, channel in places
            ),
            listings=tuple(
                Listing(seller=s, sku=sku, title=f"A {sku}", unit_price=500, currency="EUR")
                for s in SELLERS
                for sku in (*SKUS, "CUP")
            ),
            stock=tuple(
                OpeningStock(location=f"{s}-fbm", seller=s, sku=sku, on_hand=7) for s in SELLERS for sku in SKUS
            ),
        )
    )
    assert refused is None, refused


class _DatedWorld(World):
    """Promises of its own for each order."""

    ship_by: datetime
    deliver_by: datetime

    def _promised(self, line_id: str, location: str, quantity: int) -> Allocation:
        return Allocation(
            line_id=line_id, location=location, quantity=quantity, ship_by=self.ship_by, deliver_by=self.deliver_by
        )


class Life:
    """One order; `step` does something that may happen to it, and gives whether it did."""

    def __init__(self, number: int, random: Random) -> None:
        self._random = random
        placed_at = START + timedelta(minutes=random.randrange(5 * 24 * 60))
        self.order = self._order(number)
        world = _DatedWorld(self._shelves())
        world.ship_by = placed_at + timedelta(hours=random.randrange(12, 72))
        world.deliver_by = world.ship_by + timedelta(hours=random.randrange(24, 120))
        if random.random() < 0.5:
            world.substitutes = dict.fromkeys(SKUS, (Substitute(sku="CUP", title="A CUP", unit_price=400),))
        if random.random() < 0.15:
            world.luck = Luck(declined=frozenset({"1"}))
        self.story = Story(self.order, world, placed_at)

    def _order(self, number: int) -> PlaceOrder:
        random = self._random
        products = random.sample(
            [(seller, sku) for seller in SELLERS for sku in SKUS], random.choice((1, 1, 1, 2, 3, 5))
        )
        if random.random() < 0.03:
            products *= 5
        lines = tuple(
            CartLine(
                line_id=f"L{n}",
                sku=sku,
                seller=seller,
                quantity=random.choice((1, 1, 2, 3)),
                unit_price=random.choice((0, 99, 500, 1_999, 20_000)),
                channel=Channel.FBA if random.random() < 0.1 else Channel.FBM,
            )
            for n, (seller, sku) in enumerate(products, start=1)
        )
        total = sum(line.quantity * line.unit_price for line in lines)
        return PlaceOrder(
            order_id=f"o{number}",
            customer=Customer(id=f"c{random.randrange(12)}", name="Ada", email="ada@example.com"),
            ship_to=Address(
                name="Ada", line1="1", city="C", country="DE", region=random.choice(("", "by", " BY ", "Berlin"))
            ),
            currency=random.choice(CURRENCIES),
            lines=lines,
            payments=(card(total),),
        )

    def _shelves(self) -> list[Shelf]:
        random = self._random
        goods = {(line.seller, line.sku, line.channel) for line in self.order.lines}
        shelves = [
            Shelf(f"{seller}-{channel.lower()}", seller, sku, random.choice((0, 2, 9)), channel)
            for seller, sku, channel in sorted(goods)
        ]
        return shelves + [Shelf(f"{seller}-fbm", seller, "CUP", 1) for seller in SELLERS]

    async def record(self, database: Database) -> None:
        """Before anything has happened, as the workflow does it."""
        await Orders(database).record_order(
            RecordOrder(
                order=self.order,
                body_hash=body_hash(self.order),
                first_run_id="run",
                placed_at=self.story.state.origin,
            )
        )
        await save(database, self)
        self.story.settle()

    @property
    def entries(self) -> tuple[Entry, ...]:
        state = self.story.state
        assert len(state.entries) == state.entry_count, "some have left the state"
        return state.entries

    @property
    def saved(self) -> bool:
        return self.story.saved is not None

    def step(self) -> None:
        random, state = self._random, self.story.state
        act = random.choice(
            (self._wait, self._wait, self._pack, self._pack, self._ship, self._ship, self._scan, self._scan, self._rare)
        )
        before = len(self.story.state.entries)
        cancelled = _cancelled_units(state)
        try:
            act()
            self.story.settle()
        except Refused:
            pass
        self.story.later(minutes=1)
        new = self.story.state.entries[before:]
        self._check_words(new, cancelled)

    def _check_words(self, new: tuple[Entry, ...], before: Counter[str]) -> None:
        """That the words of a cancellation name exactly the units: what is counted is read from them."""
        said = Counter[str]()
        for entry in new:
            if entry.what == "cancelled":
                for _, sku, units in _named(entry):
                    said[sku] += units
            if entry.what == "shortage_answered" and entry.after == "substitute":
                quantity, _, sku = entry.summary.removesuffix(": substitute").partition(" x ")
                said[sku] += int(quantity)
        assert said == _cancelled_units(self.story.state) - before, new

    def _wait(self) -> None:
        self.story.later(hours=self._random.choice((1, 5, 20, 60)))

    def _some_fulfillment(self) -> str:
        fulfillments = self.story.state.fulfillments
        if not fulfillments:
            raise Refused
        return self._random.choice(fulfillments).fulfillment_id

    def _pack(self) -> None:
        fulfillment_id = self._some_fulfillment()
        state = self.story.state
        contents = [
            {"line_id": unit.line_id, "sku": self.story.line(unit.line_id).sku, "quantity": unit.quantity}
            for unit in state.units
            if unit.spot.place is Place.RESERVED and unit.spot.fulfillment_id == fulfillment_id
        ]
        if contents:
            count = self._random.choice((1, len(contents)))
            self.story.send("pack", fulfillment_id=fulfillment_id, parcels=[{"contents": contents[:count]}])

    def _ship(self) -> None:
        tracked = self._random.random() < 0.8
        number = f"T-{self.order.order_id}-{len(self.story.state.entries)}" if tracked else None
        self.story.send(
            "ship", fulfillment_id=self._some_fulfillment(), carrier="local-courier", tracking_number=number
        )

    def _scan(self) -> None:
        parcels = [parcel for parcel in self.story.state.parcels if parcel.stage is ParcelStage.SHIPPED]
        if not parcels:
            raise Refused
        parcel = self._random.choice(parcels)
        if self._random.random() < 0.2:
            self.story.send("confirm_delivery", by="customer", parcel_id=parcel.parcel_id)
            return
        words = ("label_created", "in_transit", "out_for_delivery", "delivered", "delivered", "lost", "returned")
        self.story.carrier_says(self._random.choice(words), parcel.parcel_id)

    def _rare(self) -> None:
        random, story = self._random, self.story
        state = story.state
        match random.choice(
            ("cancel", "cancel_line", "seller_cancels", "reject", "choose", "choose", "hold", "answer", "resolve")
        ):
            case "cancel":
                story.send("cancel", by="customer", reason=random.choice(("", "out of stock", "Cancelled: 9 x MUG")))
            case "cancel_line":
                line = random.choice(state.lines)
                items = [{"line_id": line.line_id, "quantity": 1}]
                story.send("cancel", by=random.choice(("customer", "support/ann", "backend")), items=items)
            case "seller_cancels":
                fulfillment = random.choice(state.fulfillments or (None,))
                if fulfillment is not None:
                    by = f"seller:{fulfillment.seller}"
                    story.send("cancel", by=by, fulfillment_id=fulfillment.fulfillment_id, reason="payment declined")
            case "reject":
                fulfillment_id = self._some_fulfillment()
                spot = Spot(place=Place.RESERVED, fulfillment_id=fulfillment_id)
                own = [unit for unit in state.units if unit.spot == spot]
                if own:
                    items = [{"line_id": own[0].line_id, "quantity": own[0].quantity}]
                    story.send("reject_lines", fulfillment_id=fulfillment_id, items=items)
            case "choose":
                if state.shortages:
                    choice = random.choice(("refund", "cancel", "wait", "substitute"))
                    more = {"substitute_sku": "CUP"} if choice == "substitute" else {}
                    story.send(
                        "choose_for_shortage", by="customer", line_id=state.shortages[0].line_id, choice=choice, **more
                    )
            case "hold":
                if state.holds:
                    story.send("release_hold", hold_id=state.holds[0].hold_id)
                else:
                    story.send("hold", reason="looked at")
            case "answer":
                if state.requests:
                    answer = random.choice(("accept", "reject"))
                    story.send("answer_cancellation", request_id=state.requests[0].request_id, answer=answer)
            case "resolve":
                issue = next((one for one in state.issues if one.resolved_at is None), None)
                if issue is not None:
                    story.send("resolve_issue", issue_id=issue.issue_id, remedy=random.choice(("reship", "refund")))


def _cancelled_units(state: OrderState) -> Counter[str]:
    skus = {line.line_id: line.sku for line in state.lines}
    units = Counter[str]()
    for unit in state.units:
        if unit.spot.place is Place.CANCELLED:
            units[skus[unit.line_id]] += unit.quantity
    return units


def _named(entry: Entry) -> list[tuple[int, str, int]]:
    """The SKUs and units of a `Cancelled: 2 x MUG, 1 x TEE`: no SKU holds a space."""
    words = entry.summary.removeprefix("Cancelled: ").split(" ")
    named = []
    for place in range(0, len(words), 3):
        quantity, x, sku = words[place : place + 3]
        assert x == "x", entry
        last = place + 3 == len(words)
        named.append((place, sku if last else sku[:-1], int(quantity)))
    return named


async def save(database: Database, life: Life) -> None:
    await Orders(database).save(life.story.save())


async def lives(database: Database, random: Random, how_many: int, refreshing: Refreshing | None = None) -> list[Life]:
    """Recorded in any order, changed and saved in turns; counted now and then, in the middle of it all."""
    lived = [Life(number, random) for number in range(how_many)]
    recorded: list[Life] = []
    for life in random.sample(lived, len(lived)):
        await life.record(database)
        recorded.append(life)
        for _ in range(8):
            other = random.choice(recorded)
            other.step()
            if random.random() < 0.6:
                await save(database, other)
            if refreshing is not None and random.random() < 0.2:
                await refreshing.refresh()
    for life in lived:
        await save(database, life)
    return lived


# -- what must be counted ----------------------------------------------------------------------


class Key(NamedTuple):
    topic: Topic
    seller: str
    day: date
    currency: str
    item: str
    detail: str


class Sums(NamedTuple):
    orders: int
    units: int
    amount: int


Counts = dict[Key, Sums]


def expected_counts(lives: list[Life], zone: str) -> Counts:
    return _Expected(lives, ZoneInfo(zone)).counts()


class _Blame(NamedTuple):
    seller: str
    role: str
    reason: Reason
    sku: str
    units: int
    short: int


class _Expected:
    def __init__(self, lives: list[Life], zone: ZoneInfo) -> None:
        self._lives = lives
        self._zone = zone
        self._orders: dict[Key, set[str]] = defaultdict(set)
        self._units: Counter[Key] = Counter()
        self._amount: Counter[Key] = Counter()
        self._times: Counter[Key] = Counter()

    def counts(self) -> Counts:
        for life in self._lives:
            self._of_placing(life)
            self._of_fulfillments(life)
        return {
            key: Sums(
                self._times[key] if key.topic is Topic.STAGES else len(self._orders[key]),
                self._units[key],
                self._amount[key],
            )
            for key in self._orders
        }

    def _day(self, moment: datetime) -> date:
        return moment.astimezone(self._zone).date()

    def _add(self, key: Key, order_id: str, units: int = 0, amount: int = 0) -> None:
        self._orders[key].add(order_id)
        self._times[key] += 1
        self._units[key] += units
        self._amount[key] += amount

    def _of_placing(self, life: Life) -> None:
        state, order = life.story.state, life.order
        for seller in ("", *sorted({line.seller for line in state.lines})):
            own = [line for line in state.lines if seller in ("", line.seller)]
            self._of_part(life, seller, own)
        self._cancellations(life)
        self._stages(life)
        kept = self._kept(state)
        products: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for line in state.lines:
            if not line.reship and kept[line.line_id]:
                products[line.seller, line.sku][0] += kept[line.line_id]
                products[line.seller, line.sku][1] += kept[line.line_id] * line.unit_price
        day = self._day(state.origin)
        for (seller, sku), (units, revenue) in products.items():
            self._add(Key(Topic.PRODUCTS, seller, day, order.currency, sku, ""), order.order_id, units, revenue)
        for seller in ("", *SELLERS):
            names = sorted(f"{s} {sku}" if not seller else sku for s, sku in products if seller in ("", s))
            if len(names) <= PAIRED_PRODUCTS_MAX:
                for one, other in combinations(names, 2):
                    self._add(Key(Topic.PAIRS, seller, day, "", one, other), order.order_id)

    def _kept(self, state: OrderState) -> Counter[str]:
        kept = Counter[str]()
        for unit in state.units:
            kept[unit.line_id] += 0 if unit.spot.place is Place.CANCELLED else unit.quantity
        return kept

    def _of_part(self, life: Life, seller: str, own: list[Line]) -> None:
        state, order = life.story.state, life.order
        kept = self._kept(state)
        units = sum(kept[line.line_id] for line in own if not line.reship)
        revenue = sum(kept[line.line_id] * line.unit_price for line in own if not line.reship)
        ids = {line.line_id for line in own}
        part = edit(state, lines=tuple(own), units=tuple(unit for unit in state.units if unit.line_id in ids))
        cart = [line for line in order.lines if seller in ("", line.seller)]
        cart_units = sum(line.quantity for line in cart)
        value = sum(line.quantity * line.unit_price for line in cart)
        day = self._day(state.origin)

        def add(topic: Topic, item: str, detail: str = "", units: int = units, amount: int = revenue) -> None:
            self._add(Key(topic, seller, day, order.currency, item, detail), order.order_id, units, amount)

        add(Topic.ORDERS, _status(life, seller, part))
        add(Topic.HOURS, f"{state.origin.astimezone(self._zone):%H}")
        add(Topic.REGIONS, "DE", order.ship_to.region.strip().upper())
        add(Topic.CUSTOMERS, "repeat" if self._ordered_before(life, seller) else "new")
        add(Topic.BASKET_UNITS, str(min(cart_units, SIZE_MAX)), units=cart_units, amount=value)
        add(Topic.BASKET_LINES, str(min(len(cart), SIZE_MAX)), units=len(cart), amount=value)
        add(Topic.BASKET_VALUES, str(value_step(value)), units=cart_units, amount=value)

    def _ordered_before(self, life: Life, seller: str) -> bool:
        def place(other: Life) -> tuple[datetime, str]:
            return other.story.state.origin, other.order.order_id

        return any(
            other.order.customer.id == life.order.customer.id
            and place(other) < place(life)
            and (not seller or any(line.seller == seller for line in other.order.lines))
            for other in self._lives
        )

    def _cancellations(self, life: Life) -> None:
        state, order_id = life.story.state, life.order.order_id
        day = self._day(state.origin)
        for entry in life.entries:
            if entry.what == "cancelled":
                role, reason, _ = _meant(life, entry)
                for _, _, units in _named(entry):
                    self._add(Key(Topic.CANCELLATIONS, "", day, "", reason, role), order_id, units)
        blames = _blames(life)
        for blame in blames:
            key = Key(Topic.CANCELLATIONS, blame.seller, day, "", blame.reason, blame.role)
            self._add(key, order_id, blame.units)
        for (seller, sku), units in _unserved(life).items():
            self._add(Key(Topic.UNSERVED, seller, day, "", sku, ""), order_id, units)
        self._prefulfillment(life, day, blames)

    def _prefulfillment(self, life: Life, day: date, blames: list[_Blame]) -> None:
        if any(blame.reason is Reason.PAYMENT_DECLINED for blame in blames):
            return
        if order_status(life.story.state) is OrderStatus.PENDING:
            return
        channels = {(line.seller, line.channel) for line in life.order.lines}
        for seller in ("", *SELLERS):
            if not any(channel == FBM and seller in ("", own) for own, channel in channels):
                continue
            self._add(Key(Topic.PREFULFILLMENT, seller, day, "", ORDERS, ""), life.order.order_id)
            if any(
                seller in ("", blame.seller)
                and blame.reason in BY_SELLER
                and (blame.short or blame.reason is not Reason.OUT_OF_STOCK)
                and self._sells_fbm(life.story.state, blame)
                for blame in blames
            ):
                self._add(Key(Topic.PREFULFILLMENT, seller, day, "", CANCELLED, ""), life.order.order_id)

    def _sells_fbm(self, state: OrderState, blame: _Blame) -> bool:
        return any(
            line.seller == blame.seller
            and line.sku == blame.sku
            and line.channel is Channel.FBM
            and _has_cancelled(state, line.line_id)
            for line in state.lines
        )

    def _stages(self, life: Life) -> None:
        state = life.story.state
        day = self._day(state.origin)
        confirmed = min((entry.occurred_at for entry in life.entries if entry.what == "confirmed"), default=None)
        sellers = {fulfillment.fulfillment_id: fulfillment.seller for fulfillment in state.fulfillments}

        def add(stage: Stage, seller: str, took: timedelta) -> None:
            seconds = max(took.total_seconds(), 0)
            key = Key(Topic.STAGES, seller, day, "", stage, str(bucket_of(seconds)))
            self._add(key, life.order.order_id, 0, round(seconds))

        if confirmed is not None:
            for seller in ("", *sorted({*sellers.values()})):
                add(Stage.CONFIRMED, seller, confirmed - state.origin)
        for parcel in state.parcels:
            if parcel.stage is ParcelStage.UNPACKED:
                continue
            for seller in ("", sellers[parcel.fulfillment_id]):
                if confirmed is not None:
                    add(Stage.PACKED, seller, parcel.packed_at - confirmed)
                if parcel.shipped_at is not None:
                    add(Stage.HANDED_OVER, seller, parcel.shipped_at - parcel.packed_at)
                    if parcel.delivered_at is not None and not parcel.presumed_delivered:
                        add(Stage.DELIVERED, seller, parcel.delivered_at - parcel.shipped_at)

    # -- by other days ---------------------------------------------------------------------

    def _of_fulfillments(self, life: Life) -> None:
        state, order_id = life.story.state, life.order.order_id
        worst = (Handoff.ON_TIME, Handoff.HELD, Handoff.OPEN, Handoff.LATE)
        due: dict[tuple[str, date, str], list[Handoff]] = defaultdict(list)
        for fulfillment in state.fulfillments:
            if fulfillment_status(state, fulfillment) != "Canceled":
                limit = ship_by_with_holds(fulfillment)
                held = hold_on(state, fulfillment.fulfillment_id) is not None or limit != fulfillment.ship_by
                if fulfillment.handed_over_at is None:
                    stands = Handoff.HELD if held else Handoff.OPEN
                else:
                    stands = Handoff.LATE if fulfillment.handed_over_at > limit else Handoff.ON_TIME
                for seller in ("", fulfillment.seller):
                    due[seller, self._day(fulfillment.ship_by), fulfillment.channel].append(stands)
            for parcel in state.parcels:
                if parcel.fulfillment_id == fulfillment.fulfillment_id and parcel.shipped_at is not None:
                    day = self._day(fulfillment.deliver_by)
                    detail = delivery_detail(fulfillment.channel, self._scanned(life, parcel.parcel_id))
                    for seller in ("", fulfillment.seller):
                        key = Key(Topic.DELIVERIES, seller, day, "", _delivery(parcel, fulfillment.deliver_by), detail)
                        self._add(key, order_id, 1)
        for (seller, day, channel), stand in due.items():
            key = Key(Topic.HANDOFFS, seller, day, "", max(stand, key=worst.index), channel)
            self._add(key, order_id, len(stand))

    def _scanned(self, life: Life, parcel_id: str) -> bool:
        """By what the carrier was heard to say of this very parcel."""
        return any(
            entry.what == "carrier_event"
            and entry.summary.split(": ")[0] == parcel_id
            and "label created" not in entry.summary
            for entry in life.entries
        )


def _meant(life: Life, entry: Entry) -> tuple[str, Reason, Counter[str]]:
    """The role of who cancelled, why, and how much of it there was none of, by SKU."""
    before = life.entries[entry.seq - 2]
    chosen = before if before.what == "shortage_answered" else None
    role = role_of(entry.who)
    reason = reason_of(role, entry.why, after_shortage=chosen is not None)
    short = Counter[str]()
    if chosen is not None:
        quantity, _, sku, _ = chosen.summary.split(" ")
        short[sku.removesuffix(":")] = int(quantity)
    elif reason is Reason.OUT_OF_STOCK:
        short.update({sku: units for _, sku, units in _named(entry)})
    return role, reason, short


def _blames(life: Life) -> list[_Blame]:
    """An entry names no seller: whoever has units of the SKU cancelled is meant."""
    blames = []
    for entry in life.entries:
        if entry.what == "cancelled":
            role, reason, short = _meant(life, entry)
            for _, sku, units in _named(entry):
                for seller, own in _cancelled_by_seller(life.story.state, sku).items():
                    if seller_of(entry.who) in (None, seller):
                        blames.append(_Blame(seller, role, reason, sku, min(units, own), min(short[sku], units, own)))
    return blames


def _unserved(life: Life) -> Counter[tuple[str, str]]:
    units = Counter[tuple[str, str]]()
    for blame in _blames(life):
        if blame.short:
            units[blame.seller, blame.sku] += blame.short
    lines = {line.line_id: line for line in life.story.state.lines}
    for line in lines.values():
        if line.replaces is not None and not line.reship:
            units[line.seller, lines[line.replaces].sku] += line.quantity
    return units


def _status(life: Life, seller: str, part: OrderState) -> OrderStatus:
    """As the domain tells it of the part alone; but of an order in which a SKU stands twice, nobody can tell by words
    which of the two ran short: there it is short if so many units of its SKUs did as were cancelled.
    """
    skus = [line.sku for line in life.story.state.lines if not line.reship]
    nothing_left = all(unit.spot.place is Place.CANCELLED for unit in part.units)
    if not seller or len({line.seller for line in life.story.state.lines}) == 1:
        return order_status(life.story.state)
    if len(skus) == len({*skus}) or not nothing_left:
        return order_status(part)
    short = sum(units for (whose, _), units in _unserved(life).items() if whose == seller)
    cancelled = sum(unit.quantity for unit in part.units)
    return OrderStatus.UNFULFILLABLE if short == cancelled else OrderStatus.CANCELED


def _cancelled_by_seller(state: OrderState, sku: str) -> Counter[str]:
    lines = {line.line_id: line for line in state.lines}
    units = Counter[str]()
    for unit in state.units:
        line = lines[unit.line_id]
        if line.sku == sku and unit.spot.place is Place.CANCELLED:
            units[line.seller] += unit.quantity
    return units


def _has_cancelled(state: OrderState, line_id: str) -> bool:
    return any(unit.line_id == line_id and unit.spot.place is Place.CANCELLED for unit in state.units)


def _delivery(parcel: Parcel, deliver_by: datetime) -> Delivery:
    if parcel.presumed_delivered:
        return Delivery.PRESUMED
    if parcel.delivered_at is not None:
        return Delivery.LATE if parcel.delivered_at > deliver_by else Delivery.ON_TIME
    failed = parcel.status in (CarrierStatus.LOST, CarrierStatus.RETURNED)
    return Delivery.FAILED if failed else Delivery.OPEN
