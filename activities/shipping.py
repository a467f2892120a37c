"""What is asked of carriers and of the fulfillment network."""

from temporalio import activity

from activities.ports import CarrierPort, NetworkPort
from activities.steps import Step
from domain.effects import BuyLabel, CancelNetwork, VoidLabel
from domain.requests import LabelOutcome, LabelRequest, NetworkOrder


class CarrierActivities:
    def __init__(self, carrier: CarrierPort) -> None:
        self._carrier = carrier

    @activity.defn
    async def buy_label(self, step: Step[BuyLabel]) -> LabelOutcome:
        effect = step.effect
        return await self._carrier.buy_label(
            LabelRequest(
                order_id=step.order_id,
                key=effect.key,
                fulfillment_id=effect.fulfillment_id or "",
                parcel_id=effect.parcel_id,
                method=effect.method,
                weight_grams=effect.weight_grams,
            )
        )

    @activity.defn
    async def void_label(self, step: Step[VoidLabel]) -> bool:
        effect = step.effect
        return await self._carrier.void_label(step.order_id, effect.key, effect.carrier, effect.tracking_number)


class NetworkActivities:
    def __init__(self, network: NetworkPort) -> None:
        self._network = network

    @activity.defn
    async def ask_network(self, order: NetworkOrder) -> str:
        return await self._network.create(order)

    @activity.defn
    async def cancel_network(self, step: Step[CancelNetwork]) -> bool:
        effect = step.effect
        return await self._network.cancel(step.order_id, effect.fulfillment_id or "", effect.key)
