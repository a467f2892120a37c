"""The store has what the ports ask for: `mypy` checks the signatures here, and a test that there is such a thing."""

from activities.ports import MessageQueue, OrderStore, PaymentLedger, StockStore
from store.contacts import Contacts
from store.database import Database
from store.messages import Messages
from store.orders import Orders
from store.outbox import Outbox
from store.payments import Payments
from store.stock import Stock
from usecases import outbox as sender


def test_the_ports_are_satisfied(database: Database) -> None:
    orders: OrderStore = Orders(database)
    stock: StockStore = Stock(database)
    payments: PaymentLedger = Payments(database)
    messages: MessageQueue = Messages(database)
    rows: sender.Outbox = Outbox(database)
    contacts: sender.Contacts = Contacts(database)
    assert all((orders, stock, payments, messages, rows, contacts))
