"""The loop in every worker that keeps the counts of insights up to date while orders change."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from domain.requests import Unavailable

LOOK_SECONDS = 2.0
"""Counts are behind by about this at most, where there is no more to do than can be done."""

BUSY_SHARE = 0.25
"""With much to do, counting rests three times as long as it works: the database is there for orders first."""

AWAY_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Round(Protocol):
    @property
    def more(self) -> bool: ...


class Refreshing(Protocol):
    """Satisfied by the store; several may refresh at once."""

    async def refresh(self) -> Round | None:
        """A part of what is to be done; None where somebody else is doing it."""
        ...


class InsightsRefresher:
    """Run one in each worker; one at a time works."""

    def __init__(self, counts: Refreshing, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._counts = counts
        self._sleep = sleep
        self.last_turn = 0.0
        """By the monotonic clock."""

    async def run(self) -> None:
        """Until cancelled. What was cut off is rolled back and done again by whoever comes next."""
        clock = asyncio.get_running_loop().time
        while True:
            self.last_turn = time.monotonic()
            began = clock()
            try:
                done = await self._counts.refresh()
                took = clock() - began
                rest = took * (1 - BUSY_SHARE) / BUSY_SHARE
                pause = rest if done is not None and done.more else max(LOOK_SECONDS, rest)
            except Unavailable as error:
                logger.warning("insights wait for the database: %s", error)
                pause = AWAY_SECONDS
            except Exception:
                # A bug must not end the loop: the changes stay, and the next version of us counts them.
                logger.exception("insights could not be counted")
                pause = 10 * AWAY_SECONDS
            await self._sleep(pause)


async def bring_up_to_date(counts: Refreshing) -> None:
    """Now, all of it, together with whoever is at it already. Raises `Unavailable`."""
    while (done := await counts.refresh()) is None or done.more:
        if done is None:
            await asyncio.sleep(0.1)
