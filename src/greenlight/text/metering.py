"""Where must a template pay? Its tree is rewritten so that what Jinja does silently goes through the environment."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.visitor import NodeTransformer

METERED = frozenset({"step", "joined", "made", "sliced", "compared", "generated"})
"""Methods of the environment that rewritten templates call; a template cannot name them itself."""


class Metering(NodeTransformer):
    """Puts a step into each loop, macro and call block, and prices operators that the sandbox cannot intercept."""

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """The node that takes this one's place, children first."""
        node = self.generic_visit(node, *args, **kwargs)
        rewrite = _REWRITES.get(type(node))
        return rewrite(node) if rewrite is not None else node


class Generation(Extension):
    """The block {% generation %}, with which templates mark what the assistant wrote; rendering passes it through."""

    tags = {"generation"}  # noqa: RUF012 - as the base class has it

    def parse(self, parser: Any) -> nodes.Node:
        """The block as a call of its own body."""
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(_call("generated"), [], [], body).set_lineno(lineno)


def _call(name: str, *args: nodes.Expr) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), list(args), [], None, None)


def _stepping(node: Any) -> nodes.Node:
    node.body.insert(0, nodes.ExprStmt(_call("step")).set_lineno(node.lineno))
    made: nodes.Node = node
    return made


def _making(node: Any) -> nodes.Node:
    # A tuple may also be what a loop or a set assigns to.
    assigned = isinstance(node, nodes.Tuple) and node.ctx != "load"
    return node if assigned else _call("made", node)


def _slicing(node: Any) -> nodes.Node:
    if isinstance(node.arg, nodes.Slice):
        node.node = _call("sliced", node.node)
    made: nodes.Node = node
    return made


def _joining(node: Any) -> nodes.Node:
    return _call("joined", *node.nodes)


def _comparing(node: Any) -> nodes.Node:
    # a < b < c is a < b and b < c.
    sides = [node.expr, *(operand.expr for operand in node.ops)]
    parts: list[nodes.Expr] = [
        _call("compared", nodes.Const(operand.op), left, operand.expr)
        for left, operand in zip(sides, node.ops, strict=False)
    ]
    return functools.reduce(nodes.And, parts)


def _refusing(node: nodes.Node) -> nodes.Node:
    raise SecurityError(f"{type(node).__name__.lower()} is not allowed in a chat template")


_REWRITES: dict[type[nodes.Node], Callable[[Any], nodes.Node]] = {
    **dict.fromkeys((nodes.For, nodes.Macro, nodes.CallBlock), _stepping),
    **dict.fromkeys((nodes.List, nodes.Dict, nodes.Tuple), _making),
    **dict.fromkeys((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block), _refusing),
    nodes.Getitem: _slicing,
    nodes.Concat: _joining,
    nodes.Compare: _comparing,
}
