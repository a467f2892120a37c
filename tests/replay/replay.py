"""Replays histories with the code at hand: `python tests/replay/replay.py FILE_OR_FOLDER ...`.

A file is what `temporal workflow show --output json` says of an order. Prints those that do not replay; exit code 1
where there is one, 2 where there is nothing to replay.
"""

import asyncio
import json
import re
import sys
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.append(str(CHECKOUT))  # behind PYTHONPATH, by which another checkout's code can be tried

from usecases.process import end_process  # noqa: E402
from worker import workflow_runner  # noqa: E402
from workflows.arguments import ARGUMENTS  # noqa: E402
from workflows.order import OrderWorkflow  # noqa: E402


async def replay(text: str) -> None:
    """As on a worker; the order checks that its workflow id is its own. Raises what a worker would."""
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    history = WorkflowHistory.from_json(started["workflowId"], text)
    replayer = Replayer(workflows=[OrderWorkflow], data_converter=ARGUMENTS, workflow_runner=workflow_runner())
    await replayer.replay_workflow(history)


async def _replay_all(paths: list[Path]) -> int:
    failed = 0
    for path in paths:
        try:
            await replay(path.read_text())
        except Exception as error:
            failed += 1
            print(f"{path.name}: {_reason(error)}")
    print(f"{len(paths) - failed} of {len(paths)} histories replay")
    return 1 if failed else 0


def _reason(error: Exception) -> str:
    """In a few words: the core prints a whole failure in Rust's notation."""
    said = re.search(r'message: "([^"]+)', str(error))
    return said[1] if said else (str(error) or type(error).__name__).splitlines()[0]


def main(arguments: list[str]) -> int:
    given = [Path(one) for one in arguments]
    paths = [path for one in given for path in (sorted(one.glob("*.json")) if one.is_dir() else [one])]
    if not paths:
        print("nothing to replay: give histories, or folders of them", file=sys.stderr)
        return 2
    return asyncio.run(_replay_all(paths))


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
