"""The short form of `make doors`: every door, with a few hostile values each."""

import os
from collections.abc import Mapping
from random import SystemRandom

from tests.doors.siege import Siege, besiege, besiege_sealed

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
    "all": 1_000,
}


_TRIED_MIN_SEALED = {
    "start without a key": 40,
    "signals without a key": 40,
    "updates without a key": 80,
    "queries without a key": 2,
    "codec server": 80,
}


async def test_nothing_is_let_in_and_nothing_breaks() -> None:
    _held(await besiege(_seed(), 1), _TRIED_MIN)


async def test_nothing_is_let_in_without_a_key_where_encryption_is_required() -> None:
    _held(await besiege_sealed(_seed(), 1), _TRIED_MIN_SEALED)


def _seed() -> int:
    """`OPENORDERS_DOORS_SEED` repeats a run; the seed stands in the report."""
    return int(os.environ.get("OPENORDERS_DOORS_SEED") or SystemRandom().randrange(10**6))


def _held(siege: Siege, tried_min: Mapping[str, int]) -> None:
    print(siege.text())
    assert siege.report.faults == []
    assert siege.broken == []
    tried = {door: count.total() for door, count in siege.report.counts.items()} | {"all": siege.report.tried}
    assert {door: tried.get(door, 0) for door, least in tried_min.items() if tried.get(door, 0) < least} == {}
