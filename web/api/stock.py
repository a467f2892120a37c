"""Stock: levels, the movements that made them, receipts and corrections; and the catalog."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from domain.access import Caller, Scope
from domain.catalog import Catalog, Correction, Receipt, StockMoved
from domain.model import Frozen, Moment, PartyId, Sku
from store.views.stock import MovementRow, StockPage
from usecases.errors import Refused
from web.api.bodies import body_of, described
from web.api.callers import Backend, Merchant
from web.api.fulfillments import ASeller, seller_asked_for
from web.problems import HttpProblem, answers
from web.services import UseServices

router = APIRouter(tags=["stock"])


class Movements(Frozen):
    movements: tuple[MovementRow, ...]
    next: datetime | None
    """To be given as `before` for the next page; None where there is none."""


class Loaded(Frozen):
    """How many of each were added or updated."""

    sellers: int
    locations: int
    listings: int
    stock: int
    shipping_rates: int


@router.get("/stock", summary="Levels", responses=answers(401, 403, 422, 503))
async def levels(
    services: UseServices,
    caller: Merchant,
    seller: ASeller = None,
    location: PartyId | None = None,
    sku: Sku | None = None,
    search: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")] = None,
    after: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="The page's `next`.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> StockPage:
    """What lies where, how much of it is reserved and for which orders, and how much is waited for."""
    whose = seller_asked_for(caller, seller)
    return await services.stock.levels(
        seller=whose, location=location, sku=sku, search=search, after=after, limit=limit
    )


@router.get("/stock/movements", summary="The ledger", responses=answers(401, 403, 422, 503))
async def movements(
    services: UseServices,
    caller: Merchant,
    seller: ASeller = None,
    location: PartyId | None = None,
    sku: Sku | None = None,
    before: Annotated[Moment | None, Query(description="The page's `next`.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Movements:
    """Every movement of stock, the newest first; of one seller, or of all. A page may have some more than `limit`: what
    was moved at one moment stays together.
    """
    found = await services.stock.movements(
        seller_asked_for(caller, seller), sku=sku, location=location, before=before, limit=limit
    )
    return Movements(movements=found, next=found[-1].at if len(found) >= limit else None)


@router.post(
    "/stock/receipts",
    summary="Units have come in",
    responses=answers(401, 403, 409, 413, 422, 503),
    openapi_extra=described(Receipt),
)
async def receive(
    caller: Merchant, body: Annotated[Receipt, Depends(body_of(Receipt))], services: UseServices
) -> StockMoved:
    """Orders that wait for them are served at once, those placed first first."""
    _must_be_own(caller, body.seller)
    return await services.stocking.receive(caller, body)


@router.post(
    "/stock/corrections",
    summary="Units were counted again",
    responses=answers(401, 403, 409, 413, 422, 503),
    openapi_extra=described(Correction),
)
async def correct(
    caller: Merchant, body: Annotated[Correction, Depends(body_of(Correction))], services: UseServices
) -> StockMoved:
    """What is reserved stays: where too little is left, its seller rejects lines in the orders concerned."""
    _must_be_own(caller, body.seller)
    return await services.stocking.correct(caller, body)


@router.put(
    "/catalog",
    summary="Sellers, locations, listings and rates",
    responses=answers(401, 403, 409, 413, 422, 503),
    openapi_extra=described(Catalog),
)
async def load(_: Backend, body: Annotated[Catalog, Depends(body_of(Catalog))], services: UseServices) -> Loaded:
    """Adds and updates; stock counts the first time only, later changes are receipts and corrections."""
    refused = await services.inventory.load(body)
    if refused is not None:
        raise Refused(refused.reason)
    return Loaded(**{name: len(getattr(body, name)) for name in Loaded.model_fields})


def _must_be_own(caller: Caller, seller: str) -> None:
    if caller.scope is Scope.SUPPORT:
        raise HttpProblem(403, "forbidden", "a key of support may not move stock")
    seller_asked_for(caller, seller)
