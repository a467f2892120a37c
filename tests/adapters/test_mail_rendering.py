"""Every kind of mail, rendered: the same facts in text and HTML, nothing foreign, nothing that runs."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from adapters.mail.formats import Formats
from adapters.mail.rendering import MailRenderer
from domain import mails
from domain.contacts import Contact
from domain.mails import Mail, MailLine, MailParcel, MailSubstitute, RenderedMail, mail_from_json, mail_to_json

NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=4)

LAMP = MailLine(
    sku="LAMP-7",
    title="Walnut Desk Lamp",
    quantity=2,
    unit_price=4_995,
    amount=9_990,
    seller="acme",
    estimated_from=NOW,
    estimated_until=LATER,
)
RUG = MailLine(sku="RUG-1", title="Wool Rug", quantity=1, unit_price=12_000, amount=12_000, seller="weavers")
ITEM = MailLine(sku="LAMP-7", title="Walnut Desk Lamp", quantity=2, seller="acme")
OTHER_ITEM = MailLine(sku="RUG-1", title="Wool Rug", quantity=1, seller="weavers")
PARCEL = MailParcel(
    carrier="UPS",
    tracking_number="1Z5R89390357567127",
    tracking_url="https://track.example/1Z5R89390357567127?a=1&b=2",
    lines=(ITEM,),
)
SECOND_PARCEL = MailParcel(carrier="Correios", tracking_number="AA123456785BR", lines=(OTHER_ITEM,))
CUSTOMER: Any = {"order_id": "1042"}
SELLER: Any = {"order_id": "1042", "to": "seller:acme", "fulfillment_id": "acme-1"}

SAMPLES: tuple[Mail, ...] = (
    mails.ConfirmedMail(
        key="1042:confirmed",
        lines=(LAMP, RUG),
        totals=mails.MailTotals(currency="BRL", items=21_990, shipping=1_500, tax=330, discount=1_000, total=22_820),
        shipping_method="Standard",
        **CUSTOMER,
    ),
    mails.ShippedMail(
        key="1042:shipped:acme-1",
        parcels=(PARCEL, SECOND_PARCEL),
        still_to_come=(MailLine(sku="MUG-3", title="Stone Mug", quantity=4),),
        estimated_from=NOW,
        estimated_until=LATER,
        charged=11_490,
        currency="BRL",
        **CUSTOMER,
    ),
    mails.OutForDeliveryMail(key="1042:out_for_delivery:p1", parcel=PARCEL, expected_by=LATER, **CUSTOMER),
    mails.DelayedMail(
        key="1042:delayed:p1",
        parcel=PARCEL,
        lines=(OTHER_ITEM,),
        promised_until=NOW,
        estimated_from=NOW + timedelta(days=2),
        estimated_until=LATER,
        reason="Roads are closed by snow.",
        **CUSTOMER,
    ),
    mails.DeliveredMail(
        key="1042:delivered:p1",
        parcel=PARCEL,
        delivered_at=NOW,
        received_by="Front desk",
        place="Lobby, São Paulo",
        still_to_come=(OTHER_ITEM,),
        **CUSTOMER,
    ),
    mails.OutOfStockMail(
        key="1042:out_of_stock:1",
        lines=(
            mails.MailShortLine(
                sku="LAMP-7",
                title="Walnut Desk Lamp",
                quantity=2,
                choices=("substitute", "wait", "refund", "cancel"),
                substitutes=(
                    MailSubstitute(sku="LAMP-8", title="Oak Desk Lamp", unit_price=5_250),
                    MailSubstitute(sku="LAMP-9", title="Brass Desk Lamp", unit_price=6_100),
                ),
                wait_until=LATER,
            ),
            mails.MailShortLine(sku="RUG-1", title="Wool Rug", quantity=1),
        ),
        decide_by=NOW,
        default="refund",
        currency="BRL",
        others_ship=True,
        **CUSTOMER,
    ),
    mails.ShortageSettledMail(
        key="1042:shortage_settled:1",
        lines=(
            mails.MailSettledLine(
                sku="LAMP-7",
                title="Walnut Desk Lamp",
                quantity=2,
                choice="substitute",
                substitute=MailSubstitute(sku="LAMP-8", title="Oak Desk Lamp", unit_price=5_250),
            ),
            mails.MailSettledLine(sku="RUG-1", title="Wool Rug", quantity=1, choice="refund", refund=12_000),
            mails.MailSettledLine(sku="MUG-3", title="Stone Mug", quantity=4, choice="wait", wait_until=LATER),
        ),
        currency="BRL",
        **CUSTOMER,
    ),
    mails.BackInStockMail(
        key="1042:back_in_stock:1",
        lines=(ITEM.model_copy(update={"estimated_from": NOW, "estimated_until": LATER}),),
        **CUSTOMER,
    ),
    mails.CancelledMail(
        key="1042:cancelled:1",
        lines=(ITEM, OTHER_ITEM),
        by="seller",
        reason="The lamp broke in the warehouse.",
        released=4_995,
        refunded=12_000,
        currency="BRL",
        **CUSTOMER,
    ),
    mails.CancellationRefusedMail(
        key="1042:cancellation_refused:1",
        lines=(ITEM,),
        reason="the parcel is with the carrier.",
        return_until=LATER,
        return_url="https://shop.example/returns/1042",
        **CUSTOMER,
    ),
    mails.RefundedMail(
        key="1042:refunded:1",
        amount=16_995,
        currency="BRL",
        reason="Lost on the way.",
        payments=(
            mails.MailRefundPart(kind="card", amount=15_000),
            mails.MailRefundPart(kind="voucher", amount=1_995),
        ),
        lines=(ITEM,),
        **CUSTOMER,
    ),
    mails.PaymentDeclinedMail(
        key="1042:payment_declined:1",
        amount=22_820,
        currency="BRL",
        reason="The card has expired.",
        retry_until=LATER,
        **CUSTOMER,
    ),
    mails.IssueOpenedMail(
        key="1042:issue_opened:1", issue="lost", lines=(OTHER_ITEM,), parcel=PARCEL, answer_by=LATER, **CUSTOMER
    ),
    mails.IssueResolvedMail(
        key="1042:issue_resolved:1",
        issue="damaged",
        remedy="refund",
        lines=(ITEM,),
        refund=9_990,
        currency="BRL",
        estimated_from=NOW,
        estimated_until=LATER,
        reason="No more of them are made.",
        **CUSTOMER,
    ),
    mails.AddressChangedMail(
        key="1042:address_changed:1", changed_at=NOW, by="support", not_affected=(ITEM,), **CUSTOMER
    ),
    mails.SellerNewOrderMail(
        key="1042:seller_new_order:acme-1",
        lines=(LAMP,),
        ship_by=LATER,
        shipping_method="Expedited",
        currency="BRL",
        **SELLER,
    ),
    mails.SellerCancelledMail(
        key="1042:seller_cancelled:acme-1",
        lines=(ITEM,),
        by="customer",
        reason="Ordered twice.",
        packed=True,
        **SELLER,
    ),
    mails.CancellationRequestedMail(
        key="1042:cancellation_requested:acme-1",
        lines=(ITEM,),
        answer_by=LATER,
        default="reject",
        reason="Ordered twice.",
        **SELLER,
    ),
    mails.ShipByWarningMail(key="1042:ship_by_warning:acme-1", lines=(ITEM,), ship_by=LATER, **SELLER),
    mails.ShipByMissedMail(key="1042:ship_by_missed:acme-1", lines=(ITEM,), ship_by=NOW, cancels_at=LATER, **SELLER),
    mails.OnHoldMail(key="1042:on_hold:acme-1", lines=(ITEM,), reason="Address is checked.", until=LATER, **SELLER),
    mails.HoldReleasedMail(key="1042:hold_released:acme-1", lines=(ITEM,), ship_by=LATER, **SELLER),
    mails.SellerAddressChangedMail(key="1042:address:1:acme-1", lines=(ITEM,), packed=True, **SELLER),
)

JOSE = Contact(name="José Álvares", email="jose@example.com", time_zone="America/Sao_Paulo")

# Said in words of their own (`choice`), or not meant to be read (`key`, and `seller` outside the confirmation).
UNSPOKEN = {
    "key", "to", "template", "order_id", "currency", "seller", "by", "confirmed_by", "choice", "choices",
    "decided_by", "default", "issue", "remedy", "kind",
}  # fmt: skip
MONEY = {"unit_price", "amount", "items", "shipping", "tax", "discount", "total", "refund", "charged", "released",
         "refunded"}  # fmt: skip

every_kind = pytest.mark.parametrize("mail", SAMPLES, ids=lambda mail: mail.template)


@pytest.fixture(scope="module")
def renderer() -> MailRenderer:
    return MailRenderer("Feira & Co")


class _Reader(HTMLParser):
    """What a person sees of a page, and where its links lead."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.seen += f" {dict(attrs).get('href') or ''} "

    def handle_endtag(self, tag: str) -> None:
        self.seen += " "

    def handle_data(self, data: str) -> None:
        self.seen += data


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader


