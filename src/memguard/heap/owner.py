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
_MOST_ID_BITS = 1_024

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
        name = _on_one_line(self.name)
        if self.kind == "unknown":
            return "unknown"
        if self.kind == "shared":
            return name or "several owners"
        if self.kind == "registered":
            return name
        agent = f" (agent {_on_one_line(self.agent)})" if self.agent else ""
        return f"{self.kind} {name}{agent}"


def _on_one_line(name: str) -> str:
    # Ids may come from anywhere: what would move a terminal's cursor is spelled out.
    if name.isprintable():
        return name
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in name)


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


def loaded(module: str, name: str) -> Any:
    """Give what a module has by a name; None before it was loaded, and while it is."""
    found = sys.modules.get(module)
    return None if found is None else vars(found).get(name)


def agent_of(context: object) -> Owner | None:
    """Tell whose context an object is."""
    ids_of = loaded("memguard._registry", "ids_of")
    for agent_id in () if ids_of is None else ids_of(context):
        return Owner("agent", id_text(agent_id))
    cls = loaded("memguard._agents", "AgentContext")
    if cls is None or not issubclass(type(context), cls):
        return None
    try:
        # Not the attribute: a subclass may have another of this name.
        task_id = vars(cls)["task_id"].__get__(context)
    except ContextClosed:  # back in its pool
        return None
    return None if task_id is None else Owner("agent", id_text(task_id))


def task_of(task: object) -> Owner | None:
    """Tell which task of asyncio an object is, and which agent is current in it."""
    cls = loaded("_asyncio", "Task")
    if cls is None or not issubclass(type(task), cls):
        return None
    return Owner("task", name_of_task(task), agent_in(context_of(task)))


def coroutine_of(task: object) -> object:
    """Give what a task runs, or None."""
    # Not by its method: up to 3.12.1 that crashes for a task that was never initialised.
    return vars(loaded("_asyncio", "Task"))["_coro"].__get__(task)


def context_of(task: object) -> object:
    """Give the context in which a task runs, or None; it is reported before the coroutine."""
    coroutine = coroutine_of(task)
    if coroutine is None:
        return None
    for part, following in itertools.pairwise(_names.referents_of(task)):
        if following is coroutine and type(part) is Context:
            return part
    return None


def agent_in(context: object) -> str:
    """Give the id of the agent that is current in a context, as text; "" if none is."""
    life_in = loaded("memguard._lives", "life_in")
    if life_in is None or type(context) is not Context:
        return ""
    life = life_in(context)
    return "" if life is None else id_text(life.agent_id)


def id_text(agent_id: object) -> str:
    """Give the id of an agent as text; of one that might run code, its class and address."""
    if issubclass(type(agent_id), str):
        return plain_text(agent_id)  # type: ignore[arg-type]
    if type(agent_id) in (float, bool) or _is_number_of_id(agent_id):
        return str(agent_id)
    # A slot, which is empty or holds anything in one that was not made as others are.
    if type(agent_id) is loaded("uuid", "UUID") and _is_number_of_id(
        getattr(agent_id, "int", None)
    ):
        return str(agent_id)
    return f"<{type_name(type(agent_id))} at {id(agent_id):#x}>"


def _is_number_of_id(number: object) -> bool:
    # Python refuses to write numbers of very many digits.
    return type(number) is int and number.bit_length() <= _MOST_ID_BITS


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
