"""What agents do all day, and the ways to do it, as source text.

Covers: the report's classes, memguard's, what users might take instead, and the
floor under all: native methods that take the same arguments and do nothing.
Does not cover: how they are measured (``agents``).

Text and not functions, as ``timeit`` has it: a function for each step would
cost as much as what is measured.
"""

from dataclasses import dataclass

MOST_POOLED = 1_000
"""Contexts that each pool keeps [count]: as many as are in use at once."""

LOOP = "loop"
"""The way that does nothing; its time is taken off the others'."""
FLOOR = "floor"
REPORT = "report"
MEMGUARD = "memguard"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do an operation.

    Attributes:
        name: What it is.
        prepare: Run before each round, not measured; what it makes is shared
            by all threads and tasks.
        begin: The first half of the operation; ``task_id`` is a text that no
            other has.
        end: The second half. Between the two halves a task lets others run.
    """

    name: str
    prepare: str
    begin: str
    end: str


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that agents do, and the ways to do it; the first is the bare loop."""

    name: str
    ways: tuple[Way, ...]


def _construct() -> Operation:
    drop = "del context"
    return Operation(
        "construct",
        (
            Way(LOOP, "", "pass", "pass"),
            Way(FLOOR, "", "context = floor.EmptyContext(task_id)", drop),
            Way(REPORT, "", "context = report.AgentContext(task_id)", drop),
            Way(MEMGUARD, "", "context = memguard.AgentContext(task_id)", drop),
            Way("cdef class, freelist", "", "context = floor.FreeListContext(task_id)", drop),
        ),
    )


def _construct_child() -> Operation:
    ways = []
    for name, cls in (
        (REPORT, "report.AgentContext"),
        (MEMGUARD, "memguard.AgentContext"),
        ("cdef class, freelist", "floor.FreeListContext"),
    ):
        begin = "context = cls(task_id, parent)"
        ways.append(Way(name, f"cls = {cls}; parent = cls('parent')", begin, "del context"))
    begin = "context = floor.EmptyContext(task_id, parent)"
    floor = Way(FLOOR, "parent = floor.EmptyContext('parent')", begin, "del context")
    return Operation("construct a child", (Way(LOOP, "", "pass", "pass"), floor, *ways))


# Each is used as its own documentation would have it: a deque and a queue are
# empty at first, and the classes in them are the report's.
_POOLS = (
    (
        FLOOR,
        "pool = floor.Nothing()",
        "context = pool.get_context(task_id)",
        "pool.return_context(context)",
    ),
    (
        REPORT,
        f"pool = report.CompletedMemoryPool(); pool.max_pool_size = {MOST_POOLED}",
        "context = pool.get_context(task_id)",
        "pool.return_context(context)",
    ),
    (
        MEMGUARD,
        f"pool = memguard.AgentMemoryPool({MOST_POOLED})",
        "context = pool.get_context(task_id)",
        "pool.return_context(context)",
    ),
    (
        "queue.LifoQueue",
        f"pool = queue.LifoQueue({MOST_POOLED})",
        """\
try:
    context = pool.get_nowait()
    context.reset(task_id)
except queue.Empty:
    context = report.ResettableContext(task_id)
""",
        "context.cleanup(); pool.put_nowait(context)",
    ),
    (
        "collections.deque",
        f"pool = collections.deque(maxlen={MOST_POOLED})",
        """\
try:
    context = pool.pop()
    context.reset(task_id)
except IndexError:
    context = report.ResettableContext(task_id)
""",
        "context.cleanup(); pool.append(context)",
    ),
)


def _pool() -> Operation:
    ways = [
        Way(name, prepare, begin, f"{end}; del context") for name, prepare, begin, end in _POOLS
    ]
    drop = "del context"
    ways += [
        Way("report, constructed", "", "context = report.AgentContext(task_id)", drop),
        Way("cdef class, freelist", "", "context = floor.FreeListContext(task_id)", drop),
    ]
    return Operation("get, return", (Way(LOOP, "", "pass", "pass"), *ways))


