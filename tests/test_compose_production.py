"""The production-like compose file beside what is really run: `python -m benchmarks.servers` runs the same commands."""

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

from localstack.production_temporal import ARGUMENTS, CONFIG, DATABASES, VERSION, schema_commands

CHECKOUT = Path(__file__).resolve().parent.parent


class Loader(yaml.SafeLoader):
    """Compose's own tag: a list that replaces the other file's and is not added to it."""


def _sequence(loader: Loader, node: yaml.nodes.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


Loader.add_constructor("!override", _sequence)

TEXT = (CHECKOUT / "docker-compose.production.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.load(TEXT, Loader)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DEVELOPMENT: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))


def test_the_schema_is_made_by_the_commands_that_are_run() -> None:
    [script] = SERVICES["temporal-schema"]["command"]
    assert [tuple(shlex.split(line)) for line in script.splitlines()] == [
        ("temporal-sql-tool", "--database", database, *words)
        for database, schema in DATABASES.items()
        for words in schema_commands(schema)
    ]


def test_the_server_is_started_as_it_is_run_with_the_configuration_of_this_checkout() -> None:
    service = SERVICES["temporal"]
    *before, root, start = service["command"]
    assert (*before,) == (*ARGUMENTS, "--root")
    assert start == "start"
    [mounted] = service["volumes"]
    assert mounted == f"./{CONFIG.relative_to(CHECKOUT)}:{root}:ro"
    assert f'"DYNAMIC_CONFIG" | default "{root}/dynamic.yaml"' in (CONFIG / "production.yaml").read_text()


def test_the_server_and_the_schema_tool_reach_the_database_that_is_made() -> None:
    made = SERVICES["temporal-postgres"]["environment"]
    for name in ("temporal", "temporal-schema"):
        given = SERVICES[name]["environment"]
        without_default = set(re.findall(r'env "(SQL_\w+)"', (CONFIG / "production.yaml").read_text()))
        assert without_default <= given.keys()
        assert given["SQL_HOST"] == "temporal-postgres"
        assert (given["SQL_USER"], given["SQL_PASSWORD"]) == (made["POSTGRES_USER"], made["POSTGRES_PASSWORD"])


def test_images_are_of_the_release_that_is_run() -> None:
    for name in ("temporal", "temporal-schema", "temporal-namespace"):
        assert re.search(rf":{re.escape(VERSION)}(-|$)", SERVICES[name]["image"])
    assert all(re.search(r":[0-9]", service["image"]) for service in SERVICES.values() if "image" in service)


def test_it_holds_no_secret_and_opens_no_port_to_others() -> None:
    secrets = re.findall(r"(?:PASSWORD|SECRET_KEY): (.*)", TEXT)
    assert secrets
    assert all(secret.startswith("${") and ":?" in secret for secret in secrets)
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_ours_wait_for_the_namespace_and_what_is_waited_for_is_there() -> None:
    everything = DEVELOPMENT["services"] | SERVICES
    for name in ("worker", "web", "starter"):
        assert SERVICES[name]["depends_on"] == {"temporal-namespace": {"condition": "service_completed_successfully"}}
    waited_for = {other for service in SERVICES.values() for other in service.get("depends_on", {})}
    assert waited_for <= everything.keys()
    mounted = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert {name for name in mounted if not name.startswith("./")} == set(COMPOSE["volumes"])
