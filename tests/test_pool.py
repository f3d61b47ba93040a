"""Pools of contexts: whose a context is, what is left of it, and who may interfere."""

import asyncio
import copy
import gc
import logging
import os
import pickle
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import memguard
from memguard import AgentContext, AgentMemoryPool, ContextClosed
from memguard.validation import baselines

pytestmark = pytest.mark.native


class Thing:
    """Something of a user, whose end can be seen."""

    def __init__(self, at_end=None):
        self.at_end = at_end

    def on_done(self):
        raise AssertionError("a callback is kept, not called")

    def __del__(self):
        if self.at_end is not None:
            self.at_end()


class Rich(AgentContext):
    """A subclass as users write it."""

    __slots__ = ("__dict__", "tool")

    def __init__(self, task_id, parent_context=None):
        super().__init__(task_id, parent_context)
        self.tool = ["tool"]
        self.steps = 0


class RichBelow(Rich):
    __slots__ = ("lower",)

    def on_done(self):
        raise AssertionError("a callback is kept, not called")


ANY_CLASS = pytest.mark.parametrize("context_class", [AgentContext, Rich, RichBelow])


def counts(pool):
    """Give created, reused, returned, dropped, lost, in use and pooled, which must add up."""
    s = pool.statistics()
    assert s.created_count == s.in_use_count + s.pooled_count + s.dropped_count + s.lost_count
    return (
        *(s.created_count, s.reused_count, s.returned_count, s.dropped_count),
        *(s.lost_count, s.in_use_count, s.pooled_count),
    )


# Handing out and taking back.


def test_the_pool_of_the_report_cannot_hand_out_anything():
    """It makes contexts without a task, and resets what has no reset."""
    pool = baselines.AgentMemoryPool()
    with pytest.raises(TypeError, match="task_id"):
        pool.get_context()
    pool.return_context(baselines.AgentContext("x"))
    with pytest.raises(AttributeError, match="reset"):
        pool.get_context()


def test_the_snippet_of_the_report_runs():
    """Same names, same calls, and the second context is the first one, emptied."""
    pool = AgentMemoryPool()
    assert (pool.max_pool_size, len(pool.context_pool), len(pool.data_pool)) == (50, 0, 0)
    context = pool.get_context()
    context.data.append("value")
    place = id(context)
    pool.return_context(context)
    assert [id(kept) for kept in pool.context_pool] == [place]
    del context
    again = pool.get_context()
    assert id(again) == place
    assert (again.task_id, again.data, again.subtasks, again.callbacks) == (None, [], [], [])


@ANY_CLASS
def test_a_context_that_is_handed_out_again_is_as_new(context_class):
    """With its own task and parent, and without anything from before."""
    pool = AgentMemoryPool(context_class=context_class)
    parent = context_class("parent", AgentContext("root"))
    context = pool.get_context("first", parent)
    assert (context.task_id, context.parent, context.depth) == ("first", parent, 2)
    for part in context.data, context.subtasks, context.callbacks:
        part.append(print)
    context.metadata["x"] = 1
    held = (context.data, context.metadata)
    if context_class is not AgentContext:
        context.steps, context.extra, context.tool = 5, 1, None
    place = id(context)
    pool.return_context(context)
    del context
    context = pool.get_context(task_id="second")
    assert id(context) == place
    assert type(context) is context_class
    assert (context.task_id, context.parent, context.depth) == ("second", None, 0)
    assert (context.data, context.metadata, context.closed) == ([], {}, False)
    assert held == ([], {})
    assert context.data is not held[0]
    assert context.metadata is not held[1]
    if context_class is not AgentContext:
        assert (context.steps, context.tool, hasattr(context, "extra")) == (0, ["tool"], False)
    assert counts(pool) == (1, 1, 1, 0, 0, 1, 0)


