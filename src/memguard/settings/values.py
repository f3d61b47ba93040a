"""What a setting may be: its range, its unit, and how text is read as one.

Covers: numbers, sizes, choices; a dataclass whose fields are checked.
Does not cover: the settings themselves, which stand one room a module, nor where
they come from (``sources``).
"""

import dataclasses
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Protocol, TypeVar

from memguard.errors import WrongSettingError

_Value = TypeVar("_Value")

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kKMGT]?)(?P<binary>i?)[bB]?")
_THOUSANDS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_NONE = ("", "none")


class Kind(Protocol):
    """What a setting may be."""

    @property
    def allowed(self) -> str:
        """What may be given, as the end of "it must be ..."."""

    def accepts(self, value: object) -> bool:
        """Whether *value* may be given."""

    def parse(self, text: str) -> object:
        """Read the text of a variable; what cannot be read is given back as it is."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number within a range.

    Attributes:
        unit: What it counts, for messages.
        minimum: Least value.
        maximum: Largest value.
        whole: Only whole numbers.
        optional: None is allowed.
        above_minimum: The least value itself is not allowed.
        none_means: What None says, for messages.
    """

    unit: str
    minimum: float = 0
    maximum: float = math.inf
    whole: bool = False
    optional: bool = False
    above_minimum: bool = False
    none_means: str = "no limit"

    @property
    def allowed(self) -> str:
        """What may be given."""
        parts = [f"a {'whole ' if self.whole else ''}number of {self.unit}"]
        parts.append(f"{'above' if self.above_minimum else 'of at least'} {self.minimum:g}")
        if self.maximum != math.inf:
            parts.append(f"and at most {self.maximum:g}")
        if self.optional:
            parts.append(f"or None for {self.none_means}")
        return " ".join(parts)

    def accepts(self, value: object) -> bool:
        """Whether *value* is such a number; a bool is none."""
        if value is None:
            return self.optional
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        if self.above_minimum and value == self.minimum:
            return False
        return self.minimum <= value <= self.maximum and value != math.inf

    def parse(self, text: str) -> object:
        """Read a number; "none" is None where that is allowed."""
        if self.optional and text.strip().lower() in _NONE:
            return None
        try:
            return int(text) if self.whole else float(text)
        except ValueError:
            return text


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes, also as text with a unit: "512Mi", "2 GB", "1.5GiB".

    As with Kubernetes, k, M, G and T are powers of 1000, with an i of 1024.

    Attributes:
        minimum: Least value.
        optional: None is allowed.
        none_means: What None says, for messages.
    """

    minimum: int = 0
    optional: bool = False
    none_means: str = "no limit"

    @property
    def allowed(self) -> str:
        """What may be given."""
        text = f"a whole number of bytes of at least {self.minimum}, or a text such as '512Mi'"
        return f"{text}, or None for {self.none_means}" if self.optional else text

    def accepts(self, value: object) -> bool:
        """Whether *value* is such a number."""
        if value is None:
            return self.optional
        return type(value) is int and value >= self.minimum

    def parse(self, text: str) -> object:
        """Read a number of bytes with or without a unit."""
        if self.optional and text.strip().lower() in _NONE:
            return None
        match = _SIZE.fullmatch(text.strip())
        if match is None or (match["binary"] and not match["unit"]):
            return text
        base = 1024 if match["binary"] else 1000
        return round(float(match["number"]) * base ** _THOUSANDS[match["unit"]])


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words.

    Attributes:
        words: Those.
    """

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """What may be given."""
        return f"one of {', '.join(repr(word) for word in self.words)}"

    def accepts(self, value: object) -> bool:
        """Whether *value* is one of the words."""
        return isinstance(value, str) and value in self.words

    def parse(self, text: str) -> object:
        """Give the word."""
        return text.strip()


def setting(default: _Value, kind: Kind, source: str) -> _Value:
    """Make a field of a room.

    Args:
        default: What holds when nothing is given.
        kind: What may be given.
        source: Where the default comes from.
    """
    # What dataclasses take for a field is, for who reads the class, its default.
    return field(default=default, metadata={"kind": kind, "source": source})


@dataclass(frozen=True, slots=True)
class Room:
    """Base of the settings of a room; they are checked when they are made.

    Raises:
        WrongSettingError: A value is outside its range.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for key, kind in self.kinds():
            value = getattr(self, key)
            if isinstance(value, str):
                value = kind.parse(value)
                object.__setattr__(self, key, value)
            if not kind.accepts(value):
                raise self._wrong(key, kind.allowed)
        self._check_together()

    @classmethod
    def kinds(cls) -> Iterator[tuple[str, Kind]]:
        """Give the name of each setting, and what it may be."""
        for known in dataclasses.fields(cls):
            yield known.name, known.metadata["kind"]

    def _check_together(self) -> None:
        """Check what depends on more than one value."""

    def _order(self, *keys: str) -> None:
        """Check that values do not fall from one key to the next."""
        for lower, upper in pairwise(keys):
            if getattr(self, lower) > getattr(self, upper):
                raise self._wrong(
                    lower, f"at most {self.name}.{upper}, which is {getattr(self, upper)!r}"
                )

    def _wrong(self, key: str, allowed: str) -> WrongSettingError:
        value: Any = getattr(self, key)
        return WrongSettingError(f"{self.name}.{key}", value, allowed)