def flat(words: str) -> str:
    return re.sub(r"\s+", " ", words)


def parts(rendered: RenderedMail) -> tuple[str, str]:
    return flat(rendered.text), flat(read(rendered.html).seen)


def spoken_facts(model: BaseModel, formats: Formats, currency: str) -> Iterator[str]:
    """Every value of a mail in the words in which its recipient should find it."""
    for name, value in model:
        if name in UNSPOKEN or value is None or value == "":
            continue
        if name in ("estimated_from", "estimated_until"):
            yield formats.window(getattr(model, "estimated_from"), getattr(model, "estimated_until"))  # noqa: B009
        elif isinstance(value, datetime):
            yield formats.day(value)
        elif name in MONEY and isinstance(value, int):
            yield formats.money(value, currency)
        elif isinstance(value, tuple):
            for part in value:
                yield from spoken_facts(part, formats, currency)
        elif isinstance(value, BaseModel):
            yield from spoken_facts(value, formats, currency)
        elif isinstance(value, (str, int)) and not isinstance(value, bool):
            yield str(value)


def currency_of(mail: Mail) -> str:
    return mail.totals.currency if isinstance(mail, mails.ConfirmedMail) else getattr(mail, "currency", "")


def test_there_is_a_sample_of_every_kind() -> None:
    union = get_args(get_args(Mail)[0])
    assert {type(mail) for mail in SAMPLES} == set(union)
    assert len(SAMPLES) == len(union)