@ANY_CLASS
@pytest.mark.parametrize("with_parent", [False, True])
def test_a_loop_that_drops_each_context_when_it_has_the_next_always_hits(
    context_class, with_parent
):
    """Two contexts take turns: the variable holds the one while the other is asked for."""
    pool, parent = AgentMemoryPool(context_class=context_class), AgentContext("parent")
    for number in range(1000):
        context = pool.get_context(number, parent if with_parent else None)
        pool.return_context(context)
    statistics = pool.statistics()
    assert (statistics.created_count, statistics.reused_count) == (2, 998)
    assert statistics.hit_ratio == 0.998
    assert statistics.peak_in_use_count == 1


def test_what_somebody_holds_is_passed_over_and_stays():
    """A handle, a weak reference, or a child that knows it as its parent."""
    pool = AgentMemoryPool()
    held, weak, free = (pool.get_context(name) for name in "abc")
    child, place = AgentContext("child", weak), id(free)
    for context in free, held, weak:
        pool.return_context(context)
    seen = weakref.ref(held)
    del held, weak, free, context
    assert child.parent is None
    first = pool.get_context("x")
    assert id(first) == place
    assert pool.get_context("y").task_id == "y"
    assert pool.statistics().pooled_count == 2
    del child, seen
    others = [pool.get_context(), pool.get_context()]
    assert (pool.statistics().reused_count, pool.statistics().pooled_count) == (3, 0)
    assert len({id(context) for context in (first, *others)}) == 3


def test_only_the_topmost_are_looked_at():
    """A pool full of what is still held costs no more than a new context."""
    pool = AgentMemoryPool()
    contexts = [pool.get_context() for _ in range(6)]
    free = contexts.pop(0)
    pool.return_context(free)
    del free
    for context in contexts:
        pool.return_context(context)
    del context
    pool.get_context()
    assert pool.statistics().reused_count == 0
    contexts.pop()
    pool.get_context()
    assert pool.statistics().reused_count == 1


@pytest.mark.parametrize(
    "name", ["task_id", "parent", "parent_ref", "subtasks", "data", "callbacks", "metadata"]
)
def test_a_handle_that_was_kept_says_so(name):
    """Until it is dropped, whatever happens to the pool; it never reaches into another task."""
    pool = AgentMemoryPool()
    stale = pool.get_context("x")
    pool.return_context(stale)
    for _ in range(3):
        assert pool.get_context("another") is not stale
        with pytest.raises(ContextClosed, match="back in its pool") as caught:
            getattr(stale, name)
        assert (caught.value.task_id, caught.value.is_returned) == (None, True)
        if name != "parent":
            with pytest.raises(ContextClosed):
                setattr(stale, name, None)
    for use in stale.reset, stale.__enter__, lambda: AgentContext("x", stale), stale.__init__:
        with pytest.raises((ContextClosed, TypeError)):
            use()
    with pytest.raises(ContextClosed):
        stale.__init__("x")
    stale.close()
    stale.cleanup()
    assert (stale.closed, stale.depth, repr(stale)) == (True, 0, "<AgentContext back in its pool>")
    pool.clear()
    assert stale.closed


def test_a_closed_context_can_be_returned():
    """A block closes it, and the next task opens it again."""
    pool = AgentMemoryPool()
    with pool.get_context("x") as context:
        context.data.append(1)
    pool.return_context(context)
    del context
    assert pool.get_context("y").closed is False
    assert pool.statistics().reused_count == 1


def test_a_loan_is_returned_at_the_end_of_its_block():
    """Also when the block raises; one loan is for one block at a time."""
    pool = AgentMemoryPool(strict=True)
    for number in range(10):
        with pool.context("x", parent := AgentContext("parent")) as context:
            context.data.append(number)
            assert (context.task_id, context.parent) == ("x", parent)
    with pytest.raises(ZeroDivisionError):
        with pool.context() as context:
            1 / 0
    assert context.closed
    assert pool.statistics().returned_count == 11
    loan = pool.context("twice")
    with loan:
        with pytest.raises(memguard.EnteredTwiceError, match="in use"):
            loan.__enter__()
    with loan as context:
        assert context.task_id == "twice"
    assert pool.statistics().in_use_count == 0


# Errors, after which all is as before.


