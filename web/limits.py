"""How often one address may guess wrongly; counted in PostgreSQL, for all web processes together."""

from datetime import timedelta
from typing import NamedTuple

from fastapi import Request

from web.problems import HttpProblem
from web.services import Services


class Limit(NamedTuple):
    """So many wrong guesses of a kind within the last `window`; right ones are as many as anybody likes."""

    what: str
    most: int
    window: timedelta


async def refuse_guessers(request: Request, services: Services, limit: Limit) -> None:
    """Raises a problem where too many guesses from there were wrong."""
    if await services.attempts.count(_subject(request, services, limit), limit.window) >= limit.most:
        seconds = int(limit.window.total_seconds())
        raise HttpProblem(
            429,
            "too-many-tries",
            f"Too many tries. Please wait {seconds // 60} minutes.",
            headers={"Retry-After": str(seconds)},
        )


async def note_wrong_guess(request: Request, services: Services, limit: Limit) -> None:
    await services.attempts.note(_subject(request, services, limit))


def _subject(request: Request, services: Services, limit: Limit) -> str:
    """The address itself is nothing to keep."""
    address = request.client.host if request.client else "unknown"
    return f"{limit.what}:{services.signatures.digest(address)}"