@every_kind
def test_both_parts_hold_every_fact(mail: Mail, renderer: MailRenderer) -> None:
    rendered = renderer.render(mail, JOSE, page_url="https://shop.example/o/1042?key=a&lang=en")
    facts = {*spoken_facts(mail, Formats.of(JOSE), currency_of(mail)), "José Álvares", "Feira & Co", "1042"}
    for part in parts(rendered):
        assert [fact for fact in facts if flat(fact) not in part] == []


@every_kind
def test_subject_is_one_line_that_names_the_order(mail: Mail, renderer: MailRenderer) -> None:
    subject = renderer.render(mail, JOSE).subject
    assert "1042" in subject
    assert subject.isprintable()
    assert len(subject) < 110


@every_kind
def test_without_a_page_the_recipient_is_told_how_to_answer(mail: Mail, renderer: MailRenderer) -> None:
    for part in parts(renderer.render(mail, JOSE)):
        assert "reply to this email" in part.lower()
    for part in parts(MailRenderer("Feira", support_email="help@shop.example").render(mail, JOSE)):
        assert "help@shop.example" in part
        assert "reply to this email" not in part.lower()


@every_kind
def test_html_suits_a_phone_and_loads_nothing(mail: Mail, renderer: MailRenderer) -> None:
    rendered = renderer.render(mail, JOSE, page_url="https://shop.example/o/1042")
    tags = read(rendered.html).tags
    assert ("html", {"lang": "en"}) in tags
    assert not {"img", "script", "link", "style", "iframe"} & {tag for tag, _ in tags}
    assert 'name="viewport"' in rendered.html
    assert "max-width:600px" in rendered.html
    assert "url(" not in rendered.html


@every_kind
def test_text_lines_are_short(mail: Mail, renderer: MailRenderer) -> None:
    lines = renderer.render(mail, JOSE).text.splitlines()
    assert [line for line in lines if len(line) > 80 and "https://" not in line] == []
    assert "\n\n\n" not in renderer.render(mail, JOSE).text


@every_kind
def test_user_text_is_shown_and_never_run(mail: Mail, renderer: MailRenderer) -> None:
    evil = "<script>alert('x')</script> & \"{{ 7*7 }}\""
    rendered = renderer.render(reworded(mail, evil), JOSE.model_copy(update={"name": evil}))
    assert not [tag for tag, _ in read(rendered.html).tags if tag == "script"]
    for part in parts(rendered):
        assert evil in part
    assert "&amp;lt;" not in rendered.html, "escaped twice"


@every_kind
def test_a_title_of_any_length_stays_whole_and_in_its_line(mail: Mail, renderer: MailRenderer) -> None:
    endless = "Lamp\r\n--\r\nTotal: R$0.01 \u2028" + "x" * 400
    rendered = renderer.render(reworded(mail, endless), JOSE)
    assert "\n--\nTotal: R$0.01" not in rendered.text
    assert "x" * 400 in rendered.text
    assert "x" * 400 in rendered.html
    assert len(rendered.subject) < 140


def reworded(mail: Mail, words: str) -> Mail:
    """The same mail with `words` wherever a person or another system may have written something."""
    free = {"title", "reason", "note", "received_by", "place", "sku", "carrier", "tracking_number"}

    def swap(value: Any) -> Any:
        if isinstance(value, list):
            return [swap(item) for item in value]
        if isinstance(value, dict):
            return {name: words if name in free else swap(item) for name, item in value.items()}
        return value

    return mail_from_json(json.dumps(swap(mail.model_dump(mode="json"))))


