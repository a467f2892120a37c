"""The web on real servers: a shop with its worker, the application served on a port, and people who sign in."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp
from temporalio.client import Client

from domain.access import Scope
from domain.catalog import Catalog
from domain.model import Frozen
from localstack.demo.sample import FOLDER
from localstack.ports import HOST, choose
from localstack.stack import Stack
from store.database import Database
from store.keys import Keys
from tests.shop import Shop, open_shop
from tests.web.browsing import Visitor
from tests.web.statements import StatementLog, statements_noted
from usecases.keys import new_key
from usecases.orders import Orders
from web.app import build
from web.protocol import BoundedHttp

_RPC_SECONDS = 20
"""An order is asked for so long, and a page of it for half as long: ten seconds and one in life."""


class Site:
    """`shop` is what stands behind it; `url` where it is served."""

    def __init__(self, shop: Shop, url: str, app: FastAPI, log: StatementLog) -> None:
        self.shop = shop
        self.url = url
        self.app = app
        self.log = log
        self._keys: dict[tuple[Scope, str | None], str] = {}
        self._visitors: dict[tuple[Scope, str | None], Visitor] = {}
        self._clients: list[httpx.AsyncClient] = []

    async def key(self, scope: Scope, seller: str | None = None) -> str:
        """The same one for the same person."""
        person = (scope, seller)
        if person not in self._keys:
            self._keys[person] = await new_key(Keys(self.shop.database), scope, "for a test", seller)
        return self._keys[person]

    async def api(self, scope: Scope, seller: str | None = None) -> httpx.AsyncClient:
        """A program with a key, at `/v1`."""
        headers = {"Authorization": f"Bearer {await self.key(scope, seller)}"}
        client = httpx.AsyncClient(base_url=f"{self.url}/v1", headers=headers, timeout=60)
        self._clients.append(client)
        return client

    def visitor(self) -> Visitor:
        """Somebody who is not signed in."""
        client = httpx.AsyncClient(base_url=self.url, follow_redirects=True, timeout=60)
        self._clients.append(client)
        return Visitor(client)

    async def signed_in(self, scope: Scope, seller: str | None = None) -> Visitor:
        """Signs in once: who tries too often is kept out for a while."""
        person = (scope, seller)
        if person not in self._visitors:
            visitor = self.visitor()
            page = await visitor.get("/signin")
            await visitor.submit(page, "/signin", key=await self.key(scope, seller))
            self._visitors[person] = visitor
        return self._visitors[person]

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are pytest's."""
        yield


@asynccontextmanager
async def served(app: ASGIApp, port: int) -> AsyncIterator[None]:
    """In this very event loop, where the tests and the worker are."""
    config = uvicorn.Config(
        app,
        host=HOST,
        port=port,
        http=BoundedHttp,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        lifespan="on",
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not serving.done(), "the web did not start"
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await serving


def _have_patience(orders: Orders) -> None:
    """A worker that stands still for some seconds costs no page its forms, and no message its answer."""
    orders._rpc_timeout = timedelta(seconds=_RPC_SECONDS)
    asks = orders.query

    async def query(order_id: str, name: str, body: Any = None, *, patience: timedelta | None = None) -> Frozen:
        return await asks(order_id, name, body)

    orders.query = query  # type: ignore[method-assign]


@pytest.fixture(scope="module")
async def site(stack: Stack, client: Client, fresh_database: Callable[[], str]) -> AsyncIterator[Site]:
    url = fresh_database()
    port = choose(0, "OPENORDERS_WEB_PORT")
    web_url = f"http://{HOST}:{port}"
    settings = {
        "secret_key": SecretStr("the same for web and worker"),
        "web_url": web_url,
        "temporal_ui_url": stack.temporal.ui_url,
    }
    async with open_shop(stack, client, url, **settings) as shop:
        app = build(shop.settings, client, Database(url), shop.task_queue)
        _have_patience(app.state.services.orders)
        log = StatementLog(app)
        with statements_noted():
            async with served(log, port):
                site = Site(shop, web_url, app, log)
                yield site
                await site.close()


@pytest.fixture(scope="module")
async def market(site: Site) -> Shop:
    """The sellers and goods of the demo, in the shop of the site."""
    catalog = Catalog.model_validate_json((FOLDER / "catalog.json").read_text(encoding="utf-8"))
    assert await site.shop.inventory.load(catalog) is None
    return site.shop
