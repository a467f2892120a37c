"""Free ports, chosen by several processes at once, each some time before a server opens it."""

import subprocess
import sys
from contextlib import ExitStack

from localstack.worker_process import CHECKOUT

_CHOOSER = """
from localstack import ports
ports._FREE_PORTS = range(31_900, 31_932)
print(*(ports.choose(0, "a port") for _ in range(8)), flush=True)
input()
"""


def test_no_two_processes_choose_the_same_port() -> None:
    with ExitStack() as ends:
        choosers = [
            ends.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _CHOOSER],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=CHECKOUT,
                )
            )
            for _ in range(3)
        ]
        chosen = [port for chooser in choosers if chooser.stdout for port in chooser.stdout.readline().split()]
        for chooser in choosers:
            chooser.communicate("\n")
    assert len({*chosen}) == len(chosen) == 24
