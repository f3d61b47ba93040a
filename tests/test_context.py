"""Contexts: what they hold, how they end, and what foreign code may do meanwhile."""

import asyncio
import copy
import gc
import inspect
import logging
import pickle
import sys
import threading
import weakref

import pytest

import memguard
from memguard import AgentContext, ContextClosed, _agents
from memguard.agents.context import cleanup_failure_count
from memguard.validation import baselines

pytestmark = pytest.mark.native


class Resource:
    """Owns a callback, as tools and handlers do."""

    def __init__(self, name="", log=None):
        self.name, self.log = name, [] if log is None else log

    def on_done(self):
        raise AssertionError("a callback is kept, not called")

    def cleanup(self):
        self.log.append(self.name)


class Slotted(AgentContext):
    __slots__ = ("extra",)

    def __init__(self, task_id, parent_context=None, extra=None):
        super().__init__(task_id, parent_context)
        self.extra = extra


class Open(AgentContext):
    def on_done(self):
        raise AssertionError("a callback is kept, not called")


# What it holds.


@pytest.mark.parametrize("context_class", [baselines.AgentContext, AgentContext])
def test_the_snippet_of_the_report_runs(context_class):
    """Same arguments, same attributes, same cleanup, in both classes."""
    parent = context_class("parent")
    child = context_class(task_id="child", parent_context=parent)
    parent.subtasks.append(child)
    child.data.append("value")
    resource = Resource("cleaned")
    child.callbacks += [resource.on_done, len]
    assert (child.task_id, child.parent_ref(), parent.parent_ref) == ("child", parent, None)
    assert (parent.subtasks, child.data) == ([child], ["value"])
    child.callbacks.remove(len)
    parent.cleanup()
    child.cleanup()
    assert (parent.subtasks, child.data, child.callbacks) == ([], [], [])
    assert resource.log == ["cleaned"]


def test_lists_and_metadata_are_made_once_and_can_be_assigned():
    """What is read twice is the same object, and what is assigned is what is read."""
    context = AgentContext("x")
    for name in "subtasks", "data", "callbacks":
        assert getattr(context, name) == []
        assert getattr(context, name) is getattr(context, name)
        mine = [name]
        setattr(context, name, mine)
        assert getattr(context, name) is mine
    assert context.metadata == {}
    context.metadata["key"] = 1
    assert context.metadata == {"key": 1}
    context.metadata = mine = {}
    assert context.metadata is mine
    context.task_id = ("another", 1)
    assert context.task_id == ("another", 1)


@pytest.mark.parametrize("name", ["subtasks", "data", "callbacks", "metadata", "parent_ref"])
def test_what_is_no_list_is_refused_and_nothing_is_lost(name):
    """The error names the attribute; what was there before is still there."""
    context = AgentContext("x", parent := AgentContext("parent"))
    before = getattr(context, name)
    with pytest.raises(memguard.WrongTypeError, match=name):
        setattr(context, name, object())
    assert getattr(context, name) is before
    assert context.parent is parent


def test_depth_counts_from_the_root_and_outlives_the_parent():
    """A parent that died is None; how deep its child stands is still known."""
    root = AgentContext("root")
    middle = AgentContext("middle", root)
    leaf = AgentContext("leaf", parent_context=middle)
    assert [context.depth for context in (root, middle, leaf)] == [0, 1, 2]
    assert (root.parent, leaf.parent) == (None, middle)
    del middle
    assert (leaf.parent, leaf.parent_ref(), leaf.depth) == (None, None, 2)


@pytest.mark.parametrize(("depth", "expected"), [(3, 4), (-1, 1), ("3", 1), (10**30, 1), (None, 1)])
def test_a_foreign_parent_counts_by_its_own_depth(depth, expected):
    """Only a usable int is a depth."""
    parent = Resource()
    assert AgentContext("x", parent).depth == 1
    parent.depth = depth
    context = AgentContext("x", parent)
    assert (context.depth, context.parent) == (expected, parent)


