"""The files in `schemas/` are what the models say, and the examples are good ones."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from domain.catalog import Catalog
from domain.decoding import Refusal, decode
from domain.messages import MESSAGES, QUERIES, CarrierEvent, Ship
from domain.tracking_numbers import refusal
from tests.bad_input import BODIES, EXAMPLES, example
from usecases.schemas import SCHEMAS, generated_files, render, schemas


def test_the_files_are_what_the_models_say() -> None:
    """Where this fails: `python -m usecases.schemas`."""
    assert {name: (SCHEMAS / name).read_text(encoding="utf-8") for name in generated_files()} == {
        name: render(document) for name, document in schemas().items()
    }


def test_there_is_a_schema_of_every_message_query_and_result() -> None:
    expected = {"order.json", "catalog.json", "results/order.json"}
    expected |= {f"messages/{m.name}.json" for m in MESSAGES} | {f"queries/{q.name}.json" for q in QUERIES}
    expected |= {f"results/{name}.json" for name in BODIES}
    assert generated_files() == expected


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(schemas()[name])


# Sent by our own store, whose builds may differ: extra fields are ignored there.
INTERNAL = "messages/stock_allocated.json"
FROM_OUTSIDE = [name for name in sorted(schemas()) if not name.startswith("results/") and name != INTERNAL]


@pytest.mark.parametrize("name", FROM_OUTSIDE)
def test_no_object_from_outside_takes_unknown_fields(name: str) -> None:
    assert [where for where, node in objects_in(schemas()[name]) if node.get("additionalProperties") is not False] == []


@pytest.mark.parametrize("name", sorted(schemas()))
def test_patterns_are_anchored(name: str) -> None:
    patterns = [node["pattern"] for node in dicts_in(schemas()[name]) if isinstance(node.get("pattern"), str)]
    assert [pattern for pattern in patterns if not (pattern.startswith("^") and pattern.endswith("$"))] == []


def test_the_example_catalog_is_good_and_lists_what_the_example_orders_buy() -> None:
    catalog = decode(Catalog, (example("catalog"),))
    assert not isinstance(catalog, Refusal), catalog
    assert Draft202012Validator(schemas()["catalog.json"]).is_valid(example("catalog"))
    listed = {(listing.seller, listing.sku) for listing in catalog.listings}
    orders = [json.loads(path.read_text(encoding="utf-8")) for path in EXAMPLES.glob("order*.json")]
    assert {(line["seller"], line["sku"]) for order in orders for line in order["lines"]} <= listed
    assert len({order["order_id"] for order in orders}) == len(orders) >= 4


def test_the_tracking_numbers_of_the_examples_can_be_right() -> None:
    ship = Ship.model_validate_json(json.dumps(example("messages/ship")))
    event = CarrierEvent.model_validate_json(json.dumps(example("messages/carrier_event")))
    for message in (ship, event):
        assert message.carrier is not None
        assert message.tracking_number is not None
        assert refusal(message.carrier, message.tracking_number) is None


def objects_in(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(node.get("title", "?"), node) for node in dicts_in(schema) if node.get("type") == "object"]


def dicts_in(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        return [node, *(found for child in node.values() for found in dicts_in(child))]
    return [found for child in node for found in dicts_in(child)] if isinstance(node, list) else []
