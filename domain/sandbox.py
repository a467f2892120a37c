"""What the simulated outside parties write down: the words that their adapters and their tables share."""

from datetime import datetime

from domain.model import Frozen
from domain.requests import MoveKind, ProviderOutcome


class SandboxCall(Frozen):
    """One request to the payment sandbox, whole: the same key must always come with an equal one."""

    key: str
    kind: MoveKind
    amount: int
    token: str = ""
    currency: str = ""
    reference: str = ""
    """The authorization that it is about; empty for a new one."""


class SandboxRecord(Frozen):
    """What the sandbox knows of a key: the first call with it, how often it came, and its final answer."""

    first: SandboxCall
    attempts: int = 1
    outcome: ProviderOutcome | None = None


class SandboxAuthorization(Frozen):
    """An authorization and what became of it, in minor units."""

    reference: str
    token: str
    currency: str
    authorized: int
    captured: int = 0
    refunded: int = 0
    voided: int = 0

    @property
    def open(self) -> int:
        """What can still be captured or voided."""
        return self.authorized - self.captured - self.voided


class SandboxStep(Frozen):
    """What one call changes: the authorization as it is from now on, and the final answer; None: none yet."""

    authorization: SandboxAuthorization | None = None
    outcome: ProviderOutcome | None = None


class SandboxMovement(Frozen):
    """A line of the payment sandbox's statement, for operators and tests; refused ones have a reason."""

    seq: int
    at: datetime
    key: str
    kind: MoveKind
    reference: str
    amount: int
    currency: str
    refused_because: str | None = None


class SandboxTotals(Frozen):
    """All authorizations of one currency together, in minor units."""

    currency: str
    authorized: int
    captured: int
    refunded: int
    voided: int


class SandboxNetworkOrder(Frozen):
    """A fulfillment order as the simulated network received it: all that its plan is computed from."""

    order_id: str
    fulfillment_id: str
    body: str
    """Canonical JSON of what was asked for."""

    received_at: datetime
    """Server time; business time at that moment is `asked_at`."""

    asked_at: datetime
    cancelled: bool = False
