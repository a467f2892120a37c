"""How often one address may try what could be guessed; counted in PostgreSQL, for all web processes together."""

import hashlib
from datetime import timedelta

from fastapi import Request

from web.problems import HttpProblem
from web.services import Services


async def limited(request: Request, services: Services, what: str, most: int, window: timedelta) -> None:
    """Raises a problem once it was tried too often from there."""
    address = request.client.host if request.client else "unknown"
    # The address itself is nothing to keep.
    origin = hashlib.sha256(f"{services.settings.web_url}:{address}".encode()).hexdigest()[:24]
    if await services.attempts.note(f"{what}:{origin}", window) > most:
        seconds = int(window.total_seconds())
        raise HttpProblem(
            429,
            "too-many-tries",
            f"Too many tries. Please wait {seconds // 60} minutes.",
            headers={"Retry-After": str(seconds)},
        )
