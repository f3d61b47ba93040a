"""Whose memory and cycles are: agents, tasks, threads, registered owners, what they share."""

import asyncio
import gc
import json
import random
import sys
import threading
import tracemalloc
import types
import uuid
import weakref
from functools import partial

import pytest

import memguard
from hostile import another_question, failures, hostile_object
from memguard import _core, _owners
from memguard.agents.context import AgentContext
from memguard.agents.lifecycle import AgentLifecycleManager
from memguard.agents.registry import WeakAgentRegistry
from memguard.errors import ReportReleasedError, WrongTypeError
from memguard.heap import names
from memguard.heap.owner import SHARED, UNKNOWN, Owner, own
from memguard.heap.owners import owners
from memguard.heap.render.text import render_text
from memguard.heap.saved import SavedReport

pytestmark = pytest.mark.native

LARGE = 1_000_000


class Node:
    """A member of cycles."""


@pytest.fixture
def app():
    """Give a module that is imported, for as long as the test lasts."""
    module = types.ModuleType("owned_app")
    sys.modules["owned_app"] = module
    yield module
    del sys.modules["owned_app"]


def loop_of(*held):
    """Make a cycle of one object that holds some more."""
    node = Node()
    node.itself = node
    node.held = held
    return node


def cycles_of(report):
    """Give the cycles that this module made."""
    return [cycle for cycle in report.cycles if f"{__name__}.Node" in cycle.type_names]


def held_by(name, **options):
    row = owners(**options).row_of(name)
    return 0 if row is None else row.retained_bytes


# --------------------------------------------------------------------- who holds what


def test_an_agent_holds_what_only_its_context_holds(app):
    """The context of an agent, however it is kept, is the agent's, and all below it."""
    manager = AgentLifecycleManager()
    shared = bytearray(LARGE)
    app.shared = shared
    with manager.agent("researcher-17") as context:
        context.data += [bytearray(LARGE), [bytearray(LARGE)], shared]
        app.contexts = [context]
        row = owners().row_of("researcher-17")
        assert row.owner == Owner("agent", "researcher-17")
        assert 2 * LARGE < row.retained_bytes < 2 * LARGE + 10_000
        assert row.own_bytes == row.retained_bytes
        assert str(row) == "agent researcher-17 holds 1.9 MiB"
    app.contexts.clear()


def test_contexts_of_any_class_are_found_by_their_registration(app):
    """An object that is registered as an agent is one, whatever it is."""
    registry = WeakAgentRegistry()
    app.agents = [Node(), Node()]
    for number, agent in enumerate(app.agents):
        agent.memory = bytearray(LARGE)
        registry.register(f"plain-{number}", agent)
    del agent
    report = owners(cycles=False)
    assert {report.row_of(f"plain-{number}").owner.kind for number in range(2)} == {"agent"}
    assert report.row_of("plain-0").retained_bytes > LARGE
    assert report.row_of("plain-0").cycle_count is None


def test_all_objects_of_one_owner_hold_together(app):
    """What is reached through either of two objects of an owner, and nothing else, is its own."""
    part = bytearray(LARGE)
    app.both = [AgentContext("pair"), AgentContext("pair")]
    for context in app.both:
        context.data.append(part)
    del part, context
    row = owners(cycles=False).row_of("pair")
    assert row.retained_bytes > LARGE


def test_what_two_owners_share_is_neither_ones_and_told(app):
    """Bytes that two agents hold and nobody else are shared, not counted twice."""
    before = owners(cycles=False)
    part = [bytearray(LARGE), "".join(["s"] * LARGE)]
    app.both = [AgentContext("one"), AgentContext("other")]
    for context in app.both:
        context.data.append(part)
        context.data.append(part[1])
    del part, context
    report = owners(cycles=False)
    assert report.row_of("one").retained_bytes < 10_000
    assert report.shared_bytes - before.shared_bytes > 2 * LARGE
    assert abs(report.unowned_bytes - before.unowned_bytes) < 100_000
    assert "shared by several owners" in str(report)


