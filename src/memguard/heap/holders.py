"""Which step of a way a person would call the holder, and where they would begin.

Covers: the last container or reference that is more than a carrier of others; ways
through an event loop, which begin at the task or timer that the loop keeps going.
Does not cover: the steps themselves (``ways``).
"""

import itertools
import re
from collections.abc import Sequence
from types import GetSetDescriptorType, MemberDescriptorType, MethodType

from memguard import _names
from memguard.heap.names import bases_of, namespace_of, plain_text, type_name

UNEXPLAINED = "C code"

_ITEM = re.compile(r"(\[[^\[\]]*\]|\{[^{}]*\})$")
_TIMES = re.compile(r" \(\d+ times\)$")
_CARRIER = re.compile(
    r"(?:method|builtin_function_or_method|functools\.partial|cell|traceback"
    r"|\w*iterator|itertools\.\w+)\."
    r"|.*\.(?:__traceback__|__context__|__cause__)$"
)


def holder_of(steps: Sequence[str], *, is_unexplained: bool = False) -> str:
    """Choose the last step that is a container, without the item, or else the last one.

    Methods, partial functions, tracebacks and the like only carry what somebody keeps:
    who keeps them is looked for. What C code holds is called so.
    """
    before = [_TIMES.sub("", step) for step in steps[:-1] or steps]
    kept = [
        step
        for place, step in enumerate(before)
        if place == 0 or not _is_carrier(step, before[place - 1])
    ]
    if is_unexplained:
        kept[0] = f"{UNEXPLAINED}, by {before[1]}" if len(before) > 1 else UNEXPLAINED
    for step in reversed(kept):
        bare = _ITEM.sub("", step)
        if bare != step and "." in bare:
            return bare
    last = _ITEM.sub("", kept[-1])
    # The name of a built-in container says less than that.
    return _ITEM.sub("", kept[0]) if is_unexplained and "." not in last else last


def _is_carrier(step: str, before: str) -> bool:
    is_of_traceback = step.startswith("frame ") and before.startswith("traceback.")
    return is_of_traceback or _CARRIER.match(step) is not None


def begin_of(objects: Sequence[object]) -> tuple[int, str]:
    """Give the place of the task or timer that an event loop keeps, and which it is.

    (0, "") where the way is through none. How the loop comes to it is not what keeps
    something alive: it goes on until the work is done.
    """
    loops = [place for place, thing in enumerate(objects) if is_loop(thing)]
    if not loops:
        return 0, ""
    after = range(loops[-1] + 1, len(objects) - 1)
    for place in after:
        if task_name(objects[place]):
            return place, "task"
    for place in after:
        if timer_name(objects[place]):
            return place, "timer"
    return 0, ""


def is_loop(thing: object) -> bool:
    """Tell whether something is an event loop of asyncio."""
    return _has_base(type(thing), "asyncio.events.AbstractEventLoop")


def _has_base(cls: type, name: str) -> bool:
    return any(_is_called(base, name) for base in bases_of(cls))


def _is_called(cls: type, name: str) -> bool:
    return type(cls) is type and type_name(cls) == name


def task_name(thing: object) -> str | None:
    """Name a task of asyncio, as a step of a way; None for what is no task."""
    if not _has_base(type(thing), "_asyncio.Task"):
        return None
    name = name_of_task(thing)
    return f"task '{name}'" if name else "task"


def name_of_task(task: object) -> str:
    """Give the name of a task, read without letting the task make it; "" if it has none.

    It is reported after the coroutine. What a class made from that of asyncio adds is
    reported before, and is nobody's business.
    """
    base = next((cls for cls in bases_of(type(task)) if _is_called(cls, "_asyncio.Task")), None)
    field = None if base is None else namespace_of(base).get("_coro")
    if type(field) is GetSetDescriptorType:
        coroutine = field.__get__(task, base)
        for part, name in itertools.pairwise(_names.referents_of(task)):
            if part is coroutine and type(name) in (str, int):
                return str(name) if type(name) is str else f"Task-{name}"
    return ""


def timer_name(thing: object) -> str | None:
    """Name a timer of asyncio, or what is to be called soon, by its callback."""
    for cls in bases_of(type(thing)):
        if type(cls) is type and type_name(cls) == "asyncio.events.Handle":
            field = namespace_of(cls).get("_callback")
            if type(field) is MemberDescriptorType:
                name = type_name(type(thing)).removeprefix("asyncio.events.")
                return f"{name} of {_callback_name(field, thing)}"
    return None


def _callback_name(field: MemberDescriptorType, timer: object) -> str:
    try:
        callback = field.__get__(timer, type(timer))
    except AttributeError:
        return "nothing"
    function = callback.__func__ if type(callback) is MethodType else callback
    code = _names.code_of(function)
    return f"{plain_text(code.co_qualname)}()" if code else type_name(type(callback))
