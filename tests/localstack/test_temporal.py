"""The embedded Temporal server, on the real thing."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from localstack.errors import PortTaken
from localstack.temporal import TemporalServer


@pytest.fixture
async def temporal(state_dir: Path) -> AsyncIterator[TemporalServer]:
    server = TemporalServer(state_dir / "temporal", search_attributes={"OrderStatus": "Keyword"})
    server.start()
    yield server
    server.stop()


async def test_open_workflows_outlive_a_stop_and_a_kill_on_the_same_port(temporal: TemporalServer) -> None:
    address = temporal.address
    for number, end in enumerate((temporal.stop, temporal.kill)):
        client = await Client.connect(address)
        await client.start_workflow("Any", id=f"open-{number}", task_queue="nobody")
        end()
        assert not temporal.running
        temporal.start()
        assert temporal.address == address
    client = await Client.connect(address)
    for number in range(2):
        description = await client.get_workflow_handle(f"open-{number}").describe()
        assert description.workflow_type == "Any"


async def test_a_healthy_server_answers_lists_by_the_given_search_attributes(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address)
    assert await client.service_client.check_health()
    assert [found async for found in client.list_workflows("OrderStatus = 'Unshipped'")] == []


async def test_a_developers_settings_for_another_cluster_do_not_leak_in(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "elsewhere.example:7233")
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    server = TemporalServer(state_dir / "temporal")
    server.start()
    server.stop()


def test_a_taken_port_is_an_error_that_names_the_setting(state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = TemporalServer(state_dir / "temporal", ui_port=other.getsockname()[1])
        with pytest.raises(PortTaken, match="set OPENORDERS_TEMPORAL_UI_PORT to a free port"):
            server.start()