def test_a_parent_that_cannot_be_weakly_referenced_is_refused():
    """But what is false is no parent, as in the report."""
    with pytest.raises(memguard.WrongTypeError, match="parent_context is of type list"):
        AgentContext("x", [1])
    for nothing in None, 0, "", ():
        assert AgentContext("x", nothing).parent_ref is None


def test_a_parent_can_be_tied_later():
    """With its reference the depth changes, unless the referent is gone."""
    parent = AgentContext("parent", AgentContext("root"))
    context = AgentContext("x")
    context.parent_ref = weakref.ref(parent)
    assert (context.parent, context.depth) == (parent, 2)
    dead = weakref.ref(AgentContext("dead"))
    context.parent_ref = dead
    assert (context.parent, context.depth) == (None, 2)
    context.parent_ref = None
    assert (context.parent, context.depth) == (None, 0)


def test_a_context_is_one_small_object():
    """It has no dict and makes no list before one is asked for."""
    context = AgentContext("x")
    assert not hasattr(context, "__dict__")
    assert gc.get_referents(context) in (["x", *[None] * 5], ["x"])
    assert gc.is_tracked(context)
    report = baselines.AgentContext("x")
    lists = sum(sys.getsizeof(part) for part in (report.data, report.subtasks, report.callbacks))
    assert sys.getsizeof(context) * 2 < sys.getsizeof(report) + lists


def test_it_cannot_be_copied_or_pickled_and_says_so():
    """Its ties are of this process."""
    for context in AgentContext("x"), Slotted("x"), Open("x"):
        for act in copy.copy, copy.deepcopy, pickle.dumps:
            with pytest.raises(memguard.CannotCopyError, match=type(context).__name__) as caught:
                act(context)
            assert isinstance(caught.value, TypeError)


def test_the_repr_tells_task_depth_and_state():
    """Also when it is closed."""
    context = Open("x", AgentContext("parent"))
    assert repr(context) == "<Open 'x' depth 1>"
    context.close()
    assert repr(context) == "<Open 'x' depth 1 closed>"


# Subclasses.


def test_a_subclass_has_attributes_and_slots_of_its_own():
    """With its own arguments, too."""
    slotted = Slotted("x", extra=1)
    assert (slotted.extra, slotted.task_id, hasattr(slotted, "__dict__")) == (1, "x", False)
    opened = Open("y")
    opened.anything = 2
    assert vars(opened) == {"anything": 2}


def test_a_subclass_that_does_not_call_init_has_valid_fields():
    """A root without a task, which works."""

    class Forgets(AgentContext):
        def __init__(self):
            pass

    for context in Forgets(), AgentContext.__new__(AgentContext), Slotted.__new__(Slotted):
        assert (context.task_id, context.parent, context.depth) == (None, None, 0)
        context.data.append(context)
        context.callbacks.append(context.cleanup)
        repr(context)
        context.close()
        assert context.closed


def test_init_again_begins_anew():
    """What was held before is let go, not shared."""
    context = AgentContext("x", parent := AgentContext("parent"))
    context.data.append(1)
    held = context.data
    context.close()
    context.__init__("y")
    assert (context.task_id, context.parent, context.depth, context.data) == ("y", None, 0, [])
    assert context.data is not held
    assert parent.depth == 0


def test_cleanup_of_a_subclass_is_what_close_and_reset_call():
    """While it runs, the context can still be used."""

    class Own(AgentContext):
        def cleanup(self):
            seen.append(list(self.data))
            super().cleanup()

    seen = []
    context = Own("x")
    context.data.append(1)
    context.reset("y")
    context.data.append(2)
    with context:
        pass
    assert seen == [[1], [2]]


def test_finalizers_of_subclasses_may_resurrect():
    """It can be used, and dies for good later."""
    saved = []

    class Phoenix(AgentContext):
        def __del__(self):
            saved.append(self)

    context = Phoenix("x")
    context.data.append(1)
    del context
    (again,) = saved
    assert (again.task_id, again.data) == ("x", [1])
    seen = weakref.ref(again)
    del again
    saved.clear()
    assert seen() is None


# Cleanup.


