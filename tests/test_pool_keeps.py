"""What stays with a context in its pool: emptied lists and dicts, and nothing of anybody."""

import gc
import weakref

import pytest

from memguard import AgentContext, AgentMemoryPool, ReturnedTwiceError

pytestmark = pytest.mark.native

PARTS = pytest.mark.parametrize("part", ["data", "subtasks", "callbacks", "metadata"])


class Thing:
    """Something of a user, whose end can be seen and used."""

    def __init__(self, at_end=lambda thing: None):
        self.at_end = at_end

    def __del__(self):
        self.at_end(self)


class Own(AgentContext):
    """A subclass as users write it."""

    __slots__ = ()


def put(context, part, thing):
    held = getattr(context, part)
    if part == "metadata":
        held["key"] = thing
    else:
        held.append(thing)


def stayed(pool):
    """Give the lists and dicts of what lies in a pool, as the collector sees them."""
    return [
        thing
        for context in pool.context_pool
        for thing in gc.get_referents(context)
        if type(thing) in (list, dict)
    ]


def use(pool, part="data", thing=None, parent=None):
    """Use a context as an agent does, and give it back."""
    context = pool.get_context("agent", parent)
    put(context, part, Thing() if thing is None else thing)
    identity = id(getattr(context, part))
    pool.return_context(context)
    return identity


@pytest.mark.parametrize("part", ["data", "subtasks", "metadata"])
@pytest.mark.parametrize("has_parent", [False, True])
def test_what_was_emptied_is_used_again(part, has_parent):
    """The same list or dict, with nothing in it, also below a parent."""
    pool, parent = AgentMemoryPool(), AgentContext("parent") if has_parent else None
    thing = Thing()
    gone = weakref.ref(thing)
    identity = use(pool, part, thing, parent)
    del thing
    assert gone() is None
    assert [len(held) for held in stayed(pool)] == [0]
    context = pool.get_context("next", parent)
    assert id(getattr(context, part)) == identity
    assert not getattr(context, part)
    assert context.parent is parent
    assert context.depth == has_parent
    assert not context.data
    assert not context.subtasks
    assert not context.callbacks
    assert not context.metadata
    pool.return_context(context)
    # A parent is gone with its child's end.
    kept = weakref.ref(parent) if has_parent else lambda: None
    del parent
    assert kept() is None


@pytest.mark.parametrize("falsy", [0, "", ()])
def test_what_is_no_parent_leaves_lists_as_they_were(falsy):
    """As the report's class has it."""
    pool = AgentMemoryPool()
    identity = use(pool)
    context = pool.get_context("next", falsy)
    assert context.parent is None
    assert (id(context.data), context.data) == (identity, [])
    context.data.append(1)
    pool.return_context(context)
    assert pool.get_context().data == []


@PARTS
def test_what_somebody_holds_is_not_given_to_the_next(part):
    """It is emptied, stays with who holds it, and the next one has its own."""
    pool = AgentMemoryPool()
    context = pool.get_context("agent")
    put(context, part, Thing())
    held = getattr(context, part)
    pool.return_context(context)
    del context
    assert not held
    assert stayed(pool) == []
    following = pool.get_context("next")
    assert getattr(following, part) is not held
    held.update(key=1) if part == "metadata" else held.append(1)
    assert not getattr(following, part)


@pytest.mark.parametrize("goes_on_holding", [False, True])
@pytest.mark.parametrize("fills", [False, True])
@pytest.mark.parametrize("part", ["data", "subtasks", "metadata"])
def test_what_was_found_in_the_pool_is_not_handed_out(part, fills, goes_on_holding):
    """The collector shows all there is; no content gets from one agent to the next."""
    pool = AgentMemoryPool()
    use(pool, part)
    (found,) = stayed(pool)
    thing = Thing()
    gone = weakref.ref(thing)
    if fills:
        found.update(key=thing) if part == "metadata" else found.append(thing)
    del thing
    if not goes_on_holding:
        del found
    context = pool.get_context("next")
    if goes_on_holding:
        assert getattr(context, part) is not found
    else:
        assert gone() is None
    assert not getattr(context, part)
    context.data.append(1)
    assert context.data == [1]


@pytest.mark.parametrize("part", ["data", "subtasks"])
def test_what_has_grown_large_does_not_stay(part):
    """Memory is not kept for one that may never need it."""
    pool = AgentMemoryPool()
    context = pool.get_context("agent")
    getattr(context, part).extend(range(33))
    pool.return_context(context)
    del context
    assert stayed(pool) == []
    assert getattr(pool.get_context("next"), part) == []


@pytest.mark.parametrize(
    "pool", [AgentMemoryPool(strict=True), AgentMemoryPool(context_class=Own)], ids=repr
)
def test_only_plain_contexts_keep_something(pool):
    """Elsewhere more is to be done than to empty it."""
    context = pool.get_context("agent")
    context.data.append(1)
    pool.return_context(context)
    del context
    assert stayed(pool) == []
    assert pool.get_context("next").data == []


def test_a_list_of_another_type_does_not_stay():
    """Its class may do anything."""

    class Many(list):
        pass

    pool = AgentMemoryPool()
    context = pool.get_context("agent")
    context.data = Many([1])
    context.metadata = type("Known", (dict,), {})(key=1)
    pool.return_context(context)
    del context
    assert stayed(pool) == []
    following = pool.get_context("next")
    assert (type(following.data), type(following.metadata)) == (list, dict)


@pytest.mark.parametrize("part", ["data", "subtasks", "metadata"])
def test_what_ends_meanwhile_finds_all_done(part):
    """It can use the pool, cannot return the context again, and leaves nothing in it."""
    pool, seen = AgentMemoryPool(), []

    def at_end(thing):
        context = lent[0]
        assert context.closed
        with pytest.raises(ReturnedTwiceError):
            pool.return_context(context)
        other = pool.get_context("other")
        assert other is not context
        other.data.append(thing)
        pool.return_context(other)
        # It comes to life again where it was, by the collector's help.
        for held in gc.get_referents(context):
            if type(held) is list:
                held.append(thing)
            elif type(held) is dict:
                held["again"] = thing
        seen.append(pool.statistics())

    lent = [pool.get_context("agent")]
    put(lent[0], part, Thing(at_end))
    pool.return_context(lent[0])
    assert len(seen) == 1
    assert (seen[0].in_use_count, seen[0].returned_count) == (0, 2)
    lent.clear()
    taken = [pool.get_context("next") for _ in range(3)]
    assert len({id(each) for each in taken}) == 3
    for each in taken:
        assert not each.data
        assert not each.subtasks
        assert not each.metadata


@pytest.mark.parametrize("part", ["data", "metadata"])
def test_a_pool_that_is_cleared_meanwhile_keeps_nothing(part):
    """Nor is what was let go of used again."""
    pool = AgentMemoryPool()
    context = pool.get_context("agent")
    put(context, part, Thing(lambda thing: pool.clear()))
    pool.return_context(context)
    assert pool.context_pool == ()
    assert context.closed
    assert (pool.statistics().in_use_count, pool.statistics().dropped_count) == (0, 1)
    del context
    assert not getattr(pool.get_context("next"), part)


def test_contexts_that_refer_to_themselves_keep_no_cycle():
    """What is emptied is no cycle."""
    pool = AgentMemoryPool()
    context = pool.get_context("agent")
    context.data.append(context)
    context.subtasks.append(context)
    context.metadata["me"] = context
    gone = weakref.ref(context)
    pool.return_context(context)
    del context
    pool.clear()
    assert gone() is None
