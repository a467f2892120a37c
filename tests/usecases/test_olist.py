"""The mapping of Olist's files, rule by rule on rows of our own, and on the real ones where they are there."""

import csv
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.decoding import decode
from domain.placing import PlaceOrder
from domain.state import OrderStatus
from tests.data import data_folder
from usecases import olist
from usecases.olist import Event, NotOlist, OlistFolder, OlistOrder, read_olist

Row = dict[str, str]
ORDER: Row = {
    "order_id": "o1",
    "customer_id": "c1",
    "order_status": "delivered",
    "order_purchase_timestamp": "2018-07-24 20:41:37",
    "order_approved_at": "2018-07-26 03:24:27",
    "order_delivered_carrier_date": "2018-07-26 14:31:00",
    "order_delivered_customer_date": "2018-08-07 15:27:45",
    "order_estimated_delivery_date": "2018-08-13 00:00:00",
}
CUSTOMER: Row = {
    "customer_id": "c1",
    "customer_unique_id": "u1",
    "customer_zip_code_prefix": "01001",
    "customer_city": "são paulo",
    "customer_state": "SP",
}
ITEM: Row = {
    "order_id": "o1",
    "order_item_id": "1",
    "product_id": "p1",
    "seller_id": "s1",
    "shipping_limit_date": "2018-07-30 03:24:27",
    "price": "10.5",
    "freight_value": "3.33",
}
PAYMENT: Row = {
    "order_id": "o1",
    "payment_sequential": "1",
    "payment_type": "credit_card",
    "payment_installments": "1",
    "payment_value": "13.83",
}