def test_returning_twice_is_an_error():
    """Whether it lies there, or was dropped because there was no room."""
    for most in 5, 0:
        pool = AgentMemoryPool(most)
        context = pool.get_context("x")
        pool.return_context(context)
        before = counts(pool)
        with pytest.raises(memguard.ReturnedTwiceError, match="AgentContext was returned before"):
            pool.return_context(context)
        assert counts(pool) == before


def test_returning_a_stranger_is_an_error():
    """It says where it is from, and is left as it was."""
    pool, other = AgentMemoryPool(), AgentMemoryPool()
    for stranger, origin in (
        (AgentContext("x"), "made elsewhere"),
        (other.get_context("x"), "of another pool"),
        ("x", "no AgentContext"),
        (None, "no AgentContext"),
    ):
        if isinstance(stranger, AgentContext):
            stranger.data.append(1)
        with pytest.raises(memguard.StrangerError, match=origin) as caught:
            pool.return_context(stranger)
        assert isinstance(caught.value, memguard.PoolError | ValueError)
        assert caught.value.kind == type(stranger).__name__
        if isinstance(stranger, AgentContext):
            assert (stranger.closed, stranger.task_id, stranger.data) == (False, "x", [1])
    assert counts(pool) == (0, 0, 0, 0, 0, 0, 0)
    assert counts(other) == (1, 0, 0, 0, 1, 0, 0)


@ANY_CLASS
def test_a_strict_pool_refuses_what_somebody_still_holds(context_class):
    """A list, a closure, an attribute; once that is gone, it is taken."""
    pool = AgentMemoryPool(strict=True, context_class=context_class)
    context = pool.get_context("x")
    context.data.append(1)
    holders = [context, (context,), {"x": context}]
    with pytest.raises(memguard.StillHeldError, match="besides the caller's") as caught:
        pool.return_context(context)
    # From 3.14 on the stack of the call may borrow its reference.
    assert caught.value.holder_count == 3 - (sys.version_info >= (3, 14))
    assert (context.closed, context.task_id, context.data) == (False, "x", [1])
    assert counts(pool) == (1, 0, 0, 0, 0, 1, 0)
    holders.clear()
    pool.return_context(context)
    assert counts(pool) == (1, 0, 1, 0, 0, 0, 1)


def test_references_of_a_context_to_itself_are_no_holders():
    """As its own callbacks are; what is dropped with it does not count."""
    pool = AgentMemoryPool(strict=True, context_class=RichBelow)
    context = pool.get_context("x")
    context.callbacks += [context.on_done, context.on_done]
    context.data.append(context)
    context.metadata["me"] = context
    context.itself = context
    pool.return_context(context)
    context = pool.get_context("y")
    # From 3.14 on one reference can go unnoticed.
    kept = [context.on_done, context.on_done]
    context.callbacks += kept
    with pytest.raises(memguard.StillHeldError):
        pool.return_context(context)


def test_arguments_that_mean_nothing_are_refused():
    """By the name of the argument; the pool is as before."""
    pool = AgentMemoryPool(5)
    for wrong, error in (-1, memguard.LimitOutOfRangeError), ("5", memguard.WrongTypeError):
        with pytest.raises(error, match="max_pool_size"):
            AgentMemoryPool(wrong)
        with pytest.raises(error, match="max_pool_size"):
            pool.max_pool_size = wrong
        for act in pool.prefill, pool.trim:
            with pytest.raises(error, match="count"):
                act(wrong)
    with pytest.raises(memguard.LimitOutOfRangeError, match="max_pool_size, which is 5"):
        pool.prefill(6)
    with pytest.raises(memguard.LimitOutOfRangeError):
        pool.max_pool_size = 10**30
    for wrong in int, "AgentContext", AgentContext("x"), None:
        with pytest.raises(memguard.WrongTypeError, match="context_class"):
            AgentMemoryPool(context_class=wrong)
    assert (pool.max_pool_size, counts(pool)) == (5, (0,) * 7)


def test_a_parent_that_cannot_be_one_costs_no_context():
    """What lies in the pool still lies there."""
    for context_class in AgentContext, Rich:
        pool = AgentMemoryPool(context_class=context_class)
        pool.prefill(1)
        closed = AgentContext("closed")
        closed.close()
        for wrong, error in ([1], memguard.WrongTypeError), (closed, ContextClosed):
            with pytest.raises(error):
                pool.get_context("x", wrong)
        assert counts(pool) == (1, 0, 0, 0, 0, 0, 1)


