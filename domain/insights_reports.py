"""The reports: what each says in one sentence, and what its columns are."""

from enum import StrEnum

from domain.access import Caller, Scope
from domain.insights import Basis, Window
from domain.insights_baskets import PAIR_ORDERS_MIN, PAIRED_PRODUCTS_MAX
from domain.model import Frozen

ROWS = 50
ROWS_MAX = 1_000
CSV_ROWS_MAX = 100_000
"""In a file there may be more than anybody reads on a page."""
PLANNED_SKUS_MAX = 1_000
"""Stock is planned for so many SKUs at once, those that are wanted the most."""


class ReportName(StrEnum):
    SALES = "sales"
    MONTHS = "months"
    ORDER_STATUSES = "order_statuses"
    PRODUCTS = "products"
    SELLERS = "sellers"
    PEAK_HOURS = "peak_hours"
    BASKET_AVERAGES = "basket_averages"
    BASKET_SIZES = "basket_sizes"
    BASKET_VALUES = "basket_values"
    CUSTOMERS = "customers"
    REGIONS = "regions"
    BOUGHT_TOGETHER = "bought_together"
    CANCELLATIONS = "cancellations"
    CYCLE_TIMES = "cycle_times"
    HANDOFFS = "handoffs"
    DELIVERIES = "deliveries"
    SELLER_METRICS = "seller_metrics"
    METRICS_BY_SELLER = "metrics_by_seller"
    STOCK_ADVICE = "stock_advice"


class Kind(StrEnum):
    TEXT = "text"
    DAY = "day"
    COUNT = "count"
    NUMBER = "number"
    MONEY = "money"
    """In minor units of the row's currency."""

    SHARE = "share"
    """A fraction of 1."""

    SECONDS = "seconds"
    FLAG = "flag"


class Column(Frozen):
    name: str
    title: str
    kind: Kind


class ReportSpec(Frozen):
    name: ReportName
    title: str
    definition: str
    counted_by: Basis | None
    """The moment whose day must lie in the window; None where the report has windows of its own."""

    columns: tuple[Column, ...]
    not_for_sellers: bool = False
    in_all: str = "orders"
    """What its sample counts."""


Cell = str | int | float | bool | None
Row = dict[str, Cell]


class Report(Frozen):
    """A table, with all that is needed to understand it. `sample` is how many orders (or what `sample_of` says) it was
    made from: `tiny_sample` says that shares of so few say little.
    """

    report: ReportName
    title: str
    definition: str
    seller: str | None
    """None: the whole marketplace."""

    window: Window
    time_zone: str
    """Days and hours are in it."""

    up_to_date: bool
    """False while orders that have changed wait to be counted."""

    sample: int
    sample_of: str
    tiny_sample: bool
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    more: bool = False
    """There are more rows than were asked for."""


def access_refusal(caller: Caller, seller: str | None, spec: ReportSpec) -> str | None:
    """Why this caller gets no such report, in a sentence that names the field; or None. Whether there is such a seller
    is not looked at: the words are the same for one that is not there.
    """
    if caller.scope is Scope.SELLER:
        if seller not in (None, caller.seller):
            return f"seller: this key is of {caller.seller}"
        return f"report: {spec.name} is not for sellers" if spec.not_for_sellers else None
    return None


def reports_for(caller: Caller) -> tuple[ReportSpec, ...]:
    return tuple(spec for spec in REPORTS.values() if access_refusal(caller, None, spec) is None)


# -- what there is -------------------------------------------------------------------------


def _column(name: str, kind: Kind = Kind.COUNT, title: str | None = None) -> Column:
    return Column(name=name, title=title or name.replace("_", " ").capitalize(), kind=kind)


_DAY = _column("day", Kind.DAY)
_CURRENCY = _column("currency", Kind.TEXT)
_SHARE = _column("share", Kind.SHARE)
_SKU = _column("sku", Kind.TEXT, "SKU")
_TITLE = _column("title", Kind.TEXT, "Product")
_SELLER = _column("seller", Kind.TEXT)
_SALES = (_column("orders"), _column("units"), _column("revenue", Kind.MONEY))

_REVENUE = (
    "Revenue is unit price x units of what is not cancelled, without shipping, tax and discounts, lost and refunded "
    "units included."
)
_METRIC = (
    _column("metric", Kind.TEXT),
    _column("rate", Kind.SHARE),
    _column("part"),
    _column("whole", title="Of"),
    _column("target", Kind.TEXT),
    _column("met", Kind.FLAG, "Target met"),
    _column("first_day", Kind.DAY),
    _column("last_day", Kind.DAY),
)

