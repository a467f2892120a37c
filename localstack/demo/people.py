"""The people of the sample stories: sellers with ways of their own, customers, support, whoever brings goods."""

import asyncio
from itertools import count

from domain.catalog import Receipt
from domain.results import ShortageView
from localstack.demo.story import SECONDS_PER_DAY, Scene
from localstack.demo.story import Part as Role
from localstack.players import Part, Way, can, contents, pack_and_ship
from usecases.errors import Refused

# -- sellers ---------------------------------------------------------------------------------


async def packs_two_parcels(part: Part) -> None:
    """One parcel per line, labels bought with the packing."""
    todo = await part.packing_list()
    if boxes := [[content] for content in contents(todo)]:
        await part.pack(*boxes, buy_labels=True)
    await pack_and_ship(part)


def takes_the_wrong_item(wrong_sku: str) -> Way:
    """Packs another SKU first, is refused, and goes back to the shelf."""
    tried = count()

    async def way(part: Part) -> None:
        box = contents(await part.packing_list())
        if box and next(tried) == 0:
            try:
                await part.pack([{**content, "sku": wrong_sku} for content in box])
            except Refused as refused:
                part.desk.tell(part.by, f"packs the wrong thing and is refused: {refused.reason}")
        await pack_and_ship(part)

    return way


def does_not_find(line_id: str, location: str) -> Way:
    """Rejects a line at one location; what is found elsewhere is packed there."""

    async def way(part: Part) -> None:
        todo = await part.packing_list()
        if todo.location == location and any(line.line_id == line_id and line.to_pack for line in todo.lines):
            await part.reject(items=[{"line_id": line_id}], reason="the shelf is empty")
        else:
            await pack_and_ship(part)

    return way


async def has_not_looked_yet(part: Part) -> None:
    """Somebody else is faster."""


async def packs_then_agrees_to_cancel(part: Part) -> None:
    """Has packed already when the customer asks; takes it out of the box again."""
    todo = await part.packing_list()
    if box := contents(todo):
        await part.pack(box)
    view = await part.desk.status()
    for action in view.actions:
        if action.message == "answer_cancellation" and action.fulfillment_id == part.fulfillment_id:
            await part.desk.send("answer_cancellation", part.by, request_id=action.id, answer="accept")


def gives_no_number(carrier: str) -> Way:
    async def way(part: Part) -> None:
        await pack_and_ship(part, carrier=carrier)

    return way


# -- customers -------------------------------------------------------------------------------


async def takes_a_substitute(scene: Scene) -> None:
    shortage = await _shortage(scene)
    await scene.desk.send(
        "choose_for_shortage",
        "customer",
        line_id=shortage.line_id,
        choice="substitute",
        substitute_sku=shortage.substitutes[0],
    )


async def waits_for_stock(scene: Scene) -> None:
    shortage = await _shortage(scene)
    await scene.desk.send("choose_for_shortage", "customer", line_id=shortage.line_id, choice="wait")


async def _shortage(scene: Scene) -> ShortageView:
    view = await scene.desk.when(lambda view: bool(view.shortages))
    return view.shortages[0]


async def cancels_at_once(scene: Scene) -> None:
    await scene.desk.when(lambda view: can(view, "pack"))
    await scene.desk.send("cancel", "customer", reason="ordered twice by mistake")


async def asks_to_cancel_once_packed(scene: Scene) -> None:
    await scene.desk.when(lambda view: any("packed" in part.units for part in view.fulfillments))
    await scene.desk.send("cancel", "customer", reason="found it cheaper")


async def says_that_it_came(scene: Scene) -> None:
    """Two days after it left."""
    await scene.desk.when(lambda view: can(view, "confirm_delivery"))
    await asyncio.sleep(2 * SECONDS_PER_DAY)
    await scene.desk.send("confirm_delivery", "customer")


async def gives_another_card(scene: Scene) -> None:
    view = await scene.desk.when(lambda view: can(view, "update_payment"))
    card = {"kind": "card", "token": "tok_visa", "amount": view.totals.total}
    await scene.desk.send("update_payment", "customer", payments=[card])


# -- support, and the delivery van ---------------------------------------------------------------


async def holds_for_a_day(scene: Scene) -> None:
    """For an address that cannot be right; the customer gives a better one, and the order goes on."""
    await scene.desk.send("hold", "support/7", hold_id="address", reason="the house number is missing")
    await asyncio.sleep(SECONDS_PER_DAY)
    address = {
        "name": "Alan Turing",
        "line1": "17 Hut Lane",
        "city": "Madison",
        "region": "WI",
        "postal_code": "53703",
        "country": "US",
    }
    await scene.desk.send("change_address", "customer", ship_to=address, reason="a digit was lost")
    await scene.desk.send("release_hold", "support/7", hold_id="address", reason="the customer mended it")


def makes_good(remedy: str) -> Role:
    """Once a parcel was reported lost or damaged."""

    async def support(scene: Scene) -> None:
        view = await scene.desk.when(lambda view: bool(view.issues))
        await scene.desk.send("resolve_issue", "support/7", issue_id=view.issues[0], remedy=remedy)

    return support


def receives(location: str, seller: str, sku: str, quantity: int) -> Role:
    """A day after somebody began to wait for it."""

    async def delivery(scene: Scene) -> None:
        await scene.desk.when(lambda view: "backordered" in view.attention)
        await asyncio.sleep(SECONDS_PER_DAY)
        await scene.inventory.receive(
            Receipt(location=location, seller=seller, sku=sku, quantity=quantity, key=f"demo-{sku}")
        )
        scene.desk.tell(f"seller:{seller}", f"receives {quantity} x {sku} at {location}")

    return delivery
