"""Recorded orders played at their recorded times: each on a fast clock of its own, all of them side by side.

The order with the longest story is placed first and the others evenly behind it, early enough that the whole takes as
long as the longest: a burst of new orders would be a burst of handoffs some seconds later. What is due goes before
further orders: `at_once` messages are under way at a time, and a quarter of that many orders are being placed. Safe to
run again: what has been played is not played twice, and what was due while nobody played is made up for at once.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.model import Frozen
from usecases.errors import OrderClosed, OrderError, Refused
from usecases.olist import Event, OlistOrder, Recorded
from usecases.orders import Orders
from usecases.replay_moves import Moves, answered, is_too_late

AT_ONCE = 20
FACTOR = 8_640.0
"""A day in ten seconds."""

PAID_AT_ONCE = timedelta(hours=1)
"""Approved within this time of the purchase: authorized with it. The rest, such as boletos, is paid later."""

NOT_PAID_YET = "tok_decline_not_approved_yet"
"""The sandbox declines it, with its last words as the reason."""

_MARGIN_SECONDS = 0.002
"""A message that comes before its time by the server's clock would change the moment it tells of."""

_STARTED_WITHIN = 0.75
"""The part of the whole time over which orders are placed evenly."""

_LATE_SECONDS = 1.0
"""A message without an answer for this long holds up the placing of orders."""


class Lag(Frozen):
    """A moment of an order that came late: real seconds, and hours on the order's own clock."""

    order_id: str
    what: str
    seconds: float
    business_hours: float


class Turndown(Frozen):
    """A move that the order would not make."""

    order_id: str
    what: str
    reason: str


@dataclass
class Progress:
    """How far the replay has come; `lag` is between a message's time and its answer."""

    orders: int
    moves: int
    started: int = 0
    made: int = 0
    lag: Lag | None = None
    refused: list[Turndown] = field(default_factory=list)

    def note(self, lag: Lag) -> None:
        if self.lag is None or lag.seconds > self.lag.seconds:
            self.lag = lag


async def play(
    orders: Orders,
    played: Sequence[OlistOrder],
    *,
    in_flight: Collection[str] = (),
    at_once: int = AT_ONCE,
    told: Callable[[Progress], object] = lambda _: None,
) -> Progress:
    """Until the last recorded moment of all of them; `told` hears of every step. Those that an earlier run left
    `in_flight`, by their ids, are gone on with first.

    Raises `OrderConflict` where an order was placed with another body, such as at another speed, and `Unreachable`
    where a server was away for ten minutes.
    """
    playing = _Playing(orders, played, at_once, told)
    try:
        async with asyncio.TaskGroup() as group:
            for order in played:
                if order.order_id in in_flight:
                    group.create_task(playing.play(await playing.room_for(order)))
            began = time.monotonic()
            for seconds, order in planned([order for order in played if order.order_id not in in_flight]):
                await asyncio.sleep(began + seconds - time.monotonic())
                group.create_task(playing.play(await playing.room_for(order)))
    except ExceptionGroup as group_of:
        raise _first(group_of) from None
    return playing.progress


def is_paid_later(recorded: Recorded) -> bool:
    return recorded.paid_at is not None and recorded.paid_at - recorded.purchased_at > PAID_AT_ONCE


def start_body(order: OlistOrder) -> dict[str, Any]:
    """The order's body, with payments that are declined until they are approved where that was later."""
    assert order.body is not None
    assert order.recorded is not None
    if not is_paid_later(order.recorded):
        return order.body
    return {**order.body, "payments": [{**payment, "token": NOT_PAID_YET} for payment in order.body["payments"]]}


def moves_of(order: OlistOrder) -> tuple[Event, ...]:
    """What is to be sent: an approval with the purchase sends nothing."""
    assert order.recorded is not None
    later = is_paid_later(order.recorded)
    return tuple(event for event in order.events if event.what != "approved" or later)


