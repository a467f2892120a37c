"""A column gets another name while workers of both builds run orders: expanded, switched, contracted, one at a time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from localstack.stack import Stack
from localstack.worker_process import CHECKOUT
from store.migrations import head
from tests.faults.shop import BesiegedShop, all_mails_are_sent
from tests.faults.stories import Teller
from tests.shop import line
from tests.upgrades.builds import Build, Change, copy_with
from workflows.names import SEARCH_ATTRIBUTES

HEAD = head()
EXPANDED, SWITCHED, CONTRACTED = "9001", "9002", "9003"

_MIGRATION = '''"""{what}."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None
{marks}

def upgrade() -> None:
    {upgrade}
'''
_VALUES = "attempts=outbox.c.attempts + 1)"
_RETURNED = "outbox.c.body, outbox.c.attempts),"
_COLUMN = '    Column("attempts", Integer, nullable=False, server_default="0"),\n'
_NEW_COLUMN = _COLUMN.replace("attempts", "tries")

# The new column beside the old one; both are written, and either may have been written by somebody else.
EXPAND = [
    Change("store/tables/outbox.py", _COLUMN, _COLUMN + _NEW_COLUMN),
    Change("store/outbox.py", _VALUES, "attempts=_TRIED, tries=_TRIED)"),
    Change(
        "store/outbox.py",
        "def _claim() -> Any:",
        "_TRIED = func.greatest(outbox.c.attempts, outbox.c.tries) + 1\n\n\ndef _claim() -> Any:",
    ),
    Change(
        f"store/migrations/versions/{EXPANDED}_expand.py",
        "",
        _MIGRATION.format(
            what="Expand",
            revision=EXPANDED,
            before=HEAD,
            marks="",
            upgrade="""op.add_column("outbox", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    with op.get_context().autocommit_block():
        op.create_index("ix_outbox_tries", "outbox", ["tries"], postgresql_concurrently=True)""",
        ),
    ),
]
# Nothing reads or writes the old one any more. The migration is also what the database knows this code by.
SWITCH = [
    Change("store/tables/outbox.py", _COLUMN, _NEW_COLUMN),
    Change("store/outbox.py", _VALUES, "tries=outbox.c.tries + 1)"),
    Change("store/outbox.py", _RETURNED, "outbox.c.body, outbox.c.tries),"),
    Change("store/outbox.py", "attempts=row.attempts", "attempts=row.tries"),
    Change("store/views/order.py", "outbox.c.attempts", 'outbox.c.tries.label("attempts")'),
    EXPAND[-1],
    Change(
        f"store/migrations/versions/{SWITCHED}_switch.py",
        "",
        _MIGRATION.format(
            what="Switch",
            revision=SWITCHED,
            before=EXPANDED,
            marks="",
            upgrade='op.execute("UPDATE outbox SET tries = attempts WHERE tries < attempts")',
        ),
    ),
]
CONTRACT = [
    *SWITCH,
    Change(
        f"store/migrations/versions/{CONTRACTED}_contract.py",
        "",
        _MIGRATION.format(
            what="Contract",
            revision=CONTRACTED,
            before=SWITCHED,
            marks=f'contract = True\nunread_since = "9.1.0"\noldest_code = "{SWITCHED}"\n',
            upgrade='op.drop_column("outbox", "attempts")',
        ),
    ),
]


@pytest.fixture
async def shop() -> AsyncIterator[BesiegedShop]:
    with Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        client = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)
        shop = BesiegedShop(stack, client)
        yield shop
        await shop.database.close()


async def test_two_builds_live_with_every_schema_on_the_way(shop: BesiegedShop, tmp_path: Path) -> None:
    """Without build ids, so that both workers of a pair get steps of the same orders, and both send mails."""
    stack = shop.stack
    old = Build(stack, None, CHECKOUT).start()
    await shop.open()
    expanded = Build(stack, None, copy_with(EXPAND, tmp_path / "expanded")).start()
    switched = Build(stack, None, copy_with(SWITCH, tmp_path / "switched"))
    contracted = Build(stack, None, copy_with(CONTRACT, tmp_path / "contracted"))
    builds = (old, expanded, switched, contracted)
    try:
        assert await schema(shop) == EXPANDED
        await orders_end_right(shop)  # old and expanded
        old.kill()
        old.start()
        assert old.process.says("the schema is ahead of this code, and left as it is")
        await orders_end_right(shop)

        old.kill()
        switched.start()
        assert await schema(shop) == SWITCHED
        await orders_end_right(shop)  # expanded and switched
        expanded.stop()
        contracted.start()
        assert await schema(shop) == CONTRACTED
        await orders_end_right(shop)  # switched and contracted
        contracted.kill()
        switched.stop()
        switched.start()  # back to the build before
        assert switched.process.says("the schema is ahead of this code, and left as it is")
        await orders_end_right(shop)

        # What can no longer live with the schema says so and does not run: neither half of a step goes wrong.
        for late in (old, expanded):
            late.process.start()
            assert late.process.ends_within(60)
            assert late.process.exit_code == 1
            needs = f"the schema of the database is {CONTRACTED} and needs code of {SWITCHED} or later, not of "
            assert late.process.says(needs)
    finally:
        for build in builds:
            build.stop()


async def orders_end_right(shop: BesiegedShop) -> None:
    tellers = [Teller(shop, "schema") for _ in range(4)]
    for one in tellers:
        await one.place(line(await one.lists()))
    for one in tellers:
        await one.reserved()
        await one.pack()
        await one.ship(carrier="by bike")
    for one in tellers:
        await one.when(lambda view: view.status == "Shipped")
        await one.send("confirm_delivery", "customer")
        assert (await one.ended()).status == "Delivered"
    assert await all_mails_are_sent(shop) > 0
    await shop.conserves()


async def schema(shop: BesiegedShop) -> str:
    async with shop.database.statement() as connection:
        return str(await connection.scalar(text("SELECT version_num FROM alembic_version")))
