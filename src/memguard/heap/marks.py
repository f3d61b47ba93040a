"""Objects that belong to an owner by themselves.

Covers: finding all of them in the heap, whose a cycle is by its members or by what it
refers to.
Does not cover: what is held through them (``estates``), telling it from one object
alone (``owner``).

Found without code of the program: ids of agents are not even compared.
"""

from collections.abc import Iterable, Sequence
from contextvars import Context
from types import FunctionType, ModuleType
from typing import Any

from memguard import _names, _owners
from memguard.heap.names import type_name
from memguard.heap.owner import (
    Owner,
    agent_in,
    agent_of,
    context_of,
    coroutine_of,
    joined,
    loaded,
    may_tell,
    owner_at,
    registered_objects,
    task_of,
)
from memguard.heap.wording import thread_name

MOST_LOOKED_AT = 64
"""Objects near a cycle that are asked for their owner, where nothing else tells [count]."""

_GLOBALS = FunctionType.__dict__["__globals__"].__get__


class Marks:
    """Marked objects and their owners, held for as long as it is asked.

    Attributes:
        owners: Each owner once; its place is its number.
        threads: For each of them the id of the thread that it is, or 0.
        objects: What is marked.
        numbers: For each of these the number of its owner.
        agents_by_thread: The agents that are current in threads outside of tasks.
    """

    def __init__(self) -> None:
        self.owners: list[Owner] = []
        self.threads: list[int] = []
        self.objects: list[object] = []
        self.numbers: list[int] = []
        self.agents_by_thread: dict[int, str] = {}
        self._numbers_by_owner: dict[Owner, int] = {}
        self._owners_by_id: dict[int, Owner] = {}

    def thread_owner(self, ident: int) -> Owner:
        """Give a thread as an owner."""
        return Owner("thread", thread_name(ident), self.agents_by_thread.get(ident, ""))

    def add(self, obj: object, owner: Owner, thread: int = 0) -> None:
        """Say whose an object is, unless that was said before."""
        if id(obj) in self._owners_by_id:
            return
        number = self._numbers_by_owner.setdefault(owner, len(self.owners))
        if number == len(self.owners):
            self.owners.append(owner)
            self.threads.append(thread)
        self._owners_by_id[id(obj)] = owner
        self.objects.append(obj)
        self.numbers.append(number)

    def add_agent(self, context: object) -> None:
        """Say which agent an object is, unless that was said before."""
        # One that has many ids is asked once: it takes time by their number.
        owner = None if id(context) in self._owners_by_id else agent_of(context)
        if owner is not None:
            self.add(context, owner)

    def owner_of_any(self, objects: Iterable[object]) -> Owner | None:
        """Tell whose these objects are by themselves."""
        known = self._owners_by_id
        return joined(filter(None, (known.get(id(each)) or owner_at(each) for each in objects)))

    def owner_near(self, members: Sequence[object]) -> Owner | None:
        """Tell whose a cycle is by what it refers to: the nearest that belongs to anybody."""
        if not may_tell():
            return None
        seen = {id(member) for member in members}
        level: Sequence[object] = members[:MOST_LOOKED_AT]
        looked_at_count = 0
        while level and looked_at_count < MOST_LOOKED_AT:
            level = _next_level(level, seen)
            looked_at_count += len(level)
            owner = self.owner_of_any(level)
            if owner is not None:
                return owner
        return None


def find_marks() -> Marks:
    """Find all marked objects; what is said of one first counts.

    Raises:
        MemoryError: A native table could not be had.
    """
    marks = Marks()
    for obj, owner in registered_objects():
        marks.add(obj, owner)
    for registry in _instances("memguard._registry", "WeakAgentRegistry"):
        # Not its attribute: a subclass may have another of this name.
        for _, agent in loaded("memguard._registry", "WeakAgentRegistry").living(registry):
            marks.add_agent(agent)
    for context in _instances("memguard._agents", "AgentContext"):
        marks.add_agent(context)
    tasks = _instances("_asyncio", "Task")
    for task in tasks:
        _add_task(marks, task)
    _add_threads(marks, tasks)
    return marks


def _instances(module: str, name: str) -> list[Any]:
    cls = loaded(module, name)
    return [] if cls is None else _owners.find_instances((cls,))


def _add_task(marks: Marks, task: object) -> None:
    """Add a task and what it runs, for whose variables are roots while they run."""
    owner = task_of(task)
    if owner is None:
        return
    marks.add(task, owner)
    coroutine = coroutine_of(task)
    if coroutine is not None:
        marks.add(coroutine, owner)


def _add_threads(marks: Marks, tasks: Iterable[object]) -> None:
    """Add what threads keep in a `threading.local`, which itself has that of all of them."""
    contexts_of_tasks = {id(context_of(task)) for task in tasks}
    thread_of: dict[int, int] = {}
    for ident, kept in _owners.thread_data():
        if type(kept) is dict:
            thread_of.update((id(value), ident) for value in list(kept.values()))
        elif type(kept) is not Context:  # from 3.13 on a thread has one for all locals
            thread_of[id(kept)] = ident
        elif id(kept) not in contexts_of_tasks:
            marks.agents_by_thread[ident] = agent_in(kept)
    for local in _instances("_thread", "_local"):
        for part in _names.referents_of(local):
            for key, value in list(part.items()) if type(part) is dict else ():
                ident = thread_of.get(id(_dummy_of(key)), 0)
                if ident and type(value) is dict:
                    marks.add(value, marks.thread_owner(ident), ident)


def _dummy_of(key: Any) -> object:
    # Up to 3.12 it is a weak reference to the thread's object, from 3.13 on that itself.
    return key() if type_name(type(key)) == "weakref.ReferenceType" else key


def _next_level(level: Iterable[object], seen: set[int]) -> list[object]:
    """List what objects refer to that was not seen, without classes, modules and globals."""
    reached: list[object] = []
    for source in level:
        # The same large container may be near each of many cycles.
        for target in _names.referents_of(source, MOST_LOOKED_AT + len(seen)):
            if (
                id(target) in seen
                or issubclass(type(target), type | ModuleType)
                or (type(source) is FunctionType and _GLOBALS(source) is target)
            ):
                continue
            if len(reached) == MOST_LOOKED_AT:
                return reached
            seen.add(id(target))
            reached.append(target)
    return reached
