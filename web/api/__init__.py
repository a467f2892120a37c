"""`/v1`: for programs, by key."""

from fastapi import APIRouter

from web.api import erasure, fulfillments, insights, messages, orders, promises, stock

router = APIRouter()
for _part in (orders, messages, fulfillments, stock, promises, insights, erasure):
    router.include_router(_part.router)
