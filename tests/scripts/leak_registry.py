"""Call every method of the native registry, and let agents, tables and both go."""

import contextlib
import weakref

from growth import print_growth

from memguard import _registry
from memguard.agents.registry import WeakAgentRegistry
from memguard.errors import AgentIdTakenError


class Agent:
    pass


FUNCTIONS = {
    "get_active_agent_count": _registry.get_active_agent_count,
    "ids_of": lambda: _registry.ids_of(_REGISTERED),
}
_REGISTERED = Agent()
_TABLE = WeakAgentRegistry()
_TABLE.register("registered", _REGISTERED)
METHODS = {
    "unregister": ("none",),
    "unregister_entry": (0, None),
    "get": (1,),
    "get_metadata": (1,),
    "get_active_count": (),
    "counts": (),
    "ids": (),
    "living": (),
    "statistics": (),
}


def check_that_all_are_called():
    found = {
        name
        for name, value in vars(_registry).items()
        if callable(value) and not isinstance(value, type) and not name.startswith("_")
    }
    assert found == FUNCTIONS.keys(), found ^ FUNCTIONS.keys()
    attributes = {name for name in vars(WeakAgentRegistry) if not name.startswith("__")}
    properties = {"agents", "metadata", "on_death"}
    assert attributes - {"register"} - properties == METHODS.keys(), attributes


def call():
    for function in FUNCTIONS.values():
        function()
    table, agents = WeakAgentRegistry(), [Agent() for _ in range(4)]
    table.on_death = lambda agent_id, metadata: None
    for number, agent in enumerate(agents):
        table.register(number, agent, [number])
    table.register(3, agent, replace=True)
    for arguments in ((2, agent), ("self", table, table), ([], agent), ("slots", [])):
        with contextlib.suppress(AgentIdTakenError, TypeError):
            table.register(*arguments)
    for name, arguments in METHODS.items():
        getattr(table, name)(*arguments)
    dict(table.agents), dict(table.metadata)
    entry = weakref.getweakrefs(agent)[0]
    type(entry)(agent, entry.__callback__)
    del agent, agents[1:]
    entry.__callback__, list(table), 0 in table, len(table)


check_that_all_are_called()
print_growth(call, call_count=3_000)
