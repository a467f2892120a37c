"""One statement for many callers: whatever is asked while one is under way goes together into the next."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

GROUP_MAX = 500


class Grouped(Generic[_Key, _Value]):
    """Alone a caller waits no longer than for its own statement; among many, for the one before it as well.

    An error of the statement is raised to all whom it was for. A caller who is cancelled takes nothing from others.
    """

    def __init__(self, answer_all: Callable[[tuple[_Key, ...]], Awaitable[Mapping[_Key, _Value]]]) -> None:
        self._answer_all = answer_all
        self._asked: dict[_Key, asyncio.Future[_Value | None]] = {}
        self._answering: asyncio.Task[None] | None = None

    async def ask(self, key: _Key) -> _Value | None:
        """None where there is no answer for this key."""
        future = self._asked.get(key)
        if future is None:
            future = self._asked[key] = asyncio.get_running_loop().create_future()
        if self._answering is None:
            self._answering = asyncio.create_task(self._answer())
        return await asyncio.shield(future)

    async def _answer(self) -> None:
        try:
            await asyncio.sleep(0)  # those who ask at this very moment too
            while self._asked:
                await self._answer_group()
        finally:
            self._answering = None

    async def _answer_group(self) -> None:
        group = {key: self._asked.pop(key) for key in list(self._asked)[:GROUP_MAX]}
        try:
            answers = await self._answer_all(tuple(group))
        except BaseException as error:
            for future in group.values():
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # nobody may be waiting any more
            if not isinstance(error, Exception):
                raise
            return
        for key, future in group.items():
            if not future.done():
                future.set_result(answers.get(key))
