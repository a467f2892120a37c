"""Who is at the desk: the seller who is signed in, with its time zone and what it may do with its parts of orders."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from fastapi import Depends, Path, Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData

from adapters.mail.formats import Formats
from domain.access import Caller
from domain.model import LocalId, OrderId
from store.views.sellers import SellerProfile
from usecases.selling import Selling
from web.pages.sessions import SellerPage
from web.pages.templates import known_zone, render
from web.problems import HttpProblem
from web.services import Services, UseServices

AnOrderId = Annotated[OrderId, Path()]
AFulfillmentId = Annotated[LocalId, Path()]
Parts = tuple[tuple[str, str], ...]
"""Order id and fulfillment id of each."""

CHOSEN_MAX = 500


class Desk(NamedTuple):
    caller: Caller
    seller: str
    profile: SellerProfile
    services: Services

    @property
    def selling(self) -> Selling:
        return Selling(self.services.delivery, self.services.seller_parts)

    @property
    def zone(self) -> ZoneInfo:
        return known_zone(self.profile.time_zone)

    @property
    def sells_labels(self) -> bool:
        """Whether a carrier is connected that labels can be bought from."""
        return self.services.settings.carrier != "manual"

    def ends_of_days(self, now: datetime) -> tuple[datetime, datetime]:
        """The last moments of today and of tomorrow, where the seller is."""
        today = now.astimezone(self.zone).date()
        today_ends, tomorrow_ends = (
            datetime.combine(today + timedelta(days=days), time.max, self.zone) for days in (0, 1)
        )
        return today_ends, tomorrow_ends

    async def render(self, request: Request, template: str, *, status: int = 200, **facts: Any) -> HTMLResponse:
        return await render(
            request,
            template,
            status=status,
            zone=self.profile.time_zone,
            caller=self.caller,
            seller_name=self.profile.name,
            new_key=new_key,
            **facts,
        )


async def _desk(caller: SellerPage, services: UseServices) -> Desk:
    assert caller.seller is not None
    return Desk(caller, caller.seller, await services.sellers.profile(caller.seller), services)


AtDesk = Annotated[Desk, Depends(_desk)]


def new_key() -> str:
    """For a form: sent twice, it has one effect."""
    return secrets.token_urlsafe(12)


_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")


def key_of(form: FormData) -> str:
    key = text_of(form, "key")
    if not _KEY.fullmatch(key):
        raise HttpProblem(422, "invalid-form", "This form is not complete. Please go back and try again.")
    return key


def text_of(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


def texts_of(form: FormData, name: str) -> list[str]:
    return [value.replace("\r\n", "\n") for value in form.getlist(name) if isinstance(value, str)]


_PART = re.compile(r"([A-Za-z0-9_-]{1,64}):([A-Za-z0-9_.-]{1,80})")


def parts_of(chosen: Sequence[str]) -> Parts:
    """`1042:acme-1` and so on, each once; whatever else somebody sends is left out."""
    found = (_PART.fullmatch(text) for text in dict.fromkeys(chosen))
    return tuple((match[1], match[2]) for match in found if match)[:CHOSEN_MAX]


def formats_of(desk: Desk) -> Formats:
    """As its pages have it, for what is printed or saved."""
    from babel import Locale

    return Formats(Locale("en"), desk.zone)