def test_it_cannot_be_copied_or_pickled_and_says_so():
    """A pool belongs to its process."""
    for act in copy.copy, copy.deepcopy, pickle.dumps:
        with pytest.raises(memguard.CannotCopyError, match="AgentMemoryPool"):
            act(AgentMemoryPool())


# Size.


def test_a_pool_keeps_no_more_than_its_size():
    """Zero keeps nothing, and works."""
    for most in 0, 2:
        pool = AgentMemoryPool(max_pool_size=most)
        contexts = [pool.get_context() for _ in range(3)]
        for context in contexts:
            pool.return_context(context)
        assert counts(pool) == (3, 0, 3, 3 - most, 0, 0, most)
        assert pool.statistics().peak_in_use_count == 3


def test_the_size_can_be_changed_at_run_time():
    """What is above it is dropped at once, contexts and lists."""
    pool = AgentMemoryPool()
    pool.prefill(5)
    lists = [pool.get_data() for _ in range(5)]
    for data in lists:
        pool.return_data(data)
    pool.max_pool_size = 2
    assert (len(pool.context_pool), len(pool.data_pool), pool.max_pool_size) == (2, 2, 2)
    pool.max_pool_size = 100
    pool.prefill(100)
    assert len(pool.context_pool) == 100
    assert counts(pool) == (103, 0, 0, 3, 0, 0, 100)


@ANY_CLASS
def test_prefilled_contexts_are_handed_out_like_others(context_class):
    """They count as created, not as asked for, returned or in use."""
    pool = AgentMemoryPool(3, context_class=context_class)
    pool.prefill(3)
    pool.prefill(2)
    assert counts(pool) == (3, 0, 0, 0, 0, 0, 3)
    assert pool.statistics().peak_in_use_count == 0
    contexts = [pool.get_context(number) for number in range(3)]
    assert [context.task_id for context in contexts] == [0, 1, 2]
    assert pool.statistics().hit_ratio == 1.0


def test_trim_and_clear_drop_what_is_kept():
    """And tell how many that were; what is in use can still be returned."""
    pool = AgentMemoryPool()
    used = pool.get_context("x")
    pool.prefill(5)
    pool.return_data(pool.get_data())
    assert pool.trim(3) == 2
    assert pool.trim(3) == 0
    assert (len(pool.context_pool), len(pool.data_pool)) == (3, 1)
    pool.clear()
    assert (pool.context_pool, pool.data_pool) == ((), ())
    pool.return_context(used)
    assert counts(pool) == (6, 0, 1, 5, 0, 0, 1)


def test_what_is_lost_is_counted():
    """By counting alone, by the collector, and when it outlives its pool."""
    pool = AgentMemoryPool(context_class=RichBelow)
    pool.get_context("lost")
    assert counts(pool) == (1, 0, 0, 0, 1, 0, 0)
    cyclic = pool.get_context("cyclic")
    cyclic.callbacks.append(cyclic.on_done)
    del cyclic
    assert pool.statistics().in_use_count == 1
    gc.collect()
    assert counts(pool) == (2, 0, 0, 0, 2, 0, 0)
    longer = pool.get_context("longer")
    gone = weakref.ref(pool)
    del pool
    assert gone() is None
    assert longer.task_id == "longer"
    del longer


# Lists.


def test_lists_are_emptied_and_handed_out_again():
    """Under the same rule as contexts."""
    pool = AgentMemoryPool()
    data = pool.get_data()
    data += [1, 2]
    pool.return_data(data)
    assert data == []
    other = pool.get_data()
    assert other is not data
    place = id(data)
    del data
    data = pool.get_data()
    assert id(data) == place
    for stranger in [], {}, None, AgentContext("x"):
        with pytest.raises(memguard.StrangerError):
            pool.return_data(stranger)
    pool.return_data(data)
    with pytest.raises(memguard.ReturnedTwiceError):
        pool.return_data(data)


