"""The loop in every worker that carries what lies in the outbox out of the house: mails, messages, parcels to follow.

Each kind has a lane of its own, so that a mail server that hangs holds up no message. A row that fails comes back later
and later, for ever: only a mail that its server refuses for good is given up.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import cycle
from typing import Any, NamedTuple, Protocol

from pydantic import ConfigDict
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.contacts import Contact
from domain.mails import Mail, MailRefused, MailUnavailable, RenderedMail, mail_from_json
from domain.model import Frozen
from domain.outbox import NOBODY_THERE, OutboxKind, OutboxRow
from domain.progress import Follow
from domain.requests import Unavailable

IDLE_SECONDS_MIN = 0.1
IDLE_SECONDS_MAX = 1.0
"""An empty outbox is looked at this often: a message goes out this late at most."""

BACKOFF_SECONDS_MAX = 300
NOTE_AGAIN_SECONDS = 0.5
GRACE_SECONDS = 5.0
"""How long a stop waits for what is being sent."""

logger = logging.getLogger(__name__)


class Outbox(Protocol):
    """The store's side; several senders may draw from it at once."""

    async def claim(self, kind: OutboxKind, limit: int, lease: timedelta) -> tuple[OutboxRow, ...]:
        """Lend rows that are due, the longest due first; nobody else gets them until the lease ends."""
        ...

    async def sent(self, row_id: int, note: str = "") -> None: ...

    async def retry(self, row_id: int, error: str, after: timedelta) -> None: ...

    async def give_up(self, row_id: int, reason: str) -> None:
        """Never tried again; it stays, with the reason, for people to see."""
        ...


class Contacts(Protocol):
    async def contact(self, order_id: str, to: str) -> Contact | None:
        """How to reach `customer` of this order, or `seller:<id>`; None where nobody knows."""
        ...


class Renderer(Protocol):
    def render(self, mail: Mail, contact: Contact, page_url: str | None = None) -> RenderedMail: ...


class Mailer(Protocol):
    async def send(self, mail: RenderedMail, recipient: Contact) -> MailRefused | None: ...

    async def close(self) -> None: ...


class Carrier(Protocol):
    async def follow(self, order_id: str, parcel: Follow) -> None: ...


class Signals(Protocol):
    async def signal(self, order_id: str, name: str, body: dict[str, Any]) -> str:
        """Tell the order's workflow; gives a note where nobody is there to be told any more, else nothing."""
        ...


class NoContact(Exception):
    """The mail waits until somebody enters the address."""


