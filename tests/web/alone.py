"""A web without a worker beside it, until a test says so; and with settings of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from pydantic import SecretStr
from temporalio.client import Client

from localstack.ports import HOST, choose
from localstack.stack import Stack
from store.database import Database
from tests.shop import Shop
from tests.web.conftest import Site, served
from tests.web.statements import StatementLog
from usecases.settings import Settings
from web.app import build


@asynccontextmanager
async def web_alone(stack: Stack, client: Client, database_url: str, **settings: Any) -> AsyncIterator[Site]:
    """Orders wait in Temporal; `worker.running(site.shop.built)` has them worked on."""
    port = choose(0, "OPENORDERS_WEB_PORT")
    url = f"http://{HOST}:{port}"
    chosen = Settings(
        database_url=SecretStr(database_url),
        smtp_host=stack.mails.smtp_host,
        smtp_port=stack.mails.smtp_port,
        **{"secret_key": SecretStr("a secret"), "web_url": url, **settings},
    )
    shop = Shop(stack, client, chosen, task_queue=f"test-{uuid4().hex[:8]}")
    app = build(chosen, client, Database(database_url), shop.task_queue)
    log = StatementLog(app)
    try:
        async with served(log, port):
            site = Site(shop, url, app, log)
            await shop.open()
            try:
                yield site
            finally:
                await site.close()
    finally:
        await shop.database.close()
