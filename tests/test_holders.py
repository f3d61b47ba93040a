"""What a person would call the holder, and where they would begin a way."""

import asyncio
import atexit
import functools
import itertools
import sys
import threading
import types
import weakref
from collections import OrderedDict, defaultdict

import pytest

from memguard.heap.retention import who_holds, why_alive

pytestmark = pytest.mark.native


class Thing:
    """What is asked about."""

    def on_done(self, *_):
        """Stand for a callback."""


class FailedError(Exception):
    """Keeps where it was raised."""


@pytest.fixture
def app():
    """Give a module that is imported, for as long as the test lasts."""
    module = types.ModuleType("holding_app")
    sys.modules["holding_app"] = module
    yield module
    del sys.modules["holding_app"]


def _asked_while_it_runs(begin):
    async def main():
        reference, work = begin()
        await asyncio.sleep(0)
        try:
            return why_alive(reference())
        finally:
            work().cancel()

    return asyncio.run(main())


def test_a_sleeping_task_is_where_the_way_begins():
    """How the loop comes to it, by a timer and a future, is left out."""

    async def job(kept):
        await asyncio.sleep(100)

    def begin():
        thing = Thing()
        task = asyncio.get_running_loop().create_task(job(thing), name="fetch-17")
        return weakref.ref(thing), weakref.ref(task)

    answer = _asked_while_it_runs(begin)
    assert answer.root == "task"
    assert answer.paths[0].startswith("task 'fetch-17'._coro -> ")
    assert answer.holder.endswith("job().<local kept>")


def test_a_task_is_called_by_its_name_and_by_nothing_else():
    """Texts that a class of one's own keeps in a task are not shown."""

    class Own(asyncio.Task):
        __slots__ = ("job", "user")

    async def job(kept):
        await asyncio.sleep(100)

    def begin():
        thing = Thing()
        task = Own(job(thing), loop=asyncio.get_running_loop(), name="fetch-18")
        task.job, task.user, task.token = "secret", 31337, "secret"
        return weakref.ref(thing), weakref.ref(task)

    answer = _asked_while_it_runs(begin)
    assert answer.paths[0].startswith("task 'fetch-18'._coro -> ")
    assert "secret" not in answer.to_json()
    assert "31337" not in answer.to_json()


def test_a_timer_is_where_the_way_begins():
    """A method that is to be called later is held by its timer."""

    def begin():
        thing = Thing()
        timer = asyncio.get_running_loop().call_later(100, thing.on_done)
        return weakref.ref(thing), weakref.ref(timer)

    answer = _asked_while_it_runs(begin)
    assert answer.root == "timer"
    assert answer.holder == "TimerHandle of Thing.on_done()._callback"


def test_tasks_that_something_else_keeps_are_held_by_that(app):
    """A task that is done is kept by no loop."""
    app.DONE = []

    async def job():
        return Thing()

    async def main():
        app.DONE.append(asyncio.create_task(job()))
        await app.DONE[0]
        return why_alive(app.DONE[0].result())

    answer = asyncio.run(main())
    assert answer.root == "module"
    assert answer.holder == "holding_app.DONE"


@pytest.mark.parametrize(
    "keep",
    [
        lambda app, thing: setattr(app, "KEPT", thing.on_done),
        lambda app, thing: setattr(app, "KEPT", functools.partial(print, thing)),
        lambda app, thing: setattr(app, "KEPT", itertools.cycle([thing])),
        lambda app, thing: setattr(app, "KEPT", iter([thing])),
    ],
    ids=["method", "partial", "cycle", "iterator"],
)
def test_carriers_are_not_the_holder(app, keep):
    """Who keeps a method or an iterator keeps what is in it."""
    thing = Thing()
    keep(app, thing)
    assert why_alive(thing).holder.startswith("holding_app.KEPT")


def test_an_exception_that_is_kept_is_the_holder_of_its_frames(app):
    """The way shows the traceback; the holder is who keeps the exception."""

    def fail():
        thing = Thing()
        app.SEEN = [thing]
        raise FailedError

    try:
        fail()
    except FailedError as error:
        app.LAST_ERROR = error
    thing = app.SEEN.pop()
    answer = why_alive(thing)
    assert ".__traceback__" in answer.paths[0]
    assert answer.holder.startswith("holding_app.LAST_ERROR")


def test_an_exception_that_is_being_handled_is_the_holder_of_its_frames():
    """No object refers to it, but the thread does, for as long as the except block runs."""
    references = []

    def fail():
        thing = Thing()
        references.append(weakref.ref(thing))
        raise FailedError

    def ask():
        try:
            fail()
        except FailedError:
            return why_alive(references.pop()())

    def ask_in_generator():
        yield ask()

    for answer in ask(), *ask_in_generator():
        assert answer.root == "thread"
        begin = "thread MainThread <exception being handled>.__traceback__ -> "
        assert answer.paths[0].startswith(begin)
        assert answer.holder.startswith("thread MainThread <exception being handled>")
        assert answer.freed_count == 1


@pytest.mark.parametrize(
    "make", [OrderedDict, lambda: defaultdict(list)], ids=["ordered", "default"]
)
def test_containers_of_collections_are_called_by_who_has_them(app, make):
    """Not by their class."""
    thing = Thing()
    app.SESSIONS = make()
    app.SESSIONS["a"] = [thing]
    assert why_alive(thing).holder == "holding_app.SESSIONS[str]"


def test_c_code_is_called_so():
    """A callback that only C code knows is held by C code."""
    thing = Thing()
    atexit.register(thing.on_done)
    try:
        answer = why_alive(thing)
    finally:
        atexit.unregister(thing.on_done)
    # From 3.14 on atexit has a list.
    by = "list[0]" if sys.version_info >= (3, 14) else "method.__self__"
    assert (answer.root, answer.holder) == ("unexplained", f"C code, by {by}")


def test_a_loop_that_runs_in_a_thread_shows_its_tasks():
    """The one that asks is another thread; many tasks are counted as one holder."""
    references, ready, done = [], threading.Event(), threading.Event()

    async def job(kept):
        references.append(weakref.ref(kept))
        await asyncio.sleep(100)

    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job(Thing())) for _ in range(5)]
            await asyncio.sleep(0)
            ready.set()
            await asyncio.to_thread(done.wait)
            for task in tasks:
                task.cancel()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait()
    report = who_holds([reference() for reference in references])
    done.set()
    thread.join()
    assert [count for _, count in report.holders] == [5]
    # By the frame, if it still runs, or else by its coroutine.
    assert report.holders[0][0].endswith(("main().tasks", ".<local tasks>"))
