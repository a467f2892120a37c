"""The SMTP adapter against a real server: what is taken, refused for good, and put off."""

import asyncio
import email
import email.policy
import socket
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP, Envelope, Session

from adapters.mail.smtp import SmtpMailer, message_id
from domain.contacts import Contact
from domain.mails import MailRefused, MailUnavailable, RenderedMail

JOSE = Contact(name="José Álvares", email="jose@example.com")
MAIL = RenderedMail(
    key="1042:shipped:acme-1",
    subject="Order 1042 is on its way",
    text="On its way.\n" + "long" * 400 + "\n",
    html="<p>Já está a caminho 🎉</p>",
)


class Post:
    """A real SMTP server on a free port, that answers as it is told and keeps what it took."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.connections = 0
        self.mail_reply = ""
        self.rcpt_reply = ""
        self.data_reply = ""
        self.port = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._session, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    def mailer(self, **settings: Any) -> SmtpMailer:
        chosen = {"sender": '"Feira, Café & Co" <orders@shop.example>', "domain": "shop.example"} | settings
        return SmtpMailer("127.0.0.1", self.port, **chosen)

    def _session(self) -> SMTP:
        self.connections += 1
        return SMTP(self, enable_SMTPUTF8=False, hostname="localhost", loop=asyncio.get_running_loop())

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mail_reply:
            return self.mail_reply
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt_reply:
            return self.rcpt_reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data_reply:
            return self.data_reply
        content = envelope.content
        assert isinstance(content, bytes)
        self.raw.append(content)
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.taken.append(parsed)
        return "250 Taken"


@pytest_asyncio.fixture
async def post() -> AsyncIterator[Post]:
    server = Post()
    await server.open()
    yield server
    await server.close()


@pytest.mark.asyncio
async def test_a_mail_arrives_with_both_parts_and_proper_headers(post: Post) -> None:
    async with post.mailer(reply_to="help@shop.example") as mailer:
        assert await mailer.send(MAIL, JOSE) is None

    [mail] = post.taken
    assert mail["To"].addresses[0].display_name == "José Álvares"
    assert mail["To"].addresses[0].addr_spec == "jose@example.com"
    assert mail["From"].addresses[0].display_name == "Feira, Café & Co"
    assert mail["Reply-To"] == "help@shop.example"
    assert mail["Subject"] == "Order 1042 is on its way"
    assert mail["Message-ID"] == "<1042.shipped.acme-1@shop.example>"
    assert mail["Date"].datetime.tzinfo is not None
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "en"
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content().replace("\r\n", "\n") for part in mail.iter_parts()] == [MAIL.text, MAIL.html]
    assert post.raw[0].isascii()
    assert max(map(len, post.raw[0].splitlines())) <= 78


@pytest.mark.asyncio
async def test_a_batch_shares_one_connection_also_after_a_refusal(post: Post) -> None:
    async with post.mailer() as mailer:
        assert await asyncio.gather(*(mailer.send(MAIL, JOSE) for _ in range(3))) == [None, None, None]
        post.rcpt_reply = "550 5.1.1 No such user"
        assert isinstance(await mailer.send(MAIL, JOSE), MailRefused)
        post.rcpt_reply = ""
        assert await mailer.send(MAIL, JOSE) is None
    assert len(post.taken) == 4
    assert post.connections == 1


@pytest.mark.parametrize(
    ("step", "reply", "code"),
    [
        ("rcpt_reply", "550 5.1.1 No such user", 550),
        ("rcpt_reply", "501 5.1.3 Bad address", 501),
        ("rcpt_reply", "556 5.1.10 Domain takes no mail", 556),
        ("data_reply", "554 5.6.0 Content refused", 554),
        ("mail_reply", "552 5.3.4 Too large", 552),
    ],
)
@pytest.mark.asyncio
async def test_a_refusal_for_good_is_a_value(post: Post, step: str, reply: str, code: int) -> None:
    setattr(post, step, reply)
    async with post.mailer() as mailer:
        refused = await mailer.send(MAIL, JOSE)
    assert refused == MailRefused(code=code, reason=reply[4:])


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        ("rcpt_reply", "451 4.3.0 Try again later"),
        ("rcpt_reply", "450 4.2.0 Greylisted"),
        ("data_reply", "452 4.3.1 Disk full"),
        ("mail_reply", "421 4.3.2 Shutting down"),
        ("mail_reply", "530 5.7.0 Authentication required"),
        ("mail_reply", "553 5.7.1 Sender not allowed"),
        ("rcpt_reply", "530 5.7.0 Authentication required"),
    ],
)
@pytest.mark.asyncio
async def test_trouble_that_may_pass_is_raised_and_the_same_mailer_recovers(post: Post, step: str, reply: str) -> None:
    async with post.mailer() as mailer:
        setattr(post, step, reply)
        with pytest.raises(MailUnavailable, match=reply[4:9]):
            await mailer.send(MAIL, JOSE)
        setattr(post, step, "")
        assert await mailer.send(MAIL, JOSE) is None
    assert [mail["Message-ID"] for mail in post.taken] == ["<1042.shipped.acme-1@shop.example>"]


@pytest.mark.asyncio
async def test_no_server_is_trouble_that_may_pass() -> None:
    with socket.socket() as held:  # bound and not listening: connections are refused
        held.bind(("127.0.0.1", 0))
        mailer = SmtpMailer("127.0.0.1", held.getsockname()[1], sender="a@shop.example", domain="shop.example")
        for _ in range(2):
            with pytest.raises(MailUnavailable):
                await mailer.send(MAIL, JOSE)
        await mailer.close()


@pytest.mark.asyncio
async def test_a_server_that_was_restarted_is_found_again(post: Post) -> None:
    async with post.mailer() as mailer:
        assert await mailer.send(MAIL, JOSE) is None
        await mailer.close()
        await post.close()
        with pytest.raises(MailUnavailable):
            await mailer.send(MAIL, JOSE)
        await post.open()
        assert await mailer.send(MAIL, JOSE) is None
    assert len(post.taken) == 2


@pytest.mark.asyncio
async def test_starttls_is_never_silently_left_out(post: Post) -> None:
    async with post.mailer(starttls=True) as mailer:
        with pytest.raises(MailUnavailable):
            await mailer.send(MAIL, JOSE)
    assert post.taken == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "李小龍",
        "Zoë 🎉",
        "👨‍👩‍👧‍👦 Família Souza",
        'Müller, José "Pepe" <x@evil.example>',
        "a; b, c: d",
        "José (x@evil.example)",
    ],
)
@pytest.mark.asyncio
async def test_names_and_subjects_arrive_as_written(post: Post, name: str) -> None:
    async with post.mailer() as mailer:
        assert await mailer.send(MAIL.model_copy(update={"subject": f"{name} 1042"}), named(name)) is None
    [mail] = post.taken
    [recipient] = mail["To"].addresses
    assert (recipient.display_name, recipient.addr_spec) == (name, "jose@example.com")
    assert mail["Subject"] == f"{name} 1042".strip()


@pytest.mark.parametrize(
    "name",
    [
        "Eve\r\nBcc: all@evil.example",
        "Eve\nBcc: all@evil.example",
        "Eve\x0bBcc: all@evil.example",
        "Eve\u2028Bcc: all@evil.example",
        "Eve\x00",
        "=?utf-8?q?Eve=0D=0ABcc=3A_all@evil.example?=",
        "é" * 300 + "\r\nBcc: all@evil.example",
        "李, " * 100,
    ],
)
@pytest.mark.asyncio
async def test_no_name_can_add_a_header_or_a_recipient(post: Post, name: str) -> None:
    async with post.mailer() as mailer:
        assert await mailer.send(MAIL.model_copy(update={"subject": name}), named(name)) is None
    [mail] = post.taken
    assert mail["Bcc"] is None
    assert [recipient.addr_spec for recipient in mail["To"].addresses] == ["jose@example.com"]
    assert max(map(len, post.raw[0].splitlines())) <= 78


@pytest.mark.parametrize(
    "address",
    [
        "eve",
        "a@b@c",
        "a,b@c.example",
        "<a@b.example",
        "a b@c.example",
        "a@b.example\r\nRCPT TO:<x@y.example>",
        "é@b.example",
        "a@bücher.example",
    ],
)
@pytest.mark.asyncio
async def test_an_address_that_no_mail_can_go_to_is_refused(post: Post, address: str) -> None:
    async with post.mailer() as mailer:
        refused = await mailer.send(MAIL, Contact(name="Eve", email=address))
        assert isinstance(refused, MailRefused)
        assert await mailer.send(MAIL, JOSE) is None
    assert len(post.taken) == 1


def named(name: str) -> Contact:
    return JOSE.model_copy(update={"name": name})


def test_message_ids_are_the_same_each_time_and_differ_between_keys() -> None:
    assert message_id("1042:shipped:acme-1", "shop.example") == "<1042.shipped.acme-1@shop.example>"
    keys = ("1:a.b", "1:a:b", "1:a=2e:b", "1:a b", "1:a\nb", "1:á")
    made = {message_id(key, "shop.example") for key in keys}
    assert len(made) == len(keys)
    assert all(identity.isprintable() and " " not in identity for identity in made)