def test_an_owner_within_another_is_told_apart():
    """What is inside counts for the outer one as retained, and not as its own."""

    async def work():
        mine = bytearray(LARGE)
        context = AgentContext("inner")
        context.data.append(bytearray(3 * LARGE))
        await asyncio.sleep(100)
        return mine, context

    async def main():
        task = asyncio.create_task(work(), name="outer")
        await asyncio.sleep(0)
        report = owners(cycles=False)
        task.cancel()
        return report.row_of("outer"), report.row_of("inner")

    outer, inner = asyncio.run(main())
    assert outer.owner == Owner("task", "outer")
    assert outer.retained_bytes > 4 * LARGE
    assert LARGE < outer.own_bytes < LARGE + 20_000
    assert 3 * LARGE < inner.own_bytes == inner.retained_bytes < 3 * LARGE + 10_000
    assert outer.retained_bytes == outer.own_bytes + inner.own_bytes


def test_a_task_that_runs_holds_the_variables_of_all_that_it_called():
    """Frames that the coroutine of a task called are the task's, not the thread's."""

    def plain():
        kept = bytearray(LARGE)
        report = owners(cycles=False)
        return report, kept

    async def inner():
        kept = [bytearray(LARGE)]
        return plain()[0], kept

    async def outer():
        kept = bytearray(LARGE)
        return (await inner())[0], kept

    async def main():
        return (await asyncio.create_task(outer(), name="runs"))[0]

    before = owners(cycles=False)
    report = asyncio.run(main())
    assert 3 * LARGE < report.row_of("runs").own_bytes < 3 * LARGE + 20_000
    # The frames of the tests themselves hold what they hold.
    more_bytes = report.row_of("MainThread").own_bytes - before.row_of("MainThread").own_bytes
    assert more_bytes < LARGE


def test_the_agent_of_a_task_is_told():
    """A task in which an agent is the current one says so."""
    manager = AgentLifecycleManager()

    async def work():
        async with manager.agent("current-one"):
            await asyncio.sleep(100)

    async def main():
        task = asyncio.create_task(work(), name="worker")
        await asyncio.sleep(0)
        row = owners(cycles=False).row_of("worker")
        task.cancel()
        return row

    row = asyncio.run(main())
    assert row.owner == Owner("task", "worker", "current-one")
    assert str(row).startswith("task worker (agent current-one) holds ")


@pytest.fixture
def worker():
    """Run a function in a thread of this name; it ends what it does with the test."""
    threads, done = [], threading.Event()

    def start(function, name):
        ready = threading.Event()

        def run():
            kept = function()
            ready.set()
            done.wait()
            return kept

        threads.append(threading.Thread(target=run, name=name))
        threads[-1].start()
        ready.wait()

    yield start
    done.set()
    for thread in threads:
        thread.join()


def test_threads_of_one_name_are_one_owner(app, worker):
    """Their bytes are added up in one row, and their cycles are counted once."""
    app.local = threading.local()

    def fill():
        app.local.parts = [bytearray(LARGE)]
        return loop_of(bytearray(LARGE))

    for _ in range(3):
        worker(fill, "same-name")
    (row,) = [row for row in owners().rows if row.owner.name == "same-name"]
    assert row.cycle_count == 3
    assert 6 * LARGE < row.own_bytes == row.retained_bytes < 6 * LARGE + 20_000


def test_a_thread_holds_its_variables_and_its_local_data(app, worker):
    """Frames of a thread are the thread's, and what it keeps in a `threading.local`."""
    app.local = threading.local()

    def fill():
        app.local.text = "".join(["t"] * LARGE)
        app.local.parts = [bytearray(LARGE)]
        return bytearray(LARGE)

    worker(fill, "worker-3")
    row = owners(cycles=False).row_of("worker-3")
    assert row.owner == Owner("thread", "worker-3")
    assert 3 * LARGE < row.own_bytes < 3 * LARGE + 20_000


