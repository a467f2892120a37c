"""The pages of a seller: what is to ship, each part of an order, its stock. Nothing on them tells of other sellers."""

from fastapi import APIRouter

from web.pages.seller import imports, orders, packing, part, printing, queue, steps, stock

router = APIRouter()
for _part in (queue, printing, imports, orders, part, packing, steps, stock):
    router.include_router(_part.router)
