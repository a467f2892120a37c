"""A round: many orders of all stories side by side over workers that race for them, while things break."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from tests.faults.checks import Waiting, leave_open, mails_written, outcome, say_where
from tests.faults.forked import ForkedWorker
from tests.faults.plan import WORKERS, PlannedFault, PlannedOrder, Round
from tests.faults.report import Part
from tests.faults.siege import Siege
from tests.faults.stories import STORIES, Teller, Told, told_of
from tests.faults.stutter import Stutterer
from tests.faults.trouble import Trouble, noted

END_SECONDS = 180
"""After the last order has come and the last thing is mended, no order may take longer."""

_STORIES = {story.__name__: story for story in STORIES}


async def play(shop: Siege, seed: int, round_: Round) -> Part:
    if shop.no_disk is not None and any(fault.kind == "disk full" for fault in round_.faults):
        round_ = round_._replace(faults=tuple(fault for fault in round_.faults if fault.kind != "disk full"))
        if round_.kind == "disk":
            return Part("disk", skipped=shop.no_disk)
    shop.stack.mails.mailbox.clear()
    before = await mails_written(shop)
    file = shop.stack.state_dir / f"trouble-{round_.kind}"
    trouble = Trouble(seed, str(file), round_.parties, round_.messages)
    workers = [shop.worker(trouble=trouble) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    shop.injected.clear()
    try:
        telling = {order.order_id: asyncio.create_task(_arrive(shop, order)) for order in round_.orders}
        await _strike_all(shop, round_.faults, workers)
        done, late = await asyncio.wait(telling.values(), timeout=END_SECONDS + _last_arrival(round_))
        stuck = [await say_where(shop, order_id) for order_id, task in telling.items() if task in late]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        failed = [f"{one.exception()!r}" for one in done if one.exception() is not None]
        results = [one.result() for one in done if one.exception() is None]
        # A scan that is lent to a worker that dies, or fails once, comes after those that are told meanwhile.
        told = [one._replace(in_order=False) for one in results if isinstance(one, Told)]
        waiting = [one for one in results if isinstance(one, Waiting)]
        found = await outcome(shop, told, waiting, [*stuck, *failed], mails_before=before)
    finally:
        for worker in workers:
            worker.kill()
    return Part(
        round_.kind,
        orders=Counter(order.story for order in round_.orders),
        faults=+(shop.injected + noted(file)),
        outcome=found,
    )


def _last_arrival(round_: Round) -> float:
    return max((order.arrives for order in round_.orders), default=0.0)


async def _arrive(shop: Siege, order: PlannedOrder) -> Told | Waiting:
    await asyncio.sleep(order.arrives)
    if order.left_open:
        return await leave_open(Teller(shop, order.story, order_id=order.order_id))
    teller = (Stutterer if order.stutters else Teller)(shop, order.story, order_id=order.order_id)
    return await told_of(teller, await _STORIES[order.story](teller))


async def _strike_all(shop: Siege, faults: Sequence[PlannedFault], workers: list[ForkedWorker]) -> None:
    """Side by side where they break different things; one after another where it is the same."""
    began = asyncio.get_running_loop().time()

    async def strike_in_turn(target: Sequence[PlannedFault]) -> None:
        for fault in target:
            await asyncio.sleep(max(0.0, began + fault.at - asyncio.get_running_loop().time()))
            await shop.strike(fault, workers)

    targets: dict[str, list[PlannedFault]] = {}
    for fault in faults:
        targets.setdefault(_target(fault), []).append(fault)
    await asyncio.gather(*map(strike_in_turn, targets.values()))


def _target(fault: PlannedFault) -> str:
    first = fault.kind.split()[0]
    if first == "disk":
        return "PostgreSQL"
    return f"worker {fault.worker}" if first == "worker" else first
