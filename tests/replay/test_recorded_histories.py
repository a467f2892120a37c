"""Open orders of every released version must replay on the code of today."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tests.replay.record import HISTORIES, STORIES
from worker import workflow_runner
from workflows.arguments import ARGUMENTS
from workflows.order import OrderWorkflow

RECORDED = sorted(HISTORIES.glob("*.json"))


def test_every_story_was_recorded() -> None:
    recorded = {path.stem.split("-", 1)[1].split(".run-")[0] for path in RECORDED}
    assert recorded == {story.__name__ for story in STORIES}


@pytest.fixture(params=RECORDED, ids=lambda path: path.stem)
def text(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text()


async def replay(text: str) -> None:
    """As on a worker; the order checks that its workflow id is its own."""
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    history = WorkflowHistory.from_json(started["workflowId"], text)
    replayer = Replayer(workflows=[OrderWorkflow], data_converter=ARGUMENTS, workflow_runner=workflow_runner())
    await replayer.replay_workflow(history)


async def test_a_recorded_history_replays(text: str) -> None:
    # A history written by hand has none of these, and let a renamed activity pass.
    assert '"sdkMetadata"' in text
    await replay(text)


PAID = {path.stem: body for path in RECORDED if "authorize_payment" in (body := path.read_text())}


@pytest.mark.parametrize("name", PAID)
async def test_a_changed_workflow_does_not_replay(name: str) -> None:
    """The replayer notices: an activity of another name is no replay."""
    text = PAID[name]
    with pytest.raises(Exception, match="authorize_payment"):
        await replay(text.replace("authorize_payment", "take_payment"))
