"""What could be promised before an order is placed: dates and cost by shipping method; and the catalogue."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from domain.model import Body, Country, Frozen, OptionalLine, PartyId, Sku
from domain.offers import Offer, Wish
from domain.placing import LINES_MAX, Channel, Quantity
from store.offers import ItemPage
from usecases.quotes import quote
from web.api.bodies import body_of, described
from web.api.callers import AnyCaller, Marketplace
from web.problems import answers
from web.services import UseServices

router = APIRouter(tags=["promises"])


class WishedLine(Body):
    """Without a `channel` the stock decides: the network's first."""

    seller: PartyId
    sku: Sku
    quantity: Quantity = 1
    channel: Channel | None = None


class PromiseRequest(Body):
    """A cart, and where it would go to."""

    country: Country
    time_zone: OptionalLine = "UTC"
    lines: Annotated[tuple[WishedLine, ...], Field(min_length=1, max_length=LINES_MAX)]


class Promises(Frozen):
    """The cheapest first; none where nobody ships in that currency. Amounts are minor units."""

    offers: tuple[Offer, ...]


@router.post(
    "/promises",
    summary="Dates and cost by shipping method",
    responses=answers(401, 403, 413, 422, 503),
    openapi_extra=described(
        PromiseRequest, {"country": "US", "lines": [{"seller": "acme", "sku": "MUG-BLUE", "quantity": 2}]}
    ),
)
async def promises(
    _: Marketplace, body: Annotated[PromiseRequest, Depends(body_of(PromiseRequest))], services: UseServices
) -> Promises:
    """As an order placed now would get them; nothing is held for anybody."""
    wishes = [Wish(**dict(line)) for line in body.lines]
    found = await quote(services.offers, wishes, body.country, body.time_zone, datetime.now(UTC))
    return Promises(offers=found)


@router.get("/listings", summary="The catalogue", responses=answers(401, 422, 503))
async def listings(
    services: UseServices,
    caller: AnyCaller,
    search: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")] = None,
    seller: PartyId | None = None,
    after: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="The page's `next`.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> ItemPage:
    """By title, with what is free of each at this moment; for a seller's key its own."""
    whose = caller.seller or seller
    return await services.offers.items(search=search, seller=whose, after=after, limit=limit)