def test_cleanup_empties_in_place_what_others_hold():
    """Afterwards the context can be used as before."""
    context = AgentContext("x")
    context.metadata["key"] = 1
    held = [context.subtasks, context.data, context.callbacks, context.metadata]
    for part in held[:3]:
        part.append(print)
    context.cleanup()
    assert held == [[], [], [], {}]
    context.cleanup()
    context.data.append(1)
    assert held[1] == [1]


@pytest.mark.parametrize("kind", [list, type("Mine", (list,), {"clear": None, "__iter__": None})])
def test_lists_of_ones_own_are_emptied_whatever_they_override(kind):
    """No method of a subclass of list is asked."""
    context = AgentContext("x")
    context.data = mine = kind([1, 2])
    context.callbacks = kind([Resource("a", log := []).on_done])
    context.cleanup()
    assert (len(mine), log) == (0, ["a"])


def the_cycle_of_the_report(context_class, handler_class):
    context = context_class("x")
    handler = handler_class()
    handler.context = context
    context.callbacks.append(handler.on_done)
    return context, weakref.ref(handler)


class Handler(Resource):
    def cleanup(self):
        self.context.cleanup()


def test_the_report_recurses_on_the_very_cycle_that_its_cleanup_is_for():
    """Context -> callback -> owner -> context."""
    context, _ = the_cycle_of_the_report(baselines.AgentContext, Handler)
    with pytest.raises(RecursionError):
        context.cleanup()


def test_cleanup_opens_the_cycle_that_the_report_is_about():
    """Everything is freed by counting alone."""
    context, handler = the_cycle_of_the_report(AgentContext, Handler)
    seen = weakref.ref(context)
    context.cleanup()
    assert handler() is None
    del context
    assert seen() is None


def chain(context_class, length):
    """Make contexts of which each owns a callback of the one before."""
    first = last = context_class(0)
    members = [first]
    for number in range(1, length):
        member = context_class(number)
        last.callbacks.append(member.on_done)
        members.append(last := member)
    last.callbacks.append(first.on_done)
    return members


class ReportOpen(baselines.AgentContext):
    def on_done(self):
        raise AssertionError("a callback is kept, not called")


def test_a_chain_of_owners_is_cleaned_without_recursion():
    """A hundred thousand contexts, the last of which owns the first."""
    with pytest.raises(RecursionError):
        chain(ReportOpen, 5_000)[0].cleanup()
    members = chain(Open, 100_000)
    for member in members:
        member.data.append(1)
    members[0].cleanup()
    assert not any(member.callbacks or member.data for member in members)


def test_a_chain_of_a_class_with_its_own_cleanup_is_none_either():
    """Each is called once, and what it calls above it adds to the first."""

    class Own(Open):
        def cleanup(self):
            called.append(self.task_id)
            super().cleanup()

    called = []
    chain(Own, 20_000)[0].cleanup()
    assert called == list(range(20_000))


@pytest.mark.parametrize("attribute", ["task_id", "data", "subtasks", "metadata"])
@pytest.mark.parametrize("context_class", [AgentContext, Slotted])
def test_a_long_chain_dies_without_recursion(attribute, context_class):
    """Each context is held only by the one before."""
    context = None
    for _ in range(100_000):
        holder = context_class(context)
        if attribute == "metadata":
            holder.task_id, holder.metadata["next"] = None, context
        elif attribute != "task_id":
            holder.task_id = None
            getattr(holder, attribute).append(context)
        context = holder
    del holder
    seen = weakref.ref(context)
    del context
    assert seen() is None


def test_each_owner_is_cleaned_once():
    """However many callbacks it has, and in however many contexts of one cleanup."""
    owner, log = Resource("owner", log := []), log
    first, second = Open("first"), Open("second")
    first.callbacks += [owner.on_done, owner.on_done, second.on_done, owner.cleanup]
    second.callbacks += [owner.on_done, first.on_done]
    first.cleanup()
    assert log == ["owner"]
    assert second.callbacks == []
    first.callbacks.append(owner.on_done)
    first.cleanup()
    assert log == ["owner", "owner"]


