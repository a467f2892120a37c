"""What a request may use: made once per process, and the same for every request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from temporalio.client import Client

from adapters.mail.rendering import MailRenderer
from store.contacts import Contacts
from store.database import Database
from store.erasure import Erasures
from store.insights.reading import InsightViews
from store.inventory import Inventory
from store.keys import Attempts, Keys
from store.offers import Offers
from store.orders import Orders as OrderStore
from store.views.order import OrderViews
from store.views.orders import OrderLists
from store.views.seller_parts import SellerParts
from store.views.sellers import SellerViews
from store.views.stock import StockViews
from store.views.support import SupportViews
from usecases.delivery import Delivery
from usecases.erasure import Erasure
from usecases.insights import Insights
from usecases.orders import Orders
from usecases.settings import Settings
from usecases.signatures import Signatures
from usecases.stocking import Stocking
from usecases.temporal import encryption
from usecases.watching import Watch
from workflows.codec import Encryption


@dataclass(frozen=True)
class Services:
    settings: Settings
    namespace: str
    """Temporal's, for links into its UI."""

    database: Database
    orders: Orders
    delivery: Delivery
    erasure: Erasure
    store: OrderStore
    contacts: Contacts
    lists: OrderLists
    views: OrderViews
    sellers: SellerViews
    seller_parts: SellerParts
    stock: StockViews
    support: SupportViews
    insights: Insights
    inventory: Inventory
    stocking: Stocking
    offers: Offers
    keys: Keys
    attempts: Attempts
    signatures: Signatures
    watch: Watch
    mails: MailRenderer
    payload_codec: Encryption | None
    """Of the codec server; None without keys."""


def services(settings: Settings, client: Client, database: Database, task_queue: str) -> Services:
    assert settings.secret_key is not None, "`python -m web` asks for it"
    store, views, parts = OrderStore(database), OrderViews(database), SellerParts(database)
    orders = Orders(client, store, task_queue=task_queue)
    inventory = Inventory(database)
    return Services(
        settings=settings,
        namespace=client.namespace,
        database=database,
        orders=orders,
        delivery=Delivery(orders, parts),
        erasure=Erasure(Erasures(database), client),
        store=store,
        contacts=Contacts(database),
        lists=OrderLists(database),
        views=views,
        sellers=SellerViews(database),
        seller_parts=parts,
        stock=StockViews(database),
        support=SupportViews(database),
        insights=Insights(InsightViews(database), settings.time_zone),
        inventory=inventory,
        stocking=Stocking(inventory),
        offers=Offers(database),
        keys=Keys(database),
        attempts=Attempts(database),
        signatures=Signatures(settings.secret_key),
        watch=Watch(views.positions),
        mails=MailRenderer(settings.shop_name, settings.support_email),
        payload_codec=encryption(settings, marks_unencrypted=False),
    )


@asynccontextmanager
async def open_services(made: Services) -> AsyncIterator[None]:
    """Inside, requests are answered; at the end connections are closed."""
    try:
        yield
    finally:
        await made.watch.close()
        await made.database.close()


async def _of_request(request: Request) -> Services:
    """A coroutine, since FastAPI takes any other function to a thread of its own."""
    made = request.app.state.services
    assert isinstance(made, Services)
    return made


UseServices = Annotated[Services, Depends(_of_request)]
