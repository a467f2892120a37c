"""What a packer scans or types becomes contents of parcels, and refusals find their way back to it."""

import pytest

from domain.messages import Packed
from usecases.scanning import (
    ParcelText,
    Scan,
    ScannedBox,
    ToPack,
    Unread,
    boxes,
    lacking,
    read_scans,
    trouble_of,
)

LIST = (
    ToPack(line_id="1", sku="MUG", to_pack=2),
    ToPack(line_id="2", sku="4006381333931", to_pack=1),
    ToPack(line_id="3", sku="MUG", to_pack=1),
)


@pytest.mark.parametrize(
    ("line", "sku", "quantity", "damaged"),
    [
        ("MUG", "MUG", 1, False),
        ("  mug  ", "MUG", 1, False),
        ("MUG x 3", "MUG", 3, False),
        ("MUG x3", "MUG", 3, False),
        ("MUG × 3", "MUG", 3, False),
        ("MUG * 3", "MUG", 3, False),
        ("3 x MUG", "MUG", 3, False),
        ("3x mug", "MUG", 3, False),
        ("MUG damaged", "MUG", 1, True),
        ("2 x MUG (Damaged)", "MUG", 2, True),
        ("4006381333931", "4006381333931", 1, False),
        ("4006381333931 x 2", "4006381333931", 2, False),
        ("2 x 4006381333931", "4006381333931", 2, False),
        ("LAMP", "LAMP", 1, False),
        ("lamp x 2", "lamp", 2, False),
    ],
)
def test_a_line_is_a_sku_and_how_many_of_it(line: str, sku: str, quantity: int, damaged: bool) -> None:
    assert read_scans(line, [one.sku for one in LIST]) == (Scan(1, sku, quantity, damaged),)


@pytest.mark.parametrize("line", ["two mugs please", "MUG x 0", "MUG x 10001", "MUG x", "x" * 65, "MUG\x07"])
def test_what_is_no_sku_is_not_guessed_at(line: str) -> None:
    assert read_scans(f"MUG\n\n{line}", ["MUG"])[1:] == (Unread(3, line.strip()),)


def test_a_sku_that_looks_like_a_quantity_is_the_one_on_the_list() -> None:
    assert read_scans("12 x 7", ["12"]) == (Scan(1, "12", 7, False),)
    assert read_scans("12 x 7", ["7"]) == (Scan(1, "7", 12, False),)


def _boxes(*contents: str) -> tuple[ScannedBox, ...]:
    found, troubles = boxes([ParcelText(contents=text) for text in contents], LIST)
    assert troubles == ()
    return found


def test_units_of_a_sku_fill_its_lines_one_after_the_other() -> None:
    first, second = _boxes("MUG\nMUG", "MUG\n4006381333931")
    assert first.box.contents == (Packed(line_id="1", sku="MUG", quantity=2),)
    assert second.box.contents == (
        Packed(line_id="3", sku="MUG", quantity=1),
        Packed(line_id="2", sku="4006381333931", quantity=1),
    )
    assert lacking((first, second), LIST) == {}
    assert lacking((first,), LIST) == {"MUG": (2, 3), "4006381333931": (0, 1)}


def test_too_many_go_onto_the_last_line_where_the_order_counts_them() -> None:
    (one,) = _boxes("MUG x 5")
    assert [(packed.line_id, packed.quantity) for packed in one.box.contents] == [("1", 2), ("3", 3)]


def test_an_item_that_is_not_on_the_list_is_put_to_the_order_in_the_place_of_what_lacks() -> None:
    (one,) = _boxes("MUG x 3\nLAMP")
    assert one.box.contents[-1] == Packed(line_id="2", sku="LAMP", quantity=1)
    assert one.rows == (1, 1, 2)


def test_the_order_is_heard_at_the_parcel_and_the_line_that_it_speaks_of() -> None:
    scanned, _ = boxes([ParcelText(), ParcelText(contents="MUG\n\nLAMP", weight_grams="900")], LIST)
    assert scanned[0].box.weight_grams == 900
    refusal = "parcels.0.contents.1.sku: wrong item: LAMP packed, MUG ordered"
    trouble = trouble_of(refusal, scanned)
    assert (trouble.parcel, trouble.field, trouble.words) == (
        1,
        "contents",
        "Line 3: wrong item: LAMP packed, MUG ordered",
    )
    no_line = trouble_of("parcels.0.contents.0.line_id: '1' is not to be packed in acme-1", scanned)
    assert no_line.words == "Line 1: nothing of MUG is left to pack"
    sentence = "a damaged MUG must not leave; reject_lines tells of it"
    assert trouble_of(f"parcels.0.contents.0.condition: {sentence}", scanned).words == f"Line 1: {sentence}"
    assert trouble_of("on hold (hold-1: fraud): release_hold comes first", scanned).parcel is None


def test_nothing_is_packed_while_something_cannot_be_read() -> None:
    _, troubles = boxes([ParcelText(contents="MUG\nwhat is this", weight_grams="1.5 kg")], LIST)
    assert [(trouble.parcel, trouble.field) for trouble in troubles] == [(0, "contents"), (0, "weight_grams")]
    assert "Line 2: 'what is this'" in troubles[0].words
    assert [trouble.words for trouble in boxes([ParcelText(contents=" \n ")], LIST)[1]] == ["Nothing is scanned yet."]


def test_more_than_anybody_packs_is_refused_before_it_costs_anything() -> None:
    assert "5,000 lines" in boxes([ParcelText(contents="MUG\n" * 6_000)], LIST)[1][0].words
    assert "100 parcels" in boxes([ParcelText(contents="MUG")] * 101, LIST)[1][0].words
    strangers = "\n".join(f"SKU-{number}" for number in range(600))
    assert "another order" in boxes([ParcelText(contents=strangers)], LIST)[1][0].words
    (one,) = _boxes("MUG x 10000\nMUG x 10000")
    assert one.box.contents[-1].quantity == 10_000
