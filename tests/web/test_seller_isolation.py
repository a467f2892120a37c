"""A seller learns nothing of another's part of the same order: not that it is there, and not what becomes of it."""

import re
from typing import NamedTuple

import pytest

from domain.access import Scope
from tests.shop import line
from tests.web.browsing import Page, Visitor
from tests.web.conftest import Site

ABSENT = "birch-7"


class Shared(NamedTuple):
    """An order of both; `foreign` is one of birch alone."""

    order_id: str
    foreign: str
    acme_sku: str
    birch_sku: str


@pytest.fixture(scope="module")
async def shared(site: Site) -> Shared:
    shop = site.shop
    mug = await shop.lists(20, title="Acme mug")
    lamp = await shop.lists(20, seller="birch", title="Birch lamp", sku="BIRCH-LAMP")
    order_id = await shop.placed(
        {**line(lamp, 2, "birch"), "line_id": "lamps-of-birch"}, {**line(mug, 1), "line_id": "mugs-of-acme"}
    )
    foreign = await shop.placed(line(lamp, 1, "birch"))
    await shop.packs(order_id, "birch-1")
    await shop.packs(foreign, "birch-1")
    return Shared(order_id, foreign, mug, lamp)


@pytest.fixture
async def acme(site: Site) -> Visitor:
    return await site.signed_in(Scope.SELLER, "acme")


def _without(page: Page, *ids: str) -> tuple[int, str]:
    """What a page says, without the ids that were asked for and what is random."""
    text = re.sub(r'name="key" value="[^"]*"', "", page.html)
    for one in ids:
        text = text.replace(one, "ID")
    return page.status, text


PAGES = ("", "/slip.pdf", "/slip.pdf?paper=a4", "/labels.pdf", "/labels.pdf?parcel=birch-1-p1", "/pack")


@pytest.mark.parametrize("path", PAGES)
async def test_a_part_of_another_is_as_one_that_is_not_there(acme: Visitor, shared: Shared, path: str) -> None:
    for order_id in (shared.order_id, shared.foreign):
        there = await acme.get(f"/seller/orders/{order_id}/birch-1{path}")
        absent = await acme.get(f"/seller/orders/{order_id}/{ABSENT}{path}")
        assert there.status == 404
        assert _without(there, "birch-1", order_id) == _without(absent, ABSENT, order_id)


