"""A mail server that delivers nothing: it keeps what it is sent in a folder, and shows it on a page."""

import argparse
import asyncio
import signal
import socket
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from localstack import ports
from localstack.mailbox import Mailbox
from localstack.mailpages import mail_server

_LOOK_SECONDS = 0.05


class MailSink:
    """Runs in threads of this process; `mailbox` is what it has received."""

    def __init__(self, folder: Path, smtp_port: int = 0, http_port: int = 0) -> None:
        self.mailbox = Mailbox(folder)
        self._smtp_port = smtp_port
        self._http_port = http_port
        self._door = _Door(self.mailbox)
        self._smtp: _SmtpThread | None = None
        self._pages: ThreadingHTTPServer | None = None
        self._pages_thread: threading.Thread | None = None

    @property
    def smtp_host(self) -> str:
        return ports.HOST

    @property
    def smtp_port(self) -> int:
        """Known after the first start, and the same for every start after it."""
        return self._smtp_port

    @property
    def url(self) -> str:
        return f"http://{ports.HOST}:{self._http_port}"

    def start(self) -> None:
        self.mailbox.make_folder()  # somebody may have cleared the state since
        self._smtp_port = ports.choose(self._smtp_port, "OPENORDERS_SMTP_PORT")
        self._http_port = ports.choose(self._http_port, "OPENORDERS_MAILS_PORT")
        self._smtp = _SmtpThread(self._door, self._smtp_port)
        self._pages = mail_server(self.mailbox, self._http_port)
        self._pages_thread = threading.Thread(
            target=self._pages.serve_forever, args=(0.05,), name="mail-pages", daemon=True
        )
        self._pages_thread.start()

    def stop(self) -> None:
        """Connections are refused from here on, as by a mail server that is down."""
        if self._smtp is not None:
            self._smtp.stop()
            self._smtp = None
        if self._pages is not None and self._pages_thread is not None:
            self._pages.shutdown()
            self._pages_thread.join()
            self._pages.server_close()
            self._pages = None

    def refuse(self, refused: bool) -> None:
        """While on, every mail is answered with 451: a mail server that is up and will not take any now."""
        self._door.refused = refused

    def hang(self, hanging: bool) -> None:
        """While on, nobody gets an answer to a mail; those who still wait at the end are refused."""
        self._door.hanging = hanging

    def drop(self, dropping: bool) -> None:
        """While on, every mail is kept and the connection cut before the answer: done, and told to nobody."""
        self._door.dropping = dropping


class _Door:
    """What aiosmtpd calls for each mail."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self.refused = False
        self.hanging = False
        self.dropping = False

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        hung = self.hanging
        while self.hanging:  # noqa: ASYNC110 - another thread switches it, which no asyncio.Event allows
            await asyncio.sleep(_LOOK_SECONDS)
        if self.refused or hung:
            return "451 4.3.0 Refused for a while, on demand"
        content = envelope.content or b""
        self._mailbox.store(content if isinstance(content, bytes) else content.encode(), envelope.rcpt_tos)
        if self.dropping:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return "250 2.0.0 Kept"


class _SmtpThread:
    """An event loop of its own for SMTP.

    aiosmtpd's controller does the same but leaves connections open when it stops: the warnings about them then fail
    whatever test happens to run at that time.
    """

    def __init__(self, door: _Door, port: int) -> None:
        self._door = door
        self._socket = socket.create_server((ports.HOST, port))
        self._connections: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="mail-smtp", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await self._loop.create_server(lambda: _Connection(self._door, self._connections), sock=self._socket)
        await self._ended.wait()
        # A connection that was accepted just now is a task still, and its transport not among ours: a server that is
        # closed over it, or a loop that ends, would leave its socket open. So first nobody else is let in.
        self._loop.remove_reader(self._socket)
        while self._connections or len(asyncio.all_tasks()) > 1:
            for transport in tuple(self._connections):
                transport.abort()
            await asyncio.sleep(0)
        server.close()


class _Connection(SMTP):
    def __init__(self, door: _Door, connections: set[asyncio.Transport]) -> None:
        super().__init__(door, hostname="localhost", loop=asyncio.get_running_loop())
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._connections.add(transport)
        self._own = transport
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self._own)
        super().connection_lost(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smtp-port", type=int, default=1025)
    parser.add_argument("--http-port", type=int, default=8025)
    parser.add_argument("--dir", type=Path, required=True, help="the folder for the mails")
    options = parser.parse_args()
    sink = MailSink(options.dir, options.smtp_port, options.http_port)
    ended = threading.Event()
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, lambda *_: ended.set())
    sink.start()
    print(f"SMTP on {sink.smtp_host}:{sink.smtp_port}, mails on {sink.url}", flush=True)
    ended.wait()
    sink.stop()


if __name__ == "__main__":
    main()
