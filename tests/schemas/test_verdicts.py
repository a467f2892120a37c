"""The JSON Schemas and our own decoding say the same of every body, good or bad."""

import re
from datetime import datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from domain.decoding import Refusal, decode
from domain.messages import MESSAGES, QUERIES
from tests.bad_input import BAD_INPUT, BODIES, EXAMPLES, BadInput, example, message_with, order_with
from usecases.schemas import schemas

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value.upper()).tzinfo is not None


def _pattern(validator: Any, pattern: str, instance: object, schema: object) -> Any:
    """As JavaScript and the standard have it: `$` is the very end. Python's lets a line break follow."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


Validator: Any = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
SCHEMAS = schemas()


def schema_accepts(file: str, body: object) -> bool:
    valid: bool = Validator(SCHEMAS[file], format_checker=FORMATS).is_valid(body)
    return valid


@pytest.mark.parametrize("bad", BAD_INPUT, ids=lambda bad: f"{bad.target}: {bad.name}")
def test_a_bad_body_is_refused_with_its_field_and_by_the_schema(bad: BadInput) -> None:
    verdict = decode(bad.model, (bad.body,))
    assert isinstance(verdict, Refusal)
    assert verdict.reason.startswith(f"{bad.field}: " if bad.field else "expected one JSON object"), verdict.reason
    assert "\n" not in verdict.reason
    assert schema_accepts(bad.schema_file, bad.body) is not bad.schema_sees


def test_every_message_with_a_field_to_check_is_in_the_table() -> None:
    assert BODIES.keys() | {"order"} == {bad.target for bad in BAD_INPUT}


GOOD: tuple[tuple[str, str, Any], ...] = (
    *(("order", path.name, example(path.stem)) for path in sorted(EXAMPLES.glob("order*.json"))),
    *((message.name, "example", example(f"messages/{message.name}")) for message in MESSAGES),
    *((query.name, "example", example(f"queries/{query.name}")) for query in QUERIES),
    ("order", "an id of 64 characters", order_with("order_id", "a" * 64)),
    ("order", "a name in any script", order_with("customer.name", "Ágnes 王")),
    ("order", "a name of 200 characters beyond 16 bits", order_with("customer.name", "\N{PACKAGE}" * 200)),
    ("order", "a line break in an address", order_with("ship_to.line2", "c/o\nBabbage")),
    ("order", "rules switched off", order_with("policy", {"late_cancel_days": None, "lost_after_days": None})),
    ("order", "a whole number for a fraction", order_with("clock", {"factor": 60})),
    ("order", "a time with an offset", order_with("promised_by", "2026-03-10T12:00:00.123456-05:00")),
    ("order", "a time in small letters", order_with("promised_by", "2026-03-10t12:00:00z")),
    ("order", "null for what is not given", order_with("promised_by", None)),
    ("cancel", "a person of a seller", message_with("cancel", "by", "seller:acme/anna.b")),
    ("timeline", "nothing", {}),
)


@pytest.mark.parametrize(("target", "name", "body"), GOOD, ids=lambda value: value if isinstance(value, str) else "")
def test_a_good_body_is_accepted_by_both(target: str, name: str, body: Any) -> None:
    good = BadInput(name, target, body, "")
    verdict = decode(good.model, (body,))
    assert not isinstance(verdict, Refusal), verdict
    assert schema_accepts(good.schema_file, body)