def test_the_agent_of_a_thread_is_told(worker):
    """A thread in which an agent is the current one says so."""
    manager = AgentLifecycleManager()

    def begin():
        block = manager.agent("threaded")
        block.__enter__()
        return block, bytearray(LARGE)

    worker(begin, "worker-4")
    assert owners(cycles=False).row_of("worker-4").owner.agent == "threaded"


def test_what_is_registered_has_the_name_that_was_given(app):
    """A registered object owns what only it holds; a new name replaces the old one."""
    app.cache = own(Node(), "page cache")
    app.cache.pages = [bytearray(LARGE)]
    assert held_by("page cache", cycles=False) > LARGE
    own(app.cache, "template cache")
    report = owners(cycles=False)
    assert report.row_of("page cache") is None
    assert str(report.row_of("template cache")).startswith("template cache holds ")


def test_what_another_question_looks_at_is_not_that_threads(app):
    """While another thread is in memguard's code its variables hold nothing."""
    app.context = AgentContext("asked twice")
    app.context.data.append([bytearray(LARGE)])
    with another_question(app.context.data):
        assert held_by("asked twice", cycles=False) > LARGE
        assert memguard.retained_size(app.context).retained_bytes > LARGE


def test_to_register_keeps_nothing_alive(app):
    """A registered object dies with its last reference, and is forgotten."""
    thing = own(Node(), "short-lived")
    reference = weakref.ref(thing)
    del thing
    assert reference() is None
    assert owners(cycles=False).row_of("short-lived") is None


def test_what_cannot_be_registered_says_why():
    """Lists have no weak references, and a name is a text."""
    with pytest.raises(WrongTypeError, match="weakly"):
        own([], "list")
    with pytest.raises(WrongTypeError, match="name"):
        own(Node(), "")
    with pytest.raises(WrongTypeError, match="name"):
        own(Node(), 3)


def test_ids_that_would_run_code_are_shown_by_class(app):
    """Only texts, numbers and UUIDs are shown; of other ids no method is called."""

    class Id:
        def __repr__(self):
            raise AssertionError

        __str__ = __format__ = __repr__

        def __eq__(self, other):
            raise AssertionError

        def __hash__(self):
            return 1

    number = uuid.uuid4()
    app.contexts = [AgentContext(Id()), AgentContext(17), AgentContext(number)]
    registry = WeakAgentRegistry()
    app.agent = Node()
    registry.register(Id(), app.agent)
    names = {row.owner.name for row in owners(cycles=False).rows if row.owner.kind == "agent"}
    assert {"17", str(number)} <= names
    assert sum(".Id at 0x" in name for name in names) == 2


def test_ids_that_cannot_be_written_are_shown_by_class(app):
    """Numbers of more digits than Python writes, and UUIDs that hold none or anything else."""

    class Index:
        def __index__(self):
            raise AssertionError

    empty, evil = object.__new__(uuid.UUID), object.__new__(uuid.UUID)
    object.__setattr__(evil, "int", Index())
    app.contexts = [AgentContext(each) for each in (10**5_000, empty, evil)]
    shown = [row.owner.name for row in owners(cycles=False).rows if row.owner.kind == "agent"]
    assert sorted(name.partition(" at ")[0] for name in shown) == [
        "<builtins.int",
        "<uuid.UUID",
        "<uuid.UUID",
    ]


def test_names_stay_on_their_line(app):
    """Whatever is in a name, it neither ends the line nor reaches the terminal as a command."""
    app.evil = own(Node(), "evil\nname \x1b[2J\udc80")
    report = owners(cycles=False)
    assert str(report.row_of("evil\nname \x1b[2J\udc80").owner) == "evil\\nname \\x1b[2J\\udc80"
    assert str(report).isascii()


def test_one_that_has_several_ids_is_the_same_owner_everywhere(app):
    """Rows and cycles say the same of an object that was registered twice."""
    registry = WeakAgentRegistry()
    app.agent = Node()
    for agent_id in ("first", "second"):
        registry.register(agent_id, app.agent)
    loop_of(app.agent)
    with memguard.scan() as report:
        (cycle,) = cycles_of(report)
        assert owners().row_of(cycle.owner.name).cycle_count == 1


