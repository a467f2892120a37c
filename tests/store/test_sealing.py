"""What is kept of people: sealed, found all the same, and gone for good with their key."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from itertools import count

import psycopg
import pytest
from sqlalchemy import text

from domain.contacts import Contact
from domain.keyring import Altered, keyring
from domain.placing import Address, Customer, PlaceOrder
from domain.requests import Unavailable
from domain.sealing import CUSTOMER_KEYS, ERASED, Wrapping, erased_person
from store.contacts import Contacts
from store.database import Database
from store.erasure import Erasures
from store.sealing import SealedRows, Sealing
from store.views.support import SupportViews
from tests.store.shop import Shop, progress_of, rows

RESULT = '{"status": "Delivered"}'
WORDS = ("Zebulon", "Quagmire", "zq-mail", "Xylophone", "Tumbolia", "Wimbleton", "94105", "555-0100")
ADDRESS = Address(
    name="Zebulon Quagmire",
    line1="77 Xylophone Lane",
    city="Tumbolia",
    region="CA",
    postal_code="94105",
    country="US",
    phone="555-0100",
)
_numbers = count(1)


@pytest.fixture
async def shop(new_database: Callable[[], str]) -> AsyncIterator[Shop]:
    """In a database of its own, since all of its rows are looked at."""
    database = Database(new_database(), pool_size=20)
    yield await Shop(database, near=100).open()
    await database.close()


def ring(*key_ids: str) -> Wrapping:
    return Wrapping(keyring({key_id: key_id.encode() * 16 for key_id in key_ids}, CUSTOMER_KEYS))


def bought(shop: Shop, customer: str = "") -> PlaceOrder:
    customer = customer or f"customer-{next(_numbers)}"
    person = Customer(id=customer, name="Zebulon Quagmire", email="zq-mail@example.com", time_zone="UTC")
    return shop.order(1).model_copy(update={"customer": person, "ship_to": ADDRESS})


async def recorded(shop: Shop, customer: str = "") -> PlaceOrder:
    order = bought(shop, customer)
    assert (await shop.place(order)).verdict == "new"
    return order


async def closed(shop: Shop, customer: str = "") -> PlaceOrder:
    order = await recorded(shop, customer)
    await shop.orders.close(progress_of(order, 1, order={"status": "Delivered", "closed": True}), RESULT)
    return order


async def found(shop: Shop, words: str) -> set[tuple[str, str]]:
    return {(order.order_id, order.by) for order in await SupportViews(shop.database).search(words)}


async def live_keys(shop: Shop) -> list[tuple[object, ...]]:
    query = "SELECT customer_id FROM customer_keys WHERE destroyed_at IS NULL AND wrapped IS NOT NULL ORDER BY 1"
    return await rows(shop.database, query)


async def told_of(shop: Shop) -> set[str]:
    """Words that can be read in any table, in texts or in bytes."""
    everything: list[str] = []
    async with shop.database.statement() as connection:
        tables = await connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        for table in tables.all():
            content = await connection.scalars(text(f'SELECT CAST("{table}" AS text) FROM "{table}"'))
            everything += content.all()
    kept = "\n".join(everything)
    return {word for word in WORDS if word in kept or word.encode().hex() in kept}


async def test_nothing_of_a_person_can_be_read_in_rows_and_all_of_it_by_those_who_may(shop: Shop) -> None:
    order = await recorded(shop)
    moved = ADDRESS.model_copy(update={"line1": "1 Wimbleton"})
    await shop.orders.change_address(order.order_id, f"{order.order_id}:address:1", moved, ("acme-1",), None)
    assert await told_of(shop) == set()
    customer = await Contacts(shop.database).customer(order.order_id)
    assert customer is not None
    assert (customer.name, customer.email, customer.address) == ("Zebulon Quagmire", "zq-mail@example.com", moved)
    assert customer.earlier_addresses == {"acme-1": ADDRESS}
    assert await shop.orders.address(order.order_id) == moved
    clear = await rows(shop.database, "SELECT address, earlier_addresses FROM order_contacts")
    assert clear == [({"country": "US", "region": "CA"}, {})], "what insights and taxes read"


async def test_an_order_is_found_by_its_mail_and_by_whole_words_of_the_name(shop: Shop) -> None:
    order = await recorded(shop)
    for words in ("zebulon", "QUAGMIRE", "quagmire, Zébulon"):
        assert await found(shop, words) == {(order.order_id, "name")}
    assert await found(shop, " ZQ-Mail@example.com ") == {(order.order_id, "email")}
    for words in ("zeb", "zebulon ada", "q-mail@example.com", "!", "%"):
        assert await found(shop, words) == set()


async def test_a_wrong_mail_address_is_corrected(shop: Shop) -> None:
    order, gone = await recorded(shop), await closed(shop, "gone")
    await Erasures(shop.database).erase(gone.order_id, "support")
    assert await shop.orders.correct_email(order.order_id, "zq@example.org")
    customer = await Contacts(shop.database).customer(order.order_id)
    assert customer is not None
    assert (customer.email, customer.name, customer.address) == ("zq@example.org", "Zebulon Quagmire", ADDRESS)
    assert await found(shop, "zq@example.org") == {(order.order_id, "email")}
    assert await found(shop, "zq-mail@example.com") == set()
    for absent in (gone.order_id, "nobody"):
        assert not await shop.orders.correct_email(absent, "zq@example.org")
    await _in_clear(shop)
    assert await shop.orders.correct_email(order.order_id, "zq@example.org")
    assert await found(shop, "zq@example.org") == {(order.order_id, "email")}


async def test_what_was_sealed_for_another_order_or_by_another_key_is_refused(shop: Shop) -> None:
    first, second = await recorded(shop, "same"), await recorded(shop, "same")
    third = await recorded(shop, "other")
    for of, to in ((first, second), (third, first)):
        async with shop.database.transaction() as connection:
            await connection.execute(
                text(_TAKE),
                {"of": of.order_id, "to": to.order_id},
            )
        with pytest.raises(Altered, match=to.order_id):
            await Contacts(shop.database).customer(to.order_id)
    assert await shop.orders.address(third.order_id) == ADDRESS


_TAKE = """
    UPDATE order_contacts SET sealed = (SELECT sealed FROM order_contacts WHERE order_id = :of) WHERE order_id = :to