def test_callbacks_without_an_owner_that_cleans_are_left_alone():
    """Functions, built-ins, classes, objects without cleanup, and what is not callable."""

    class Cleans:
        @classmethod
        def make(cls):
            return cls()

        def cleanup(self):
            raise AssertionError("it has no instance here")

    class Odd:
        cleanup = None

        def call(self):
            pass

    context = AgentContext("x")
    context.callbacks += [
        len,
        print,
        lambda: 0,
        [].append,
        Cleans,
        Cleans.make,
        Odd().call,
        7,
        None,
    ]
    failures = _agents.clean(context)
    assert (failures, context.callbacks) == ([], [])


def test_a_class_that_cleans_itself_up_is_an_owner():
    """By a class method."""
    log = []

    class Registry:
        @classmethod
        def call(cls):
            raise AssertionError("not called")

        @classmethod
        def cleanup(cls):
            log.append(cls)

    context = AgentContext("x")
    context.callbacks.append(Registry.call)
    context.cleanup()
    assert log == [Registry]


class Fails(Resource):
    def cleanup(self):
        super().cleanup()
        raise ValueError(f"no {self.name}")


def test_owners_that_fail_are_logged_and_counted_and_stop_nothing(caplog):
    """The others are cleaned up, and the caller notices nothing."""
    log, context, before = [], AgentContext("x"), cleanup_failure_count()
    owners = [Fails("a", log), Resource("b", log), Fails("c", log)]
    context.callbacks += [owner.on_done for owner in owners]
    with caplog.at_level(logging.ERROR, logger="memguard.agents"):
        context.cleanup()
    assert log == ["a", "b", "c"]
    assert [record.name for record in caplog.records] == ["memguard.agents"] * 2
    assert "ValueError: no a" in caplog.text
    assert "ValueError: no c" in caplog.text
    assert cleanup_failure_count() == before + 2


@pytest.mark.parametrize("gather", [_agents.clean, _agents.close_gathering])
def test_failures_can_be_gathered_instead(gather, caplog):
    """In the order in which they happened, those of nested contexts among them."""
    log, first, second = [], Open("first"), Open("second")
    owners = [Fails("a", log), Fails("b", log)]
    first.callbacks += [second.on_done, owners[0].on_done]
    second.callbacks += [owners[1].on_done]
    before = cleanup_failure_count()
    assert [str(failure) for failure in gather(first)] == ["no a", "no b"]
    assert caplog.records == []
    assert cleanup_failure_count() == before + 2
    assert first.closed is (gather is _agents.close_gathering)
    assert gather(first) == []


def test_what_a_cleanup_of_a_subclass_raises_is_gathered_too():
    """Together with what its owners raise."""

    class Own(AgentContext):
        def cleanup(self):
            super().cleanup()
            raise LookupError("own")

    context = Own("x")
    context.callbacks.append(Fails("a", log := []).on_done)
    assert sorted(map(str, _agents.clean(context))) == ["no a", "own"]
    assert sorted(map(str, _agents.close_gathering(context))) == ["own"]
    assert log == ["a"]
    assert context.closed


def test_ctrl_c_in_an_owner_comes_through_when_all_had_their_turn():
    """It is nobody's failure, and nobody is left out for it."""

    class Interrupts(Resource):
        def cleanup(self):
            raise KeyboardInterrupt

    for act in AgentContext.cleanup, AgentContext.close, _agents.clean, _agents.close_gathering:
        log, context = [], AgentContext("x")
        context.callbacks += [Interrupts().on_done, Resource("after", log).on_done]
        with pytest.raises(KeyboardInterrupt):
            act(context)
        assert log == ["after"]
        assert context.closed is (act in (AgentContext.close, _agents.close_gathering))
        other = AgentContext("y")
        other.callbacks.append(Resource("later", log).on_done)
        other.cleanup()
        assert log == ["after", "later"]


def test_an_async_cleanup_of_an_owner_is_a_failure_and_not_forgotten():
    """It cannot be awaited here; nothing is left unawaited either."""

    class Async(Resource):
        async def cleanup(self):
            raise AssertionError("nobody awaits it")

    context = AgentContext("x")
    context.callbacks.append(Async().on_done)
    (failure,) = _agents.clean(context)
    assert "cleanup of Async is of type coroutine function" in str(failure)


