"""The doors of a shop with encryption keys: Temporal takes encrypted bodies alone, the codec server serves few."""

import base64
from random import Random
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.access import Scope
from domain.keyring import KEY_BYTES, Keyring, keyring, read_keys
from domain.sealing import CUSTOMER_KEYS
from store.keys import Keys
from tests import rawclient
from tests.bad_input import example
from tests.doors.attacks import BODIES, as_json, drawn, useless_keys
from tests.doors.report import Report
from tests.doors.temporal_doors import Attack, Doors, messages, starts
from tests.encryption import NEW, OLD, through
from tests.shop import Shop, line
from usecases.keys import new_key
from usecases.temporal import PAYLOADS
from workflows.codec import ENCRYPTED, KEY, UNENCRYPTED, UNREADABLE, Encryption

_KEYS = f"{NEW},{OLD}"
_RING = keyring(read_keys(_KEYS), PAYLOADS)
_SECRET = b"what nobody else may read"


def environment() -> dict[str, str]:
    """Of a worker and a web that take encrypted bodies alone."""
    return {"OPENORDERS_ENCRYPTION_KEYS": _KEYS}


async def all_of(report: Report, shop: Shop, url: str, random: Random, count: int) -> None:
    """`shop` has these keys, as the web at `url` has; the attackers have none, but may have read a history."""
    await without_keys(report, shop, random, count)
    await codec_server(report, shop, url, random, count)


# -- Temporal -----------------------------------------------------------------------------------


async def without_keys(report: Report, shop: Shop, random: Random, count: int) -> None:
    """Good bodies in clear and forged ciphertexts, `count` of these for each message, all for a start and the first."""
    client = await Client.connect(shop.stack.temporal.address, data_converter=pydantic_data_converter)
    doors = Doors(report, shop, through(shop, client), " without a key")

    async def forged(body: Any, some: int | None) -> list[Attack]:
        forgeries = [*(await forgeries_of(as_json(body), random)).items()]
        return [(what, (payload,)) for what, payload in (forgeries if some is None else drawn(random, forgeries, some))]

    async def on_message(name: str, first: bool) -> list[Attack]:
        body = example(f"messages/{name}")
        return [
            ("in clear", (body,)),
            ("nothing", ()),
            ("one in clear beside an encrypted one", (await _sealed_json(as_json(body)), body)),
            *await forged(body, None if first else count),
        ]

    async def on_query(name: str) -> list[Attack]:
        return [("in clear", ({},)), *await forged({}, count)]

    good = shop.body(line(await shop.lists(1)))
    hostile = [
        (f"encrypted: {what}", (await _sealed_json(body),)) for what, body in BODIES.items() if len(body) < 1_000_000
    ]
    await starts(doors, [("in clear", (good,)), ("nothing", ()), *await forged(good, None), *hostile])
    await messages(doors, on_message, on_query)


async def _sealed(payload: Payload, ring: Keyring = _RING) -> RawValue:
    """As one who has the key sends it."""
    [found] = await Encryption(ring).encode([payload])
    return RawValue(found)


async def _sealed_json(body: bytes) -> RawValue:
    return await _sealed(rawclient.payload(body).payload)


async def forgeries_of(body: bytes, random: Random) -> dict[str, RawValue]:
    """What somebody can make who has seen this body encrypted, and has no key; or has one for something else."""
    clear = rawclient.payload(body).payload
    good = (await _sealed(clear)).payload
    data = good.data
    at = random.randrange(len(data))
    found = {
        "one bit changed": _like(good, data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]),
        "cut off": _like(good, data[: random.randrange(12, len(data))]),
        "no tag": _like(good, data[:-16]),
        "a nonce alone": _like(good, data[:12]),
        "half a nonce": _like(good, data[:5]),
        "nothing within": _like(good, b""),
        "more behind": _like(good, data + b"\x00"),
        "chance": _like(good, random.randbytes(len(data))),
        "another nonce": _like(good, random.randbytes(12) + data[12:]),
        "under the other key's name": _like(good, data, **{KEY: b"old"}),
        "under an unknown key": _like(good, data, **{KEY: b"other"}),
        "under no key": _like(good, data, **{KEY: b""}),
        "a line feed in the key's name": _like(good, data, **{KEY: b"new\nAES-256-GCM\nnew"}),
        "a long name of a key": _like(good, data, **{KEY: b"x" * 10_000}),
        "a key's name that is no text": _like(good, data, **{KEY: b"\xff\xfe"}),
        "another cipher": _like(good, data, **{"encryption-cipher": b"none"}),
        "said to be JSON": _like(good, data, encoding=b"json/plain"),
        "clear, said to be encrypted": _like(good, body),
        "clear, with our own mark": _like(clear, body, **{UNENCRYPTED: b""}),
        "clear, said to be unreadable": _like(clear, body, encoding=UNREADABLE),
        "clear, with the names of cipher and key": _like(good, body, encoding=b"json/plain"),
        "by the same name of another key": await _sealed(clear, keyring({"new": b"?" * KEY_BYTES}, PAYLOADS)),
        "by the key for another use": await _sealed(clear, keyring(read_keys(_KEYS), CUSTOMER_KEYS)),
        "encrypted twice": await _sealed(good),
        "unreadable, encrypted": await _sealed(Payload(metadata={"encoding": UNREADABLE}, data=body)),
    }
    no_payload = _RING.seal(b"\xff" * 40, b"\n".join((ENCRYPTED, b"AES-256-GCM", b"new")), random.randbytes(12))
    found["no payload, encrypted"] = _like(good, no_payload.content)
    return found


