"""The tables, by topic. Importing this package makes `store.metadata.metadata` complete."""

from store.tables import catalog, orders, outbox, payments, stock

__all__ = ["catalog", "orders", "outbox", "payments", "stock"]
