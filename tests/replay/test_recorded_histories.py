"""Open orders of every released version must replay on the code of today."""

import re
import subprocess
from pathlib import Path

import pytest

from localstack.worker_process import CHECKOUT
from tests.replay.record import HISTORIES, present_version, recorded_names, released_versions
from tests.replay.replay import replay

RECORDED = sorted(HISTORIES.glob("*.json"))


def _story(path: Path) -> str:
    return path.stem.split("-", 1)[1].split(".run-")[0]


def test_every_story_was_recorded_with_the_present_version() -> None:
    """Where this fails: `python -m tests.replay.record`."""
    recorded = {_story(path) for path in RECORDED if path.stem.startswith(f"{present_version()}-")}
    assert recorded == recorded_names()


def test_every_released_version_has_recordings() -> None:
    tags = subprocess.run(["git", "tag", "--list"], check=False, cwd=CHECKOUT, capture_output=True, text=True).stdout
    released = released_versions() | {
        tag.removeprefix("v") for tag in tags.split() if re.fullmatch(r"v?\d+\.\d+\.\d+", tag)
    }
    recorded = {path.stem.split("-", 1)[0] for path in RECORDED}
    assert released | {present_version()} <= recorded


@pytest.fixture(params=RECORDED, ids=lambda path: path.stem)
def text(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text()


async def test_a_recorded_history_replays(text: str) -> None:
    # A history written by hand has none of these, and let a renamed activity pass.
    assert '"sdkMetadata"' in text
    await replay(text)


PAID = {
    path.stem: body
    for path in RECORDED
    if "-demo_" not in path.stem and "-faults_" not in path.stem and "authorize_payment" in (body := path.read_text())
}


@pytest.mark.parametrize("name", PAID)
async def test_a_changed_workflow_does_not_replay(name: str) -> None:
    """The replayer notices: an activity of another name is no replay."""
    text = PAID[name]
    with pytest.raises(Exception, match="authorize_payment"):
        await replay(text.replace("authorize_payment", "take_payment"))
