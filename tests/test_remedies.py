"""The catalogue on the real thing: each shape made, recognised, mended, and gone."""

import ast
import asyncio
import collections
import concurrent.futures
import contextlib
import contextvars
import functools
import logging
import types
import weakref
import xml.dom.minidom

import pytest

import memguard
from memguard.heap.remedies import REMEDIES

CASES = {}


def case(remedy, name=""):
    """Remember two versions of a program: ``leak`` and ``mended`` in a class."""

    def remember(cls):
        CASES[f"{remedy}{name and ' '}{name}"] = (remedy, cls.leak, cls.mended)
        return cls

    return remember


def fails():
    raise ValueError("no such thing")


@case("exception-in-own-frame", "local")
class ExceptionInLocal:
    def leak():
        try:
            fails()
        except ValueError as error:
            failure = error
        assert failure.args

    def mended():
        try:
            fails()
        except ValueError as error:
            failure = error
        try:
            assert failure.args
        finally:
            del failure


@case("exception-in-own-frame", "kept")
class ExceptionKept:
    class Job:
        def run(self):
            try:
                self.work()
            except ValueError as error:
                self.error = error

        def work(self):
            fails()

    def leak():
        ExceptionKept.Job().run()

    def mended():
        job = ExceptionKept.Job()
        job.run()
        job.error.__traceback__ = None


@case("future-exception", "task")
class TaskException:
    async def fail():
        fails()

    async def gather():
        task = asyncio.create_task(TaskException.fail())
        await asyncio.wait([task])
        try:
            task.result()
        except ValueError as error:
            print(error)

    async def gather_and_drop():
        task = asyncio.create_task(TaskException.fail())
        await asyncio.wait([task])
        try:
            task.result()
        except ValueError as error:
            print(error)
        finally:
            del task

    def leak():
        asyncio.run(TaskException.gather())

    def mended():
        asyncio.run(TaskException.gather_and_drop())


@case("future-exception", "thread")
class ThreadException:
    def leak():
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            future = pool.submit(fails)
            try:
                future.result()
            except ValueError as error:
                print(error)

    def mended():
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            future = pool.submit(fails)
            try:
                future.result()
            except ValueError as error:
                error.__traceback__ = None


@case("pending-task")
class PendingTask:
    class Waiter:
        async def wait(self):
            await self.changed

        async def start(self):
            self.changed = asyncio.get_running_loop().create_future()
            self.task = asyncio.create_task(self.wait())
            await asyncio.sleep(0)

        async def stop(self):
            self.task.cancel()
            await asyncio.wait([self.task])
            self.task = None

    def run(*steps):
        async def main():
            waiter = PendingTask.Waiter()
            for step in steps:
                await getattr(waiter, step)()

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        with contextlib.suppress(asyncio.CancelledError):
            loop.close()

    def leak():
        PendingTask.run("start")

    def mended():
        PendingTask.run("start", "stop")


@case("bound-method-on-self", "attribute")
class MethodInAttribute:
    class Button:
        def __init__(self, keep):
            self.on_click = keep(self.click)

        def click(self):
            return "clicked"

    def leak():
        assert MethodInAttribute.Button(lambda method: method).on_click() == "clicked"

    def mended():
        button = MethodInAttribute.Button(weakref.WeakMethod)
        assert button.on_click()() == "clicked"


@case("bound-method-on-self", "list")
class MethodInList:
    class Button:
        def __init__(self, keep):
            self.callbacks = []
            self.callbacks.append(keep(self.click))

        def click(self):
            return "clicked"

    def leak():
        MethodInList.Button(lambda method: method)

    def mended():
        button = MethodInList.Button(weakref.WeakMethod)
        calls = [call() for kept in button.callbacks if (call := kept()) is not None]
        assert calls == ["clicked"]


@case("exception-in-own-frame", "traceback")
class TracebackKept:
    class Job:
        def run(self):
            try:
                fails()
            except ValueError as error:
                self.trace = error.__traceback__

        def read(self):
            try:
                assert self.trace.tb_lineno
            finally:
                self.trace = None

    def leak():
        TracebackKept.Job().run()

    def mended():
        job = TracebackKept.Job()
        job.run()
        job.read()


@case("exception-in-own-frame", "tracebacks")
class TracebacksKept:
    class Job:
        def __init__(self):
            self.traces = []

        def run(self):
            try:
                fails()
            except ValueError as error:
                self.traces.append(error.__traceback__)

        def read(self):
            try:
                assert [trace.tb_lineno for trace in self.traces]
            finally:
                self.traces.clear()

    def leak():
        TracebacksKept.Job().run()

    def mended():
        job = TracebacksKept.Job()
        job.run()
        job.read()


