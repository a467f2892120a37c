"""The doors of mail and paper: names and addresses that would be headers, commands or pages of their own."""

from random import Random

from domain.access import Scope
from tests.doors.attacks import TEXTS, drawn
from tests.doors.report import Report
from tests.doors.web_doors import Web, signed_in
from tests.shop import Shop, line
from tests.web.pdf_text import pages_of
from usecases.errors import InvalidOrder

_HEADERS = {
    *("from", "to", "subject", "date", "message-id", "mime-version", "content-type", "content-language"),
    *("auto-submitted", "x-auto-response-suppress", "reply-to", "received", "return-path", "x-envelope-to"),
}
_MORE = (
    "Eve <x@evil.example>, you",
    "\u2028Bcc: thief@evil.example",
    "\U0001f409" * 100,
    "\u0645\u0631\u062d\u0628\u0627",
    "(/Name) Tj ET",
)


async def all_of(report: Report, web: Web, random: Random, count: int) -> None:
    """`count` orders, each with one of these in every free text: refused, or words in mail and on paper."""
    sku = await web.shop.lists(1_000)
    printer = await signed_in(web, Scope.SELLER, "acme")
    for text in drawn(random, [*TEXTS, *_MORE], count):
        body = web.shop.body(line(sku))
        body["customer"]["name"] = body["ship_to"]["name"] = text
        body["ship_to"] |= {"line1": text, "line2": text, "city": text, "region": text, "phone": text}
        try:
            order_id = await web.shop.place(body)
        except InvalidOrder as refused:
            report.note("names", repr(text[:40]), "refused", refused.reason)
            continue
        await web.shop.until(order_id, lambda status: bool(status.fulfillments))
        wrong = await _wrong_mail(web.shop, order_id, body["customer"]["email"])
        slip = await printer.get(f"/seller/orders/{order_id}/acme-1/slip.pdf")
        if slip.status_code != 200 or len(pages_of(slip.content)) != 1 or b"/JavaScript" in slip.content:
            wrong.append(f"slip: {slip.status_code} {slip.content[:100]!r}")
        report.note(
            "names",
            repr(text[:40]),
            "let in" if wrong else "harmless",
            "; ".join(wrong) or "words in mail and on paper",
        )
        await web.shop.orders.signal(order_id, "cancel", {})
        await web.shop.ended(order_id)
    await printer.aclose()


async def _wrong_mail(shop: Shop, order_id: str, email: str) -> list[str]:
    wrong = []
    for mail in await shop.mails(order_id, at_least=2):
        unknown = {name.lower() for name in mail.message} - _HEADERS
        if unknown or not {*mail.recipients} <= {email, "orders@acme.example"}:
            wrong.append(f"{mail.subject[:40]!r}: {unknown} to {mail.recipients}")
    return wrong
