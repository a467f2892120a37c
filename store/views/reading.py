"""Rows as models."""

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import Row

_Model = TypeVar("_Model", bound=BaseModel)

PAGE_MAX = 500


def models(model: type[_Model], rows: Iterable[Row[Any]]) -> tuple[_Model, ...]:
    return tuple(model.model_validate(row._asdict()) for row in rows)
