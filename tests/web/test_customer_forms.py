"""What a customer may do on the order's page, by its forms: the effect on the order, and what the page says then."""

import asyncio
from typing import Any

import pytest

from domain.access import OF_CUSTOMERS
from domain.results import StatusView
from store.contacts import Contacts
from tests.shop import Body, line
from tests.web.browsing import Form, Page, Visitor
from tests.web.buying import checks_out, customer_of, leaves, new_email, order_on, puts_in_cart, ships_for
from tests.web.conftest import Site


def _path(order_id: str, form: str = "") -> str:
    return f"/orders/{order_id}" + (f"/{form}" if form else "")


def _forms(page: Page) -> set[str]:
    """The messages that the page offers to send."""
    return {form.action.rsplit("/", 1)[1] for form in page.forms if form.action.startswith("/orders/")}


async def _offering(customer: Visitor, order_id: str, form: str) -> Page:
    return await customer.until(_path(order_id), lambda page: page.has_form(_path(order_id, form)))


async def _sent(customer: Visitor, order_id: str, form: str, **fields: str | None) -> Page:
    page = await _offering(customer, order_id, form)
    sent = await customer.submit(page, _path(order_id, form), **fields)
    assert (sent.status, sent.path) == (200, _path(order_id))
    return sent


async def _shipped(site: Site, *lines: Body, **more: Any) -> str:
    order_id = await site.shop.placed(*lines, **more)
    await leaves(site.shop, order_id)
    return order_id


async def test_the_page_has_a_form_for_each_thing_that_would_be_obeyed_and_no_other(site: Site) -> None:
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists(1), 2), line(await shop.lists(), 1))
    customer = await customer_of(site, order_id)
    seen = set()

    async def compare() -> StatusView:
        status = await shop.status(order_id)
        allowed = {action.message for action in status.actions} & OF_CUSTOMERS
        page = await customer.until(_path(order_id), lambda page: _forms(page) == allowed)
        seen.update(_forms(page))
        return status

    assert (await compare()).shortages
    await shop.update(order_id, "choose_for_shortage", line_id="1", choice="refund")
    await compare()
    await shop.packs(order_id)
    await compare()
    await shop.ships(order_id)
    await compare()
    await shop.delivers(order_id)
    await shop.ended(order_id)
    page = await customer.until(_path(order_id), lambda page: "Delivered" in page.text)
    assert _forms(page) == set()
    assert seen == OF_CUSTOMERS - {"update_payment"}


# -- cancelling --------------------------------------------------------------------------------


async def test_everything_is_cancelled(site: Site) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(), 2), line(await site.shop.lists(), 1))
    customer = await customer_of(site, order_id)
    page = await _sent(customer, order_id, "cancel", reason="ordered twice")
    assert "We have your cancellation" in page.text
    status = await site.shop.ended(order_id)
    assert (status.status, status.money.captured) == ("Canceled", 0)
    page = await customer.until(_path(order_id), lambda page: "This order was canceled" in page.text)
    assert "Nothing was charged for what was not sent" in page.text
    assert "We have your cancellation" not in page.text, "said once"
    [entry] = [one for one in await _entries(site, order_id) if one["what"] == "cancelled"]
    assert (entry["who"], entry["why"]) == ("customer", "ordered twice")


async def _entries(site: Site, order_id: str) -> list[dict[str, Any]]:
    answer = await site.shop.orders.query(order_id, "timeline")
    found: list[dict[str, Any]] = answer.model_dump()["entries"]
    return found


async def test_some_of_it_is_cancelled(site: Site) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(title="Mug"), 3), line(await site.shop.lists(), 1))
    customer = await customer_of(site, order_id)
    for typed in ("0", "", "many", "-1", "9" * 5_000):
        page = await _sent(customer, order_id, "cancel", what="some", **{"units-1": typed})
        assert "Please say how many of which item" in page.text
    page = await _sent(customer, order_id, "cancel", what="some", **{"units-1": "4"})
    assert "4 of 3 ordered" in page.text
    page = await _sent(customer, order_id, "cancel", what="some", **{"units-1": "2"})
    assert "We have your cancellation" in page.text
    status = await site.shop.status(order_id)
    assert [one.units for one in status.lines] == [{"cancelled": 2, "reserved": 1}, {"reserved": 1}]
    await customer.until(_path(order_id), lambda page: "2 canceled, 1 being prepared" in page.text)


