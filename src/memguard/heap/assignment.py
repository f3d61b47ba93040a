"""Where an attribute is assigned, in the source of its class.

Covers: reading and parsing source files, so only when somebody asks.
Does not cover: which attribute (``advice``).
"""

import ast
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from memguard.heap.loops import Edge
from memguard.heap.names import bases_of, module_of, plain_text, type_name
from memguard.heap.origin import module_file, module_namespace


@dataclass(frozen=True, slots=True)
class Assignment:
    """A line that stores an object under an attribute.

    Attributes:
        path: The file.
        line: Its number in the file, from 1 on.
        text: What stands there.
    """

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def find_assignments(edge: Edge) -> tuple[Assignment, ...]:
    """Find the lines that store what an attribute refers to.

    Args:
        edge: A reference of a report.

    Returns:
        Those in the class and its bases; if there are none, all in the module
        of the class. Lines that only clear it do not count. Empty for a
        reference that is no attribute, and where there is no source.

    Cost:
        Reads and parses the source files of the class and its bases.
    """
    name = edge.label.removeprefix(".")
    if not edge.label.startswith(".") or not name.isidentifier():
        return ()
    in_class: list[Assignment] = []
    in_module: list[Assignment] = []
    for module, path in _places(edge.source):
        tree, lines = _source(module)
        file = module_file(module) or ""
        scope = _scope(tree, path) if tree else None
        in_class += _assignments(scope, _written(name, path[-1:]), file, lines)
        if not in_module:
            in_module += _assignments(tree, name, file, lines)
    return tuple(in_class or in_module)


def _places(name: str) -> list[tuple[str, list[str]]]:
    """Give module and qualified name of a class and of its bases, as far as they are known."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        namespace = module_namespace(module)
        if namespace is not None:
            found = namespace.get(parts[length])
            if length + 1 < len(parts) or not issubclass(type(found), type):
                return [(module, parts[length:])]
            assert isinstance(found, type)
            bases = [base for base in bases_of(found) if module_of(base) != "builtins"]
            return [(module_of(base), _path_in_module(base)) for base in bases]
    return []


def _path_in_module(cls: type) -> list[str]:
    return type_name(cls).removeprefix(f"{module_of(cls)}.").split(".")


def _source(module: str) -> tuple[ast.Module | None, list[str]]:
    path = module_file(module)
    if path is None:
        return None, []
    try:
        with tokenize.open(path) as file:
            text = file.read()
        return ast.parse(text), text.splitlines()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None, []  # compiled, or moved meanwhile


def _scope(tree: ast.AST, path: list[str]) -> ast.AST | None:
    """Find a class by its qualified name, through the functions that it is made in."""
    scope: ast.AST | None = tree
    for name in path:
        if name != "<locals>" and scope is not None:
            scope = next((each for each in _definitions(scope) if each.name == name), None)
    return scope


def _definitions(
    scope: ast.AST,
) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.stmt):
            yield from _definitions(node)


def _written(name: str, path: list[str]) -> str:
    """Undo what Python does to private names within a class."""
    for cls in path:
        prefix = f"_{plain_text(cls).lstrip('_')}__"
        if name.startswith(prefix):
            return f"__{name.removeprefix(prefix)}"
    return name


def _assignments(
    scope: ast.AST | None, name: str, path: str, lines: list[str]
) -> Iterator[Assignment]:
    if scope is None:
        return
    cleared: set[ast.expr] = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if isinstance(node.value, ast.Constant) and node.value.value is None:
                cleared.update(targets)
        elif (
            isinstance(node, ast.Attribute)
            and node.attr == name
            and isinstance(node.ctx, ast.Store)
            and node not in cleared
        ):
            yield Assignment(path, node.lineno, lines[node.lineno - 1].strip())
