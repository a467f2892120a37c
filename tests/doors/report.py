"""What was tried at each door, and what became of it."""

from collections import Counter
from typing import Literal, NamedTuple

Verdict = Literal["refused", "harmless", "let in"]
"""`harmless`: taken as the words or the number that it is, with no effect beyond that. `let in` is a fault."""

_SHOWN = 40


class Fault(NamedTuple):
    door: str
    attack: str
    what: str


class Report:
    def __init__(self, seed: int, count: int) -> None:
        self.seed, self.count = seed, count
        self.counts: dict[str, Counter[Verdict]] = {}
        self.reasons: dict[str, Counter[str]] = {}
        """Door to why something there was harmless, and how often."""

        self.faults: list[Fault] = []

    def note(self, door: str, attack: str, verdict: Verdict, what: str = "") -> None:
        """`what` was answered, or why it is harmless."""
        self.counts.setdefault(door, Counter())[verdict] += 1
        if verdict == "let in":
            self.faults.append(Fault(door, attack, what))
        elif verdict == "harmless":
            self.reasons.setdefault(door, Counter())[what] += 1

    @property
    def tried(self) -> int:
        return sum(count.total() for count in self.counts.values())

    def text(self) -> str:
        """A table with a row for each door; below it, what was let in."""
        width = max(len(door) for door in self.counts)
        lines = [f"seed {self.seed}, count {self.count}", f"{'door':<{width}}  tried  refused  let in  harmless"]
        together: Counter[Verdict] = Counter()
        for door, count in self.counts.items():
            together += count
            why = "; ".join(f"{times}: {reason}" for reason, times in self.reasons.get(door, Counter()).items())
            lines.append(_row(f"{door:<{width}}", count, why))
        lines.append(_row(f"{'all':<{width}}", together, ""))
        lines += [f"LET IN {fault.door}: {fault.attack}: {fault.what}" for fault in self.faults[:_SHOWN]]
        if len(self.faults) > _SHOWN:
            lines.append(f"and {len(self.faults) - _SHOWN} more")
        return "\n".join(lines)


def _row(name: str, count: Counter[Verdict], why: str) -> str:
    numbers = f"{count.total():>5}  {count['refused']:>7}  {count['let in']:>6}  {count['harmless']:>8}"
    return f"{name}  {numbers}  {why}".rstrip()
