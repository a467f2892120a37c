"""Tracking numbers: every example of the public collection, and what people really type."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.tracking_numbers import parse, refusal, tracking_url
from tests.data import data_folder


class Example(NamedTuple):
    courier: str
    name: str
    service: str
    number: str
    valid: bool


def examples(folder: Path) -> Iterator[Example]:
    for path in sorted(folder.glob("*.json")):
        file = json.loads(path.read_text())
        for service in file["tracking_numbers"]:
            for verdict, numbers in service["test_numbers"].items():
                for number in numbers:
                    yield Example(
                        file["courier_code"],
                        file["name"],
                        service["name"],
                        number,
                        verdict == "valid",
                    )


@pytest.fixture(scope="module")
def collection() -> list[Example]:
    return list(examples(data_folder() / "tracking_numbers"))


def test_the_collection_is_whole(collection: list[Example]) -> None:
    assert sum(example.valid for example in collection) == 104
    assert sum(not example.valid for example in collection) == 56


def test_every_valid_example_is_accepted_by_code_and_by_name(collection: list[Example]) -> None:
    refused = [
        (example, why)
        for example in collection
        for carrier in (example.courier, example.name)
        if example.valid and (why := refusal(carrier, example.number)) is not None
    ]
    assert refused == []


def test_every_invalid_example_is_refused(collection: list[Example]) -> None:
    accepted = [
        example for example in collection if not example.valid and refusal(example.courier, example.number) is None
    ]
    assert accepted == []


def test_every_valid_example_is_known_by_its_service(collection: list[Example]) -> None:
    for example in collection:
        if not example.valid:
            continue
        parsed = parse(example.number, example.courier)
        assert parsed is not None
        assert parsed.number == "".join(example.number.split())
        assert (parsed.courier_code, parsed.courier_name) == (example.courier, example.name)
        # The same digits can be two services of one courier: USPS 20 and Legacy differ by a prefix.
        if example.service != "USPS Legacy":
            assert parsed.service == example.service, example


def test_every_valid_example_is_recognized_without_a_carrier(collection: list[Example]) -> None:
    assert [each for each in collection if each.valid and parse(each.number) is None] == []


def test_a_mistyped_digit_is_told_from_another_form() -> None:
    assert refusal("ups", "1Z5R89390357567127") is None
    assert refusal("ups", "1Z5R89390357567126") == (
        "tracking_number 1Z5R89390357567126 has a wrong check digit for UPS"
    )
    assert refusal("ups", "1Z5R8939035756712") == (
        "tracking_number 1Z5R8939035756712 does not have the form of any UPS number"
    )


@pytest.mark.parametrize("carrier", ["UPS", " ups ", "U.P.S.", "United Parcel Service"])
def test_a_courier_is_known_however_its_name_is_written(carrier: str) -> None:
    parsed = parse("1z 5r8 9390 3575 6712 7", carrier)
    assert parsed is not None
    assert (parsed.number, parsed.courier_code) == ("1Z5R89390357567127", "ups")


@pytest.mark.parametrize("carrier", ["usps", "ups", "FedEx", "DHL"])
def test_couriers_that_hand_over_to_the_post_may_use_its_numbers(carrier: str) -> None:
    assert refusal(carrier, "9261290336128704042634") is None
    assert refusal(carrier, "9261290336128704042635") is not None


@pytest.mark.parametrize("carrier", ["usps", "canada-post", "s10"])
def test_posts_use_the_international_number(carrier: str) -> None:
    assert refusal(carrier, "RB 123 456 785 GB") is None
    assert refusal(carrier, "RR000000005US") is None  # a remainder of 0 has the check digit 5
    assert refusal(carrier, "RB123456785ZZ") is not None


def test_a_carrier_that_is_not_known_may_use_any_plain_number() -> None:
    parsed = parse(" ab-12 34 ", "Local Courier")
    assert parsed is not None
    assert parsed.model_dump() == {
        "number": "ab-1234",
        "courier_code": "local_courier",
        "courier_name": "Local Courier",
        "service": None,
        "tracking_url": None,
    }


@pytest.mark.parametrize("carrier", ["local-courier", "ups"])
@pytest.mark.parametrize("number", ["", "  ", "\t\n", "a" * 65, "a/b", "<b>", "12\x003", "\u0661\u0662", "№7"])
def test_numbers_that_no_courier_has(carrier: str, number: str) -> None:
    why = refusal(carrier, number)
    assert why is not None
    assert why.startswith("tracking_number ")
    assert parse(number, carrier) is None


@pytest.mark.parametrize("carrier", ["", "  ", "--", "x" * 65])
def test_a_carrier_needs_a_name(carrier: str) -> None:
    why = refusal(carrier, "1234")
    assert why is not None
    assert why.startswith("carrier ")


def test_the_page_of_a_parcel() -> None:
    assert tracking_url("fedex", "9865 7878 8855") == (
        "https://www.fedex.com/apps/fedextrack/?tracknumbers=986578788855"
    )
    assert tracking_url("canpar", "D576002440000001718010") == (
        "https://www.canpar.com/en/track/tracking.jsp?reference=D576002440000001718010&locale=en"
    )
    assert tracking_url("amazon", "TBA000000000000") is None
    assert tracking_url("local-courier", "1234") is None
    assert tracking_url("fedex", "986578788856") is None
    assert tracking_url("fedex", "32971514560102447849175802862014") is None


def test_a_number_without_a_carrier_is_taken_for_the_surest_courier() -> None:
    for number, courier in (
        ("RX123456785CN", "s10"),  # DHL E-Commerce has the form too, without a checksum
        ("9261290336128704042634", "usps"),  # others carry it before USPS
        ("1Z5R89390357567127", "ups"),
    ):
        parsed = parse(number)
        assert parsed is not None
        assert parsed.courier_code == courier
    assert parse("hello") is None
    assert parse("") is None


@given(carrier=st.sampled_from(["ups", "fedex", "usps", "dhl", "s10", "dpd", "x"]), number=st.text())
def test_a_number_is_refused_or_parsed_and_stays_itself(carrier: str, number: str) -> None:
    parsed = parse(number, carrier)
    assert (parsed is None) == (refusal(carrier, number) is not None)
    if parsed is not None:
        assert parse(parsed.number, carrier) == parsed


@given(place=st.integers(2, 17), digit=st.sampled_from("0123456789"))
def test_one_wrong_digit_of_a_ups_number_is_seen(place: int, digit: str) -> None:
    right = "1Z5R89390357567127"
    wrong = right[:place] + digit + right[place + 1 :]
    if right[place].isdigit() and place % 2 == 0 and digit != right[place]:
        assert refusal("ups", wrong) is not None


def test_it_is_light_enough_for_workflows() -> None:
    code = "import sys, domain.tracking_numbers, domain.shipping; print('holidays' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