_SPECS = (
    ReportSpec(
        name=ReportName.SALES,
        title="Sales by day",
        definition=f"Orders by the day on which they were placed. {_REVENUE}",
        counted_by=Basis.PLACED,
        columns=(_DAY, _CURRENCY, *_SALES),
    ),
    ReportSpec(
        name=ReportName.MONTHS,
        title="Sales by month",
        definition=(
            f"Orders by the calendar month in which they were placed, as far as it lies in the window. {_REVENUE}"
        ),
        counted_by=Basis.PLACED,
        columns=(_column("month", Kind.TEXT), _CURRENCY, *_SALES),
    ),
    ReportSpec(
        name=ReportName.ORDER_STATUSES,
        title="Orders by status",
        definition="Orders placed in the window by the status that they have now; for a seller, that of its own part.",
        counted_by=Basis.PLACED,
        columns=(_column("status", Kind.TEXT), _column("orders"), _SHARE),
    ),
    ReportSpec(
        name=ReportName.PRODUCTS,
        title="Popular products",
        definition=f"Units that were ordered in the window and not cancelled, the most first. {_REVENUE}",
        counted_by=Basis.PLACED,
        columns=(_SELLER, _SKU, _TITLE, _CURRENCY, *_SALES),
    ),
    ReportSpec(
        name=ReportName.SELLERS,
        title="Revenue by seller",
        definition=f"Orders placed in the window, by whose lines are in them. {_REVENUE}",
        counted_by=Basis.PLACED,
        columns=(_SELLER, _column("name", Kind.TEXT), _CURRENCY, *_SALES),
        not_for_sellers=True,
    ),
    ReportSpec(
        name=ReportName.PEAK_HOURS,
        title="Peak hours",
        definition=(
            "Orders by weekday and hour of placing, and how many that makes in such an hour on average over the "
            "weekdays of the window."
        ),
        counted_by=Basis.PLACED,
        columns=(
            _column("weekday", Kind.TEXT),
            _column("hour"),
            _column("orders"),
            _column("average", Kind.NUMBER, "Orders on average"),
        ),
    ),
    ReportSpec(
        name=ReportName.BASKET_AVERAGES,
        title="The average basket",
        definition="Units, different lines and value of items per order as it was placed, cancelled ones included.",
        counted_by=Basis.PLACED,
        columns=(
            _CURRENCY,
            _column("orders"),
            _column("units_per_order", Kind.NUMBER),
            _column("lines_per_order", Kind.NUMBER),
            _column("value_per_order", Kind.MONEY),
        ),
    ),
    ReportSpec(
        name=ReportName.BASKET_SIZES,
        title="Basket sizes",
        definition="Orders by how many units and how many lines were in them when they were placed.",
        counted_by=Basis.PLACED,
        columns=(_column("measure", Kind.TEXT), _column("size", Kind.TEXT), _column("orders"), _SHARE),
    ),
    ReportSpec(
        name=ReportName.BASKET_VALUES,
        title="Basket values",
        definition=(
            "Orders by the value of their items when they were placed, in steps of 1, 2 and 5: the lower end included, "
            "the upper one not."
        ),
        counted_by=Basis.PLACED,
        columns=(
            _CURRENCY,
            _column("from_value", Kind.MONEY, "From"),
            _column("below_value", Kind.MONEY, "Below"),
            _column("orders"),
            _SHARE,
        ),
    ),
    ReportSpec(
        name=ReportName.CUSTOMERS,
        title="New and repeat customers",
        definition=(
            "Orders by whether their customer, as the marketplace knows it, had placed one before at any time; for a "
            f"seller, one with that seller. {_REVENUE}"
        ),
        counted_by=Basis.PLACED,
        columns=(_column("customer", Kind.TEXT), _CURRENCY, *_SALES, _SHARE),
    ),
    ReportSpec(
        name=ReportName.REGIONS,
        title="Orders by region",
        definition=f"Orders by country and region of the address that they go to, as customers wrote it. {_REVENUE}",
        counted_by=Basis.PLACED,
        columns=(_column("country", Kind.TEXT), _column("region", Kind.TEXT), _CURRENCY, *_SALES, _SHARE),
    ),
    ReportSpec(
        name=ReportName.BOUGHT_TOGETHER,
        title="Bought together",
        definition=(
            f"Pairs of products in at least {PAIR_ORDERS_MIN} orders, cancelled units left out, with the share of "
            "either product's orders that have the other one too, and how many times as often that is as by chance; "
            f"orders of more than {PAIRED_PRODUCTS_MAX} products are left out."
        ),
        counted_by=Basis.PLACED,
        columns=(
            _column("seller", Kind.TEXT),
            _SKU,
            _TITLE,
            _column("other_seller", Kind.TEXT),
            _column("other_sku", Kind.TEXT, "Other SKU"),
            _column("other_title", Kind.TEXT, "Other product"),
            _column("orders", title="Orders with both"),
            _column("share", Kind.SHARE, "Of the first's orders"),
            _column("other_share", Kind.SHARE, "Of the other's orders"),
            _column("lift", Kind.NUMBER, "Times as often as by chance"),
        ),
    ),
    ReportSpec(
        name=ReportName.CANCELLATIONS,
        title="Reasons of cancellation",
        definition=(
            "Orders placed in the window of which something was cancelled, by why and by whom; the share is of all "
            "orders of the window, and an order may count for several reasons."
        ),
        counted_by=Basis.PLACED,
        columns=(
            _column("reason", Kind.TEXT),
            _column("by", Kind.TEXT, "Cancelled by"),
            _column("orders"),
            _column("units"),
            _SHARE,
        ),
    ),
    ReportSpec(
        name=ReportName.CYCLE_TIMES,
        title="Time per stage",
        definition=(
            "How long each stage took of orders placed in the window, confirmations by order and the rest by parcel: "
            "the mean to the second, median and 90th percentile within 5%; what has not happened yet, or is only "
            "presumed, is left out."
        ),
        counted_by=Basis.PLACED,
        columns=(
            _column("stage", Kind.TEXT),
            _column("count"),
            _column("mean", Kind.SECONDS),
            _column("median", Kind.SECONDS),
            _column("p90", Kind.SECONDS, "90% within"),
        ),
        in_all="orders and parcels",
    ),
    ReportSpec(
        name=ReportName.HANDOFFS,
        title="Handed over on time",
        definition=(
            "Orders by the day of their ship-by date: handed to the carrier by then or later, not yet, or not yet and "
            "on hold; an order of several parts counts by the worst, and the late share is of those handed over and "
            "those overdue."
        ),
        counted_by=Basis.SHIP_BY,
        columns=(
            _DAY,
            _column("on_time"),
            _column("late"),
            _column("open", title="Not yet"),
            _column("held", title="On hold"),
            _column("late_share", Kind.SHARE),
        ),
    ),
    ReportSpec(
        name=ReportName.DELIVERIES,
        title="Delivered on time",
        definition=(
            "Handed-over parcels by the day of their promised delivery: delivered by then or later, not yet, presumed "
            "to be (untracked), or lost or brought back; the late share is of all but those not due yet and presumed "
            "ones."
        ),
        counted_by=Basis.DELIVER_BY,
        columns=(
            _DAY,
            _column("on_time"),
            _column("late"),
            _column("open", title="Not yet"),
            _column("presumed"),
            _column("failed", title="Lost or returned"),
            _column("late_share", Kind.SHARE),
            _column("tracked", title="With a carrier's scan"),
            _column("late_orders", title="Orders delivered late"),
        ),
        in_all="parcels",
    ),
    ReportSpec(
        name=ReportName.SELLER_METRICS,
        title="Seller metrics",
        definition=(
            "Amazon's published rates for what sellers ship themselves, each over its own days up to the last day of "
            "the window; every metric has its definition beside it."
        ),
        counted_by=None,
        columns=(*_METRIC, _column("definition", Kind.TEXT), _column("source", Kind.TEXT)),
        in_all="orders and parcels",
    ),
    ReportSpec(
        name=ReportName.METRICS_BY_SELLER,
        title="Metrics by seller",
        definition=(
            "The seller metrics of every seller that had anything to measure, each over its own days up to the last "
            "day of the window; sellers with the most orders first."
        ),
        counted_by=None,
        columns=(_SELLER, *_METRIC),
        not_for_sellers=True,
        in_all="orders and parcels",
    ),
    ReportSpec(
        name=ReportName.STOCK_ADVICE,
        title="Stock advice",
        definition=(
            "Days of cover = free units / units wanted a day. Reorder point = units a day x lead time + z x standard "
            "deviation of a day's units x square root of the lead time, where z is that of the service level (1.64 for "
            "95%); wanted is what was ordered and not cancelled, or cancelled because there was none; free is what is "
            f"on hand now and not reserved, less what customers wait for; at most the {PLANNED_SKUS_MAX:,} most wanted."
        ),
        counted_by=Basis.PLACED,
        columns=(
            _SELLER,
            _SKU,
            _TITLE,
            _column("available", title="Free"),
            _column("waiting", title="Waited for"),
            _column("wanted"),
            _column("per_day", Kind.NUMBER),
            _column("deviation", Kind.NUMBER),
            _column("cover_days", Kind.NUMBER, "Days of cover"),
            _column("safety_stock", Kind.NUMBER),
            _column("reorder_point"),
            _column("reorder", Kind.FLAG, "Order now"),
            _column("missing", title="Units missing"),
        ),
        in_all="units",
    ),
)

REPORTS = {spec.name: spec for spec in _SPECS}
