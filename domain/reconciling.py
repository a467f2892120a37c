"""What reconciliation finds and mends, in numbers and names; what its workflow takes and returns."""

from datetime import datetime

from domain.model import Frozen

NAMED_MAX = 100
"""So many orders a report names of each kind; it counts all."""

TAKEN_UP_AT_ONCE = 500
"""So many one run takes up, however many it may: the engine bounds what an activity tells (2 MB; a termination's reason
may take 4 kB of it) and the events of a run. The others are held back until the next one."""

ASKED_AGAIN_MAX = 200
"""So many orders that gave no answer the next run asks again; and after so many a run asks no more. Each is waited for
ten seconds, twenty at a time, so that they take less than two minutes of a run."""


class ReconcileInput(Frozen):
    """`since` is server time: rows written from then on are compared with their orders. None: since the run before,
    or within the last hour where there was none."""

    dry_run: bool = False
    grace_seconds: float = 60.0
    """What is younger is left alone: it may be in the middle of a step."""

    taken_up_max: int = 50
    """Where more orders than this have lost their workflow none is taken up: it looks as if Temporal had lost them."""

    compared_max: int = 2_000
    since: datetime | None = None
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
    not_compared: int = 0
    dead: tuple[DeadOrder, ...] = ()
    """Those that are to be taken up now."""

    held_back: tuple[str, ...] = ()
    held_back_count: int = 0
    """Dead ones that are not."""

    half_written: tuple[HalfWritten, ...] = ()
    unanswered: tuple[str, ...] = ()
    """At most `ASKED_AGAIN_MAX` orders that could not be compared, because nobody answered for them."""

    without_rows: tuple[str, ...] = ()
    without_rows_count: int = 0
    """Workflows that run for an order that PostgreSQL does not know, or has had as closed for longer than the grace."""

    ended: tuple[str, ...] = ()
    ended_count: int = 0
    """Rows that are open although their workflow has ended well: they are older than it."""

    looked_until: datetime


class MendedStock(Frozen):
    """Units and backorders that were held for nobody."""

    orders: tuple[str, ...] = ()
    units: int = 0
    backorders: int = 0
    levels: tuple[str, ...] = ()
    """`location/seller/sku` whose reserved units were not those that orders hold."""

    not_mended: tuple[str, ...] = ()


class HeldMoney(Frozen):
    """Money of a closed order that is authorized still, in minor units."""

    order_id: str
    amount: int
    key: str


class ReconcileReport(Frozen):
    """What one run of reconciliation did; with `dry_run`, what it would do. Names are at most `NAMED_MAX` of each."""

    dry_run: bool = False
    looked_at: int = 0
    compared: int = 0
    not_compared: int = 0
    """Orders whose rows changed beyond what one run compares."""

    unanswered: int = 0
    """Orders for which nobody answered; the next run asks them again."""

    taken_up: int = 0
    held_back: int = 0
    """Orders without a workflow that were left alone, because they are too many; or too many for one run."""

    rewritten: int = 0
    units_released: int = 0
    backorders_cancelled: int = 0
    levels_mended: int = 0
    voided: int = 0
    """Minor units of closed orders, whatever their currency."""

    failed: int = 0
    """Orders that could not be mended now; the next run tries again."""

    without_rows: int = 0
    ended: int = 0
    not_mended: int = 0
    orders: tuple[str, ...] = ()
    """`taken_up 1042`, and so on: who was mended, and who needs a person."""

    looked_until: datetime | None = None
    ask_again: tuple[str, ...] = ()
    """Orders that gave no answer, or whose rows could not be written anew: the next run compares them again."""

    @property
    def is_clean(self) -> bool:
        """Nothing was found."""
        return not self.orders and not self.held_back