"""


async def test_a_key_that_is_not_there_at_all_is_trouble_and_no_erasure(shop: Shop) -> None:
    order = await recorded(shop)
    await rows(shop.database, "DELETE FROM customer_keys RETURNING key_id")
    with pytest.raises(Unavailable, match="newest backup"):
        await shop.orders.address(order.order_id)


async def test_a_key_that_is_gone_and_data_that_were_altered_cost_nobody_else_a_mail(shop: Shop) -> None:
    keyless, altered, *good = [await recorded(shop) for _ in range(5)]
    await rows(
        shop.database, "DELETE FROM customer_keys WHERE customer_id = :id RETURNING key_id", id=keyless.customer.id
    )
    async with shop.database.transaction() as connection:
        await connection.execute(text(_TAKE), {"of": good[0].order_id, "to": altered.order_id})
    contacts = Contacts(shop.database)
    asked = [one.order_id for one in (good[0], keyless, good[1], altered, good[2])]
    told = await asyncio.gather(*(contacts.contact(one, "customer") for one in asked), return_exceptions=True)
    zebulon = Contact(name="Zebulon Quagmire", email="zq-mail@example.com", time_zone="UTC")
    assert [told[0], told[2], told[4]] == [zebulon] * 3
    assert [type(told[1]), type(told[3])] == [Unavailable, Altered]
    assert altered.order_id in str(told[3])


async def test_keys_are_wrapped_where_there_is_a_keyring_and_rewrapped_by_the_current_one(shop: Shop) -> None:
    plain = await recorded(shop)
    url = shop.database._engine.url.render_as_string(hide_password=False)
    old, both, new = (Database(url, wrapping=ring(*keys)) for keys in (("o1",), ("n1", "o1"), ("n1",)))
    try:
        wrapped = await recorded(shop.on(old))
        assert await rows(old, "SELECT wrapped_by FROM customer_keys ORDER BY created_at") == [(None,), ("o1",)]
        for order in (plain, wrapped):
            assert await shop.on(old).orders.address(order.order_id) == ADDRESS
        for stranger in (shop, shop.on(new)):
            with pytest.raises(Unavailable, match="'o1', which is not known here"):
                await stranger.orders.address(wrapped.order_id)
        assert await Sealing(both).seal() == SealedRows(contacts=0, keys=3)  # the one of the search, too
        assert await Sealing(both).seal() == SealedRows(contacts=0, keys=0)
        assert await rows(both, "SELECT DISTINCT wrapped_by FROM customer_keys") == [("n1",)]
        assert await rows(both, "SELECT wrapped_by FROM search_key") == [("n1",)]
        for order in (plain, wrapped):
            assert await shop.on(new).orders.address(order.order_id) == ADDRESS
        assert len(await found(shop.on(new), "zebulon")) == 2
    finally:
        for database in (old, both, new):
            await database.close()


async def test_rows_of_code_of_before_are_read_found_changed_and_sealed(shop: Shop) -> None:
    orders = [await recorded(shop, "same"), await recorded(shop, "same"), await recorded(shop)]
    erased = await closed(shop, "gone")
    await Erasures(shop.database).erase(erased.order_id, "support")
    await _in_clear(shop)
    assert await told_of(shop) == set(WORDS) - {"Wimbleton"}
    contacts = Contacts(shop.database)
    before = [await contacts.customer(order.order_id) for order in orders]
    assert {customer.name for customer in before if customer} == {"Zebulon Quagmire"}
    assert {by for _, by in await found(shop, "zebulon q")} == {"name"}
    assert len(await found(shop, "ZQ-MAIL@example.com")) == 3
    moved = ADDRESS.model_copy(update={"line1": "1 Wimbleton"})
    await shop.orders.change_address(orders[0].order_id, f"{orders[0].order_id}:address:1", moved, ("acme-1",), None)
    changed = await contacts.customer(orders[0].order_id)
    assert changed is not None
    assert (changed.address, changed.earlier_addresses) == (moved, {"acme-1": ADDRESS})

    assert await Sealing(shop.database).seal() == SealedRows(contacts=3, keys=0)
    assert await told_of(shop) == set()
    assert await contacts.customer(orders[0].order_id) == changed
    assert [await contacts.customer(order.order_id) for order in orders[1:]] == before[1:]
    assert await live_keys(shop) == [(one,) for one in sorted({order.customer.id for order in orders})]
    assert {by for _, by in await found(shop, "zebulon")} == {"name"}
    assert await Sealing(shop.database).seal() == SealedRows(contacts=0, keys=0)


async def _in_clear(shop: Shop) -> None:
    """As the release before 0006 wrote them."""
    async with shop.database.transaction() as connection:
        await connection.execute(text("DELETE FROM customer_keys WHERE destroyed_at IS NULL"))
        await connection.execute(text("DELETE FROM order_search"))
        await connection.execute(
            text("""
                UPDATE order_contacts SET sealed = NULL, key_id = NULL, name = 'Zebulon Quagmire',
                    email = 'zq-mail@example.com', address = :address WHERE sealed IS NOT NULL
            """),
            {"address": json.dumps(ADDRESS.model_dump(mode="json"))},
        )


async def test_of_many_first_orders_at_once_all_are_sealed_by_one_key(shop: Shop) -> None:
    orders = [bought(shop, "same") for _ in range(20)]
    assert {one.verdict for one in await asyncio.gather(*(shop.place(order) for order in orders))} == {"new"}
    assert await live_keys(shop) == [("same",)]
    assert {await shop.orders.address(order.order_id) for order in orders} == {ADDRESS}


async def test_the_key_goes_with_the_last_order_of_the_customer_and_a_later_order_gets_another(shop: Shop) -> None:
    erasures, contacts = Erasures(shop.database), Contacts(shop.database)
    first, second = await closed(shop, "same"), await recorded(shop, "same")
    kept = await rows(
        shop.database, "SELECT sealed, key_id FROM order_contacts WHERE order_id = :id", id=first.order_id
    )
    assert (await erasures.erase(first.order_id, "support")).outcome == "erased"
    assert (await erasures.erase(second.order_id, "support")).outcome == "open"
    assert await live_keys(shop) == [("same",)]
    assert await shop.orders.address(second.order_id) == ADDRESS
    await shop.orders.close(progress_of(second, 1, order={"status": "Delivered", "closed": True}), RESULT)
    assert (await erasures.erase(second.order_id, "support")).outcome == "erased"
    assert await live_keys(shop) == []
    assert await rows(shop.database, "SELECT count(*) FROM order_search") == [(0,)]

    later = await recorded(shop, "same")
    assert await live_keys(shop) == [("same",)]
    assert await shop.orders.address(later.order_id) == ADDRESS
    # What a backup of before holds of the first one.
    async with shop.database.transaction() as connection:
        await connection.execute(
            text(_PUT_BACK),
            {"sealed": kept[0][0], "key_id": kept[0][1], "id": first.order_id},
        )
        await connection.execute(
            text("UPDATE orders SET erased_at = NULL WHERE order_id = :id"), {"id": first.order_id}
        )
    customer = await contacts.customer(first.order_id)
    assert customer is not None
    assert (customer.name, customer.email, customer.address.line1) == (ERASED, "", ERASED)
    assert (customer.address.country, customer.address.region) == ("US", "CA")
    assert await contacts.is_erased(first.order_id)
    assert not await contacts.is_erased(later.order_id)
    await shop.orders.change_address(first.order_id, "late", ADDRESS, (), None)
    assert await shop.orders.address(first.order_id) == customer.address
    assert await erasures.of_destroyed_keys() == (first.order_id,)


_PUT_BACK = """
    UPDATE order_contacts SET sealed = :sealed, key_id = :key_id, name = NULL, email = NULL WHERE order_id = :id
