"""The inventory check, and every later movement of stock."""

from temporalio import activity

from activities.ports import StockStore
from activities.steps import Step, writes_rows
from domain.effects import CancelBackorder, HandOver, RegisterBackorder, ReleaseStock, Reserve, Want
from domain.model import Frozen
from domain.requests import BackorderAllocation, Reservation


class Allocations(Frozen):
    allocations: tuple[BackorderAllocation, ...] = ()


class InventoryActivities:
    def __init__(self, stock: StockStore) -> None:
        self._stock = stock

    @activity.defn
    @writes_rows
    async def check_inventory(self, step: Step[Reserve]) -> Reservation:
        """Reserve all lines in one transaction; what is short is named, with substitutes."""
        return await self._stock.reserve(step.order_id, step.effect, step.progress)

    @activity.defn
    @writes_rows
    async def release_stock(self, step: Step[ReleaseStock]) -> None:
        effect = step.effect
        await self._stock.release(step.order_id, effect.key, effect.items, effect.missing, step.progress)

    @activity.defn
    @writes_rows
    async def register_backorder(self, step: Step[RegisterBackorder]) -> None:
        effect = step.effect
        want = Want(
            line_id=effect.line_id,
            seller=effect.seller,
            channel=effect.channel,
            sku=effect.sku,
            quantity=effect.quantity,
            barred=effect.barred,
        )
        await self._stock.register_backorder(step.order_id, effect.key, want, effect.placed_at, step.progress)

    @activity.defn
    @writes_rows
    async def cancel_backorder(self, step: Step[CancelBackorder]) -> Allocations:
        effect = step.effect
        made = await self._stock.cancel_backorder(step.order_id, effect.key, effect.backorder_key, step.progress)
        return Allocations(allocations=made)

    @activity.defn
    @writes_rows
    async def hand_to_carrier(self, step: Step[HandOver]) -> None:
        """The carrier handoff: reserved and on hand fall together."""
        await self._stock.hand_over(step.order_id, step.effect.key, step.effect.items, step.progress)
