"""How much of what each component took comes back when its work is done.

By bytes that the allocators gave out, not by resident size, and before the collector
ran: 100 % says that all came back by itself.
"""

import gc
import sys
from collections.abc import Callable

from memguard.agents.context import AgentContext
from memguard.agents.lifecycle import AgentLifecycleManager
from memguard.agents.pool import AgentMemoryPool
from memguard.agents.registry import WeakAgentRegistry
from memguard.crawling.crawl import Crawl
from memguard.guard.guard import Guard
from memguard.pressure.cleanup import CleanupMeter
from memguard.settings import GuardSettings
from memguard.validation import baselines
from memguard.validation.baselines.crawling import Scraper
from memguard.validation.orchestrator import AgentContext as LeakingContext

COUNT = 20_000
_DATA_BYTES = 500


def before() -> dict[str, float]:
    """Run the report's patterns and classes."""
    return {
        "contexts": _effectiveness(_leaking_contexts),
        "lifecycle": _effectiveness(_report_lifecycle),
        "pool": _effectiveness(_report_pool),
        "registry": _effectiveness(_report_registry),
        "crawl": _effectiveness(_report_crawl),
    }


def after() -> dict[str, float]:
    """Run memguard's."""
    return {
        "contexts": _effectiveness(_contexts),
        "lifecycle": _effectiveness(_lifecycle),
        "pool": _effectiveness(_pool),
        "registry": _effectiveness(_registry),
        "crawl": _effectiveness(_crawl),
        "guard": _effectiveness(_guard),
    }


Look = Callable[[], None]


def _effectiveness(work: Callable[[int, Look], object]) -> float:
    """Give what came back of what *work* took [percent]."""
    gc.collect()
    gc.disable()
    work(10, _nothing)  # caches of a first time are no leak
    meter = CleanupMeter()
    # What work gives back is held by whoever called it, as a service does.
    held = work(COUNT, meter.look)
    percent = meter.finish().percent
    del held
    gc.enable()
    return percent


def _nothing() -> None:
    """Look at nothing."""


def _data() -> bytes:
    return bytes(_DATA_BYTES)


def _url(number: int) -> str:
    # Interned strings would be counted once for both sides.
    return f"https://docs.example.org/en/latest/section/{number}.html"


def _leaking_contexts(count: int, look: Look) -> None:
    parent = LeakingContext("parent")
    for number in range(count):
        LeakingContext(f"agent-{number}", parent).data.append(_data())
    look()


def _contexts(count: int, look: Look) -> None:
    with AgentContext("parent") as parent:
        for number in range(count):
            context = AgentContext(f"agent-{number}", parent)
            parent.subtasks.append(context)
            parent.callbacks.append(context.data.clear)
            context.data.append(_data())
        look()


def _report_lifecycle(count: int, look: Look) -> object:
    manager = baselines.AgentLifecycleManager()
    for number in range(count):
        context = baselines.AgentContext(f"agent-{number}")
        context.data.append(_data())
        manager.register_agent(context.task_id, context)
    look()
    return manager


def _lifecycle(count: int, look: Look) -> object:
    manager = AgentLifecycleManager()
    contexts = []
    for number in range(count):
        context = AgentContext(f"agent-{number}")
        context.data.append(_data())
        manager.register_agent(context.task_id, context)
        contexts.append(context)
    look()
    contexts.clear()
    return manager


def _report_pool(count: int, look: Look) -> object:
    pool = baselines.CompletedMemoryPool()
    contexts = [pool.get_context(f"agent-{number}") for number in range(count)]
    for context in contexts:
        context.data.append(_data())
        context.callbacks.append(context.data.clear)
    look()
    for context in contexts:
        try:
            pool.return_context(context)
        except AttributeError:  # one of its faults: a callback of a list has no cleanup
            context.data.clear()
    return pool


def _pool(count: int, look: Look) -> object:
    pool = AgentMemoryPool()
    contexts = [pool.get_context(f"agent-{number}") for number in range(count)]
    for context in contexts:
        context.data.append(_data())
        context.callbacks.append(context.data.clear)
    look()
    while contexts:
        pool.return_context(contexts.pop())
    return pool


def _report_registry(count: int, look: Look) -> object:
    registry = baselines.WeakAgentRegistry()
    contexts = []
    for number in range(count):
        contexts.append(baselines.AgentContext(f"agent-{number}"))
        registry.register(contexts[-1].task_id, contexts[-1], {"note": _data()})
    look()
    contexts.clear()
    return registry


def _registry(count: int, look: Look) -> object:
    registry = WeakAgentRegistry()
    contexts = []
    for number in range(count):
        contexts.append(AgentContext(f"agent-{number}"))
        registry.register(contexts[-1].task_id, contexts[-1], {"note": _data()})
    look()
    contexts.clear()
    return registry


def _report_crawl(count: int, look: Look) -> object:
    scraper = Scraper()
    for number in range(count):
        scraper.add(_url(number))
        scraper.take()
        scraper.add(_url(number + sys.maxsize))
    look()
    return scraper


def _crawl(count: int, look: Look) -> object:
    with Crawl() as crawl:
        for number in range(count):
            crawl.add(_url(number))
            crawl.take()
            crawl.add(_url(number + sys.maxsize))
        look()
    return crawl


def _guard(count: int, look: Look) -> object:
    guard = Guard(settings=GuardSettings(), max_depth=None, max_parallel=None)
    blocks = []
    with guard:
        for _ in range(count // 10):
            blocks.append(guard.agent("request"))
            blocks[-1].__enter__().data.append(_data())
        look()
        while blocks:
            blocks.pop().__exit__(None, None, None)
    return guard
