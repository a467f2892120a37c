"""The doors of Temporal: starts, signals, updates and queries by whoever reaches its port."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from sqlalchemy import text
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from domain.decoding import Refusal, decode
from domain.messages import MESSAGES, QUERIES
from domain.placing import PlaceOrder
from tests import rawclient
from tests.bad_input import BODIES as MODELS
from tests.bad_input import example
from tests.doors.attacks import BODIES, as_json, drawn, mutated
from tests.doors.report import Report, Verdict
from tests.schemas.test_verdicts import schema_accepts
from tests.shop import PATIENCE_SECONDS, Shop, line

Attack = tuple[str, tuple[Any, ...]]
"""Its name, and the arguments."""

Handle = WorkflowHandle[Any, Any]

_ENCODINGS = ("binary/encrypted", "", "binary/plain", "binary/protobuf", "json/protobuf", "binary/null", "x" * 1_000)
_LARGE_BYTES = 100_000
_AT_ONCE = 10
_PARTS = ("status", "totals", "money", "lines", "fulfillments", "shortages", "cancellation_requests", "holds", "issues")
"""Of an order's status, what no message that is refused may change."""


class Doors(NamedTuple):
    """Of `shop`, by whose own client it is seen what became of it; `foreign` is the same shop by the attacker's."""

    report: Report
    shop: Shop
    foreign: Shop
    named: str = ""
    """Behind the name of each door."""

    def note(self, door: str, attack: str, verdict: Verdict, what: str = "") -> None:
        self.report.note(door + self.named, attack, verdict, what)


async def all_of(report: Report, shop: Shop, random: Random, count: int) -> None:
    """Every payload and some numbers of arguments, and `count` orders with something wrong.

    Every message gets `count` payloads, and `count` bodies with something wrong. The first signal and the first update
    get every payload.
    """
    doors = Doors(report, shop, shop)
    payloads = hostile_payloads()
    small = {name: one for name, one in payloads.items() if len(one.payload.data) < _LARGE_BYTES}

    async def on_message(name: str, first: bool) -> list[Attack]:
        some = [*payloads.items()] if first else drawn(random, [*small.items()], count)
        found: list[Attack] = [(what, (payload,)) for what, payload in some if not _is_no_body(name, what)]
        found.append(("two", ({}, {})))
        return found + [(what, (rawclient.payload(as_json(body)),)) for what, body in _bad(random, name, count)]

    async def on_query(name: str) -> list[Attack]:
        some = drawn(random, [*small.items()], count)
        return [(what, (payload,)) for what, payload in some if not _is_no_body(name, what)]

    on_start: list[Attack] = [(name, (value,)) for name, value in payloads.items()]
    on_start += [(f"{n} arguments", tuple({} for _ in range(n))) for n in (0, 2, 3, 50)]
    await starts(doors, on_start + await _bad_orders(shop, random, count))
    await messages(doors, on_message, on_query)
    await not_the_carrier(report, shop)


def hostile_payloads() -> dict[str, RawValue]:
    found = {name: rawclient.payload(body) for name, body in BODIES.items()}
    for encoding in _ENCODINGS:
        found[f"JSON as {encoding[:20]!r}"] = rawclient.payload(b'{"order_id": "1"}', encoding)
        found[f"bytes as {encoding[:20]!r}"] = rawclient.payload(b"\x00\xff\x08\x96\x01", encoding)
    return found


async def _bad_orders(shop: Shop, random: Random, count: int) -> list[Attack]:
    good = shop.body(line(await shop.lists(1)))
    found: list[Attack] = []
    while len(found) < count:
        name, body = mutated(random, good)
        if isinstance(decode(PlaceOrder, (json.loads(as_json(body)),)), Refusal):
            found.append((name, (rawclient.payload(as_json(body)),)))
    return found