async def test_what_is_packed_is_asked_of_the_seller(site: Site) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists()))
    await site.shop.packs(order_id)
    customer = await customer_of(site, order_id)
    await _sent(customer, order_id, "cancel")
    page = await customer.until(_path(order_id), lambda page: "waits for its answer" in page.text)
    [request] = (await site.shop.status(order_id)).cancellation_requests
    assert not page.has_form(_path(order_id, "cancel"))
    await site.shop.update(order_id, "answer_cancellation", request_id=request, answer="accept", by="seller:acme")
    await customer.until(_path(order_id), lambda page: "This order was canceled" in page.text)


async def test_two_clicks_have_one_effect_and_another_choice_on_the_same_page_its_own(site: Site) -> None:
    """Whoever goes back to the page that they have sent sends another message with it."""
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists(), 4), line(await shop.lists(), 4))
    customer = await customer_of(site, order_id)
    page = await _offering(customer, order_id, "cancel")
    form = page.form(_path(order_id, "cancel"))
    some = form.fields | {"what": ["some"], "units-1": ["1"]}
    both = await asyncio.gather(*(customer.client.post(form.action, data=some) for _ in range(2)))
    assert [answer.status_code for answer in both] == [200, 200]
    assert (await shop.status(order_id)).lines[0].units == {"cancelled": 1, "reserved": 3}
    await customer.client.post(form.action, data=form.fields | {"what": ["some"], "units-2": ["2"]})
    status = await shop.status(order_id)
    assert [one.units for one in status.lines] == [{"cancelled": 1, "reserved": 3}, {"cancelled": 2, "reserved": 2}]


# -- choosing without stock --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "units", "says"),
    [
        ("wait", [{"backordered": 1, "reserved": 1}], "We send it as soon as it is back"),
        ("refund", [{"cancelled": 1, "reserved": 1}], "1 canceled, 1 being prepared"),
        ("cancel", [{"cancelled": 2}], "This order was canceled"),
        ("substitute", [{"cancelled": 1, "reserved": 1}, {"reserved": 1}], "1 × Green mug"),
    ],
)
async def test_a_customer_chooses_for_what_is_not_there(
    site: Site, choice: str, units: list[dict[str, int]], says: str
) -> None:
    shop = site.shop
    green = await shop.lists(5, title="Green mug", unit_price=900)
    order_id = await shop.placed(line(await shop.lists(1, title="Blue mug", substitutes=[green]), 2))
    customer = await customer_of(site, order_id)
    page = await _offering(customer, order_id, "choose_for_shortage")
    assert "Out of stock: 1 × Blue mug" in page.text
    assert "otherwise we leave it out, and you do not pay for it" in page.text
    assert "$9.00 each: you pay less" in page.text
    assert "1 waits for your choice" in page.text
    value = f"substitute:{green}" if choice == "substitute" else choice
    page = await _sent(customer, order_id, "choose_for_shortage", choice=value)
    assert "Thank you: we do as you chose." in page.text
    status = await shop.until(order_id, lambda status: not status.shortages)
    assert [one.units for one in status.lines] == units
    page = await customer.until(_path(order_id), lambda page: says in page.text)
    assert not page.has_form(_path(order_id, "choose_for_shortage"))


async def test_no_choice_and_one_that_nobody_offered_change_nothing(site: Site) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(0), 1))
    customer = await customer_of(site, order_id)
    for choice in (None, "", "free of charge", "substitute:GOLD", "substitute:"):
        page = await _sent(customer, order_id, "choose_for_shortage", choice=choice)
        assert 'class="notice bad" role="alert"' in page.html
    assert len((await site.shop.status(order_id)).shortages) == 1


# -- paying ------------------------------------------------------------------------------------