class OutboxSender:
    """Run one in each worker. Each mailer sends one mail at a time; give several to send side by side."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        contacts: Contacts,
        renderer: Renderer,
        mailers: Sequence[Mailer],
        carrier: Carrier,
        signals: Signals,
        page_url: Callable[[Mail], str | None] = lambda _: None,
        tried: Callable[[OutboxKind, str], None] = lambda _kind, _outcome: None,
        timeout_seconds: float = 20.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`tried` is told how each try of a row ended: sent, refused or retried."""
        assert mailers, "without one no mail would ever go out"
        self._outbox = outbox
        self._contacts = contacts
        self._renderer = renderer
        self._mailers = mailers
        self._next_mailer = cycle(mailers)
        self._carrier = carrier
        self._signals = signals
        self._page_url = page_url
        self._tried = tried
        self._turned: dict[OutboxKind, float] = {}
        self._timeout_seconds = timeout_seconds
        self._sleep = sleep

    @property
    def last_turn(self) -> float:
        """When the lane that is behind the most last looked for rows, by the monotonic clock; 0 before the first."""
        return min(self._turned.get(kind, 0.0) for kind in OutboxKind)

    async def run(self) -> None:
        """Until cancelled; then what is being sent is finished, if that takes no longer than a few seconds."""
        lanes = (
            _Lane(OutboxKind.MAIL, 10 * len(self._mailers), self._send_mail, self._hang_up),
            _Lane(OutboxKind.MESSAGE, 50, self._send_message),
            _Lane(OutboxKind.FOLLOW, 20, self._ask_to_follow),
        )
        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    group.create_task(self._drain(lane), name=f"outbox {lane.kind}")
        finally:
            await self._hang_up()

    async def _drain(self, lane: "_Lane") -> None:
        idle = IDLE_SECONDS_MIN
        while True:
            self._turned[lane.kind] = time.monotonic()
            try:
                found = await _finish(self._round(lane))
                if 0 < found < lane.limit and lane.at_rest is not None:
                    await lane.at_rest()
            except Exception as error:
                # Whatever it is, the rows are safe and this lane must live: nobody else sends them.
                _log_trouble(error, "outbox lane %s had to stop for a moment: %s", lane.kind, type(error).__name__)
                found = 0
            if found < lane.limit:
                idle = IDLE_SECONDS_MIN if found else min(2 * idle, IDLE_SECONDS_MAX)
                await self._sleep(idle)

    async def _round(self, lane: "_Lane") -> int:
        """Send what is due: orders side by side, the rows of one order one after another."""
        lease_seconds = 2 * self._timeout_seconds
        # Counted from before the claim, so that we stop before the store takes the rows back. One sent later
        # might be sent by two.
        last_start = asyncio.get_running_loop().time() + lease_seconds - self._timeout_seconds
        rows = await self._outbox.claim(lane.kind, lane.limit, timedelta(seconds=lease_seconds))
        by_order: dict[str, list[OutboxRow]] = {}
        for row in rows:
            by_order.setdefault(row.order_id, []).append(row)
        ended = await asyncio.gather(
            *(self._send_in_turn(lane, of_one, last_start) for of_one in by_order.values()), return_exceptions=True
        )
        for trouble in ended:
            if trouble is not None:
                raise trouble
        return len(rows)

    async def _send_in_turn(self, lane: "_Lane", rows: Sequence[OutboxRow], last_start: float) -> None:
        for row in rows:
            if asyncio.get_running_loop().time() <= last_start:
                await self._send(lane, row)

    async def _send(self, lane: "_Lane", row: OutboxRow) -> None:
        """Only trouble of the outbox itself escapes; the row then comes back when its lease ends."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                end = await lane.send(row)
        except Exception as error:
            after = timedelta(seconds=min(2 ** min(row.attempts - 1, 20), BACKOFF_SECONDS_MAX))
            # The text may repeat an address: it goes beside the contacts, into the database, and into no log.
            await self._outbox.retry(row.row_id, _text(error), after)
            _log_trouble(error, "%s not sent: %s", row.key, type(error).__name__, row=row)
            self._tried(lane.kind, "retried")
            return
        self._tried(lane.kind, "refused" if end.refused else "sent")
        if end.refused:
            await self._noted(lambda: self._outbox.give_up(row.row_id, end.note))
            logger.warning("%s was refused for good", row.key, extra=_fields(row))
        else:
            await self._noted(lambda: self._outbox.sent(row.row_id, end.note))

    async def _noted(self, note: Callable[[], Awaitable[None]]) -> None:
        """However long the store is away: what is out of the house and not noted would go out once more."""
        while True:
            try:
                return await note()
            except Unavailable:
                await self._sleep(NOTE_AGAIN_SECONDS)

    async def _send_mail(self, row: OutboxRow) -> "_End":
        mail = mail_from_json(json.dumps(row.body))
        contact = await self._contacts.contact(mail.order_id, mail.to)
        if contact is None:
            raise NoContact(f"nobody knows the address of {mail.to}")
        rendered = self._renderer.render(mail, contact, self._page_url(mail))
        # The rendered mail keeps the key, from which its Message-ID follows: the same at every try.
        refusal = await next(self._next_mailer).send(rendered, contact)
        if refusal is None:
            return _End()
        return _End(f"{refusal.code or ''} {refusal.reason}".strip(), refused=True)

    async def _send_message(self, row: OutboxRow) -> "_End":
        message = _Message.model_validate(row.body)
        return _End(await self._signals.signal(row.order_id, message.signal, message.body))

    async def _ask_to_follow(self, row: OutboxRow) -> "_End":
        await self._carrier.follow(row.order_id, Follow.model_validate(row.body))
        return _End()

    async def _hang_up(self) -> None:
        """Servers drop a connection on which nothing happens, and the next mail would fail on it."""
        for mailer in self._mailers:
            with suppress(MailUnavailable, TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS):
                    await mailer.close()


class OrderSignals:
    """Satisfies `Signals` by Temporal."""

    def __init__(self, client: Client, rpc_timeout: timedelta = timedelta(seconds=5)) -> None:
        self._client = client
        self._rpc_timeout = rpc_timeout

    async def signal(self, order_id: str, name: str, body: dict[str, Any]) -> str:
        workflow = self._client.get_workflow_handle(f"order:{order_id}")
        try:
            await workflow.signal(name, body, rpc_timeout=self._rpc_timeout)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return NOBODY_THERE
        return ""


class _End(NamedTuple):
    note: str = ""
    refused: bool = False


class _Lane(NamedTuple):
    kind: OutboxKind
    limit: int
    send: Callable[[OutboxRow], Awaitable[_End]]
    at_rest: Callable[[], Awaitable[None]] | None = None


class _Message(Frozen):
    model_config = ConfigDict(hide_input_in_errors=True)  # a delivery's body says who signed for it

    signal: str
    body: dict[str, Any]


async def _finish(work: "Awaitable[int]") -> int:
    """Await the work; a cancel waits for its end before it goes on, but not for long.

    A mail cut off between the server's 250 and our note of it would go out twice.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def _text(error: Exception) -> str:
    """For the row: bounded, and without the one character that PostgreSQL cannot store."""
    return f"{type(error).__name__}: {error}"[:1000].replace("\x00", "")


def _log_trouble(error: Exception, text: str, *words: object, row: OutboxRow | None = None) -> None:
    """Trouble outside passes by itself; anything else is a bug, and its traceback is wanted."""
    passes = isinstance(error, Unavailable | MailUnavailable | RPCError | TimeoutError | OSError | NoContact)
    logger.log(
        logging.WARNING if passes else logging.ERROR,
        text,
        *words,
        extra=_fields(row) if row else {},
        exc_info=None if passes else error,
    )


def _fields(row: OutboxRow) -> dict[str, object]:
    return {"order_id": row.order_id, "outbox_key": row.key, "attempts": row.attempts}
