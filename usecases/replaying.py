"""A folder of recorded orders from its stock to the report: import, play, wait until it has settled, compare."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from store.database import Database
from store.identities import violations
from store.inventory import Inventory
from store.standings import Standing, Standings
from usecases.errors import Refused
from usecases.olist import OlistOrder, read_olist
from usecases.orders import Orders
from usecases.replay import AT_ONCE, FACTOR, Lag, Progress, play
from usecases.replay_moves import CARRIER
from usecases.replay_report import WORDS, ReplayReport, is_as_expected, report_on

SETTLE_SECONDS = 120
"""How long the last steps of the last orders may take; whatever has not happened by then is a difference."""

_LOOK_SECONDS = 2.0
_SCANS_SECONDS = 10.0
_LOOKS = 30
_READ_AT_ONCE = 500

Tell = Callable[[Progress], object]


async def replay_folder(
    orders: Orders,
    database: Database,
    folder: Path,
    *,
    factor: float = FACTOR,
    at_once: int = AT_ONCE,
    only: int | None = None,
    told: Tell = lambda _: None,
) -> ReplayReport:
    """Of all orders of the folder, or the first `only`. Raises `NotOlist`, and what `usecases.replay.play` raises."""
    olist = read_olist(folder, factor)
    refusal = await Inventory(database).load(olist.catalog)
    if refusal is not None:
        raise Refused(refusal.reason)
    return await replay_orders(
        orders, database, olist.orders[:only], folder=str(folder), factor=factor, at_once=at_once, told=told
    )


async def replay_orders(
    orders: Orders,
    database: Database,
    chosen: Sequence[OlistOrder],
    *,
    folder: str,
    factor: float = FACTOR,
    at_once: int = AT_ONCE,
    told: Tell = lambda _: None,
) -> ReplayReport:
    """What they buy lies in stock already."""
    began = time.monotonic()
    standings = Standings(database)
    progress = await _play_unscanned(orders, standings, chosen, at_once, told)
    found = await _settled(standings, chosen, progress.lag)
    return report_on(
        folder,
        factor,
        time.monotonic() - began,
        chosen,
        found,
        lag_answered=progress.lag,
        violations=await _standing_violations(database),
        refused=progress.refused,
    )


async def _play_unscanned(
    orders: Orders, standings: Standings, chosen: Sequence[OlistOrder], at_once: int, told: Tell
) -> Progress:
    """What has not ended yet.

    Stops as soon as a simulated carrier is found to scan our parcels: both stories of a parcel cannot be true.
    """
    ids = [order.order_id for order in chosen]
    before = await standings.of(ids, ())
    ended = {order_id for order_id, standing in before.items() if standing.closed}
    played = [order for order in chosen if order.reason is None and order.order_id not in ended]
    playing = asyncio.create_task(play(orders, played, in_flight=before, at_once=at_once, told=told))
    try:
        while not playing.done():
            if await standings.heard_from("carrier_event", CARRIER, ids):
                raise Refused(
                    "another carrier scans these parcels: start the worker with OPENORDERS_CARRIER=manual, "
                    "and replay into a database without them"
                )
            await asyncio.wait([playing], timeout=_SCANS_SECONDS)
        return playing.result()
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def _settled(standings: Standings, chosen: Sequence[OlistOrder], lag: Lag | None) -> dict[str, Standing]:
    """How all of them stand, once the rows of the last steps are there."""
    deadline = time.monotonic() + SETTLE_SECONDS
    found: dict[str, Standing] = {}
    waiting = list(chosen)
    while True:
        for start in range(0, len(waiting), _READ_AT_ONCE):
            ids = [order.order_id for order in waiting[start : start + _READ_AT_ONCE]]
            found |= await standings.of(ids, WORDS)
        waiting = [order for order in waiting if not is_as_expected(order, found.get(order.order_id), lag)]
        if not waiting or time.monotonic() > deadline:
            return found
        await asyncio.sleep(_LOOK_SECONDS)


async def _standing_violations(database: Database) -> list[str]:
    """Those seen at every look: what another replay is in the middle of just now is none."""
    found = await violations(database)
    for _ in range(_LOOKS - 1):
        if not found:
            break
        await asyncio.sleep(_LOOK_SECONDS)
        again = set(await violations(database))
        found = [one for one in found if one in again]
    return found
