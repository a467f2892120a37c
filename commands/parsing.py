"""The parser, and how a topic adds its commands to it."""

import argparse
from collections.abc import Awaitable, Callable
from typing import NoReturn

from commands.argument_types import seconds
from commands.exit_codes import INVALID
from commands.showing import say

Arguments = argparse.Namespace
Command = Callable[[Arguments], Awaitable[int]]
"""What a command does; the answer is its exit code."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        say(f"{self.prog}: {message} (--help tells more)")
        raise SystemExit(INVALID)


class Commands:
    """The commands of the program, or of a word such as `stock`; each has `--json` and `--timeout`."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parsers = parser.add_subparsers(metavar="COMMAND", required=True)
        self._common = Parser(add_help=False)
        self._common.add_argument("--json", action="store_true", help="print JSON")
        self._common.add_argument(
            "--timeout", type=seconds, default=10.0, metavar="SECONDS", help="how long to wait for an answer (10)"
        )

    def add(self, name: str, run: Command, says: str, aliases: tuple[str, ...] = ()) -> argparse.ArgumentParser:
        command = self._parsers.add_parser(name, parents=[self._common], help=says, description=says, aliases=aliases)
        command.set_defaults(run=run)
        return command

    def group(self, name: str, says: str) -> "Commands":
        """Commands of two words, of which this is the first."""
        return Commands(self._parsers.add_parser(name, help=says))
