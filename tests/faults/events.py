"""The worker killed with -9 after every single event of each story in turn, and after every step before its report."""

import asyncio
import random
import time
from collections import Counter
from typing import NamedTuple

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from tests.faults.checks import mails_written, outcome, say_where
from tests.faults.dying import Death
from tests.faults.report import Part
from tests.faults.shop import history
from tests.faults.siege import Siege
from tests.faults.stories import Story, Teller, Told, told_of
from workflows.names import workflow_id

AT_ONCE = 20
ORDER_SECONDS = 240
_LOOK_SECONDS = 0.05
_ONE_TRANSACTION_SECONDS = 0.005
_DEATHS_MIN = 0.8
"""Of those tried. Not all die: an order that went a little otherwise may have no such event."""
_JUDGED_FROM = 50

# Each has few connections of its own: many run at once.
_FEW = {
    "OPENORDERS_DATABASE_POOL_SIZE": "2",
    "OPENORDERS_DATABASE_POOL_OVERFLOW": "2",
    "OPENORDERS_CACHED_ORDERS_MAX": "10",
}


class Point(NamedTuple):
    """Where a worker dies in a story: after an event of the history, or after so many activities."""

    story: Story
    event: int | None = None
    activity: int | None = None

    def __str__(self) -> str:
        where = f"event-{self.event}" if self.event is not None else f"activity-{self.activity}"
        return f"{where}-{self.story.__name__}"


class _End(NamedTuple):
    story: str
    told: Told | None
    stuck: str = ""
    died_after: str = ""
    exact: bool = False


async def kill_after_every_event(
    shop: Siege,
    seed: int,
    stories: "tuple[Story, ...]",
    orders: int,
    *,
    at_once: int = AT_ONCE,
    until: float | None = None,
) -> Part:
    """Each point once, or what `orders` allow, chosen by the seed; none is begun after `until` (monotonic seconds).

    What was left out is said. Fewer deaths than four in five are a violation: the harness aimed badly.
    """
    shop.stack.mails.mailbox.clear()
    before = await mails_written(shop)
    # The outbox is another worker's: scans and mails go on, and only what the story is made of is interrupted.
    outbox = shop.worker()
    outbox.start()
    try:
        undisturbed = await asyncio.gather(*(_tell(shop, seed, Point(story)) for story in stories))
        ends = list(undisturbed)
        points = [
            point for end, story in zip(undisturbed, stories, strict=True) for point in await _points(story, end, shop)
        ]
        known = len(points)
        random.Random(f"{seed} events").shuffle(points)
        allowed = max(0, orders - len(ends))
        chosen = iter(points[:allowed])
        skipped = 0

        async def work() -> None:
            nonlocal skipped
            for point in chosen:
                if until is not None and time.monotonic() > until:
                    skipped += 1
                else:
                    ends.append(await _tell(shop, seed, point))

        await asyncio.gather(*(work() for _ in range(at_once)))
        told = [end.told for end in ends if end.told is not None]
        found = await outcome(shop, told, [], [end.stuck for end in ends if end.stuck], mails_before=before)
    finally:
        outbox.kill()
    died = [end for end in ends if end.died_after]
    tried = len(ends) - len(stories)
    notes = [
        f"{known} points in {len(stories)} stories; {len(died)} of {tried} workers died at theirs,"
        f" {sum(end.exact for end in died)} with exactly that much done",
        "died after: "
        + ", ".join(f"{count} {what}" for what, count in Counter(end.died_after for end in died).most_common()),
    ]
    if known > allowed:
        notes.append(f"{known - allowed} points were left out, as more orders would have been needed")
    if skipped:
        notes.append(f"{skipped} points were left out, as the time was over")
    if tried >= _JUDGED_FROM and len(died) < _DEATHS_MIN * tried:
        found = found._replace(violations=(*found.violations, f"only {len(died)} of {tried} workers died at theirs"))
    return Part(
        "events",
        orders=Counter(end.story for end in ends),
        faults=+Counter({"worker killed after an event or step": len(died)}),
        outcome=found,
        notes=tuple(notes),
    )


async def _points(story: Story, end: _End, shop: Siege) -> list[Point]:
    """Every event of the story as it went undisturbed, and every activity of it."""
    if end.told is None:
        return []
    events = await history(shop, end.told.teller.order_id)
    activities = sum(_is_activity(event) for event in events)
    return [Point(story, event=event.event_id) for event in events[:-1]] + [
        Point(story, activity=number + 1) for number in range(activities)
    ]


def _is_activity(event: HistoryEvent) -> bool:
    if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
        return event.marker_recorded_event_attributes.marker_name == "core_local_activity"
    return event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED


async def _tell(shop: Siege, seed: int, point: Point) -> _End:
    """One story on a queue of its own, with one worker at a time: the second comes when the first has died."""
    order_id = f"{seed}-{point}"
    shop = shop.on_queue(f"faults-{order_id}")
    death = None
    if point.event is not None or point.activity is not None:
        death = Death(workflow_id(order_id), point.event, point.activity)
    worker = shop.worker(shop.task_queue, full=False, death=death, settings=_FEW)
    worker.start()
    died_after, exact = "", False
    telling = asyncio.create_task(_told(Teller(shop, point.story.__name__, order_id=order_id), point.story))
    try:
        async with asyncio.timeout(ORDER_SECONDS):
            while not telling.done():
                if death is not None and not worker.running:
                    assert worker.exit_code == -9, worker.log_tail()
                    died_after, exact = await _where_it_died(shop, order_id, point)
                    death = None
                    worker = shop.worker(shop.task_queue, full=False, settings=_FEW)
                    worker.start()
                await asyncio.sleep(_LOOK_SECONDS)
            return _End(point.story.__name__, await telling, "", died_after, exact)
    except TimeoutError:
        stuck = await say_where(shop, order_id)
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        return _End(point.story.__name__, None, stuck, died_after, exact)
    finally:
        await asyncio.to_thread(worker.kill)


async def _told(teller: Teller, story: Story) -> Told:
    return await told_of(teller, await story(teller))


async def _where_it_died(shop: Siege, order_id: str, point: Point) -> tuple[str, bool]:
    """The last event there was; and whether it was the one meant, or written together with it."""
    events = await history(shop, order_id)
    if point.event is None:
        return "a step that was done and not reported", True
    if len(events) < point.event:
        # The engine keeps the task of an update in memory until it is completed.
        return "workflow task of an update, not written yet", True
    meant, later = events[point.event - 1], list(events[point.event :])
    if later and later[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
        later.pop()  # a task that was scheduled with it had been handed over, and nothing done
    exact = all(_seconds(event) - _seconds(meant) < _ONE_TRANSACTION_SECONDS for event in later)
    return EventType.Name(events[-1].event_type).removeprefix("EVENT_TYPE_").replace("_", " ").lower(), exact


def _seconds(event: HistoryEvent) -> float:
    return event.event_time.seconds + event.event_time.nanos / 1e9