FORMS: dict[str, dict[str, str]] = {
    "pack": {"contents": "BIRCH-LAMP x 2"},
    "ship": {"do": "labels"},
    "unpack": {"parcel": "birch-1-p1"},
    "reject": {"missing-0": "1"},
    "answer": {"request": "birch-1-c1", "answer": "accept"},
    "correct": {"parcel": "birch-1-p1", "carrier-birch-1-p1": "UPS", "number-birch-1-p1": "1Z5R89390357567127"},
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_form_for_a_part_of_another_is_answered_as_for_none(
    site: Site, acme: Visitor, shared: Shared, form: str
) -> None:
    page = await acme.get("/seller/import")
    basics = {name: page.form("/seller/import").fields[name][0] for name in ("csrf", "key")}
    for order_id in (shared.order_id, shared.foreign, "nobody"):
        answers = []
        for part in ("birch-1", ABSENT):
            fields = basics | {name: value.replace("birch-1", part) for name, value in FORMS[form].items()}
            sent = Page(await acme.client.post(f"/seller/orders/{order_id}/{part}/{form}", data=fields))
            answers.append(_without(sent, part, order_id))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404
    assert (await site.shop.packing_list(shared.order_id, "birch-1")).lines[0].packed == 2


async def test_ids_of_another_in_a_form_of_ones_own_are_answered_as_unknown_ones(acme: Visitor, shared: Shared) -> None:
    path = f"/seller/orders/{shared.order_id}/acme-1"
    await _packed(acme, shared)
    page = await acme.get(path)
    for form in ("unpack", "answer", "correct"):
        answers = []
        for part in ("birch-1", ABSENT):
            fields = {name: value.replace("birch-1", part) for name, value in FORMS[form].items()}
            form_page = await acme.get("/seller/import")
            basics = {name: form_page.form("/seller/import").fields[name][0] for name in ("csrf", "key")}
            answers.append(_without(Page(await acme.client.post(f"{path}/{form}", data=basics | fields)), part))
        assert answers[0] == answers[1], form
    assert page.status == 200


async def _packed(acme: Visitor, shared: Shared) -> None:
    path = f"/seller/orders/{shared.order_id}/acme-1"
    page = await acme.get(path)
    if page.has_form(f"{path}/pack"):
        await acme.submit(page, f"{path}/pack", contents=shared.acme_sku)


async def test_an_order_without_a_part_of_ones_own_is_as_one_that_is_not_there(acme: Visitor, shared: Shared) -> None:
    assert _without(await acme.get(f"/seller/orders/{shared.foreign}"), shared.foreign) == _without(
        await acme.get("/seller/orders/nobody"), "nobody"
    )
    for search in (shared.foreign, f"{shared.foreign} birch-1", f"{shared.order_id} birch-1"):
        found = await acme.get(f"/seller/orders?search={search}")
        absent = await acme.get(f"/seller/orders?search={search.replace('birch-1', ABSENT)[::-1]}")
        assert _without(found, search) == _without(absent, search.replace("birch-1", ABSENT)[::-1])


async def test_a_list_of_numbers_tells_nothing_of_others(acme: Visitor, shared: Shared) -> None:
    page = await acme.get("/seller/import")
    head = "order_id,fulfillment_id,carrier,tracking_number,pack\n"
    words = []
    for order_id, part in ((shared.order_id, "birch-1"), (shared.foreign, "birch-1"), ("nobody", ABSENT)):
        sent = await acme.submit(page, "/seller/import", text=f"{head}{order_id},{part},local courier,LC-1,yes")
        assert f"there is no fulfillment &#39;{part}&#39; of order &#39;{order_id}&#39;" in sent.html
        words.append(_without(sent, order_id, part))
    assert words[0] == words[1] == words[2]


async def test_no_page_has_a_word_of_another(site: Site, acme: Visitor, shared: Shared) -> None:
    own = f"/seller/orders/{shared.order_id}"
    assert (await acme.get(own)).path == f"{own}/acme-1"
    for path in (
        *(
            "/seller",
            "/seller?show=today",
            "/seller?show=later",
            "/seller/orders",
            f"/seller/orders?search={shared.order_id}",
        ),
        *(f"{own}/acme-1", "/seller/stock", "/seller/stock?search=lamp", "/seller/stock/movements"),
        *("/seller/stock/receive", "/seller/import", "/seller/import/template.csv", f"{own}/acme-1/slip.pdf"),
    ):
        page = await acme.get(path)
        assert page.status == 200, path
        for word in ("birch", "Birch", shared.birch_sku, "lamps-of-birch", "mugs-of-acme", "PartiallyShipped"):
            assert word not in page.html.replace("Birch mug", ""), (path, word)


async def test_what_happens_to_the_rest_of_an_order_is_not_seen(site: Site, acme: Visitor) -> None:
    """A hold of the whole order, once the seller's own part has left, would tell that something else has not."""
    shop = site.shop
    mug, lamp = await shop.lists(), await shop.lists(seller="birch", title="Lamp")
    order_id = await shop.placed(line(mug, 1), line(lamp, 1, "birch"))
    await shop.packs(order_id)
    await shop.ships(order_id, carrier="local courier", tracking_number="LC-9")
    path = f"/seller/orders/{order_id}/acme-1"
    before = await acme.until(path, lambda page: "Handed to the carrier" in page.text and "captured" in page.text)
    await shop.update(order_id, "hold", by="support", reason="the lamp is recalled")
    await shop.update(order_id, "note", by="support", text="called birch")
    birch = await site.signed_in(Scope.SELLER, "birch")
    await birch.until(f"/seller/orders/{order_id}/birch-1", lambda page: "the lamp is recalled" in page.text)
    assert _without(await acme.get(path)) == _without(before)
    listed = await acme.get("/seller/orders?search=LC-9")
    assert "On hold" not in listed.text
