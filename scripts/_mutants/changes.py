"""The small changes to a module that a test should notice.

A change is a piece of text in place of another, so the rest of the file stays as it is.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["Change", "places"]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
# Texts for people, whose wording is not behaviour.
_LOGGING = {"debug", "info", "warning", "error", "exception"}
_WORDS = {"__repr__", "__all__", "__slots__"}


class Change(NamedTuple):
    """``new`` in place of the bytes from ``start`` to ``end``; a test that runs any of ``lines``
    (from, to; both included) runs it."""

    start: int
    end: int
    new: str
    lines: tuple[int, int]

    def apply(self, text: str) -> str:
        data = text.encode()
        return (data[: self.start] + self.new.encode() + data[self.end :]).decode()


def places(text: str) -> list[list[Change]]:
    """The possible changes, by place."""
    found = _Finder(text)
    found.visit(ast.parse(text))
    return [changes for changes in found.places if changes]


class _Finder(ast.NodeVisitor):
    def __init__(self, text: str) -> None:
        self._data = text.encode()
        self._line_starts = [0]
        for line in self._data.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))
        self._lines = self._all_lines = (1, len(self._line_starts))
        self._in_function = False
        self.places: list[list[Change]] = []

    def visit(self, node: ast.AST) -> None:
        before = self._lines, self._in_function
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            # Code that runs on import affects every test that imports the module.
            local = self._in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            self._lines = _lines_of(node, self._lines) if local else self._all_lines
        if isinstance(node, ast.stmt):
            self.places.append(list(self._of_statement(node)))
        elif isinstance(node, ast.expr):
            self.places.append(
                [self._change(node, f"({ast.unparse(new)})") for new in _other_expressions(node)]
            )
        elif isinstance(node, ast.ExceptHandler):
            self.places.append([self._change(node.type, new) for new in _fewer_errors(node)])
        self._in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in _children(node):
            self.visit(child)
        self._lines, self._in_function = before

    def _change(self, node: ast.AST | None, new: str) -> Change:
        return Change(*self._span(node), new, self._lines)

    def _span(self, node: ast.AST | None) -> tuple[int, int]:
        assert isinstance(node, ast.expr | ast.stmt)  # noqa: S101 what has a place
        assert node.end_lineno is not None  # noqa: S101
        assert node.end_col_offset is not None  # noqa: S101
        return (
            self._line_starts[node.lineno - 1] + node.col_offset,
            self._line_starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def _of_statement(self, node: ast.stmt) -> Iterator[Change]:
        match node:
            case ast.Raise(exc=ast.Name(id="NotImplementedError")):
                droppable = False
            case ast.Expr(value=ast.Call() | ast.Await()) | ast.Delete() | ast.Raise():
                droppable = True
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                droppable = True
            case ast.AugAssign(op=operator):
                droppable = True
                changed = copy.copy(node)
                changed.op = _OPERATORS.get(type(operator), ast.Add)()
                yield self._change(node, ast.unparse(changed))
            case ast.Return(value=ast.expr() as value) if not _is_none(value):
                droppable = False
                yield self._change(node, "return None")
            case ast.If(test=test) | ast.While(test=test):
                droppable = False
                yield self._change(test, f"not ({ast.unparse(test)})")
            case ast.Break() | ast.Continue():
                droppable = False
                yield self._change(node, "break" if isinstance(node, ast.Continue) else "continue")
            case ast.With(items=items) if not any(item.optional_vars for item in items):
                droppable = False
                start, _ = self._span(node)
                _, end = self._span(items[-1].context_expr)
                yield Change(start, self._data.index(b":", end), "if True", self._lines)
            case _:
                droppable = False
        if droppable and self._in_function:
            yield self._change(node, "pass")


def _lines_of(
    node: ast.stmt | ast.ExceptHandler | ast.match_case, outer: tuple[int, int]
) -> tuple[int, int]:
    """Those of a statement without the statements in it; of a function, all: its head runs when it
    is defined, and what is changed there shows in the body."""
    if isinstance(node, ast.match_case):
        return outer[0], node.body[0].lineno
    end = node.end_lineno or node.lineno
    body = getattr(node, "body", None)
    if not body or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.lineno, end
    return node.lineno, max(node.lineno, body[0].lineno - 1)


def _children(node: ast.AST) -> Iterable[ast.AST]:  # noqa: C901 one for each kind of node
    """The children, without annotations, docstrings, patterns and texts for people."""
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Raise():
            children = []
        case ast.FunctionDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]) if name in _WORDS:
            children = []
        case ast.Call(func=ast.Attribute(attr=name)) if name in _LOGGING:
            children = []
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            children = [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]
        case ast.ClassDef():
            children = node.body
        case ast.AnnAssign():
            children = filter(None, [node.value])
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            children = node.orelse
        case ast.JoinedStr(values=values):
            # The pieces of text between the values have no places in the file.
            children = [each.value for each in values if isinstance(each, ast.FormattedValue)]
        case ast.match_case():
            children = filter(None, [node.guard, *node.body])
        case ast.Call(func=ast.Name(id="cast" | "TypeVar")):
            children = node.args[1:]
    return children


def _other_expressions(node: ast.expr) -> Iterator[ast.expr]:  # noqa: C901 one for each kind
    match node:
        case ast.Compare(left, ops, comparators):
            for number, each in enumerate(ops):
                others = [*ops[:number], _COMPARISONS[type(each)](), *ops[number + 1 :]]
                yield ast.Compare(left, others, comparators)
        case ast.BoolOp(op=operator, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            for number in range(len(values)):
                yield _joined(operator, [*values[:number], *values[number + 1 :]])
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            yield ast.BinOp(left, _OPERATORS[type(operator)](), right)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Call(func=ast.Attribute(attr=name)) if name in _LOGGING:
            pass
        case ast.Call(args=arguments):
            yield from _swapped(node, arguments)
        case ast.Constant(value=value):
            yield from (ast.Constant(other) for other in _other_values(value))


def _joined(operator: ast.boolop, values: list[ast.expr]) -> ast.expr:
    return values[0] if len(values) == 1 else ast.BoolOp(operator, values)


def _swapped(node: ast.Call, arguments: list[ast.expr]) -> Iterator[ast.expr]:
    for number in range(len(arguments) - 1):
        first, second = arguments[number : number + 2]
        starred = isinstance(first, ast.Starred) or isinstance(second, ast.Starred)
        if not starred and ast.unparse(first) != ast.unparse(second):
            changed = copy.copy(node)
            changed.args = [*arguments[:number], second, first, *arguments[number + 2 :]]
            yield changed


def _other_values(value: object) -> Sequence[str | bytes | float]:
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1, value - 1]
        case str():
            return [value + "~", ""] if value else ["~"]
        case bytes():
            return [value + b"~"]
        case _:
            return []


def _fewer_errors(node: ast.ExceptHandler) -> Iterator[str]:
    if isinstance(node.type, ast.Tuple):
        names = list(map(ast.unparse, node.type.elts))
        for number in range(len(names)):
            yield f"({', '.join([*names[:number], *names[number + 1 :]])},)"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