"""


async def test_an_order_that_is_placed_while_its_customer_is_erased_can_be_read(shop: Shop) -> None:
    erasures = Erasures(shop.database)
    for number in range(10):
        customer = f"racing-{number}"
        past = [await closed(shop, customer) for _ in range(2)]
        new = bought(shop, customer)
        done = await asyncio.gather(
            *(erasures.erase(order.order_id, "support") for order in past), shop.place(new), return_exceptions=True
        )
        assert not [one for one in done if isinstance(one, BaseException)], done
        assert await shop.orders.address(new.order_id) == ADDRESS
        assert {await shop.orders.address(order.order_id) for order in past} == {erased_person("US", "CA").address}


async def test_a_key_that_is_in_use_is_not_destroyed_until_the_order_can_be_seen(shop: Shop) -> None:
    """The erasure waits for whoever is recording, and then finds the order."""
    past = await closed(shop, "same")
    url = shop.database._engine.url.render_as_string(hide_password=False).replace("+psycopg", "", 1)
    with psycopg.connect(url) as recording:
        recording.execute("SELECT FROM customer_keys WHERE customer_id = 'same' FOR SHARE")
        erasing = asyncio.create_task(Erasures(shop.database).erase(past.order_id, "support"))
        done, _ = await asyncio.wait([erasing], timeout=0.5)
        assert not done
        recording.execute(_ONE_MORE)
        recording.commit()
    assert (await erasing).outcome == "erased"
    assert await live_keys(shop) == [("same",)]


_ONE_MORE = """
    INSERT INTO orders SELECT (jsonb_populate_record(one, '{"order_id": "coming", "closed": false}')).*
    FROM orders AS one LIMIT 1
"""
