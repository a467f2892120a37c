"""The pages: for customers by link, for everybody else by a key that they sign in with."""

from fastapi import APIRouter

from web.pages import checkout, customers, insights, seller, shop, signin, support

router = APIRouter(include_in_schema=False)
for _part in (shop, checkout, customers, seller, support, insights, signin):
    router.include_router(_part.router)
