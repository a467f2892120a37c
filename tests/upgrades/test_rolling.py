"""Orders in flight while workers of another build take over, step by step as docs/changing-workflows.md says."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.model import Frozen
from localstack.stack import Stack
from localstack.worker_process import CHECKOUT
from store.migrations import migrate
from tests.faults.shop import BesiegedShop, bugs, history, regular_activities
from tests.faults.stories import (
    LOST_PARCELS,
    STORIES,
    Story,
    Teller,
    Told,
    goodwill,
    label_bought,
    plain,
    told_of,
    wrongs,
)
from tests.shop import PATIENCE_SECONDS, line
from tests.upgrades.builds import Build, Change, copy_with
from tests.upgrades.guide import BLOCKS, changes, replayed, typed, used_by
from usecases.builds import Builds
from workflows.names import SEARCH_ATTRIBUTES

PATCH = "ask-for-pickup"
STEP = "ask_for_pickup"
HISTORIES = CHECKOUT / "tests" / "replay" / "histories"
RAMPED = 20
"""Orders of which half shall go to the ramping build: all or none of them would be one in half a million."""

BURST = 8
"""Orders that a worker has just begun when it is killed."""

_NONDETERMINISM = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
_PATCHED = f'if not workflow.patched("{PATCH}"):'


class Codes(NamedTuple):
    """`old` is the checkout's; the others are made from it by the changes that the document shows."""

    old: Path
    patched: Path
    forgotten: Path
    deprecated: Path
    removed: Path


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> Codes:
    folder = tmp_path_factory.mktemp("builds")
    patch = changes("patch")
    forgotten = [one._replace(after=one.after.replace(_PATCHED, "if False:")) for one in patch]
    assert forgotten != patch
    deprecated = _after(patch, changes("deprecate"))
    return Codes(
        old=CHECKOUT,
        patched=copy_with(patch, folder / "patched"),
        forgotten=copy_with(forgotten, folder / "forgotten"),
        deprecated=copy_with(deprecated, folder / "deprecated"),
        removed=copy_with(_after(deprecated, changes("remove")), folder / "removed"),
    )


def _after(done: list[Change], more: list[Change]) -> list[Change]:
    """Changes to what the earlier ones made."""
    for path, before, after in more:
        assert sum(before in one.after for one in done if one.path == path) == 1, before
        done = [one._replace(after=one.after.replace(before, after)) if one.path == path else one for one in done]
    return done


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[BesiegedShop]:
    """Servers on which no worker has ever run."""
    with Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        client = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)
        shop = BesiegedShop(stack, client)
        await migrate(stack.postgres.dsn)
        await shop.open()
        yield shop
        await shop.database.close()


@pytest.fixture(scope="module")
def running(shop: BesiegedShop, codes: Codes) -> Iterator[Callable[[str], Build]]:
    """Gives the running worker of a build, started if need be; none outlives the module."""
    code = {"v17": codes.old, "v18": codes.patched, "forgetful": codes.forgotten, "v19": codes.deprecated}
    builds = {name: Build(shop.stack, name, folder, **LOST_PARCELS) for name, folder in code.items()}

    def run(build_id: str) -> Build:
        build = builds[build_id]
        return build if build.process.running else build.start()

    yield run
    for build in builds.values():
        build.stop()


def test_every_block_of_the_document_is_used() -> None:
    assert set(BLOCKS) == used_by(Path(__file__))


# -- step 2: what a replay says before anything runs ------------------------------------------------


def test_the_change_replays_what_was_recorded_and_without_patched_it_does_not(codes: Codes, tmp_path: Path) -> None:
    for name in ("two_sellers", "supported"):
        [recording] = sorted(HISTORIES.glob(f"*-{name}.json"))[-1:]
        shutil.copy(recording, tmp_path)
    assert "2 of 2 histories replay" in replayed(codes.patched, tmp_path)
    refused = replayed(codes.forgotten, tmp_path)
    assert "0 of 2 histories replay" in refused
    assert "ondeterminism" in refused


# -- steps 3 and 4: from v17 to v18 ---------------------------------------------------------------


class Paused(Teller):
    """Waits before one of the moves of its story until the gate is open."""

    def __init__(self, shop: BesiegedShop, story: Story, before: int, gate: asyncio.Event) -> None:
        super().__init__(shop, story.__name__)
        self.story = story
        self.before = before
        self.ready = asyncio.Event()
        self._gate = gate
        self._moves = 0

    async def play(self) -> Told:
        expected = await self.story(self)
        self.ready.set()  # nobody has to do anything any more
        return await told_of(self, expected)

    async def send(self, name: str, by: str, **body: Any) -> Frozen:
        if self._moves == self.before:
            self.ready.set()
            await self._gate.wait()
        self._moves += 1
        return await super().send(name, by, **body)