def folder_with(path: Path, **tables: list[Row]) -> OlistFolder:
    rows = {"orders": [ORDER], "customers": [CUSTOMER], "order_items": [ITEM], "order_payments": [PAYMENT]} | tables
    headers = {"orders": ORDER, "customers": CUSTOMER, "order_items": ITEM, "order_payments": PAYMENT}
    for name, header in headers.items():
        with (path / f"olist_{name}_dataset.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(header))
            writer.writeheader()
            writer.writerows(rows[name])
    return read_olist(path)


def one(path: Path, **tables: list[Row]) -> OlistOrder:
    (order,) = folder_with(path, **tables).orders
    return order


def body_of(order: OlistOrder) -> dict[str, Any]:
    assert order.body is not None
    assert order.reason is None
    return order.body


def test_units_of_a_product_at_one_price_are_one_line_and_freight_is_added_up(tmp_path: Path) -> None:
    body = body_of(
        one(
            tmp_path,
            order_items=[
                ITEM,
                ITEM | {"order_item_id": "2", "freight_value": "3.34"},
                ITEM | {"order_item_id": "3", "price": "9.90"},
                ITEM | {"order_item_id": "4", "seller_id": "s2"},
            ],
            order_payments=[PAYMENT | {"payment_value": "54.73"}],
        )
    )
    assert [(line["seller"], line["sku"], line["quantity"], line["unit_price"]) for line in body["lines"]] == [
        ("s1", "p1", 2, 1050),
        ("s1", "p1", 1, 990),
        ("s2", "p1", 1, 1050),
    ]
    assert body["shipping"]["price"] == 1333
    assert (body["tax"], body["discount"]) == (0, 0)


@pytest.mark.parametrize(("paid", "tax", "discount"), [("14.00", 17, 0), ("13.80", 0, 3), ("13.83", 0, 0)])
def test_what_was_paid_above_the_price_is_tax_and_below_it_discount(
    tmp_path: Path, paid: str, tax: int, discount: int
) -> None:
    body = body_of(one(tmp_path, order_payments=[PAYMENT | {"payment_value": paid}]))
    assert (body["tax"], body["discount"]) == (tax, discount)


def test_every_payment_row_is_a_payment_in_its_own_order(tmp_path: Path) -> None:
    kinds = {"3": "voucher", "1": "credit_card", "2": "boleto", "5": "not_defined", "4": "debit_card"}
    rows = [
        PAYMENT | {"payment_sequential": number, "payment_type": kind, "payment_value": number}
        for number, kind in kinds.items()
    ]
    payments = body_of(one(tmp_path, order_payments=rows))["payments"]
    assert [(payment["kind"], payment["amount"]) for payment in payments] == [
        ("card", 100),
        ("prepaid", 200),
        ("voucher", 300),
        ("card", 400),
        ("prepaid", 500),
    ]


def test_more_than_twenty_payments_are_added_up_by_kind(tmp_path: Path) -> None:
    rows = [
        PAYMENT | {"payment_sequential": str(n), "payment_type": "voucher" if n % 2 else "boleto", "payment_value": "1"}
        for n in range(25)
    ]
    payments = body_of(one(tmp_path, order_payments=rows))["payments"]
    assert [(payment["kind"], payment["amount"]) for payment in payments] == [("prepaid", 1300), ("voucher", 1200)]


def test_without_payment_rows_the_order_counts_as_prepaid(tmp_path: Path) -> None:
    (payment,) = body_of(one(tmp_path, order_payments=[]))["payments"]
    assert (payment["kind"], payment["amount"]) == ("prepaid", 1383)


def test_times_are_those_of_sao_paulo_and_the_promise_is_the_end_of_its_day(tmp_path: Path) -> None:
    body = body_of(one(tmp_path, order_items=[ITEM, ITEM | {"shipping_limit_date": "2018-07-31 00:00:00"}]))
    assert body["clock"]["origin"] == "2018-07-24T23:41:37+00:00"
    assert body["promised_by"] == "2018-08-14T02:59:59+00:00"
    assert body["promised_ship_by"] == "2018-07-31T03:00:00+00:00"


def test_a_promise_on_the_night_that_summer_time_begins(tmp_path: Path) -> None:
    """In 2017 the clocks of São Paulo skipped the first hour of 15 October."""
    order = one(tmp_path, orders=[ORDER | {"order_estimated_delivery_date": "2017-10-14 00:00:00"}])
    assert body_of(order)["promised_by"] == "2017-10-15T02:59:59+00:00"


def test_lateness_is_measured_against_the_recorded_promises(tmp_path: Path) -> None:
    order = one(tmp_path, orders=[ORDER | {"order_delivered_customer_date": "2018-08-14 00:00:00"}])
    assert order.recorded is not None
    assert (order.recorded.handed_late, order.recorded.delivered_late) == (False, True)


def test_nothing_happens_before_the_purchase_or_delivery_before_handoff(tmp_path: Path) -> None:
    dates = {
        "order_approved_at": "2018-07-27 00:00:00",
        "order_delivered_carrier_date": "2018-07-24 20:00:00",
        "order_delivered_customer_date": "2018-07-24 19:00:00",
    }
    purchase = datetime(2018, 7, 24, 23, 41, 37, tzinfo=UTC)
    assert one(tmp_path, orders=[ORDER | dates]).events == (
        Event("approved", purchase),  # at the latest with the handoff
        Event("handed", purchase),
        Event("delivered", purchase),
    )


@pytest.mark.parametrize(
    ("status", "without", "expected", "closed", "what"),
    [
        ("delivered", (), OrderStatus.DELIVERED, True, ["approved", "handed", "delivered"]),
        ("delivered", ("customer",), OrderStatus.DELIVERED, True, ["approved", "handed", "delivered"]),
        ("shipped", ("customer",), OrderStatus.SHIPPED, False, ["approved", "handed"]),
        ("invoiced", ("customer", "carrier"), OrderStatus.UNSHIPPED, False, ["approved"]),
        ("processing", ("customer", "carrier"), OrderStatus.UNSHIPPED, False, ["approved"]),
        ("approved", ("customer", "carrier"), OrderStatus.UNSHIPPED, False, ["approved"]),
        ("created", ("customer", "carrier", "approved"), OrderStatus.PENDING, False, []),
        ("canceled", ("customer", "carrier"), OrderStatus.CANCELED, True, ["approved", "canceled"]),
        ("canceled", ("customer", "carrier", "approved"), OrderStatus.CANCELED, True, ["canceled"]),
        ("canceled", ("customer",), OrderStatus.SHIPPED, False, ["approved", "handed", "canceled"]),
        ("canceled", (), OrderStatus.DELIVERED, True, ["approved", "handed", "canceled", "delivered"]),
        ("unavailable", ("customer", "carrier"), OrderStatus.UNFULFILLABLE, True, ["approved"]),
    ],
)
def test_the_table_of_expected_ends(
    tmp_path: Path, status: str, without: tuple[str, ...], expected: OrderStatus, closed: bool, what: list[str]
) -> None:
    columns = {
        "customer": "order_delivered_customer_date",
        "carrier": "order_delivered_carrier_date",
        "approved": "order_approved_at",
    }
    order = one(tmp_path, orders=[ORDER | {"order_status": status} | {columns[name]: "" for name in without}])
    assert (order.expected.status, order.expected.closed) == (expected, closed)
    assert [event.what for event in order.events] == what
    token = body_of(order)["payments"][0]["token"]
    assert token.startswith("tok_decline_") is ("approved" in without)


def test_stock_is_exactly_what_the_orders_want_and_none_for_unavailable_ones(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path,
        orders=[ORDER, ORDER | {"order_id": "o2"}, ORDER | {"order_id": "o3", "order_status": "unavailable"}],
        order_items=[ITEM, ITEM | {"order_id": "o2"}, ITEM | {"order_id": "o3"}],
        order_payments=[PAYMENT | {"order_id": order_id} for order_id in ("o1", "o2", "o3")],
    )
    assert [(level.sku, level.on_hand) for level in folder.catalog.stock] == [("p1", 2)]
    assert {listing.sku for listing in folder.catalog.listings} == {"p1", "p1-unavailable"}


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"order_items": []}, "lines: "),
        ({"customers": []}, "customer_id: no customer 'c1' is in the folder"),
        ({"order_items": [ITEM | {"price": "ten"}]}, "price: 'ten' is no amount"),
        ({"order_items": [ITEM | {"price": "-1"}]}, "lines.0.unit_price: "),
        ({"order_items": [ITEM | {"order_item_id": ""}]}, "order_item_id: '' is no number"),
        ({"order_payments": [PAYMENT | {"payment_value": "NaN"}]}, "payment_value: 'NaN' is no amount"),
        ({"orders": [ORDER | {"order_purchase_timestamp": "2018"}]}, "order_purchase_timestamp: '2018' is no time"),
        ({"orders": [ORDER | {"order_estimated_delivery_date": ""}]}, "order_estimated_delivery_date: '' is no time"),
        ({"customers": [CUSTOMER | {"customer_city": ""}]}, "ship_to.city: "),
    ],
)
def test_what_is_no_order_is_listed_with_its_reason(tmp_path: Path, tables: dict[str, list[Row]], reason: str) -> None:
    order = one(tmp_path, **tables)
    assert order.reason is not None
    assert order.reason.startswith(reason)
    assert order.expected.status is None
    assert order.events == ()


