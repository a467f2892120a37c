"""The pages on which a developer reads the mails that the sink has received; they show and change nothing."""

from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

from localstack import ports
from localstack.mailbox import Mail, Mailbox

# A mail may carry anything that a customer has typed. The pages run no script, and the mail's own HTML is shown
# in a sandbox: nothing in it is loaded or run, and its links open in a tab of their own.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'"
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"

# Another site that has its name resolve to 127.0.0.1 must not read the mails through the visitor's browser.
_HOSTS = {"127.0.0.1", "localhost", "::1"}

_LISTED_MAX = 500

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; color: #1c2430 }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid #d5dbe3; padding: .4rem .6rem; text-align: left; vertical-align: top }
iframe { border: 1px solid #d5dbe3; height: 70vh; width: 100% }
pre { background: #f4f6f9; padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere }
"""


def mail_server(mailbox: Mailbox, port: int) -> ThreadingHTTPServer:
    """Bound to this machine only; the caller runs `serve_forever` and `server_close`."""

    class Handler(_Handler):
        pass

    Handler.mailbox = mailbox
    return ThreadingHTTPServer((ports.HOST, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    mailbox: Mailbox

    def do_GET(self) -> None:
        host = urlsplit("//" + self.headers.get("Host", "")).hostname
        if host not in _HOSTS:
            self._answer(HTTPStatus.FORBIDDEN, _page("Forbidden", "<p>Open this page as localhost.</p>"))
            return
        url = urlsplit(self.path)
        if url.path == "/":
            recipient = parse_qs(url.query).get("to", [""])[0].strip()
            self._answer(HTTPStatus.OK, _list_page(self.mailbox.all(recipient or None), recipient))
        elif url.path.startswith("/mails/"):
            mail_id, _, part = url.path.removeprefix("/mails/").partition("/")
            mail = self.mailbox.get(mail_id)
            if mail is None or part not in {"", "html"}:
                self._answer(HTTPStatus.NOT_FOUND, _page("Not found", "<p>There is no such mail.</p>"))
            elif part == "html":
                self._answer(HTTPStatus.OK, _links_in_new_tabs(mail.html), _MAIL_POLICY)
            else:
                self._answer(HTTPStatus.OK, _mail_page(mail))
        else:
            self._answer(HTTPStatus.NOT_FOUND, _page("Not found", "<p>There is no such page.</p>"))

    def log_message(self, format: str, *args: object) -> None:
        """Silence: a developer's clicks are no news in the terminal of `make up`."""

    def _answer(self, status: HTTPStatus, html: str, policy: str = _PAGE_POLICY) -> None:
        body = html.encode(errors="replace")
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def _list_page(mails: list[Mail], recipient: str) -> str:
    rows = "".join(
        f"<tr><td>{escape(mail.date)}</td>"
        f"<td>{'<br>'.join(_recipient_link(name) for name in mail.recipients)}</td>"
        f'<td><a href="/mails/{quote(mail.id)}">{escape(mail.subject) or "(no subject)"}</a></td></tr>'
        for mail in mails[:_LISTED_MAX]
    )
    count = f"{len(mails)} mails" + (f", the newest {_LISTED_MAX} shown" if len(mails) > _LISTED_MAX else "")
    return _page(
        f"Mails to {recipient}" if recipient else "Mails",
        f'<form><label>To <input name="to" value="{escape(recipient)}"></label> <button>Show</button> '
        f'<a href="/">all</a></form><p>{count}</p>'
        f"<table><tr><th>Date</th><th>To</th><th>Subject</th></tr>{rows}</table>",
    )


def _mail_page(mail: Mail) -> str:
    html = f'<iframe sandbox="{_SANDBOX}" src="/mails/{quote(mail.id)}/html" title="HTML part"></iframe>'
    return _page(
        mail.subject or "(no subject)",
        '<p><a href="/">All mails</a></p><table>'
        f"<tr><th>From</th><td>{escape(mail.sender)}</td></tr>"
        f"<tr><th>To</th><td>{', '.join(_recipient_link(name) for name in mail.recipients)}</td></tr>"
        f"<tr><th>Date</th><td>{escape(mail.date)}</td></tr>"
        f"<tr><th>Message-ID</th><td>{escape(mail.message_id)}</td></tr></table>"
        + (f"<h2>HTML</h2>{html}" if mail.html else "")
        + (f"<h2>Text</h2><pre>{escape(mail.text)}</pre>" if mail.text else ""),
    )


def _recipient_link(address: str) -> str:
    return f'<a href="/?to={quote(address, safe="")}">{escape(address)}</a>'


def _links_in_new_tabs(html: str) -> str:
    return html.replace("<head>", '<head><base target="_blank">', 1)


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )
