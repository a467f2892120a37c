"""Both databases copied while orders are open, and put back into new servers: at one moment, and at two."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.placing import PlaceOrder
from domain.sealing import ERASED
from localstack.backup import (
    KEYS_FILE,
    POSTGRES_FILE,
    back_up,
    back_up_keys,
    back_up_postgres,
    back_up_temporal,
    restore,
    restore_postgres,
)
from localstack.errors import LocalStackError
from localstack.postgres import Postgres
from localstack.stack import Stack
from localstack.worker_process import CHECKOUT, wait_until_ready
from store.contacts import Contacts
from store.database import Database
from store.erasure import Erasures
from store.identities import violations
from store.migrations import migrate
from store.views.support import SupportViews
from tests.faults.shop import BesiegedShop, all_mails_are_sent, besieged_shop
from tests.shop import Body, line
from tests.store.shop import Shop as Rows
from tests.store.shop import progress_of
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
    async with besieged_shop({"OPENORDERS_RECONCILE_MINUTES": "0"}) as shop:
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
        await all_mails_are_sent(shop)
        await shop.conserves()
        back_up_postgres(shop.stack.postgres, apart)
        for folder in (apart, behind):
            back_up_keys(shop.stack.postgres, folder / KEYS_FILE)
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

        for order_id in (copies.unpacked, copies.shipped, late_id):
            await shop.listed_as_ended(order_id)
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


# -- whoever was erased since ------------------------------------------------------------------


async def test_who_was_erased_since_cannot_be_read_in_older_data_and_the_accounts_can(tmp_path: Path) -> None:
    """The keys are copied apart, and the newest copy of them goes with data of any age. Rows alone, by the store."""
    os.chmod(tmp_path, 0o755)
    data, keys, newest = tmp_path / POSTGRES_FILE, tmp_path / "old.keys", tmp_path / "newest.keys"
    with rows_of_a_shop(tmp_path / "first") as postgres:
        await migrate(postgres.dsn)
        async with shop_on(postgres) as shop:
            gone, stays = shop.order(1), shop.order(1)
            stays = stays.model_copy(update={"customer": stays.customer.model_copy(update={"id": "c2"})})
            was_open = shop.order(1)
            for order in (gone, stays, was_open):
                assert (await shop.place(order)).verdict == "new"
            for order in (gone, stays):
                await _end(shop, order)
            back_up_postgres(postgres, tmp_path)
            back_up_keys(postgres, keys)
            accounts = await _accounts(shop.database)
            await _end(shop, was_open)
            later = await _accounts(shop.database)
            for order in (gone, was_open):
                assert (await Erasures(shop.database).erase(order.order_id, "support")).outcome == "erased"
            back_up_keys(postgres, newest)
            assert await _accounts(shop.database) == later
    for name, secret in (("older keys", keys), ("newest keys", newest)):
        with rows_of_a_shop(tmp_path / name.replace(" ", "-")) as postgres:
            restore_postgres(postgres, data, secret)
            async with shop_on(postgres) as shop:
                assert await _accounts(shop.database) == accounts
                contacts = Contacts(shop.database)
                person, other = await contacts.customer(gone.order_id), await contacts.customer(stays.order_id)
                assert person is not None
                assert other is not None
                assert (other.name, other.email) == ("Ada", "ada@example.com")
                found = {one.order_id for one in await SupportViews(shop.database).search("ada@example.com")}
                if secret is keys:  # why only the newest may be kept
                    assert person.name == "Ada"
                    assert found == {gone.order_id, stays.order_id, was_open.order_id}
                    continue
                assert (person.name, person.email, person.address.line1) == (ERASED, "", ERASED)
                assert found == {stays.order_id}
                assert await contacts.is_erased(gone.order_id)
                erasures = Erasures(shop.database)
                assert {*await erasures.of_destroyed_keys()} == {gone.order_id, was_open.order_id}
                assert (await erasures.erase(gone.order_id, "support")).outcome == "erased"
                # It is open again, and nobody erases it when it ends: that has to be given again then.
                assert (await erasures.erase(was_open.order_id, "support")).outcome == "open"
                await _end(shop, was_open)
                assert await erasures.of_destroyed_keys() == (was_open.order_id,)
                assert (await erasures.erase(was_open.order_id, "support")).outcome == "erased"
                assert await erasures.of_destroyed_keys() == ()


async def _end(shop: Rows, order: PlaceOrder) -> None:
    ended = progress_of(order, 1, order={"status": "Delivered", "closed": True})
    await shop.orders.close(ended, '{"status": "Delivered"}')


async def _accounts(database: Database) -> list[tuple[object, ...]]:
    async with database.statement() as connection:
        kept = text("""
            SELECT order_id, customer_id, items, shipping, tax, discount, orders.total, country, placed_at, status,
                lines.*
            FROM orders JOIN LATERAL (
                SELECT sku, quantity, unit_price, order_lines.total FROM order_lines
                WHERE order_lines.order_id = orders.order_id
            ) AS lines ON true ORDER BY order_id
        """)
        return [tuple(row) for row in await connection.execute(kept)]


@contextmanager
def rows_of_a_shop(state: Path) -> Iterator[Postgres]:
    postgres = Postgres(state, durable=False)
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.remove()


@asynccontextmanager
async def shop_on(postgres: Postgres) -> AsyncIterator[Rows]:
    database = Database(postgres.dsn, pool_size=2)
    shop = Rows(database, near=5)
    try:
        if not await shop.inventory.levels(sku="mug"):
            await shop.open()
        yield shop
    finally:
        await database.close()
