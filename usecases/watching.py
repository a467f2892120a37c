"""Following orders: one look at PostgreSQL for all who wait, however many they are."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from domain.requests import Unavailable

FOLLOWERS_MAX = 400
"""In one process: each holds a connection open. More processes take more."""

FOLLOWERS_OF_ONE_MAX = 50
LIFE_SECONDS = 600.0
"""Whoever follows for longer comes again, and is looked at again: a key may have been revoked meanwhile."""

LOOK_SECONDS = 0.5
"""Whoever follows an order hears of a change this late at most."""

logger = logging.getLogger(__name__)

Positions = Callable[[Sequence[str]], Awaitable[dict[str, int]]]
"""The number of the newest entry in the timeline of each of these orders."""


class Watch:
    """Shared by all followers in a process. It looks only while somebody follows something."""

    def __init__(
        self, positions: Positions, look_seconds: float = LOOK_SECONDS, life_seconds: float = LIFE_SECONDS
    ) -> None:
        self._positions = positions
        self._look_seconds = look_seconds
        self._life_seconds = life_seconds
        self._followers: dict[str, set[asyncio.Event]] = {}
        self._seen: dict[str, int] = {}
        self._looking: asyncio.Task[None] | None = None

    def has_room(self, order_id: str) -> bool:
        """Whether one more may follow the order."""
        everybody = sum(len(followers) for followers in self._followers.values())
        return everybody < FOLLOWERS_MAX and len(self._followers.get(order_id, ())) < FOLLOWERS_OF_ONE_MAX

    async def changes(self, order_id: str) -> AsyncGenerator[None, None]:
        """Once at the start, and then whenever the order's timeline has grown; until whoever follows goes away, or has
        followed for long.
        """
        news = asyncio.Event()
        news.set()
        self._followers.setdefault(order_id, set()).add(news)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_on(), name="watch")
        end = asyncio.get_running_loop().time() + self._life_seconds
        try:
            while True:
                try:
                    async with asyncio.timeout_at(end):
                        await news.wait()
                except TimeoutError:
                    return
                news.clear()
                yield
        finally:
            self._leave(order_id, news)

    def _leave(self, order_id: str, news: asyncio.Event) -> None:
        self._followers[order_id].discard(news)
        if not self._followers[order_id]:
            del self._followers[order_id]
            self._seen.pop(order_id, None)
        if not self._followers and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                positions = await self._positions([*self._followers])
            except Unavailable:
                continue  # nothing changes that could be shown
            except Exception:
                logger.exception("orders could not be looked at")  # a bug must not silence whoever follows now
                continue
            for order_id, position in positions.items():
                # At the first look too: it may have grown since whoever follows has read it.
                if order_id in self._followers and self._seen.get(order_id) != position:
                    self._seen[order_id] = position
                    for news in self._followers[order_id]:
                        news.set()

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
