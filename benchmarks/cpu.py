"""CPU time of processes and of all that they have started, from /proc."""

import os
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


class _Stat(NamedTuple):
    parent: int
    own: int
    ended_children: int


def cpu_seconds(pid: int) -> float:
    """Of the process, of its children that have ended, and of those that live, in user and in system mode."""
    ticks = _ticks(pid, _children_of_all())
    return ticks / _TICKS


def _ticks(pid: int, children: dict[int, list[int]]) -> int:
    stat = _stat(pid)
    if stat is None:
        return 0
    return stat.own + stat.ended_children + sum(_ticks(child, children) for child in children.get(pid, ()))


def _children_of_all() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and (stat := _stat(int(folder.name))) is not None:
            children.setdefault(stat.parent, []).append(int(folder.name))
    return children


def _stat(pid: int) -> _Stat | None:
    """None where it has ended meanwhile."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything.
    fields = text.rpartition(")")[2].split()
    user, system, ended_user, ended_system = (int(field) for field in fields[11:15])
    return _Stat(parent=int(fields[1]), own=user + system, ended_children=ended_user + ended_system)