def test_a_link_that_is_no_web_address_is_not_clickable(renderer: MailRenderer) -> None:
    parcel = PARCEL.model_copy(update={"tracking_url": "javascript:alert(1)"})
    mail = mails.OutForDeliveryMail(key="k", parcel=parcel, **CUSTOMER)
    rendered = renderer.render(mail, JOSE, page_url="javascript:alert(2)")
    assert not [tag for tag in read(rendered.html).tags if tag[0] == "a"]


def test_a_sellers_mail_holds_its_own_lines_only() -> None:
    for sample in SAMPLES:
        if sample.to == "customer":
            continue
        with pytest.raises(ValidationError, match="weavers"):
            type(sample).model_validate({**dict(sample), "lines": (LAMP, RUG)})


@every_kind
def test_a_sellers_mail_shows_nothing_of_the_customer_or_another_seller(mail: Mail, renderer: MailRenderer) -> None:
    if mail.to == "customer":
        return
    seller = Contact(name="Acme", email="orders@acme.example")
    rendered = renderer.render(mail, seller)
    for foreign in ("weavers", "RUG-1", "Wool Rug", "José", "jose@example.com"):
        assert foreign not in rendered.text + rendered.html


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (123_456, "USD", "$1,234.56"),
        (22_820, "BRL", "R$228.20"),
        (-1_000, "EUR", "-€10.00"),
        (1_234, "JPY", "¥1,234"),
        (1_234, "BHD", "BHD\N{NO-BREAK SPACE}1.234"),
        (1_050, "RSD", "RSD\N{NO-BREAK SPACE}10.50"),  # CLDR shows no decimals here, yet the minor unit is a hundredth
        (5, "CLF", "CLF\N{NO-BREAK SPACE}0.0005"),
        (10**12, "USD", "$10,000,000,000.00"),
    ],
)
def test_amounts(amount: int, currency: str, written: str) -> None:
    assert Formats.of(JOSE).money(amount, currency) == written


@pytest.mark.parametrize(
    ("contact", "written"),
    [
        (JOSE, "Thu, Nov 26, 2026, 5:00 PM Brasilia Standard Time"),
        (JOSE.model_copy(update={"time_zone": "Asia/Tokyo"}), "Fri, Nov 27, 2026, 5:00 AM Japan Standard Time"),
        (JOSE.model_copy(update={"language": "en-GB"}), "Thu, 26 Nov 2026, 17:00 Brasilia Standard Time"),
        (JOSE.model_copy(update={"language": "pt-BR"}), "Thu, Nov 26, 2026, 5:00 PM Brasilia Standard Time"),
        (JOSE.model_copy(update={"language": "?"}), "Thu, Nov 26, 2026, 5:00 PM Brasilia Standard Time"),
        (JOSE.model_copy(update={"time_zone": "Mars/Base"}), "Thu, Nov 26, 2026, 8:00 PM Coordinated Universal Time"),
        (JOSE.model_copy(update={"time_zone": ""}), "Thu, Nov 26, 2026, 8:00 PM Coordinated Universal Time"),
        (JOSE.model_copy(update={"time_zone": "../x"}), "Thu, Nov 26, 2026, 8:00 PM Coordinated Universal Time"),
    ],
)
def test_moments_are_told_in_the_recipients_zone(contact: Contact, written: str) -> None:
    assert Formats.of(contact).time(NOW) == written


def test_windows() -> None:
    formats = Formats.of(JOSE)
    assert formats.window(NOW, LATER) == "Thu, Nov 26 \N{EN DASH} Mon, Nov 30, 2026"
    assert formats.window(NOW, NOW + timedelta(hours=1)) == "Thu, Nov 26, 2026"
    assert formats.window(None, LATER) == "by Mon, Nov 30, 2026"
    assert formats.window(NOW, None) == "from Thu, Nov 26, 2026"
    assert formats.window(None, None) == ""


def test_a_reason_ends_before_the_next_sentence_begins(renderer: MailRenderer) -> None:
    mail = mails.CancellationRequestedMail(key="k", lines=(ITEM,), answer_by=NOW, reason="Ordered twice", **SELLER)
    assert "Reason: Ordered twice. Please" in parts(renderer.render(mail, JOSE))[0]


@every_kind
def test_json_gives_the_same_mail_back(mail: Mail) -> None:
    assert mail_from_json(mail_to_json(mail)) == mail


def test_json_is_small_tells_its_kind_and_ignores_what_a_newer_release_added() -> None:
    mail = mails.BackInStockMail(key="k", lines=(MailLine(sku="A", title="B", quantity=1),), **CUSTOMER)
    written = json.loads(mail_to_json(mail))
    assert written == {
        "template": "back_in_stock",
        "key": "k",
        "order_id": "1042",
        "lines": [{"sku": "A", "title": "B", "quantity": 1}],
    }
    assert mail_from_json(json.dumps(written | {"newer": 1})) == mail
    with pytest.raises(ValidationError):
        mail_from_json(json.dumps(written | {"template": "newer"}))