async def test_another_card_is_given_where_one_was_declined(site: Site) -> None:
    await ships_for(site.shop)
    visitor = site.visitor()
    await puts_in_cart(visitor, await site.shop.lists())
    order_id = order_on(await checks_out(visitor, email=new_email(), card="tok_decline_expired"))
    page = await _offering(visitor, order_id, "update_payment")
    assert "Your payment of $14.99 was declined. Please choose another card by" in page.text
    assert "Pending payment" in page.text
    page = await _sent(visitor, order_id, "update_payment", card="tok_decline_insufficient_funds")
    assert "That did not work: insufficient funds." in page.text
    for amount in ("1", "lots", "9" * 5_000):
        page = await _sent(visitor, order_id, "update_payment", amount=amount)
        assert 'class="notice bad" role="alert"' in page.html
    page = await _sent(visitor, order_id, "update_payment", card="tok_visa")
    assert "We are trying your other card." in page.text
    status = await site.shop.until(order_id, lambda status: bool(status.fulfillments))
    assert (status.status, status.money.authorized) == ("Unshipped", 1499)
    page = await visitor.until(_path(order_id), lambda page: "being prepared" in page.text)
    assert not page.has_form(_path(order_id, "update_payment"))
    payments = page.html.split("<h2>Payment</h2>")[1].split("</ul>")[0]
    assert (payments.count("declined") + payments.count("not used"), payments.count("$14.99")) == (2, 3)


async def test_what_could_not_be_charged_is_paid_by_another_card(site: Site) -> None:
    sku = await site.shop.lists()
    order_id = await _shipped(site, line(sku, 2), payments=[{"token": "tok_capture_refused", "amount": 2000}])
    await site.shop.until(order_id, lambda status: status.to_pay == 2000)
    customer = await customer_of(site, order_id)
    page = await _offering(customer, order_id, "update_payment")
    assert "We could not charge your card for what was shipped: $20.00 is open." in page.text
    await _sent(customer, order_id, "update_payment", card="tok_visa")
    await site.shop.until(order_id, lambda status: status.money.captured == 2000 and not status.money.unpaid)
    await customer.until(_path(order_id), lambda page: "Charged so far $20.00" in page.text)


# -- the address -------------------------------------------------------------------------------


async def test_another_address_is_given_until_everything_has_left(site: Site) -> None:
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists()), line(await shop.lists(seller="birch"), 1, "birch"))
    customer = await customer_of(site, order_id)
    page = await _offering(customer, order_id, "change_address")
    assert page.form(_path(order_id, "change_address")).fields["line1"] == ["12 Mill Street"]
    page = await _sent(customer, order_id, "change_address", city="", region="", postal_code="")
    assert "City: Please fill this in." in page.text
    assert "ZIP code: Please fill this in." in page.text
    page = await _sent(customer, order_id, "change_address", city="", region="IL", postal_code="62701")
    assert "City: Please fill this in." in page.text, "also where it is the only one"
    home = {"name": "Ada King", "line1": "99 New Road", "city": "Chicago", "region": "IL", "postal_code": "60601"}
    await shop.packs(order_id)
    await shop.ships(order_id, carrier="local courier", tracking_number="LC-44")
    page = await _sent(customer, order_id, "change_address", **home)
    assert "We have your new address." in page.text
    page = await customer.until(_path(order_id), lambda page: "99 New Road" in page.text)
    assert "Sent to Ada Lovelace 12 Mill Street" in page.text, "what had left goes there"
    known = await Contacts(shop.database).customer(order_id)
    assert known is not None
    assert known.address.model_dump(include={*home}) == home
    await shop.packs(order_id, "birch-1")
    await shop.ships(order_id, "birch-1", carrier="local courier", tracking_number="LC-45")
    await customer.until(_path(order_id), lambda page: not page.has_form(_path(order_id, "change_address")))


# -- what has arrived, and what has not --------------------------------------------------------


async def test_a_customer_confirms_that_it_arrived(site: Site) -> None:
    order_id = await _shipped(site, line(await site.shop.lists()))
    customer = await customer_of(site, order_id)
    await _sent(customer, order_id, "confirm_delivery")
    status = await site.shop.ended(order_id)
    assert (status.status, status.lines[0].units) == ("Delivered", {"delivered": 1})
    page = await customer.until(_path(order_id), lambda page: "Delivered" in page.text)
    assert "Charged so far $10.00" in page.text


