"""The tables of messages and queries in the documents; made by `python -m usecases.message_table`.

`docs/messages.md` is made whole; in the README only what lies between the two markers.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from domain.messages import MESSAGES, QUERIES, Message, Query

CHECKOUT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- messages: begin -->", "<!-- messages: end -->"

_HEAD = """# Messages and queries

Made by `python -m usecases.message_table` from `domain/messages.py`; a test fails when the two differ.

An order takes messages and queries as one JSON object each. A **signal** is accepted by the server at once and answers
nothing: a refusal stands in the timeline, as `<message>_refused`. An **update** waits for the order's answer: a refusal
comes back as an error of type `Refused`, a body that is not what it should be as `InvalidMessage`, both with the
field's path. A **query** only looks, and works after the order's end as well, for as long as Temporal keeps it.

Unknown fields are refused (but for `stock_allocated`, which our own store sends), and `"2"` is no number. Times are
RFC 3339 with a zone. Ids of lines, fulfillments, parcels, holds, issues and requests stand in the answer to `status`.
`by` says who sends the message: `customer`, `support`, `backend`, `marketplace`, `carrier`, `network` or `seller:<id>`,
and after a slash which person, by an opaque id. The order believes it: who may send what is for those to check who let
people sign in.
"""


def readme_tables() -> str:
    """Two short tables, with links to the fields of each."""
    lines = ["| message | sent as | what it is for | fields (bold: needed) |", "|---|---|---|---|"]
    lines += [
        f"| {_link(m, 'docs/messages.md')} | {_ways(m)} | {m.description} | {_field_list(m.body)} |" for m in MESSAGES
    ]
    lines += ["", "| query | what it shows | fields (bold: needed) |", "|---|---|---|"]
    lines += [f"| {_link(q, 'docs/messages.md')} | {q.description} | {_field_list(q.body)} |" for q in QUERIES]
    return "\n".join(lines)


def messages_document() -> str:
    parts = [_HEAD, "## Messages\n", *(_section(one) for one in MESSAGES)]
    parts += ["## Queries\n", *(_section(one) for one in QUERIES)]
    return "\n".join(parts)


def with_tables(readme: str) -> str:
    """The README with the tables between its markers made anew."""
    before, _, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"the README needs the lines {BEGIN} and {END}"
    return f"{before}{BEGIN}\n{readme_tables()}\n{END}{after}"


def write() -> None:
    readme = CHECKOUT / "README.md"
    readme.write_text(with_tables(readme.read_text(encoding="utf-8")), encoding="utf-8")
    (CHECKOUT / "docs" / "messages.md").write_text(messages_document(), encoding="utf-8")


def _link(one: Message | Query, document: str) -> str:
    return f"[`{one.name}`]({document}#{one.name})"


def _ways(message: Message) -> str:
    return " or ".join(word for word, sent in (("signal", message.signal), ("update", message.update)) if sent)


def _field_list(body: type[BaseModel]) -> str:
    names = [f"**{name}**" if field.is_required() else name for name, field in body.model_fields.items()]
    return ", ".join(sorted(names, key=lambda name: not name.startswith("**"))) or "none"


def _section(one: Message | Query) -> str:
    folder = "messages" if isinstance(one, Message) else "queries"
    lines = [f"### {one.name}", "", _sentences(one), ""]
    lines += _fields(one.body)
    files = [
        f"[schema](../schemas/{folder}/{one.name}.json)",
        f"[example](../schemas/examples/{folder}/{one.name}.json)",
    ]
    if isinstance(one, Query) or one.update:
        lines += [f"Answers: {', '.join(f'`{name}`' for name in one.result.model_fields)}.", ""]
        files.append(f"[schema of the answer](../schemas/results/{one.name}.json)")
    lines.append(f"Files: {', '.join(files)}.")
    return "\n".join([*lines, ""])


def _sentences(one: Message | Query) -> str:
    """What it is, how it is sent, and what the body says of itself."""
    ways = f" Sent as {_ways(one)}." if isinstance(one, Message) else ""
    words = " ".join((vars(one.body).get("__doc__") or "").split())
    return " ".join(part for part in (one.description + ways, words) if part)


def _fields(body: type[BaseModel]) -> list[str]:
    schema = body.model_json_schema()
    fields: dict[str, Any] = schema.get("properties", {})
    if not fields:
        return ["No fields.", ""]
    needed = schema.get("required", [])
    lines = ["| field | takes | |", "|---|---|---|"]
    for name, field in fields.items():
        lines.append(f"| `{name}` | {_takes(field, schema)} | {'needed' if name in needed else _default(field)} |")
    return [*lines, ""]


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value in (None, "", []) else f"else `{value if isinstance(value, str) else json.dumps(value)}`"


def _takes(field: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in field:
        field = schema["$defs"][field["$ref"].rpartition("/")[2]]
    if "anyOf" in field:
        kinds = [_takes(option, schema) for option in field["anyOf"] if option.get("type") != "null"]
        return " or ".join(kinds)
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    if field.get("format") == "date-time":
        return "a time"
    match field.get("type"):
        case "object":
            return f"an object: {_object(field)}"
        case "array":
            return f"a list of {_takes(field['items'], schema).removeprefix('an object: ')}"
        case "integer":
            low, high = field.get("minimum"), field.get("maximum")
            return f"a whole number from {low}" + (f" to {high}" if high is not None else "")
        case "boolean":
            return "`true` or `false`"
        case _:
            return "text"


def _object(schema: dict[str, Any]) -> str:
    needed = schema.get("required", [])
    names = (f"`{name}`" if name in needed else f"`{name}`?" for name in schema.get("properties", {}))
    return f"{{{', '.join(names)}}}"


if __name__ == "__main__":
    write()
    sys.stdout.write("README.md and docs/messages.md written\n")
