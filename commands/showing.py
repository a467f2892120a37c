"""What people see: answers on stdout, as JSON, a sheet or a table; progress and errors on stderr."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel


def show(arguments: Namespace, answer: BaseModel | Mapping[str, Any] | list[Any], text: str | None = None) -> None:
    plain = answer.model_dump(mode="json") if isinstance(answer, BaseModel) else answer
    if arguments.json:
        print(json.dumps(plain, ensure_ascii=False, indent=2))
    else:
        assert text is not None or isinstance(plain, Mapping)
        print(text if text is not None else sheet(plain))


def sheet(answer: Any) -> str:
    """Plain fields first, one a line; then a table for every list of objects."""
    fields = {name: value for name, value in answer.items() if not _is_rows(value)}
    width = max(map(len, fields), default=0)
    parts = ["\n".join(f"{name:<{width}}  {cell(value)}".rstrip() for name, value in fields.items())]
    parts += [f"{name}\n{table(value)}" for name, value in answer.items() if _is_rows(value)]
    return "\n\n".join(part for part in parts if part)


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Columns that are empty everywhere are left out; rows within rows follow in a table of their own."""
    rows = list(rows)
    names = [name for name in (rows[0] if rows else ()) if any(row[name] not in (None, "", [], {}) for row in rows)]
    inner = {
        name: [one for row in rows for one in row[name]] for name in names if any(_is_rows(row[name]) for row in rows)
    }
    columns = [[name, *(cell(row[name]) for row in rows)] for name in names if name not in inner]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        for line in zip(*columns, strict=True)
    ]
    tables = ["\n".join(line.rstrip() for line in lines)]
    tables += [f"{name}\n{table(one)}" for name, one in inner.items()]
    return "\n\n".join(tables)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def cell(value: Any) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return "; ".join(cell(one) for one in value) or "-"
        case dict():
            return ", ".join(f"{name} {cell(one)}" for name, one in value.items() if one not in (None, "")) or "-"
        case _:
            return " ".join(str(value).split())


def say(line: str) -> None:
    print(" ".join(line.split()), file=sys.stderr, flush=True)


def show_progress(line: str) -> None:
    """On a terminal in the place of the line before, until `end_progress`."""
    if sys.stderr.isatty():
        print(f"\r{line}", end="", file=sys.stderr, flush=True)
    else:
        say(line)


def end_progress() -> None:
    if sys.stderr.isatty():
        print(file=sys.stderr)
