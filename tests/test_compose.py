"""The compose file and the image: our own commands, run as processes with exactly what they are given there.

Docker itself is not needed. What only Docker can show, such as an image that cannot be fetched, is not seen here.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from localstack.ports import choose
from localstack.process import ManagedProcess
from localstack.stack import Stack
from localstack.temporal import _DYNAMIC_CONFIG, _SQLITE
from usecases.settings import Settings

CHECKOUT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("worker", "web", "starter")
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
START_SECONDS = 60
_SHOWN = re.compile(r"^#   docker compose run --rm starter (.*)$", flags=re.MULTILINE)
"""The commands that the compose file shows at its head."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the Dockerfile copies into the image, and nothing else of the checkout."""
    folder = tmp_path_factory.mktemp("image")
    last_stage = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    for line in re.findall(r"^COPY (?!--from)(.*)$", last_stage, flags=re.MULTILINE):
        *sources, target = shlex.split(line)
        for source in sources:
            if (CHECKOUT / source).is_dir():
                shutil.copytree(CHECKOUT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(CHECKOUT / source, folder / target)
    return folder


@pytest.fixture(scope="module")
def servers() -> Iterator[Stack]:
    """Of its own, without search attributes: as in the compose file, the worker has to register them."""
    with Stack.temporary() as stack:
        yield stack


@pytest.fixture(scope="module")
def worker(image: Path, servers: Stack) -> Iterator[ManagedProcess]:
    """The worker of the compose file, ready."""
    process = ManagedProcess(
        "compose worker",
        _command(SERVICES["worker"]["command"]),
        servers.state_dir / "compose-worker.log",
        environ=_environment("worker", servers),
        folder=image,
    )
    process.start()
    deadline = time.monotonic() + START_SECONDS
    while _healthcheck("worker", servers) != 0:
        assert process.running, process.log_tail()
        assert time.monotonic() < deadline, process.log_tail()
        time.sleep(0.2)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def web(image: Path, servers: Stack) -> Iterator[ManagedProcess]:
    """The web of the compose file, healthy; whoever looks first has the schema made."""
    process = ManagedProcess(
        "compose web",
        _command(SERVICES["web"]["command"]),
        servers.state_dir / "compose-web.log",
        environ=_environment("web", servers),
        folder=image,
    )
    process.start()
    deadline = time.monotonic() + START_SECONDS
    while _healthcheck("web", servers) != 0:
        assert process.running, process.log_tail()
        assert time.monotonic() < deadline, process.log_tail()
        time.sleep(0.2)
    yield process
    process.stop()


# -- what is run ---------------------------------------------------------------------------


def test_the_worker_becomes_ready_and_an_order_placed_by_the_starter_is_recorded(
    worker: ManagedProcess, image: Path, servers: Stack
) -> None:
    def starter(*arguments: str) -> str:
        command = [*_command(SERVICES["starter"]["entrypoint"]), *arguments]
        done = subprocess.run(
            command,
            check=False,
            cwd=image,
            env=_environment("starter", servers),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}\n{worker.log_tail()}"
        return done.stdout

    shown = [shlex.split(line) for line in _SHOWN.findall((CHECKOUT / "docker-compose.yml").read_text())]
    assert [words[0] for words in shown] == ["stock", "place", "key"]
    for words in shown:
        starter(*words)
    [order] = json.loads(starter("list", "--json"))["orders"]
    assert (order["order_id"], order["total"]) == ("1042", 3239)
    deadline = time.monotonic() + START_SECONDS
    while (status := json.loads(starter("status", "1042", "--json"))["status"]) != "Unshipped":
        assert (status, time.monotonic() < deadline) == ("Pending", True), worker.log_tail()
    starter("cancel", "1042")
    deadline = time.monotonic() + START_SECONDS
    while not servers.mails.mailbox.all("ada@example.com"):
        assert time.monotonic() < deadline, worker.log_tail()
        time.sleep(0.1)


def test_the_web_serves_its_pages_and_its_styles_and_ends_in_time(web: ManagedProcess, servers: Stack) -> None:
    for path, words in (("/", b"OpenOrders"), ("/static/openorders.css", b"{"), ("/docs", b"swagger-ui")):
        with urllib.request.urlopen(f"http://127.0.0.1:{servers.web_port}{path}", timeout=30) as answer:
            assert words in answer.read()
    web.stop(patience_seconds=float(SERVICES["web"]["stop_grace_period"].removesuffix("s")))
    assert web.exit_code == 0, web.log_tail()


def test_the_starter_says_by_itself_what_it_can_do(image: Path, servers: Stack) -> None:
    service = SERVICES["starter"]
    command = [*_command(service["entrypoint"]), *service["command"]]
    shown = subprocess.check_output(command, cwd=image, env=_environment("starter", servers), text=True)
    assert "place" in shown


def test_the_worker_ends_in_time_and_logs_as_json(worker: ManagedProcess) -> None:
    """The last to use it."""
    worker.stop(patience_seconds=float(SERVICES["worker"]["stop_grace_period"].removesuffix("s")))
    assert worker.exit_code == 0, worker.log_tail()
    lines = [line for line in worker.log.read_text().splitlines() if not line.startswith("openorders worker")]
    assert lines
    assert all("message" in json.loads(line) for line in lines)


def test_what_runs_in_the_image_needs_no_package_of_the_tests(image: Path) -> None:
    """The environment of the image holds the project's dependencies and theirs: here all others are hidden."""
    pyproject = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    there = _closure(pyproject["project"]["dependencies"])
    hidden = [
        module
        for module, owners in packages_distributions().items()
        if not there & {canonicalize_name(owner) for owner in owners} and module.isidentifier()
    ]
    assert {"pytest", "hypothesis", "aiosmtpd"} <= set(hidden)
    modules = [
        ".".join(path.relative_to(image).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(image.rglob("*.py"))
        if "migrations" not in path.parts  # Alembic's own files, which it alone can import
    ]
    assert {"worker", "starter", "workflows.order"} <= set(modules)
    program = "\n".join(
        (
            "import importlib, sys",
            f"for name in {hidden!r}: sys.modules[name] = None  # an import of it fails",
            f"for name in {modules!r}: importlib.import_module(name)",
        )
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=image, env={"PATH": os.defpath})


# -- what is written down --------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_one(name: str) -> None:
    own = {key.removeprefix("OPENORDERS_").lower() for key in _given(name) if key.startswith("OPENORDERS_")}
    assert own <= set(Settings.model_fields)
    assert {key for key in _given(name) if not key.startswith("OPENORDERS_")} == {
        "TEMPORAL_ADDRESS",
        "TEMPORAL_NAMESPACE",
    }
    assert all(isinstance(value, str) for value in _given(name).values())


@pytest.mark.parametrize("name", OURS)
def test_every_server_that_is_named_is_a_service_and_waited_for(name: str) -> None:
    named = {_host(value) for key, value in _given(name).items() if key.endswith(("ADDRESS", "URL", "HOST"))}
    named -= {"0.0.0.0", "localhost"}  # where it listens itself, and what browsers call
    assert named == set(SERVICES[name]["depends_on"]) == {"postgres", "temporal", "mailpit"}
    for server in named:
        assert SERVICES[name]["depends_on"][server] == {"condition": "service_healthy"}
        assert SERVICES[server]["healthcheck"]["test"][0] == "CMD"


def test_temporal_runs_with_the_settings_of_the_embedded_one() -> None:
    command = SERVICES["temporal"]["command"]
    pairs = list(zip(command[2::2], command[3::2], strict=True))
    assert command[:2] == ["server", "start-dev"]
    assert [value for name, value in pairs if name == "--sqlite-pragma"] == list(_SQLITE)
    assert [value for name, value in pairs if name == "--dynamic-config-value"] == list(_DYNAMIC_CONFIG)


def test_the_database_of_the_setting_is_the_one_that_is_made() -> None:
    made = SERVICES["postgres"]["environment"]
    url = "postgresql://{POSTGRES_USER}:{POSTGRES_PASSWORD}@postgres:5432/{POSTGRES_DB}".format(**made)
    assert _given("worker")["OPENORDERS_DATABASE_URL"] == url


def test_state_lies_in_named_volumes_and_ports_are_open_to_this_machine_only() -> None:
    mounted = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    files = {name for name in mounted if name.startswith("./")}
    assert [name for name in files if not (CHECKOUT / name).exists()] == []
    assert mounted - files == set(COMPOSE["volumes"])
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_images_have_versions() -> None:
    images = {service["image"] for service in SERVICES.values()} - {"openorders"}
    images |= set(re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE))
    assert [image for image in images if not re.search(r":v?[0-9]+", image)] == []


def test_the_image_is_made_by_the_uv_of_the_makefile() -> None:
    [wanted] = re.findall(r"^UV_VERSION := (\S+)$", (CHECKOUT / "Makefile").read_text(), flags=re.MULTILINE)
    assert re.findall(r"uv==(\S+)", DOCKERFILE) == [wanted]


def test_what_the_image_copies_is_let_through_to_its_making() -> None:
    allowed = set(re.findall(r"^!(\S+)$", (CHECKOUT / ".dockerignore").read_text(), flags=re.MULTILINE))
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, flags=re.MULTILINE)
        for source in shlex.split(line)[:-1]
    }
    assert copied == allowed


