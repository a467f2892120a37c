"""One statement for many callers, and what happens to each when it fails or leaves."""

import asyncio

import pytest

from store.grouping import Grouped


class Statements:
    """Answers each key with its double once `gate` is open; keeps what was asked together."""

    def __init__(self) -> None:
        self.groups: list[tuple[int, ...]] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.trouble: Exception | None = None

    async def answer(self, keys: tuple[int, ...]) -> dict[int, int]:
        self.groups.append(keys)
        self.asked.set()
        await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        return {key: 2 * key for key in keys if key >= 0}


async def test_all_who_ask_at_once_share_a_statement() -> None:
    statements = Statements()
    grouped = Grouped(statements.answer)
    assert await asyncio.gather(*(grouped.ask(key) for key in (1, 2, 2, -1))) == [2, 4, 4, None]
    assert statements.groups == [(1, 2, -1)]


async def test_whoever_asks_meanwhile_shares_the_next() -> None:
    statements = Statements()
    grouped = Grouped(statements.answer)
    statements.gate.clear()
    first = asyncio.create_task(grouped.ask(1))
    await statements.asked.wait()
    later = [asyncio.create_task(grouped.ask(key)) for key in (1, 2, 3)]
    await asyncio.sleep(0)
    statements.gate.set()
    assert await asyncio.gather(first, *later) == [2, 2, 4, 6]
    assert statements.groups == [(1,), (1, 2, 3)]


async def test_trouble_is_told_to_all_whom_it_was_for_and_the_next_go_on() -> None:
    statements = Statements()
    grouped = Grouped(statements.answer)
    statements.trouble = RuntimeError("away")
    troubles = await asyncio.gather(grouped.ask(1), grouped.ask(2), return_exceptions=True)
    assert [str(trouble) for trouble in troubles] == ["away", "away"]
    statements.trouble = None
    assert await grouped.ask(1) == 2


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    statements = Statements()
    grouped = Grouped(statements.answer)
    statements.gate.clear()
    leaves, stays = (asyncio.create_task(grouped.ask(key)) for key in (1, 2))
    await statements.asked.wait()
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    statements.gate.set()
    assert await stays == 4
