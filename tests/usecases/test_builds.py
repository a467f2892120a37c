"""The loop beside a worker that makes a first build current; the commands are in tests/upgrades."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import cast

import pytest

from usecases.builds import Builds, Routing, follow


class _Stumbling:
    """Builds of a new installation, the first look at which meets a bug."""

    def __init__(self) -> None:
        self.looks = 0
        self.current: str | None = None

    async def routing(self) -> Routing:
        self.looks += 1
        if self.looks == 1:
            raise KeyError("a field that this server does not send")
        builds = {"build-1": datetime.now(UTC)}
        return Routing(self.current, None, 0.0, self.current is not None, builds, b"")

    async def polling(self) -> dict[str | None, datetime]:
        return {"build-1": datetime.now(UTC)}

    async def make_current(self, build_id: str | None, *, conflict_token: bytes = b"", force: bool = False) -> None:
        self.current = build_id


async def test_a_bug_is_logged_and_the_first_build_becomes_current_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    builds = _Stumbling()

    async def until_the_third_look(seconds: float) -> None:
        if builds.looks >= 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await follow(cast(Builds, builds), "build-1", until_the_third_look)
    assert builds.current == "build-1"
    [error] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert error.getMessage() == "the builds could not be looked at"
    assert error.exc_info is not None
