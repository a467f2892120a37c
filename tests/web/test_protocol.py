"""What comes before a body is bounded too, in size and in time."""

import asyncio

import pytest

from domain.access import Scope
from tests.web.conftest import Site
from web import middleware, protocol
from web.protocol import HEAD_BYTES_MAX


async def _said(site: Site, *parts: bytes) -> bytes:
    """What the server answers to these bytes, until it closes the connection."""
    host, port = site.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await reader.read()
    except ConnectionError:  # closed while we were still talking
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: a\r\n" + b"".join(b"x-%d: 1\r\n" % n for n in range(20_000)),
        b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * HEAD_BYTES_MAX * 2,
        b"GET /" + b"a" * HEAD_BYTES_MAX * 2,
    ],
    ids=["many headers", "a long header", "a long address"],
)
async def test_a_head_without_end_is_cut_off(site: Site, head: bytes) -> None:
    answer = await _said(site, head)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


async def test_headers_behind_a_body_are_bounded_too(site: Site) -> None:
    begin = b"POST /cart HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    answer = await _said(site, begin, *[b"x-%d: " % n + b"a" * 1_000 + b"\r\n" for n in range(1_000)])
    assert b" 200 " not in answer


@pytest.mark.parametrize("head", [b"GET /\r\n\r\n", b"GET / HTTP/2.0\r\nhost: a\r\n\r\n"])
async def test_other_versions_of_http_are_refused(site: Site, head: bytes) -> None:
    assert (await _said(site, head)).startswith(b"HTTP/1.1 505 ")


async def test_who_sends_nothing_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS_MAX", 0.1)
    assert (await _said(site, b"GET / HTTP/1.1\r\nho")).startswith(b"HTTP/1.1 408 ")
    assert (await _said(site)).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_does_not_come_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS_MAX", 0.1)
    key = (await site.key(Scope.BACKEND)).encode()
    head = b"POST /v1/orders HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 9\r\n"
    answer = await _said(site, head + b"authorization: Bearer " + key + b"\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_deep_body_is_refused(site: Site) -> None:
    api = await site.api(Scope.BACKEND)
    for depth in (150, 500, 900, 10_000):
        answer = await api.post("/orders", content='{"a":' * depth + "1" + "}" * depth)
        assert answer.status_code == 422, depth
