"""`python -m tests.doors [SEED [COUNT]]`: COUNT hostile values at each place; ends with 1 if any has an effect."""

import asyncio
import sys

from tests.doors.siege import besiege


def main(seed: int = 20261128, count: int = 60) -> int:
    siege = asyncio.run(besiege(seed, count))
    print(siege.text())
    return 1 if siege.report.faults or siege.broken or siege.slow else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