@case("partial-on-self", "list")
class PartialInList:
    class Timer:
        def __init__(self, owner):
            self.calls = [functools.partial(print, owner(self))]

    def leak():
        PartialInList.Timer(lambda timer: timer)

    def mended():
        PartialInList.Timer(weakref.ref)


@case("generator-on-self", "list")
class GeneratorsInList:
    class Reader:
        def __init__(self):
            self.readings = [self.read()]
            next(self.readings[0])

        def read(self):
            yield self

        def close(self):
            for kept in self.readings:
                kept.close()
            self.readings.clear()

    def leak():
        GeneratorsInList.Reader()

    def mended():
        GeneratorsInList.Reader().close()


@case("partial-on-self")
class PartialOnSelf:
    class Timer:
        def __init__(self, owner):
            self.fire = functools.partial(print, owner(self))

    def leak():
        PartialOnSelf.Timer(lambda timer: timer)

    def mended():
        PartialOnSelf.Timer(weakref.ref)


@case("recursive-closure")
class RecursiveClosure:
    def leak():
        def factorial(number):
            return number * factorial(number - 1) if number else 1

        assert factorial(4) == 24

    def mended():
        def factorial(number):
            return number * factorial(number - 1) if number else 1

        try:
            assert factorial(4) == 24
        finally:
            factorial = None


@case("captured-owner")
class CapturedOwner:
    class Page:
        pass

    def leak():
        page = CapturedOwner.Page()
        page.title = "title"
        page.render = lambda: page.title
        assert page.render() == "title"

    def mended():
        page = CapturedOwner.Page()
        page.title = "title"
        weak_page = weakref.ref(page)
        page.render = lambda: weak_page().title
        assert page.render() == "title"


@case("parent-tree")
class ParentTree:
    class Node:
        def __init__(self, parent=None):
            self.parent = parent
            self.children = []
            if parent is not None:
                parent.children.append(self)

    class WeakNode:
        def __init__(self, parent=None):
            self.parent_ref = weakref.ref(parent) if parent is not None else lambda: None
            self.children = []
            if parent is not None:
                parent.children.append(self)

        parent = property(lambda self: self.parent_ref())

    def leak():
        root = ParentTree.Node()
        for _ in range(3):
            ParentTree.Node(ParentTree.Node(root))

    def mended():
        root = ParentTree.WeakNode()
        for _ in range(3):
            assert ParentTree.WeakNode(ParentTree.WeakNode(root)).parent
        assert root.children[0].parent is root


@case("class-per-call")
class ClassPerCall:
    def make():
        class Row:
            pass

        return Row

    made_once = functools.cache(make)

    def leak():
        assert ClassPerCall.make()()

    def mended():
        assert ClassPerCall.made_once()()


@case("module-per-call")
class ModulePerCall:
    def load():
        module = types.ModuleType("plugin")
        exec("def greet(): return greet", module.__dict__)
        return module

    loaded_once = functools.cache(load)

    def leak():
        assert ModulePerCall.load().greet()

    def mended():
        assert ModulePerCall.loaded_once().greet()


@case("generator-on-self", "generator")
class GeneratorOnSelf:
    class Reader:
        def __init__(self):
            self.lines = self.read()
            next(self.lines)

        def read(self):
            yield "first"
            yield "second"

        def close(self):
            self.lines.close()
            self.lines = None

    def leak():
        GeneratorOnSelf.Reader()

    def mended():
        GeneratorOnSelf.Reader().close()


@case("generator-on-self", "coroutine")
class CoroutineOnSelf:
    class Job:
        def __init__(self):
            self.work = self.run()
            self.work.send(None)

        async def run(self):
            await suspend()

        def close(self):
            self.work.close()
            self.work = None

    def leak():
        CoroutineOnSelf.Job()

    def mended():
        CoroutineOnSelf.Job().close()


@types.coroutine
def suspend():
    yield


@case("lru-cache-on-method")
class CachedMethod:
    class Store:
        def __init__(self):
            self.load = functools.lru_cache(self.read)

        def read(self, key):
            return key

    class MendedStore:
        @functools.cached_property
        def value(self):
            return "key"

    def leak():
        assert CachedMethod.Store().load("key") == "key"

    def mended():
        assert CachedMethod.MendedStore().value == "key"