@pytest.mark.parametrize(
    ("remedy", "says"),
    [
        ("reship", "We send it again, at no charge."),
        ("refund", "You get your money back."),
        ("wait", "It is still on its way: please wait a little longer."),
        ("dismiss", "We looked at it and found nothing to do."),
    ],
)
async def test_a_customer_reports_an_issue_and_sees_its_answer(site: Site, remedy: str, says: str) -> None:
    shop = site.shop
    order_id = await _shipped(site, line(await shop.lists()))
    customer = await customer_of(site, order_id)
    page = await _sent(customer, order_id, "report_issue", kind="")
    assert 'class="notice bad" role="alert"' in page.html
    page = await _sent(customer, order_id, "report_issue", kind="damaged", note='the box is "wet"\nand torn')
    assert "We are sorry, and have your report." in page.text
    [issue] = (await shop.status(order_id)).issues
    page = await customer.until(_path(order_id), lambda page: "Your report: damaged" in page.text)
    assert '“the box is "wet" and torn”' in page.text
    assert "Being looked at" in page.text
    assert "You hear from us by" in page.text
    await shop.update(order_id, "resolve_issue", by="support/ann", issue_id=issue, remedy=remedy, reason="between us")
    page = await customer.until(_path(order_id), lambda page: says in page.text)
    assert "Answered" in page.text
    assert "between us" not in page.text
    assert "support/ann" not in page.html


# -- what is not theirs ------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["goodwill_refund", "resolve_issue", "pack", "note", "carrier_event", "status", ""])
async def test_a_customer_sends_nothing_else(site: Site, message: str) -> None:
    order_id = await _shipped(site, line(await site.shop.lists()))
    customer = await customer_of(site, order_id)
    before = await site.shop.timeline(order_id)
    page = await _offering(customer, order_id, "report_issue")
    fields = page.form(_path(order_id, "report_issue")).fields | {"amount": ["500"], "reason": ["x"], "text": ["x"]}
    sent = await customer.client.post(f"{_path(order_id)}/{message}", data=fields)
    assert sent.status_code in (404, 405)
    assert await site.shop.timeline(order_id) == before


async def test_a_form_speaks_for_the_customer_whatever_it_says(site: Site) -> None:
    order_id = await site.shop.placed(line(await site.shop.lists(), 2))
    customer = await customer_of(site, order_id)
    await _sent(
        customer, order_id, "cancel", by="seller:acme", fulfillment_id="acme-1", what="some", **{"units-1": "1"}
    )
    cancelled = [one for one in await _entries(site, order_id) if one["what"] == "cancelled"]
    assert [one["who"] for one in cancelled] == ["customer"]


async def test_a_form_without_a_token_of_this_browser_is_refused(site: Site) -> None:
    shop = site.shop
    order_id = await shop.placed(line(await shop.lists(1), 2))
    customer, somebody = await customer_of(site, order_id), site.visitor()
    foreign = (await somebody.get(f"/products/acme/{await shop.lists()}")).form("/cart").fields["csrf"]
    page = await _offering(customer, order_id, "choose_for_shortage")
    before = await shop.timeline(order_id)
    forms = [form for form in page.forms if form.method == "post"]
    forms += [
        Form(path, "post", dict(forms[0].fields), ()) for path in ("/cart", "/cart/tidy", "/checkout", "/signout")
    ]
    assert {_path(order_id, form) for form in ("cancel", "choose_for_shortage")} <= {form.action for form in forms}
    for form in forms:
        own = form.fields["csrf"]
        for token in ([], [""], foreign, ["é"], [own[0][:-1]], [own[0].split(".")[0]]):
            sent = Page(await customer.client.post(form.action, data=form.fields | {"csrf": token}))
            assert (sent.status, "came from elsewhere" in sent.text) == (403, True), form.action
    assert await shop.timeline(order_id) == before
    customer.client.cookies.delete("oo_visit")
    sent = Page(await customer.client.post(forms[0].action, data=forms[0].fields))
    assert sent.status == 403, "nor with a token that no browser holds"
    assert "oo_visit=" in sent.response.headers["set-cookie"], "the next try works"
