"""Who holds an object: ways from roots, what cutting frees, failures, traces."""

import asyncio
import contextvars
import ctypes
import functools
import gc
import itertools
import random
import sys
import threading
import types
import weakref
from collections import deque

import pytest

import memguard
from hostile import another_question, failures, hostile_object
from memguard import _names, _retention
from memguard.agents.lifecycle import AgentLifecycleManager
from memguard.errors import LimitOutOfRangeError, UnknownAgentError, UnknownOptionError
from memguard.heap import ways
from memguard.heap.retention import who_holds, why_alive
from memguard.heap.ways import named_ways

pytestmark = pytest.mark.native


class Thing:
    """What is asked about."""


class Handler:
    """A class that keeps what it saw."""

    _cache: dict[str, object] = {}

    @functools.lru_cache  # noqa: B019
    def parse(self, thing: Thing) -> int:
        """Keep each argument, as the leak does."""
        return 1


@pytest.fixture
def app():
    """Give a module that is imported, for as long as the test lasts."""
    module = types.ModuleType("held_app")
    sys.modules["held_app"] = module
    yield module
    del sys.modules["held_app"]


def test_a_variable_of_a_module_is_named(app):
    """A global container is named by its module, and the entry by the type of its key."""
    thing = Thing()
    app.SESSIONS = {"secret key": [thing]}
    answer = why_alive(thing)
    assert answer.paths == (f"held_app.SESSIONS[str][0] -> {__name__}.Thing",)
    assert answer.holder == "held_app.SESSIONS[str]"
    assert answer.root == "module"
    assert "secret" not in answer.to_json()


def test_an_attribute_of_a_class_is_named(app):
    """What a class keeps is named by the class."""
    thing = Thing()
    app.Handler = Handler
    Handler._cache["x"] = thing
    try:
        assert why_alive(thing).holder.endswith("Handler._cache")
    finally:
        Handler._cache.clear()


def test_a_closure_and_a_default_argument_are_named(app):
    """Variables that functions keep are called as in their code."""
    first, second = Thing(), Thing()

    def make(kept):
        def inner():
            return kept

        return inner

    def other(value=second):
        return value

    app.inner, app.other = make(first), other
    del other
    assert ".<closure kept>" in why_alive(first).paths[0]
    assert ".__defaults__[value]" in why_alive(second).paths[0]


def test_an_lru_cache_on_a_method_is_named(app):
    """The arguments that a cache keeps lead to what was called."""
    thing = Thing()
    app.Handler = Handler
    Handler().parse(thing)
    try:
        path = why_alive(thing).paths[0]
        assert "Handler.parse" in path
        assert "<cached arguments>" in path or "<calls>" in path
    finally:
        Handler.parse.cache_clear()


def test_a_timer_that_holds_a_context_is_named():
    """The timer that copied the context variables is named by its callback."""
    variable = contextvars.ContextVar("request_state")

    def later():
        pass

    async def main():
        loop = asyncio.get_running_loop()
        thing = Thing()
        context = contextvars.copy_context()
        context.run(variable.set, thing)
        timer = loop.call_later(100, later, context=context)
        del context
        answer = why_alive(thing)
        timer.cancel()
        return answer

    path = asyncio.run(main()).paths[0]
    assert "request_state" in path
    assert "timer" in path or "TimerHandle" in path


def test_a_task_is_named():
    """An object in a coroutine's variable leads through its task, by the task's name."""
    tasks = []

    async def job(kept):
        await asyncio.sleep(100)

    async def main():
        thing = Thing()
        tasks.append(asyncio.create_task(job(thing), name="fetch-17"))
        await asyncio.sleep(0)
        answer = why_alive(thing)
        tasks.pop().cancel()
        return answer

    path = asyncio.run(main()).paths[0]
    assert "fetch-17" in path
    assert "<local kept>" in path


def test_a_variable_of_a_frame_below_is_named():
    """A running frame that holds the object is named with its variable."""

    def ask(kept):
        return why_alive(kept)

    def holds():
        mine = [Thing()]
        return ask(mine[0])

    answer = holds()
    assert answer.root == "frame"
    assert "holds().mine[0]" in answer.paths[0]


def test_the_question_is_no_answer():
    """Variables of the frame that asks do not hold what it asks about."""
    thing = Thing()
    assert why_alive(thing).paths == ()
    things = [Thing(), Thing()]
    assert [each.paths for each in who_holds(things).retentions] == [(), ()]


def test_another_threads_question_is_no_answer():
    """Variables of memguard's own functions are not named, whichever thread runs them."""
    thing = Thing()
    with another_question(thing):
        assert why_alive(thing).paths == ()


