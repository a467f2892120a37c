"""A payment provider that moves no money but remembers everything, in PostgreSQL, as a real one would."""

from collections.abc import Callable
from typing import Protocol

from adapters.payments.rules import decide
from adapters.payments.tokens import Card, card_of
from domain.requests import MoveKind, ProviderOutcome, Unavailable
from domain.sandbox import SandboxAuthorization, SandboxCall, SandboxMovement, SandboxRecord, SandboxStep

KEY_REUSED = "idempotency key reused with another body"

Rule = Callable[[SandboxRecord, SandboxAuthorization | None], SandboxStep]


class PaymentBook(Protocol):
    """The sandbox's memory; `store.sandbox` keeps it in two tables."""

    async def perform(self, call: SandboxCall, rule: Rule) -> SandboxRecord:
        """Write the call down, ask the rule unless the key has its answer, and keep what it says: one transaction.

        Calls with one key, and calls about one authorization, wait for each other.
        """
        ...

    async def movements(self, key_prefix: str = "") -> tuple[SandboxMovement, ...]: ...


class PaymentSandbox:
    """Satisfies `PaymentProvider`. Tokens decide how it behaves: see `adapters.payments.tokens`.

    With `several_captures=False` every card behaves like `tok_single_capture`.
    """

    def __init__(self, book: PaymentBook, *, several_captures: bool = True) -> None:
        self.several_captures = several_captures
        self._book = book

    async def authorize(self, key: str, token: str, amount: int, currency: str) -> ProviderOutcome:
        call = SandboxCall(key=key, kind=MoveKind.AUTHORIZE, amount=amount, token=token, currency=currency)
        return await self._perform(call)

    async def capture(self, key: str, reference: str, amount: int) -> ProviderOutcome:
        return await self._perform(SandboxCall(key=key, kind=MoveKind.CAPTURE, amount=amount, reference=reference))

    async def refund(self, key: str, reference: str, amount: int) -> ProviderOutcome:
        return await self._perform(SandboxCall(key=key, kind=MoveKind.REFUND, amount=amount, reference=reference))

    async def void(self, key: str, reference: str, amount: int) -> ProviderOutcome:
        return await self._perform(SandboxCall(key=key, kind=MoveKind.VOID, amount=amount, reference=reference))

    async def movements(self, key_prefix: str = "") -> tuple[SandboxMovement, ...]:
        """The statement, oldest first: what was done and what was refused; keys begin with the order id."""
        return await self._book.movements(key_prefix)

    async def _perform(self, call: SandboxCall) -> ProviderOutcome:
        card = Card.VISA

        def rule(record: SandboxRecord, authorization: SandboxAuthorization | None) -> SandboxStep:
            nonlocal card
            card = card_of(authorization.token if authorization else call.token)
            if record.first != call or (card is Card.UNAVAILABLE_ONCE and record.attempts == 1):
                return SandboxStep()
            return decide(call, authorization, self.several_captures)

        record = await self._book.perform(call, rule)
        if record.first != call:
            return ProviderOutcome(refused_because=KEY_REUSED)
        if record.outcome is None:
            raise Unavailable("the payment sandbox refuses the first try: nothing was done")
        if card is Card.TIMEOUT_AFTER_SUCCESS and record.attempts == 1:
            # Only after the commit: what is to be seen is an answer that was lost, not work that was lost.
            raise Unavailable("the payment sandbox timed out after it had done what was asked")
        return record.outcome
