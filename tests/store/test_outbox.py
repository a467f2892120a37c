"""The outbox: each row lent to one sender, given back when the lease ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from domain.contacts import Contact
from domain.outbox import OutboxKind, OutboxRow
from domain.requests import QueuedMessage
from store.contacts import Contacts
from store.database import Database
from store.messages import Messages
from store.outbox import Outbox
from tests.store.shop import Shop, rows

HOUR = timedelta(hours=1)
NO_TIME = timedelta(0)


@pytest.fixture
async def database(new_database: Callable[[], str]) -> AsyncIterator[Database]:
    """One for each test: a claim takes whatever is there."""
    database = Database(new_database())
    yield database
    await database.close()


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


async def _schedule(database: Database, *numbers: int, in_: timedelta = NO_TIME) -> None:
    await Messages(database).schedule(
        tuple(
            QueuedMessage(
                key=f"1:event:{number}",
                order_id="1",
                signal="carrier_event",
                body={"n": number},
                due_at=datetime.now(UTC) + in_ - timedelta(minutes=number),
            )
            for number in numbers
        )
    )


async def _claim(outbox: Outbox, lease: timedelta = HOUR, limit: int = 100) -> tuple[OutboxRow, ...]:
    return await outbox.claim(OutboxKind.MESSAGE, limit, lease)


async def test_rows_come_the_longest_due_first_with_their_bodies(database: Database, outbox: Outbox) -> None:
    await _schedule(database, 1, 3, 2)
    claimed = await _claim(outbox, limit=2)
    assert [row.body for row in claimed] == [{"signal": "carrier_event", "body": {"n": n}} for n in (3, 2)]
    assert [row.attempts for row in claimed] == [1, 1]


async def test_a_key_is_scheduled_once(database: Database, outbox: Outbox) -> None:
    await _schedule(database, 1)
    await _schedule(database, 1, 2)
    assert len(await _claim(outbox)) == 2


async def test_what_is_not_due_waits(database: Database, outbox: Outbox) -> None:
    await _schedule(database, 1, in_=HOUR)
    assert await _claim(outbox) == ()
    wait = await outbox.next_due(OutboxKind.MESSAGE)
    assert wait is not None
    assert timedelta(minutes=50) < wait <= HOUR
    assert await outbox.next_due(OutboxKind.MAIL) is None


async def test_many_senders_share_the_rows(database: Database, outbox: Outbox) -> None:
    await _schedule(database, *range(200))
    claims = await asyncio.gather(*(_claim(outbox, limit=10) for _ in range(20)))
    ids = [row.row_id for claim in claims for row in claim]
    assert len(ids) == len(set(ids))
    while claim := await _claim(outbox, limit=50):
        ids += [row.row_id for row in claim]
    assert len(ids) == len(set(ids)) == 200


async def test_a_row_whose_lease_ended_is_lent_again_until_it_is_sent(database: Database, outbox: Outbox) -> None:
    await _schedule(database, 1)
    (first,) = await _claim(outbox, lease=NO_TIME)
    (second,) = await _claim(outbox, lease=NO_TIME)
    assert (second.row_id, second.attempts) == (first.row_id, 2)
    await outbox.sent(first.row_id)
    await outbox.retry(first.row_id, "too late to say so", NO_TIME)
    await outbox.give_up(first.row_id, "nor this")
    assert await _claim(outbox) == ()
    ((failed,),) = await rows(database, "SELECT failed_at FROM outbox")
    assert failed is None


async def test_trouble_puts_a_row_off_and_a_refusal_ends_it(database: Database, outbox: Outbox) -> None:
    await _schedule(database, 1, 2)
    first, second = await _claim(outbox)
    await outbox.retry(first.row_id, "connection refused", HOUR)
    await outbox.give_up(second.row_id, "550 no such user")
    assert await _claim(outbox) == ()
    found = await rows(database, "SELECT last_error, failed_at IS NOT NULL FROM outbox ORDER BY id DESC")
    assert found == [("connection refused", False), ("550 no such user", True)]


async def test_withdrawn_messages_are_not_sent(database: Database, outbox: Outbox) -> None:
    await _schedule(database, 1, 11, 2)
    (sent,) = await _claim(outbox, limit=1)
    await outbox.sent(sent.row_id)
    messages = Messages(database)
    assert await messages.withdraw("2", "1:event:") == 0
    assert await messages.withdraw("1", "1:event:1") == 1
    assert [row.key for row in await _claim(outbox)] == ["1:event:2"]


async def test_contacts_are_those_of_the_order_and_the_seller(database: Database) -> None:
    shop = await Shop(database, near=1).open()
    order = await shop.placed(1)
    contacts = Contacts(database)
    ada = Contact(name="Ada", email="ada@example.com", time_zone="Europe/Berlin")
    seller = Contact(name=f"Shop {shop.seller}", email=f"{shop.seller}@example.com")
    assert await contacts.contact(order.order_id, "customer") == ada
    assert await contacts.contact(order.order_id, f"seller:{shop.seller}") == seller
    assert await contacts.contact("nobody", "customer") is None
    assert await contacts.contact(order.order_id, "seller:nobody") is None
