"""JSON Schemas of all that goes in and comes out, for programs in any language; made by `python -m usecases.schemas`.

`schemas/order.json` is the start body and `catalog.json` what stock is loaded by. `messages/`, `queries/` and
`results/` have a file per message or query, and `results/order.json` is what an order returns.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from domain.catalog import Catalog
from domain.messages import MESSAGES, QUERIES
from domain.model import MOMENT
from domain.placing import PlaceOrder
from domain.results import OrderResult

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"


def schemas() -> dict[str, dict[str, Any]]:
    """File name below `schemas/` to its document."""
    documents = {"order.json": _of(PlaceOrder), "catalog.json": _of(Catalog)}
    documents["results/order.json"] = _of(OrderResult, "serialization")
    for message in MESSAGES:
        documents[f"messages/{message.name}.json"] = _of(message.body)
        documents[f"results/{message.name}.json"] = _of(message.result, "serialization")
    for query in QUERIES:
        documents[f"queries/{query.name}.json"] = _of(query.body)
        documents[f"results/{query.name}.json"] = _of(query.result, "serialization")
    return documents


def example_of(message: str) -> Any:
    """A body of this message that an order of `schemas/examples` would understand."""
    return json.loads((SCHEMAS / "examples" / "messages" / f"{message}.json").read_text(encoding="utf-8"))


def render(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path = SCHEMAS) -> None:
    """Write all files, and remove those of messages that are no more."""
    documents = schemas()
    for name, document in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(document), encoding="utf-8")
    for name in generated_files(folder) - documents.keys():
        (folder / name).unlink()


def generated_files(folder: Path = SCHEMAS) -> set[str]:
    """What lies there of ours; `examples/` are written by hand."""
    paths = [
        path
        for pattern in ("*.json", "messages/*.json", "queries/*.json", "results/*.json")
        for path in folder.glob(pattern)
    ]
    return {path.relative_to(folder).as_posix() for path in paths}


def _of(model: type[BaseModel], mode: JsonSchemaMode = "validation") -> dict[str, Any]:
    return {"$schema": GenerateJsonSchema.schema_dialect, **refined(model.model_json_schema(mode=mode))}


def refined(schema: dict[str, Any]) -> dict[str, Any]:
    """With what pydantic leaves out: how a time is written."""
    _refine(schema)
    return schema


def _refine(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("format") == "date-time":
            node.setdefault("pattern", MOMENT)
        for child in node.values():
            _refine(child)
    elif isinstance(node, list):
        for child in node:
            _refine(child)


if __name__ == "__main__":
    write()
    sys.stdout.write(f"{len(schemas())} schemas written to {SCHEMAS}\n")
