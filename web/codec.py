"""The codec server of Temporal's UI and of clients in other languages: payloads are encrypted and decrypted by key."""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse, Response
from google.protobuf.json_format import MessageToDict, Parse, ParseError
from temporalio.api.common.v1 import Payload, Payloads

from domain.access import Caller, Scope
from usecases.keys import caller_of
from web.pages.sessions import signed_in
from web.problems import FieldError, HttpProblem
from web.services import Services, UseServices
from workflows.codec import ENCRYPTED, UNREADABLE, Encryption

PAYLOADS_MAX = 2_000
"""In one request; the bytes of a body are limited for all routes together."""

BURST = 500
REQUESTS_PER_SECOND = 50
"""Of one key, in each web process. A page of the UI asks once an event."""

_CALLERS_MAX = 10_000

router = APIRouter(prefix="/codec", include_in_schema=False)

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
"""Of either alphabet, with or without the padding: https://protobuf.dev/programming-guides/json/."""

_Origin = Annotated[str | None, Header()]


async def _origin(services: UseServices, origin: _Origin = None) -> str | None:
    """The page that asks, which must be the Temporal UI; None for a program, whose requests come from no page."""
    if origin is None:
        return None
    if origin != _origin_of(services.settings.temporal_ui_url):
        raise HttpProblem(403, "forbidden", "Only OPENORDERS_TEMPORAL_UI_URL may ask from a browser.")
    return origin


UiOrigin = Annotated[str | None, Depends(_origin)]


async def _asking(request: Request, services: UseServices, origin: UiOrigin) -> Caller:
    """By a key in `Authorization`; or, from a page of the Temporal UI, by the session of who has signed in with us."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme:
        caller = await caller_of(services.keys, key.strip()) if scheme.lower() == "bearer" else None
    else:
        caller = await signed_in(request, services) if origin is not None else None
    if caller is None:
        raise HttpProblem(
            401,
            "unauthorized",
            "a valid key is needed in Authorization: Bearer, or a session of support in the browser",
            headers={"WWW-Authenticate": "Bearer", **_allowing(origin)},
        )
    if not _rate_of(request).admits(caller.key_id):
        raise HttpProblem(429, "too-many", "too many requests by this key", headers={"Retry-After": "1"})
    return caller


Asking = Annotated[Caller, Depends(_asking)]


@router.options("/{action}")
async def preflight(action: str, origin: UiOrigin) -> Response:
    """What a browser asks before it sends a body from another origin."""
    headers = _allowing(origin) | {
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "authorization, content-type, x-namespace",
        "Access-Control-Max-Age": "600",
    }
    return Response(status_code=204, headers=headers)


@router.post("/encode")
async def encode(request: Request, services: UseServices, caller: Asking, origin: UiOrigin) -> Response:
    """What a client in another language is about to send. What is encrypted already stays as it is."""
    _permit(caller, origin, Scope.BACKEND, Scope.SUPPORT)
    codec = _codec(services, origin)

    async def encoded(payload: Payload) -> Payload:
        return payload if payload.metadata.get("encoding") == ENCRYPTED else (await codec.encode([payload]))[0]

    return _answer([await encoded(payload) for payload in await _payloads(request, origin)], origin)


@router.post("/decode")
async def decode(request: Request, services: UseServices, caller: Asking, origin: UiOrigin) -> Response:
    """For staff. What cannot be decrypted stays as it is, and so does what is in clear."""
    _permit(caller, origin, Scope.SUPPORT)
    codec = _codec(services, origin)
    payloads = await _payloads(request, origin)
    opened = await codec.decode(payloads)
    return _answer(
        [
            before if after.metadata.get("encoding") == UNREADABLE else after
            for before, after in zip(payloads, opened, strict=True)
        ],
        origin,
    )


def _permit(caller: Caller, origin: str | None, *scopes: Scope) -> None:
    if caller.scope not in scopes:
        raise HttpProblem(403, "forbidden", f"a key of {caller.scope} may not do this", headers=_allowing(origin))


def _codec(services: Services, origin: str | None) -> Encryption:
    codec = services.payload_codec
    if codec is None:
        raise HttpProblem(404, "not-found", "OPENORDERS_ENCRYPTION_KEYS is not set", headers=_allowing(origin))
    return codec


async def _payloads(request: Request, origin: str | None) -> list[Payload]:
    """`{"payloads": [{"metadata": {"encoding": BASE64}, "data": BASE64}]}`, as protobuf writes JSON."""
    body = await request.body()
    try:
        payloads = list(Parse(body, Payloads()).payloads)
    except (ParseError, UnicodeDecodeError, RecursionError):
        # Not the parser's own words, which may repeat what they stumbled over.
        raise HttpProblem(
            400, "invalid-body", 'expected {"payloads": [{"metadata": {"encoding": BASE64}, "data": BASE64}]}',
            headers=_allowing(origin),
        ) from None  # fmt: skip
    if len(payloads) > PAYLOADS_MAX:
        raise HttpProblem(413, "too-large", f"payloads: {PAYLOADS_MAX} at most", headers=_allowing(origin))
    # The first of them alone: a body has room for a hundred thousand.
    field = next(_no_base64(json.loads(body)), None)
    if field is not None:
        wrong = FieldError(field=field, message="expected base64")
        raise HttpProblem(400, "invalid-body", f"{field}: expected base64", (wrong,), headers=_allowing(origin))
    return payloads


def _no_base64(told: Any) -> Iterator[str]:
    """The fields of which protobuf has passed over a part, as it does with what is no base64."""
    for number, payload in enumerate((told or {}).get("payloads") or ()):
        texts = [("metadata", text) for text in (payload.get("metadata") or {}).values()]
        for name, text in (*texts, ("data", payload.get("data"))):
            if text is not None and _BASE64.fullmatch(text) is None:
                yield f"payloads.{number}.{name}"


def _answer(payloads: list[Payload], origin: str | None) -> Response:
    return JSONResponse(MessageToDict(Payloads(payloads=payloads)), headers=_allowing(origin))


def _allowing(origin: str | None) -> dict[str, str]:
    if origin is None:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}


def _origin_of(url: str | None) -> str | None:
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else None


class Rate:
    """A bucket of requests for each key, filled as time goes on."""

    def __init__(self, burst: float = BURST, per_second: float = REQUESTS_PER_SECOND) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admits(self, who: str) -> bool:
        now = time.monotonic()
        left, at = self._left.pop(who, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_second)
        self._left[who] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > _CALLERS_MAX:
            self._left.popitem(last=False)
        return left >= 1


def _rate_of(request: Request) -> Rate:
    rate = request.app.state.codec_rate
    assert isinstance(rate, Rate)
    return rate
