"""The project's own shop (localstack/sample) and its stories: each order has one, with the end that it must have."""

import json
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from adapters.carriers.plan import CarrierScenario
from adapters.carriers.simulated import CarrierScenarios
from adapters.network.plan import NetworkScenario
from adapters.network.simulated import NetworkScenarios
from domain.catalog import Catalog
from domain.insights import Window
from domain.placing import TIME_FACTOR_MAX
from localstack.demo import people
from localstack.demo.story import Part, Programme, Story
from localstack.players import Way, buys_labels, types_numbers

FOLDER = Path(__file__).resolve().parent.parent / "sample"

# A Monday morning in New York: every run of the demo has the same weekends, and no public holiday.
_ORIGIN = "2026-03-02T14:00:00Z"
DAYS = Window(first=date(2026, 3, 2), last=date(2026, 3, 8))
"""The week in which all orders are placed."""

_SECONDS_MAX = 240

# A worker that is killed costs an order up to 20 seconds, until Temporal gives its tasks to the next one. Those are two
# days on this clock: whoever acts in a story has longer to do so than the usual deadlines.
_PATIENT = {
    "payment_retry_hours": 240,
    "shortage_answer_hours": 240,
    "cancellation_answer_hours": 240,
    "issue_answer_hours": 240,
    "late_cancel_days": 30,
}

_CARRIER = CarrierScenarios(
    default=CarrierScenario.ON_TIME,
    overrides={
        "1003:*-p2": CarrierScenario.DAMAGED,
        "1004:*": CarrierScenario.DELAYED,
        "1005:*": CarrierScenario.OUT_OF_ORDER,
        # The first parcel only: what is shipped again arrives.
        "1011:northtrail-1-*": CarrierScenario.DECLARED_LOST,
        "1014:*": CarrierScenario.DUPLICATED,
    },
)
_NETWORK = NetworkScenarios(default=NetworkScenario.COMPLETE, overrides={"1012:northtrail-*": NetworkScenario.IN_PARTS})


class _Told(NamedTuple):
    """What a story says beside its order."""

    title: str
    paid: int
    units: dict[str, int]
    end: str = "Delivered"
    seller: Way = buys_labels
    others: tuple[Part, ...] = ()
    tells_of: tuple[str, ...] = ()


_STORIES = {
    "1001": _Told(
        "one seller, who types a USPS number",
        4234,
        {"delivered": 1},
        seller=types_numbers({"maple": ("USPS", "9400111201080805483016")}),
    ),
    "1002": _Told(
        "three sellers, a voucher and a card",
        17914,
        {"delivered": 5},
        seller=types_numbers({"maple": ("FedEx", "986578788855"), "oakline": ("OnTrac", "C11031500001879")}),
    ),
    "1003": _Told(
        "two parcels, one damaged on the way: refunded",
        6435,
        {"delivered": 2, "lost": 1},
        seller=people.packs_two_parcels,
        others=(people.makes_good("refund"),),
        tells_of=("issue_opened", "issue_resolved", "refunded"),
    ),
    "1004": _Told(
        "the wrong item is refused; the parcel is late",
        11009,
        {"delivered": 2},
        seller=people.takes_the_wrong_item("LAMP-OAK"),
        tells_of=("delayed",),
    ),
    "1005": _Told(
        "not on the shelf: another location has it",
        7119,
        {"delivered": 1},
        seller=people.does_not_find("1", "maple-brooklyn"),
        tells_of=("rejected",),
    ),
    "1006": _Told(
        "out of stock: the customer takes a substitute",
        7593,
        {"cancelled": 1, "delivered": 2},
        others=(people.takes_a_substitute,),
        tells_of=("shortage_answered",),
    ),
    "1007": _Told(
        "out of stock: the customer waits, it comes in",
        6689,
        {"delivered": 3},
        others=(people.waits_for_stock, people.receives("inkwell-portland", "inkwell", "INK-ROYAL-50", 24)),
        tells_of=("shortage_answered", "stock_allocated"),
    ),
    "1008": _Told(
        "cancelled before it is packed",
        0,
        {"cancelled": 1},
        "Canceled",
        seller=people.has_not_looked_yet,
        others=(people.cancels_at_once,),
    ),
    "1009": _Told(
        "packed already: the seller agrees to cancel",
        0,
        {"cancelled": 1},
        "Canceled",
        seller=people.packs_then_agrees_to_cancel,
        others=(people.asks_to_cancel_once_packed,),
        tells_of=("packed", "cancellation_requested", "cancellation_accepted"),
    ),
    "1010": _Told(
        "no tracking: the customer says that it came",
        3299,
        {"delivered": 2},
        seller=people.gives_no_number("Rose City Bike Messengers"),
        others=(people.says_that_it_came,),
        tells_of=("customer delivered",),
    ),
    "1011": _Told(
        "lost by the carrier: support sends it again",
        4949,
        {"delivered": 1, "lost": 1},
        others=(people.makes_good("reship"),),
        tells_of=("issue_opened", "issue_resolved"),
    ),
    "1012": _Told("the network ships it (FBA), part of it first", 13300, {"delivered": 3}),
    "1013": _Told("network and seller; the bank is slow to answer", 12240, {"delivered": 2}),
    "1014": _Told(
        "the card is declined, another one given",
        8149,
        {"delivered": 2},
        others=(people.gives_another_card,),
        tells_of=("payment_declined", "payment_updated"),
    ),
    "1015": _Told(
        "held for a day, the address mended",
        8479,
        {"delivered": 1},
        seller=types_numbers({"oakline": ("UPS", "1Z5R89390357567127")}),
        others=(people.holds_for_a_day,),
        tells_of=("held", "address_changed", "released"),
    ),
    "1016": _Told(
        "out of stock, and nobody answers: nothing is charged",
        0,
        {"cancelled": 1},
        "Unfulfillable",
        tells_of=("shortage_answered",),
    ),
}


def sample() -> Programme:
    bodies = [json.loads(line) for line in (FOLDER / "orders.jsonl").read_text(encoding="utf-8").splitlines()]
    return Programme(
        catalog=Catalog.model_validate_json((FOLDER / "catalog.json").read_text(encoding="utf-8")),
        stories=tuple(_story(body) for body in bodies),
        seconds_max=_SECONDS_MAX,
        carrier=_CARRIER,
        network=_NETWORK,
    )


def _story(body: dict[str, Any]) -> Story:
    told = _STORIES[body["order_id"]]
    body["clock"] = {"origin": _ORIGIN, "factor": TIME_FACTOR_MAX}
    if told.others:
        body["policy"] = _PATIENT
    return Story(body=body, **told._asdict())
