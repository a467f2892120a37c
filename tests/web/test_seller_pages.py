"""A seller's day on its pages, without scripts: what is to ship, packing, shipping, answering, many at once."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.access import Scope
from tests.shop import UPS, line
from tests.web.browsing import Page, Visitor
from tests.web.conftest import Site
from tests.web.pdf_text import pages_of


@pytest.fixture
async def seller(site: Site) -> Visitor:
    return await site.signed_in(Scope.SELLER, "acme")


def _path(order_id: str, part: str = "acme-1") -> str:
    return f"/seller/orders/{order_id}/{part}"


def _rows(page: Page) -> list[str]:
    """Order ids in the list, in its order."""
    return re.findall(r'name="chosen" value="([^":]+):', page.html)


async def _pack(seller: Visitor, order_id: str, *contents: str, **more: Any) -> Page:
    page = await seller.get(_path(order_id))
    return await seller.submit(page, f"{_path(order_id)}/pack", contents=list(contents), **more)


# -- coming in ---------------------------------------------------------------------------------


async def test_the_pages_are_for_sellers_who_have_signed_in(site: Site) -> None:
    page = await site.visitor().get("/seller?show=late")
    assert page.path == "/signin?next=%2Fseller%3Fshow%3Dlate"
    support = await site.signed_in(Scope.SUPPORT)
    assert (await support.get("/seller")).status == 403
    visitor = site.visitor()
    page = await visitor.get("/signin?next=/seller/stock")
    page = await visitor.submit(page, "/signin", key=await site.key(Scope.SELLER, "acme"))
    assert (page.path, page.status) == ("/seller/stock", 200)


async def test_a_form_from_elsewhere_is_not_taken(site: Site, seller: Visitor) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(), 1))
    answer = await seller.client.post(f"{_path(order_id)}/ship", data={"do": "labels", "key": "12345678"})
    assert answer.status_code == 403
    page = await seller.get(_path(order_id))
    assert (await seller.submit(page, f"{_path(order_id)}/pack", contents="x", key="")).status == 422


# -- what is to ship -----------------------------------------------------------------------------


async def test_what_is_late_comes_first_and_what_the_network_ships_not_at_all(site: Site, seller: Visitor) -> None:
    sku = await site.shop.lists(20, title="Queue mug")
    await site.shop.lists(5, sku=f"{sku}-net", at="FBA-1")
    now = datetime.now(UTC)
    later = await site.shop.placed(line(sku, 1), promised_ship_by=(now + timedelta(days=30)).isoformat())
    late = await site.shop.placed(line(sku, 2), promised_ship_by=(now - timedelta(hours=2)).isoformat())
    network = await site.shop.placed(line(f"{sku}-net", 1, channel="FBA"))
    page = await seller.get("/seller")
    assert _rows(page).index(late) < _rows(page).index(later)
    assert network not in page.html
    assert "2 hours late" in page.text
    assert "2 × Queue mug" in page.text
    assert _rows(await seller.get("/seller?show=late")) == [late]
    assert later in _rows(await seller.get("/seller?show=later"))
    assert late not in _rows(await seller.get("/seller?show=later"))
    assert "None at the moment" in (await seller.get("/seller?show=cancellations")).text
    assert (await seller.get("/seller?show=everything")).status == 422
    assert _rows(await seller.get(f"/seller?after={later}:birch-1")) == []
    assert "The fulfillment network packs and ships this part" in (await seller.get(_path(network))).text


# -- one part ------------------------------------------------------------------------------------


async def test_a_wrong_item_a_wrong_count_and_a_damaged_one_stop_the_packing(site: Site, seller: Visitor) -> None:
    mug, pot = await site.shop.lists(9, title="Mug"), await site.shop.lists(9, title="Pot")
    order_id = await site.shop.placed(line(mug, 2), line(pot, 1))

    page = await _pack(seller, order_id, f"{mug}\nLAMP-OAK\n", weight_grams="800")
    assert page.status == 409
    assert f"Line 2: wrong item: LAMP-OAK packed, {mug} ordered" in page.text
    assert page.form(f"{_path(order_id)}/pack").fields["contents"] == [f"{mug}\nLAMP-OAK\n"]
    assert page.form(f"{_path(order_id)}/pack").fields["weight_grams"] == ["800"]
    assert 'aria-describedby="contents-0-error contents-hint" aria-invalid="true"' in page.html

    page = await _pack(seller, order_id, f"{mug} x 3\n{pot}")
    assert f"wrong count: 3 x {mug} packed, 2 to pack" in page.text
    page = await _pack(seller, order_id, f"{mug}\n{pot}")
    assert (page.status, f"Wrong count: 1 of 2 x {mug}" in page.text) == (422, True)
    page = await _pack(seller, order_id, f"2 x {mug}\n{pot} damaged")
    assert f"Line 2: a damaged {pot} must not leave" in page.text
    page = await _pack(seller, order_id, "what is this")
    assert "Line 1: 'what is this' is not read" in page.text
    page = await _pack(seller, order_id, f"2 x {mug}\n{pot}", weight_grams="heavy")
    assert "whole number of grams" in page.text
    assert (await site.shop.packing_list(order_id, "acme-1")).lines[0].packed == 0

    page = await _pack(seller, order_id, f"{mug.lower()}\n", only_part="yes", buy_labels=None)
    assert (page.status, "Packed: one parcel." in page.text) == (200, True)
    assert [one.packed for one in (await site.shop.packing_list(order_id, "acme-1")).lines] == [1, 0]


async def test_a_parcel_is_added_without_losing_what_was_typed(site: Site, seller: Visitor) -> None:
    mug = await site.shop.lists(9, title="Mug")
    order_id = await site.shop.placed(line(mug, 2), line(mug, 1))
    page = await seller.get(_path(order_id))
    page = await seller.submit(page, f"{_path(order_id)}/pack", contents=mug, weight_grams="500", do="add")
    form = page.form(f"{_path(order_id)}/pack")
    assert (page.status, form.fields["contents"], form.fields["weight_grams"]) == (200, [mug, ""], ["500", ""])
    assert "1 of 3" in page.text
    page = await seller.submit(
        page, form.action, contents=[mug, f"{mug} x 2"], weight_grams=["500", "900"], buy_labels=None
    )
    assert "Packed: 2 parcels." in page.text
    parcels = (await site.shop.status(order_id)).fulfillments[0].parcels
    assert [parcel.contents for parcel in parcels] == [{"1": 1}, {"1": 1, "2": 1}]
    assert "500 g" in page.text
    assert "900 g" in page.text


async def test_two_clicks_have_one_effect(site: Site, seller: Visitor) -> None:
    mug = await site.shop.lists(9)
    order_id = await site.shop.placed(line(mug, 4))
    page = await seller.get(_path(order_id))
    form = page.form(f"{_path(order_id)}/pack")
    fields = {**form.fields, "contents": [mug], "only_part": ["yes"], "buy_labels": []}
    once, twice = await asyncio.gather(*(seller.client.post(form.action, data=fields) for _ in range(2)))
    assert (once.status_code, twice.status_code) == (200, 200)
    assert len((await site.shop.status(order_id)).fulfillments[0].parcels) == 1


async def test_a_typed_number_is_checked_at_its_field_and_can_be_corrected_later(site: Site, seller: Visitor) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(), 1))
    await site.shop.packs(order_id)
    ship = f"{_path(order_id)}/ship"
    number, carrier = "number-acme-1-p1", "carrier-acme-1-p1"

    async def ships(**typed: str) -> Page:
        page = await seller.get(_path(order_id))
        own = next(form for form in page.forms if form.action == ship and number in form.fields)
        fields = {**own.fields, **{name: [value] for name, value in typed.items()}, "do": ["numbers"]}
        return Page(await seller.client.post(ship, data=fields))

    page = await ships(**{carrier: "UPS", number: UPS[:-1] + "0"})
    assert page.status == 409
    assert f"Tracking number {UPS[:-1]}0 has a wrong check digit for UPS" in page.text
    assert f'aria-describedby="{number}-error' in page.html
    assert f'value="{UPS[:-1]}0"' in page.html
    assert "Which carrier takes it?" in (await ships(**{number: UPS})).text
    assert "at least one parcel" in (await ships()).text
    assert "tick that there is none" in (await ships(**{carrier: "UPS"})).text
    assert "letters, digits, spaces" in (await ships(**{carrier: "UPS", number: "1Z#?!"})).text
    page = await ships(**{carrier: "UPS", number: f" {UPS} "})
    assert f"Shipped: UPS {UPS}." in page.text
    assert not page.has_form(ship)

    correct = f"{_path(order_id)}/correct"
    page = await seller.submit(page, correct, **{carrier: "UPS", number: "1Z12"})
    assert "does not have the form of any UPS number" in page.text
    page = await seller.submit(page, correct, **{carrier: "local courier", number: ""})
    assert "Please fill this in." in page.text
    page = await seller.submit(page, correct, **{carrier: "local courier", number: "LC-77", "reason-acme-1-p1": "typo"})
    assert "Corrected. The customer is told." in page.text
    assert (await site.shop.status(order_id)).fulfillments[0].parcels[0].tracking_number == "LC-77"


async def test_a_parcel_goes_untracked_where_the_seller_says_so(site: Site, seller: Visitor) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(), 1))
    await site.shop.packs(order_id)
    page = await seller.get(_path(order_id))
    own = next(form for form in page.forms if "number-acme-1-p1" in form.fields)
    fields = {**own.fields, "carrier-acme-1-p1": ["by hand"], "untracked-acme-1-p1": ["yes"], "do": ["numbers"]}
    page = Page(await seller.client.post(own.action, data=fields))
    assert "by hand, untracked" in page.text


async def test_labels_are_bought_printed_and_shipped_with(site: Site, seller: Visitor) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(9, title="Mug"), 2))
    assert (await seller.get(f"{_path(order_id)}/labels.pdf")).status == 404
    page = await _pack(seller, order_id, (await site.shop.packing_list(order_id, "acme-1")).lines[0].sku + " x 2")
    assert "The labels are bought" in page.text
    number = (await site.shop.status(order_id)).fulfillments[0].parcels
    label = await seller.client.get(f"{_path(order_id)}/labels.pdf")
    assert label.headers["content-type"] == "application/pdf"
    [words] = pages_of(label.content)
    assert "Ada Lovelace" in words
    assert number[0].parcel_id in words
    page = await seller.submit(page, f"{_path(order_id)}/ship", do="labels")
    assert "Shipped: UPS 1Z" in page.text
    slip = await seller.client.get(f"{_path(order_id)}/slip.pdf?paper=letter")
    assert "12 Mill Street" in pages_of(slip.content)[0]


async def test_what_was_packed_is_unpacked_and_what_is_not_there_rejected(site: Site, seller: Visitor) -> None:
    mug = await site.shop.lists(5, title="Mug")
    order_id = await site.shop.placed(line(mug, 2), line(mug, 1))
    await site.shop.packs(order_id)
    page = await seller.get(_path(order_id))
    page = await seller.submit(page, f"{_path(order_id)}/unpack", parcel="acme-1-p1")
    assert "its items are to be packed again" in page.text
    reject = f"{_path(order_id)}/reject"
    assert "how many of which item" in (await seller.submit(page, reject)).text
    assert "as a number" in (await seller.submit(page, reject, **{"missing-0": "all"})).text
    page = await seller.submit(page, reject, **{"missing-0": "7", "reason": "the shelf is empty"})
    assert (page.status, "7 rejected" in page.text or "rejected, 1 to pack" in page.text) == (409, True)
    assert 'value="the shelf is empty"' in page.html
    page = await seller.submit(page, reject, **{"missing-0": "3", "reason": "the shelf is empty"})
    assert "Told: other stock is looked for" in page.text
    assert {short.quantity for short in (await site.shop.status(order_id)).shortages} == {2, 1}
    assert "the shelf is empty" in page.text


@pytest.mark.parametrize(("answer", "words", "units"), [("accept", "Accepted", 0), ("reject", "Rejected", 1)])
async def test_a_cancellation_is_answered(site: Site, seller: Visitor, answer: str, words: str, units: int) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(9, title="Mug"), 1))
    await site.shop.packs(order_id)
    await site.shop.update(order_id, "cancel", reason="ordered twice")
    page = await seller.until(_path(order_id), lambda page: "ordered twice" in page.text)
    assert order_id in _rows(await seller.get("/seller?show=cancellations"))
    assert not page.has_form(f"{_path(order_id)}/ship")
    page = await seller.submit(
        page, f"{_path(order_id)}/answer", answer=answer, **{"reason-acme-1-c1": "it is on the van"}
    )
    assert words in page.text
    assert (await site.shop.packing_list(order_id, "acme-1")).lines[0].packed == units


async def test_nothing_is_packed_or_shipped_on_hold(site: Site, seller: Visitor) -> None:
    mug = await site.shop.lists(9)
    order_id = await site.shop.placed(line(mug, 1))
    page = await seller.get(_path(order_id))
    await site.shop.update(order_id, "hold", by="support/ann", reason="the address looks wrong")
    refused = await seller.submit(page, f"{_path(order_id)}/pack", contents=mug)
    assert refused.status == 409
    page = await seller.until(_path(order_id), lambda page: "On hold: the address looks wrong" in page.text)
    assert not page.has_form(f"{_path(order_id)}/pack")
    assert order_id in _rows(await seller.get("/seller?show=on_hold"))


# -- many at once --------------------------------------------------------------------------------


async def _chosen(seller: Visitor, do: str, *order_ids: str) -> Page:
    page = await seller.get("/seller")
    return await seller.submit(page, "/seller/chosen", do=do, chosen=[f"{order_id}:acme-1" for order_id in order_ids])


async def test_many_are_printed_packed_labelled_and_shipped_at_once(site: Site, seller: Visitor) -> None:
    mug = await site.shop.lists(9, title="Bulk mug")
    one, two = [await site.shop.placed(line(mug, units)) for units in (1, 2)]
    assert "Nothing was chosen" in (await _chosen(seller, "pack")).text

    slips = await _chosen(seller, "slips", one, two, "nobody")
    assert [one in page for page in pages_of(slips.response.content)] == [True, False]
    missing = await _chosen(seller, "labels", one, two)
    assert missing.text.count("it is not packed yet") == 2

    packed = await _chosen(seller, "pack-labels", one, two, "nobody")
    assert "2 of 3 orders done, 1 not" in packed.text
    assert "there is no fulfillment 'acme-1' of order 'nobody'" in packed.text
    again = await _chosen(seller, "pack-labels", one)
    assert "nothing of this fulfillment is left to pack" in again.text

    labels = await seller.submit(packed, "/seller/chosen", do="labels")
    assert len(pages_of(labels.response.content)) == 2
    partly = await _chosen(seller, "labels", one, "nobody")
    assert "Print the labels that are there" in partly.text
    there = await seller.submit(partly, "/seller/chosen", do="labels-there")
    assert len(pages_of(there.response.content)) == 1

    shipped = await seller.submit(packed, "/seller/chosen", do="ship")
    assert "2 of 2 orders done" in shipped.text
    assert "nothing is packed: pack comes first" in (await _chosen(seller, "ship", one)).text
    assert not {one, two} & set(_rows(await seller.get("/seller")))


async def test_a_list_ships_many_and_is_safe_to_send_again(site: Site, seller: Visitor) -> None:
    mug = await site.shop.lists(20, title="List mug")
    packed, unpacked, wrong, empty = [await site.shop.placed(line(mug, 1)) for _ in range(4)]
    await site.shop.packs(packed)
    await site.shop.packs(wrong)
    rows = [
        "order_id;fulfillment_id;carrier;tracking_number;pack",
        f"{packed};acme-1;local courier;LC-1;",
        f"{unpacked};acme-1;local courier;LC-2;yes",
        f"{wrong};acme-1;UPS;{UPS[:-1]}0;",
        f"{empty};acme-1;;;",
        "nobody;acme-1;local courier;LC-3;",
        "not an id;acme-1;local courier;LC-4;",
        f"{empty};acme-1;local courier;;",
        f"{empty};acme-1;local courier;LC-5;",
    ]
    page = await seller.get("/seller/import")
    done = await seller.submit(page, "/seller/import", text="\ufeff" + "\r\n".join(rows))
    assert "2 rows shipped, 1 without a number left alone, 5 not done" in done.text
    for words in (
        *("has a wrong check digit for UPS", "there is no fulfillment 'acme-1' of order 'nobody'"),
        *("order_id: letters, digits, - and _ only", "tracking_number is empty", "nothing is packed: pack comes first"),
    ):
        assert words in done.text
    again = done.form("/seller/import").fields["text"][0]
    assert len(again.splitlines()) == 6
    mended = again.replace(f"{UPS[:-1]}0", UPS)
    done = await seller.submit(done, "/seller/import", text=mended, pack="yes")
    assert "2 rows shipped, 3 not done" in done.text

    files = {"file": ("list.csv", ("\n".join(rows)).encode("utf-8-sig"), "text/csv")}
    form = page.form("/seller/import")
    sent = Page(
        await seller.client.post(form.action, data={name: value[0] for name, value in form.fields.items()}, files=files)
    )
    assert "0 rows shipped, 3 shipped before, 1 without a number left alone, 4 not done" in sent.text

    refused = await seller.submit(page, "/seller/import", text="order,number\n1,2")
    assert (refused.status, "it has no order_id" in refused.text) == (422, True)
    assert refused.form("/seller/import").fields["text"] == ["order,number\n1,2"]


async def test_the_list_to_fill_in_has_what_is_open(site: Site, seller: Visitor) -> None:
    mug = await site.shop.lists(9, title="Open mug")
    order_id = await site.shop.placed(line(mug, 3))
    other = await site.shop.placed(line(await site.shop.lists(seller="birch"), 1, "birch"))
    answer = await seller.client.get("/seller/import/template.csv")
    assert answer.content.startswith(
        b"\xef\xbb\xbforder_id,fulfillment_id,carrier,tracking_number,parcel_id,pack,due,items"
    )
    [row] = [row for row in answer.text.splitlines() if row.startswith(f"{order_id},")]
    assert row.startswith(f"{order_id},acme-1,,,,,")
    assert f"3 x {mug}" in row
    assert other not in answer.text


# -- all orders, and stock -------------------------------------------------------------------------


async def test_an_order_is_found_by_its_id_its_slip_and_its_number(site: Site, seller: Visitor) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(), 1))
    await site.shop.packs(order_id)
    await site.shop.ships(order_id, carrier="local courier", tracking_number=f"LC {order_id}")
    by_number = f"/seller/orders?search=lc{order_id.replace('t-', '%20t-')}"
    await seller.until(by_number, lambda page: page.path == _path(order_id))
    for typed in (order_id, f"%23{order_id}", f"{order_id}%20acme-1", f"{order_id}:acme-1", f"{order_id}/acme-1"):
        found = await seller.get(f"/seller/orders?search={typed}")
        assert found.path.split("?")[0] == _path(order_id), typed
    assert (await seller.get(f"/seller/orders/{order_id}")).path == _path(order_id)
    listed = await seller.get("/seller/orders")
    assert order_id in listed.text
    assert f"LC {order_id}" in listed.text
    nothing = await seller.get(f"/seller/orders?search={order_id[:-1]}")
    assert "Nothing of yours was found" in nothing.text


async def test_units_come_in_once_and_a_count_is_corrected(site: Site, seller: Visitor) -> None:
    mug = await site.shop.lists(5, title="Stock mug")
    order_id = await site.shop.placed(line(mug, 2))
    page = await seller.get(f"/seller/stock?search={mug}")
    assert "for 1 order" in page.text
    assert f'href="/seller/orders/{order_id}"' in page.html

    page = await seller.get(f"/seller/stock/receive?sku={mug}&location=ACME-1")
    received = await seller.submit(page, "/seller/stock/receive", quantity="10", key="note 7")
    assert f"{mug} at ACME-1: 15 on hand, 13 available." in received.text
    again = await seller.submit(page, "/seller/stock/receive", quantity="10", key="note 7")
    assert "was told of" in again.text
    assert "15 on hand" in again.text
    other = await site.shop.lists(0, title="Other stock mug")
    second = await seller.submit(page, "/seller/stock/receive", sku=other, quantity="4", key="note 7")
    assert f"{other} at ACME-1: 4 on hand" in second.text

    page = await seller.get(f"/seller/stock/correct?sku={mug}&location=ACME-1")
    refused = await seller.submit(page, "/seller/stock/correct", quantity="-14")
    assert refused.status == 409
    assert f"{mug} at ACME-1 would be 1, 2 are reserved" in refused.text
    assert 'id="quantity-error"' in refused.html
    assert refused.form("/seller/stock/correct").fields["quantity"] == ["-14"]
    corrected = await seller.submit(page, "/seller/stock/correct", quantity="-1", reason="broken")
    assert "14 on hand, 12 available" in corrected.text
    moves = await seller.get(f"/seller/stock/movements?sku={mug}")
    assert [word for word in ("+10", "-1", "broken", order_id) if word not in moves.text] == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"quantity": "many"}, "quantity"),
        ({"quantity": "0"}, "quantity"),
        ({"sku": "NOT-MINE"}, "sku"),
        ({"sku": ""}, "sku"),
        ({"key": ""}, "key"),
        ({"location": "BIRCH-1"}, "location"),
        ({"location": "FBA-1"}, "location"),
        ({"location": "nowhere"}, "location"),
    ],
)
async def test_what_cannot_come_in_is_said_at_its_field(
    site: Site, seller: Visitor, fields: dict[str, str], field: str
) -> None:
    mug = await site.shop.lists(5)
    page = await seller.get(f"/seller/stock/receive?sku={mug}&location=ACME-1")
    refused = await seller.submit(page, "/seller/stock/receive", **({"quantity": "1"} | fields))
    assert refused.status in (409, 422)
    assert f'id="{field}-error"' in refused.html, refused.text
    assert (await site.shop.on_hand(mug))["ACME-1"] == (5, 0)
