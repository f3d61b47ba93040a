"""Whose a cycle is: the program's, the test function's, the test tools' or the library's.

Covers: the rule. A cycle that falls apart without the objects of the test
tools, the frame of the test function and the classes that it defines is an
artifact of testing: the same code outside a test leaves nothing.
Does not cover: finding cycles (``window``).
"""

import functools
import inspect
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, cast

import pytest

from memguard.heap.names import module_of, plain_text, type_name
from memguard.heap.report import ScanReport
from memguard.heap.shapes import Shape

TEST_TOOLS = ("_pytest", "pytest", "pluggy", "xdist", "hypothesis", "anyio.pytest_plugin")
"""Modules whose objects and frames exist because of the tests; those named pytest_* do, too."""

_TOOL_TYPES = {
    # anyio has what runs its tests in its backends.
    "anyio._backends._asyncio.TestRunner",
    "anyio._backends._trio.TestRunner",
}
_IMMUTABLE_TYPE = 1 << 8
_FLAGS = type.__dict__["__flags__"].__get__
_SUSPENDS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_CODE_OF_RUNNING: dict[type, Any] = {
    types.FrameType: types.FrameType.__dict__["f_code"].__get__,
    types.GeneratorType: types.GeneratorType.__dict__["gi_code"].__get__,
    types.CoroutineType: types.CoroutineType.__dict__["cr_code"].__get__,
    types.AsyncGeneratorType: types.AsyncGeneratorType.__dict__["ag_code"].__get__,
}
_CODE_OF: dict[type, Any] = {
    types.FunctionType: types.FunctionType.__dict__["__code__"].__get__,
    **_CODE_OF_RUNNING,
}


class Origin(StrEnum):
    """Who made a cycle."""

    PROGRAM = "program"
    TEST = "test"
    TOOLS = "tools"
    LIBRARY = "stdlib"


@dataclass(frozen=True, slots=True)
class TestCode:
    """The code of one test function.

    Attributes:
        code: Its own; None for a test without a function, such as a doctest.
        inner: Code of functions defined in it.
        local_prefix: How the names of classes defined in it begin.
        module: Where it is defined.
    """

    __test__ = False

    code: types.CodeType | None
    inner: frozenset[types.CodeType]
    local_prefix: str
    module: str

    @classmethod
    def of(cls, item: pytest.Item) -> "TestCode":
        """Read the function behind an item, without its decorators."""
        function: Any = inspect.unwrap(getattr(item, "obj", None) or item.runtest)
        function = getattr(getattr(function, "hypothesis", None), "inner_test", function)
        function = getattr(function, "__func__", function)
        code = getattr(function, "__code__", None)
        if not isinstance(code, types.CodeType) or not hasattr(item, "obj"):
            return cls(None, frozenset(), "", "")
        return cls(
            code,
            frozenset(_code_within(code)),
            f"{function.__qualname__}.<locals>.",
            function.__module__,
        )

    def may_clear(self, code: types.CodeType) -> bool:
        """Tell whether frames of some code can be emptied once the test has passed.

        Those of the test function can, and those of functions of the test
        tools. A generator or coroutine of theirs may still be in use, and
        emptying its frame would end it.
        """
        return code is self.code or (not code.co_flags & _SUSPENDS and _is_tool_code(code))


def _code_within(code: types.CodeType) -> Iterable[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _code_within(constant)


def origin_of(report: ScanReport, shape: Shape, test: TestCode) -> Origin:
    """Tell whose the cycles of a shape are, by its exemplar."""
    exemplar = shape.exemplar
    members = report.objects(exemplar)
    if shape.is_library_only and any(map(_is_python_made, members)):
        return Origin.LIBRARY
    if all(_is_inner_closure(member, test) for member in members):
        return Origin.TEST
    of_tools = {position for position, member in enumerate(members) if _is_of_tools(member)}
    of_test = {position for position, member in enumerate(members) if _is_of_test(member, test)}
    if not of_tools and not of_test:
        return Origin.PROGRAM
    if of_tools and report.kind == "live":
        # What is in use and leads through pytest hangs together with all of it.
        return Origin.TOOLS
    edges = shape.graph.cycle_edges(exemplar.index)
    if _has_cycle(edges, of_tools | of_test):
        return Origin.PROGRAM
    return Origin.TOOLS if of_tools else Origin.TEST


def _code_of(member: object) -> types.CodeType | None:
    """Give the code of a function, or of what runs, without asking subclasses."""
    read = _CODE_OF.get(type(member))
    return None if read is None else cast("types.CodeType", read(member))


def _has_cycle(edges: Iterable[tuple[int, int]], removed: set[int]) -> bool:
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for source, target in edges:
        if source not in removed and target not in removed:
            sorter.add(source, target)
    try:
        sorter.prepare()
    except CycleError:
        return True
    return False


def _is_python_made(member: object) -> bool:
    """Tell whether code of a module made it, and not a literal or a type written in C."""
    cls = type(member)
    return (
        _code_of(member) is not None or issubclass(cls, type) or not _FLAGS(cls) & _IMMUTABLE_TYPE
    )


def _is_inner_closure(member: object, test: TestCode) -> bool:
    """Tell whether it is part of a function that the test defines and that refers to itself."""
    if type(member) is types.FunctionType:
        return _code_of(member) in test.inner
    return bool(test.inner) and type(member) in (types.CellType, tuple)


def _is_of_test(member: object, test: TestCode) -> bool:
    if test.code is None:
        return False
    cls = type(member)
    if issubclass(cls, type):
        name = type_name(cast("type", member))
        return name.startswith(f"{test.module}.{test.local_prefix}")
    return cls in _CODE_OF_RUNNING and _code_of(member) is test.code


def _is_of_tools(member: object) -> bool:
    code = _code_of(member)
    if code is not None:
        return _is_tool_code(code)
    cls = type(member)
    made = cast("type", member) if issubclass(cls, type) else cls
    return _is_tool_module(module_of(made)) or type_name(made) in _TOOL_TYPES


def _is_tool_code(code: types.CodeType) -> bool:
    file, name = plain_text(code.co_filename), plain_text(code.co_qualname)
    return file.startswith(_tool_paths()) or (
        name.startswith("TestRunner.") and Path(file).parent.parts[-2:] == ("anyio", "_backends")
    )


def _is_tool_module(module: str) -> bool:
    return module.startswith("pytest_") or any(
        module == tool or module.startswith(f"{tool}.") for tool in TEST_TOOLS
    )


@functools.cache
def _tool_paths() -> tuple[str, ...]:
    """Give where the tools are; all are imported before the first test runs."""
    files = (getattr(sys.modules.get(tool), "__file__", None) for tool in TEST_TOOLS)
    # Of a package its folder, of a module its file.
    return tuple(
        str(Path(file).parent if Path(file).name == "__init__.py" else file)
        for file in files
        if file is not None
    )
