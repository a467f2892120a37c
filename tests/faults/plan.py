"""What a fault run does, and when: it follows from the seed and the options alone."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from tests.faults.stories import STORIES

OUTAGE_SECONDS = 30.0

KINDS = ("events", "kill", "freeze", "temporal", "postgres", "outage", "disk", "mail", "parties", "messages", "mixed")
"""`events` kills a worker after each event of each story; the others are rounds of many orders side by side."""

_TIMED: dict[str, tuple[tuple[str, float], ...]] = {
    # Name of a fault, and how many seconds it lasts.
    "kill": (("worker killed", 0.0),),
    "freeze": (("worker frozen", 13.0),),
    "temporal": (("Temporal killed", 0.0),),
    "postgres": (("PostgreSQL killed", 0.0),),
    "outage": (("PostgreSQL stopped", OUTAGE_SECONDS),),
    "disk": (("disk full", 8.0),),
    "mail": (("mail refuses", 5.0), ("mail hangs", 12.0), ("mail drops", 4.0), ("mail stopped", 5.0)),
    "parties": (),
    "messages": (),
    "mixed": (
        ("worker killed", 0.0),
        ("worker frozen", 13.0),
        ("Temporal killed", 0.0),
        ("PostgreSQL killed", 0.0),
        ("disk full", 5.0),
        ("mail refuses", 4.0),
        ("mail hangs", 8.0),
        ("mail drops", 3.0),
    ),
}
_SPACING_SECONDS = {"kill": 3.0, "freeze": 16.0, "temporal": 12.0, "postgres": 8.0, "outage": 60.0, "disk": 16.0}
"""About how far apart faults of a kind come; others every seven seconds."""

PARTY_SHARE = 0.15
MESSAGE_SHARE = 0.3
WORKERS = 2
"""Always race for the orders of a round."""

ONE_IN_LEFT_OPEN = 20
"""So many orders of a round are never packed, and must say that they wait for it."""


class PlannedOrder(NamedTuple):
    """`arrives` in seconds after the round's start; `stutters` where people send messages more than once."""

    order_id: str
    story: str
    arrives: float
    stutters: bool = False
    left_open: bool = False


class PlannedFault(NamedTuple):
    """`worker` says which of them, where it is one."""

    kind: str
    at: float
    seconds: float
    worker: int


class Round(NamedTuple):
    kind: str
    orders: tuple[PlannedOrder, ...]
    faults: tuple[PlannedFault, ...]
    parties: float
    messages: float


class Plan(NamedTuple):
    """`events` is the most orders that may be spent on kills after single events."""

    seed: int
    events: int
    rounds: tuple[Round, ...]

    @property
    def orders(self) -> int:
        return self.events + sum(len(one.orders) for one in self.rounds)


def make_plan(
    seed: int, orders: int, *, kinds: Sequence[str] = KINDS, per_second: float = 2.0, stories: Sequence[str] = ()
) -> Plan:
    """About half of the orders for `events` where it is among the kinds, the others in equal rounds."""
    rounds = [kind for kind in kinds if kind != "events"]
    events = orders if not rounds else orders // 2 if "events" in kinds else 0
    size = (orders - events) // len(rounds) if rounds else 0
    names = list(stories) or [story.__name__ for story in STORIES]
    return Plan(seed, events, tuple(_round(seed, kind, size, per_second, names) for kind in rounds))


def _round(seed: int, kind: str, size: int, per_second: float, names: Sequence[str]) -> Round:
    chance = random.Random(f"{seed} {kind}")
    arrival_seconds = size / per_second
    stories = [names[number % len(names)] for number in range(size)]
    chance.shuffle(stories)
    stutters = kind in ("messages", "mixed")
    orders = []
    for number, story in enumerate(stories):
        left_open = chance.randrange(ONE_IN_LEFT_OPEN) == 0
        name = "left_open" if left_open else story
        order_id = f"{seed}-{kind}-{number}-{name}"
        arrives = chance.uniform(0, arrival_seconds)
        orders.append(PlannedOrder(order_id, name, arrives, stutters and chance.random() < 0.5, left_open))
    return Round(
        kind,
        tuple(sorted(orders, key=lambda order: order.arrives)),
        _faults(kind, chance, arrival_seconds + 10),
        parties=PARTY_SHARE if kind in ("parties", "mixed") else 0.0,
        messages=MESSAGE_SHARE if kind in ("messages", "mixed") else 0.0,
    )


def _faults(kind: str, chance: random.Random, seconds: float) -> tuple[PlannedFault, ...]:
    """While orders arrive and on their way; at least one of each name."""
    spacing = _SPACING_SECONDS.get(kind, 7.0)
    names = _TIMED[kind]
    if not names:
        return ()
    faults: list[PlannedFault] = []
    at = chance.uniform(1, min(spacing, 5))
    while at < seconds or len(faults) < len(names):
        name, lasts = names[len(faults) % len(names)]
        faults.append(PlannedFault(name, at, lasts, chance.randrange(WORKERS)))
        at += chance.uniform(0.5, 1.5) * spacing
    return tuple(faults)
