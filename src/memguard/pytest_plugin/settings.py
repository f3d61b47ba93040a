"""What was asked for: options, settings, and the marker of a test.

Covers: reading and checking them.
Does not cover: acting on them (``guard``).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from memguard.errors import UnreadableBaselineError
from memguard.heap.baseline import Baseline
from memguard.heap.names import type_name

REPORT_SUFFIXES = (".json", ".html")


class Allowed:
    """Shapes that do not count.

    A shape is told by its key, by its whole path, or by the name of a type of
    one of its members; ``*`` stands for any text.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.entries = tuple(entries)
        self._matches = re.compile(
            "|".join(re.escape(entry).replace(r"\*", ".*") for entry in self.entries), re.DOTALL
        ).fullmatch

    def __contains__(self, shape: Mapping[str, Any]) -> bool:
        names = (shape["key"], shape["path"], *shape["type_names"])
        return bool(self.entries) and any(self._matches(name) for name in names)


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for all tests.

    Attributes:
        every_test: Look at tests without the marker, too.
        live: Cycles in use count.
        twice: Run a test that leaves cycles again, and count those.
        stdlib: Cycles of the standard library alone count.
        allow: Entries of `Allowed`.
        known: The shapes in the baseline.
        fails: Whether cycles fail a test, or are only written down.
    """

    every_test: bool
    live: bool
    twice: bool
    stdlib: bool
    allow: tuple[str, ...]
    known: Baseline
    fails: bool

    @classmethod
    def of(cls, config: pytest.Config) -> "Settings":
        """Read options and settings.

        Raises:
            pytest.UsageError: One of them cannot be used.
        """
        return cls(
            every_test=config.getoption("memguard") or config.getini("memguard"),
            live=config.getoption("memguard_live") or config.getini("memguard_live"),
            twice=config.getoption("memguard_twice") or config.getini("memguard_twice"),
            stdlib=config.getini("memguard_stdlib"),
            allow=tuple(config.getini("memguard_allow")),
            known=_known(config),
            fails=config.getoption("memguard_write_baseline") is None,
        )


def _known(config: pytest.Config) -> Baseline:
    given = config.getoption("memguard_baseline")
    setting = config.getini("memguard_baseline")
    if given is None and not setting:
        return Baseline()
    path = config.rootpath / setting if given is None else config.invocation_params.dir / given
    return read_baseline(path)


def read_baseline(path: Path) -> Baseline:
    """Read the shapes that are known.

    Raises:
        pytest.UsageError: The file cannot be used.
    """
    try:
        return Baseline.read(path)
    except UnreadableBaselineError as error:
        raise pytest.UsageError(f"memguard: {error}") from None


@dataclass(frozen=True, slots=True)
class Wish:
    """What holds for one test: the settings and its marker together."""

    live: bool
    allowed: Allowed

    @classmethod
    def of(cls, item: pytest.Item, settings: Settings) -> "Wish":
        """Read the markers of a test, of its class and of its module.

        Raises:
            pytest.UsageError: A marker has arguments that it does not take.
        """
        allow = list(settings.allow)
        live = None
        for marker in item.iter_markers("memguard"):
            wrong = sorted(set(marker.kwargs) - {"allow", "live"})
            if marker.args or wrong:
                given = ", ".join(wrong) or "positional arguments"
                raise _wrong_marker(item, f"takes allow=[...] and live=True, not {given}")
            allow += _entries(item, marker.kwargs.get("allow", ()))
            if live is None and "live" in marker.kwargs:
                live = bool(marker.kwargs["live"])
        return cls(settings.live if live is None else live, Allowed(allow))


def _entries(item: pytest.Item, allow: Any) -> list[str]:
    if isinstance(allow, str) or not isinstance(allow, Iterable):
        raise _wrong_marker(item, f"takes a list as allow, not {type(allow).__name__}")
    entries = [type_name(entry) if isinstance(entry, type) else entry for entry in allow]
    for entry in entries:
        if not isinstance(entry, str):
            raise _wrong_marker(item, f"allows classes and texts, not {type(entry).__name__}")
    return entries


def _wrong_marker(item: pytest.Item, text: str) -> pytest.UsageError:
    return pytest.UsageError(f"{item.nodeid}: the marker memguard {text}")


def report_paths(config: pytest.Config) -> list[Path]:
    """Give the files to write the findings to.

    Raises:
        pytest.UsageError: Nothing of that format can be written.
    """
    paths = [config.invocation_params.dir / name for name in config.getoption("memguard_report")]
    for path in paths:
        if path.suffix not in REPORT_SUFFIXES:
            raise pytest.UsageError(
                f"--memguard-report={path.name}: the name ends with one of"
                f" {', '.join(REPORT_SUFFIXES)}"
            )
    return paths