# -- helpers ------------------------------------------------------------------------------------


def _given(name: str) -> dict[str, str]:
    """Without what is passed on from the shell, which has none of it."""
    given: dict[str, str | None] = SERVICES[name]["environment"]
    return {setting: value for setting, value in given.items() if value is not None}


def _environment(name: str, servers: Stack) -> dict[str, str]:
    """What the compose file gives, word for word, but for where the servers are; and the PATH of any container."""
    assert "$" not in json.dumps(SERVICES[name]), "a variable of Docker's would have to be filled in here"
    there = {"temporal": servers.temporal.address, "postgres": servers.postgres.dsn}
    ours = {
        "TEMPORAL_ADDRESS": there["temporal"],
        "OPENORDERS_DATABASE_URL": there["postgres"].replace("postgresql+psycopg://", "postgresql://"),
        "OPENORDERS_SMTP_HOST": servers.mails.smtp_host,
        "OPENORDERS_SMTP_PORT": str(servers.mails.smtp_port),
        "OPENORDERS_METRICS_ADDRESS": f"127.0.0.1:{_port('metrics', servers)}",
        "OPENORDERS_HEALTH_ADDRESS": f"127.0.0.1:{_port(name, servers)}",
        "OPENORDERS_WEB_ADDRESS": f"127.0.0.1:{servers.web_port}",
    }
    return {key: ours.get(key, value) for key, value in _given(name).items()} | {"PATH": os.defpath}


