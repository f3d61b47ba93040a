"""Which agents are alive.

Covers: the read-only views of a registry, and its statistics.
Does not cover: the registry itself (``_registry``), cleaning up (``lifecycle``).
"""

from collections.abc import Callable, Hashable, ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from memguard._registry import WeakAgentRegistry, get_active_agent_count

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


class View(Mapping[Any, Any]):
    """What a registry has for each living agent, never more, never less."""

    __slots__ = ("_find", "_registry")

    def __init__(self, registry: WeakAgentRegistry, find: Callable[..., Any]) -> None:
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
    _mapping: View

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._mapping.pairs()


class _Values(ValuesView[Any]):
    _mapping: View

    def __iter__(self) -> Iterator[Any]:
        return map(itemgetter(1), self._mapping.pairs())

    def __contains__(self, value: object) -> bool:
        return any(found is value or found == value for found in self)
