"""The short form of `make faults`: everything breaks at once, and a worker dies at single points of stories."""

import os
import random

import pytest

from tests.faults.plan import KINDS, make_plan
from tests.faults.run import run

ORDERS = 32
STORIES = ("plain", "two_sellers", "by_the_network", "backordered", "cancelled_when_packed", "declined_then_paid")


def test_the_same_seed_plans_the_same_and_another_seed_something_else() -> None:
    plan = make_plan(7, 1000)
    assert plan == make_plan(7, 1000)
    assert plan.rounds != make_plan(8, 1000).rounds
    assert {one.kind for one in plan.rounds} == set(KINDS) - {"events"}
    assert 990 <= plan.orders <= 1000
    kinds = {fault.kind for one in plan.rounds for fault in one.faults}
    assert kinds == {
        "worker killed",
        "worker frozen",
        "Temporal killed",
        "PostgreSQL killed",
        "PostgreSQL stopped",
        "disk full",
        "mail refuses",
        "mail hangs",
        "mail drops",
        "mail stopped",
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_short_fault_run_finds_nothing_wrong() -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed {seed}: FAULTS_SEED={seed} plans the same again")
    report = await run(seed, ORDERS, kinds=("events", "mixed"), stories=STORIES, at_once=8)
    print(report.as_text())
    assert report.wrong == []
    assert [part.skipped for part in report.parts if part.kind == "events"] == [""]
    assert sum(part.outcome.ended for part in report.parts) >= ORDERS // 2
    assert report.faults.total() >= ORDERS // 2