def test_the_coroutine_that_asks_is_no_answer():
    """Nor does the coroutine whose frame asks."""

    async def main():
        thing = Thing()
        return why_alive(thing)

    assert asyncio.run(main()).paths == ()


def test_a_call_of_the_same_function_below_is_an_answer():
    """Only the frame that asks is the question, not those that wait for it in the same code."""

    def walk(kept, depth):
        if depth == 0:
            return why_alive(kept)
        answer = walk(kept, depth - 1)
        assert kept
        return answer

    answer = walk(Thing(), 3)
    assert answer.root == "frame"
    assert "walk().kept" in answer.paths[0]


def test_another_variable_of_the_frame_that_asks_is_an_answer():
    """A container in the frame that asks is a holder like any other."""
    thing = Thing()
    pool = {"a": thing}
    answer = why_alive(thing)
    assert ".pool[str]" in answer.paths[0]
    assert pool


def test_a_thread_local_is_named():
    """Data of another thread leads there."""
    local = threading.local()
    things, ready, done = [], threading.Event(), threading.Event()

    def run():
        local.kept = things[0]
        ready.set()
        done.wait()

    things.append(Thing())
    thread = threading.Thread(target=run, name="worker-3")
    thread.start()
    ready.wait()
    thing = things.pop()
    try:
        answer = why_alive(thing)
        # The local itself has a holder, and what it leads to is found through that.
        assert "_thread._local" in answer.paths[0] or "worker-3" in answer.paths[0]
    finally:
        done.set()
        thread.join()


def test_a_reference_of_c_code_is_counted():
    """A reference that no object explains is said to be that, with its number."""
    thing = Thing()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    try:
        answer = why_alive(thing)
    finally:
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(thing))
    assert answer.root == "unexplained"
    assert "1 reference that no object explains" in answer.paths[0]
    assert why_alive(thing).paths == ()


def test_paths_share_nothing(app):
    """Several paths go through different holders; what only they hold is freed by all cuts."""
    thing = Thing()
    app.FIRST, app.SECOND, app.THIRD = [thing], {"k": thing}, deque([thing])
    answer = why_alive(thing, paths=5)
    assert len(answer.paths) == 3
    assert {path.split("[")[0] for path in answer.paths} == {
        "held_app.FIRST",
        "held_app.SECOND",
        "held_app.THIRD",
    }
    assert answer.freed_count == 1
    assert why_alive(thing).freed_count == 0


def test_what_cutting_frees_is_what_the_object_holds(app):
    """Freed are the object and what only it holds, not what others hold too."""
    thing = Thing()
    shared = [1]
    app.SHARED = shared
    thing.own = [[], []]
    thing.shared = shared
    app.LAST = [thing]
    answer = why_alive(thing)
    assert answer.freed_count == 4
    assert answer.freed_bytes >= sum(map(sys.getsizeof, [thing, thing.own, *thing.own]))


def test_what_is_not_tracked_is_freed_with_what_holds_it(app):
    """A dict of texts and all in it, and a text that several of the freed share."""
    thing = Thing()
    shared = bytes(7000)
    thing.parts = {"body": bytes(50_000), "pair": (bytes(300), shared)}
    thing.too = [shared]
    app.LAST = [thing]
    freed = [thing, thing.parts, thing.too, shared]
    freed += [thing.parts["body"], thing.parts["pair"], thing.parts["pair"][0]]
    expected_bytes = sum(map(sys.getsizeof, freed))
    del shared, freed
    answer = why_alive(thing)
    assert answer.freed_count == 7
    assert answer.freed_bytes >= expected_bytes
    app.SHARED = thing.too[0]
    assert why_alive(thing).freed_count == 6


def test_the_only_reference_of_c_code_is_cut_like_others():
    """What C code alone holds would be freed without that; by two references, not with one."""
    thing = Thing()
    thing.part = []
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    try:
        assert why_alive(thing).freed_count == 2
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
        try:
            assert why_alive(thing).freed_count == 0
        finally:
            ctypes.pythonapi.Py_DecRef(ctypes.py_object(thing))
    finally:
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(thing))


def test_what_is_asked_about_twice_is_cut_once(app):
    """A reference that no object explains goes on holding it; and nothing is counted twice."""
    thing = Thing()
    body = bytes(3000)
    app.LAST, app.TEXTS = [thing], [body]
    assert who_holds([thing, thing, body, body]).freed_count == 2
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    try:
        assert who_holds([thing, thing]).freed_count == 0
    finally:
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(thing))


