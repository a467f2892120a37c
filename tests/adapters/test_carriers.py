"""The carriers: what every one of them keeps to, and what the simulated one tells of its parcels."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from activities.ports import CarrierPort
from adapters.carriers.manual import ManualCarrier
from adapters.carriers.numbers import ups_number
from adapters.carriers.plan import CarrierScenario, plan
from adapters.carriers.simulated import CarrierScenarios, SimulatedCarrier
from domain import tracking_numbers
from domain.messages import CarrierEvent
from domain.progress import Follow
from domain.requests import LabelRequest, QueuedMessage
from domain.state import CarrierStatus
from tests.adapters.message_queues import FakeMessageQueue

SHIPPED = datetime(2018, 3, 1, 15, tzinfo=UTC)
PROMISED = datetime(2018, 3, 6, 23, 59, 59, tzinfo=UTC)
SERVER = datetime(2026, 1, 1, 12, tzinfo=UTC)
FACTOR = 8640.0
NUMBER = ups_number("1042:label:acme-1-p1", "Standard")
FOREVER = datetime(2100, 1, 1, tzinfo=UTC)

REQUEST = LabelRequest(
    order_id="1042", key="1042:label:acme-1-p1", fulfillment_id="acme-1", parcel_id="acme-1-p1", method="TwoDay"
)
PARCEL = Follow(
    parcel_id="acme-1-p1",
    fulfillment_id="acme-1",
    carrier="UPS",
    tracking_number=NUMBER,
    method="Standard",
    shipped_at=SHIPPED,
    deliver_by=PROMISED,
    factor=FACTOR,
    server_time=SERVER,
)


@pytest.fixture
def queue() -> FakeMessageQueue:
    return FakeMessageQueue()


@pytest.fixture(params=["simulated", "manual"])
def carrier(request: pytest.FixtureRequest, queue: FakeMessageQueue) -> SimulatedCarrier | ManualCarrier:
    return SimulatedCarrier(queue) if request.param == "simulated" else ManualCarrier()


def simulated(queue: FakeMessageQueue, scenario: CarrierScenario) -> SimulatedCarrier:
    return SimulatedCarrier(queue, CarrierScenarios(default=scenario))


def events(messages: list[QueuedMessage]) -> list[CarrierEvent]:
    """As the order reads them: strictly, from JSON."""
    return [CarrierEvent.model_validate_json(json.dumps(message.body)) for message in messages]


async def story(scenario: CarrierScenario) -> list[CarrierEvent]:
    """What the order hears, in the order in which it hears it."""
    queue = FakeMessageQueue()
    await simulated(queue, scenario).follow("1042", PARCEL)
    return events(list(queue.send_until(FOREVER)))


# --- Every carrier ---


@pytest.mark.asyncio
async def test_every_call_made_twice_has_the_same_answer_and_effect(
    carrier: SimulatedCarrier | ManualCarrier, queue: FakeMessageQueue
) -> None:
    port: CarrierPort = carrier
    outcome = await port.buy_label(REQUEST)
    assert await port.buy_label(REQUEST) == outcome
    assert (outcome.label is None) == (outcome.refused_because is not None)
    await carrier.follow("1042", PARCEL)
    planned = dict(queue.waiting)
    await carrier.follow("1042", PARCEL)
    assert queue.waiting == planned
    voided = await port.void_label("1042", "1042:void:acme-1-p1", "UPS", NUMBER)
    assert await port.void_label("1042", "1042:void:acme-1-p1", "UPS", NUMBER) is voided
    assert queue.waiting == {}


@pytest.mark.asyncio
async def test_a_label_that_is_sold_has_a_number_that_its_courier_could_have_given(
    carrier: SimulatedCarrier | ManualCarrier,
) -> None:
    label = (await carrier.buy_label(REQUEST)).label
    if label is not None:
        assert tracking_numbers.refusal(label.carrier, label.tracking_number) is None
        assert label.tracking_url == tracking_numbers.tracking_url(label.carrier, label.tracking_number)


# --- Manual ---


@pytest.mark.asyncio
async def test_the_manual_carrier_sells_nothing_and_says_what_to_do_instead() -> None:
    outcome = await ManualCarrier().buy_label(REQUEST)
    assert outcome.label is None
    assert "ship with a carrier and tracking number" in (outcome.refused_because or "")


# --- Simulated ---


@pytest.mark.parametrize("method", ["Standard", "Expedited", "TwoDay", "NextDay", "by boat"])
def test_tracking_numbers_are_valid_and_differ_from_key_to_key(method: str) -> None:
    numbers = {ups_number(f"{order}:label:acme-1-p1", method) for order in range(500)}
    assert len(numbers) == 500
    assert [number for number in numbers if tracking_numbers.refusal("UPS", number)] == []


@pytest.mark.asyncio
async def test_a_parcel_on_time_goes_through_every_status_and_is_signed_for_within_the_promise() -> None:
    told = await story(CarrierScenario.ON_TIME)
    assert [event.status for event in told] == [
        CarrierStatus.LABEL_CREATED,
        CarrierStatus.IN_TRANSIT,
        CarrierStatus.IN_TRANSIT,
        CarrierStatus.OUT_FOR_DELIVERY,
        CarrierStatus.DELIVERED,
    ]
    assert told[0].occurred_at == SHIPPED
    assert told[-1].occurred_at <= PROMISED
    assert told[-1].signed_by
    assert len({event.event_id for event in told}) == len(told)
    assert {(event.parcel_id, event.tracking_number, event.carrier) for event in told} == {("acme-1-p1", NUMBER, "UPS")}


@pytest.mark.asyncio
async def test_delayed_tells_a_new_estimate_past_the_promise_and_keeps_to_it() -> None:
    told = await story(CarrierScenario.DELAYED)
    (exception,) = (event for event in told if event.status is CarrierStatus.EXCEPTION)
    assert exception.exception == "delayed"
    assert exception.estimated_delivery is not None
    assert exception.occurred_at < PROMISED < told[-1].occurred_at == exception.estimated_delivery
    assert told[-1].status is CarrierStatus.DELIVERED


@pytest.mark.asyncio
async def test_lost_goes_silent_and_declared_lost_says_so() -> None:
    silent = await story(CarrierScenario.LOST)
    assert [event.status for event in silent] == [CarrierStatus.LABEL_CREATED, CarrierStatus.IN_TRANSIT]
    declared = await story(CarrierScenario.DECLARED_LOST)
    assert declared[:2] == silent
    assert [event.status for event in declared[2:]] == [CarrierStatus.LOST]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("scenario", "kind"), [(CarrierScenario.DAMAGED, "damaged"), (CarrierScenario.RETURNED, "undeliverable")]
)
async def test_damaged_and_undeliverable_parcels_go_back(scenario: CarrierScenario, kind: str) -> None:
    told = await story(scenario)
    assert (told[-2].status, told[-2].exception) == (CarrierStatus.EXCEPTION, kind)
    assert told[-1].status is CarrierStatus.RETURNED
    assert CarrierStatus.DELIVERED not in [event.status for event in told]


@pytest.mark.asyncio
async def test_duplicated_scans_are_the_same_event_sent_twice() -> None:
    told = await story(CarrierScenario.DUPLICATED)
    assert told[::2] == told[1::2] == await story(CarrierScenario.ON_TIME)


@pytest.mark.asyncio
async def test_out_of_order_scans_are_true_but_arrive_late() -> None:
    told = await story(CarrierScenario.OUT_OF_ORDER)
    straight = await story(CarrierScenario.ON_TIME)
    assert told != straight
    assert sorted(told, key=lambda event: event.occurred_at) == straight
    assert told[-1].status is CarrierStatus.IN_TRANSIT


@pytest.mark.asyncio
async def test_scans_come_on_the_orders_own_clock(queue: FakeMessageQueue) -> None:
    await simulated(queue, CarrierScenario.ON_TIME).follow("1042", PARCEL)
    for message in queue.waiting.values():
        (event,) = events([message])
        on_the_clock = SHIPPED + (message.due_at - SERVER) * FACTOR
        assert abs(on_the_clock - event.occurred_at) < timedelta(seconds=1)


@pytest.mark.asyncio
async def test_without_an_anchor_the_clock_starts_when_asked(queue: FakeMessageQueue) -> None:
    carrier = SimulatedCarrier(queue, now=lambda: SERVER)
    await carrier.follow("1042", PARCEL.model_copy(update={"server_time": None}))
    assert min(message.due_at for message in queue.waiting.values()) == SERVER


@pytest.mark.asyncio
async def test_scans_already_sent_are_not_sent_again_by_a_second_asking(queue: FakeMessageQueue) -> None:
    carrier = simulated(queue, CarrierScenario.ON_TIME)
    await carrier.follow("1042", PARCEL)
    first = list(queue.send_until(SERVER))
    assert len(first) == 1
    await carrier.follow("1042", PARCEL)
    assert len(list(queue.send_until(FOREVER))) == 4


@pytest.mark.asyncio
async def test_a_parcel_whose_number_is_corrected_is_followed_under_the_new_one(queue: FakeMessageQueue) -> None:
    carrier = simulated(queue, CarrierScenario.ON_TIME)
    await carrier.follow("1042", PARCEL)
    other = ups_number("another", "Standard")
    await carrier.follow("1042", PARCEL.model_copy(update={"tracking_number": other}))
    assert len(queue.waiting) == 10
    await carrier.void_label("1042", "1042:void", "UPS", NUMBER)
    assert {event.tracking_number for event in events(list(queue.waiting.values()))} == {other}


@pytest.mark.parametrize("scenario", CarrierScenario)
@pytest.mark.parametrize("late", [False, True])
def test_plans_are_the_same_every_time_and_never_run_backwards(scenario: CarrierScenario, late: bool) -> None:
    shipped_at = PROMISED + timedelta(days=3) if late else SHIPPED
    parcel = PARCEL.model_copy(update={"shipped_at": shipped_at})
    scans = plan("1042", parcel, scenario)
    assert plan("1042", parcel, scenario) == scans
    assert all(shipped_at <= scan.occurred_at <= scan.arrives_at for scan in scans)
    arrivals = [scan.arrives_at for scan in scans]
    assert arrivals == sorted(arrivals)


def test_overrides_come_first_and_shares_fall_by_the_seed() -> None:
    scenarios = CarrierScenarios(
        default=CarrierScenario.ON_TIME,
        shares={CarrierScenario.DELAYED: 0.2, CarrierScenario.LOST: 0.05},
        overrides={"1042:acme-1-p1": CarrierScenario.DAMAGED, "*-lost:*": CarrierScenario.LOST},
        seed="demo",
    )
    assert scenarios.of("1042:acme-1-p1") is CarrierScenario.DAMAGED
    assert scenarios.of("7-lost:acme-1-p1") is CarrierScenario.LOST
    names = [f"{number}:acme-1-p1" for number in range(2000)]
    fates = [scenarios.of(name) for name in names]
    assert fates == [scenarios.of(name) for name in names]
    assert 300 < fates.count(CarrierScenario.DELAYED) < 500
    assert 60 < fates.count(CarrierScenario.LOST) < 140
    other = scenarios.model_copy(update={"seed": "another"})
    assert fates != [other.of(name) for name in names]
