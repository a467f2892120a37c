"""Cookies: never readable by scripts, never sent along from other sites but for plain links."""

from fastapi import Request
from fastapi.responses import Response

from web.services import Services


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int, path: str = "/") -> None:
    services = request.app.state.services
    assert isinstance(services, Services)
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        httponly=True,
        samesite="lax",
        secure=(services.settings.web_url or "").startswith("https://"),
    )
