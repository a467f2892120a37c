"""Bodies and files: read no further than to their limit, and every error names the file."""

import json
import sys
from typing import Any, BinaryIO

from usecases.errors import InvalidMessage, OrderError

_BODY_BYTES_MAX = 2_000_000
"""As by HTTP; Temporal takes no more either."""


def read_input(text: str) -> Any:
    """JSON itself, `@file`, or `-` for standard input."""
    if text == "-" or text.startswith("@"):
        return read_json(text.removeprefix("@"), InvalidMessage)
    return _parse(text, "--input", InvalidMessage)


def read_json(path: str, error: type[OrderError], bytes_max: int = _BODY_BYTES_MAX) -> Any:
    with open_file(path) as file:
        try:
            content = file.read(bytes_max + 1)
        except OSError as trouble:
            raise error(f"{path}: {trouble.strerror}") from None
    if len(content) > bytes_max:
        raise error(f"{path}: larger than {bytes_max:,} bytes")
    try:
        return _parse(content.decode("utf-8-sig"), path, error)
    except UnicodeDecodeError:
        raise error(f"{path}: is not UTF-8") from None


def _parse(text: str, where: str, error: type[OrderError]) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as trouble:
        raise error(f"{where}: no JSON: {trouble}") from None


def open_file(path: str) -> BinaryIO:
    if path == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return open(path, "rb")
    except OSError as error:
        raise InvalidMessage(f"{path}: {error.strerror}") from None
