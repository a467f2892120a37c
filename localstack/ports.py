"""Which ports the servers listen on: always the same ones for `make up`, free ones for the demo and the tests."""

import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from localstack.errors import LocalStackError, PortTaken

HOST = "127.0.0.1"

# Below the range that the kernel gives to outgoing connections (from 32768 on Linux). A client that keeps trying
# to reach a server that is down can otherwise be given the very port it calls, connect to itself and keep the
# server from coming back.
_FREE_PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class Ports:
    """One port per server; 0 asks for a free one."""

    postgres: int = 0
    temporal: int = 0
    temporal_ui: int = 0
    smtp: int = 0
    mails: int = 0
    web: int = 0

    @classmethod
    def fixed(cls, environ: Mapping[str, str]) -> "Ports":
        """The ports of `make up`; each has a setting of its own."""
        return cls(
            postgres=_setting(environ, "OPENORDERS_POSTGRES_PORT", 15432),
            temporal=_setting(environ, "OPENORDERS_TEMPORAL_PORT", 7233),
            temporal_ui=_setting(environ, "OPENORDERS_TEMPORAL_UI_PORT", 8233),
            smtp=_setting(environ, "OPENORDERS_SMTP_PORT", 1025),
            mails=_setting(environ, "OPENORDERS_MAILS_PORT", 8025),
            web=_setting(environ, "OPENORDERS_WEB_PORT", 8080),
        )


def choose(port: int, setting: str) -> int:
    """The port itself if it is free, a free one for 0; raises `PortTaken` with the setting to change."""
    if port == 0:
        return _free_port()
    if not _is_free(port):
        raise PortTaken(port, setting)
    return port


def answers(port: int) -> bool:
    """Whether something on this machine accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _free_port() -> int:
    # Random and not counting up, so that two test runs started together do not walk the same list.
    for _ in range(200):
        port = random.choice(_FREE_PORTS)
        if _is_free(port) and _marked(port):
            return port
    raise LocalStackError(f"found no free port between {_FREE_PORTS.start} and {_FREE_PORTS.stop}")


def _marked(port: int) -> bool:
    """False where somebody has chosen it already: a port looks free until the server that it is for has opened it.

    The mark is the UDP port of the same number, which no server here wants; other processes see it, too.
    """
    mark = socket.socket(type=socket.SOCK_DGRAM)
    try:
        mark.bind((HOST, port))
    except OSError:
        mark.close()
        return False
    mark.detach()  # open until this process ends
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Without this a port counts as taken for a minute after a server with open connections has stopped.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _setting(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or not 0 <= int(text) <= 65_535:
        raise LocalStackError(f"{name} must be a port number, not {text!r}")
    return int(text)
