"""The mail sink, by SMTP on one side and HTTP on the other."""

import contextlib
import gc
import http.client
import smtplib
import socket
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from localstack.mailsink import MailSink


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[MailSink]:
    sink = MailSink(tmp_path / "mails")
    sink.start()
    yield sink
    sink.stop()


def mail(subject: str = "Your order", to: str = "ada@example.org", html: str = "<p>Hello</p>") -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "shop@example.org"
    message["To"] = to
    message["Message-ID"] = "<1042.confirmed@example.org>"
    message.set_content("Größe: 42 <b>")
    message.add_alternative(html, subtype="html")
    return message


def send(sink: MailSink, message: EmailMessage) -> None:
    with smtplib.SMTP(sink.smtp_host, sink.smtp_port) as server:
        server.send_message(message)


def get(sink: MailSink, path: str, host: str = "localhost") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(str(urlsplit(sink.url).netloc))
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, answer.getheader("Content-Security-Policy") or ""


def test_a_mail_is_kept_whole(sink: MailSink) -> None:
    send(sink, mail())
    (kept,) = sink.mailbox.all()
    assert (kept.subject, kept.sender, kept.recipients) == ("Your order", "shop@example.org", ("ada@example.org",))
    assert kept.message_id == "<1042.confirmed@example.org>"
    assert kept.text == "Größe: 42 <b>\n"
    assert kept.html == "<p>Hello</p>\n"
    assert [path.suffix for path in sink.mailbox.folder.iterdir()] == [".eml"]


def test_mails_come_newest_first_and_by_recipient(sink: MailSink) -> None:
    for subject, to in (("1", "ada@example.org"), ("2", "bob@example.org"), ("3", "ada@example.org")):
        send(sink, mail(subject, to))
    assert [kept.subject for kept in sink.mailbox.all()] == ["3", "2", "1"]
    assert [kept.subject for kept in sink.mailbox.all("ADA@example.org")] == ["3", "1"]
    _, page, _ = get(sink, f"/?to={quote('bob@example.org')}")
    assert "1 mails" in page


def test_mails_about_an_order_are_known_by_their_message_id(sink: MailSink) -> None:
    for subject in ("1", "2"):
        send(sink, mail(subject))
    assert [kept.subject for kept in sink.mailbox.about("1042")] == ["1", "2"]
    assert sink.mailbox.about("104") == sink.mailbox.about("42") == []


def test_it_refuses_on_demand_and_takes_mail_again(sink: MailSink) -> None:
    sink.refuse(True)
    with pytest.raises(smtplib.SMTPDataError, match="451"):
        send(sink, mail())
    assert sink.mailbox.all() == []
    sink.refuse(False)
    send(sink, mail())
    assert len(sink.mailbox.all()) == 1


def test_stopped_it_is_a_mail_server_that_is_down_and_comes_back_with_its_mails(sink: MailSink) -> None:
    send(sink, mail())
    port = sink.smtp_port
    sink.stop()
    with pytest.raises(ConnectionRefusedError):
        send(sink, mail())
    sink.start()
    send(sink, mail())
    assert sink.smtp_port == port
    assert len(sink.mailbox.all()) == 2


def test_stopping_cuts_off_whoever_is_still_connected(sink: MailSink) -> None:
    server = smtplib.SMTP(sink.smtp_host, sink.smtp_port)
    sink.stop()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        server.noop()
    gc.collect()  # an unclosed socket would be noticed here


def test_stopping_leaves_no_socket_of_those_who_come_at_that_moment(sink: MailSink) -> None:
    enough = threading.Event()

    def knock() -> None:
        while not enough.is_set():
            with contextlib.suppress(OSError), socket.create_connection((sink.smtp_host, sink.smtp_port), 1):
                pass

    guests = [threading.Thread(target=knock) for _ in range(4)]
    for guest in guests:
        guest.start()
    for _ in range(30):
        sink.stop()
        sink.start()
    enough.set()
    for guest in guests:
        guest.join()
    sink.stop()
    gc.collect()  # an unclosed socket would be noticed here


def test_nothing_in_a_mail_becomes_part_of_the_page(sink: MailSink) -> None:
    send(sink, mail(subject="<script>alert(1)</script>", html="<html><head></head><script>alert(2)</script></html>"))
    (kept,) = sink.mailbox.all()
    for path in ("/", f"/mails/{kept.id}", "/?to=%22%3E%3Cscript%3E"):
        status, page, policy = get(sink, path)
        assert status == 200
        assert "<script" not in page
        assert policy.startswith("default-src 'none'")
    _, page, _ = get(sink, f"/mails/{kept.id}")
    assert '<iframe sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "Größe: 42 &lt;b&gt;" in page
    _, html, policy = get(sink, f"/mails/{kept.id}/html")
    assert "alert(2)" in html
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy


def test_a_mail_without_html_or_subject_or_sense_is_shown_too(sink: MailSink) -> None:
    with smtplib.SMTP(sink.smtp_host, sink.smtp_port) as server:
        server.sendmail(
            "shop@example.org", ["ada@example.org"], b"Content-Type: text/plain; charset=none\r\n\r\n\xff\xfe"
        )
    (kept,) = sink.mailbox.all()
    assert get(sink, "/")[0] == 200
    assert get(sink, f"/mails/{kept.id}")[0] == 200


@pytest.mark.parametrize("path", ["/mails/none", "/mails/..%2f..%2fetc%2fpasswd", "/other", "/mails/"])
def test_what_is_not_there_is_not_found(sink: MailSink, path: str) -> None:
    assert get(sink, path)[0] == 404


def test_another_sites_name_for_this_machine_is_turned_away(sink: MailSink) -> None:
    assert get(sink, "/", host="evil.example:8025")[0] == 403
