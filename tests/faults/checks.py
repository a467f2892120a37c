"""What is asked after each part of a fault run: did every order end right, or say what it waits for?"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text

from store.identities import violations
from tests.faults.report import Outcome
from tests.faults.shop import bugs, copies, history, where
from tests.faults.siege import Siege
from tests.faults.stories import Teller, Told, answered, wrongs
from tests.shop import line

MAILS_SECONDS = 150
ADD_UP_SECONDS = 60
TASK_TRIES_MAX = 3


class Waiting(NamedTuple):
    """An order that nobody packs."""

    teller: Teller


async def leave_open(teller: Teller) -> Waiting:
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    return Waiting(teller)


async def outcome(
    shop: Siege, told: Sequence[Told], waiting: Sequence[Waiting], stuck: Sequence[str], mails_before: int
) -> Outcome:
    """Waits until mails are sent and rows written; then whatever is not right stays wrong.

    `mails_before` were written before the mailbox was cleared.
    """
    await shop.database.close()  # connections of before an outage are dead
    found = [f"{one}: did not end" for one in stuck]
    found += await _unsent_mails(shop)
    found += await wrongs(shop, told)
    for one in waiting:
        found += await _wrong_waiting(shop, one)
    found += await _does_not_add_up(shop)
    found += await _missing_mails(shop, mails_before)
    second_copies = sum(count - 1 for count in copies(shop).values())
    return Outcome(len(told), len(waiting), second_copies, tuple(found))


async def mails_written(shop: Siege) -> int:
    async with shop.database.statement() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM outbox WHERE kind = 'mail'")) or 0)


async def _unsent_mails(shop: Siege) -> list[str]:
    rows = text("SELECT key, attempts, last_error FROM outbox WHERE kind = 'mail' AND sent_at IS NULL")
    left = []
    for _ in range(MAILS_SECONDS):
        async with shop.database.statement() as connection:
            left = list(await connection.execute(rows))
        if not left:
            return []
        await asyncio.sleep(1)
    return [f"mail {row.key} never went out: {row.attempts} tries, {row.last_error}" for row in left]


async def _missing_mails(shop: Siege, mails_before: int) -> list[str]:
    """Orders of earlier parts that nobody packs are told of as late at any moment: such a mail may be on its way."""
    written = came = 0
    for _ in range(ADD_UP_SECONDS):
        written, came = await mails_written(shop) - mails_before, len(copies(shop))
        if came == written:
            return []
        await asyncio.sleep(1)
    return [f"{written} mails were written, and {came} came"]


async def _does_not_add_up(shop: Siege) -> list[str]:
    found: list[str] = []
    for _ in range(ADD_UP_SECONDS):
        found = await violations(shop.database)
        if not found:
            return []
        await asyncio.sleep(1)  # rows of the last step may still be on their way
    return found


async def _wrong_waiting(shop: Siege, waiting: Waiting) -> list[str]:
    """It says that its seller has to pack it, and no task of it fails over and over."""
    order_id = waiting.teller.order_id
    view = await answered(lambda: shop.status(order_id))
    description = await shop.handle(order_id).describe()
    tries = description.raw_description.pending_workflow_task.attempt
    seen = bugs(await history(shop, order_id))
    if view.status == "Unshipped" and any("to pack" in one for one in view.waits_for) and not seen:
        return [] if tries <= TASK_TRIES_MAX else [f"{order_id}: try {tries} of its workflow task"]
    return [f"{await where(shop, order_id)}; {seen}"]


async def say_where(shop: Siege, order_id: str) -> str:
    """For an order that should have ended; also where nobody answers."""
    try:
        async with asyncio.timeout(20):
            return await where(shop, order_id)
    except Exception as error:
        return f"{order_id}: nobody says where it is: {type(error).__name__}: {error}"
