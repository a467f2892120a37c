"""Tries are counted over a window that slides: at no moment does anybody have more of them than at another."""

from datetime import timedelta

from sqlalchemy import text

from store.database import Database
from store.keys import Attempts

WINDOW = timedelta(minutes=15)


async def _noted(database: Database, subject: str, ago: timedelta) -> None:
    """Noted now, and moved back from now."""
    await Attempts(database).note(subject)
    query = text(
        "UPDATE attempts SET window_start = window_start - CAST(:ago AS interval)"
        " WHERE subject = :subject AND window_start > now() - interval '2 minutes'"
    )
    async with database.statement() as connection:
        await connection.execute(query, {"subject": subject, "ago": ago})


async def test_a_try_counts_for_the_window_that_follows_it_wherever_it_falls_on_the_clock(database: Database) -> None:
    for minutes in (30, 15, 13, 6):
        await _noted(database, "sliding", timedelta(minutes=minutes))
    await Attempts(database).note("sliding")
    await Attempts(database).note("another")
    assert await Attempts(database).count("sliding", WINDOW) == 3, "whoever waits as long as it says may try again"
    assert await Attempts(database).count("another", WINDOW) == 1


async def test_counts_of_days_ago_are_deleted_with_the_next_note(database: Database) -> None:
    await _noted(database, "of old", timedelta(days=2))
    await Attempts(database).note("of now")
    async with database.statement() as connection:
        left = await connection.scalars(text("SELECT subject FROM attempts WHERE subject LIKE 'of %'"))
    assert list(left) == ["of now"]
