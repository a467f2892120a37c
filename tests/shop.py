"""A shop for tests on real servers: its own sellers, stock and worker, and the moves that a story needs."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import SecretStr
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

import worker
from domain.catalog import Catalog, Receipt, StockRefused
from domain.model import Frozen
from domain.results import PackingList, PackResult, ShipResult, StatusView, TimelineView
from localstack.mailbox import Mail
from localstack.stack import Stack
from store.database import Database
from store.identities import violations
from store.inventory import Inventory
from store.views.order import OrderViews
from usecases.errors import Refused, Unreachable
from usecases.orders import Orders
from usecases.settings import Settings
from workflows.names import TASK_QUEUE

PATIENCE_SECONDS = 60
"""A test that waits this long has failed; nothing is asserted about how fast things are."""

UPS = "1Z5R89390357567127"  # one of UPS's own examples
_numbers = count(1)

_RPC_TIMEOUT = timedelta(seconds=20)
_QUERY_TRY = timedelta(seconds=5)
_QUERY_TRIES = 6

Body = dict[str, Any]
_Seen = TypeVar("_Seen")


async def eventually(
    look: Callable[[], Awaitable[_Seen]], is_so: Callable[[_Seen], bool] = bool, *, seconds: int = PATIENCE_SECONDS
) -> _Seen:
    """Look again until it is so, by default until there is anything; what was seen last is shown where it never is."""
    for _ in range(seconds * 10):
        if is_so(seen := await look()):
            return seen
        await asyncio.sleep(0.1)
    raise AssertionError(f"it never came there: {seen!r}")


class PatientOrders(Orders):
    """Asks for as long as a machine may stand still; a query, which changes nothing, again and again."""

    def __init__(self, client: Client, *, task_queue: str = TASK_QUEUE) -> None:
        super().__init__(client, task_queue=task_queue, rpc_timeout=_RPC_TIMEOUT)

    async def query(self, order_id: str, name: str, body: Any = None, *, patience: timedelta | None = None) -> Frozen:
        for _ in range(_QUERY_TRIES - 1):
            try:
                return await super().query(order_id, name, body, patience=patience or _QUERY_TRY)
            except Unreachable:
                continue
        return await super().query(order_id, name, body, patience=patience or _QUERY_TRY)


class Shop:
    """Sellers `acme` and `birch` with a location each, and the network's `FBA-1`, in a database of their own."""

    def __init__(self, stack: Stack, client: Client, settings: Settings, task_queue: str) -> None:
        self.stack = stack
        self.client = client
        self.settings = settings
        self.task_queue = task_queue
        self.built = worker.build(client, settings, task_queue)
        self.database: Database = self.built.database
        self.orders: Orders = PatientOrders(client, task_queue=task_queue)
        self.inventory = Inventory(self.database)
        self.views = OrderViews(self.database)

    # -- what is there to sell ------------------------------------------------------

    async def open(self) -> None:
        profile = {"time_zone": "America/New_York", "handling_days": 1}
        catalog = {
            "sellers": [
                {"seller": name, "name": name.title(), "email": f"orders@{name}.example"} for name in ("acme", "birch")
            ],
            "locations": [
                {"location": "ACME-1", "seller": "acme", "priority": 1, "profile": profile},
                {"location": "ACME-2", "seller": "acme", "priority": 2, "profile": profile},
                {"location": "BIRCH-1", "seller": "birch", "profile": profile},
                {"location": "FBA-1", "profile": profile},
            ],
        }
        assert await self.inventory.load(Catalog.model_validate_json(_json(catalog))) is None

    async def lists(self, on_hand: int = 10, *, seller: str = "acme", at: str | None = None, **more: Any) -> str:
        """A new SKU with so many units at the seller's first location, or `at` another; gives the SKU."""
        sku = more.pop("sku", f"SKU-{next(_numbers)}")
        listing = {"seller": seller, "sku": sku, "title": f"Thing {sku}", "unit_price": 1000, "currency": "USD", **more}
        location = at or f"{seller.upper()}-1"
        stock = {"location": location, "seller": seller, "sku": sku, "on_hand": on_hand}
        catalog = Catalog.model_validate_json(_json({"listings": [listing], "stock": [stock]}))
        refused = await self.inventory.load(catalog)
        assert refused is None, refused
        return str(sku)

    async def on_hand(self, sku: str) -> dict[str, tuple[int, int]]:
        """Location to (on hand, reserved)."""
        return {level.location: (level.on_hand, level.reserved) for level in await self.inventory.levels(sku=sku)}

    async def receives(self, sku: str, quantity: int, *, seller: str = "acme", at: str | None = None) -> None:
        """So many units come in at the seller's first location, or `at` another."""
        level = await self.inventory.receive(
            Receipt(location=at or f"{seller.upper()}-1", seller=seller, sku=sku, quantity=quantity, key=uuid4().hex)
        )
        assert not isinstance(level, StockRefused), level

    # -- orders ----------------------------------------------------------------------

    def body(self, *lines: Body, **more: Any) -> Body:
        """A start body whose payment is right; lines are `line("SKU", quantity=2)`."""
        numbered = [{"line_id": str(index), **one} for index, one in enumerate(lines, start=1)]
        total = sum(one["quantity"] * one["unit_price"] for one in numbered)
        total += more.get("shipping", {}).get("price", 0) + more.get("tax", 0) - more.get("discount", 0)
        body: Body = {
            "order_id": f"t-{uuid4().hex[:12]}",
            "customer": {"id": "c-1", "name": "Ada Lovelace", "email": f"ada-{uuid4().hex[:8]}@example.com"},
            "ship_to": {"name": "Ada Lovelace", "line1": "12 Mill Street", "city": "Springfield", "country": "US"},
            "currency": "USD",
            "lines": numbered,
            "payments": [{"token": "tok_visa", "amount": total}],
        }
        return body | more

    async def place(self, body: Body) -> str:
        """Place it; gives the order id."""
        await self.orders.place(body)
        return str(body["order_id"])

    async def placed(self, *lines: Body, **more: Any) -> str:
        """Place an order and wait until its inventory check has been made."""
        return await self.checked(self.body(*lines, **more))

    async def checked(self, body: Body) -> str:
        """Place it and wait until its inventory check has been made; gives the order id."""
        order_id = await self.place(body)
        await self.until(
            order_id, lambda status: status.status != "Pending" and bool(status.fulfillments or status.shortages)
        )
        return order_id

    async def status(self, order_id: str) -> StatusView:
        answer = await self.orders.query(order_id, "status")
        assert isinstance(answer, StatusView)
        return answer

    async def until(self, order_id: str, condition: Callable[[StatusView], bool]) -> StatusView:
        """Ask until the condition holds; the order is shown where it never does."""
        status: StatusView | None = None
        for _ in range(PATIENCE_SECONDS * 10):
            try:
                status = await self.status(order_id)
                if condition(status):
                    return status
            except (Refused, Unreachable):  # not recorded yet; or just going on in another run
                pass
            await asyncio.sleep(0.1)
        raise AssertionError(f"{order_id} never came there: {status}")

    async def timeline(self, order_id: str) -> list[str]:
        """The words of the timeline, oldest first."""
        answer = await self.orders.query(order_id, "timeline")
        assert isinstance(answer, TimelineView)
        return [entry.what for entry in answer.entries]

    async def noted(self, order_id: str, word: str) -> None:
        """Wait until the timeline has it."""
        await eventually(lambda: self.timeline(order_id), lambda words: word in words)

    def handle(self, order_id: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(f"order:{order_id}")

    async def update(self, order_id: str, name: str, **body: Any) -> Any:
        return await self.orders.update(order_id, name, body)

    async def terminated(self, order_id: str, reason: str = "by hand") -> None:
        """Ended by force, and listed so."""
        await self.handle(order_id).terminate(reason=reason)
        await self.listed_as_ended(order_id)

    async def listed_as_ended(self, order_id: str) -> None:
        """Wait until the newest run's end is in Temporal's list, which reconciliation reads: it is late by a moment."""
        run_id = (await self.handle(order_id).describe()).run_id

        async def status() -> WorkflowExecutionStatus | None:
            async for run in self.client.list_workflows(f'WorkflowId = "order:{order_id}"'):
                if run.run_id == run_id:
                    return run.status
            return None

        await eventually(status, lambda found: found not in (None, WorkflowExecutionStatus.RUNNING))

    async def forgotten(self, order_id: str) -> None:
        """Wait until Temporal knows nothing of the order: it deletes when it finds the time."""

        async def is_unknown() -> bool:
            try:
                await self.handle(order_id).describe()
            except RPCError as error:
                return error.status is RPCStatusCode.NOT_FOUND
            return False

        await eventually(is_unknown, seconds=4 * PATIENCE_SECONDS)

    # -- what sellers, carriers and customers do ---------------------------------------

    async def packing_list(self, order_id: str, fulfillment_id: str) -> PackingList:
        answer = await self.orders.query(order_id, "packing_list", {"fulfillment_id": fulfillment_id})
        assert isinstance(answer, PackingList)
        return answer

    async def packs(self, order_id: str, fulfillment_id: str = "acme-1", **more: Any) -> tuple[str, ...]:
        """The seller packs all that is to pack into one parcel; gives the parcel's id."""
        todo = await self.packing_list(order_id, fulfillment_id)
        contents = [
            {"line_id": line.line_id, "sku": line.sku, "quantity": line.to_pack} for line in todo.lines if line.to_pack
        ]
        body = {"by": f"seller:{todo.seller}", "fulfillment_id": fulfillment_id, "parcels": [{"contents": contents}]}
        answer = await self.orders.update(order_id, "pack", body | more)
        assert isinstance(answer, PackResult)
        return answer.parcel_ids

    async def ships(self, order_id: str, fulfillment_id: str = "acme-1", **more: Any) -> ShipResult:
        """The seller hands over what is packed; by default with a number of UPS."""
        seller = fulfillment_id.rsplit("-", 1)[0]
        body = {"by": f"seller:{seller}", "fulfillment_id": fulfillment_id}
        answer = await self.orders.update(order_id, "ship", body | (more or {"carrier": "ups", "tracking_number": UPS}))
        assert isinstance(answer, ShipResult)
        return answer

    async def carrier_says(self, order_id: str, status: str, parcel_id: str = "acme-1-p1", **more: Any) -> None:
        now = (await self.status(order_id)).business_time
        body = {"event_id": uuid4().hex, "parcel_id": parcel_id, "status": status, "occurred_at": now.isoformat()}
        await self.orders.signal(order_id, "carrier_event", body | more)

    async def delivers(self, order_id: str, parcel_id: str = "acme-1-p1") -> None:
        for status in ("in_transit", "out_for_delivery", "delivered"):
            await self.carrier_says(order_id, status, parcel_id)

    async def ended(self, order_id: str) -> StatusView:
        return await self.until(order_id, lambda status: status.closed)

    # -- what came out of it -------------------------------------------------------------

    async def mails(self, order_id: str, at_least: int = 0) -> list[Mail]:
        """Mails about the order that reached the server, oldest first; waits for so many."""
        found: list[Mail] = []
        for _ in range(PATIENCE_SECONDS * 10):
            found = self.stack.mails.mailbox.about(order_id)
            if len(found) >= at_least:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"{len(found)} of {at_least} mails came: {[mail.subject for mail in found]}")

    async def conserves(self, order_id: str | None = None) -> None:
        """Units and money add up, in the whole database or for one order."""
        for _ in range(PATIENCE_SECONDS):
            found = await violations(self.database, order_id)
            if not found:
                return
            await asyncio.sleep(1)  # rows of the last step may still be on their way
        raise AssertionError(found)


def line(sku: str, quantity: int = 1, seller: str = "acme", **more: Any) -> Body:
    return {"sku": sku, "quantity": quantity, "unit_price": 1000, "seller": seller, **more}


def _json(body: Body) -> str:
    return json.dumps(body)


@asynccontextmanager
async def open_shop(stack: Stack, client: Client, database_url: str, **settings: Any) -> AsyncIterator[Shop]:
    """A shop with its worker running, on a task queue of its own."""
    chosen = Settings(
        database_url=SecretStr(database_url),
        smtp_host=stack.mails.smtp_host,
        smtp_port=stack.mails.smtp_port,
        **{"workflow_sandbox": True, **settings},
    )
    shop = Shop(stack, client, chosen, task_queue=f"test-{uuid4().hex[:8]}")
    async with worker.running(shop.built):
        await shop.open()
        yield shop