def _like(payload: Payload, data: bytes, **metadata: bytes) -> RawValue:
    return RawValue(Payload(metadata={**payload.metadata, **metadata}, data=data))


# -- the codec server ----------------------------------------------------------------------------


async def codec_server(report: Report, shop: Shop, url: str, random: Random, count: int) -> None:
    keys = Keys(shop.database)
    key_of = {scope: await new_key(keys, scope, "doors", "acme" if scope is Scope.SELLER else None) for scope in Scope}
    secret = (await _sealed_json(_SECRET)).payload
    async with httpx.AsyncClient(base_url=f"{url}/codec", timeout=60) as client:
        await _others_keys(report, client, keys, key_of, secret)
        support = {"Authorization": f"Bearer {key_of[Scope.SUPPORT]}"}
        await _hostile_bodies(report, client, support)
        await _forgeries(report, client, support, random, count)


async def _others_keys(
    report: Report, client: httpx.AsyncClient, keys: Keys, key_of: dict[Scope, str], secret: Payload
) -> None:
    revoked = await new_key(keys, Scope.SUPPORT, "doors", None)
    await keys.revoke(revoked.split("_")[1])
    support = key_of[Scope.SUPPORT]
    headers: dict[str, dict[str, str]] = {
        **useless_keys(support, revoked),
        "a key in the address": {},
        "another page": {"Authorization": f"Bearer {support}", "Origin": "https://evil.example"},
        "a page of no origin": {"Authorization": f"Bearer {support}", "Origin": "null"},
    }
    others = [scope for scope in Scope if scope is not Scope.SUPPORT]
    headers |= {f"a key of {scope}": {"Authorization": f"Bearer {key_of[scope]}"} for scope in others}
    for who, sent in headers.items():
        for action in ("encode", "decode"):
            if action == "encode" and who == f"a key of {Scope.BACKEND}":
                continue
            where = f"/{action}" + (f"?key={support}" if who == "a key in the address" else "")
            answer = await client.post(where, content=_body(secret), headers=sent)
            kept = answer.status_code in (401, 403) and base64.b64encode(_SECRET) not in answer.content
            report.note("codec server", f"{who}: {action}", "refused" if kept else "let in", answer.text[:200])


async def _hostile_bodies(report: Report, client: httpx.AsyncClient, support: dict[str, str]) -> None:
    """By a key that may do everything there; where nothing is wrong enough, it comes back as it was."""
    bodies = BODIES | {
        "2,001 payloads": as_json({"payloads": [{}] * 2_001}),
        "3 MB": as_json({"payloads": [{"data": "A" * 3_000_000}]}),
        "no base64": as_json({"payloads": [{"data": "!!!"}]}),
        "metadata of numbers": as_json({"payloads": [{"metadata": {"encoding": 1}}]}),
        "metadata of a list": as_json({"payloads": [{"metadata": ["encoding"]}]}),
        "payloads of payloads": as_json({"payloads": [{"payloads": [{}]}]}),
        "an object for a list": as_json({"payloads": {"0": {}}}),
        "the secrets, please": as_json({"payloads": [], "keys": True}),
    }
    for what, body in bodies.items():
        for action in ("encode", "decode"):
            answer = await client.post(f"/{action}", content=body, headers=support)
            refused = 400 <= answer.status_code < 500
            report.note("codec server", f"{what}: {action}", "refused" if refused else "let in", answer.text[:200])


async def _forgeries(
    report: Report, client: httpx.AsyncClient, support: dict[str, str], random: Random, count: int
) -> None:
    """Each comes back as it was."""
    forgeries = await forgeries_of(_SECRET, random)
    del forgeries["encrypted twice"]
    for what, forgery in drawn(random, [*forgeries.items()], 4 * count):
        answer = await client.post("/decode", content=_body(forgery.payload), headers=support)
        same = answer.status_code == 200 and answer.json() == _told(forgery.payload)
        report.note("codec server", f"{what}: decode", "refused" if same else "let in", answer.text[:200])


def _told(*payloads: Payload) -> Any:
    return MessageToDict(Payloads(payloads=payloads))


def _body(*payloads: Payload) -> bytes:
    return as_json(_told(*payloads))
