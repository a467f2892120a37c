"""Loading, receiving, correcting."""

import pytest

from domain.catalog import Catalog, Correction, OpeningStock, Receipt, StockLevel, StockMoved, StockRefused
from store.database import Database
from tests.store.shop import Shop


async def test_loading_twice_opens_the_stock_once_and_updates_the_rest(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    await shop.reserve(await shop.placed(2))
    assert await shop.inventory.load(shop.catalog(title="Big mug")) is None
    assert await shop.level(shop.near) == (5, 2)
    assert (await shop.place(shop.order(1))).lines[0].title == "Big mug"


async def test_a_delivery_counts_once(database: Database) -> None:
    shop = await Shop(database).open()
    for _ in range(2):
        level = await shop.inventory.receive(
            Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=5, key=f"{shop.seller}-delivery")
        )
    assert level == StockMoved(location=shop.near, seller=shop.seller, sku="mug", on_hand=5, reserved=0, repeated=True)


async def test_each_item_of_a_delivery_counts_once_and_a_second_quantity_is_refused(database: Database) -> None:
    shop = await Shop(database).open()
    mugs = Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=5, key="note-1")
    jugs = mugs.model_copy(update={"sku": "jug"})
    repeated = [await shop.inventory.receive(told) for told in (mugs, jugs, mugs)]
    assert [isinstance(level, StockMoved) and level.repeated for level in repeated] == [False, False, True]
    refused = await shop.inventory.receive(mugs.model_copy(update={"quantity": 6}))
    assert refused == StockRefused(reason="key: 5 units of mug were told of by this key before")
    counted = Correction(location=shop.near, seller=shop.seller, sku="mug", change=-1, key="note-1")
    corrected = await shop.inventory.correct(counted)
    assert isinstance(corrected, StockMoved)
    assert (corrected.on_hand, corrected.repeated) == (4, False), "a count is no delivery"


async def test_a_correction_never_takes_what_is_reserved(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    await shop.reserve(await shop.placed(3))
    refused = await shop.inventory.correct(
        Correction(
            location=shop.near, seller=shop.seller, sku="mug", change=-3, key=f"{shop.seller}-1", reason="counted"
        )
    )
    assert refused == StockRefused(reason=f"on_hand: mug at {shop.near} would be 2, 3 are reserved")
    corrected = await shop.inventory.correct(
        Correction(
            location=shop.near, seller=shop.seller, sku="mug", change=-2, key=f"{shop.seller}-2", reason="counted"
        )
    )
    assert isinstance(corrected, StockLevel)
    assert corrected.available == 0


@pytest.mark.parametrize(("location", "sku"), [("nowhere", "mug"), ("near", "unheard-of")])
async def test_stock_of_what_nobody_knows_is_refused(database: Database, location: str, sku: str) -> None:
    shop = await Shop(database).open()
    place = shop.near if location == "near" else location
    assert isinstance(
        await shop.inventory.receive(Receipt(location=place, seller=shop.seller, sku=sku, quantity=1, key=shop.seller)),
        StockRefused,
    )


async def test_a_location_of_another_seller_takes_no_stock_of_ours(database: Database) -> None:
    shop, other = await Shop(database).open(), await Shop(database).open()
    stray = OpeningStock(location=other.near, seller=shop.seller, sku="mug", on_hand=1)
    assert isinstance(await shop.inventory.load(Catalog(stock=(stray,))), StockRefused)
    assert await shop.inventory.levels(location=other.near, seller=shop.seller) == ()


async def test_a_catalog_of_an_unknown_seller_is_refused_whole(database: Database) -> None:
    shop = Shop(database, near=1)
    refused = await shop.inventory.load(shop.catalog().model_copy(update={"sellers": ()}))
    assert refused == StockRefused(reason=f"seller: nobody knows {shop.seller}")
    assert await shop.inventory.levels(seller=shop.seller) == ()
