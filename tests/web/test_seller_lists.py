"""Lists of tracking numbers from a spreadsheet: read as people save them, written to be sent again."""

import pytest

from usecases.errors import InvalidMessage
from usecases.shipping_list import (
    ROWS_MAX,
    ListedParcel,
    ListedRow,
    decoded_text,
    list_to_fill_in,
    read_list,
    rows_again,
)

ROW = ListedRow(2, "1042", "acme-1", "UPS", "1Z 999")


@pytest.mark.parametrize(
    "text",
    [
        "order_id,fulfillment_id,carrier,tracking_number\n1042,acme-1,UPS,1Z 999\n",
        "\ufefforder_id;fulfillment_id;carrier;tracking_number\r\n1042;acme-1;UPS;1Z 999\r\n",
        "Order_ID\tFULFILLMENT_ID\tcarrier\ttracking_number\n 1042 \tacme-1\tUPS\t1Z 999",
        'carrier,items,tracking_number,order_id,fulfillment_id\nUPS,"2 x MUG, blue",1Z 999,1042,acme-1\n,,,,\n',
    ],
    ids=["commas", "semicolons and a mark", "tabs", "any order, other columns, an empty row"],
)
def test_a_list_is_read_as_spreadsheets_save_it(text: str) -> None:
    assert read_list(text) == (ROW,)


def test_a_row_may_name_a_parcel_and_ask_for_packing() -> None:
    text = (
        "order_id,fulfillment_id,carrier,tracking_number,parcel_id,pack\n1,a-1,UPS,1Z,a-1-p2,Yes\n2,a-1,,,,no\n3,a-1\n"
    )
    first, second, third = read_list(text)
    assert (first.parcel_id, first.pack) == ("a-1-p2", True)
    assert (second.carrier, second.pack) == ("", False)
    assert (third.number, third.tracking_number) == (4, "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  \n \n", "empty"),
        ("1042,acme-1,UPS,1Z", "it has no order_id, fulfillment_id, carrier, tracking_number"),
        ("order_id,carrier,tracking_number\n", "it has no fulfillment_id"),
        ("order_id,fulfillment_id,carrier,tracking_number\n" + "1,a-1,UPS,1Z\n" * (ROWS_MAX + 1), "at most 2,000"),
        ("PK\x00\x03", "no text"),
    ],
)
def test_what_is_no_such_list_is_refused_as_a_whole(text: str, words: str) -> None:
    with pytest.raises(InvalidMessage, match=words):
        read_list(text)


def test_a_file_is_utf8_with_or_without_a_mark() -> None:
    assert decoded_text("\ufeffZoë".encode()) == decoded_text("Zoë".encode()) == "Zoë"
    with pytest.raises(InvalidMessage, match="UTF-8"):
        decoded_text("Zoë".encode("latin-1"))


def test_what_is_written_can_be_read_again() -> None:
    filled = list_to_fill_in([ListedParcel("1042", "acme-1", "acme-1-p1", "Mon, Nov 30", "2 x MUG, 1 x POT")])
    assert read_list(filled) == (ListedRow(2, "1042", "acme-1", "", "", "acme-1-p1"),)
    rows = (ROW, ListedRow(3, "7", "acme-2", "local; courier", 'a "b"', "acme-2-p1", pack=True))
    assert read_list(rows_again(rows)) == rows
