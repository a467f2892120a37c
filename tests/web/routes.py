"""Every route that the application has, so that a new one is looked at like the others."""

from collections.abc import Iterator

from fastapi import FastAPI

Route = tuple[str, str]
"""The method, and the path with its placeholders."""


def routes_of(app: FastAPI) -> Iterator[Route]:
    for part in app.routes:
        for route in getattr(part, "effective_route_contexts", list)():
            for method in route.methods - {"HEAD"}:
                yield method, route.path
