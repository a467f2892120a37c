"""Runs orders of every story on real servers, breaks what can be broken, and checks that nothing was lost.

`make faults FAULTS="..."` takes these options. The same seed gives the same plan. The report is printed and written to
`.openorders/faults/`, as JSON and as text; the exit code is 1 where anything is wrong.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence

from localstack.stack import ended_by_signals
from localstack.worker_process import state_dir
from tests.faults.events import AT_ONCE
from tests.faults.plan import KINDS
from tests.faults.run import run
from tests.faults.stories import STORIES
from usecases.process import end_process


def main(argv: Sequence[str]) -> int:
    options = _options(argv)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}: --seed {seed} does the same again", flush=True)
    with ended_by_signals():
        report = asyncio.run(
            run(
                seed,
                options.orders,
                kinds=options.only,
                stories=options.stories,
                per_second=options.rate,
                at_once=options.at_once,
                minutes=options.minutes,
                say=_say,
            )
        )
    print(report.as_text())
    path = report.write(state_dir() / "faults", f"{time.strftime('%Y-%m-%d-%H%M%S')}-seed-{seed}")
    print(f"The report is {path}.")
    return 1 if report.wrong else 0


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the plan; a new one by default")
    parser.add_argument("--orders", type=int, default=3000, help="about so many in all (3000)")
    parser.add_argument(
        "--only", type=_words(KINDS), default=KINDS, help=f"kinds with commas between: {','.join(KINDS)}"
    )
    names = tuple(story.__name__ for story in STORIES)
    parser.add_argument("--stories", type=_words(names), default=names, help=f"stories of these: {','.join(names)}")
    parser.add_argument("--rate", type=float, default=2.0, help="orders a second that come in (2)")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help=f"of `events`, side by side ({AT_ONCE})")
    parser.add_argument("--minutes", type=float, help="after which nothing new is begun, and the report says what not")
    return parser.parse_args(argv)


def _words(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def words(text: str) -> tuple[str, ...]:
        given = tuple(text.split(","))
        if unknown := set(given) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
        return given

    return words


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
