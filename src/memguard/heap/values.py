"""What objects look like, for reports that were asked for values.

Covers: short texts of objects; leaving out secrets; keeping a ``__repr__``
that raises or is slow from doing harm.
Does not cover: anything that a report without ``explain="values"`` says.

This is the one place where memguard runs code of the program: the
``__repr__`` of its classes. It runs when a report is written, never within
the scan.
"""

import re
import time
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType
from typing import Any

from memguard import _names
from memguard.heap.names import bases_of, namespace_of, short_name, type_name

LONGEST_VALUE = 80
"""Characters of a value that are shown [count]."""

BUDGET_SECONDS = 0.25
"""Once all calls of ``__repr__`` took so long, no further one is made [s]."""

_MOST_ITEMS = 4
_DEEPEST = 2
_HIDDEN = "..."
_SECRET = re.compile(
    r"pass(word|wd|phrase|code)|\bpw\b|secret|token|api_?key|access_?key|private_?key"
    r"|authori[sz]ation|\bauth\b|bearer|credential|cookie|session_?(id|key)|signature|salt|\bdsn\b",
    re.IGNORECASE,
)
_PLAIN = (int, float, complex, bool, type(None))
_WITHOUT_VALUE = (FunctionType, MethodType, BuiltinFunctionType, CodeType, FrameType)


def looks_secret(name: object) -> bool:
    """Tell whether what goes by this name should not be shown."""
    text = name.decode("latin-1") if type(name) is bytes else name
    if type(text) is not str:
        return False
    # Both api-key and apiKey are an api_key.
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).replace("-", "_").replace(" ", "_")
    return _SECRET.search(words.replace("_", " ")) is not None or _SECRET.search(words) is not None


class Values:
    """Says what objects look like, until that has taken too long.

    Thread-safety: one thread.
    """

    def __init__(self, clock_seconds: Callable[[], float] = time.perf_counter) -> None:
        self._clock_seconds = clock_seconds
        self._used_seconds = 0.0

    def of(self, obj: object) -> str:
        """Give a short text for an object; "" when it has none that says something.

        What the text would tell of items and attributes whose names look like
        secrets is left out: of mappings and attributes by their names, of the
        text of a ``__repr__`` as a whole when such a name occurs in it.
        """
        return _shortened(self._text(obj, 0))

    def _text(self, obj: object, depth: int) -> str:
        cls = type(obj)
        if cls is str or cls is bytes:
            return repr(obj[: LONGEST_VALUE + 1])  # type: ignore[index]
        if cls in _PLAIN:
            return _number(obj)
        if cls in _WITHOUT_VALUE or issubclass(cls, type):
            return "" if depth == 0 else _HIDDEN
        if depth >= _DEEPEST:
            return _HIDDEN
        if cls is dict:
            return "{" + ", ".join(self._items(obj, depth)) + "}"  # type: ignore[arg-type]
        for container, opening, closing in ((list, "[", "]"), (tuple, "(", ")"), (set, "{", "}")):
            if cls is container:
                return opening + ", ".join(self._elements(obj, depth)) + closing
        return self._of_instance(obj)

    def _items(self, mapping: dict[Any, Any], depth: int) -> Iterator[str]:
        for number, (key, value) in enumerate(list(mapping.items())):
            if number == _MOST_ITEMS:
                yield _HIDDEN
                return
            shown = _HIDDEN if looks_secret(key) else self._text(value, depth + 1)
            # A key that is an object of the program has no text of its own here.
            yield f"{self._text(key, _DEEPEST)}: {shown}"

    def _elements(self, container: Any, depth: int) -> Iterator[str]:
        for number, item in enumerate(list(container)):
            if number == _MOST_ITEMS:
                yield _HIDDEN
                return
            yield self._text(item, depth + 1)

    def _of_instance(self, obj: object) -> str:
        if not _has_own_repr(type(obj)):
            attributes = ", ".join(self._attributes(obj))
            return f"{_class_name(obj)}({attributes})" if attributes else ""
        if self._used_seconds > BUDGET_SECONDS:
            return "(not asked: others took too long)"
        started = self._clock_seconds()
        try:
            text = repr(obj)
        except Exception as error:  # code of the program, which may do anything
            return f"(__repr__ raised {short_name(type_name(type(error)))})"
        finally:
            self._used_seconds += self._clock_seconds() - started
        text = str.__str__(text)
        if looks_secret(text):
            return f"({_class_name(obj)}: its text may hold a secret)"
        return text

    def _attributes(self, obj: object) -> Iterator[str]:
        """Give attributes that are numbers or texts, without running any code."""
        found = list((_names.instance_dict(obj) or {}).items()) or _names.inline_attributes(obj)
        shown = 0
        for name, value in found:
            if type(name) is not str or type(value) not in (*_PLAIN, str, bytes):
                continue
            if shown == _MOST_ITEMS:
                yield _HIDDEN
                return
            shown += 1
            text = _HIDDEN if looks_secret(name) else _shortened(self._text(value, 1))
            yield f"{name}={text}"


def _number(obj: object) -> str:
    try:
        return repr(obj)
    except ValueError:  # an integer of more digits than Python wants to write
        return _HIDDEN


def _has_own_repr(cls: type) -> bool:
    for base in bases_of(cls):
        if "__repr__" in namespace_of(base):
            return base is not object
    return False


def _class_name(obj: object) -> str:
    return type_name(type(obj)).rpartition(".")[2]


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."
