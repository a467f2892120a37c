"""What the simulated carrier and network share: a clock, a queue for what is to come, and how fates are picked."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Generic, Protocol, TypeVar

from domain.model import Frozen
from domain.requests import QueuedMessage

S = TypeVar("S", bound=str)


class MessageQueue(Protocol):
    """Signals to orders, sent when due; `activities.ports` describes the calls."""

    async def schedule(self, messages: tuple[QueuedMessage, ...]) -> None: ...

    async def withdraw(self, order_id: str, key_prefix: str) -> int: ...


class Scenarios(Frozen, Generic[S]):
    """Who meets which fate: the same id has the same one on every machine and in every run.

    `shares` are parts of 1 and fall by a hash of seed and id; who is left over gets the default.

    `overrides` maps patterns (`*`, `?`) to scenarios and comes first: `{"*-lost:*": "lost"}` loses every parcel of
    the orders whose id ends in `-lost`, `{"1042:acme-1-1": "delayed"}` delays one.
    """

    default: S
    shares: Mapping[S, float] = {}
    overrides: Mapping[str, S] = {}
    seed: str = ""

    def of(self, name: str) -> S:
        for pattern, scenario in self.overrides.items():
            if fnmatchcase(name, pattern):
                return scenario
        place = share(self.seed, name)
        for scenario, part in self.shares.items():
            if place < part:
                return scenario
            place -= part
        return self.default


def share(*words: str) -> float:
    """A number from 0 up to 1 that follows from the words alone; `hash()` differs from process to process."""
    digest = hashlib.sha256("\x00".join(words).encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def utc_now() -> datetime:
    return datetime.now(UTC)
