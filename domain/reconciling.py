"""What reconciliation finds and mends, in numbers and names; what its workflow takes and returns."""

from collections.abc import Sequence
from datetime import datetime

from domain.model import Frozen

NAMED_MAX = 100
"""So many orders a report names of each kind; it counts all."""

TAKEN_UP_AT_ONCE = 500
"""So many one run takes up, however many it may: the engine bounds what an activity tells (2 MB; a termination's reason
may take 4 kB of it) and the events of a run. The others are held back until the next one."""

VOIDED_AT_ONCE = 500
"""So many orders' money one run voids, by two activities each; what is left is counted, and comes with later runs."""

VOIDS_FAILED_MAX = 10
"""After so many that failed a run voids no more: each is tried for a minute, and a run has half an hour."""

REWRITTEN_AT_ONCE = 2_000
"""After so many whose rows are ahead a run compares no more, for what an activity tells, and for the events."""

ASKED_AGAIN_MAX = 200
"""So many orders that gave no answer the next run asks again; and no run asks more that give none. Each is waited for
ten seconds, twenty at a time, so that they take less than two minutes of a run."""


class ReconcileInput(Frozen):
    """`since` is server time: rows written from then on are compared with their orders; of those written at that very
    moment, those from `since_order_id` on. None: from where the run before came to, or within the last hour where there
    was none."""

    dry_run: bool = False
    grace_seconds: float = 60.0
    """What is younger is left alone: it may be in the middle of a step."""

    taken_up_max: int = 50
    """Where more orders than this have lost their workflow none is taken up: it looks as if Temporal had lost them."""

    compared_max: int = 2_000
    since: datetime | None = None
    since_order_id: str = ""
    ask_again: tuple[str, ...] = ()
    """Orders to compare whenever their rows were written; a run of the schedule has them of the run before."""


class OpenRow(Frozen):
    """An order that is open by its row."""

    order_id: str
    first_run_id: str
    body_hash: str
    version: int
    saved_at: datetime


class DeadOrder(Frozen):
    """An open row whose workflow does not run any more."""

    order_id: str
    body_hash: str
    how: str
    why: str = ""


class HalfWritten(Frozen):
    """Rows of a version that their order knows nothing of."""

    order_id: str
    version: int
    known_version: int


class Found(Frozen):
    """What looking at all open orders has found, and nothing changed yet. Names are at most `NAMED_MAX` of each: the
    engine takes no result above 2 MB, and all orders may be among them."""

    looked_at: int = 0
    compared: int = 0
    """Orders that gave an answer."""

    not_compared: int = 0
    dead: tuple[DeadOrder, ...] = ()
    """Those that are to be taken up now."""

    held_back: tuple[str, ...] = ()
    held_back_count: int = 0
    """Dead ones that are not."""

    half_written: tuple[HalfWritten, ...] = ()
    unanswered: tuple[str, ...] = ()
    """Orders that nobody answered for, or that were to be asked again and were not, for lack of time. At most
    `ASKED_AGAIN_MAX`; those that were to be asked again already come last."""

    unanswered_count: int = 0

    without_rows: tuple[str, ...] = ()
    without_rows_count: int = 0
    """Workflows that run for an order that PostgreSQL does not know, or has had as closed for longer than the grace."""

    ended: tuple[str, ...] = ()
    ended_count: int = 0
    """Rows that are open although their workflow has ended well: they are older than it."""

    looked_until: datetime
    looked_until_order_id: str = ""
    """Where the next run begins: `since` and `since_order_id`."""


class MendedStock(Frozen):
    """Units and backorders that were held for nobody. Names are at most `NAMED_MAX` of each."""

    orders: tuple[str, ...] = ()
    orders_count: int = 0
    units: int = 0
    backorders: int = 0
    levels: tuple[str, ...] = ()
    """`location/seller/sku` whose reserved units were not those that orders hold."""

    levels_count: int = 0
    not_mended: tuple[str, ...] = ()
    not_mended_count: int = 0

    @classmethod
    def of(
        cls, orders: Sequence[str], units: int, backorders: int, levels: Sequence[str], not_mended: Sequence[str] = ()
    ) -> "MendedStock":
        """Of all names; it keeps some, and counts them."""
        return cls(
            orders=tuple(orders[:NAMED_MAX]),
            orders_count=len(orders),
            units=units,
            backorders=backorders,
            levels=tuple(levels[:NAMED_MAX]),
            levels_count=len(levels),
            not_mended=tuple(not_mended[:NAMED_MAX]),
            not_mended_count=len(not_mended),
        )


class HeldMoney(Frozen):
    """Money of a closed order that is authorized still, in minor units."""

    order_id: str
    amount: int
    key: str


class FoundMoney(Frozen):
    """At most `VOIDED_AT_ONCE` of the orders whose money is held still, and how many there are."""

    held: tuple[HeldMoney, ...] = ()
    count: int = 0


class ReconcileReport(Frozen):
    """What one run of reconciliation did; with `dry_run`, what it would do. Names are at most `NAMED_MAX` of each."""

    dry_run: bool = False
    looked_at: int = 0
    compared: int = 0
    """Orders that told the version of their state."""

    not_compared: int = 0
    """Orders whose rows changed beyond what one run compares; the schedule's next run goes on with them."""

    unanswered: int = 0
    """Orders that nobody answered for, or that were not asked again for lack of time."""

    let_go: int = 0
    """Those of them, or of `failed` rows, that the next run does not look for again: they are compared when their rows
    are written again."""

    taken_up: int = 0
    held_back: int = 0
    """Orders without a workflow that were left alone, because they are too many; or too many for one run."""

    rewritten: int = 0
    units_released: int = 0
    backorders_cancelled: int = 0
    levels_mended: int = 0
    voided: int = 0
    """Minor units of closed orders, whatever their currency."""

    not_voided: int = 0
    """Orders whose money is left to later runs, because there are too many for one, or too many failed."""

    failed: int = 0
    """Orders that could not be mended now; the next run tries again."""

    without_rows: int = 0
    ended: int = 0
    not_mended: int = 0
    orders: tuple[str, ...] = ()
    """`taken_up 1042`, and so on: who was mended, and who needs a person."""

    looked_until: datetime | None = None
    looked_until_order_id: str = ""
    ask_again: tuple[str, ...] = ()
    """Orders that gave no answer, or whose rows could not be written anew: the next run compares them again."""

    @property
    def is_clean(self) -> bool:
        """Nothing was found, and everything was looked at."""
        return not self.orders and not self.held_back and not self.is_incomplete

    @property
    def is_incomplete(self) -> bool:
        """Something was not looked at, or is left to a later run."""
        return bool(self.not_compared or self.unanswered or self.let_go or self.not_voided)

    @property
    def leaves_something(self) -> bool:
        """To a person, or to a later run."""
        to_a_person = self.held_back or self.failed or self.not_mended or self.ended or self.without_rows
        return bool(to_a_person) or self.is_incomplete