def test_foreign_code_may_change_the_lists_meanwhile():
    """What it adds to a context that is cleaned up stays there; to a closed one it cannot."""

    class Adds(Resource):
        def cleanup(self):
            self.context.data.append(1)
            self.context.callbacks.append(self.on_done)
            self.log.append(len(self.context.callbacks))

    for act in AgentContext.cleanup, AgentContext.close:
        context = AgentContext("x")
        context.callbacks.append(adds := Adds().on_done)
        owner = adds.__self__
        owner.context = context
        act(context)
        if act is AgentContext.cleanup:
            assert (owner.log, context.data, context.callbacks) == ([1], [1], [owner.on_done])
            context.callbacks.clear()
        else:
            assert owner.log == [1]
            with pytest.raises(ContextClosed):
                context.data
        seen = weakref.ref(owner)
        del owner, adds, context
        assert seen() is None


def test_finalizers_of_what_is_dropped_may_use_the_context():
    """Clean it up, close it, begin anew, or fill it again."""

    class Acts:
        def __init__(self, act, context):
            self.act, self.context = act, weakref.ref(context)

        def __del__(self):
            self.act(self.context())

    for act in (
        AgentContext.cleanup,
        AgentContext.close,
        AgentContext.reset,
        lambda context: context.data.append(1),
        lambda context: setattr(context, "data", [1]),
        lambda context: setattr(context, "task_id", 1),
        lambda context: context.__init__("again"),
    ):
        for begin in AgentContext.cleanup, AgentContext.reset, AgentContext.close:
            context = AgentContext("x")
            context.task_id = Acts(act, context)
            for part in context.data, context.subtasks, context.callbacks:
                part += [Acts(act, context) for _ in range(3)]
            context.metadata["x"] = Acts(act, context)
            try:
                begin(context)
            finally:
                context.__init__("over")
            assert context.task_id == "over"


def test_two_threads_may_clean_the_same_context_up():
    """Each owner is asked by one of them, and each thread waits for its own only."""
    inside, go_on = threading.Event(), threading.Event()

    class Waits(Resource):
        def cleanup(self):
            inside.set()
            assert go_on.wait(30)
            super().cleanup()

    log, context = [], AgentContext("x")
    context.callbacks += [Waits("slow", log).on_done, Resource("fast", log).on_done]
    thread = threading.Thread(target=context.cleanup)
    thread.start()
    assert inside.wait(30)
    context.callbacks.append(Resource("other", log).on_done)
    context.cleanup()
    assert log == ["other"]
    go_on.set()
    thread.join()
    assert log == ["other", "slow", "fast"]


# The end.


@pytest.mark.parametrize(
    "name", ["subtasks", "data", "callbacks", "metadata", "parent", "parent_ref"]
)
def test_every_use_of_a_closed_context_is_an_error(name):
    """It says which context, and what to do; some things can still be asked."""
    context = AgentContext("the task", parent := AgentContext("parent"))
    context.close()
    with pytest.raises(ContextClosed, match="context of task 'the task' is closed"):
        getattr(context, name)
    if name != "parent":
        with pytest.raises(ContextClosed) as caught:
            setattr(context, name, None)
        assert (caught.value.task_id, caught.value.is_returned) == ("the task", False)
        assert isinstance(caught.value, RuntimeError)
    context.cleanup()
    context.close()
    assert (context.task_id, context.depth, context.closed) == ("the task", 1, True)
    assert not parent.closed


def test_a_closed_context_can_not_be_a_parent():
    """Nor is it one any more."""
    parent = AgentContext("parent")
    child = AgentContext("child", parent)
    parent.close()
    assert child.parent is None
    for begin in lambda: AgentContext("x", parent), lambda: child.reset("x", parent):
        with pytest.raises(ContextClosed):
            begin()
    assert (child.task_id, child.depth, child.closed) == ("child", 1, False)