def planned(orders: Sequence[OlistOrder]) -> list[tuple[float, OlistOrder]]:
    """When to place each, in real seconds from now: the last of them all ends with the longest."""
    by_length = sorted(orders, key=_seconds, reverse=True)
    longest = max(map(_seconds, orders), default=0.0)
    step = longest * _STARTED_WITHIN / max(1, len(orders))
    return [(min(number * step, longest - _seconds(order)), order) for number, order in enumerate(by_length)]


def _seconds(order: OlistOrder) -> float:
    """How long it takes to play."""
    assert order.body is not None
    assert order.recorded is not None
    last = max((event.at for event in order.events), default=order.recorded.purchased_at)
    return float((last - order.recorded.purchased_at).total_seconds() / order.body["clock"]["factor"])


class _Playing:
    def __init__(
        self, orders: Orders, played: Iterable[OlistOrder], at_once: int, told: Callable[[Progress], object]
    ) -> None:
        played = list(played)
        self._room = asyncio.Semaphore(max(1, at_once // 4))
        self._hands = asyncio.Semaphore(at_once)
        self._due_since: dict[str, float] = {}
        self._late_at_most = max(1, at_once // 4)
        self._orders = orders
        self._moves = Moves(orders)
        self._told = told
        self.progress = Progress(orders=len(played), moves=sum(len(moves_of(order)) for order in played))

    async def room_for(self, order: OlistOrder) -> OlistOrder:
        """What is due goes first: a machine that is late already gets no new orders, but for one every five seconds."""
        await self._room.acquire()
        for _ in range(5):
            late = sum(time.monotonic() - since > _LATE_SECONDS for since in self._due_since.values())
            if late < self._late_at_most:
                break
            await asyncio.sleep(1)
        return order

    async def play(self, order: OlistOrder) -> None:
        """Place it, free the room for the next one, and make each move when its time has come."""
        try:
            clock = await self._start(order)
        finally:
            self._room.release()
        self.progress.started += 1
        self._told(self.progress)
        for event in moves_of(order):
            if clock is not None:
                await clock.until(event.at)
                self._due_since[order.order_id] = time.monotonic()
                async with self._hands:
                    await self._make(order, event)
                del self._due_since[order.order_id]
                self.progress.note(clock.lag(order.order_id, event))
            self.progress.made += 1
            self._told(self.progress)

    async def _start(self, order: OlistOrder) -> "_Clock | None":
        """The order's clock; None where it has ended already, or was refused."""
        body = start_body(order)
        placed = await answered(lambda: self._orders.place(body))
        if placed.outcome == "finished_same":
            return None
        try:
            await self._moves.checked(order.order_id)
        except OrderError as error:
            self._note(order, "placed", error)
            return None
        started_at = await answered(lambda: self._orders.started_at(order.order_id))
        assert order.recorded is not None
        return _Clock(order.recorded.purchased_at, started_at, body["clock"]["factor"])

    async def _make(self, order: OlistOrder, event: Event) -> None:
        try:
            await self._moves.make(order, event)
        except OrderClosed:
            pass  # by an earlier run, or by a first try whose answer was lost: the comparison says how it ended
        except Refused as error:
            if not (event.what == "canceled" and is_too_late(error)):
                self._note(order, event.what, error)

    def _note(self, order: OlistOrder, what: str, error: OrderError) -> None:
        self.progress.refused.append(Turndown(order_id=order.order_id, what=what, reason=error.reason))


class _Clock:
    """An order's business time, from the server's time at its start. Our clock must be the server's, to a second."""

    def __init__(self, origin: datetime, started_at: datetime, factor: float) -> None:
        self._origin = origin
        self._started_at = started_at.timestamp()
        self._factor = factor

    def _seconds_after(self, moment: datetime) -> float:
        due = self._started_at + (moment - self._origin).total_seconds() / self._factor
        return time.time() - due

    async def until(self, moment: datetime) -> None:
        await asyncio.sleep(max(0.0, -self._seconds_after(moment)) + _MARGIN_SECONDS)

    def lag(self, order_id: str, event: Event) -> Lag:
        seconds = self._seconds_after(event.at)
        return Lag(
            order_id=order_id,
            what=event.what,
            seconds=round(seconds, 3),
            business_hours=round(seconds * self._factor / 3600, 2),
        )


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