async def test_open_orders_move_to_the_new_build(shop: BesiegedShop, running: Callable[[str], Build]) -> None:
    old = running("v17")
    gate = asyncio.Event()
    told = [Paused(shop, story, before, gate) for story in STORIES for before in (0, 1)]
    playing = [asyncio.create_task(one.play()) for one in told]
    await asyncio.gather(*(one.ready.wait() for one in told))

    running("v18")
    assert re.search(r"^v18 +10 %.*\nv17 +90 %", typed(shop.stack, "ramp"), flags=re.MULTILINE)
    await Builds(shop.client).ramp("v18", 50)
    ramped = [await placed(shop, "ramped") for _ in range(RAMPED)]
    assert {(await builds_of(shop, one.order_id))[-1] for one in ramped} == {"v17", "v18"}

    burst = [Teller(shop, "burst") for _ in range(BURST)]
    skus = await asyncio.gather(*(one.lists() for one in burst))
    await asyncio.gather(*(one.place(line(sku)) for one, sku in zip(burst, skus, strict=True)))
    old.kill()  # with whatever it has in hand
    typed(shop.stack, "current")
    gate.set()
    # A scan that was lent to the worker that was killed comes after those that are told meanwhile.
    ended = [one._replace(in_order=False) for one in await asyncio.gather(*playing)]
    for one in (*ramped, *burst):
        await one.send("cancel", "customer")
    assert {(await one.ended()).status for one in (*ramped, *burst)} == {"Canceled"}

    assert await wrongs(shop, ended) == []
    everyone = [*told, *ramped, *burst]
    assert [bug for one in everyone for bug in bugs(await history(shop, one.order_id))] == []
    moved = [one for one in everyone if {"v17", "v18"} == set(await builds_of(shop, one.order_id))]
    assert len(moved) >= len(STORIES)
    # Whoever packs under v18 asks for a pickup; whoever packed under v17 goes on in the old way.
    for one in told:
        if one.story in (plain, label_bought, goodwill):
            asked = regular_activities(await history(shop, one.order_id)).count(STEP)
            assert (one.order_id, asked) == (one.order_id, 1 - one.before)
    await shop.conserves()


async def test_a_history_that_was_fetched_by_the_temporal_program_replays(
    shop: BesiegedShop, codes: Codes, tmp_path: Path
) -> None:
    """As the document has it of orders that are open now."""
    order = await placed(shop, "fetched")
    await order.pack()
    words = ["workflow", "show", "--workflow-id", f"order:{order.order_id}", "--output", "json"]
    command = [str(shop.stack.temporal.binary), *words]
    fetched = await asyncio.to_thread(
        subprocess.check_output, command, env=shop.stack.environment, text=True, stderr=subprocess.DEVNULL
    )
    (tmp_path / "fetched.json").write_text(fetched)
    assert STEP in fetched
    assert "1 of 1 histories replay" in replayed(codes.patched, tmp_path)
    assert "1 of 1 histories replay" in replayed(codes.deprecated, tmp_path)
    # No order that asked `patched` may be open when the last trace of it is removed; nor may its marker meet v17.
    for code in (codes.removed, codes.old):
        assert "0 of 1 histories replay" in replayed(code, tmp_path)
    await finish(order)


# -- step 5: back to v17 ------------------------------------------------------------------------


async def test_rolled_back_orders_without_the_marker_go_on_and_those_with_it_wait_for_the_new_build(
    shop: BesiegedShop, running: Callable[[str], Build]
) -> None:
    running("v18")
    unmarked = [await placed(shop, "unmarked") for _ in range(2)]
    pinned = [await placed(shop, "pinned") for _ in range(2)]
    for one in pinned:
        await one.pack()
    await until_listed(shop, pinned)
    typed(shop.stack, "pin")
    for one in pinned:
        await until_pinned(shop, one)
    late = await placed(shop, "late")  # it gets its marker after the pins were set
    await late.pack()

    running("v17")
    typed(shop.stack, "back")
    for one in unmarked:
        await one.pack()
        await finish(one)
        events = await history(shop, one.order_id)
        assert (bugs(events), regular_activities(events).count(STEP)) == ([], 0)
        assert (await builds_of(shop, one.order_id))[-1] == "v17"
    await finish(pinned[0])
    assert set(await builds_of(shop, pinned[0].order_id)) == {"v18"}
    await shop.orders.signal(late.order_id, "ship", {"fulfillment_id": "acme-1", "carrier": "by bike"})
    await until_it_fails(shop, late.order_id)
    await until_listed(shop, [pinned[1], late])

    typed(shop.stack, "current")
    typed(shop.stack, "unpin")
    await finish_shipped(late)
    await finish(pinned[1])
    for one in (*pinned, late):
        events = await history(shop, one.order_id)
        assert (bool(bugs(events)), regular_activities(events).count(STEP)) == (one is late, 1)
    await shop.conserves()


