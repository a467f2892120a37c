"""A carrier that exists on paper only: it sells labels and sends the scans of each parcel on the order's own clock.

What is still to come of a parcel lies in the message queue, so that a night or a crash changes nothing.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from adapters.carriers.numbers import ups_number
from adapters.carriers.plan import CarrierScenario, Scan, plan
from adapters.simulation import MessageQueue, Scenarios, utc_now
from domain.progress import Follow
from domain.requests import LabelOutcome, LabelRequest, QueuedMessage
from domain.state import Label
from domain.tracking_numbers import tracking_url

CARRIER = "UPS"

CarrierScenarios = Scenarios[CarrierScenario]
ALL_ON_TIME = CarrierScenarios(default=CarrierScenario.ON_TIME)


class SimulatedCarrier:
    """Satisfies `CarrierPort`. Scenarios are picked for `<order id>:<parcel id>`, see `adapters.carriers.plan`."""

    def __init__(
        self,
        queue: MessageQueue,
        scenarios: CarrierScenarios = ALL_ON_TIME,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._queue = queue
        self._scenarios = scenarios
        self._now = now

    async def buy_label(self, request: LabelRequest) -> LabelOutcome:
        """The number follows from the key: bought twice, it is one label."""
        number = ups_number(request.key, request.method)
        label = Label(carrier=CARRIER, tracking_number=number, tracking_url=tracking_url(CARRIER, number))
        return LabelOutcome(label=label)

    async def void_label(self, order_id: str, key: str, carrier: str, tracking_number: str) -> bool:
        """Always possible here; scans that were to come for the number do not come any more."""
        await self._queue.withdraw(order_id, _key_prefix(order_id, tracking_number))
        return True

    async def follow(self, order_id: str, parcel: Follow) -> None:
        """Plan all scans of the parcel now. Asked twice it adds nothing: the keys are the same."""
        scenario = self._scenarios.of(f"{order_id}:{parcel.parcel_id}")
        anchor = parcel.server_time or self._now()
        messages = []
        for copy, scan in enumerate(plan(order_id, parcel, scenario)):
            due_at = anchor + (scan.arrives_at - parcel.shipped_at) / parcel.factor
            messages.append(
                QueuedMessage(
                    key=f"{_key_prefix(order_id, parcel.tracking_number)}{copy + 1}",
                    order_id=order_id,
                    signal="carrier_event",
                    body=_body(parcel, scan),
                    due_at=due_at,
                )
            )
        await self._queue.schedule(tuple(messages))


def _key_prefix(order_id: str, tracking_number: str) -> str:
    """Names the number and not the parcel: a parcel whose number is corrected is followed anew."""
    return f"{order_id}:scan:{tracking_number}:"


def _body(parcel: Follow, scan: Scan) -> dict[str, Any]:
    """A `domain.messages.CarrierEvent` without the fields that have nothing to say."""
    body = scan.model_dump(mode="json", exclude={"number", "arrives_at"}, exclude_defaults=True)
    return body | {
        "event_id": f"{parcel.tracking_number}-{scan.number}",
        "parcel_id": parcel.parcel_id,
        "carrier": parcel.carrier,
        "tracking_number": parcel.tracking_number,
    }
