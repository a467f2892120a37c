"""What insights must say of an Olist folder, counted straight from its files: nothing here is shared with openorders.

`python -m tests.web.olist_counts FOLDER` prints the counts as JSON. With reports behind it, as `starter.py insights
show REPORT --json` prints them after a replay, it prints where they differ instead, and exits with 1 if they do.
The rules are those of docs/olist.md and docs/insights.md, read once more and written down again.
"""

import csv
import json
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/Sao_Paulo")

Counts = dict[str, Any]


def counts_of(folder: Path) -> Counts:
    items = defaultdict(list)
    for item in _rows(folder, "order_items"):
        items[item["order_id"]].append(item)
    statuses: Counter[str] = Counter()
    sellers: dict[str, Counter[str]] = defaultdict(Counter)
    products: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    late_handoffs = late_deliveries = 0
    for order in _rows(folder, "orders"):
        bought = items[order["order_id"]]
        if not bought:  # no order of ours
            continue
        status = _status(order)
        statuses[status] += 1
        late_handoffs += _is_handed_late(order, bought)
        late_deliveries += _is_delivered_late(order)
        kept = [] if status in ("Canceled", "Unfulfillable") else bought
        for item in kept:
            sold = {"units": 1, "revenue": _centavos(item["price"])}
            sellers[item["seller_id"]].update(sold)
            products[item["seller_id"], item["product_id"]].update(sold)
        for seller in {item["seller_id"] for item in bought}:
            sellers[seller]["orders"] += 1
        for product in {(item["seller_id"], item["product_id"]) for item in kept}:
            products[product]["orders"] += 1
    return {
        "order_statuses": dict(statuses),
        "late_handoffs": late_handoffs,
        "late_deliveries": late_deliveries,
        "sellers": {seller: _plain(sums) for seller, sums in sellers.items()},
        "products": {f"{seller} {product}": _plain(sums) for (seller, product), sums in products.items()},
        "top_products": [
            [seller, product, sums["units"]]
            for (seller, product), sums in sorted(products.items(), key=lambda one: (-one[1]["units"], one[0]))[:20]
        ],
    }


def _status(order: dict[str, str]) -> str:
    """The first that fits: a delivery is believed whatever else is said, then a handoff."""
    recorded = order["order_status"]
    if recorded == "unavailable":
        return "Unfulfillable"
    if recorded == "delivered" or order["order_delivered_customer_date"]:
        return "Delivered"
    if order["order_delivered_carrier_date"]:
        return "Shipped"
    if recorded == "canceled":
        return "Canceled"
    return "Unshipped" if order["order_approved_at"] else "Pending"


def _is_handed_late(order: dict[str, str], bought: list[dict[str, str]]) -> bool:
    """After the latest shipping limit of its items; nothing is handed over before it was bought, or unless it was."""
    handed = _handed_at(order)
    if handed is None or _status(order) in ("Canceled", "Unfulfillable"):
        return False
    limit = max(_moment(item["shipping_limit_date"]) for item in bought)
    return handed > limit


def _handed_at(order: dict[str, str]) -> datetime | None:
    handed = order["order_delivered_carrier_date"]
    moment = _moment(handed) if handed else _arrived_at(order)
    return max(moment, _moment(order["order_purchase_timestamp"])) if moment else None


def _is_delivered_late(order: dict[str, str]) -> bool:
    """After the end of the estimated day; nothing arrives before it was handed over."""
    arrived, handed = _arrived_at(order), _handed_at(order)
    if arrived is None or handed is None or _status(order) != "Delivered":
        return False
    return max(arrived, handed) > _end_of_estimated_day(order)


def _arrived_at(order: dict[str, str]) -> datetime | None:
    delivered = order["order_delivered_customer_date"]
    if delivered:
        return _moment(delivered)
    return _end_of_estimated_day(order) if order["order_status"] == "delivered" else None


def _end_of_estimated_day(order: dict[str, str]) -> datetime:
    day = datetime.fromisoformat(order["order_estimated_delivery_date"][:10]) + timedelta(days=1)
    return day.replace(tzinfo=ZONE).astimezone(UTC) - timedelta(seconds=1)


def _moment(text: str) -> datetime:
    """In UTC: Python compares two local times of one zone by their clocks, an hour off where those were changed."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE).astimezone(UTC)


def _centavos(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int(f"{part}00"[:2])


def _plain(sums: Counter[str]) -> dict[str, int]:
    return {name: sums[name] for name in ("orders", "units", "revenue")}


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"olist_{name}_dataset.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# -- reports, compared ------------------------------------------------------------------------


def differences(counts: Counts, report: dict[str, Any]) -> list[str]:
    """Where a report says something else; it must be of all days and have all rows."""
    rows = report["rows"]
    match report["report"]:
        case "order_statuses":
            return _differ("status", counts["order_statuses"], {row["status"]: row["orders"] for row in rows})
        case "handoffs":
            return _differ("handoffs", {"late": counts["late_handoffs"]}, {"late": sum(row["late"] for row in rows)})
        case "deliveries":
            late = sum(row["late_orders"] for row in rows)
            return _differ("deliveries", {"late": counts["late_deliveries"]}, {"late": late})
        case "sellers":
            return _differ("seller", counts["sellers"], {row["seller"]: _sold(row) for row in rows})
        case "products":
            found = {f"{row['seller']} {row['sku']}": _sold(row) for row in rows}
            top = [[row["seller"], row["sku"], row["units"]] for row in rows[:20]]
            wrong = [] if top == counts["top_products"] else [f"top products: {counts['top_products']}, not {top}"]
            return wrong + _differ("product", counts["products"], found)
        case other:
            return [f"{other}: is not counted here"]


def _sold(row: dict[str, Any]) -> dict[str, int]:
    return {name: row[name] for name in ("orders", "units", "revenue")}


def _differ(what: str, expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    return [
        f"{what} {key}: {expected.get(key)} by the files, {actual.get(key)} by the report"
        for key in sorted({*expected, *actual})
        if expected.get(key) != actual.get(key)
    ]


def main(folder: str, *reports: str) -> int:
    counts = counts_of(Path(folder))
    if not reports:
        print(json.dumps(counts, indent=2, sort_keys=True))
        return 0
    found = [one for path in reports for one in differences(counts, json.loads(Path(path).read_text(encoding="utf-8")))]
    print("\n".join(found) or "no difference")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
