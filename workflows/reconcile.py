"""Reconciliation: what PostgreSQL and Temporal disagree on is found and mended, by a schedule or by hand."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.payments import PaymentActivities
    from activities.reconciling import ReconcileActivities
    from activities.steps import Step
    from domain.effects import VoidRest
    from domain.reconciling import ASKED_AGAIN_MAX, NAMED_MAX, VOIDS_FAILED_MAX, Found, ReconcileInput, ReconcileReport
    from workflows.arguments import UnreadablePayload
    from workflows.options import RECONCILE, RECONCILE_LOOK, RECONCILE_PAYMENT
    from workflows.steps import outside_step

_Activities = TypeVar("_Activities")
_Input = TypeVar("_Input")
_Output = TypeVar("_Output")


@workflow.defn
class ReconcileWorkflow:
    """Returns a `ReconcileReport`. Every step looks for itself before it changes anything, so that a run may come at
    any moment, twice, beside live traffic, and end in the middle: the next one finds what is left."""

    @workflow.init
    def __init__(self, look: ReconcileInput) -> None:
        self._look = look
        self._counts: dict[str, int] = {}
        self._orders: list[str] = []
        self._ask_again: tuple[str, ...] = ()

    @workflow.run
    async def run(self, look: ReconcileInput) -> ReconcileReport:
        if look.since is None:
            before = _run_before()
            if before is not None and before.looked_until is not None:
                from_there = {"since": before.looked_until, "since_order_id": before.looked_until_order_id}
                look = look.model_copy(update={**from_there, "ask_again": before.ask_again})
        found = await outside_step(ReconcileActivities.find_lost_orders, look, RECONCILE_LOOK)
        await self._mend_orders(found, look)
        await self._mend_stock(look)
        await self._mend_money(look)
        report = ReconcileReport(
            dry_run=look.dry_run,
            looked_at=found.looked_at,
            compared=found.compared,
            not_compared=found.not_compared,
            unanswered=found.unanswered_count,
            without_rows=found.without_rows_count,
            ended=found.ended_count,
            looked_until=found.looked_until,
            looked_until_order_id=found.looked_until_order_id,
            ask_again=self._ask_again,
            orders=tuple(self._orders),
            **self._counts,
        )
        workflow.logger.info("reconciled", extra=report.model_dump(mode="json"))
        return report

    async def _mend_orders(self, found: Found, look: ReconcileInput) -> None:
        for order in found.dead:
            if await self._try(ReconcileActivities.take_up_lost_order, order, order.order_id, look):
                self._count("taken_up")
                self._name("taken_up", [order.order_id])
        self._count("held_back", found.held_back_count)
        self._name("held_back", found.held_back)
        not_written: list[str] = []
        for half in found.half_written:
            written = await self._try(ReconcileActivities.write_rows_anew, half, half.order_id, look)
            if written:
                self._count("rewritten")
                self._name("rewritten", [half.order_id])
            elif written is None:
                not_written.append(half.order_id)
        # Those that were asked again already come last, so that they are the ones that are let go.
        self._ask_again = (*not_written, *found.unanswered)[:ASKED_AGAIN_MAX]
        self._count("let_go", len(not_written) + found.unanswered_count - len(self._ask_again))
        self._name("without_rows", found.without_rows)
        self._name("ended", found.ended)

    async def _mend_stock(self, look: ReconcileInput) -> None:
        stock = await outside_step(ReconcileActivities.release_dead_stock, look, RECONCILE_LOOK)
        self._count("units_released", stock.units)
        self._count("backorders_cancelled", stock.backorders)
        self._count("levels_mended", stock.levels_count)
        self._count("not_mended", stock.not_mended_count)
        self._name("stock_released", stock.orders)
        self._name("level_mended", stock.levels)
        self._name("level_not_mended", stock.not_mended)

    async def _mend_money(self, look: ReconcileInput) -> None:
        found = await outside_step(ReconcileActivities.find_held_money, look, RECONCILE_LOOK)
        left, failed = found.count, 0
        for money in found.held:
            if failed == VOIDS_FAILED_MAX:
                break  # the provider does not answer: the run must come to its end, and be remembered
            left -= 1
            done = money.amount
            if not look.dry_run:
                void = Step[VoidRest](order_id=money.order_id, effect=VoidRest(key=money.key))
                try:
                    outcome = await outside_step(PaymentActivities.void_payment, void, RECONCILE_PAYMENT)
                    done = outcome.done
                    if done:
                        noted = money.model_copy(update={"amount": done})
                        await outside_step(ReconcileActivities.note_voided_money, noted, RECONCILE)
                except ActivityError:
                    self._give_up(money.order_id)
                    failed += 1
                    continue
            self._count("voided", done)
            self._name("voided", [money.order_id])
        self._count("not_voided", left)

    async def _try(
        self,
        step: Callable[[_Activities, _Input], Awaitable[_Output]],
        arg: _Input,
        order_id: str,
        look: ReconcileInput,
    ) -> bool | None:
        """One order that cannot be mended must not keep the others from it: None for such a one."""
        if look.dry_run:
            return True
        try:
            return bool(await outside_step(step, arg, RECONCILE, order_id))
        except ActivityError:
            self._give_up(order_id)
            return None

    def _give_up(self, order_id: str) -> None:
        workflow.logger.warning("not reconciled", extra={"order_id": order_id})
        self._count("failed")
        self._name("failed", [order_id])

    def _count(self, what: str, number: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + number

    def _name(self, what: str, names: "list[str] | tuple[str, ...]") -> None:
        known = sum(entry.startswith(f"{what} ") for entry in self._orders)
        self._orders += [f"{what} {name}" for name in names[: max(0, NAMED_MAX - known)]]


def _run_before() -> ReconcileReport | None:
    try:
        return workflow.get_last_completion_result(ReconcileReport)
    except UnreadablePayload:
        # Its key is gone. To wait for it would be for ever: the schedule gives this result until a later run has one.
        return None
