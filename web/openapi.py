"""The description of the API, and a page to read and try it; all of it works without any other host."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel
from swagger_ui_bundle import swagger_ui_path

from domain.access import OUTSIDE_MESSAGES
from domain.catalog import Catalog, Correction, Receipt
from domain.placing import PlaceOrder
from usecases.schemas import refined
from web.api.bodies import SCHEMA_NAMES
from web.api.promises import PromiseRequest
from web.pages.templates import render
from web.problems import MEDIA_TYPE, HttpProblem

BODIES: tuple[type[BaseModel], ...] = (
    PlaceOrder,
    Catalog,
    PromiseRequest,
    Receipt,
    Correction,
    *(message.body for message in OUTSIDE_MESSAGES),
)
_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_DESCRIPTION = """
Orders from checkout to the doorstep. Keys are made by `starter.py key create`; each has a scope (`backend`, `seller`,
`support`, `analyst`). Amounts are integer minor units of a currency, times are RFC 3339. Errors are
`application/problem+json` and name the field that is to blame, in the order's own words.
"""

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    return JSONResponse(description(request.app))


@router.get("/docs")
async def docs(request: Request) -> Response:
    return await render(request, "docs.html")


@router.get("/docs/{name}")
async def asset(name: str) -> FileResponse:
    if name not in _ASSETS:
        raise HttpProblem(404, "not-found", "Not Found")
    return FileResponse(f"{swagger_ui_path}/{name}", media_type=_ASSETS[name])


def description(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1, made once: with the schemas of bodies, which routes read themselves."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=_DESCRIPTION.strip(), routes=app.routes
        )
        schemas = document["components"]["schemas"]
        for model in BODIES:
            schema = refined(model.model_json_schema(ref_template=SCHEMA_NAMES))
            for name, part in {**schema.pop("$defs", {}), model.__name__: schema}.items():
                known = schemas.setdefault(f"{name}Input", part)
                assert known == part, f"two models are called {name}"
        _tell_of_problems(document)
        app.openapi_schema = document
    return app.openapi_schema


def methods_of(request: Request) -> str:
    """All that the API does at this address: each route by itself knows of its own method only."""
    template = f"/v1{getattr(request.scope.get('route'), 'path', '')}"
    return ", ".join(sorted(description(request.app)["paths"].get(template, {}))).upper()


def _tell_of_problems(document: dict[str, Any]) -> None:
    """Errors come as problem+json, and ours is the only model of them."""
    for path in document["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
