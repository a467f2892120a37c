"""Moving money: what is to be done is written down first, then asked of the provider by key."""

from temporalio import activity

from activities.few_at_once import FewAtOnce
from activities.ports import PaymentLedger, PaymentProvider
from activities.steps import Step
from domain.effects import Authorize, Capture, Refund, VoidRest
from domain.requests import MoveKind, PaymentMove, PaymentOutcome, ProviderOutcome


class PaymentActivities:
    """Each can run twice with the same result: the plan is kept by key, the provider asked by key."""

    def __init__(self, ledger: PaymentLedger, provider: PaymentProvider, local_max: int = 25) -> None:
        """`local_max`: so many local activities may wait for the provider at once, which all orders' steps share."""
        self._ledger = ledger
        self._provider = provider
        self._local = FewAtOnce(local_max)

    @activity.defn
    async def authorize_payment(self, step: Step[Authorize]) -> PaymentOutcome:
        if activity.info().is_local:
            with self._local:
                return await self._authorize(step)
        return await self._authorize(step)

    async def _authorize(self, step: Step[Authorize]) -> PaymentOutcome:
        effect = step.effect
        if effect.added:
            await self._ledger.add(step.order_id, effect.payment_ids, effect.added)
        return await self._move(step.order_id, effect.key, MoveKind.AUTHORIZE, None)

    @activity.defn
    async def capture_payment(self, step: Step[Capture]) -> PaymentOutcome:
        return await self._move(step.order_id, step.effect.key, MoveKind.CAPTURE, step.effect.amount)

    @activity.defn
    async def refund_payment(self, step: Step[Refund]) -> PaymentOutcome:
        return await self._move(step.order_id, step.effect.key, MoveKind.REFUND, step.effect.amount)

    @activity.defn
    async def void_payment(self, step: Step[VoidRest]) -> PaymentOutcome:
        return await self._move(step.order_id, step.effect.key, MoveKind.VOID, None)

    async def _move(self, order_id: str, key: str, kind: MoveKind, amount: int | None) -> PaymentOutcome:
        moves = await self._ledger.plan(order_id, key, kind, amount)
        done, declined = 0, []
        for move in moves:
            refused_because = move.refused_because
            if not move.settled:
                outcome = await self._ask(move)
                await self._ledger.settle(move, outcome)
                refused_because = outcome.refused_because
            if refused_because is None:
                done += move.amount
            else:
                declined.append((move.payment_id, refused_because))
        return PaymentOutcome(done=done, declined=tuple(declined))

    async def _ask(self, move: PaymentMove) -> ProviderOutcome:
        reference = move.reference or ""
        match move.kind:
            case MoveKind.AUTHORIZE:
                return await self._provider.authorize(move.key, move.token, move.amount, move.currency)
            case MoveKind.CAPTURE:
                return await self._provider.capture(move.key, reference, move.amount)
            case MoveKind.REFUND:
                return await self._provider.refund(move.key, reference, move.amount)
            case MoveKind.VOID:
                return await self._provider.void(move.key, reference, move.amount)