async def test_a_change_without_patched_wedges_open_orders_and_going_back_heals_them(
    shop: BesiegedShop, running: Callable[[str], Build]
) -> None:
    """That the tests above can see what they say does not happen."""
    running("v17")
    typed(shop.stack, "back")
    orders = [await placed(shop, "forgotten") for _ in range(2)]
    for one in orders:
        # What comes after the packing is what does not fit; an order that had only packed would take the step late.
        await one.pack()
        await one.ship(carrier="by bike")
        await one.when(lambda view: view.status == "Shipped" and view.money.captured > 0)
    running("forgetful")
    await Builds(shop.client).make_current("forgetful")
    for one in orders:
        await shop.handle(one.order_id).signal("anything", {})
    for one in orders:
        await until_it_fails(shop, one.order_id)

    typed(shop.stack, "back")
    for one in orders:
        await finish_shipped(one)
        events = await history(shop, one.order_id)
        assert (len(bugs(events)) >= 1, regular_activities(events).count(STEP)) == (True, 0)
    await shop.conserves()


# -- step 6 -----------------------------------------------------------------------------------------


async def test_a_patch_is_deprecated_and_removed(
    shop: BesiegedShop, running: Callable[[str], Build], codes: Codes, tmp_path: Path
) -> None:
    running("v18")
    typed(shop.stack, "current")
    of_v18 = await placed(shop, "v18")
    await of_v18.pack()
    running("v19")
    await Builds(shop.client).make_current("v19")
    of_v19 = await placed(shop, "v19")
    await of_v19.pack()
    for one in (of_v18, of_v19):
        await finish(one)
        events = await history(shop, one.order_id)
        assert (bugs(events), regular_activities(events).count(STEP)) == ([], 1)
    path = tmp_path / "of_v19.json"
    path.write_text((await shop.handle(of_v19.order_id).fetch_history()).to_json())
    assert "1 of 1 histories replay" in replayed(codes.removed, tmp_path)


# -- helpers ------------------------------------------------------------------------------------


async def placed(shop: BesiegedShop, name: str) -> Teller:
    teller = Teller(shop, name)
    await teller.place(line(await teller.lists()))
    await teller.reserved()
    return teller


async def finish(teller: Teller) -> None:
    await teller.ship(carrier="by bike")
    await finish_shipped(teller)


async def finish_shipped(teller: Teller) -> None:
    await teller.when(lambda view: view.status == "Shipped")
    await teller.send("confirm_delivery", "customer")
    assert (await teller.ended()).status == "Delivered"


async def builds_of(shop: BesiegedShop, order_id: str) -> list[str]:
    """The builds that completed its workflow tasks, oldest first."""
    return [
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in await history(shop, order_id)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]


async def until_listed(shop: BesiegedShop, orders: Sequence[Teller]) -> None:
    """Until the query for orders that have the marker finds these and no others that are open."""
    wanted = {f"order:{one.order_id}" for one in orders}
    found: set[str] = set()
    for _ in range(PATIENCE_SECONDS):
        found = set(re.findall(r"order:\S+", typed(shop.stack, "marked")))
        if found == wanted:
            return
        await asyncio.sleep(1)
    raise AssertionError(f"{found} are listed, and not {wanted}")


async def until_pinned(shop: BesiegedShop, order: Teller) -> None:
    for _ in range(PATIENCE_SECONDS * 10):
        info = (await shop.handle(order.order_id).describe()).raw_description.workflow_execution_info
        if info.versioning_info.versioning_override.pinned.version.build_id == "v18":
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{order.order_id} was not pinned")


async def until_it_fails(shop: BesiegedShop, order_id: str) -> None:
    """Until a workflow task of the order has failed of code that does not fit its history."""
    for _ in range(PATIENCE_SECONDS * 10):
        if any(
            event.workflow_task_failed_event_attributes.cause == _NONDETERMINISM
            for event in await history(shop, order_id)
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        ):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{order_id} goes on under code that does not fit its history")
