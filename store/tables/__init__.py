"""The tables of orders, stock and money, by topic; those of the simulated outside parties are in `store.sandbox`."""

from store.tables import access, catalog, insights, orders, outbox, payments, people, stock

__all__ = ["access", "catalog", "insights", "orders", "outbox", "payments", "people", "stock"]
