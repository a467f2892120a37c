"""The simulated fulfillment network: Amazon's states, its plans, and who wins when it is cancelled."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from activities.ports import NetworkPort
from adapters.network.plan import FillPolicy, NetworkScenario, Status, plan
from adapters.network.simulated import NetworkScenarios, SimulatedNetwork
from domain import tracking_numbers
from domain.effects import StockItem
from domain.messages import NetworkEvent
from domain.requests import NetworkOrder, QueuedMessage
from store.database import Database
from store.sandbox import NetworkSandboxBook
from tests.adapters.message_queues import FakeMessageQueue
from tests.data import data_folder

ASKED = datetime(2018, 3, 1, 10, tzinfo=UTC)
SHIP_BY = datetime(2018, 3, 2, 23, 59, 59, tzinfo=UTC)
SERVER = datetime(2026, 1, 1, 12, tzinfo=UTC)
FOREVER = datetime(2100, 1, 1, tzinfo=UTC)


def item(line_id: str, quantity: int) -> StockItem:
    return StockItem(line_id=line_id, location="FC1", seller="acme", sku=line_id.upper(), quantity=quantity)


ORDER = NetworkOrder(
    order_id="1042",
    key="1042:network:acme-fba-1",
    fulfillment_id="acme-fba-1",
    method="Standard",
    items=(item("a", 2), item("b", 1)),
    factor=60.0,
    asked_at=ASKED,
    ship_by=SHIP_BY,
    deliver_by=SHIP_BY + timedelta(days=4),
)


class World:
    """A network on a real book, a queue, and a clock that stands still unless moved."""

    def __init__(self, database: Database) -> None:
        self.queue = FakeMessageQueue()
        self.book = NetworkSandboxBook(database)
        self.now = SERVER

    def network(
        self,
        scenario: NetworkScenario = NetworkScenario.COMPLETE,
        policy: FillPolicy = FillPolicy.FILL_ALL_AVAILABLE,
    ) -> SimulatedNetwork:
        return SimulatedNetwork(self.book, self.queue, NetworkScenarios(default=scenario), policy, now=lambda: self.now)

    def due(self, status: Status) -> datetime:
        return min(message.due_at for message in self.queue.waiting.values() if message.body["status"] == status)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def events(messages: list[QueuedMessage]) -> list[NetworkEvent]:
    """As the order reads them: strictly, from JSON."""
    return [NetworkEvent.model_validate_json(json.dumps(message.body)) for message in messages]


def shipped(told: list[NetworkEvent]) -> list[dict[str, int]]:
    """The contents of each parcel."""
    return [{item.line_id: item.quantity for item in parcel.items} for event in told for parcel in event.parcels]


async def story(
    world: World, scenario: NetworkScenario, policy: FillPolicy = FillPolicy.FILL_ALL_AVAILABLE
) -> list[NetworkEvent]:
    assert await world.network(scenario, policy).create(ORDER) == Status.RECEIVED
    return events(list(world.queue.send_until(FOREVER)))


@pytest.mark.asyncio
async def test_asked_twice_it_is_one_order_with_the_same_answer(world: World) -> None:
    network: NetworkPort = world.network()
    assert await network.create(ORDER) == "Received"
    planned = dict(world.queue.waiting)
    world.now += timedelta(seconds=30)
    assert await network.create(ORDER) == "Received"
    assert world.queue.waiting == planned


@pytest.mark.asyncio
async def test_a_try_that_died_before_planning_is_mended_by_the_next(world: World, database: Database) -> None:
    await world.network().create(ORDER)
    planned = dict(world.queue.waiting)
    world.queue.waiting.clear()
    world.now += timedelta(seconds=30)
    await world.network().create(ORDER)
    assert world.queue.waiting == planned


@pytest.mark.asyncio
async def test_the_id_of_another_order_is_invalid(world: World) -> None:
    network = world.network()
    await network.create(ORDER)
    assert await network.create(ORDER.model_copy(update={"items": (item("a", 1),)})) == "Invalid"
    assert await network.create(ORDER.model_copy(update={"fulfillment_id": "acme-fba-2", "items": ()})) == "Invalid"


@pytest.mark.asyncio
async def test_complete_goes_through_the_states_and_ships_everything_before_ship_by(world: World) -> None:
    told = await story(world, NetworkScenario.COMPLETE)
    assert [event.status for event in told] == ["Planning", "Processing", "Complete"]
    assert shipped(told) == [{"a": 2, "b": 1}]
    assert ASKED < told[0].occurred_at < told[1].occurred_at < told[2].occurred_at < SHIP_BY
    assert len({event.event_id for event in told}) == 3
    (parcel,) = told[-1].parcels
    assert tracking_numbers.refusal(parcel.carrier, parcel.tracking_number) is None


@pytest.mark.asyncio
async def test_events_come_on_the_orders_own_clock(world: World) -> None:
    await world.network().create(ORDER)
    for message in world.queue.waiting.values():
        (event,) = events([message])
        assert abs(ASKED + (message.due_at - SERVER) * ORDER.factor - event.occurred_at) < timedelta(seconds=1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("scenario", "statuses", "parcels"),
    [
        (NetworkScenario.SEVERAL_PARCELS, ["Complete"], [{"a": 2}, {"b": 1}]),
        (NetworkScenario.IN_PARTS, ["Processing", "Complete"], [{"a": 2}, {"b": 1}]),
        (NetworkScenario.PARTIAL, ["CompletePartialled"], [{"a": 2}]),
        (NetworkScenario.UNFULFILLABLE, ["Unfulfillable"], []),
        (NetworkScenario.SHORT_COUNT, ["Complete"], [{"a": 2}]),
        (NetworkScenario.OVER_COUNT, ["Complete"], [{"a": 3, "b": 1}]),
    ],
)
async def test_what_each_scenario_ships(
    world: World, scenario: NetworkScenario, statuses: list[str], parcels: list[dict[str, int]]
) -> None:
    told = await story(world, scenario)
    assert [event.status for event in told] == ["Planning", "Processing", *statuses]
    assert shipped(told) == parcels
    numbers = [parcel.tracking_number for event in told for parcel in event.parcels]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.asyncio
async def test_invalid_is_answered_at_once_and_nothing_follows(world: World) -> None:
    network = world.network(NetworkScenario.INVALID)
    assert await network.create(ORDER) == "Invalid"
    assert await network.create(ORDER) == "Invalid"
    assert await network.status("1042", "acme-fba-1") == "Invalid"
    assert world.queue.waiting == {}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("policy", "statuses", "parcels"),
    [
        (FillPolicy.FILL_ALL_AVAILABLE, ["CompletePartialled"], [{"a": 2}]),
        (FillPolicy.FILL_ALL, ["Processing", "CompletePartialled"], [{"a": 2}]),
        (FillPolicy.FILL_OR_KILL, ["Unfulfillable"], []),
    ],
)
async def test_the_fill_policy_decides_what_becomes_of_a_missing_unit(
    world: World, policy: FillPolicy, statuses: list[str], parcels: list[dict[str, int]]
) -> None:
    told = await story(world, NetworkScenario.PARTIAL, policy)
    assert [event.status for event in told] == ["Planning", "Processing", *statuses]
    assert shipped(told) == parcels
    if policy is FillPolicy.FILL_ALL:
        assert told[-1].occurred_at - told[-2].occurred_at == timedelta(hours=24)


@pytest.mark.parametrize("scenario", NetworkScenario)
@pytest.mark.parametrize("policy", FillPolicy)
@pytest.mark.parametrize("ship_by", [None, ASKED - timedelta(days=1), SHIP_BY])
def test_plans_of_a_single_unit_are_the_same_every_time_and_end(
    scenario: NetworkScenario, policy: FillPolicy, ship_by: datetime | None
) -> None:
    order = ORDER.model_copy(update={"items": (item("a", 1),), "ship_by": ship_by})
    steps = plan(order, ASKED, scenario, policy)
    assert plan(order, ASKED, scenario, policy) == steps
    assert all(earlier.occurred_at <= later.occurred_at for earlier, later in pairwise(steps))
    assert all(parcel.items for step in steps for parcel in step.parcels)
    if scenario is not NetworkScenario.INVALID:
        assert steps[-1].status in (Status.COMPLETE, Status.COMPLETE_PARTIALLED, Status.UNFULFILLABLE)


@pytest.mark.asyncio
async def test_it_can_be_cancelled_while_received_or_planning_and_is_silent_then(world: World) -> None:
    network = world.network()
    for number, until in enumerate([None, Status.PLANNING]):
        order = ORDER.model_copy(update={"fulfillment_id": f"acme-fba-{number}"})
        await network.create(order)
        if until:
            world.now = world.due(until)
            assert [event.status for event in events(list(world.queue.send_until(world.now)))] == [until]
        assert await network.status("1042", order.fulfillment_id) == (until or Status.RECEIVED)
        assert await network.cancel("1042", order.fulfillment_id, "1042:cancel") is True
        assert await network.cancel("1042", order.fulfillment_id, "1042:cancel") is True
        assert await network.status("1042", order.fulfillment_id) == "Cancelled"
        assert world.queue.waiting == {}
        # A late retry of the asking must not bring it back to life.
        assert await network.create(order) == "Received"
        assert world.queue.waiting == {}


@pytest.mark.asyncio
async def test_from_processing_on_it_ships_whatever_is_said(world: World) -> None:
    network = world.network()
    await network.create(ORDER)
    world.now = world.due(Status.PROCESSING)
    assert await network.cancel("1042", "acme-fba-1", "1042:cancel") is False
    assert await network.status("1042", "acme-fba-1") == "Processing"
    assert [event.status for event in events(list(world.queue.send_until(FOREVER)))][-1] == "Complete"
    world.now = FOREVER
    assert await network.status("1042", "acme-fba-1") == "Complete"
    assert await network.cancel("1042", "acme-fba-1", "1042:cancel") is False


@pytest.mark.asyncio
async def test_what_the_network_never_heard_of_it_will_not_ship(world: World) -> None:
    assert await world.network().cancel("1042", "acme-fba-9", "1042:cancel") is True
    assert await world.network().status("1042", "acme-fba-9") is None


@pytest.mark.asyncio
async def test_asking_and_cancelling_at_once_leave_no_message_behind_a_cancelled_order(world: World) -> None:
    network = world.network()
    for number in range(10):
        order = ORDER.model_copy(update={"fulfillment_id": f"acme-fba-{number}"})
        await network.create(order)
        await asyncio.gather(
            network.create(order), network.cancel("1042", order.fulfillment_id, "c"), network.create(order)
        )
        assert await network.status("1042", order.fulfillment_id) == "Cancelled"
    assert world.queue.waiting == {}


def test_states_and_policies_are_amazons_own() -> None:
    model = json.loads((data_folder() / "sp-api" / "fulfillmentOutbound_2020-07-01.json").read_text())["definitions"]
    assert {status.value for status in Status} == set(model["FulfillmentOrderStatus"]["enum"]) - {"New"}
    assert [policy.value for policy in FillPolicy] == model["FulfillmentPolicy"]["enum"]
