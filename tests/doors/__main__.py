"""`python -m tests.doors [SEED [COUNT]]`: COUNT hostile values at each place; ends with 1 if any has an effect."""

import asyncio
import sys

from tests.doors.siege import besiege, besiege_sealed


def main(seed: int = 20261128, count: int = 60) -> int:
    wrong = False
    for one in (besiege, besiege_sealed):
        siege = asyncio.run(one(seed, count))
        print(siege.text(), flush=True)
        wrong = wrong or bool(siege.report.faults or siege.broken or siege.slow)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