def test_a_folder_that_lacks_a_file_or_column_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotOlist, match=r"olist_orders_dataset\.csv"):
        read_olist(tmp_path)
    folder_with(tmp_path)
    (tmp_path / "olist_orders_dataset.csv").write_text("order_id\no1\n")
    with pytest.raises(NotOlist, match="no column 'customer_id'"):
        read_olist(tmp_path)


@pytest.mark.parametrize("table", ["orders", "customers", "order_items", "order_payments"])
@pytest.mark.parametrize("content", ["", "\n", "order,customer\n"])
def test_a_table_without_its_columns_is_named(tmp_path: Path, table: str, content: str) -> None:
    folder_with(tmp_path)
    (tmp_path / f"olist_{table}_dataset.csv").write_text(content)
    with pytest.raises(NotOlist, match=rf"olist_{table}_dataset\.csv: there is no column '\w+_id'"):
        read_olist(tmp_path)


@pytest.mark.parametrize("more", ["são\n".encode("latin-1"), b"x" * 200_000])
def test_a_table_that_nobody_can_read_is_named(tmp_path: Path, more: bytes) -> None:
    folder_with(tmp_path)
    file = tmp_path / "olist_customers_dataset.csv"
    file.write_bytes(file.read_bytes() + more)
    with pytest.raises(NotOlist, match=r"olist_customers_dataset\.csv: (is not UTF-8|field larger)"):
        read_olist(tmp_path)


def test_a_file_that_is_too_large_is_named_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_with(tmp_path)
    file = max(tmp_path.glob("*.csv"), key=lambda file: file.stat().st_size)
    monkeypatch.setattr(olist, "_BYTES_MAX", file.stat().st_size)
    assert len(read_olist(tmp_path).orders) == 1
    file.write_bytes(file.read_bytes() + b"\xff")
    with pytest.raises(NotOlist, match=rf"{file.stem}\.csv: larger than [\d,]+ bytes"):
        read_olist(tmp_path)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("orders", "order_purchase_timestamp", "9999-12-31 23:59:59"),
        ("orders", "order_estimated_delivery_date", "9999-12-31 00:00:00"),
        ("order_items", "price", "1e400"),
        ("order_items", "price", "1e999999"),
        ("order_items", "price", "1e400000000"),
        ("order_items", "price", "NaN"),
        ("order_payments", "payment_value", "9" * 4_000),
    ],
)
def test_numbers_and_times_beyond_all_measure_are_named_in_short(
    tmp_path: Path, table: str, column: str, value: str
) -> None:
    row = {"orders": ORDER, "order_items": ITEM, "order_payments": PAYMENT}[table] | {column: value}
    order = one(tmp_path, **{table: [row]})
    assert order.reason is not None
    assert order.reason.startswith(f"{column}: {value[:20]!r}"[:-1])
    assert len(order.reason) < 200


def test_a_seller_that_makes_no_location_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotOlist, match=r": Location: location: "):
        folder_with(tmp_path, order_items=[ITEM | {"seller_id": "s" * 64}])


@pytest.mark.data
@pytest.mark.parametrize(("name", "orders", "refused"), [("ordinary", 1000, 0), ("troubled", 500, 123)])
def test_all_real_orders_are_orders_or_have_no_items(name: str, orders: int, refused: int) -> None:
    folder = read_olist(data_folder() / "olist" / name)
    assert len(folder.orders) == orders
    without = [order for order in folder.orders if order.reason is not None]
    assert Counter(order.expected.rule for order in without) == Counter(
        {"no items: refused": refused} if refused else {}
    )
    placed = [decode(PlaceOrder, (order.body,)) for order in folder.orders if order.reason is None]
    wanted = sum(line.quantity for order in placed if isinstance(order, PlaceOrder) for line in order.lines)
    assert sum(level.on_hand for level in folder.catalog.stock) == wanted > 0
