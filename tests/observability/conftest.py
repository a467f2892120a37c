"""A worker and a web with all that can be seen from outside, on servers of their own that a test may kill."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.access import Scope
from localstack.ports import HOST, choose
from localstack.stack import Stack
from localstack.worker_process import wait_until_ready
from store.keys import Keys
from tests.faults.shop import BesiegedShop
from tests.observability.collector import Collector, collecting
from tests.shop import PATIENCE_SECONDS
from usecases.health import OK
from usecases.keys import new_key
from workflows.names import SEARCH_ATTRIBUTES

Health = tuple[int, dict[str, str]]

DRAIN_SECONDS = "8"
"""So long somebody who asks again and again has to see that a web is about to close."""


class Outside(BesiegedShop):
    """`worker` and `web` are processes; `seen` takes their traces."""

    def __init__(self, stack: Stack, client: Client, collector: Collector) -> None:
        self.seen = collector
        self.sdk_metrics = f"{HOST}:{choose(0, 'OPENORDERS_METRICS_ADDRESS')}"
        self.worker_probes = f"{HOST}:{choose(0, 'OPENORDERS_HEALTH_ADDRESS')}"
        self.web_probes = f"{HOST}:{choose(0, 'OPENORDERS_HEALTH_ADDRESS')}"
        more = {
            "OPENORDERS_LOG_JSON": "true",
            "OPENORDERS_DRAIN_SECONDS": DRAIN_SECONDS,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        }
        super().__init__(
            stack,
            client,
            more | {"OPENORDERS_METRICS_ADDRESS": self.sdk_metrics, "OPENORDERS_HEALTH_ADDRESS": self.worker_probes},
        )
        self.web = stack.web(more | {"OPENORDERS_HEALTH_ADDRESS": self.web_probes})
        self.key = ""

    async def open(self) -> None:
        await super().open()
        self.key = await new_key(Keys(self.database), Scope.BACKEND, "for a test")

    def asks(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Of the API, with a key."""
        request = urllib.request.Request(
            f"{self.stack.web_url}/v1{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **(headers or {})},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def metrics(self) -> str:
        """What Prometheus would get of all three addresses together."""
        pages = [self.sdk_metrics, self.worker_probes, self.web_probes]
        return "\n".join(fetch(f"http://{page}/metrics")[1] for page in pages)


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def probe(address: str, path: str) -> Health:
    status, text = fetch(f"http://{address}/{path}")
    return status, json.loads(text)["checks"]


def until(address: str, path: str, status: int, check: str | None = None) -> dict[str, str]:
    """Ask until it answers so, and the check is named as failed; gives the checks."""
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while True:
        found, checks = probe(address, path)
        if found == status and (check is None or checks.get(check, "ok") != "ok"):
            return checks
        assert time.monotonic() < deadline, (found, checks)
        time.sleep(0.2)


def until_all_is_well(address: str) -> dict[str, str]:
    """Ask until it is ready and each check says so: a web is ready without Temporal, too. Gives the checks."""
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while True:
        found, checks = probe(address, "readyz")
        if found == 200 and set(checks.values()) == {OK}:
            return checks
        assert time.monotonic() < deadline, (found, checks)
        time.sleep(0.2)


@pytest.fixture(scope="module")
async def outside() -> AsyncIterator[Outside]:
    with collecting() as collector, Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        client = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)
        outside = Outside(stack, client, collector)
        try:
            for process in (outside.worker, outside.web):
                process.start()
            for process in (outside.worker, outside.web):
                wait_until_ready(process)
            await outside.open()
            yield outside
        finally:
            await outside.database.close()
            # With coverage of nothing else: what the processes said is the best hint where a test fails.
            if os.environ.get("OPENORDERS_SHOW_LOGS"):
                print(outside.worker.log_tail(80), outside.web.log_tail(80))
