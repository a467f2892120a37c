"""Packing slips and labels: what stands on them, whatever is put onto them."""

import re

import pytest
from reportlab.graphics.barcode.code128 import Code128

from domain.placing import Address
from tests.web.pdf_text import contents_of, pages_of
from web.documents.fonts import REGULAR, cannot_be_printed, printable, register_fonts, width, wrapped
from web.documents.labels import ParcelLabel, parcel_labels
from web.documents.slips import Slip, SlipItem, SlipParcel, packing_slips

HOME = Address(
    name="Zoë Müller-Łukasiewicz",
    line1="Straße des 17. Juni 135",
    line2="Hinterhaus",
    city="Berlin",
    postal_code="10623",
    country="DE",
    phone="+49 30 1234567",
)
MUG = SlipItem(sku="MUG-BLUE", title="Crème brûlée mug, blue", quantity=2)


def _slip(**changes: object) -> Slip:
    facts = {
        "order_id": "1043",
        "fulfillment_id": "acme-1",
        "seller_name": "Acme Kitchen",
        "shop_name": "OpenOrders",
        "location": "acme-ny",
        "method": "Expedited",
        "placed": "Fri, Nov 27, 2026",
        "ship_by": "Mon, Nov 30, 2026, 11:59 PM",
        "ship_to": HOME,
        "items": (MUG,),
    }
    return Slip.model_validate(facts | changes)


def _label(**changes: object) -> ParcelLabel:
    facts = {
        "order_id": "1043",
        "parcel_id": "acme-1-p1",
        "number": 1,
        "of": 2,
        "seller_name": "Acme Kitchen",
        "location": "acme-ny",
        "ship_to": HOME,
        "carrier": "UPS",
        "tracking_number": "1Z5R89390357567127",
        "method": "Expedited",
        "ship_by": "Mon, Nov 30, 2026",
        "weight_grams": 1250,
    }
    return ParcelLabel.model_validate(facts | changes)


def test_a_slip_says_what_goes_where_until_when_and_no_price() -> None:
    parcels = (SlipParcel(parcel_id="acme-1-p1", items=(MUG,)),)
    [page] = pages_of(packing_slips([_slip(parcels=parcels)]))
    for words in (
        *("Acme Kitchen", "Packing slip", "1043 acme-1", "Zoë Müller-Łukasiewicz", "Straße des 17. Juni 135"),
        *("Hinterhaus", "Berlin 10623", "Germany", "+49 30 1234567", "Mon, Nov 30, 2026, 11:59 PM", "Expedited"),
        *("acme-ny", "MUG-BLUE", "Crème brûlée mug, blue", "Parcel acme-1-p1: 2 x MUG-BLUE", "page 1 of 1"),
    ):
        assert words in page.split("\n"), words
    assert not re.search(r"[$€£]|\d[.,]\d\d\b", page)


def test_the_same_slips_and_labels_are_the_same_bytes() -> None:
    assert packing_slips([_slip(), _slip()]) == packing_slips([_slip(), _slip()])
    assert parcel_labels([_label()]) == parcel_labels([_label()])
    assert packing_slips([_slip()]) != packing_slips([_slip()], letter=True)


def test_many_items_go_on_on_further_pages_and_none_is_lost() -> None:
    items = tuple(SlipItem(sku=f"SKU-{number}", title="A thing " * 20, quantity=number + 1) for number in range(60))
    pages = pages_of(packing_slips([_slip(items=items), _slip()]))
    assert len(pages) > 3
    assert [line for line in "\n".join(pages).split("\n") if line.startswith("SKU-")] == [item.sku for item in items]
    count = len(pages) - 1
    assert all(f"page {number} of {count}" in page for number, page in enumerate(pages[:-1], start=1))
    assert all("Order 1043 acme-1, continued" in page for page in pages[1:-1])
    assert "page 1 of 1" in pages[-1]


def test_nothing_is_wider_than_its_room() -> None:
    register_fonts()
    for text in ("a title of many words " * 20, "X" * 200, "short"):
        lines = wrapped(text, REGULAR, 10, 120)
        assert all(width(line, REGULAR, 10) <= 120 for line in lines)
        assert "".join("".join(lines).split()) == "".join(text.split())
    assert packing_slips([_slip(items=(SlipItem(sku="S" * 64, title="T" * 200, quantity=10_000),))])


def test_a_label_says_from_whom_to_whom_and_by_whom() -> None:
    [page] = pages_of(parcel_labels([_label()]))
    lines = page.split("\n")
    for words in (
        *("Acme Kitchen", "acme-ny", "1 of 2", "acme-1-p1", "Zoë Müller-Łukasiewicz", "Straße des 17. Juni 135"),
        *("Germany", "UPS", "Expedited", "1.25 kg", "1Z5R89390357567127", "order 1043", "ship by Mon, Nov 30, 2026"),
    ):
        assert words in lines, (words, lines)
    assert "not weighed" in pages_of(parcel_labels([_label(weight_grams=None)]))[0]


def test_an_address_as_long_as_it_may_be_stays_in_its_place() -> None:
    long = Address(
        **dict.fromkeys(("name", "line1", "line2", "city", "region", "postal_code", "phone"), "Wide " * 40),
        country="US",
    )
    [page] = pages_of(parcel_labels([_label(ship_to=long, seller_name="S" * 200, tracking_number="9" * 64)]))
    assert "9" * 64 in page
    assert page.count("Wide") < 7 * 40  # what has no room is left off, and covers nothing else


def test_bars_say_the_part_on_a_slip_and_the_number_on_a_label() -> None:
    """Each bar is a rectangle: their widths are those of the code, in its order."""
    assert _bars(packing_slips([_slip()])) == _modules("1043 acme-1")
    assert _bars(parcel_labels([_label()])) == _modules("1Z5R89390357567127")


def _bars(pdf: bytes) -> list[int]:
    [content] = contents_of(pdf)
    rectangles = re.findall(rb" ([\d.]+) ([\d.]+) re ", content)
    widths = [float(width) for width, height in rectangles if float(height) > 30]
    return [round(width / min(widths)) for width in widths]


def _modules(text: str) -> list[int]:
    """Capital letters are bars, small ones the room between: A and a are one wide, B and b two."""
    code = Code128(text, quiet=False)
    for step in (code.validate, code.encode, code.decompose):
        step()
    return [ord(letter) - ord("A") + 1 for letter in code.decomposed if letter.isupper()]


@pytest.mark.parametrize(
    ("text", "printed", "lost"),
    [
        ("Ångström, Škoda, İstanbul, Łódź", "Ångström, Škoda, İstanbul, Łódz", False),
        ("Nguyễn Thị Hương", "Nguyen Thi Huong", False),
        ("Zoe\u0308", "Zoë", False),
        ("Straẞe\u2009x", "StraSSe x", False),
        ("Иван", "????", True),
        ("really?", "really?", False),
    ],
)
def test_letters_that_the_font_lacks_lose_their_accents_and_others_are_told_of(
    text: str, printed: str, lost: bool
) -> None:
    assert printable(text) == printed
    assert cannot_be_printed(text) is lost


def test_paper_says_so_where_letters_are_missing_on_it() -> None:
    moscow = HOME.model_copy(update={"name": "Иван"})
    assert "Some letters could not be printed" in pages_of(packing_slips([_slip(ship_to=moscow)]))[0]
    assert "LETTERS ARE MISSING" in pages_of(parcel_labels([_label(ship_to=moscow)]))[0]