@case("logging-handler")
class LoggingHandler:
    class Handler(logging.Handler):
        def __init__(self, service):
            super().__init__()
            self.service = service

        def emit(self, record):
            self.service.lines.append(record.getMessage())

    class Service:
        def __init__(self):
            self.lines = []
            self.logger = logging.Logger("service")
            self.handler = weakref.ref(handler := LoggingHandler.Handler(self))
            self.logger.addHandler(handler)
            self.logger.warning("started")

        def close(self):
            handler = self.handler()
            self.logger.removeHandler(handler)
            handler.close()

    def leak():
        assert LoggingHandler.Service().lines == ["started"]

    def mended():
        LoggingHandler.Service().close()


@case("contextvars-token")
class ContextToken:
    current = contextvars.ContextVar("current")

    class Request:
        def start(self):
            self.token = ContextToken.current.set(self)

        def stop(self):
            ContextToken.current.reset(self.token)
            self.token = None

    def run(*steps):
        def handle():
            request = ContextToken.Request()
            for step in steps:
                getattr(request, step)()

        contextvars.copy_context().run(handle)

    def leak():
        ContextToken.run("start")

    def mended():
        ContextToken.run("start", "stop")


@case("own-teardown")
class Teardown:
    def leak():
        assert xml.dom.minidom.parseString("<a><b/></a>").documentElement

    def mended():
        document = xml.dom.minidom.parseString("<a><b/></a>")
        try:
            assert document.documentElement
        finally:
            document.unlink()


def is_python(code):
    return compile(code, "advice", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT) is not None


def scanned(function):
    # What a library or the interpreter makes once is made by then.
    function()
    return memguard.scan_created(function)


@pytest.mark.parametrize("name", CASES)
def test_a_shape_of_the_catalogue_gets_its_remedy(name):
    """It is recognised by what takes part, and the reference it names dissolves it."""
    remedy, leak, _ = CASES[name]
    with scanned(leak) as report:
        given = [shape.advice for shape in report.shapes]
    advice = next(advice for advice in given if advice.remedy == remedy)
    assert is_python(advice.code)
    assert len(advice.code.splitlines()) == 2
    if advice.action == "reuse":
        assert advice.cuts == ()
    else:
        assert advice.dissolved_cycle_count == advice.cycle_count == 1


@pytest.mark.parametrize("name", CASES)
def test_with_its_remedy_the_shape_is_gone(name):
    """The second version does the same, and a scan finds nothing."""
    _, _, mended = CASES[name]
    with scanned(mended) as report:
        assert [shape.path for shape in report.shapes] == []


def test_every_remedy_is_tested():
    """Here, or with the library that it is about."""
    of_libraries = {"orm-back-reference"}
    tested = {remedy for remedy, _, _ in CASES.values()} | of_libraries
    assert {remedy.name for remedy in REMEDIES} - {""} == tested


GENERAL = {
    "list": lambda keeper: keeper.things.append(keeper),
    "set": lambda keeper: setattr(keeper, "things", {keeper}),
    "dict": lambda keeper: setattr(keeper, "things", {"me": keeper}),
}


class Keeper:
    def __init__(self):
        self.things = []


@pytest.mark.parametrize(
    ("container", "code"),
    [
        ("list", "self.things.append(weakref.ref(item))"),
        ("set", "self.things = weakref.WeakSet()"),
        ("dict", "self.things = weakref.WeakValueDictionary()"),
    ],
)
def test_an_item_is_kept_by_the_weak_container_of_its_kind(container, code):
    """There is one for each but lists."""

    def leak():
        GENERAL[container](Keeper())

    with scanned(leak) as report:
        (shape,) = report.shapes
        assert shape.advice.action == "weaken"
        assert code in shape.advice.code.splitlines()


def itself():
    one = []
    one.append(one)


def through_a_list():
    settings = {}
    settings["all"] = [settings]


def in_its_own_iterator():
    one = [1]
    one.append(iter(one))


def a_queue():
    queue = collections.deque()
    queue.append(queue)


@pytest.mark.parametrize(
    ("leak", "said"),
    [
        (itself, "Empty the list when you are done with it: list[] leads back to it,"),
        (through_a_list, "Empty the dict when you are done with it: dict[str] leads back to it,"),
        (in_its_own_iterator, "Empty the list when you are done with it: list[] leads back"),
        (a_queue, "Empty the collections.deque when you are done with it: collections.deque[]"),
    ],
)
def test_a_container_that_nothing_names_is_called_by_its_type(leak, said):
    """There is no attribute and no variable to speak of, and none is made up."""
    with scanned(leak) as report:
        (shape,) = report.shapes
        assert shape.advice.sentence.startswith(said)
        assert "container.clear()" in shape.advice.code
        assert "self" not in shape.advice.code
