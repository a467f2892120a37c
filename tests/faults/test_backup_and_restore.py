"""Both databases copied while orders are open, and put back into new servers: at one moment, and at two."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from localstack.backup import back_up, back_up_postgres, back_up_temporal, restore
from localstack.errors import LocalStackError
from localstack.stack import Stack
from localstack.worker_process import CHECKOUT, wait_until_ready
from store.identities import violations
from tests.faults.shop import BesiegedShop, besieged_shop
from tests.shop import Body, line
from usecases.errors import OrderNotFound


@asynccontextmanager
async def restored(folder: Path, state: Path) -> AsyncIterator[BesiegedShop]:
    """New servers with what was copied, and a worker."""
    restore(folder, state)
    stack = Stack(state, durable=False)
    try:
        with stack:
            client = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)
            # As the documents advise after a restore: nothing is mended before somebody has looked.
            shop = BesiegedShop(stack, client, {"OPENORDERS_RECONCILE_MINUTES": "0"})
            shop.worker.start()
            wait_until_ready(shop.worker)
            yield shop
            await shop.database.close()
    finally:
        stack.remove()


class Copies:
    """`together` as `make backup` takes them; `apart` with Temporal's before, and PostgreSQL's after, something
    happened; `behind` the other way round."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unpacked = ""
        self.shipped = ""
        self.late: Body = {}


@pytest.fixture(scope="module")
async def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    copies = Copies(tmp_path_factory.mktemp("copies"))
    together, apart, behind = (copies.folder / name for name in ("together", "apart", "behind"))
    async with besieged_shop() as shop:
        sku = await shop.lists(20)
        copies.unpacked = await shop.placed(line(sku, 2))
        copies.shipped = await shop.placed(line(sku, 1))
        await shop.packs(copies.shipped)
        await shop.ships(copies.shipped)
        state = shop.stack.state_dir
        back_up(state, together)
        with pytest.raises(LocalStackError, match="holds something already"):
            back_up(state, together)
        apart.mkdir()
        behind.mkdir()
        back_up_temporal(state, apart)
        back_up_postgres(shop.stack.postgres, behind)
        await shop.packs(copies.unpacked)
        copies.late = shop.body(line(sku, 3))
        late_id = await shop.place(copies.late)
        await shop.until(late_id, lambda status: bool(status.fulfillments))
        await asyncio.sleep(1)  # until its mails and rows are there
        back_up_postgres(shop.stack.postgres, apart)
        back_up_temporal(state, behind)
    return copies


async def _starter(shop: BesiegedShop, *arguments: str, refused: bool = False) -> str:
    """What it prints. It exits with 1 where something is left to a person."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "starter.py", *arguments),
        cwd=CHECKOUT,
        env=shop.stack.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed = (await process.communicate())[0].decode()
    assert process.returncode == (1 if refused else 0), printed
    return printed


async def _finish(shop: BesiegedShop, order_id: str) -> None:
    await shop.ships(order_id)
    await shop.delivers(order_id)
    assert (await shop.ended(order_id)).status == "Delivered"


@pytest.mark.slow
async def test_orders_that_were_open_go_on_in_new_servers(copies: Copies, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    async with restored(copies.folder / "together", tmp_path / "state") as shop:
        assert await violations(shop.database, at_rest=False) == []
        await shop.packs(copies.unpacked)
        await _finish(shop, copies.unpacked)
        await shop.delivers(copies.shipped)
        assert (await shop.ended(copies.shipped)).status == "Delivered"
        await shop.conserves()


@pytest.mark.slow
async def test_rows_that_are_ahead_are_taken_up_by_orders_that_live(copies: Copies, tmp_path: Path) -> None:
    """Temporal's copy is the older one: a pack is forgotten by its order and stands in the rows. An order that was
    placed after that copy has rows and no life; placed again, it ends at once with what it had come to. `starter.py
    reconcile` ends it."""
    os.chmod(tmp_path, 0o755)
    async with restored(copies.folder / "apart", tmp_path / "state") as shop:
        await shop.packs(copies.unpacked)
        await _finish(shop, copies.unpacked)
        await shop.delivers(copies.shipped)
        await shop.ended(copies.shipped)
        await shop.conserves()
        late_id = str(copies.late["order_id"])
        with pytest.raises(OrderNotFound):
            await shop.orders.query(late_id, "status")
        await shop.place(copies.late)
        assert (await shop.orders.result(late_id)).status == "Unshipped"
        detail = await shop.views.order(late_id)
        assert detail is not None
        assert not detail.order.closed

        assert f"taken_up {late_id}" in await _starter(shop, "reconcile", "--grace", "0", "--dry-run")
        assert f"taken_up {late_id}" in await _starter(shop, "reconcile", "--grace", "0")
        assert (await shop.ended(late_id)).status == "Canceled"
        await shop.conserves()
        assert "taken_up" not in (await _starter(shop, "reconcile", "--grace", "0")).splitlines()[-1]


@pytest.mark.slow
async def test_rows_that_are_behind_are_found_and_stay_wrong(copies: Copies, tmp_path: Path) -> None:
    """Why Temporal's is copied first. The order lives to its end, by rows that never come right; one whose rows are not
    there at all is stuck, and loses nothing."""
    os.chmod(tmp_path, 0o755)
    async with restored(copies.folder / "behind", tmp_path / "state") as shop:
        late_id = str(copies.late["order_id"])
        await shop.packs(late_id)
        await _finish(shop, copies.unpacked)
        found = await violations(shop.database, copies.unpacked, at_rest=False)
        assert any("ordered 2, placed 4" in one for one in found), found
        await shop.until(late_id, lambda status: status.status == "Unshipped")
        assert await shop.views.order(late_id) is None
        assert f"without_rows {late_id}" in await _starter(shop, "reconcile", "--grace", "0", "--dry-run", refused=True)
