"""The order's own rows: recorded when placed, saved as it goes, closed with its result."""

from collections.abc import Callable

from temporalio import activity

from activities.ports import OrderStore
from activities.steps import AcceptInput, CloseInput, DeliveryInput, Step, writes_rows
from domain.effects import RecordPacking, ResendMail, SaveAddress
from domain.placing import body_hash
from domain.progress import Progress
from domain.requests import RecordedOrder, RecordOrder


class OrderActivities:
    def __init__(self, store: OrderStore, page_of: Callable[[str], str] = lambda _: "") -> None:
        """`page_of` gives where support sees an order in the web."""
        self._store = store
        self._page_of = page_of

    @activity.defn
    async def record_order(self, step: AcceptInput) -> RecordedOrder:
        """Name, address and mail go to the store here; later payloads carry ids."""
        recorded = await self._store.record_order(
            RecordOrder(
                order=step.order,
                body_hash=body_hash(step.order),
                first_run_id=step.first_run_id,
                placed_at=step.placed_at,
            )
        )
        return recorded.model_copy(update={"page": self._page_of(step.order.order_id)})

    @activity.defn
    @writes_rows
    async def save_progress(self, progress: Progress) -> None:
        await self._store.save(progress)

    @activity.defn
    @writes_rows
    async def record_packing(self, step: Step[RecordPacking]) -> None:
        """Packing: its parcels and contents, checked before, become rows for seller and carrier."""
        await self._save(step.progress)

    @activity.defn
    @writes_rows
    async def confirm_delivery(self, step: DeliveryInput) -> None:
        """Delivery confirmation: proof and date become rows, the mail to the customer is due. The last one closes."""
        if step.progress is not None and step.result is not None:
            await self._store.close(step.progress, step.result.model_dump_json())
        else:
            await self._save(step.progress)

    @activity.defn
    @writes_rows
    async def change_address(self, step: Step[SaveAddress]) -> None:
        effect = step.effect
        await self._store.change_address(step.order_id, effect.key, effect.ship_to, effect.left, step.progress)

    @activity.defn
    @writes_rows
    async def resend_mail(self, step: Step[ResendMail]) -> bool:
        effect = step.effect
        return await self._store.resend_mail(step.order_id, effect.key, effect.mail_key, step.progress)

    @activity.defn
    @writes_rows
    async def close_order(self, step: CloseInput) -> None:
        await self._store.close(step.progress, step.result.model_dump_json())

    async def _save(self, progress: Progress | None) -> None:
        if progress is not None:
            await self._store.save(progress)
