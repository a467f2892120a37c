"""Replays Olist folders side by side on a fresh stack, with the worker killed at random moments, and checks the end.

`python -m benchmarks.replay_with_kills FOLDER... [--kills 20] [--seed N] [--report FILE] [--same-as FILE]`: each FOLDER
is replayed by `starter.py replay`, as an operator would. `--same-as` takes the report of an earlier run, such as one
without kills: every order must end the same. Exit code 0 where everything adds up.
"""

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from localstack.process import ManagedProcess
from localstack.stack import Stack, ended_by_signals
from localstack.worker_process import CHECKOUT, wait_until_ready
from store.database import Database
from store.identities import violations
from usecases.process import end_process
from workflows.names import SEARCH_ATTRIBUTES

_WORKER = {"OPENORDERS_CARRIER": "manual", "OPENORDERS_CACHED_ORDERS_MAX": "3000"}
"""Scans come from the files alone, and every open order stays in memory."""

_DOWN_SECONDS = (0.0, 3.0)
_POLL_SECONDS = 0.5

Report = dict[str, Any]


def main(argv: Sequence[str]) -> int:
    arguments = _arguments(argv)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    folders = [Path(folder).resolve() for folder in arguments.folders]
    with ended_by_signals(), Stack.temporary(SEARCH_ATTRIBUTES) as stack, tempfile.TemporaryDirectory() as reports:
        worker = stack.worker(_WORKER)
        worker.start()
        wait_until_ready(worker)
        _say(f"{stack.temporal.address}; seed {seed}")
        began = time.monotonic()
        replays = [_Replay(stack, folder, Path(reports), arguments.extra) for folder in folders]
        killings = _Killings(worker, random.Random(seed), arguments.kills, arguments.within)
        try:
            while any(replay.running for replay in replays):
                killings.go_on()
                time.sleep(_POLL_SECONDS)
        finally:
            for replay in replays:
                replay.stop()
        report = {
            "seed": seed,
            "kills": killings.done,
            "seconds": round(time.monotonic() - began, 1),
            "violations": asyncio.run(_violations(stack.postgres.dsn)),
            "mails": len(stack.mails.mailbox.all()),
            "exit_codes": {replay.folder.name: replay.code for replay in replays},
            "folders": {replay.folder.name: replay.report() for replay in replays},
        }
    if arguments.report:
        Path(arguments.report).write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    other = json.loads(Path(arguments.same_as).read_text(encoding="utf-8")) if arguments.same_as else None
    return _tell(report, other)


class _Replay:
    """`starter.py replay FOLDER` as a process of its own; its progress goes to our stderr."""

    def __init__(self, stack: Stack, folder: Path, reports: Path, extra: Sequence[str]) -> None:
        self.folder = folder
        self._file = reports / f"{folder.name}.json"
        with self._file.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, str(CHECKOUT / "starter.py"), "replay", str(folder), "--json", *extra],
                stdout=out,
                env=stack.environment,
                cwd=CHECKOUT,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Where it still runs, because we were told to end."""
        if self.running:
            self._process.kill()
        self._process.wait()

    @property
    def code(self) -> int | None:
        return self._process.poll()

    def report(self) -> Report | None:
        text = self._file.read_text(encoding="utf-8")
        return json.loads(text) if text else None


class _Killings:
    """SIGKILL at seeded random moments; the worker is started again within three seconds."""

    def __init__(self, worker: ManagedProcess, chance: random.Random, count: int, within_seconds: float) -> None:
        self._worker = worker
        self._chance = chance
        began = time.monotonic()
        self._moments = sorted(began + chance.uniform(5, within_seconds) for _ in range(count))
        self._start_at = began
        self.done = 0

    def go_on(self) -> None:
        now = time.monotonic()
        if not self._worker.running:
            if now >= self._start_at:
                self._worker.start()
        elif self._moments and now >= self._moments[0]:
            self._moments.pop(0)
            self._worker.kill()
            self.done += 1
            self._start_at = now + self._chance.uniform(*_DOWN_SECONDS)
            _say(f"kill {self.done}")


async def _violations(dsn: str) -> list[str]:
    database = Database(dsn)
    try:
        return await violations(database)
    finally:
        await database.close()


def _tell(report: Report, other: Report | None) -> int:
    wrong = list(report["violations"])
    for name, one in report["folders"].items():
        if one is None:
            wrong.append(f"{name}: no report, exit code {report['exit_codes'][name]}")
            continue
        figures = {key: value for key, value in one.items() if key not in ("differences", "ends", "refused")}
        print(json.dumps(figures, ensure_ascii=False, indent=1))
        if report["exit_codes"][name] != 0:
            wrong.append(f"{name}: exit code {report['exit_codes'][name]}")
        if other is not None:
            wrong += [f"{name}: {line}" for line in _ends_otherwise(one, other["folders"][name])]
    print(
        f"{report['kills']} kills (seed {report['seed']}), {report['seconds']} s, {report['mails']} mails, "
        f"{len(report['violations'])} violations"
    )
    if other is not None:
        print(f"compared with a run of {other['kills']} kills")
    print("\n".join(wrong) or "everything adds up")
    return 1 if wrong else 0


def _ends_otherwise(one: Report, other: Report) -> list[str]:
    ends, before = ({end["order_id"]: end for end in report["ends"]} for report in (one, other))
    return [
        f"{order_id}: {_changed(before.get(order_id, {}), ends.get(order_id, {}))}"
        for order_id in sorted({*ends, *before})
        if ends.get(order_id) != before.get(order_id)
    ]


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"{name} was {before.get(name)} and is {now.get(name)}" for name in names)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay_with_kills", description=__doc__)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--kills", type=int, default=20, help="how often the worker is killed (20)")
    parser.add_argument("--within", type=float, default=780, help="seconds in which the kills fall (780)")
    parser.add_argument("--seed", type=int, help="of the moments of the kills")
    parser.add_argument("--report", help="a file for the whole report")
    parser.add_argument("--same-as", help="the report of another run, which must have ended the same")
    parser.add_argument("--only", help="passed on to starter.py replay")
    arguments = parser.parse_args(argv)
    arguments.extra = ["--only", arguments.only] if arguments.only else []
    return arguments


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    end_process(main(sys.argv[1:]))
