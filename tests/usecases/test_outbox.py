"""The outbox sender with ports of our own making: nothing is lost, nothing blocks another, and a stop is clean."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.contacts import Contact
from domain.mails import Mail, MailRefused, MailUnavailable, RenderedMail
from domain.outbox import OutboxKind, OutboxRow
from domain.progress import Follow
from domain.requests import Unavailable
from usecases.outbox import OutboxSender

pytestmark = pytest.mark.asyncio

FOLLOW = {
    "parcel_id": "acme-1-p1",
    "fulfillment_id": "acme-1",
    "carrier": "UPS",
    "tracking_number": "1Z5R89390357567127",
    "method": "Standard",
    "shipped_at": "2026-01-01T12:00:00Z",
    "deliver_by": "2026-01-05T12:00:00Z",
    "factor": 1.0,
}


@dataclass
class Stored:
    row_id: int
    kind: OutboxKind
    order_id: str
    body: dict[str, Any]
    due_at: float = 0.0
    attempts: int = 0
    end: str | None = None
    note: str = ""
    errors: list[str] = field(default_factory=list)


class FakeOutbox:
    """Rows in memory and a clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.rows: list[Stored] = []
        self.now = 0.0
        self.changed = asyncio.Event()
        self.troubles: list[Exception] = []
        self.claimed: list[OutboxKind] = []

    def add(self, kind: OutboxKind, body: dict[str, Any], order_id: str = "1042") -> Stored:
        self.rows.append(Stored(len(self.rows), kind, order_id, body))
        return self.rows[-1]

    def mail(self, order_id: str = "1042") -> Stored:
        body = {
            "template": "back_in_stock",
            "key": f"{order_id}:mail:{len(self.rows)}",
            "order_id": order_id,
            "lines": [],
        }
        return self.add(OutboxKind.MAIL, body, order_id)

    def message(self, order_id: str = "1042", number: int = 1) -> Stored:
        return self.add(OutboxKind.MESSAGE, {"signal": "carrier_event", "body": {"event_id": number}}, order_id)

    async def sleep(self, seconds: float) -> None:
        """Let the others run first; time passes for whoever is left waiting."""
        await asyncio.sleep(0)
        self.now += seconds

    async def claim(self, kind: OutboxKind, limit: int, lease: timedelta) -> tuple[OutboxRow, ...]:
        self.claimed.append(kind)
        self.changed.set()
        if self.troubles:
            raise self.troubles.pop(0)
        due = [row for row in self.rows if row.kind is kind and row.end is None and row.due_at <= self.now][:limit]
        for row in due:
            row.attempts += 1
            row.due_at = self.now + lease.total_seconds()
        return tuple(
            OutboxRow(
                row_id=row.row_id,
                kind=kind,
                key=f"{row.order_id}:{row.row_id}",
                order_id=row.order_id,
                body=row.body,
                attempts=row.attempts,
            )
            for row in due
        )

    async def sent(self, row_id: int, note: str = "") -> None:
        self._end(row_id, "sent", note)

    async def give_up(self, row_id: int, reason: str) -> None:
        self._end(row_id, "given up", reason)

    async def retry(self, row_id: int, error: str, after: timedelta) -> None:
        row = self.rows[row_id]
        row.errors.append(error)
        row.due_at = self.now + after.total_seconds()
        self.changed.set()

    def _end(self, row_id: int, end: str, note: str) -> None:
        row = self.rows[row_id]
        assert row.end is None, f"row {row_id} ended twice"
        row.end, row.note = end, note
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def all_ended(self) -> None:
        await self.until(lambda: all(row.end for row in self.rows))


class FakeMailer:
    """Takes every mail unless told otherwise: an exception is raised, a refusal is answered, once each."""

    def __init__(self) -> None:
        self.answers: list[Exception | MailRefused] = []
        self.taken: list[RenderedMail] = []
        self.closed = 0
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()

    async def send(self, mail: RenderedMail, recipient: Contact) -> MailRefused | None:
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, MailRefused):
                return answer
            raise answer
        self.taken.append(mail)
        return None

    async def close(self) -> None:
        self.closed += 1