def test_blocks_close_at_their_end():
    """Both kinds, also when the block raises, and not twice."""

    async def run():
        async with AgentContext("async") as context:
            context.data.append(1)
        assert context.closed
        with pytest.raises(ContextClosed):
            async with context:
                pass
        return context

    assert asyncio.run(run()).closed
    with pytest.raises(ZeroDivisionError):
        with AgentContext("sync") as context:
            1 / 0
    assert context.closed
    with pytest.raises(ContextClosed):
        with context:
            pass


def test_reset_opens_a_closed_context_for_the_next_task():
    """With nothing of what it held before."""
    context = AgentContext("x", AgentContext("parent"))
    context.data.append(1)
    held = context.data
    context.close()
    context.reset("y", parent := AgentContext("other"))
    assert (context.task_id, context.parent, context.depth) == ("y", parent, 1)
    assert (context.closed, context.data) == (False, [])
    assert context.data is not held
    context.reset()
    assert (context.task_id, context.parent, context.depth) == (None, None, 0)


def test_contexts_need_no_collector():
    """A tree with cycles through callbacks, closed and dropped, leaves nothing behind."""

    def serve():
        with AgentContext("root") as root:
            for number in range(3):
                child = Open(number, root)
                root.subtasks.append(child)
                child.callbacks.append(child.on_done)
                child.metadata["parent"] = root
                child.data.append(child)
                child.close()
            root.callbacks.append(Fails("x").on_done)
            assert len(_agents.clean(root)) == 1

    with memguard.scan_created(serve) as report:
        assert (report.cycle_count, report.unreachable_count) == (0, 0)


@pytest.mark.parametrize("context_class", [AgentContext, Open, Slotted])
def test_a_scan_names_what_a_context_holds(context_class):
    """By its attributes, and makes no list by looking."""
    for name in "task_id", "subtasks", "data", "callbacks", "metadata":
        context = context_class("x")
        if name == "task_id":
            context.task_id = [context]
        elif name == "metadata":
            context.metadata["x"] = context
        else:
            getattr(context, name).append(context)
        before = gc.get_referents(context)
        with memguard.scan("live", roots=[context]) as report:
            (shape,) = report.shapes
            assert f"{context_class.__name__}.{name} -> " in shape.path
        assert gc.get_referents(context) == before
        context.task_id = None
        context.cleanup()


def test_a_cycle_that_nobody_opened_is_found_by_the_collector():
    """And by a scan: what a context holds is visible to both."""
    context = Open("x")
    context.callbacks.append(context.on_done)
    seen = weakref.ref(context)
    del context
    report = memguard.scan("garbage")
    assert any("Open" in name for shape in report.shapes for name in shape.type_names)
    report.release()
    gc.collect()
    assert seen() is None
    itself = AgentContext("x")
    itself.task_id = itself
    seen = weakref.ref(itself)
    del itself
    gc.collect()
    assert seen() is None


def every_use():
    parent = AgentContext("parent")
    for context_class in AgentContext, Open, Slotted:
        context = context_class("x", parent)
        context.task_id = object()
        context.data.append(object())
        context.subtasks = [context]
        context.callbacks.append(context.cleanup)
        context.callbacks.append(Fails().on_done)
        context.metadata = {"x": context}
        context.parent_ref = weakref.ref(parent)
        assert context.parent is parent
        assert len(_agents.clean(context)) == 1
        context.reset("y", parent)
        context.__init__("z", parent_context=Resource())
        repr(context)
        for wrong in ([1], "no"):
            with pytest.raises(memguard.WrongTypeError):
                context_class("x", wrong)
            with pytest.raises(memguard.WrongTypeError):
                context.metadata = wrong
        with context:
            pass
        with pytest.raises(ContextClosed):
            context.data


def test_nothing_leaks():
    """Blocks after a thousand rounds are as many as before."""
    for _ in range(50):
        every_use()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(1000):
        every_use()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100


def test_methods_are_what_weak_methods_and_signatures_ask_for():
    """So a callback can be held weakly, as the cookbook has it."""
    context = AgentContext("task")
    held = weakref.WeakMethod(context.cleanup)
    assert held()() is None
    assert str(inspect.signature(AgentContext.reset)) == (
        "(self, task_id=None, parent_context=None)"
    )
    del context
    assert held() is None
