"""docs/changing-workflows.md as the tests use it: its changes are made, its commands are typed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from localstack.stack import Stack
from localstack.worker_process import CHECKOUT
from tests.upgrades.builds import Change

GUIDE = CHECKOUT / "docs" / "changing-workflows.md"
_BLOCK = re.compile(r"<!-- used by tests/upgrades: (\w+) -->\n```(\w+)\n(.*?)```", flags=re.DOTALL)
BLOCKS = {name: text for name, _, text in _BLOCK.findall(GUIDE.read_text(encoding="utf-8"))}


def changes(name: str) -> list[Change]:
    """Of a block that is a diff: each part names its file, and says what stands there now and what shall."""
    found = []
    for part in re.split(r"^--- ", BLOCKS[name], flags=re.MULTILINE)[1:]:
        path, _, lines = part.partition("\n")
        before = [line[1:] for line in lines.splitlines() if not line.startswith("+")]
        after = [line[1:] for line in lines.splitlines() if not line.startswith("-")]
        found.append(Change(path, _text(before), _text(after)))
    return found


def _text(lines: list[str]) -> str:
    """Without the last line's end: a part may stop in the middle of one."""
    return "\n".join(lines)


def typed(stack: Stack, name: str) -> str:
    """Type the commands of a block, in the checkout; gives what they print."""
    done = _typed(BLOCKS[name], stack.environment, stack.temporal.binary.parent)
    assert done.returncode == 0, f"{name}: {done.stdout}\n{done.stderr}"
    return done.stdout


def replayed(code: Path, histories: Path, name: str = "replay") -> str:
    """Type a block that replays all recorded histories, with others than those, and with the code of a build."""
    recorded = "tests/replay/histories"
    assert BLOCKS[name].strip().endswith(recorded)
    script = BLOCKS[name].replace(recorded, shlex.quote(str(histories)))
    done = _typed(script, {**os.environ, "PYTHONPATH": str(code)})
    assert done.returncode in (0, 1), done.stderr
    assert (done.returncode == 0) == (f"{len([*histories.glob('*.json')])} of " in done.stdout), done.stdout
    return done.stdout


def _typed(script: str, environ: dict[str, str], programs: Path | None = None) -> "subprocess.CompletedProcess[str]":
    path = os.environ.get("PATH", os.defpath)
    return subprocess.run(
        ["bash", "-euc", script.replace(".venv/bin/python", shlex.quote(sys.executable))],
        check=False,
        cwd=CHECKOUT,
        env=environ | {"PATH": f"{programs}{os.pathsep}{path}" if programs else path},
        capture_output=True,
        text=True,
    )


def used_by(test: Path) -> set[str]:
    """The blocks that a test uses, by what stands in it."""
    text = test.read_text(encoding="utf-8")
    named = set(re.findall(r'(?:changes|typed)\((?:shop\.stack, )?"(\w+)"', text))
    return named | ({"replay"} if "replayed(" in text else set())