class House:
    """A sender with everything around it."""

    def __init__(self) -> None:
        self.outbox = FakeOutbox()
        self.mailer = FakeMailer()
        self.contacts: dict[str, Contact] = {"customer": Contact(name="José", email="jose@example.com")}
        self.signals: list[tuple[str, Any]] = []
        self.signal_answers: dict[str, list[str | Exception]] = {}
        self.followed: list[tuple[str, Follow]] = []
        self.timeout_seconds = 20.0

    async def contact(self, order_id: str, to: str) -> Contact | None:
        return self.contacts.get(to)

    def render(self, mail: Mail, contact: Contact, page_url: str | None = None) -> RenderedMail:
        return RenderedMail(key=mail.key, subject=page_url or "", text=contact.name, html="")

    async def follow(self, order_id: str, parcel: Follow) -> None:
        self.followed.append((order_id, parcel))

    async def signal(self, order_id: str, name: str, body: dict[str, Any]) -> str:
        if self.signal_answers.get(order_id):
            answer = self.signal_answers[order_id].pop(0)
            if isinstance(answer, str):
                return answer
            raise answer
        self.signals.append((order_id, body["event_id"]))
        return ""

    def sender(self, sleep: Callable[[float], Awaitable[object]] | None = None) -> OutboxSender:
        return OutboxSender(
            self.outbox,
            contacts=self,
            renderer=self,
            mailers=[self.mailer],
            carrier=self,
            signals=self,
            page_url=lambda mail: f"https://shop.example/{mail.order_id}",
            timeout_seconds=self.timeout_seconds,
            sleep=sleep or self.outbox.sleep,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.sender().run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert running.cancelled()


@pytest.fixture
def house() -> House:
    return House()


async def test_each_kind_goes_its_way_once(house: House) -> None:
    mail, message = house.outbox.mail(), house.outbox.message()
    house.outbox.add(OutboxKind.FOLLOW, FOLLOW)
    async with house.open():
        await house.outbox.all_ended()
    (sent,) = house.mailer.taken
    assert (sent.key, sent.text, sent.subject) == (mail.body["key"], "José", "https://shop.example/1042")
    assert house.signals == [("1042", 1)]
    assert house.followed == [("1042", Follow.model_validate(FOLLOW))]
    assert house.followed[0][1].shipped_at == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert message.attempts == 1


async def test_nothing_is_lost_while_the_mail_server_refuses_and_every_try_has_the_same_key(house: House) -> None:
    rows = [house.outbox.mail(order_id=str(number)) for number in range(5)]
    house.mailer.answers = [MailUnavailable("454 try later")] * 30
    async with house.open():
        await house.outbox.all_ended()
    assert sorted(mail.key for mail in house.mailer.taken) == sorted(row.body["key"] for row in rows)
    assert sum(len(row.errors) for row in rows) == 30
    assert {error for row in rows for error in row.errors} == {"MailUnavailable: 454 try later"}


async def test_a_mail_that_went_out_while_the_store_was_away_goes_out_once(house: House) -> None:
    row = house.outbox.mail()
    troubles = [Unavailable("PostgreSQL: no connection")] * 20

    async def sent(row_id: int, note: str = "") -> None:
        if troubles:
            raise troubles.pop()
        await FakeOutbox.sent(house.outbox, row_id, note)

    house.outbox.sent = sent  # type: ignore[method-assign]
    async with house.open():
        await house.outbox.all_ended()
    assert troubles == []
    assert [mail.key for mail in house.mailer.taken] == [row.body["key"]]


async def test_tries_come_further_apart_up_to_five_minutes(house: House) -> None:
    row = house.outbox.mail()
    house.mailer.answers = [MailUnavailable("no")] * 12
    waits: list[float] = []

    async def retry(row_id: int, error: str, after: timedelta) -> None:
        waits.append(after.total_seconds())
        await FakeOutbox.retry(house.outbox, row_id, error, after)

    house.outbox.retry = retry  # type: ignore[method-assign]
    async with house.open():
        await house.outbox.all_ended()
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert row.attempts == 13


async def test_mail_trouble_does_not_hold_up_messages(house: House) -> None:
    house.mailer.gate = asyncio.Event()
    stuck = house.outbox.mail()
    messages = [house.outbox.message(order_id=str(number)) for number in range(200)]
    async with house.open():
        await house.outbox.until(lambda: all(row.end for row in messages))
        assert stuck.end is None
        house.mailer.gate.set()
        await house.outbox.all_ended()


@pytest.mark.parametrize(
    "poison",
    [
        (OutboxKind.MAIL, {"template": "no_such_template"}),
        (OutboxKind.MESSAGE, {"signal": "carrier_event"}),
        (OutboxKind.FOLLOW, {"parcel_id": 7}),
    ],
)
async def test_a_row_that_nobody_can_read_blocks_no_other_and_is_kept(
    house: House, caplog: pytest.LogCaptureFixture, poison: tuple[OutboxKind, dict[str, Any]]
) -> None:
    bad = house.outbox.add(*poison)
    good = [house.outbox.mail(), house.outbox.message(), house.outbox.add(OutboxKind.FOLLOW, FOLLOW)]
    async with house.open():
        await house.outbox.until(lambda: all(row.end for row in good) and len(bad.errors) >= 3)
    assert bad.end is None
    assert "ValidationError" in bad.errors[0]
    (first, *_) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (vars(first)["order_id"], vars(first)["attempts"]) == ("1042", 1)


async def test_a_mail_refused_for_good_is_given_up_with_the_reason_and_no_address_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    refused, later = house.outbox.mail(), house.outbox.mail()
    house.mailer.answers = [MailRefused(code=550, reason="no such user jose@example.com")]
    async with house.open():
        await house.outbox.all_ended()
    assert (refused.end, refused.note) == ("given up", "550 no such user jose@example.com")
    assert later.end == "sent"
    assert "jose" not in caplog.text


async def test_a_mail_without_an_address_waits_for_one(house: House) -> None:
    contact = house.contacts.pop("customer")
    row = house.outbox.mail()
    async with house.open():
        await house.outbox.until(lambda: len(row.errors) == 3)
        house.contacts["customer"] = contact
        await house.outbox.all_ended()
    assert row.end == "sent"


async def test_a_message_to_an_order_that_is_closed_is_done_with_a_note(house: House) -> None:
    row = house.outbox.message()
    house.signal_answers["1042"] = ["the order is closed or unknown"]
    async with house.open():
        await house.outbox.all_ended()
    assert (row.end, row.note) == ("sent", "the order is closed or unknown")


async def test_messages_of_one_order_go_in_turn_and_a_failing_one_does_not_stop_the_rest(house: House) -> None:
    for number in range(1, 6):
        house.outbox.message(number=number)
    house.signal_answers["1042"] = [Unavailable("no server")]
    async with house.open():
        await house.outbox.all_ended()
    assert house.signals == [("1042", number) for number in (2, 3, 4, 5, 1)]


async def test_what_hangs_is_cut_off_and_comes_again(house: House) -> None:
    house.timeout_seconds = 0.02
    house.mailer.gate = asyncio.Event()
    row = house.outbox.mail()
    async with house.open():
        await house.outbox.until(lambda: bool(row.errors))
        house.mailer.gate.set()
        await house.outbox.all_ended()
    assert row.errors[0].startswith("TimeoutError")
    assert len(house.mailer.taken) == 1


async def test_a_lane_outlives_trouble_with_the_outbox_itself(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.outbox.troubles = [Unavailable("PostgreSQL: no connection"), RuntimeError("a bug"), Unavailable("again")] * 3
    house.outbox.mail()
    house.outbox.message()
    async with house.open():
        await house.outbox.all_ended()
    assert len([record for record in caplog.records if "had to stop for a moment" in record.message]) == 9


async def test_a_stop_lets_the_mail_at_hand_be_finished_and_noted(house: House) -> None:
    house.mailer.gate = asyncio.Event()
    row = house.outbox.mail()
    running = asyncio.create_task(house.sender(sleep=asyncio.sleep).run())
    await house.mailer.reached.wait()
    running.cancel()
    await asyncio.sleep(0)
    assert not running.done()
    house.mailer.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (row.end, len(house.mailer.taken)) == ("sent", 1)
    assert house.mailer.closed > 0


async def test_a_stop_does_not_wait_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usecases.outbox.GRACE_SECONDS", 0.01)
    house.mailer.gate = asyncio.Event()
    row = house.outbox.mail()
    running = asyncio.create_task(house.sender(sleep=asyncio.sleep).run())
    await house.mailer.reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    # Its lease ends and another sender has it: not lost.
    assert (row.end, row.errors) == (None, [])


async def test_the_mail_connection_is_given_back_when_there_is_nothing_more_to_send(house: House) -> None:
    house.outbox.mail()
    async with house.open():
        await house.outbox.all_ended()
        rounds = house.outbox.claimed.count(OutboxKind.MAIL)
        await house.outbox.until(lambda: house.outbox.claimed.count(OutboxKind.MAIL) >= rounds + 2)
        assert house.mailer.closed == 1


async def test_rows_that_would_outlive_their_lease_are_left_for_the_next_one(house: House) -> None:
    """Sent late, they could be sent by two."""
    house.timeout_seconds = 0.05
    *_, third = [house.outbox.message(number=number) for number in (1, 2, 3)]

    async def slow(order_id: str, name: str, body: dict[str, Any]) -> str:
        await asyncio.sleep(0.03)
        return ""

    house.signal = slow  # type: ignore[method-assign]
    async with house.open():
        await house.outbox.all_ended()
    assert third.attempts > 1