async def starts(doors: Doors, attacks: Sequence[Attack]) -> None:
    """Each of them is to end as an invalid order."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        try:
            async with room:
                order_id = f"evil-{doors.report.seed}-{number}"
                handle = await rawclient.start(doors.foreign, *arguments, workflow_id=f"order:{order_id}")
                await handle.result()
        except RPCError as error:  # larger than Temporal takes
            doors.note("start", name, "refused", error.message)
        except WorkflowFailureError as error:
            doors.note("start", name, _refused_as(error.cause, "InvalidOrder"), repr(error.cause))
        else:
            doors.note("start", name, "let in", "it completed")

    await asyncio.gather(*(one(number, *attack) for number, attack in enumerate(attacks)))


async def messages(
    doors: Doors,
    on_message: Callable[[str, bool], Awaitable[Sequence[Attack]]],
    on_query: Callable[[str], Awaitable[Sequence[Attack]]],
) -> None:
    """Every signal, update and query of one open order, by its name, and whether it is the first of its kind."""
    shop = doors.shop
    order_id = await shop.placed(line(await shop.lists(5), 2))
    before = await shop.status(order_id)
    handle = doors.foreign.handle(order_id)
    sent: dict[str, list[str]] = {}
    for message in (message for message in MESSAGES if message.signal):
        sent[message.name] = []
        for what, arguments in await on_message(message.name, len(sent) == 1):
            await _signal(doors, handle, message.name, what, arguments, sent[message.name])
    await _count_refusals(doors, order_id, sent)
    for number, message in enumerate(message for message in MESSAGES if message.update):
        for what, arguments in await on_message(message.name, number == 0):
            await _update(doors, handle, message.name, what, arguments)
    for query in QUERIES:
        for what, arguments in await on_query(query.name):
            await _query(doors, handle, query.name, what, arguments)
    after = await shop.status(order_id)
    same = all(getattr(after, part) == getattr(before, part) for part in _PARTS)
    doors.note("the order itself", "after all of them", "refused" if same else "let in", f"{before}; then {after}")
    await shop.orders.signal(order_id, "cancel", {})
    await shop.ended(order_id)
    await shop.conserves(order_id)


async def not_the_carrier(report: Report, shop: Shop) -> None:
    """Events of carrier and network by somebody else: the parcel stays where it is."""
    order_id = await shop.placed(line(await shop.lists(5), 1))
    await shop.packs(order_id)
    await shop.ships(order_id)
    for number, by in enumerate(("customer", "seller:acme", "seller:birch", "network", "customer/c-1")):
        await shop.carrier_says(order_id, "delivered", by=by, event_id=f"forged-{number}")
        await _after(report, shop, order_id, "carrier_event", by)
    for by in ("customer", "seller:acme", "seller:birch", "carrier", "customer/c-1"):
        await shop.orders.signal(order_id, "network_event", example("messages/network_event") | {"by": by})
        await _after(report, shop, order_id, "network_event", by)
    await shop.delivers(order_id)
    await shop.ended(order_id)
    await shop.conserves(order_id)


async def _after(report: Report, shop: Shop, order_id: str, name: str, by: str) -> None:
    await shop.update(order_id, "note", text="an update is answered after the signals before it")
    status = (await shop.status(order_id)).status
    report.note("signals", f"{name} by {by}", "refused" if status == "Shipped" else "let in", status)


def _is_no_body(name: str, what: str) -> bool:
    """Nothing is a good body for what needs none."""
    return what.endswith("'binary/null'") and not isinstance(decode(MODELS[name], (None,)), Refusal)


def _bad(random: Random, name: str, count: int) -> list[tuple[str, Any]]:
    """Bodies that the JSON Schema refuses, which is another reader than ours."""
    found: list[tuple[str, Any]] = []
    while len(found) < count:
        what, body = mutated(random, example(f"messages/{name}"))
        body = json.loads(as_json(body))
        if not schema_accepts(f"messages/{name}.json", body):
            found.append((what, body))
    return found


def _refused_as(cause: BaseException | None, *types: str) -> Verdict:
    return "refused" if isinstance(cause, ApplicationError) and cause.type in types else "let in"


async def _signal(
    doors: Doors, handle: Handle, name: str, what: str, arguments: tuple[Any, ...], sent: list[str]
) -> None:
    try:
        await handle.signal(name, args=arguments)
    except RPCError as error:  # larger than Temporal takes
        doors.note("signals", f"{name}: {what}", "refused", error.message)
    else:
        sent.append(what)


async def _update(doors: Doors, handle: Handle, name: str, what: str, arguments: tuple[Any, ...]) -> None:
    try:
        await handle.execute_update(name, args=arguments)
    except WorkflowUpdateFailedError as error:
        verdict = _refused_as(error.cause, "InvalidMessage", "Refused")
        doors.note("updates", f"{name}: {what}", verdict, repr(error.cause))
    except RPCError as error:
        doors.note("updates", f"{name}: {what}", "refused", error.message)
    else:
        doors.note("updates", f"{name}: {what}", "let in", "obeyed")


async def _query(doors: Doors, handle: Handle, name: str, what: str, arguments: tuple[Any, ...]) -> None:
    try:
        await handle.query(name, args=arguments)
    except WorkflowQueryFailedError:
        doors.note("queries", f"{name}: {what}", "refused")
    else:
        doors.note("queries", f"{name}: {what}", "let in", "answered")


async def _count_refusals(doors: Doors, order_id: str, sent: dict[str, list[str]]) -> None:
    """Nobody hears a signal's refusal: it stands in the timeline, one for each."""
    query = text("SELECT what, count(*) FROM timeline WHERE order_id = :id AND what LIKE '%\\_refused' GROUP BY what")
    found: dict[str, int] = {}
    for _ in range(PATIENCE_SECONDS):
        async with doors.shop.database.statement() as connection:
            found = {
                row[0].removesuffix("_refused"): row[1] for row in await connection.execute(query, {"id": order_id})
            }
        if all(found.get(name, 0) >= len(attacks) for name, attacks in sent.items()):
            break
        await asyncio.sleep(1)
    for name, attacks in sent.items():
        refused = found.get(name, 0)
        for number, what in enumerate(attacks):
            # Which of them is missing cannot be told.
            verdict: Verdict = "refused" if number < refused <= len(attacks) else "let in"
            doors.note("signals", f"{name}: {what}", verdict, f"{refused} refusals of {len(attacks)} in the timeline")