def test_tasks_that_were_never_initialised_are_no_matter(app):
    """A task whose `__init__` was not called, or failed, does not end the process."""

    class Broken(asyncio.Task):
        def __init__(self):
            app.broken = self
            super().__init__(17, loop=loop)

    app.empty = asyncio.Task.__new__(asyncio.Task)
    loop = asyncio.new_event_loop()
    with pytest.raises(TypeError):
        Broken()
    loop.close()
    loop_of(app.broken)
    assert owners().row_of("").owner == Owner("task")


def test_a_module_that_is_being_loaded_is_no_matter(monkeypatch):
    """What another thread imports just now has no classes yet."""
    for name in ("_asyncio", "memguard._agents", "memguard._registry"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    loop_of(own(Node(), "elsewhere"))
    assert owners().row_of("elsewhere").cycle_count == 1


def test_own_bytes_have_nothing_in_common_and_add_up(app, worker):
    """What owners have, what they share and what nobody owns is all that is alive."""
    worker(lambda: [bytearray(LARGE)], "adds-up")
    app.contexts = [AgentContext(f"adds-{number}") for number in range(3)]
    for context in app.contexts:
        context.data += [bytearray(1_000), app.contexts]
    del context
    report = owners(cycles=False)
    own_count = sum(row.own_count - row.garbage_count for row in report.rows)
    counts = own_count, report.shared_count, report.unowned_count
    assert min(own_count, report.unowned_count) > 0
    # What the collector tracks, but for garbage, and what it does not track.
    assert sum(counts) > 0.95 * report.object_count
    assert all(row.own_bytes <= row.retained_bytes for row in report.rows)


def test_texts_that_owners_without_a_common_holder_share_are_alive():
    """What comes together nowhere but at the roots counts among what is alive."""
    before = owners(cycles=False)
    text = ["".join(["s"] * LARGE)]
    begun, done = threading.Semaphore(0), threading.Event()

    def hold(kept):
        begun.release()
        done.wait()
        return kept

    threads = [threading.Thread(target=lambda: hold(text[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
        begun.acquire()
    text.clear()
    report = owners(cycles=False)
    done.set()
    for thread in threads:
        thread.join()
    more_bytes = [
        after - first
        for after, first in (
            (report.shared_bytes, before.shared_bytes),
            (report.unowned_bytes, before.unowned_bytes),
        )
    ]
    assert LARGE < more_bytes[0] < LARGE + 20_000
    assert -20_000 < more_bytes[1] < 20_000


def test_garbage_does_not_share_texts_and_buffers_that_are_alive(app):
    """What garbage refers to, too, is the agent's, whether garbage is looked for or not."""
    app.context = AgentContext("buffers")
    app.context.data += [bytearray(LARGE), ("".join(["t"] * LARGE),)]
    gc.collect()  # the tuple is not tracked from here on
    loop_of(app.context.data[0], app.context.data[1], app.context.data[1][0])
    for cycles in (False, True):
        assert 2 * LARGE < held_by("buffers", cycles=cycles) < 2 * LARGE + 10_000
    assert memguard.retained_size(app.context).retained_bytes > 2 * LARGE


def test_keys_of_dicts_are_theirs(app):
    """Texts by which a dict finds its entries are held by it, whatever its values are."""
    app.context = AgentContext("keys")
    for value in ([], 1):
        app.context.data.append({"".join(["k"] * LARGE): value})
        app.context.data.append({number * LARGE: value for number in (2**70, "n")})
    assert 4 * LARGE < held_by("keys", cycles=False) < 4 * LARGE + 10_000


@pytest.mark.parametrize("make", [list, dict, set, tuple], ids=lambda make: make.__name__)
def test_asking_of_holder_and_held_at_once_changes_neither(app, make):
    """That the question holds a text, too, takes it from nobody."""
    texts = ["".join([letter] * LARGE) for letter in "abc"]
    app.holder = make((text, text) for text in texts) if make is dict else make(texts)
    del texts
    gc.collect()
    sizes = memguard.retained_sizes([app.holder, *app.holder])
    assert 3 * LARGE < sizes[0].retained_bytes == memguard.retained_size(app.holder).retained_bytes
    assert sizes[0].retained_count == 4
    assert [size.retained_count for size in sizes[1:]] == [1, 1, 1]


# --------------------------------------------------------------------- against an oracle


def reached(edges, starts, without=()):
    seen = set()
    waiting = [start for start in starts if start not in without]
    while waiting:
        vertex = waiting.pop()
        if vertex not in seen:
            seen.add(vertex)
            waiting += [target for target in edges[vertex] if target not in without]
    return seen


@pytest.mark.parametrize("seed", range(12))
def test_owners_agree_with_plain_searches(app, seed):
    """In random graphs, with owners of one object each and of several."""
    chance = random.Random(seed)
    size, owner_count = chance.choice([12, 40, 90]), 1 + seed % 4
    edges = [
        [chance.randrange(size) for _ in range(chance.choice([0, 1, 1, 2, 3]))] for _ in range(size)
    ]
    each_has = 1 if seed % 2 else 3
    marked = chance.sample(range(size), owner_count * each_has)
    marks = [marked[number::owner_count] for number in range(owner_count)]
    starts = [0, chance.randrange(size)]
    nodes = [[] for _ in range(size)]
    for node, targets in zip(nodes, edges, strict=True):
        node.extend(nodes[target] for target in targets)
    app.start = [nodes[start] for start in starts]
    del node
    numbers = [number for number, its in enumerate(marks) for _ in its]
    asked = (*(nodes[place] for its in marks for place in its), *nodes, None)
    held, belongings, shared, *_ = _owners.weigh_owners(
        asked, names.OWN_FOLDER, numbers, [0] * owner_count, question=nodes
    )
    alive = reached(edges, starts)
    own_count = 0
    for number, its in enumerate(marks):
        gone = alive - reached(edges, starts, without=its)
        assert held[number][1] <= len(gone)
        own_count += held[number][3]
        if each_has == 1:
            assert held[number][1] == len(gone)
            assert held[number][0] == sum(sys.getsizeof(nodes[place]) for place in gone)
    of_owners = alive - reached(edges, starts, without=marked)
    assert own_count + shared[1] - len_of_shared_before(app) == len(of_owners)
    for place in alive:
        number = belongings[place][2]
        if place in of_owners:
            assert number == _owners.SHARED or place not in reached(
                edges, starts, without=marks[number]
            )
        else:
            assert number == _owners.NOBODY
    app.start.clear()
    for node in nodes:
        node.clear()


def len_of_shared_before(app):
    """Objects that this process shares between frames of its threads, without the graph."""
    kept, app.start = app.start, []
    _, _, shared, *_ = _owners.weigh_owners((), names.OWN_FOLDER, [], [])
    app.start = kept
    return shared[1]


# --------------------------------------------------------------------- cycles


def test_a_garbage_cycle_is_that_of_the_agent_whose_context_is_in_it():
    """The context of an ended agent in a garbage cycle says whose it was."""
    manager = AgentLifecycleManager()
    with manager.agent("researcher-17", Node()) as context:
        context.itself = context
        context.notes = bytearray(LARGE)
    del context
    pooled = AgentContext("researcher-18")
    pooled.data.append(loop_of(pooled))
    del pooled
    with memguard.scan() as report:
        found = {str(cycle.owner) for cycle in cycles_of(report)}
        assert "agent researcher-18" in found
    row = owners().row_of("researcher-18")
    assert row.cycle_count == 1
    assert row.garbage_bytes == row.retained_bytes > 0


def test_a_garbage_cycle_is_that_of_the_agent_that_it_refers_to(app):
    """Without a context in it, the nearest one that it leads to tells."""
    manager = AgentLifecycleManager()
    with manager.agent("near") as near, manager.agent("far", detached=True) as far:
        app.contexts = [near, far]
        loop_of([near], [[[[far]]]]).held[0].append(bytearray(LARGE))
        with memguard.scan() as report:
            (cycle,) = cycles_of(report)
            assert cycle.owner == Owner("agent", "near")
            assert cycle.shape.owners == {Owner("agent", "near"): 1}
        report = owners()
        assert report.row_of("near").garbage_bytes > LARGE
        assert report.row_of("near").cycle_count == 1
    app.contexts.clear()


def test_a_garbage_cycle_of_two_agents_is_shared():
    """Contexts of parent and child on one cycle: neither alone."""
    parent, child = AgentContext("parent"), AgentContext("child")
    parent.data.append(child)
    child.data.append(parent)
    parent.metadata["node"] = loop_of(parent)
    del parent, child
    with memguard.scan() as report:
        (cycle,) = cycles_of(report)
        assert cycle.owner == Owner("shared", "agent child, agent parent")
    rows = [row for row in owners().rows if row.owner.kind == "shared"]
    assert [row.cycle_count for row in rows] == [1]


def test_a_garbage_cycle_of_which_nothing_tells_is_unknown():
    """Nothing is guessed."""
    loop_of(bytearray(LARGE))
    with memguard.scan() as report:
        (cycle,) = cycles_of(report)
        assert cycle.owner == UNKNOWN
        assert str(cycle.owner) == "unknown"
    row = next(row for row in owners().rows if row.owner == UNKNOWN)
    assert row.garbage_bytes > LARGE


def test_garbage_that_holds_garbage_is_counted_once():
    """Of two cycles, one of which holds the other, each has its own bytes."""
    inner, outer = own(loop_of(bytearray(LARGE)), "inner"), own(loop_of(), "outer")
    outer.inner = inner
    del inner, outer
    report = owners()
    assert LARGE < report.row_of("inner").retained_bytes < LARGE + 5_000
    assert 0 < report.row_of("outer").retained_bytes < 5_000


def test_garbage_does_not_share_what_is_alive(app):
    """A garbage cycle that refers to what an agent holds does not take it from the agent."""
    app.context = AgentContext("undisturbed")
    app.context.data.append([bytearray(LARGE)])
    loop_of(app.context.data[0])
    assert held_by("undisturbed") > LARGE


def test_a_live_cycle_is_that_of_its_holder(app):
    """A cycle that only an agent's context holds is the agent's; its bytes are as well."""
    app.context = AgentContext("holder")
    for _ in range(3):
        app.context.data.append(loop_of(bytearray(LARGE)))
    with memguard.scan("live") as report:
        assert {cycle.owner for cycle in cycles_of(report)} == {Owner("agent", "holder")}
        held = {row.owner: row for row in report.owners}[Owner("agent", "holder")]
        assert held.cycle_count == 3
        assert str(held) == "agent holder holds 2.9 MiB in 3 cycles"
    assert str(owners().row_of("holder")) == "agent holder holds 2.9 MiB in 3 cycles"


def test_a_live_cycle_of_a_task_a_thread_and_a_registered_owner(app, worker):
    """Each kind of owner has its cycles."""
    app.registered = own(Node(), "table")
    app.registered.part = loop_of()
    worker(lambda: [loop_of()], "cycle-worker")

    async def work():
        kept = [loop_of()]
        await asyncio.sleep(100)
        return kept

    async def main():
        task = asyncio.create_task(work(), name="cycle-task")
        await asyncio.sleep(0)
        with memguard.scan("live") as report:
            found = {str(cycle.owner) for cycle in cycles_of(report)}
        task.cancel()
        return found

    assert asyncio.run(main()) == {"table", "thread cycle-worker", "task cycle-task"}


def test_a_live_cycle_that_two_agents_hold_is_shared_and_one_of_a_module_is_unknown(app):
    """What is nobody's is not given to anybody."""
    app.contexts = [AgentContext("left"), AgentContext("right")]
    node = loop_of()
    for context in app.contexts:
        context.data.append(node)
    app.plain = Node()
    app.plain.itself = app.plain
    del node, context
    with memguard.scan("live") as report:
        found = {cycle.owner for cycle in cycles_of(report)}
    assert found == {SHARED, UNKNOWN}
    whole = owners()
    assert whole.shared_cycle_count >= 1
    assert whole.unowned_cycle_count >= 1


def test_a_live_cycle_through_two_agents_is_counted_as_shared(app):
    """It has no row, which garbage of the same owners has, and is not lost."""
    before = owners().shared_cycle_count
    for is_garbage in (True, False):
        parent, child = AgentContext("parent"), AgentContext("child")
        parent.data.append(child)
        child.data.append(parent)
        parent.metadata["node"] = loop_of(parent)
        app.parent = None if is_garbage else parent
        del parent, child
    report = owners()
    assert report.shared_cycle_count == before + 1
    assert [row.cycle_count for row in report.rows if row.owner.kind == "shared"] == [1]


def test_reports_tell_owners_of_garbage_and_of_live_cycles_once_asked(app):
    """Text, plain values and page say whose cycles are; for live ones after `owners` was read."""
    app.context = AgentContext("shown")
    app.context.data.append(loop_of())
    loop_of(app.context)
    with memguard.scan() as report:
        assert "of agent shown (1)" in report.to_text()
        document = json.loads(report.to_json())
        assert {"agent shown": 1} in [shape["owners"] for shape in document["shapes"]]
        assert "agent shown" in report.to_html()
        saved = SavedReport.from_dict(document)
        assert {"agent shown": 1} in [shape.told_owners for shape in saved.shapes]
        assert "of agent shown (1)" in render_text(saved, width=100, most_shapes=20)
    with memguard.scan("live") as report:
        assert "of agent shown" not in render_text(report, width=100, most_shapes=10_000)
        assert report.owners
        assert "of agent shown (1)" in render_text(report, width=100, most_shapes=10_000)


def test_where_members_were_made_is_told_while_tracemalloc_traces():
    """File and line of the members, with tracing; nothing without."""
    loop_of()
    with memguard.scan() as report:
        assert cycles_of(report)[0].allocated_at == {}
    gc.collect()
    tracemalloc.start()
    try:
        node = loop_of()
        # Of instances themselves tracemalloc of 3.11 does not know it.
        node.itself = [node]
        del node
        with memguard.scan() as report:
            places = cycles_of(report)[0].allocated_at
            assert next(iter(places)).startswith(f"{__file__}:")
            assert "made at" in report.to_text()
            assert places in [shape["allocated_at"] for shape in report.to_dict()["shapes"]]
    finally:
        tracemalloc.stop()


def test_a_released_report_tells_what_was_asked_before():
    """Owners that were found stay readable, others are an error that says why."""
    loop_of(own(Node(), "asked"))
    with memguard.scan() as report:
        (cycle,) = cycles_of(report)
        first = cycle.owner
    assert cycle.owner == first == Owner("registered", "asked")
    with memguard.scan() as report:
        (cycle,) = cycles_of(report)
    with pytest.raises(ReportReleasedError):
        _ = cycle.owner
    with pytest.raises(ReportReleasedError):
        _ = cycle.allocated_at


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has snapshots")
def test_cycles_of_a_snapshot_have_owners(app):
    """They are looked for again; one that is gone has no owner that is known."""
    app.context = AgentContext("in snapshot")
    app.context.data.append(loop_of())
    loop_of(app.context)
    gc.collect()
    loop_of(app.context)
    with memguard.scan(mode="snapshot") as report:
        assert [str(cycle.owner) for cycle in cycles_of(report)] == ["agent in snapshot"]
    with memguard.scan("live", mode="snapshot") as report:
        assert [str(cycle.owner) for cycle in cycles_of(report)] == ["agent in snapshot"]


def test_what_is_near_many_cycles_is_not_listed_for_each():
    """Of a large container that cycles refer to only the first of its parts are looked at."""
    large = [[number] for number in range(100_000)]
    large.append(own(Node(), "nearest"))  # lists begin with their last
    loop_of(large)
    with memguard.scan() as report:
        (cycle,) = cycles_of(report)
        tracemalloc.start()
        try:
            assert str(cycle.owner) == "nearest"
            # A list of them all would take 800 kB.
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()


# --------------------------------------------------------------------- without a trace


def test_no_trace_is_left(app):
    """Counts of references, tracked objects and native memory are as before."""
    app.context = AgentContext("traceless")
    app.context.data.append(loop_of())
    owners()
    before_bytes = _core._native_bytes()
    counts = sys.getrefcount(app.context), sys.getrefcount(app.context.data[0])
    gc.collect()
    tracked = len(gc.get_objects())
    owners()
    gc.collect()
    assert len(gc.get_objects()) == tracked
    assert (sys.getrefcount(app.context), sys.getrefcount(app.context.data[0])) == counts
    assert _core._native_bytes() == before_bytes


def test_what_memguard_makes_for_the_question_is_nobodys():
    """Lists and texts that the question needs are not found by it."""
    own_bytes = []
    for count in (0, 0, 2_000):
        contexts = [AgentContext(f"many-{number}") for number in range(count)]
        own_bytes.append(owners(cycles=False).row_of("MainThread").own_bytes)
    # The list of contexts, and nothing of that size that memguard made.
    more_bytes = own_bytes[2] - own_bytes[1]
    assert sys.getsizeof(contexts) - 100 < more_bytes < sys.getsizeof(contexts) + 12_000


def test_every_failing_allocation_is_survived(app):
    """Whichever allocation fails, the call says so, leaks nothing, and works again."""
    app.context = AgentContext("robust")
    app.context.data += [loop_of(), ("a" * 50, "b" * 50), bytearray(10)]
    loop_of(app.context)
    expected = owners().row_of("robust")
    asked = (app.context, app.context.data[0], app.context.data)
    weigh = partial(_owners.weigh_owners, asked, names.OWN_FOLDER, [0, 1, 1], [0, 0], 1)
    assert len([*failures(weigh)]) > 20
    del asked, weigh
    assert owners().row_of("robust") == expected


@pytest.mark.parametrize(
    "call", [lambda: _owners.find_instances((list,)), _owners.thread_data], ids=["types", "threads"]
)
def test_lists_of_objects_survive_failing_allocations(call):
    """Likewise for the lists that go before."""
    before_bytes = _core._native_bytes()
    _core._fail_allocation_at(1)
    try:
        with pytest.raises(MemoryError):
            call()
    finally:
        _core._fail_allocation_at(0)
    assert _core._native_bytes() == before_bytes
    assert call()


def test_what_is_no_type_is_refused():
    """Instances are found by types only."""
    with pytest.raises(TypeError):
        _owners.find_instances((1,))


def test_hostile_classes_are_not_run(app):
    """No method of an object that is looked at is called, nor of its class."""
    hostile = hostile_object()
    object.__setattr__(hostile, "itself", hostile)
    own(hostile, "hostile one")
    app.hostile = hostile
    assert held_by("hostile one") > 0
    del app.hostile, hostile
    assert owners().row_of("hostile one").cycle_count == 1


def test_many_tasks_and_agents_are_told_in_one_call():
    """Rows are those that hold most first, the rest is counted."""
    contexts = [AgentContext(f"a-{number:03}") for number in range(300)]
    for number, context in enumerate(contexts):
        context.data.append(bytearray(100 * number))
    report = owners(cycles=False)
    agents = [row for row in report.rows if row.owner.name.startswith("a-")]
    assert [row.owner.name for row in agents[:2]] == ["a-299", "a-298"]
    assert len(agents) == 300
    assert "more owners with" in report.to_text(most_rows=5)
    assert len(report.to_dict()["rows"]) == len(report.rows)
    assert json.loads(report.to_json())["rows"][0]["owner"]["text"] == str(report.rows[0].owner)
