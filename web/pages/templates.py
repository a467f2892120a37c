"""Pages in HTML: one environment, and what every page is given."""

import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from adapters.mail.formats import Formats
from adapters.mail.rendering import is_web_url
from domain.access import Caller, Scope
from web.pages import words
from web.pages.carts import cart_units
from web.pages.cookies import set_cookie
from web.pages.flashes import forget_flash, taken_flash
from web.services import Services

_NAVIGATION: Mapping[Scope | None, Sequence[tuple[str, str]]] = {
    None: (("/", "Shop"), ("/cart", "Cart"), ("/signin", "Sign in")),
    Scope.SELLER: (
        ("/seller", "To ship"),
        ("/seller/orders", "Orders"),
        ("/seller/stock", "Stock"),
        ("/insights", "Insights"),
    ),
    Scope.SUPPORT: (("/support", "Support"), ("/support/attention", "Attention"), ("/insights", "Insights")),
    Scope.ANALYST: (("/insights", "Insights"),),
}

_VISIT = "oo_visit"
_VISIT_SECONDS = 60 * 60 * 24 * 30


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= words.FILTERS
    environment.globals |= words.GLOBALS
    environment.tests["web_url"] = is_web_url
    return environment


_ENVIRONMENT = _environment()


async def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    zone: str = "UTC",
    caller: Caller | None = None,
    **facts: Any,
) -> HTMLResponse:
    """A page; dates are written in the zone, which the page names at its foot."""
    services = request.app.state.services
    assert isinstance(services, Services)
    visit = request.cookies.get(_VISIT) or secrets.token_urlsafe(18)
    formats = Formats(Locale("en"), known_zone(zone))
    flash = taken_flash(request, services)
    navigation = _NAVIGATION.get(caller.scope if caller else None, ())
    html = _ENVIRONMENT.get_template(template).render(
        request=request,
        shop_name=services.settings.shop_name,
        support_email=services.settings.support_email,
        caller=caller,
        in_cart=cart_units(request, services),
        csrf=Markup('<input type="hidden" name="csrf" value="{}">').format(_token(services, visit)),
        f=formats,
        flash=flash,
        zone_name=formats.zone.key,
        path=request.url.path,
        navigation=navigation,
        here=_nearest(request.url.path, [href for href, _ in navigation]),
        **facts,
    )
    response = HTMLResponse(html, status_code=status)
    if flash is not None:
        forget_flash(response)
    if _VISIT not in request.cookies:
        set_cookie(request, response, _VISIT, visit, _VISIT_SECONDS)
    return response


def _nearest(path: str, hrefs: Iterable[str]) -> str:
    """Of the pages in the navigation the one that this belongs to; empty: none."""
    above = (href for href in hrefs if path == href or (path.startswith(f"{href.rstrip('/')}/") and href != "/"))
    return max(above, key=len, default="")


def is_genuine(request: Request, token: str) -> bool:
    """Whether the form came from a page of ours, made for this very browser."""
    visit = request.cookies.get(_VISIT)
    services = request.app.state.services
    return visit is not None and hmac.compare_digest(token.encode(), _token(services, visit).encode())


def _token(services: Services, visit: str) -> str:
    return services.signatures.sign("visit", visit)


def known_zone(name: str) -> ZoneInfo:
    """UTC where nobody knows the name: a page must not fail for that."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
