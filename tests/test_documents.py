"""The documents say what is true: links lead somewhere, commands and settings exist, tables are new, doors open."""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.command_line import command_line
from domain.messages import MESSAGES, QUERIES
from domain.state import CarrierStatus, OrderStatus, Remedy
from domain.units import Place
from localstack.demo.pictures import IN_README
from localstack.stack import Stack
from localstack.worker_process import wait_until_ready
from usecases.message_table import messages_document, with_tables
from usecases.settings import Settings

CHECKOUT = Path(__file__).resolve().parent.parent
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
_FOLDERS = [path for path in CHECKOUT.iterdir() if path.is_dir() and not path.name.startswith(".")]
DOCUMENTS = [*sorted(CHECKOUT.glob("*.md")), *sorted(path for folder in _FOLDERS for path in folder.rglob("*.md"))]
START_SECONDS = 60


def committed_files() -> list[Path]:
    """What is or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=False,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := CHECKOUT / name).is_file()]


# -- links and names -------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_relative_links_lead_somewhere(document: Path) -> None:
    text = _without_code(document.read_text(encoding="utf-8"))
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_generated_tables_are_up_to_date() -> None:
    """Where this fails: `python -m usecases.message_table`."""
    assert with_tables(README) == README
    assert (CHECKOUT / "docs" / "messages.md").read_text(encoding="utf-8") == messages_document()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_make_targets_exist(document: Path) -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    assert {"demo", "test"} <= targets
    assert (
        set(re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(encoding="utf-8"), flags=re.MULTILINE)) <= targets
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_starter_commands_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    names = set(re.findall(r"`starter\.py ([a-z_]+)", text))
    names |= {arguments[0] for arguments in map(_starter_arguments, _commands(text)) if arguments}
    assert names <= _starter_commands()


def test_every_starter_command_of_the_readme_is_understood() -> None:
    commands = [arguments for arguments in map(_starter_arguments, _commands(README)) if arguments]
    assert len(commands) >= 10
    for arguments in commands:
        command_line(None).parse_args(arguments)


def test_the_settings_table_is_whole_and_right() -> None:
    rows = dict(re.findall(r"^\| `OPENORDERS_(\w+)` \| (\S.*?) \|", README, flags=re.MULTILINE))
    assert set(rows) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default = field.default
        if field.is_required():
            assert rows[name.upper()] == "needed"
        elif default is None:
            assert rows[name.upper()] == "none"
        elif isinstance(default, str | int | float):
            words = default if isinstance(default, str) else json.dumps(default)
            assert rows[name.upper()] == f"`{words}`", name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_every_setting_that_is_named_is_read_somewhere(document: Path) -> None:
    known = {f"OPENORDERS_{name.upper()}" for name in Settings.model_fields}
    for folder in ("localstack", "benchmarks", "tests"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            known |= set(re.findall(r'"(OPENORDERS_\w+)"', path.read_text(encoding="utf-8")))
    assert set(re.findall(r"OPENORDERS_[A-Z_]*[A-Z]", document.read_text(encoding="utf-8"))) <= known


def test_the_glossary_has_every_message_place_and_status() -> None:
    glossary = (CHECKOUT / "docs" / "glossary.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"[*`]+([A-Za-z_-]+)[*`]+", glossary))
    assert {message.name for message in MESSAGES} | {query.name for query in QUERIES} <= explained
    assert {word.value for words in (Place, OrderStatus, CarrierStatus, Remedy) for word in words} <= explained


def test_the_glossary_has_every_word_of_attention() -> None:
    source = (CHECKOUT / "domain" / "status.py").read_text(encoding="utf-8")
    words = set(re.findall(r'flags\.add\("(\w+)"\)', source)) | set(re.findall(r'IssueKind\.\w+: "(\w+)"', source))
    glossary = (CHECKOUT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert len(words) >= 10
    assert words <= set(re.findall(r"`(\w+)`", glossary.partition("## Attention")[2]))


def test_the_readme_shows_every_screenshot_and_none_is_large() -> None:
    """Where this fails: `make screenshots`."""
    kept = {path.stem: path.stat().st_size for path in (CHECKOUT / "docs" / "screenshots").glob("*.png")}
    assert set(kept) == set(IN_README) == set(re.findall(r"docs/screenshots/([\w-]+)\.png", README))
    assert max(kept.values()) < 150_000
    assert sum(kept.values()) < 1_000_000


def test_documents_that_the_code_names_exist() -> None:
    named = {
        name
        for path in committed_files()
        if path.suffix == ".py" and path != Path(__file__)
        for name in re.findall(r"(?<!/)\bdocs/[\w/-]+(?:\.md)?", path.read_text(encoding="utf-8"))
    }
    assert [name for name in sorted(named) if not (CHECKOUT / name).exists()] == []


# -- what must not be committed --------------------------------------------------------------


def test_no_committed_file_names_a_place_of_this_machine() -> None:
    places = {f"{CHECKOUT}/", f"{CHECKOUT.parent}/shared", f"{Path.home()}/"} - {"//"}
    assert _hits(re.compile("|".join(map(re.escape, sorted(places))))) == []


def test_no_committed_file_names_a_package_registry() -> None:
    """Where packages come from is a setting of the machine, and never one of the project."""
    hosts = {"pypi.org", "files.pythonhosted.org", "proxy.golang.org", "registry.npmjs.org"}
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "GOPROXY", "NPM_CONFIG_REGISTRY"):
        hosts |= set(re.findall(r"https?://(?:[^/@\s]+@)?([^/:\s,|]+)", os.environ.get(name, "")))
    hosts -= {"localhost", "127.0.0.1"}
    found = _hits(re.compile("|".join(map(re.escape, sorted(hosts))) + r"|--(?:extra-)?index-url|--find-links"))
    assert found == []


def _hits(pattern: re.Pattern[str]) -> list[str]:
    hits = []
    for path in committed_files():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if pattern.search(line):
                hits.append(f"{path.relative_to(CHECKOUT)}:{number}: {line.strip()[:120]}")
    return hits


# -- the doors, as the README shows them -------------------------------------------------


@pytest.fixture(scope="module")
def shop() -> Iterator[Stack]:
    """Servers of its own, because the README's order ids are everybody's favorites, with the example catalog."""
    with Stack.temporary() as stack:
        worker = stack.worker()
        worker.start()
        wait_until_ready(worker)
        loaded = _try(stack, [sys.executable, "starter.py", "stock", "load", "schemas/examples/catalog.json"])
        assert loaded.returncode == 0, loaded.stderr
        yield stack


def test_the_temporal_program_alone_places_and_plays_an_order(shop: Stack) -> None:
    _play(
        shop,
        _block("temporal"),
        {
            "--type status": '"status":"Unshipped"',
            "--name pack": "acme-1-p1",
            "--type timeline": '"what":"handed_over"',
            "workflow list": "order:1042",
        },
    )


def test_starter_plays_an_order(shop: Stack) -> None:
    _play(
        shop,
        _block("starter"),
        {
            "starter.py packing_list": "LAMP-OAK",
            "starter.py hold": "hold-1 placed",
            "starter.py ship": "1 of 1 parcel handed over",
            "starter.py list": "PartiallyShipped",
            "starter.py check": "all units and money add up",
        },
    )


def test_python_places_and_cancels_an_order(shop: Stack) -> None:
    program = _block("python")
    # The exit code is not asked: one in nine such processes dies after its last line (usecases/process.py says why).
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=CHECKOUT, env=shop.environment, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert lines[:1] == ["new"], done.stderr
    assert "cancelled=1" in lines[1]
    assert lines[2:] == ["Canceled", "order '1046' has ended and takes no messages any more"]


def test_the_api_plays_an_order(api: Stack) -> None:
    _play(
        api,
        _block("api", (CHECKOUT / "docs" / "api.md").read_text(encoding="utf-8")),
        {
            "/v1/promises": '"method":"TwoDay"',
            'v1/orders" ': '"order_id":"1043"',
            'orders/1043" ': '"status":"Unshipped"',
            "/v1/fulfillments": "birch-1",
            "/note": '"what":"noted"',
            "/cancel": '"cancelled":3',
            "/pack": "birch-1-p1",
            "/ship": "LC-1",
            "/confirm_delivery": "delivery confirmed",
            "/events": "event: end",
            "customer=c-1815": '"Delivered"',
            "/stock/receipts": '"on_hand":',
            "/insights/sales": "revenue",
        },
    )


@pytest.fixture(scope="module")
def api() -> Iterator[Stack]:
    """Servers of its own too: order 1043 is played by the command line as well."""
    if shutil.which("curl") is None:
        missing = pytest.fail if os.environ.get("OPENORDERS_CI") else pytest.skip
        missing("curl is not installed")
    with Stack.temporary() as stack:
        for process in (stack.worker(), stack.web()):
            process.start()
            wait_until_ready(process)
        loaded = _try(stack, [sys.executable, "starter.py", "stock", "load", "schemas/examples/catalog.json"])
        assert loaded.returncode == 0, loaded.stderr
        made = _try(stack, [sys.executable, "starter.py", "key", "create", "backend", "--label", "our checkout"])
        os.environ["KEY"] = made.stdout.strip()
        yield stack
        del os.environ["KEY"]


def _play(stack: Stack, script: str, expected: dict[str, str]) -> None:
    """Each command of the block until it has succeeded and shows what it must: what it asks about may take a moment."""
    commands = re.split(r"\n(?=\S)", script.strip())
    unmet = dict(expected)
    for command in commands:
        shown = [text for part, text in expected.items() if part in command]
        deadline = time.monotonic() + START_SECONDS
        while True:
            done = _try(stack, ["bash", "-c", command.replace(".venv/bin/python", shlex.quote(sys.executable))])
            if done.returncode == 0 and all(text in done.stdout for text in shown):
                break
            assert time.monotonic() < deadline, f"{command}\n{done.stdout}\n{done.stderr}"
            time.sleep(0.5)
        unmet = {part: text for part, text in unmet.items() if part not in command}
    assert unmet == {}, "the block has no such command"


def _try(stack: Stack, command: list[str]) -> "subprocess.CompletedProcess[str]":
    path = f"{stack.temporal.binary.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = stack.environment | {"PATH": path}
    return subprocess.run(command, check=False, cwd=CHECKOUT, env=environment, capture_output=True, text=True)


# -- reading Markdown --------------------------------------------------------------------------


def _block(name: str, document: str = README) -> str:
    marker = f"<!-- run by tests/test_documents.py: {name} -->"
    found = re.search(re.escape(marker) + r"\n```\w+\n(.*?)```", document, flags=re.DOTALL)
    assert found, marker
    return found[1]


def _without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`(?!\])", "", text, flags=re.DOTALL)


def _anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _commands(text: str) -> list[str]:
    """Of the blocks for a shell, with lines that go on joined and comments left out."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ")
    return re.split(r"\n(?=\S)", lines)


def _starter_arguments(command: str) -> list[str]:
    words = shlex.split(command, comments=True)
    for lead in (["docker", "compose", "run", "--rm", "starter"], [".venv/bin/python", "starter.py"]):
        if words[: len(lead)] == lead:
            return words[len(lead) :]
    return []


def _starter_commands() -> set[str]:
    actions = command_line(None)._actions
    return {name for action in actions if isinstance(action, argparse._SubParsersAction) for name in action.choices}
