"""Seller metrics, by hand: windows, what is judged, and which side of the target is met."""

from datetime import date, timedelta

import pytest

from domain.insights import Basis, Count, Topic, Window, basis_of
from domain.insights_metrics import (
    CANCELLED,
    METRICS,
    ORDERS,
    Delivery,
    Handoff,
    Metric,
    MetricName,
    MetricSpec,
    delivery_detail,
    measure,
)

TODAY = date(2026, 3, 31)
SPECS = {spec.name: spec for spec in METRICS}


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def due(item: Handoff, orders: int, days: int = 5, channel: str = "FBM") -> Count:
    return Count(day=ago(days), item=item, detail=channel, orders=orders, units=orders)


def parcels(item: Delivery, units: int, days: int = 20, *, tracked: bool = True, channel: str = "FBM") -> Count:
    return Count(day=ago(days), item=item, detail=delivery_detail(channel, tracked), orders=units, units=units)


def measured(name: MetricName, *counts: Count, until: date = TODAY) -> Metric:
    return measure(SPECS[name], counts, until, TODAY)


# -- windows and targets, as Amazon publishes them -----------------------------------------------


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        (MetricName.LATE_SHIPMENT_10, ago(9), TODAY),
        (MetricName.LATE_SHIPMENT_30, ago(29), TODAY),
        (MetricName.CANCELLATION, ago(6), TODAY),
        (MetricName.VALID_TRACKING, ago(43), ago(14)),
        (MetricName.ON_TIME_DELIVERY, ago(29), TODAY),
    ],
)
def test_each_metric_has_its_own_days(name: MetricName, first: date, last: date) -> None:
    assert SPECS[name].window(TODAY) == Window(first=first, last=last)


@pytest.mark.parametrize(
    ("name", "met", "missed", "text"),
    [
        (MetricName.LATE_SHIPMENT_10, 0.0399, 0.04, "below 4%"),
        (MetricName.LATE_SHIPMENT_30, 0.0, 0.05, "below 4%"),
        (MetricName.CANCELLATION, 0.0249, 0.025, "below 2.5%"),
        (MetricName.VALID_TRACKING, 0.95, 0.9499, "at least 95%"),
        (MetricName.ON_TIME_DELIVERY, 0.9001, 0.9, "above 90%"),
    ],
)
def test_the_target_itself_is_on_the_published_side(name: MetricName, met: float, missed: float, text: str) -> None:
    assert SPECS[name].is_met(met)
    assert not SPECS[name].is_met(missed)
    assert SPECS[name].target_text == text


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_a_metric_counts_by_the_day_that_its_topic_is_kept_under(spec: MetricSpec) -> None:
    assert basis_of(spec.topic) is spec.basis
    assert spec.source.startswith("https://sellercentral.amazon.")


@pytest.mark.parametrize("name", MetricName)
def test_of_nothing_no_target_is_met_or_missed(name: MetricName) -> None:
    metric = measured(name)
    assert (metric.part, metric.whole, metric.rate, metric.met) == (0, 0, None, None)


# -- late shipments ------------------------------------------------------------------------------


def test_late_shipments_are_those_of_all_that_were_due() -> None:
    metric = measured(MetricName.LATE_SHIPMENT_10, due(Handoff.ON_TIME, 97), due(Handoff.LATE, 3))
    assert (metric.part, metric.whole, metric.rate, metric.met) == (3, 100, 0.03, True)


def test_what_is_open_when_its_day_is_over_is_late_and_before_that_is_not_judged() -> None:
    metric = measured(
        MetricName.LATE_SHIPMENT_10,
        due(Handoff.ON_TIME, 8),
        due(Handoff.OPEN, 2, days=1),
        due(Handoff.OPEN, 50, days=0),
    )
    assert (metric.part, metric.whole) == (2, 10)


def test_what_is_on_hold_is_not_judged() -> None:
    metric = measured(MetricName.LATE_SHIPMENT_30, due(Handoff.HELD, 9, days=20), due(Handoff.ON_TIME, 1))
    assert (metric.part, metric.whole) == (0, 1)


def test_the_networks_shipments_are_not_the_sellers() -> None:
    metric = measured(MetricName.LATE_SHIPMENT_10, due(Handoff.LATE, 9, channel="FBA"), due(Handoff.ON_TIME, 1))
    assert (metric.part, metric.whole) == (0, 1)


def test_days_outside_of_the_window_do_not_count() -> None:
    counts = [due(Handoff.LATE, 1, days=days) for days in (9, 10, 29, 30)]
    assert measured(MetricName.LATE_SHIPMENT_10, *counts).whole == 1
    assert measured(MetricName.LATE_SHIPMENT_30, *counts).whole == 3
    assert measured(MetricName.LATE_SHIPMENT_30, *counts, until=ago(10)).whole == 3


# -- cancellations -------------------------------------------------------------------------------


def test_cancelled_by_the_seller_of_all_that_were_paid_for() -> None:
    counts = [Count(day=ago(days), item=ORDERS, orders=20) for days in range(10)]
    counts += [Count(day=ago(days), item=CANCELLED, orders=1) for days in (0, 6, 7)]
    metric = measured(MetricName.CANCELLATION, *counts)
    assert (metric.part, metric.whole, metric.met) == (2, 140, True)


# -- tracking and deliveries -----------------------------------------------------------------------


def test_valid_tracking_is_at_least_one_scan_of_every_parcel_that_left() -> None:
    """Amazon's example: 190 of 200 are 95%, which meets the target."""
    metric = measured(
        MetricName.VALID_TRACKING,
        parcels(Delivery.ON_TIME, 180),
        parcels(Delivery.OPEN, 10),
        parcels(Delivery.PRESUMED, 10, tracked=False),
        parcels(Delivery.ON_TIME, 99, days=13, tracked=False),
        parcels(Delivery.ON_TIME, 99, tracked=False, channel="FBA"),
    )
    assert (metric.part, metric.whole, metric.rate, metric.met) == (190, 200, 0.95, True)


def test_on_time_is_of_tracked_parcels_and_lost_and_overdue_ones_are_not() -> None:
    metric = measured(
        MetricName.ON_TIME_DELIVERY,
        parcels(Delivery.ON_TIME, 90),
        parcels(Delivery.LATE, 4),
        parcels(Delivery.FAILED, 3),
        parcels(Delivery.OPEN, 3),
        parcels(Delivery.OPEN, 40, days=0),
        parcels(Delivery.ON_TIME, 70, tracked=False),
        parcels(Delivery.PRESUMED, 8, tracked=False),
    )
    assert (metric.part, metric.whole, metric.rate, metric.met) == (90, 100, 0.9, False)


def test_every_topic_of_a_metric_is_counted_by_a_day() -> None:
    assert {spec.topic for spec in METRICS} == {Topic.HANDOFFS, Topic.PREFULFILLMENT, Topic.DELIVERIES}
    assert {spec.basis for spec in METRICS} == {*Basis}
