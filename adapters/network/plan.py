"""How a simulated fulfillment order goes through Amazon's states: a plain function of the order and its scenario.

States and fill policies are those of Fulfillment Outbound 2020-07-01 (amzn/selling-partner-api-models).

| scenario | what the network does after Received, Planning and Processing |
|---|---|
| `complete` | Complete, with everything in one parcel |
| `several_parcels` | Complete, with two parcels at once |
| `in_parts` | a first parcel while still Processing, the other with Complete |
| `partial` | one unit cannot be found: what follows is up to the fill policy, see below |
| `unfulfillable` | Unfulfillable: nothing could be found |
| `invalid` | Invalid at once, instead of Received |
| `short_count` | Complete, but one unit of the last line is in no parcel: a discrepancy |
| `over_count` | Complete, but with one unit more of the first line than was asked for: a discrepancy |

With one unit missing, `FillAllAvailable` ships the rest as CompletePartialled; `FillAll` ships the rest while
Processing and gives up as CompletePartialled 24 hours later; `FillOrKill` ships nothing: Unfulfillable.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from adapters.carriers.numbers import ups_number
from domain.model import Frozen
from domain.requests import NetworkOrder


class NetworkScenario(StrEnum):
    COMPLETE = "complete"
    SEVERAL_PARCELS = "several_parcels"
    IN_PARTS = "in_parts"
    PARTIAL = "partial"
    UNFULFILLABLE = "unfulfillable"
    INVALID = "invalid"
    SHORT_COUNT = "short_count"
    OVER_COUNT = "over_count"


class FillPolicy(StrEnum):
    FILL_OR_KILL = "FillOrKill"
    FILL_ALL = "FillAll"
    FILL_ALL_AVAILABLE = "FillAllAvailable"


class Status(StrEnum):
    RECEIVED = "Received"
    INVALID = "Invalid"
    PLANNING = "Planning"
    PROCESSING = "Processing"
    CANCELLED = "Cancelled"
    COMPLETE = "Complete"
    COMPLETE_PARTIALLED = "CompletePartialled"
    UNFULFILLABLE = "Unfulfillable"


class NetworkItem(Frozen):
    line_id: str
    quantity: int


class NetworkParcel(Frozen):
    carrier: str = "UPS"
    tracking_number: str
    items: tuple[NetworkItem, ...]
    estimated_delivery: datetime | None = None


class NetworkStep(Frozen):
    """A change of state that is told to the order, in business time."""

    status: Status
    occurred_at: datetime
    parcels: tuple[NetworkParcel, ...] = ()


def plan(
    order: NetworkOrder, asked_at: datetime, scenario: NetworkScenario, policy: FillPolicy
) -> tuple[NetworkStep, ...]:
    """The steps after Received, oldest first; none for an order that is invalid."""
    if scenario is NetworkScenario.INVALID:
        return ()
    span = _span(order, asked_at)
    return (
        NetworkStep(status=Status.PLANNING, occurred_at=asked_at + span * 0.1),
        NetworkStep(status=Status.PROCESSING, occurred_at=processing_at(order, asked_at)),
        *_outcome(order, asked_at + span * 0.8, asked_at + span, scenario, policy),
    )


def processing_at(order: NetworkOrder, asked_at: datetime) -> datetime:
    """From this moment in business time units are picked, and nothing can be cancelled."""
    return asked_at + _span(order, asked_at) * 0.4


_HOURS = {"Standard": 24, "Expedited": 12, "TwoDay": 8, "NextDay": 4}


def _span(order: NetworkOrder, asked_at: datetime) -> timedelta:
    """From being asked to the last handoff: 80 % of the time until ship-by, or what is usual for the method."""
    usual = timedelta(hours=_HOURS.get(order.method, 24))
    if order.ship_by is None or order.ship_by <= asked_at:
        return usual
    return (order.ship_by - asked_at) * 0.8


def _outcome(
    order: NetworkOrder, first_at: datetime, end: datetime, scenario: NetworkScenario, policy: FillPolicy
) -> tuple[NetworkStep, ...]:
    items = _items(order)
    match scenario:
        case NetworkScenario.SEVERAL_PARCELS:
            return (NetworkStep(status=Status.COMPLETE, occurred_at=end, parcels=_parcels(order, *_halves(items))),)
        case NetworkScenario.IN_PARTS:
            return _in_parts(order, first_at, end)
        case NetworkScenario.PARTIAL:
            return _partial(order, end, policy)
        case NetworkScenario.UNFULFILLABLE:
            return (NetworkStep(status=Status.UNFULFILLABLE, occurred_at=end),)
        case NetworkScenario.SHORT_COUNT:
            items = _one_less(items)
        case NetworkScenario.OVER_COUNT:
            first, *others = items
            items = (NetworkItem(line_id=first.line_id, quantity=first.quantity + 1), *others)
    return (NetworkStep(status=Status.COMPLETE, occurred_at=end, parcels=_parcels(order, items)),)


def _in_parts(order: NetworkOrder, first_at: datetime, end: datetime) -> tuple[NetworkStep, ...]:
    *early, last = _parcels(order, *_halves(_items(order)))
    steps = [NetworkStep(status=Status.PROCESSING, occurred_at=first_at, parcels=(parcel,)) for parcel in early]
    return (*steps, NetworkStep(status=Status.COMPLETE, occurred_at=end, parcels=(last,)))


def _partial(order: NetworkOrder, end: datetime, policy: FillPolicy) -> tuple[NetworkStep, ...]:
    found = _parcels(order, _one_less(_items(order)))
    if policy is FillPolicy.FILL_OR_KILL or not found:
        return (NetworkStep(status=Status.UNFULFILLABLE, occurred_at=end),)
    if policy is FillPolicy.FILL_ALL_AVAILABLE:
        return (NetworkStep(status=Status.COMPLETE_PARTIALLED, occurred_at=end, parcels=found),)
    given_up = NetworkStep(status=Status.COMPLETE_PARTIALLED, occurred_at=end + timedelta(hours=24))
    return (NetworkStep(status=Status.PROCESSING, occurred_at=end, parcels=found), given_up)


def _items(order: NetworkOrder) -> tuple[NetworkItem, ...]:
    return tuple(NetworkItem(line_id=item.line_id, quantity=item.quantity) for item in order.items)


def _one_less(items: Sequence[NetworkItem]) -> tuple[NetworkItem, ...]:
    *others, last = items
    return _without_empty((*others, NetworkItem(line_id=last.line_id, quantity=last.quantity - 1)))


def _halves(items: Sequence[NetworkItem]) -> tuple[tuple[NetworkItem, ...], tuple[NetworkItem, ...]]:
    """The units in two parts, the first one not the smaller; the second is empty where there is one unit."""
    left = (sum(item.quantity for item in items) + 1) // 2
    first, second = [], []
    for item in items:
        taken = min(item.quantity, left)
        left -= taken
        first.append(NetworkItem(line_id=item.line_id, quantity=taken))
        second.append(NetworkItem(line_id=item.line_id, quantity=item.quantity - taken))
    return _without_empty(first), _without_empty(second)


def _without_empty(items: Sequence[NetworkItem]) -> tuple[NetworkItem, ...]:
    return tuple(item for item in items if item.quantity)


def _parcels(order: NetworkOrder, *contents: tuple[NetworkItem, ...]) -> tuple[NetworkParcel, ...]:
    return tuple(
        NetworkParcel(
            tracking_number=ups_number(f"{order.order_id}:{order.fulfillment_id}:{number}", order.method),
            items=items,
            estimated_delivery=order.deliver_by,
        )
        for number, items in enumerate(contents, 1)
        if items
    )
