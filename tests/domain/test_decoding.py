"""Bodies from outside: one JSON object that fits, or a refusal that names the field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog import Catalog
from domain.decoding import Refusal, decode
from domain.messages import MESSAGES, QUERIES, AddNote, Cancel, CarrierEvent, Pack, Ship, StatusQuery
from domain.placing import PlaceOrder

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def reason(model: type[Any], *arguments: Any) -> str:
    verdict = decode(model, arguments)
    assert isinstance(verdict, Refusal), verdict
    return verdict.reason


def test_a_query_may_come_without_a_body() -> None:
    assert decode(StatusQuery, ()) == StatusQuery()
    assert decode(StatusQuery, (None,)) == StatusQuery()
    assert decode(Cancel, ()) == Cancel()


def test_a_body_that_is_needed_must_come() -> None:
    assert reason(Ship) == "expected one JSON object, got 0 arguments"
    assert reason(Ship, None) == "expected one JSON object, got nothing"
    assert reason(Ship, {}, {}) == "expected one JSON object, got 2 arguments"
    assert reason(Ship, [1]) == "expected one JSON object, got an array"
    assert reason(Ship, "acme-1") == "expected one JSON object, got a text"


def test_each_wrong_field_is_named_and_its_value_is_not_repeated() -> None:
    words = reason(Pack, {"fulfillment_id": "a b", "parcels": [{"contents": []}], "extra": "secret"})
    assert "fulfillment_id: " in words
    assert "parcels.0.contents: " in words
    assert "extra: " in words
    assert "secret" not in words


@pytest.mark.parametrize(
    "by", ["Customer", "seller", "seller:", "seller:a b", "admin", "customer/", "support/ann lee", ""]
)
def test_who_sends_a_message_is_a_known_role(by: str) -> None:
    assert reason(AddNote, {"by": by, "text": "hello"}).startswith("by: ")


@pytest.mark.parametrize("by", ["customer", "support/ann", "seller:acme", "seller:acme/bob", "marketplace"])
def test_a_role_may_name_a_person_by_id(by: str) -> None:
    assert decode(AddNote, ({"by": by, "text": "hello"},)) == AddNote(by=by, text="hello")


def test_a_whole_number_is_an_integer_however_it_is_written() -> None:
    """As JSON Schema has it; half a unit stays refused."""
    contents = {"line_id": "1", "sku": "MUG", "quantity": 2.0}
    body = {"fulfillment_id": "acme-1", "parcels": [{"contents": [contents]}]}
    packed = decode(Pack, (body,))
    assert isinstance(packed, Pack)
    assert packed.parcels[0].contents[0].quantity == 2
    assert reason(Pack, body | {"parcels": [{"contents": [contents | {"quantity": 2.5}]}]}).startswith("parcels.0.")


def test_a_time_needs_its_offset() -> None:
    event = {"event_id": "1", "status": "in_transit", "parcel_id": "acme-1-p1", "occurred_at": "2025-06-02T12:00:00"}
    assert reason(CarrierEvent, event).startswith("occurred_at: ")
    assert isinstance(decode(CarrierEvent, ({**event, "occurred_at": "2025-06-02T12:00:00Z"},)), CarrierEvent)


@pytest.mark.parametrize("text", ["", "a\x00b", "x" * 2001])
def test_a_text_that_cannot_be_stored_is_refused(text: str) -> None:
    assert reason(AddNote, {"text": text}).startswith("text: ")


def test_half_a_character_is_refused_and_breaks_nothing() -> None:
    assert isinstance(decode(AddNote, ({"text": "\ud800"},)), Refusal)


def test_a_model_is_taken_as_its_json() -> None:
    note = AddNote(text="hello")
    assert decode(AddNote, (note,)) == note


@given(st.sampled_from([*(m.body for m in MESSAGES), *(q.body for q in QUERIES), PlaceOrder]), JSON)
def test_whatever_comes_is_decoded_or_refused(model: type[Any], junk: Any) -> None:
    assert isinstance(decode(model, (junk,)), (Refusal, model))


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"lines": [{}] * 500_000}, "500,000 values in one place"),
        ({f"f{number}": 1 for number in range(100_000)}, "100,000 values in one place"),
        ({"parcels": [{"contents": [{}] * 999} for _ in range(900)]}, "more than 10,000 values"),
        (json.loads('{"a":' * 900 + "1" + "}" * 900), "one that is nested more than 20 deep"),
    ],
    ids=["a list", "names", "lists in lists", "depth"],
)
def test_what_is_larger_than_any_body_is_refused_before_it_is_looked_at(body: Any, what: str) -> None:
    """Naming every wrong field of the first took 30 s; the last one was a RecursionError."""
    assert reason(PlaceOrder, body) == f"expected one JSON object, got {what}"
    assert reason(Pack, body) == f"expected one JSON object, got {what}"


def test_of_a_large_catalog_the_first_wrong_one_is_named() -> None:
    words = reason(Catalog, {"listings": [{}] * 200_000})
    assert words.count("listings.") == words.count("listings.0.") == 5


def test_the_name_of_a_field_that_nobody_knows_is_told_in_short() -> None:
    refusal = decode(PlaceOrder, ({"a" * 1_000_000: 1},))
    assert isinstance(refusal, Refusal)
    assert "a" * 100 + ": Extra inputs are not permitted" in refusal.reason
    assert len(refusal.reason) < 1_000
