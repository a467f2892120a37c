"""Plays a programme on running servers: places its orders, lets everybody act, waits for every order's end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from domain.catalog import StockRefused
from domain.results import OrderResult
from localstack.demo.story import Programme, Scene, Story
from localstack.demo.watching import Live
from localstack.errors import LocalStackError
from localstack.players import Desk, Sellers, buys_labels
from localstack.process import ManagedProcess
from store.database import Database
from store.inventory import Inventory
from store.views.order import OrderViews
from store.views.sellers import SellerViews
from usecases.errors import OrderClosed, OrderError, Unreachable
from usecases.orders import Orders

_BETWEEN_ORDERS_SECONDS = 0.3
_MAILS_SECONDS = 20


class Ending(NamedTuple):
    """What became of a story: its result, or why there is none; and which parts were not played to their end."""

    story: Story
    result: OrderResult | None
    troubles: tuple[str, ...] = ()


class Performance:
    def __init__(self, orders: Orders, database: Database, live: Live, worker: ManagedProcess) -> None:
        self._orders = orders
        self._views = OrderViews(database)
        self._queues = SellerViews(database)
        self._inventory = Inventory(database)
        self._live = live
        self._worker = worker

    async def play(self, programme: Programme) -> list[Ending]:
        refused = await self._inventory.load(programme.catalog)
        if isinstance(refused, StockRefused):
            raise LocalStackError(f"the catalog: {refused.reason}")
        ways = {story.order_id: story.seller for story in programme.stories}
        sellers = Sellers(
            self._orders,
            self._queues,
            [seller.seller for seller in programme.catalog.sellers],
            lambda order_id: ways.get(order_id, buys_labels),  # of the shop, where somebody orders meanwhile
            self._live.say,
        )
        deadline = asyncio.get_running_loop().time() + programme.seconds_max
        async with _beside(sellers.run(), self._live.run(), self._keep_worker()):
            endings = await asyncio.gather(
                *(
                    self._tell(story, deadline, after=number * _BETWEEN_ORDERS_SECONDS)
                    for number, story in enumerate(programme.stories)
                )
            )
            await self._until_mails_are_sent(programme.stories)
        await self._live.look()
        return endings

    async def _tell(self, story: Story, deadline: float, after: float) -> Ending:
        await asyncio.sleep(after)
        desk = Desk(self._orders, story.order_id, self._live.say)
        refusal = await self._place(story)
        if refusal is not None:
            desk.tell("marketplace", f"refused: {refusal}")
            return Ending(story, None, (f"refused: {refusal}",))
        parts = [asyncio.create_task(_act(part(Scene(desk, self._inventory)))) for part in story.others]
        result: OrderResult | None = None
        troubles: list[str] = []
        try:
            async with asyncio.timeout_at(deadline):
                result = await desk.result()
                # A part may be at its last word still: the order can end before its answer is back.
                _, unplayed = await asyncio.wait(parts, timeout=5) if parts else ((), ())
                troubles += ["somebody never came to act"] * bool(unplayed)
        except TimeoutError:
            troubles.append("took too long")
        except OrderError as error:
            troubles.append(f"failed: {error}")
        for part in parts:
            part.cancel()
        acted = await asyncio.gather(*parts, return_exceptions=True)
        troubles += [f"{type(e).__name__}: {e}" for e in acted if isinstance(e, Exception)]
        return Ending(story, result, tuple(troubles))

    async def _place(self, story: Story) -> OrderError | None:
        """Sent again until somebody answers: the same order twice is one order."""
        while True:
            try:
                await self._orders.place(story.body)
                return await self._orders.refusal(story.order_id)
            except Unreachable:
                await asyncio.sleep(0.5)
            except OrderError as error:
                return error

    async def _keep_worker(self) -> None:
        """A worker that somebody kills is started again, and open orders go on."""
        while True:
            await asyncio.sleep(0.3)
            if not self._worker.running:
                self._live.say("", "", f"The worker ended with {self._worker.exit_code} and is started again.")
                self._worker.start()

    async def _until_mails_are_sent(self, stories: Sequence[Story]) -> None:
        """Or for so long; the report names those that are missing then."""
        deadline = asyncio.get_running_loop().time() + _MAILS_SECONDS
        waiting = list(stories)
        while waiting and asyncio.get_running_loop().time() < deadline:
            mails = await self._views.mails(waiting[0].order_id)
            if all(mail.sent_at or mail.failed_at for mail in mails):
                waiting.pop(0)
            else:
                await asyncio.sleep(0.2)


async def _act(part: Coroutine[Any, Any, None]) -> None:
    # The answer was lost with a worker, and the order ended since: its end will show what was done.
    with suppress(OrderClosed):
        await part


@asynccontextmanager
async def _beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The works run while inside; a bug in one of them ends everything."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        yield
        for task in tasks:
            task.cancel()
