"""All commands together."""

import argparse

from commands import builds, checks, insights, keys, listing, messages, people, placing, replay, stock
from commands.parsing import Commands, Parser

_TOPICS = (placing, replay, listing, messages, stock, insights, keys, people, builds, checks)
"""In the order that `--help` lists them."""


def command_line(description: str | None) -> argparse.ArgumentParser:
    """What it parses has `run`, a `Command`."""
    parser = Parser(prog="starter.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = Commands(parser)
    for topic in _TOPICS:
        topic.add_commands(commands)
    return parser