def test_a_strict_pool_refuses_a_list_that_somebody_still_holds():
    """The list is left as it was."""
    pool = AgentMemoryPool(strict=True)
    data = pool.get_data()
    data.append(1)
    held = [data, data]
    with pytest.raises(memguard.StillHeldError, match="list"):
        pool.return_data(data)
    assert data == [1]
    held.clear()
    pool.return_data(data)


# What is pooled keeps nothing alive.


@ANY_CLASS
def test_nothing_of_the_user_stays_alive(context_class):
    """Whatever the context had, wherever it had it, is gone when it is back."""
    pool, seen = AgentMemoryPool(context_class=context_class), []

    def thing():
        made = Thing()
        seen.append(weakref.ref(made))
        return made

    context = pool.get_context(thing(), parent := thing())
    for part in context.data, context.subtasks, context.callbacks:
        part.append(thing())
    context.callbacks.append(thing().on_done)
    context.callbacks.append(context.cleanup)
    context.metadata["x"] = thing()
    if context_class is not AgentContext:
        context.tool, context.anything = thing(), thing()
    if context_class is RichBelow:
        context.lower = thing()
    del parent
    assert all(ref() is not None for ref in seen if ref is not seen[1])
    pool.return_context(context)
    assert [ref() for ref in seen] == [None] * len(seen)
    assert pool.statistics().pooled_count == 1


def test_what_is_put_into_attributes_after_the_return_reaches_nobody():
    """Attributes of subclasses cannot say that they are closed; they are emptied twice."""
    pool = AgentMemoryPool(context_class=Rich)
    stale = pool.get_context("x")
    its_dict = vars(stale)
    pool.return_context(stale)
    stale.secret = stale.tool = Thing()
    its_dict["other"] = 1
    del stale
    context = pool.get_context("y")
    assert pool.statistics().reused_count == 1
    assert (vars(context), context.tool) == ({"steps": 0}, ["tool"])
    its_dict["later"] = 1
    assert "later" not in vars(context)


def test_a_context_that_was_given_another_class_is_dropped():
    """Its attributes are not those that this pool knows to empty."""

    class Other(Rich):
        __slots__ = ()

    pool = AgentMemoryPool(context_class=RichBelow)
    same_layout = type("SameLayout", (Rich,), {"__slots__": ("lower",)})
    context = pool.get_context("x")
    context.__class__ = same_layout
    pool.return_context(context)
    assert counts(pool) == (1, 0, 1, 1, 0, 0, 0)
    context = pool.get_context("y")
    pool.return_context(context)
    context.__class__ = same_layout
    del context
    assert type(pool.get_context("z")) is RichBelow
    assert counts(pool) == (3, 0, 2, 2, 1, 0, 0)


# Classes of users.


def test_own_cleanup_and_reset_are_called_once_each():
    """Cleanup while the context can still be used, reset with the task of the next."""

    class Own(AgentContext):
        def cleanup(self):
            log.append(("cleanup", self.task_id, list(self.data)))
            super().cleanup()

        def reset(self, task_id=None, parent_context=None):
            log.append(("reset", task_id, parent_context))

    log, pool = [], AgentMemoryPool(context_class=Own)
    context = pool.get_context("x")
    context.data.append(1)
    pool.return_context(context)
    assert log == [("cleanup", "x", [1])]
    del context
    context = pool.get_context("y", parent := AgentContext("parent"))
    assert log[1:] == [("reset", "y", parent)]
    assert (context.task_id, context.parent, context.data) == ("y", parent, [])


def test_what_cleanup_raises_is_logged_and_the_context_taken_all_the_same(caplog):
    """That of the class and those of owners."""

    class Fails(AgentContext):
        def cleanup(self):
            raise ValueError("own")

    class Owner(Thing):
        def cleanup(self):
            raise ValueError("owner")

    for context_class in AgentContext, Fails:
        pool = AgentMemoryPool(context_class=context_class)
        context = pool.get_context("x")
        context.callbacks.append(Owner().on_done)
        with caplog.at_level(logging.ERROR, logger="memguard.agents"):
            pool.return_context(context)
        assert counts(pool) == (1, 0, 1, 0, 0, 0, 1)
    assert caplog.text.count("ValueError: owner") == 2
    assert caplog.text.count("ValueError: own\n") == 1


