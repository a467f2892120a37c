"""A whole fault run: the rounds first, then kills after single events for as long as there is time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.faults.events import AT_ONCE, kill_after_every_event
from tests.faults.plan import KINDS, make_plan
from tests.faults.report import Part, Report
from tests.faults.rounds import play
from tests.faults.siege import siege
from tests.faults.stories import STORIES

Say = Callable[[str], None]
_SAID_MAX = 10


async def run(
    seed: int,
    orders: int,
    *,
    kinds: Sequence[str] = KINDS,
    stories: Sequence[str] = (),
    per_second: float = 2.0,
    at_once: int = AT_ONCE,
    minutes: float | None = None,
    say: Say = print,
) -> Report:
    """`minutes`: nothing new is begun after it. Rounds that were left out are named as skipped."""
    plan = make_plan(seed, orders, kinds=kinds, per_second=per_second, stories=stories)
    until = None if minutes is None else time.monotonic() + 60 * minutes
    parts: list[Part] = []

    def add(part: Part, began: float) -> None:
        part = replace(part, seconds=time.monotonic() - began)
        parts.append(part)
        say(
            f"{part.kind}: {part.orders.total()} orders, {part.injected.total()} faults, {len(part.wrong)} violations,"
            f" {part.seconds:.0f} s"
        )
        for one in part.wrong[:_SAID_MAX]:
            say(f"  {one}")

    async with siege(say) as shop:
        for round_ in plan.rounds:
            began = time.monotonic()
            if until is not None and began > until:
                add(Part(round_.kind, skipped="the time was over"), began)
            else:
                add(await play(shop, seed, round_), began)
        if plan.events:
            began = time.monotonic()
            chosen = tuple(story for story in STORIES if not stories or story.__name__ in stories)
            add(await kill_after_every_event(shop, seed, chosen, plan.events, at_once=at_once, until=until), began)
    return Report(seed, tuple(parts))
