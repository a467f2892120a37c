"""The short form of `make doors`: every door, with a few hostile values each."""

import os
from random import SystemRandom

from tests.doors.siege import besiege


async def test_nothing_is_let_in_and_nothing_breaks() -> None:
    """`OPENORDERS_DOORS_SEED` repeats a run; the seed stands in the report."""
    seed = int(os.environ.get("OPENORDERS_DOORS_SEED") or SystemRandom().randrange(10**6))
    siege = await besiege(seed, 1)
    assert siege.report.faults == [], siege.text()
    assert siege.broken == [], siege.text()
    assert siege.report.counts.keys() >= {"signals", "updates", "start", "POST /v1 bodies", "files", "names"}, (
        siege.text()
    )
