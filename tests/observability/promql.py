"""What a PromQL expression asks for: each metric, with the labels that it matches or is grouped by."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import promql_parser as promql


class Selector(NamedTuple):
    name: str
    labels: frozenset[str]
    equals: frozenset[tuple[str, str]]


def selectors(expression: Any) -> list[Selector]:
    return [*_walk(expression, frozenset())]


def _walk(node: Any, grouped: frozenset[str]) -> Iterator[Selector]:
    match node:
        case promql.AggregateExpr():
            modifier = node.modifier
            by = modifier.labels if modifier is not None and modifier.type == promql.AggModifierType.By else ()
            yield from _walk(node.expr, grouped | frozenset(by))
        case promql.BinaryExpr():
            yield from _walk(node.lhs, grouped)
            yield from _walk(node.rhs, frozenset())
        case promql.Call():
            # The labels that the caller groups by are those of its vector.
            for argument in node.args:
                yield from _walk(argument, grouped)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from _walk(node.expr, grouped)
        case promql.MatrixSelector():
            yield from _walk(node.vector_selector, grouped)
        case promql.VectorSelector():
            matchers = node.matchers.matchers
            yield Selector(
                node.name or "",
                grouped | {one.name for one in matchers},
                frozenset((one.name, one.value) for one in matchers if one.op == promql.MatchOp.Equal),
            )
        case promql.NumberLiteral() | promql.StringLiteral():
            return
        case _:
            raise AssertionError(f"unknown part of a query: {type(node)}")
