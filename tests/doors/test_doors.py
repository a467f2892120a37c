"""The short form of `make doors`: every door, with a few hostile values each."""

import os
from random import SystemRandom

from tests.doors.siege import besiege

_TRIED_MIN = {
    "keys and sessions": 300,
    "forms": 20,
    "POST /v1 bodies": 30,
    "start": 40,
    "signals": 20,
    "updates": 50,
    "queries": 1,
    "files": 10,
    "names": 1,
}


async def test_nothing_is_let_in_and_nothing_breaks() -> None:
    """`OPENORDERS_DOORS_SEED` repeats a run; the seed stands in the report."""
    seed = int(os.environ.get("OPENORDERS_DOORS_SEED") or SystemRandom().randrange(10**6))
    siege = await besiege(seed, 1)
    print(siege.text())
    assert siege.report.faults == []
    assert siege.broken == []
    tried = {door: count.total() for door, count in siege.report.counts.items()}
    too_few = {door: tried.get(door, 0) for door, least in _TRIED_MIN.items() if tried.get(door, 0) < least}
    assert too_few == {}
    assert siege.report.tried >= 1_000
