"""The sender, the simulated carrier and the real outbox together, with several senders at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, select, text

from adapters.carriers.numbers import ups_number
from adapters.carriers.simulated import SimulatedCarrier
from domain.contacts import Contact
from domain.mails import Mail, MailRefused, MailUnavailable, RenderedMail
from domain.progress import Follow
from localstack.postgres import Postgres
from store.database import Database
from store.messages import Messages
from store.metadata import metadata
from store.outbox import Outbox
from store.tables.outbox import outbox
from tests.postgres import temporary_postgres
from usecases.outbox import OutboxSender

pytestmark = pytest.mark.asyncio

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with temporary_postgres() as server:
        yield server


@pytest_asyncio.fixture
async def database(postgres: Postgres) -> AsyncIterator[Database]:
    database = Database(postgres.dsn)
    async with database.transaction() as connection:
        await connection.run_sync(metadata.create_all, [outbox])
        await connection.execute(text("TRUNCATE outbox"))
    yield database
    await database.close()


class Outside:
    """Everybody that a sender deals with, with mail trouble at will."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.signals: list[tuple[str, str]] = []
        self.refuse_mails = False

    async def contact(self, order_id: str, to: str) -> Contact | None:
        return Contact(name="José", email="jose@example.com")

    def render(self, mail: Mail, contact: Contact, page_url: str | None = None) -> RenderedMail:
        return RenderedMail(key=mail.key, subject="", text="", html="")

    async def send(self, mail: RenderedMail, recipient: Contact) -> MailRefused | None:
        await asyncio.sleep(0)
        if self.refuse_mails:
            raise MailUnavailable("no connection")
        self.mails.append(mail.key)
        return None

    async def close(self) -> None:
        pass

    async def signal(self, order_id: str, name: str, body: dict[str, Any]) -> str:
        await asyncio.sleep(0)
        self.signals.append((order_id, body["event_id"]))
        return ""


@asynccontextmanager
async def senders(count: int, database: Database, outside: Outside) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(
                OutboxSender(
                    Outbox(database),
                    contacts=outside,
                    renderer=outside,
                    mailers=[outside],
                    carrier=SimulatedCarrier(Messages(database)),
                    signals=outside,
                ).run()
            )
            for _ in range(count)
        ]
        try:
            yield
        finally:
            for task in running:
                task.cancel()


async def write(database: Database, kind: str, key: str, body: dict[str, Any]) -> None:
    row = {"kind": kind, "key": key, "order_id": key.split(":", maxsplit=1)[0], "body": body}
    async with database.transaction() as connection:
        await connection.execute(insert(outbox).values(row))


async def write_mail(database: Database, order_id: str) -> None:
    key = f"{order_id}:back"
    await write(database, "mail", key, {"template": "back_in_stock", "key": key, "order_id": order_id, "lines": []})


async def write_follow(database: Database, order_id: str) -> None:
    parcel = Follow(
        parcel_id="acme-1-p1",
        fulfillment_id="acme-1",
        carrier="UPS",
        tracking_number=ups_number(order_id, "Standard"),
        method="Standard",
        shipped_at=LONG_AGO,
        deliver_by=LONG_AGO + timedelta(days=5),
        factor=1.0,
        server_time=LONG_AGO,
    )
    await write(database, "follow", f"{order_id}:follow:acme-1-p1", parcel.model_dump(mode="json"))


async def open_rows(database: Database) -> int:
    async with database.statement() as connection:
        rows = await connection.execute(select(outbox.c.id).where(outbox.c.sent_at.is_(None)))
        return len(rows.all())


async def all_sent(database: Database) -> None:
    async with asyncio.timeout(60):
        while await open_rows(database):  # noqa: ASYNC110  # the database tells nobody
            await asyncio.sleep(0.05)


async def test_parcels_are_followed_to_their_door_and_every_row_is_sent_once_by_three_senders(
    database: Database,
) -> None:
    outside = Outside()
    orders = [str(number) for number in range(40)]
    for order_id in orders:
        await write_mail(database, order_id)
        await write_follow(database, order_id)
    async with senders(3, database, outside):
        await all_sent(database)
    assert Counter(outside.mails) == Counter(f"{order_id}:back" for order_id in orders)
    assert Counter(outside.signals) == Counter(
        (order_id, f"{ups_number(order_id, 'Standard')}-{scan}") for order_id in orders for scan in range(1, 6)
    )


async def test_mails_wait_for_their_server_while_messages_go_on(database: Database) -> None:
    outside = Outside()
    outside.refuse_mails = True
    await write_mail(database, "1042")
    await write_follow(database, "1042")
    async with senders(2, database, outside):
        async with asyncio.timeout(60):
            while await open_rows(database) > 1 or len(outside.signals) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert outside.mails == []
        async with database.statement() as connection:
            error = await connection.scalar(select(outbox.c.last_error).where(outbox.c.kind == "mail"))
        assert error == "MailUnavailable: no connection"
        outside.refuse_mails = False
        await all_sent(database)
    assert outside.mails == ["1042:back"]