def _used_pool() -> Operation:
    """The same with contexts that are used; the floor gives none to use."""
    use = "context.data.append(task_id); context.subtasks.append(task_id)"
    ways = [
        Way(name, prepare, f"{begin}\n{use}", f"{end}; del context")
        for name, prepare, begin, end in _POOLS
        if name != FLOOR
    ]
    for name, cls in (
        ("report, constructed", "report.AgentContext"),
        ("cdef class, freelist", "floor.FreeListContext"),
    ):
        ways.append(Way(name, "", f"context = {cls}(task_id)\n{use}", "del context"))
    return Operation("get, use, return", (Way(LOOP, "", "pass", "pass"), *ways))


_REGISTER = "agent = agents.pop(); registry.register(task_id, agent, METADATA)"
_REGISTRIES = (
    (FLOOR, "registry = floor.Nothing()", _REGISTER),
    (REPORT, "registry = report.WeakAgentRegistry()", _REGISTER),
    (MEMGUARD, "registry = memguard.WeakAgentRegistry()", _REGISTER),
    (
        "WeakValueDictionary and dict",
        "registry = weakref.WeakValueDictionary(); metadata = {}",
        "agent = agents.pop(); registry[task_id] = agent; metadata[task_id] = METADATA",
    ),
    (
        "the same, and finalize",
        "registry = weakref.WeakValueDictionary(); metadata = {}",
        """\
agent = agents.pop(); registry[task_id] = agent; metadata[task_id] = METADATA
weakref.finalize(agent, metadata.pop, task_id)
""",
    ),
    (
        "dict of weakref.ref",
        "registry = {}",
        """\
agent = agents.pop()
registry[task_id] = (weakref.ref(agent, lambda _, key=task_id: registry.pop(key)), METADATA)
""",
    ),
)


def _register(name: str, make_agent: str) -> Operation:
    agents = f"agents = [{make_agent} for _ in range(COUNT)]"
    loop = Way(LOOP, agents, "agent = agents.pop()", "del agent")
    ways = [
        Way(way, f"{agents}; {prepare}", begin, "del agent") for way, prepare, begin in _REGISTRIES
    ]
    return Operation(name, (loop, *ways))


def _count(agent_count: int) -> Operation:
    fill = f"""
agents = [Agent() for _ in range({agent_count})]
for number, agent in enumerate(agents): registry.register(number, agent, None)
"""
    call = "registry.get_active_count()"
    ways = [
        Way(FLOOR, f"registry = floor.Nothing()\n{fill}", call, "pass"),
        Way(REPORT, f"registry = report.WeakAgentRegistry()\n{fill}", call, "pass"),
        Way(MEMGUARD, f"registry = memguard.WeakAgentRegistry()\n{fill}", call, "pass"),
    ]
    return Operation(f"count {agent_count:,}", (Way(LOOP, "", "pass", "pass"), *ways))


def _lifecycle() -> Operation:
    return Operation(
        "begin, end",
        (
            Way(LOOP, "", "pass", "pass"),
            Way(
                FLOOR,
                "manager = floor.Nothing()",
                "context = floor.EmptyContext(task_id); manager.register_agent(task_id, context)",
                "manager.finish(task_id); del context",
            ),
            Way(
                REPORT,
                "manager = report.AgentLifecycleManager()",
                "context = report.AgentContext(task_id); manager.register_agent(task_id, context)",
                "manager._cleanup_agent(task_id); del context",
            ),
            Way(
                MEMGUARD,
                "manager = memguard.AgentLifecycleManager()",
                "context = memguard.AgentContext(task_id);"
                " manager.register_agent(task_id, context)",
                "manager.finish(task_id); del context",
            ),
            Way(
                "memguard, as a block",
                "manager = memguard.AgentLifecycleManager()",
                "block = manager.agent(task_id); context = block.__enter__()",
                "block.__exit__(None, None, None); del block, context",
            ),
            Way(
                "dict and cleanup()",
                "active = {}",
                "context = report.AgentContext(task_id); active[task_id] = context",
                "context.cleanup(); del active[task_id], context",
            ),
        ),
    )


OPERATIONS = (
    _construct(),
    _construct_child(),
    _pool(),
    _used_pool(),
    _register("register, drop", "Agent()"),
    _register("register, drop a context", "memguard.AgentContext('task')"),
    _count(100),
    _count(100_000),
    _lifecycle(),
)