def test_what_nothing_holds_is_freed_by_no_cut(app):
    """Of many, too: what only the question holds is not counted."""
    app.LAST = [Thing()]
    assert who_holds([Thing(), app.LAST[0], Thing()]).freed_count == 1


def test_a_batch_groups_holders(app):
    """Many objects are answered in their order, and counted by holder."""
    things = [Thing() for _ in range(40)]
    app.A, app.B = things[:35], dict(enumerate(things[35:]))
    report = who_holds(things)
    assert report.holders == (("held_app.A", 35), ("held_app.B", 5))
    assert report.freed_count == 40
    assert "35 held by held_app.A" in str(report)
    assert len(report.to_dict()["retentions"]) == 40


def test_what_the_collector_does_not_track_has_a_holder(app):
    """A text has a way, too, by the first object on the way that holds it."""
    text = "".join(["not", "interned"])
    app.TEXTS = [text]
    assert why_alive(text).paths == ("held_app.TEXTS[0] -> str",)


def test_what_is_not_tracked_is_found_in_what_is_not_tracked_either(app):
    """A dict of texts is no node of the search; what it holds has a way, and is weighed."""
    body = bytes(50_000)
    app.BODIES = {"first": body}
    app.PARTS = [("name", {"part": "".join(["half", "of it"])})]
    gc.collect()
    assert not gc.is_tracked(app.PARTS[0][1]) or sys.version_info >= (3, 14)
    answer = why_alive(body)
    assert answer.paths == ("held_app.BODIES[str] -> bytes",)
    assert (answer.freed_count, answer.freed_bytes) == (1, sys.getsizeof(body))
    assert why_alive(app.PARTS[0][1]["part"]).paths == ("held_app.PARTS[0][1][str] -> str",)
    app.TOO = [body]
    assert why_alive(body).freed_count == 0
    report = who_holds([body, app.PARTS[0][1]["part"]])
    assert [each.holder for each in report.retentions] == [
        "held_app.BODIES",
        "held_app.PARTS[0][1]",
    ]


def test_a_variable_of_a_thread_that_is_not_tracked_is_named():
    """What a frame of another thread holds, alone or in a dict of such."""
    done, ready, seen = threading.Event(), threading.Event(), []

    def serve():
        body, table = bytes(1000), {"part": bytes(2000)}
        seen.extend((body, table["part"]))
        ready.set()
        done.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    try:
        first, second = why_alive(seen.pop(0)), why_alive(seen.pop(0))
    finally:
        done.set()
        thread.join()
    assert (first.root, second.root) == ("frame", "frame")
    assert first.paths[0].endswith("serve().body -> bytes")
    assert second.paths[0].endswith("serve().table[str] -> bytes")


def test_a_text_that_nobody_else_holds_is_said_to_be(app):
    """Neither the question nor its frame is a holder of what is not tracked."""
    body = bytes(3000)
    assert why_alive(body).paths == ()
    app.BODY = body
    assert why_alive(body).freed_count == 1


def test_frozen_objects_are_on_the_way(app):
    """What gc.freeze() put aside still names a holder."""
    thing = Thing()
    app.FROZEN = [thing]
    gc.freeze()
    try:
        assert why_alive(thing).holder == "held_app.FROZEN"
    finally:
        gc.unfreeze()


def test_no_ways_are_refused():
    """Fewer than one path is an error that says so."""
    with pytest.raises(LimitOutOfRangeError):
        why_alive([], paths=0)


def test_hostile_classes_are_not_run(app):
    """No method of an object on the way is called."""
    hostile = hostile_object(kept=Thing())
    app.HOSTILE = hostile
    thing = object.__getattribute__(hostile, "kept")
    assert why_alive(thing).paths[0].endswith(f".kept -> {__name__}.Thing")


def _distances(edges, root):
    distance = {root: 0}
    waiting = deque([root])
    while waiting:
        source = waiting.popleft()
        for target in edges[source]:
            if target not in distance:
                distance[target] = distance[source] + 1
                waiting.append(target)
    return distance


