"""An order from checkout to the doorstep: its metrics, its trace, its lines in the logs; and no person in any."""

import asyncio
import json
import re
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import temporalio
import yaml
from prometheus_client import Gauge
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import parse

import worker
from activities.reconciling import ReconcileActivities, TakeUpActivities
from domain.reconciling import ReconcileInput
from domain.requests import Unavailable
from localstack.worker_process import wait_until_ready
from tests.observability.collector import Span
from tests.observability.conftest import Outside
from tests.observability.promql import selectors
from tests.shop import PATIENCE_SECONDS, eventually, line
from usecases.metrics import RECONCILED, keep_looking_at_schedule
from usecases.reconciliation import last_finished, reconcile, schedule_id

FOLDER = Path(__file__).resolve().parent.parent.parent / "observability"
DASHBOARD = json.loads((FOLDER / "grafana" / "openorders.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
SCRAPES = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
OPERATIONS = (FOLDER.parent / "docs" / "operations.md").read_text(encoding="utf-8")

PERSON = ("Ada", "Lovelace", "ada-of-this-test", "Mill Street", "Springfield", "tok_visa")
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Played:
    """The order, and what was seen of it."""

    def __init__(self, order_id: str, short_id: str, metrics: str) -> None:
        self.order_id = order_id
        self.short_id = short_id
        self.metrics = metrics


@pytest.fixture(scope="module")
async def played(outside: Outside) -> Played:
    sku = await outside.lists(5)
    body = outside.body(line(sku, 2))
    body["customer"]["email"] = "ada-of-this-test@example.com"
    order_id = str(body["order_id"])
    caller = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    assert outside.asks("POST", "/orders", body, caller)[0] == 201
    await outside.until(order_id, lambda status: bool(status.fulfillments))
    refused = outside.asks(
        "POST", f"/orders/{order_id}/change_address", {"ship_to": body["ship_to"] | {"country": "ZZ"}}
    )
    assert refused[0] == 409
    await outside.packs(order_id)
    await outside.ships(order_id)
    await outside.delivers(order_id)
    await outside.ended(order_id)
    await outside.mails(order_id, 5)
    # One that is short, declined at first and stays open.
    short = outside.body(line(sku, 9))
    assert outside.asks("POST", "/orders", short)[0] == 201
    short_id = str(short["order_id"])
    await outside.until(short_id, lambda status: "out_of_stock" in status.attention)
    wanted = ('openorders_attention_orders{word="out_of_stock"} 1.0', 'openorders_outbox_waiting{kind="mail"} 0.0')
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing := [part for part in wanted if part not in (metrics := outside.metrics())]:
        assert time.monotonic() < deadline, missing
        await asyncio.sleep(0.5)
    return Played(order_id, short_id, metrics)


# -- metrics -------------------------------------------------------------------------------


def test_what_was_done_is_counted(played: Played) -> None:
    values = _values(played.metrics)
    assert values[("openorders_orders_recorded_total", "verdict=new")] == 2
    assert values[("openorders_orders_ended_total", "status=Delivered")] == 1
    assert values[("openorders_inventory_checks_total", "outcome=reserved")] == 1
    assert values[("openorders_inventory_checks_total", "outcome=short")] == 1
    assert values[("openorders_inventory_short_units_total", "")] == 6
    assert values[("openorders_parcels_handed_over_total", "")] == 1
    assert values[("openorders_activities_total", "activity=capture_payment,outcome=done,party=payments")] == 1
    assert values[("openorders_outbox_tries_total", "kind=mail,outcome=sent")] >= 5
    assert values[("openorders_http_requests_total", "method=POST,route=/v1/orders,status=201")] == 2
    assert values[("openorders_http_request_seconds_count", "method=POST,route=/v1/orders")] == 2


async def test_what_reconciliation_mends_is_counted_by_kind(outside: Outside, played: Played) -> None:
    counted = _values(played.metrics)
    assert {kind: counted[("openorders_reconciled_total", f"kind={kind}")] for kind in RECONCILED} == dict.fromkeys(
        RECONCILED, 0
    )
    rules = "".join(
        rule["expr"] for group in RULES["groups"] for rule in group["rules"] if "reconciled" in rule["expr"]
    )
    alerted = [kind for kinds in re.findall(r'kind=~"([^"]+)"', rules) for kind in kinds.split("|")]
    assert sorted(alerted) == sorted(RECONCILED), "each kind rings one alert"

    order_id = await outside.placed(line(await outside.lists(5), 2))
    await outside.terminated(order_id)
    for look in (
        ReconcileInput(grace_seconds=0.0, dry_run=True),
        ReconcileInput(grace_seconds=0.0, taken_up_max=0),
        ReconcileInput(grace_seconds=0.0),
    ):
        await reconcile(outside.client, look)
    await outside.ended(order_id)
    counted = _values(outside.metrics())
    told = {kind: counted[("openorders_reconciled_total", f"kind={kind}")] for kind in RECONCILED}
    assert told == dict.fromkeys(RECONCILED, 0) | {"held_back": 1, "taken_up": 1}


async def test_when_reconciliation_is_to_run_and_since_when_it_does_not_is_known(outside: Outside) -> None:
    asked = ("openorders_reconciliation_last_success_timestamp_seconds", "")
    values = await eventually(lambda: _told(outside), lambda values: values[asked] > 0)
    assert values[("openorders_reconciliation_interval_seconds", "")] == 300
    assert 0 < time.time() - values[asked] < 3600


async def _told(outside: Outside) -> dict[tuple[str, str], float]:
    return _values(outside.metrics())


async def test_a_worker_that_has_just_started_knows_when_reconciliation_last_ended(outside: Outside) -> None:
    schedule = outside.client.get_schedule_handle(schedule_id())
    await schedule.trigger()
    before = (await schedule.describe()).info.created_at
    ended = await eventually(lambda: last_finished(outside.client), lambda found: found is not None and found > before)
    assert ended is not None
    await asyncio.to_thread(outside.worker.stop)
    outside.worker.start()
    await asyncio.to_thread(wait_until_ready, outside.worker)
    known = 0.0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while known < ended.timestamp():
        assert time.monotonic() < deadline, (known, ended)
        await asyncio.sleep(0.1)
        known = _values(outside.metrics())[("openorders_reconciliation_last_success_timestamp_seconds", "")]


async def test_the_end_that_is_known_stays_while_temporal_does_not_answer() -> None:
    later, earlier = datetime(2026, 11, 28, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC)
    answers: list[datetime | Exception | None] = [None, Unavailable("Temporal: UNAVAILABLE"), later, None, earlier]
    answers += [Unavailable("Temporal: UNAVAILABLE"), ValueError("a bug")]
    gauge = Gauge("finished", "When it ended.", registry=None)
    told: list[float] = []

    async def last() -> datetime | None:
        match answers.pop(0):
            case Exception() as error:
                raise error
            case answer:
                return answer

    async def looked(_: float) -> None:
        told.append(next(iter(next(iter(gauge.collect())).samples)).value)
        if not answers:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await keep_looking_at_schedule(last, gauge, looked)
    assert told == [0, 0, *[later.timestamp()] * 5], "0 is long ago: nobody knowing rings, too"


def test_what_is_in_the_database_is_seen(played: Played) -> None:
    values = _values(played.metrics)
    assert values[("openorders_database_up", "")] == 1
    assert sum(value for (name, _), value in values.items() if name == "openorders_open_orders") == 1
    [oldest] = [value for (name, _), value in values.items() if name == "openorders_oldest_open_order_seconds"]
    assert 0 < oldest < 3600
    assert values[("openorders_late_orders", "what=ship")] == values[("openorders_late_orders", "what=deliver")] == 0
    assert values[("openorders_outbox_failed", "kind=mail")] == 0
    assert values[("openorders_database_troubles_total", "code=40P01")] == 0


def test_the_sdk_tells_of_its_pollers_by_its_usual_names(played: Played) -> None:
    values = _values(played.metrics)
    polls = {labels for (name, labels) in values if name == "temporal_num_pollers"}
    assert any("poller_type=workflow_task" in labels for labels in polls), polls
    assert any("poller_type=activity_task" in labels for labels in polls), polls
    assert any(name == "temporal_request_latency_seconds_bucket" for name, _ in values)


def test_no_label_holds_an_order_or_a_person(played: Played) -> None:
    """Of the SDK's own labels one is the run of a sticky queue; it names no order."""
    assert [word for word in (*PERSON, played.order_id, played.short_id, "order:") if word in played.metrics] == []


def _queries() -> list[tuple[str, str]]:
    found = [
        (f"{panel['title']}", target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", ())
    ]
    found += [(rule["alert"], rule["expr"]) for group in RULES["groups"] for rule in group["rules"]]
    return found


def test_the_dashboard_and_the_alerts_ask_for_something() -> None:
    assert len([panel for panel in DASHBOARD["panels"] if panel.get("targets")]) >= 15
    assert sum(len(group["rules"]) for group in RULES["groups"]) >= 12


@pytest.mark.parametrize(("where", "query"), _queries(), ids=[where for where, _ in _queries()])
def test_every_query_asks_for_what_a_run_emits(played: Played, where: str, query: str) -> None:
    """Each metric is there, with each label that is matched or grouped by; and each value that is matched, where a run
    of well-behaved orders has it."""
    jobs = {job["job_name"] for job in SCRAPES["scrape_configs"]}
    series = _series(played.metrics)
    asked = selectors(parse(query.replace("$__rate_interval", "5m")))
    assert asked, query
    for selector in asked:
        if selector.name == "up":
            assert {value for name, value in selector.values if name == "job"} <= jobs
            continue
        if selector.name == "temporal_workflow_task_execution_failed_total":
            continue  # no run of ours may show it: the name is looked up below
        assert selector.name in series, f"{where}: no run emits {selector.name}"
        labels = {name for labels in series[selector.name] for name in labels} | {"job", "instance", "le"}
        assert selector.labels <= labels, f"{where}: {selector.name} has {sorted(labels)}"
        for name, value in selector.values:
            known = jobs if name == "job" else {labels.get(name, "") for labels in series[selector.name]}
            known |= _RARE.get(name, frozenset())
            assert any(re.fullmatch(value, one) for one in known), f"{where}: {name} of {selector.name}: {value}"


def test_the_one_metric_that_no_run_shows_is_one_of_the_sdk() -> None:
    [core] = Path(temporalio.__file__).parent.glob("bridge/*.so")
    assert b"workflow_task_execution_failed" in core.read_bytes()


_RARE = {
    "outcome": frozenset({"unavailable", "failed"}),
    "word": frozenset({"unpaid"}),
    "status": frozenset({"500", "503"}),
    "activity": frozenset(
        step.__name__ for steps in (TakeUpActivities, ReconcileActivities) for step in worker._methods(steps)
    ),
}
"""What a run of orders that go well does not show, by label: words of the code, and steps that a worker registers."""


def test_every_alert_has_its_part_in_the_runbook() -> None:
    alerts = {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}
    told = set(re.findall(r"^### (\w+)$", OPERATIONS, flags=re.MULTILINE))
    assert alerts <= told, alerts - told
    for group in RULES["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["runbook"].endswith(f"docs/operations.md#{rule['alert'].lower()}")
            assert rule["labels"]["severity"] in ("page", "ticket")


# -- traces --------------------------------------------------------------------------------


async def test_an_order_is_one_trace_from_the_request_to_its_activities(outside: Outside, played: Played) -> None:
    wanted = {
        ("openorders-web", "POST /v1/orders"),
        ("openorders-web", "StartWorkflow:OrderWorkflow"),
        ("openorders-worker", "RunWorkflow:OrderWorkflow"),
        ("openorders-worker", "RunActivity:record_order"),
        ("openorders-worker", "RunActivity:authorize_payment"),
        ("openorders-worker", "RunActivity:check_inventory"),
        ("openorders-worker", "RunActivity:hand_to_carrier"),
        ("openorders-worker", "RunActivity:capture_payment"),
    }

    async def sent() -> list[Span]:
        return [span for span in outside.seen.spans if span.trace == TRACE]

    def orphans(spans: list[Span]) -> set[str]:
        return {span.parent for span in spans} - {span.id for span in spans} - {"b7ad6b7169203331"}

    # A span is sent once it has ended, so after those that have it as their parent.
    spans = await eventually(
        sent, lambda spans: wanted <= {(span.service, span.name) for span in spans} and not orphans(spans)
    )
    [request] = [span for span in spans if span.name == "POST /v1/orders"]
    assert request.attributes["http.response.status_code"] == "201"
    of_activities = [span for span in spans if span.name.startswith("RunActivity:")]
    assert {span.attributes["temporalWorkflowID"] for span in of_activities} == {f"order:{played.order_id}"}
    assert len(of_activities) == len({span.id for span in of_activities})


def test_no_span_holds_a_person(outside: Outside, played: Played) -> None:
    everything = "\n".join(span.everything for span in outside.seen.spans)
    assert len(outside.seen.spans) > 20
    assert [word for word in PERSON if word in everything] == []
    assert "exception.stacktrace" not in everything


# -- logs ----------------------------------------------------------------------------------


def test_every_line_is_an_object_and_names_its_order(outside: Outside, played: Played) -> None:
    lines = _log_lines(outside)
    named = [line for line in lines if played.order_id in json.dumps(line)]
    assert [line["message"] for line in named if line["logger"] == "openorders.web"][:1] == [
        "POST /v1/orders/{order_id}/change_address 409"
    ]
    assert all(line["order_id"] == played.order_id for line in named)
    for line_ in lines:
        assert {"at", "level", "logger", "message"} <= set(line_)


def test_no_line_holds_a_person(outside: Outside, played: Played) -> None:
    text = "\n".join(json.dumps(one) for one in _log_lines(outside))
    assert [word for word in (*PERSON, outside.key) if word in text] == []


def _log_lines(outside: Outside) -> list[dict[str, Any]]:
    lines = [*outside.worker.log.read_text().splitlines(), *outside.web.log.read_text().splitlines()]
    return [json.loads(one) for one in lines if not one.startswith("openorders ")]


# -- reading ---------------------------------------------------------------------------------


def _values(text: str) -> dict[tuple[str, str], float]:
    """Summed over the processes, as a dashboard would."""
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[(sample.name, labels)] += sample.value  # type: ignore[assignment]
    return dict(found)


def _series(text: str) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found
