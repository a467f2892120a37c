"""What a fault run did and found, for people and for programs."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """`second_copies` are mails that came more than once, with one Message-ID."""

    ended: int
    waiting: int
    second_copies: int
    violations: tuple[str, ...]


_NOTHING = Outcome(0, 0, 0, ())


@dataclass(frozen=True)
class Part:
    """One kind of fault. `skipped` says why nothing was tried; `notes` what else is to be known."""

    kind: str
    orders: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    outcome: Outcome = _NOTHING
    skipped: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def injected(self) -> Counter[str]:
        """Without what only says more of a fault that is counted already, after a colon."""
        return Counter({kind: count for kind, count in self.faults.items() if ":" not in kind})

    @property
    def wrong(self) -> list[str]:
        """Violations; also that nothing was injected, or nothing ended: it would prove nothing."""
        found = list(self.outcome.violations)
        if not self.skipped:
            if not self.faults:
                found.append("no fault was injected")
            missing = sum(self.orders.values()) - self.outcome.ended - self.outcome.waiting
            if missing:
                found.append(f"{missing} orders neither ended nor wait for their seller")
            if not self.outcome.ended:
                found.append("no order ended")
        return [f"{self.kind}: {one}" for one in found]


class Report(NamedTuple):
    seed: int
    parts: tuple[Part, ...]

    @property
    def orders(self) -> Counter[str]:
        return sum((part.orders for part in self.parts), Counter())

    @property
    def faults(self) -> Counter[str]:
        return sum((part.injected for part in self.parts), Counter())

    @property
    def wrong(self) -> list[str]:
        return [one for part in self.parts for one in part.wrong]

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "seconds": round(sum(part.seconds for part in self.parts), 1),
            "orders": {"all": self.orders.total(), "by_story": dict(sorted(self.orders.items()))},
            "ended": sum(part.outcome.ended for part in self.parts),
            "waiting": sum(part.outcome.waiting for part in self.parts),
            "faults": {"all": self.faults.total(), "by_kind": dict(sorted(self.faults.items()))},
            "second_copies_of_mails": sum(part.outcome.second_copies for part in self.parts),
            "violations": self.wrong,
            "parts": [
                {
                    "kind": part.kind,
                    "orders": part.orders.total(),
                    "ended": part.outcome.ended,
                    "waiting": part.outcome.waiting,
                    "faults": dict(sorted(part.faults.items())),
                    "second_copies_of_mails": part.outcome.second_copies,
                    "violations": part.wrong,
                    "skipped": part.skipped,
                    "notes": list(part.notes),
                    "seconds": round(part.seconds, 1),
                }
                for part in self.parts
            ],
        }

    def as_text(self) -> str:
        row = "{:<10}{:>8}{:>8}{:>9}{:>8}{:>15}{:>12}{:>9}"
        lines = [row.format("part", "orders", "ended", "waiting", "faults", "second copies", "violations", "seconds")]
        for part in self.parts:
            out = part.outcome
            counts = (part.orders.total(), out.ended, out.waiting, part.injected.total(), out.second_copies)
            lines.append(row.format(part.kind, *counts, len(part.wrong), round(part.seconds)))
        whole = self.as_json()
        lines += ["", "faults injected:"]
        lines += [f"  {count:>6}  {kind}" for kind, count in sorted(self.faults.items())]
        lines += ["", "orders by story:"]
        lines += [f"  {count:>6}  {story}" for story, count in sorted(self.orders.items())]
        lines += [""] + [f"{part.kind}: skipped, {part.skipped}" for part in self.parts if part.skipped]
        lines += [f"{part.kind}: {note}" for part in self.parts for note in part.notes]
        lines += self.wrong
        lines.append(
            f"seed {self.seed}: {whole['orders']['all']} orders, {whole['ended']} ended, {whole['waiting']} wait for"
            f" their seller; {whole['faults']['all']} faults injected; {whole['second_copies_of_mails']} second copies"
            f" of mails; {len(self.wrong)} violations; {whole['seconds']:.0f} s"
        )
        return "\n".join(lines)

    def write(self, folder: Path, name: str) -> Path:
        """As `name`.json and `name`.txt; gives the first."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.json"
        path.write_text(json.dumps(self.as_json(), indent=1), encoding="utf-8")
        path.with_suffix(".txt").write_text(self.as_text() + "\n", encoding="utf-8")
        return path