_PORTS: dict[tuple[str, int], int] = {}


def _port(what: str, servers: Stack) -> int:
    return _PORTS.setdefault((what, id(servers)), choose(0, "OPENORDERS_HEALTH_ADDRESS"))


def _healthcheck(name: str, servers: Stack) -> int:
    """The one of the compose file, asked of our process's address instead of the container's."""
    assert _given(name)["OPENORDERS_HEALTH_ADDRESS"] == "0.0.0.0:9465"
    check: list[str] = SERVICES[name]["healthcheck"]["test"]
    here = f"127.0.0.1:{_port(name, servers)}"
    command = [part.replace("127.0.0.1:9465", here) for part in _command(check[1:])]
    return subprocess.run(command, capture_output=True, check=False).returncode


def _command(words: list[str]) -> list[str]:
    assert words[0] == "python"
    return [sys.executable, *words[1:]]


def _host(value: str) -> str:
    return re.sub(r"^\w+://(\S+@)?", "", value).partition(":")[0]


def _closure(requirements: list[str]) -> set[str]:
    """The distributions that these need here, with what those need in turn."""
    found: set[str] = set()
    todo: list[tuple[Requirement, Mapping[str, str]]] = [(Requirement(text), {}) for text in requirements]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": "", **extra}):
            continue
        name = canonicalize_name(requirement.name)
        todo += [
            (Requirement(text), {"extra": wanted})
            for wanted in ("", *requirement.extras)
            for text in distribution(name).requires or ()
            if name not in found or wanted
        ]
        found.add(name)
    return found