def test_ctrl_c_in_a_cleanup_comes_through_and_the_context_is_back():
    """Nothing is half returned."""

    class Interrupts(Thing):
        def cleanup(self):
            raise KeyboardInterrupt

    pool = AgentMemoryPool()
    context = pool.get_context("x")
    context.callbacks.append(Interrupts().on_done)
    with pytest.raises(KeyboardInterrupt):
        pool.return_context(context)
    assert counts(pool) == (1, 0, 1, 0, 0, 0, 1)


def test_a_class_that_fails_to_begin_leaves_the_pool_as_it_was():
    """The error is the caller's; the context lies there again, empty."""

    class Picky(AgentContext):
        def __init__(self, task_id, parent_context=None):
            super().__init__(task_id, parent_context)
            self.data.append(thing())
            if task_id == "no":
                raise LookupError("no")

    seen = []

    def thing():
        made = Thing()
        seen.append(weakref.ref(made))
        return made

    pool = AgentMemoryPool(context_class=Picky)
    with pytest.raises(LookupError):
        pool.get_context("no")
    pool.prefill(1)
    before = counts(pool)
    with pytest.raises(LookupError):
        pool.get_context("no")
    assert counts(pool) == before == (1, 0, 0, 0, 0, 0, 1)
    assert all(ref() is None for ref in seen)
    assert pool.get_context("yes").task_id == "yes"


def test_a_class_must_make_a_new_context_each_time():
    """Of its own type."""

    class Single(AgentContext):
        one = None

        def __new__(cls, *arguments):
            Single.one = Single.one or super().__new__(cls)
            return Single.one

    class Another(AgentContext):
        def __new__(cls, *arguments):
            return AgentContext("x")

    pool = AgentMemoryPool(context_class=Single)
    first = pool.get_context("x")
    with pytest.raises(memguard.NotNewError, match="Single"):
        pool.get_context("y")
    assert first is Single.one
    with pytest.raises(memguard.WrongTypeError, match="a new Another"):
        AgentMemoryPool(context_class=Another).get_context("x")


def test_a_pool_that_was_not_initialised_works():
    """With defaults, as a subclass that forgets has it."""

    class Forgets(AgentMemoryPool):
        def __init__(self):
            pass

    for pool in Forgets(), AgentMemoryPool.__new__(AgentMemoryPool):
        pool.return_context(pool.get_context("x"))
        pool.return_data(pool.get_data())
        assert (pool.max_pool_size, counts(pool)) == (50, (1, 0, 1, 0, 0, 0, 1))


def test_a_context_may_be_returned_by_its_finalizer():
    """It lives on in the pool."""

    class Returns(AgentContext):
        def __del__(self):
            pool.return_context(self)

    pool = AgentMemoryPool(context_class=Returns)
    place = id(pool.get_context("x"))
    assert counts(pool) == (1, 0, 1, 0, 0, 0, 1)
    context = pool.get_context("y")
    assert (id(context), context.task_id) == (place, "y")


# Foreign code in the middle of it.


def hostile_acts(pool, context):
    """Make everything that a finalizer or a cleanup might do."""

    def again():
        with pytest.raises(memguard.ReturnedTwiceError):
            pool.return_context(context())

    def take():
        taken.append(pool.get_context("taken"))
        assert taken[-1] is not context()

    def take_and_return():
        pool.return_context(pool.get_context())

    def resize():
        pool.max_pool_size = 0
        pool.max_pool_size = 50

    taken = []
    return [again, take, take_and_return, resize, pool.clear, pool.trim, gc.collect, take, again]


WHERE = ["task_id", "data", "callbacks", "metadata", "owner", "tool"]


def give(context, where, run):
    """Let a context have something that runs this when the context is taken back."""
    thing = Thing(run)
    if where == "owner":
        thing.at_end, thing.cleanup = None, run
        context.callbacks.append(thing.on_done)
    elif where == "metadata":
        context.metadata["x"] = thing
    elif where in ("data", "callbacks"):
        getattr(context, where).append(thing)
    else:
        setattr(context, where, thing)


