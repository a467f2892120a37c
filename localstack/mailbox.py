"""A folder of received mails, one .eml file each, in the order in which they came."""

import itertools
import os
import re
import time
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from pathlib import Path

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^>]+)>", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Mail:
    """One received mail; `recipients` are the envelope's, who may differ from those that the header names."""

    id: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def subject(self) -> str:
        return self._header("Subject")

    @property
    def sender(self) -> str:
        return self._header("From")

    @property
    def date(self) -> str:
        return self._header("Date")

    @property
    def message_id(self) -> str:
        return self._header("Message-ID").strip()  # a long one stands on a line of its own, indented

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def _header(self, name: str) -> str:
        return str(self.message.get(name, ""))

    def _part(self, kind: str) -> str:
        part = self.message.get_body(preferencelist=(kind,))
        if part is None:
            return ""
        try:
            # Mail travels with CRLF; nobody who reads or tests a text wants to know.
            return str(part.get_content()).replace("\r\n", "\n")
        except LookupError:  # a character set that nobody knows
            content = part.get_payload(decode=True)
            return content.decode(errors="replace") if isinstance(content, bytes) else str(content)


class Mailbox:
    """Several processes may read while one writes: a file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = itertools.count()
        self._message_ids: dict[Path, str] = {}
        self.make_folder()

    def make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def store(self, content: bytes, recipients: list[str]) -> str:
        """Keep a mail as it came, with its envelope's recipients on top; returns its id."""
        mail_id = f"{time.time_ns():020d}-{next(self._count):06d}"
        envelope = "".join(f"X-Envelope-To: {recipient}\r\n" for recipient in recipients)
        unfinished = self.folder / f".{mail_id}"
        unfinished.write_bytes(envelope.encode() + content)
        os.replace(unfinished, self._path(mail_id))
        return mail_id

    def all(self, recipient: str | None = None) -> list[Mail]:
        """Newest first; every mail, or those to one address."""
        mails = [self._read(path) for path in sorted(self.folder.glob("*.eml"), reverse=True)]
        if recipient is None:
            return mails
        return [mail for mail in mails if recipient.casefold() in {name.casefold() for name in mail.recipients}]

    def about(self, order_id: str) -> list[Mail]:
        """Oldest first, by their Message-ID. No other mail is parsed: of thousands that takes seconds."""
        paths = sorted(self.folder.glob("*.eml"))
        return [self._read(path) for path in paths if self._message_id(path).startswith(f"{order_id}.")]

    def get(self, mail_id: str) -> Mail | None:
        """An id comes from an address line: it is looked up among the mails and never made into a path."""
        found = [path for path in self.folder.glob("*.eml") if path.stem == mail_id]
        return self._read(found[0]) if found else None

    def clear(self) -> None:
        for path in self.folder.glob("*.eml"):
            path.unlink(missing_ok=True)

    def _path(self, mail_id: str) -> Path:
        return self.folder / f"{mail_id}.eml"

    def _message_id(self, path: Path) -> str:
        """Without its brackets; a file stays as it is."""
        if path not in self._message_ids:
            found = _MESSAGE_ID.search(path.read_bytes())
            self._message_ids[path] = found[1].decode(errors="replace") if found else ""
        return self._message_ids[path]

    def _read(self, path: Path) -> Mail:
        message = message_from_bytes(path.read_bytes(), policy=modern)
        recipients = tuple(str(value) for value in message.get_all("X-Envelope-To", []))
        return Mail(path.stem, recipients, message)
