"""Outside parties that refuse, hang, or do the thing and then fail; messages that come twice, late or out of order.

What goes wrong are the calls of a worker's real adapters, wrapped in its own process: `install` before `worker.build`.
Which call meets what follows from the seed and the call alone. Each injection is a line in a file, which a killed
worker leaves behind.
"""

import asyncio
import inspect
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from temporalio import activity

import worker
from adapters.simulation import share
from domain.mails import MailUnavailable
from domain.requests import Unavailable
from usecases.outbox import OrderSignals

HANG_SECONDS = 11.0
"""Longer than a step at an outside party may take: it is tried again while the first try goes on, and is done late."""

_TRIES = 2
"""So many tries of one call may go wrong; then it is answered."""

_REFUSES, _HANGS, _DONE_THEN_FAILS = "refuses", "hangs", "does it, then fails"
_TWICE, _OTHER_ID, _LATER, _OVERTAKEN = "twice", "twice, with another id", "again later", "overtaken"
MESSAGE_FAULTS = (_TWICE, _OTHER_ID, _LATER, _OVERTAKEN)


class Trouble(NamedTuple):
    """`parties` and `messages` are the parts of 1 that go wrong of calls, and of messages to orders."""

    seed: int
    file: str
    parties: float = 0.0
    messages: float = 0.0

    def meets(self, part: float, *call: object) -> float | None:
        """Where in the part the call falls, from 0 up to 1; None outside of it."""
        place = share(str(self.seed), *map(str, call))
        return place / part if place < part else None

    def note(self, fault: str) -> None:
        """One write, so that lines of several workers never mix and a kill loses none."""
        file = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, f"{fault}\n".encode())
        finally:
            os.close(file)


def noted(file: Path) -> Counter[str]:
    """How often each fault was injected."""
    return Counter(file.read_text().splitlines()) if file.exists() else Counter()


def install(trouble: Trouble) -> None:
    """Of this process alone: what `worker.build` makes from now on is wrapped."""
    if trouble.parties:
        tries: Counter[str] = Counter()
        _wrap("PaymentSandbox", lambda real: Troubled(real, "payments", trouble, Unavailable, tries))
        _wrap("SimulatedNetwork", lambda real: Troubled(real, "network", trouble, Unavailable, tries))
        _wrap("SimulatedCarrier", lambda real: Troubled(real, "carrier", trouble, Unavailable, tries))
        _wrap("SmtpMailer", lambda real: Troubled(real, "mail", trouble, MailUnavailable, tries))
    if trouble.messages:
        _wrap("OrderSignals", lambda real: UnreliableMessages(real, trouble))


def _wrap(name: str, wrapped: Callable[[Any], Any]) -> None:
    real = getattr(worker, name)
    setattr(worker, name, lambda *args, **kwargs: wrapped(real(*args, **kwargs)))


class Troubled:
    """A real adapter some of whose calls go wrong. All that is no coroutine of it is left as it is."""

    def __init__(
        self, real: Any, party: str, trouble: Trouble, error: Callable[[str], Exception], tries: Counter[str]
    ) -> None:
        """`tries` is one for all adapters of the process: a worker sends mail by several."""
        self._real = real
        self._party = party
        self._trouble = trouble
        self._error = error
        self._tries = tries

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name in ("close", "movements") or not inspect.iscoroutinefunction(real):
            return real

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._call(real, name, _key(args), lambda: real(*args, **kwargs))

        return call

    async def _call(self, real: Any, name: str, key: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        one = f"{self._party} {name} {key}"
        self._tries[one] += 1
        number = activity.info().attempt if activity.in_activity() else self._tries[one]
        place = self._trouble.meets(self._trouble.parties, one, number)
        if number > _TRIES or place is None:
            return await ask()
        kind = (_REFUSES, _HANGS, _DONE_THEN_FAILS)[int(place * 3)]
        self._trouble.note(f"{self._party} {kind}")
        if kind == _REFUSES:
            raise self._error("refused by the fault harness: nothing was done")
        if kind == _HANGS:
            await asyncio.sleep(HANG_SECONDS)
            return await ask()
        await ask()
        raise self._error("failed by the fault harness: all was done")


def _key(args: tuple[Any, ...]) -> str:
    """What a call is about: its idempotency key, or the order."""
    return str(getattr(args[0], "key", args[0])) if args else ""


class UnreliableMessages:
    """Satisfies `usecases.outbox.Signals`: every message arrives, some of them more than once or after later ones."""

    def __init__(self, real: OrderSignals, trouble: Trouble) -> None:
        self._real = real
        self._trouble = trouble
        self._overtaken: set[str] = set()
        self._copies: set[asyncio.Task[str]] = set()

    async def signal(self, order_id: str, name: str, body: dict[str, Any]) -> str:
        event = str(body.get("event_id") or body.get("key") or body)
        place = self._trouble.meets(self._trouble.messages, order_id, name, event)
        if place is None:
            return await self._real.signal(order_id, name, body)
        kind = MESSAGE_FAULTS[int(place * len(MESSAGE_FAULTS))]
        if kind == _OTHER_ID and "event_id" not in body:
            kind = _TWICE
        if kind == _OVERTAKEN:
            if f"{order_id} {event}" not in self._overtaken:
                # The outbox comes back to it after a second or more, and goes on with later ones meanwhile.
                self._overtaken.add(f"{order_id} {event}")
                self._trouble.note(f"message {kind}")
                raise Unavailable("held up by the fault harness")
            return await self._real.signal(order_id, name, body)
        note = await self._real.signal(order_id, name, body)
        self._trouble.note(f"message {kind}")
        if kind == _LATER:
            copy = asyncio.create_task(self._later(order_id, name, body, 1 + 3 * share(event, order_id)))
            self._copies.add(copy)
            copy.add_done_callback(self._copies.discard)
        else:
            again = body | {"event_id": f"{body['event_id']}-again"} if kind == _OTHER_ID else body
            await self._real.signal(order_id, name, again)
        return note

    async def _later(self, order_id: str, name: str, body: dict[str, Any], seconds: float) -> str:
        await asyncio.sleep(seconds)
        return await self._real.signal(order_id, name, body)
