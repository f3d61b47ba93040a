"""The pytest plugin: a test that leaves cyclic garbage behind fails.

Covers: options, settings and the marker. Nothing else is imported, and no
hook of a test is taken, until one of them asks for it.
Does not cover: looking (``guard``), what is told of it (``findings``).
See also: ``docs/pytest.md``.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from memguard.pytest_plugin.guard import Guard

_MARKER = (
    "memguard(allow=(), live=False): fail if the test leaves cyclic garbage;"
    " allow: classes, names of types, keys or paths of shapes that do not count;"
    " live: cycles that it made and that are still in use count, too"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Describe the options and the settings."""
    group = parser.getgroup("memguard", "memguard: reference cycles that tests leave behind")
    group.addoption(
        "--memguard",
        action="store_true",
        help="look at every test, not only at those with the marker",
    )
    group.addoption(
        "--memguard-live",
        action="store_true",
        help="count cycles that a test made and that are still in use, too",
    )
    group.addoption(
        "--memguard-twice",
        action="store_true",
        help="run a test that leaves cycles once more, and count what it leaves then:"
        " caches and imports of a first call do not",
    )
    group.addoption(
        "--memguard-baseline",
        metavar="FILE",
        help="shapes of cycles that are known, as TOML; only others fail a test",
    )
    group.addoption(
        "--memguard-write-baseline",
        metavar="FILE",
        help="add the shapes found to a file of known ones, and fail no test for them",
    )
    group.addoption(
        "--memguard-report",
        action="append",
        default=[],
        metavar="FILE",
        help="write what was found over all tests, as .json or .html; may be repeated",
    )
    parser.addini("memguard", "look at every test", type="bool", default=False)
    parser.addini("memguard_live", "as --memguard-live", type="bool", default=False)
    parser.addini("memguard_twice", "as --memguard-twice", type="bool", default=False)
    parser.addini("memguard_baseline", "as --memguard-baseline, relative to the rootdir")
    parser.addini(
        "memguard_allow",
        "names of types, keys or paths of shapes that do not count, one a line; * stands for any"
        " text",
        type="linelist",
    )
    parser.addini(
        "memguard_stdlib",
        "count cycles in which only the standard library takes part, too",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin, if all tests are to be looked at."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("memguard") or config.getini("memguard"):
        _guard(config)
    elif (
        # Workers of pytest-xdist may meet the marker, and report to here.
        getattr(config.option, "dist", "no") != "no"
        or config.getoption("memguard_report")
        or config.getoption("memguard_write_baseline")
    ):
        _summary(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin, if a test has the marker."""
    marked = [item for item in items if item.get_closest_marker("memguard") is not None]
    if marked:
        guard = _guard(config)
        for item in marked:
            guard.check_marker(item)


def _guard(config: pytest.Config) -> "Guard":
    from memguard.pytest_plugin.guard import Guard

    plugins = config.pluginmanager
    guard: Guard | None = plugins.get_plugin("memguard-guard")
    if guard is None:
        guard = Guard.of(config)
        plugins.register(guard, "memguard-guard")
        _summary(config)
    return guard


def _summary(config: pytest.Config) -> None:
    from memguard.pytest_plugin.summary import Summary

    plugins = config.pluginmanager
    # What workers of pytest-xdist find, the process that started them tells.
    if not hasattr(config, "workerinput") and not plugins.has_plugin("memguard-summary"):
        plugins.register(Summary.of(config), "memguard-summary")
