"""Sends rendered mails over SMTP, telling a refusal for good from trouble that passes."""

import asyncio
import contextlib
import re
from binascii import b2a_qp
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from types import TracebackType
from typing import Self

import aiosmtplib
from pydantic import SecretStr

from adapters.mail.formats import one_line
from domain.contacts import Contact
from domain.mails import MailRefused, MailUnavailable, RenderedMail

# Seven bits: it goes through every server unchanged, and no line is longer than 78 characters.
_POLICY = SMTP.clone(cte_type="7bit")

# Parsed once: parsing what we have just written would cost more than all the rest of a mail.
_TEXTS = {
    subtype: _POLICY.header_factory("Content-Type", f'text/{subtype}; charset="utf-8"') for subtype in ("plain", "html")
}
_AS_IT_IS, _QUOTED = (
    _POLICY.header_factory("Content-Transfer-Encoding", encoding) for encoding in ("7bit", "quoted-printable")
)

_LINE_MAX = 78
_NAME_MAX = 100

# Replies of 500 and more that speak about this session or our settings. Taken as refusals of the recipient, a wrong
# password would throw away every mail (RFC 5321 section 4.2.3, RFC 4954 section 6).
_OUR_TROUBLE = frozenset({500, 502, 503, 504, 530, 534, 535, 538})
_TOO_LARGE = 552


class SmtpMailer:
    """A door to one SMTP server, holding one connection that a batch of mails shares.

    `sender` is a bare address or `Name <address>`; `domain` ends the Message-IDs. Use as `async with` around a batch,
    or call `close`. Mails given to one mailer at once go one after another; use several to send side by side.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        domain: str,
        username: str | None = None,
        password: SecretStr | None = None,
        starttls: bool = False,
        reply_to: str | None = None,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._client = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            username=username,
            password=password.get_secret_value() if password else None,
            start_tls=starttls,
            timeout=timeout_seconds,
        )
        self._domain = domain
        fixed = {
            "From": sender,
            # Nobody's vacation responder should answer (RFC 3834); the second header says so to Exchange.
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "MIME-Version": "1.0",
        }
        if reply_to:
            fixed["Reply-To"] = reply_to
        self._fixed = tuple(_POLICY.header_factory(name, value) for name, value in fixed.items())
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def send(self, mail: RenderedMail, recipient: Contact) -> MailRefused | None:
        """Hand the mail to the server; returns None once it has taken it, and the refusal where it never will.

        Raises MailUnavailable when it may be tried again: no connection, no answer, a 4xx reply, our own settings.
        """
        try:
            message = self._compose(mail, recipient)
        except (ValueError, MessageError) as error:
            return MailRefused(reason=f"no mail can go to this address: {error}")
        async with self._one_at_a_time:
            try:
                return await self._deliver(message)
            except (aiosmtplib.SMTPException, OSError) as error:
                self._client.close()
                raise MailUnavailable(str(error) or type(error).__name__) from error
            except BaseException:
                # Cut off in the middle of a mail: the next one must not continue that conversation.
                self._client.close()
                raise

    async def close(self) -> None:
        """Take leave of the server; a later `send` connects again."""
        async with self._one_at_a_time:
            if self._client.is_connected:
                with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                    await self._client.quit()
            self._client.close()

    async def _deliver(self, message: EmailMessage) -> MailRefused | None:
        if not self._client.is_connected:
            self._client.close()  # aiosmtplib waits for ever to connect where a lost connection was not closed
            await self._client.connect()
        try:
            await self._client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _refusal(error.recipients[0])
        except aiosmtplib.SMTPDataError as error:
            return _refusal(error)
        except aiosmtplib.SMTPSenderRefused as error:
            # The sender is ours, so any other reply is about our settings and not about this mail.
            if error.code != _TOO_LARGE:
                raise
            return _refusal(error)
        except aiosmtplib.SMTPNotSupported as error:
            return MailRefused(reason=str(error))
        except ValueError as error:
            return MailRefused(reason=f"no mail can go to this address: {error}")
        return None

    def _compose(self, mail: RenderedMail, recipient: Contact) -> EmailMessage:
        message = EmailMessage(policy=_POLICY)
        for header in self._fixed:
            message[header.name] = header
        message["To"] = Address(_words(recipient.name)[:_NAME_MAX], addr_spec=recipient.email)
        message["Subject"] = _words(mail.subject)
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = message_id(mail.key, self._domain)
        message.make_alternative()
        message["Content-Language"] = mail.language  # set earlier, it would move into a part
        message.attach(_part(mail.text, "plain"))
        message.attach(_part(mail.html, "html"))
        return message


def _part(text: str, subtype: str) -> EmailMessage:
    part = EmailMessage(policy=_POLICY)
    part["Content-Type"] = _TEXTS[subtype]
    as_it_is = text.isascii() and all(len(line) <= _LINE_MAX for line in text.splitlines())
    part["Content-Transfer-Encoding"] = _AS_IT_IS if as_it_is else _QUOTED
    part.set_payload(text if as_it_is else b2a_qp(text.encode()).decode("ascii"))
    return part


def message_id(key: str, domain: str) -> str:
    """The Message-ID of a mail, the same at every try: `1042:shipped:acme-1` gives `<1042.shipped.acme-1@domain>`.

    Two keys never give the same: characters that an id cannot hold, and the dot, are written as `=` and their code.
    """
    local = re.sub(r"[^A-Za-z0-9_:-]", lambda found: f"={ord(found[0]):x}=", key)
    return f"<{local.replace(':', '.')}@{domain}>"


def _words(text: str) -> str:
    """Text for a header, on one line."""
    # An encoded word in it (`=?utf-8?q?=0ABcc:...?=`) would be decoded, line break and all, and Python before 3.11.10
    # and 3.12.5 then writes that line break into the header (CVE-2024-6923).
    return one_line(text).replace("=?", "= ?")


def _refusal(error: aiosmtplib.SMTPResponseException) -> MailRefused:
    """What a reply means for this mail; raises the error again where another try may do better."""
    if error.code < 500 or error.code in _OUR_TROUBLE:
        raise error
    return MailRefused(code=error.code, reason=error.message)
