"""What a PromQL expression asks for: each metric, with the labels that it matches or is grouped by."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import promql_parser as promql


class Selector(NamedTuple):
    name: str
    labels: frozenset[str]
    values: frozenset[tuple[str, str]]
    """Of which label which values are matched: each alternative as a regular expression of its own."""


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
                frozenset((one.name, value) for one in matchers for value in _values(one)),
            )
        case promql.NumberLiteral() | promql.StringLiteral():
            return
        case _:
            raise AssertionError(f"unknown part of a query: {type(node)}")


def _values(matcher: Any) -> list[str]:
    """What is excluded counts too: under a name that is wrong it would be let in."""
    match matcher.op:
        case promql.MatchOp.Equal | promql.MatchOp.NotEqual:
            return [re.escape(matcher.value)]
        case _:
            assert "(" not in matcher.value, f"alternatives within others are not told apart: {matcher.value}"
            return list(matcher.value.split("|"))
