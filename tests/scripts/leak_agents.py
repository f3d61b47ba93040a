"""Contexts, pools and free lists, used and misused, with tables on the C heap."""

import weakref

from growth import print_growth

import memguard
from memguard import AgentContext, AgentMemoryPool, FreeList, _agents


class Own(AgentContext):
    __slots__ = ("__dict__", "tool")

    def on_done(self):
        raise AssertionError("a callback is kept, not called")


class Fails:
    def on_done(self):
        raise AssertionError("a callback is kept, not called")

    def cleanup(self):
        raise ValueError("no")


def fails(act, *arguments):
    try:
        act(*arguments)
    except memguard.MemguardError:
        return
    raise AssertionError(act)


def use_contexts():
    parent = AgentContext(object())
    child = Own(object(), parent)
    child.tool, child.extra = object(), object()
    child.parent_ref = weakref.ref(parent)
    for part in child.data, child.subtasks, child.callbacks:
        part.append(object())
    child.callbacks += [child.on_done, Fails().on_done]
    child.metadata["x"] = child
    assert len(_agents.clean(child)) == 1
    child.callbacks.append(Fails().on_done)
    assert len(_agents.close_gathering(child)) == 1
    fails(getattr, child, "data")
    fails(AgentContext, "x", [1])
    child.reset("y", parent)
    child.close()


def use_pools():
    for context_class in AgentContext, Own:
        pool = AgentMemoryPool(3, strict=True, context_class=context_class)
        parent = pool.get_context("parent")
        contexts = [pool.get_context(number, parent) for number in range(5)]
        for context in contexts:
            context.data.append(context)
            context.callbacks.append(context.cleanup)
        fails(pool.return_context, context)
        del context
        while contexts:
            pool.return_context(contexts.pop())
        fails(pool.get_context, "x", [1])
        fails(pool.return_context, AgentContext("x"))
        with pool.context("x", parent):
            pool.return_data(pool.get_data())
        pool.trim(1)
        pool.prefill(3)
        pool.statistics()


def use_free_lists():
    for factory in list, Own.mro:
        free = FreeList(factory, list.clear, 100)
        objects = [free.acquire() for _ in range(500)]
        while objects:
            free.release(objects.pop())
        fails(free.release, [])
        free.clear()


def call():
    use_contexts()
    use_pools()
    use_free_lists()


print_growth(call, call_count=300)
