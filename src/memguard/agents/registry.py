"""Which agents are alive.

Covers: the registry, its read-only views, its statistics.
Does not cover: the table itself (``_registry``), cleaning up (``lifecycle``).
"""

from collections.abc import Callable, Hashable, ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from memguard import _registry
from memguard._registry import get_active_agent_count

__all__ = ["RegistryStatistics", "WeakAgentRegistry", "get_active_agent_count"]

_MISSING = object()


@dataclass(frozen=True, slots=True)
class RegistryStatistics:
    """What became of the agents of one registry.

    Registered are those that are active, died, or were unregistered.

    Attributes:
        registered_count: Agents that came.
        active_count: Agents that are registered and alive.
        died_count: Agents that died while they were registered.
        unregistered_count: Agents that were unregistered, or had to give their
            place to another.
        peak_active_count: The largest number of active agents so far.
    """

    registered_count: int
    active_count: int
    died_count: int
    unregistered_count: int
    peak_active_count: int


class WeakAgentRegistry(_registry.AgentTable):
    """Find agents by id without keeping one alive.

    An agent that dies is gone from here in the same moment, and what was known
    of it, too. Iterating goes over the ids of the agents that are alive when it
    begins; agents may come and go meanwhile.

    Example:
        >>> registry = WeakAgentRegistry()
        >>> registry.register("planner", agent, {"model": "large"})
        >>> registry.get("planner") is agent
        True
        >>> del agent
        >>> registry.get_active_count()
        0

    Cost:
        `register` and the death of the agent together are a fifth of what a
        ``WeakValueDictionary`` and a dict for the metadata take;
        `get_active_count` is one read, whatever the size.

    Thread-safety:
        Any thread, and code that runs when agents die or ids are compared; no
        call waits for another. After a fork each process has its own.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} active>"

    @property
    def agents(self) -> Mapping[Any, Any]:
        """The living agents by id: a read-only view of what there is now."""
        return agents_of(self)

    @property
    def metadata(self) -> Mapping[Any, Any]:
        """What is known of the living agents, by id: a read-only view."""
        return _View(self, self.get_metadata)

    def statistics(self) -> RegistryStatistics:
        """Count what became of the agents so far."""
        return RegistryStatistics(*self.counts())


def agents_of(table: _registry.AgentTable) -> Mapping[Any, Any]:
    """Give a read-only view of a table's living agents by id."""
    return _View(table, table.get)


class _View(Mapping[Any, Any]):
    """What a registry has for each living agent, never more, never less."""

    __slots__ = ("_find", "_registry")

    def __init__(self, registry: _registry.AgentTable, find: Callable[..., Any]) -> None:
        self._registry = registry
        self._find = find

    def __repr__(self) -> str:
        return f"<read-only view of {len(self)} agents>"

    def __getitem__(self, agent_id: Hashable) -> Any:
        found = self._find(agent_id, _MISSING)
        if found is _MISSING:
            raise KeyError(agent_id)
        return found

    def __contains__(self, agent_id: object) -> bool:
        return agent_id in self._registry

    def __iter__(self) -> Iterator[Any]:
        return iter(self._registry)

    def __len__(self) -> int:
        return len(self._registry)

    def items(self) -> ItemsView[Any, Any]:
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        return _Values(self)

    def pairs(self) -> Iterator[tuple[Any, Any]]:
        """Go over id and value of those that are still alive when it is their turn.

        No generator, which would keep the last one alive until the next is asked for.
        """
        return filter(None, map(self._pair, self._registry.ids()))

    def _pair(self, agent_id: Any) -> tuple[Any, Any] | None:
        found = self._find(agent_id, _MISSING)
        return None if found is _MISSING else (agent_id, found)


class _Items(ItemsView[Any, Any]):
    _mapping: _View

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._mapping.pairs()


class _Values(ValuesView[Any]):
    _mapping: _View

    def __iter__(self) -> Iterator[Any]:
        return map(itemgetter(1), self._mapping.pairs())

    def __contains__(self, value: object) -> bool:
        return any(found is value or found == value for found in self)