@pytest.mark.parametrize("where", WHERE)
def test_what_is_dropped_may_use_the_pool(where):
    """Return the same context again, take another, resize, clear: all adds up."""
    classes = (Rich, RichBelow) if where == "tool" else (AgentContext, Rich)
    for context_class in classes:
        for number in range(9):
            pool = AgentMemoryPool(context_class=context_class)
            context, ran, known = pool.get_context("x"), [], []
            act = hostile_acts(pool, lambda known=known: known[0])[number]

            def run(act=act, ran=ran):
                ran.append(1)
                act()

            known.append(context)
            give(context, where, run)
            pool.return_context(context)
            assert ran == [1]
            counts(pool)
            known.clear()
            del context
            contexts = [pool.get_context(task) for task in range(5)]
            assert len({id(one) for one in contexts}) == 5
            assert [one.task_id for one in contexts] == list(range(5))
            counts(pool)


def test_callbacks_of_weak_references_may_use_the_pool():
    """They run while what they refer to is dropped."""
    pool = AgentMemoryPool()
    context = pool.get_context("x")
    thing, ran = Thing(), []

    def gone(ref):
        with pytest.raises(memguard.ReturnedTwiceError):
            pool.return_context(context)
        ran.append(pool.get_context("other"))

    ref = weakref.ref(thing, gone)
    context.data.append(thing)
    del thing
    pool.return_context(context)
    assert ref() is None
    assert ran[0] is not context
    assert counts(pool) == (2, 0, 1, 0, 0, 1, 1)


def test_foreign_code_cannot_fill_what_is_given_back():
    """What it adds while the context is cleaned up is dropped as well, and cleaned up, too."""
    pool, log = AgentMemoryPool(), []

    class Late(Thing):
        def cleanup(self):
            log.append("late")

    class Adds(Thing):
        def cleanup(self):
            context.data.append(self)
            context.callbacks.append(self.on_done)
            context.callbacks.append(Late().on_done)
            context.metadata["x"] = self
            log.append("adds")

    context = pool.get_context("x")
    context.callbacks.append((adds := Adds()).on_done)
    seen = weakref.ref(adds)
    del adds
    pool.return_context(context)
    assert seen() is None
    assert log == ["adds", "late"]
    assert gc.get_referents(context) in ([None] * 6, [])


@pytest.mark.parametrize("most", [50, 3])
@ANY_CLASS
def test_no_context_is_ever_in_two_hands(most, context_class):
    """Eight threads, one pool; the marks that each leaves are its own."""
    pool = AgentMemoryPool(most, context_class=context_class)
    rounds, switch = 1500, sys.getswitchinterval()

    def hammer(number):
        for turn in range(rounds):
            first, second = pool.get_context((number, turn)), pool.get_context(number)
            first.data.append(number)
            second.metadata[number] = turn
            assert (first.task_id, second.task_id) == ((number, turn), number)
            assert (first.data, second.metadata) == ([number], {number: turn})
            pool.return_context(first)
            if turn % 10 == 0:
                pool.trim(1)
            assert (second.task_id, second.metadata) == (number, {number: turn})
            pool.return_context(second)

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(hammer, range(8)))
    finally:
        sys.setswitchinterval(switch)
    assert counts(pool)[4:6] == (0, 0)
    assert pool.statistics().returned_count == 8 * 2 * rounds
    assert pool.statistics().created_count + pool.statistics().reused_count == 16 * rounds


