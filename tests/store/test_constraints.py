"""What the tables refuse by themselves, whatever the code above them does."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from store.database import Database
from tests.store.shop import Shop

_LEVEL = "WHERE location_id = :location AND sku = 'mug'"


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (f"UPDATE stock SET reserved = on_hand + 1 {_LEVEL}", "ck_stock_no_overselling"),
        (f"UPDATE stock SET on_hand = reserved - 1 {_LEVEL}", "ck_stock_no_overselling"),
        (f"UPDATE stock SET reserved = -1 {_LEVEL}", "ck_stock_reserved"),
        (f"UPDATE stock SET reserved = -2, on_hand = -1 {_LEVEL}", "ck_stock_(on_hand|reserved)"),
        (f"UPDATE reservations SET quantity = -1 {_LEVEL}", "ck_reservations_quantity"),
        (
            "INSERT INTO stock_movements (key, location_id, seller_id, sku, on_hand_delta, reserved_delta, reason)"
            f" SELECT key, location_id, seller_id, sku, 1, 0, 'again' FROM stock_movements {_LEVEL} AND line_id = ''",
            "uq_stock_movements",
        ),
        ("INSERT INTO outbox (key, kind, order_id, body) VALUES ('k', 'pigeon', '1', '{}')", "ck_outbox_kind"),
    ],
)
async def test_it_is_refused(database: Database, statement: str, constraint: str) -> None:
    shop = await Shop(database, near=5).open()
    await shop.reserve(await shop.placed(2))
    with pytest.raises(IntegrityError, match=constraint):
        async with database.transaction() as connection:
            await connection.execute(text(statement), {"location": shop.near})
    assert await shop.level(shop.near) == (5, 2)