@pytest.mark.parametrize("seed", range(8))
def test_ways_are_as_short_as_a_search_of_our_own_finds(app, seed):
    """In random graphs the number of references is that of a plain search in breadth."""
    chance = random.Random(seed)
    nodes = [[] for _ in range(60)]
    edges = {place: sorted(chance.sample(range(60), chance.randrange(3))) for place in range(60)}
    for place, targets in edges.items():
        nodes[place].extend(nodes[each] for each in targets)
    app.START = nodes[0]
    asked = nodes[1:]
    del nodes
    distance = _distances(edges, 0)
    found, *_ = _retention.find_ways((asked, *asked), ways._OWN_FOLDER, 1, False)
    lengths = {place: len(objects) - 1 for place, _, objects, _ in found}
    # sys.modules, the module and its dict come before the first list.
    assert lengths == {place - 1: references + 3 for place, references in distance.items() if place}
    for _, root, objects, _ in found:
        assert root[0] == "modules"
        for source, target in itertools.pairwise(objects):
            assert any(each is target for each in gc.get_referents(source))
    for each in asked:
        each.clear()


def test_every_failing_allocation_is_survived(app):
    """Whichever allocation fails, the call says so, leaks nothing, and works again."""
    thing = Thing()
    app.KEPT, app.TOO = [thing], [thing]
    app.TEXTS = {"key": ("text", "".join(["not", "interned"]))}
    asked = [thing, app.TEXTS["key"][1]]
    found = []

    def ask():
        found.append((why_alive(thing, paths=3).paths, who_holds(asked).holders))

    ask()
    assert len([*failures(ask)]) > 20
    ask()
    assert found[0] == found[1] == found[2]


def test_no_trace_is_left(app):
    """Counts of references and tracked objects are as before, and no dict was made."""
    thing = Thing()
    thing.part = 1
    app.KEPT = [thing]
    why_alive(thing)
    counts = sys.getrefcount(thing), sys.getrefcount(app.KEPT), sys.getrefcount(app)
    had_dict = _names.instance_dict(thing) is not None
    gc.collect()
    tracked = len(gc.get_objects())
    why_alive(thing)
    gc.collect()
    assert len(gc.get_objects()) == tracked
    assert (sys.getrefcount(thing), sys.getrefcount(app.KEPT), sys.getrefcount(app)) == counts
    assert (_names.instance_dict(thing) is not None) == had_dict


def test_ways_of_containers_are_texts(app):
    """The short form gives a text for each object, or None."""
    app.TABLE = {}
    assert named_ways([app.TABLE, Thing()]) == ["held_app.TABLE -> dict", None]


def test_ended_agents_that_are_alive_are_named_by_their_holder(app):
    """The manager says how many ended agents are held, and by what; a dead one is none."""
    manager = AgentLifecycleManager(remembers_ended=True)
    app.CACHE = []
    for number in range(5):
        with manager.agent(f"a-{number}") as context:
            if number:
                app.CACHE.append(context)
    del context
    answer = manager.ended_but_alive(older_than_seconds=0)
    assert answer.count == 4
    assert answer.agent_ids == ("a-1", "a-2", "a-3", "a-4")
    assert str(answer) == "4 agents alive 0 s after their end, 4 held by held_app.CACHE"
    assert manager.ended_but_alive(older_than_seconds=3600).count == 0
    assert manager.why_alive("a-2").holder == "held_app.CACHE"
    app.CACHE.clear()
    assert manager.ended_but_alive(older_than_seconds=0).count == 0
    with pytest.raises(UnknownAgentError):
        manager.why_alive("a-2")


def test_contexts_of_a_pool_are_not_remembered():
    """They are kept on purpose, and would not be handed out again."""
    manager, pool = AgentLifecycleManager(remembers_ended=True), memguard.AgentMemoryPool()
    for number in range(20):
        with pool.context(f"a-{number}") as context, manager.agent(f"a-{number}", context):
            pass
        del context
    assert pool.statistics().created_count == 1
    assert manager.ended_but_alive(older_than_seconds=0).count == 0


def test_what_remembers_ended_agents_is_no_cycle(app):
    """It goes with its manager, though agents live on."""
    gc.collect()
    manager = AgentLifecycleManager(remembers_ended=True)
    with manager.agent("lives on") as context:
        app.KEPT = [context]
    entries = weakref.ref(next(iter(manager._ended._entries.values()))[0].__callback__)
    assert entries() is not None
    del manager, context
    assert entries() is None


def test_ended_agents_are_remembered_only_when_wanted():
    """Without the option there is no cost and no answer, and the error names the option."""
    with pytest.raises(UnknownOptionError, match="remembers_ended"):
        AgentLifecycleManager().ended_but_alive()


def test_an_active_agent_is_found_by_its_id(app):
    """An id is looked up where the agents are."""
    manager = AgentLifecycleManager()
    with manager.agent("active") as context:
        app.ACTIVE = [context]
        answer = memguard.why_alive("active", agents=manager.active_agents)
        assert answer.holder == "held_app.ACTIVE"
    app.ACTIVE.clear()
