"""Who can own objects, and which objects are theirs at once.

Covers: what is told of an owner, objects that a program registers, telling from an
object alone that it belongs to an agent, a task or what was registered.
Does not cover: what an owner holds through these objects (``estates``).

Nothing here runs code of the program: ids of agents are made into text only if they
are texts, numbers or UUIDs.
"""

import itertools
import sys
import weakref
from collections.abc import Iterable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from memguard import _names
from memguard.errors import ContextClosed, WrongTypeError
from memguard.heap.holders import name_of_task
from memguard.heap.names import plain_text, type_name

OwnerKind = Literal["registered", "agent", "task", "thread", "shared", "unknown"]

_RANKS = {kind: rank for rank, kind in enumerate(get_args(OwnerKind))}
_MOST_NAMED = 3

_OWNERS = {"memguard._agents", "memguard._registry", "_asyncio"}
"""Modules whose objects have an owner by themselves."""

_Object = TypeVar("_Object")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose something is.

    Attributes:
        kind: "registered" by `own`, "agent", "task" of asyncio, "thread"; "shared" by
            several of these, none of which holds it alone; "unknown".
        name: The name that was registered, the id of the agent, the name of the task or
            thread; those that share it; "" when it is not known.
        agent: Of a task or thread, the id of the agent that is current there; "" if none.
    """

    kind: OwnerKind
    name: str = ""
    agent: str = ""

    def __str__(self) -> str:
        if self.kind == "unknown":
            return "unknown"
        if self.kind == "shared":
            return self.name or "several owners"
        if self.kind == "registered":
            return self.name
        return f"{self.kind} {self.name}" + (f" (agent {self.agent})" if self.agent else "")


UNKNOWN = Owner("unknown")
SHARED = Owner("shared")


class _Registration(weakref.ref[Any]):
    __slots__ = ("key", "name")

    key: int
    name: str


_registrations: dict[int, _Registration] = {}


def _forget(registration: weakref.ref[Any]) -> None:
    key = registration.key  # type: ignore[attr-defined]
    if _registrations.get(key) is registration:
        del _registrations[key]


def own(obj: _Object, name: str) -> _Object:
    """Say whose an object is, and with it all that only it holds.

    Several objects may have one name, and are then one owner. To register an object
    once more gives it another name. It is remembered weakly, until it dies.

    Example:
        >>> cache = own(PageCache(), "page cache")  # doctest: +SKIP

    Args:
        obj: Anything that can be referred to weakly; a list or dict cannot, the
            object that has it can.
        name: What reports call the owner; it is shown to whoever reads them.

    Returns:
        The object itself.

    Raises:
        WrongTypeError: The object cannot be referred to weakly, or the name is no text.

    Cost:
        A weak reference and an entry of a dict.

    Thread-safety:
        Any thread, under the GIL.
    """
    if type(name) is not str or not name:
        raise WrongTypeError("name", type(name).__name__, "a text that is not empty")
    try:
        registration = _Registration(obj, _forget)
    except TypeError:
        raise WrongTypeError(
            "obj",
            type_name(type(obj)),
            "an object that can be referred to weakly, such as the one that has this;"
            " a class with __slots__ needs '__weakref__' among them",
        ) from None
    registration.key, registration.name = id(obj), name
    _registrations[registration.key] = registration
    return obj


def may_tell() -> bool:
    """Whether there can be any object of which `owner_at` knows an owner."""
    return bool(_registrations) or not _OWNERS.isdisjoint(sys.modules)


def registered_objects() -> list[tuple[object, Owner]]:
    """List what was registered and is alive, with its owner."""
    return [
        (obj, Owner("registered", registration.name))
        for registration in list(_registrations.values())
        if (obj := registration()) is not None
    ]


def owner_at(obj: object) -> Owner | None:
    """Tell whose an object is by itself: it was registered, is an agent's context, a task."""
    registration = _registrations.get(id(obj))
    if registration is not None and registration() is obj:
        return Owner("registered", registration.name)
    return agent_of(obj) or task_of(obj)


def agent_of(context: object) -> Owner | None:
    """Tell whose context an object is."""
    registry = sys.modules.get("memguard._registry")
    for agent_id in () if registry is None else registry.ids_of(context):
        return Owner("agent", id_text(agent_id))
    native = sys.modules.get("memguard._agents")
    if native is None or not issubclass(type(context), native.AgentContext):
        return None
    try:
        # Not the attribute: a subclass may have another of this name.
        task_id = vars(native.AgentContext)["task_id"].__get__(context)
    except ContextClosed:  # back in its pool
        return None
    return None if task_id is None else Owner("agent", id_text(task_id))


def task_of(task: object) -> Owner | None:
    """Tell which task of asyncio an object is, and which agent is current in it."""
    module = sys.modules.get("_asyncio")
    if module is None or not issubclass(type(task), vars(module)["Task"]):
        return None
    return Owner("task", name_of_task(task), agent_in(context_of(task)))


def context_of(task: object) -> object:
    """Give the context in which a task runs, or None; it is reported before the coroutine."""
    coroutine = vars(sys.modules["_asyncio"])["Task"].get_coro(task)
    for part, following in itertools.pairwise(_names.referents_of(task)):
        if following is coroutine and type(part) is Context:
            return part
    return None


def agent_in(context: object) -> str:
    """Give the id of the agent that is current in a context, as text; "" if none is."""
    lives = sys.modules.get("memguard._lives")
    if lives is None or type(context) is not Context:
        return ""
    life = lives.life_in(context)
    return "" if life is None else id_text(life.agent_id)


def id_text(agent_id: object) -> str:
    """Give the id of an agent as text; of one that might run code, its class and address."""
    if issubclass(type(agent_id), str):
        return plain_text(agent_id)  # type: ignore[arg-type]
    module = sys.modules.get("uuid")
    if type(agent_id) in (int, float, bool) or (
        module is not None and type(agent_id) is vars(module).get("UUID")
    ):
        return str(agent_id)
    return f"<{type_name(type(agent_id))} at {id(agent_id):#x}>"


def joined(owners: Iterable[Owner]) -> Owner | None:
    """Give the owner of what belongs to all of these.

    What was registered is meant before agents, these before tasks, and these before
    threads; several of one kind share it.
    """
    found = set(owners)
    if not found:
        return None
    first = min(_RANKS[owner.kind] for owner in found)
    names = sorted(str(owner) for owner in found if _RANKS[owner.kind] == first)
    if len(names) == 1:
        return next(owner for owner in found if _RANKS[owner.kind] == first)
    more = f" and {len(names) - _MOST_NAMED} more" * (len(names) > _MOST_NAMED)
    return Owner("shared", ", ".join(names[:_MOST_NAMED]) + more)