def test_tasks_share_a_pool():
    """A thousand of them, with a peak of what really was in use."""
    pool = AgentMemoryPool(100)

    async def run():
        async def task(number):
            with pool.context(number) as context:
                await asyncio.sleep(0)
                assert context.task_id == number

        await asyncio.gather(*(task(number) for number in range(1000)))

    asyncio.run(run())
    statistics = pool.statistics()
    assert (statistics.peak_in_use_count, statistics.in_use_count) == (1000, 0)
    assert counts(pool) == (1000, 0, 1000, 900, 0, 0, 100)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_a_fork_each_process_has_its_own():
    """What the child does is not seen by its parent, and the other way round."""
    pool = AgentMemoryPool()
    used = pool.get_context("parent's")
    pool.prefill(2)
    before = counts(pool)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            pool.return_context(used)
            pool.get_context("child's")
            pool.clear()
            os.write(writing, repr(counts(pool)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert answer.read() == repr((3, 1, 1, 2, 1, 0, 0))
    os.waitpid(child, 0)
    assert counts(pool) == before
    assert used.task_id == "parent's"
    pool.return_context(used)


# The collector.


def test_pools_need_no_collector():
    """Neither a loop nor the end of a pool with contexts in use leaves anything behind."""

    def serve():
        pool = AgentMemoryPool(context_class=RichBelow)
        kept = pool.get_context("kept")
        for number in range(5):
            with pool.context(number, kept) as context:
                context.callbacks.append(context.on_done)
                context.data.append(kept)
                kept.metadata[number] = context
        pool.return_data(pool.get_data())
        with pytest.raises(memguard.ReturnedTwiceError):
            pool.return_context(context)

    serve()
    with memguard.scan_created(serve) as report:
        assert (report.cycle_count, report.unreachable_count) == (0, 0)


def test_cycles_of_others_through_a_pool_are_found_by_the_collector():
    """Through attributes, a context in use, and a class that holds its own pool."""

    class Orchestrator(AgentMemoryPool):
        pass

    orchestrator = Orchestrator()
    orchestrator.current = orchestrator.get_context("x")
    orchestrator.current.data.append(orchestrator)
    own = type("Own", (AgentContext,), {})
    own.pool = AgentMemoryPool(context_class=own)
    own.pool.prefill(3)
    seen = [weakref.ref(orchestrator), weakref.ref(own)]
    del orchestrator, own
    gc.collect()
    assert [ref() for ref in seen] == [None, None]


def test_what_ends_with_the_interpreter_does_no_harm():
    """Pools and contexts that are left in modules, in use or not, with finalizers."""
    from process import run_fresh

    assert not run_fresh(
        """
        import gc, memguard
        class Own(memguard.AgentContext):
            def __del__(self):
                if not self.closed:
                    self.home.return_context(self)
        pool = Own.home = memguard.AgentMemoryPool(context_class=Own)
        pool.prefill(3)
        used = pool.get_context("x")
        used.data.append(used)
        lists = memguard.FreeList(list, list.clear)
        data = lists.acquire()
        cyclic = pool.get_context("y")
        cyclic.me = cyclic
        del cyclic
        """
    )


def every_use():
    for context_class in AgentContext, RichBelow:
        for strict in False, True:
            pool = AgentMemoryPool(2, strict=strict, context_class=context_class)
            parent = pool.get_context("parent")
            contexts = [pool.get_context(object(), parent) for _ in range(3)]
            for context in contexts:
                context.data.append(object())
                context.callbacks.append(context.cleanup)
                context.metadata["x"] = context
            del context
            with pytest.raises(memguard.WrongTypeError):
                pool.get_context("x", [1])
            while contexts:
                context = contexts.pop()
                pool.return_context(context)
            with pytest.raises(memguard.ReturnedTwiceError):
                pool.return_context(context)
            with pytest.raises(memguard.StrangerError):
                pool.return_context(AgentContext("x"))
            with pool.context("y"):
                pass
            pool.prefill(2)
            pool.trim(1)
            pool.max_pool_size = 5
            pool.return_data(pool.get_data())
            pool.statistics()
            repr(pool)


def test_nothing_leaks():
    """Blocks after many rounds are as many as before."""
    for _ in range(30):
        every_use()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(300):
        every_use()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100


def test_one_thread_may_clear_what_another_returns():
    """All adds up in the end."""
    pool, stop = AgentMemoryPool(context_class=Rich), threading.Event()

    def clear():
        while not stop.is_set():
            pool.clear()

    clearing = threading.Thread(target=clear)
    clearing.start()
    for number in range(3000):
        context = pool.get_context(number)
        context.tool = number
        pool.return_context(context)
    stop.set()
    clearing.join()
    assert counts(pool)[2] == 3000
