"""One cycle through each kind of reference.

Each maker is given an object, its owner, and gives what the owner is to hold:
something that refers back to it through the kind of reference that is shown.
"""

import asyncio
import collections
import contextvars
import functools
import itertools
import operator
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree


@dataclass(frozen=True)
class Kind:
    """A kind of reference.

    Attributes:
        title: What it is called in the table.
        make: Makes what the owner holds.
        step: The step of the path, or of the verbose path, that names it.
        verbose: Whether it is seen in the verbose path alone.
        dropped: Found once the owner is dropped, as garbage: classes and
            modules are not followed in what is alive.
        peers: What peers call it: refcycle, torch, pympler, objgraph,
            leak-hunter, referrers.
    """

    title: str
    make: Callable[[object], object]
    step: str
    verbose: bool = False
    dropped: bool = False
    peers: tuple[str, ...] = ()


class Slotted:
    """An attribute in a slot."""

    __slots__ = ("field",)


class Plain:
    """An ordinary instance."""


class Items(list):
    """A list with attributes."""


def itself(owner: object) -> object:
    return owner


def dict_attribute(owner: object) -> object:
    plain = Plain()
    vars(plain)["field"] = owner
    return plain


def attribute(owner: object) -> object:
    plain = Plain()
    plain.field = owner  # type: ignore[attr-defined]
    return plain


def slot(owner: object) -> object:
    slotted = Slotted()
    slotted.field = owner  # type: ignore[attr-defined]
    return slotted


def list_attribute(owner: object) -> object:
    items = Items()
    items.field = owner  # type: ignore[attr-defined]
    return items


def closure(owner: object) -> object:
    def on_done() -> object:
        return owner

    return on_done


def default(owner: object) -> object:
    def on_done(event: object, target: object = owner) -> object:
        return target

    return on_done


def keyword_default(owner: object) -> object:
    def on_done(*, target: object = owner) -> object:
        return target

    return on_done


def function_attribute(owner: object) -> object:
    def on_done() -> None:
        pass

    on_done.target = owner  # type: ignore[attr-defined]
    return on_done


def annotation(owner: object) -> object:
    def on_done() -> None:
        pass

    on_done.__annotations__ = {"target": owner}
    return on_done


def wrapped(owner: object) -> object:
    @functools.wraps(closure(owner))  # type: ignore[arg-type]
    def on_done() -> None:
        pass

    return on_done


def module_global(owner: object) -> object:
    module = types.ModuleType("app")
    exec("def on_done(): return target", vars(module))
    vars(module)["target"] = owner
    return module.on_done


def module_attribute(owner: object) -> object:
    module = types.ModuleType("app")
    module.target = owner  # type: ignore[attr-defined]
    return module


def bound_method(owner: object) -> object:
    return types.MethodType(closure(None), owner)


def method_function(owner: object) -> object:
    return types.MethodType(closure(owner), "self")


def builtin_method(owner: object) -> object:
    return [owner].append


def slot_wrapper(owner: object) -> object:
    return [owner].__len__


def class_attribute(owner: object) -> object:
    return type("Made", (), {"target": owner})


def base_class(owner: object) -> object:
    class Made(type("Base", (), {"target": owner})):  # type: ignore[misc]
        pass

    return Made


def set_name(kind: Callable[..., object]) -> Callable[[object], object]:
    return lambda owner: kind(closure(owner))


def generator(owner: object) -> object:
    def steps(target: object):
        yield
        yield target

    suspended = steps(owner)
    next(suspended)
    return suspended


def unstarted_generator(owner: object) -> object:
    return (target for target in [owner])


def waiting_value(owner: object) -> object:
    def steps(targets: list[object]):
        for _ in targets.pop():
            yield

    suspended = steps([[None, owner]])
    next(suspended)
    return suspended


def delegated(owner: object) -> object:
    def outer(inner: list[object]):
        yield from inner.pop()

    suspended = outer([generator(owner)])
    next(suspended)
    return suspended


@types.coroutine
def suspension():
    yield


async def wait_with(target: object) -> object:
    await suspension()
    return target


def coroutine(owner: object) -> object:
    suspended = wait_with(owner)
    suspended.send(None)
    return suspended


def awaited(owner: object) -> object:
    async def outer(inner: list[object]) -> None:
        await inner.pop()

    suspended = outer([wait_with(owner)])
    suspended.send(None)
    return suspended


def coroutine_wrapper(owner: object) -> object:
    wrapper = wait_with(owner).__await__()
    wrapper.send(None)
    return wrapper


def async_generator(owner: object) -> object:
    async def steps(target: object):
        await suspension()
        yield target

    suspended = steps(owner)
    suspended.asend(None).send(None)
    return suspended


def raised(owner: object) -> BaseException:
    return caught([owner])


def next_traceback(owner: object) -> object:
    targets = [owner]
    del owner
    return caught(targets).__traceback__


def caught(targets: list[object]) -> BaseException:
    def fail(target: object) -> None:
        raise ValueError

    try:
        fail(targets.pop())
    except ValueError as error:
        return error
    raise AssertionError


def context(owner: object) -> object:
    error = KeyError()
    error.__context__ = KeyError(owner)
    return error


def cause(owner: object) -> object:
    error = KeyError()
    error.__cause__ = KeyError(owner)
    return error


def noted(owner: object) -> object:
    error = KeyError()
    error.add_note("a note")
    error.__notes__.append(owner)  # type: ignore[arg-type]
    return error


VARIABLE: contextvars.ContextVar[object] = contextvars.ContextVar("request")


def context_entry(owner: object) -> object:
    copied = contextvars.Context()
    copied.run(VARIABLE.set, owner)
    return copied


def token(owner: object) -> object:
    copied = contextvars.Context()
    copied.run(VARIABLE.set, owner)
    return copied.run(VARIABLE.set, None)


def token_context(owner: object) -> object:
    copied = contextvars.Context()
    held = copied.run(VARIABLE.set, None)
    copied.run(VARIABLE.set, owner)
    return held


def weak_callback(owner: object) -> object:
    return weakref.ref(owner, closure(owner))


def cached_arguments(owner: object) -> object:
    @functools.lru_cache
    def find(target: object) -> None:
        pass

    find(owner)
    return find


def cached_result(owner: object) -> object:
    @functools.lru_cache
    def find(number: int) -> object:
        return Plain()

    find(1).target = owner  # type: ignore[attr-defined]
    return find


def cached_function(owner: object) -> object:
    return functools.lru_cache(closure(owner))  # type: ignore[arg-type]


def element(owner: object) -> object:
    node = ElementTree.Element("node")
    node.text = owner  # type: ignore[assignment]
    return node


def pending(owner: object, begin: Callable[[asyncio.AbstractEventLoop], object]) -> object:
    """Begin something in an event loop that stops at once, for it to stay pending."""
    loop = asyncio.new_event_loop()
    begun = begin(loop)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    if isinstance(begun, asyncio.Task):
        begun._log_destroy_pending = False  # type: ignore[attr-defined]
    return begun


def future_callback(owner: object) -> asyncio.Future[object]:
    future = pending(owner, lambda loop: loop.create_future())
    future.add_done_callback(closure(owner))  # type: ignore[attr-defined]
    return future  # type: ignore[return-value]


def future_context(owner: object) -> object:
    future = pending(owner, lambda loop: loop.create_future())
    future.add_done_callback(print, context=context_entry(owner))  # type: ignore[attr-defined]
    return future


def future_result(owner: object) -> object:
    future = pending(owner, lambda loop: loop.create_future())
    future.set_result(owner)  # type: ignore[attr-defined]
    return future


def future_exception(owner: object) -> object:
    future = pending(owner, lambda loop: loop.create_future())
    future.set_exception(KeyError(owner))  # type: ignore[attr-defined]
    future.exception()  # type: ignore[attr-defined]
    return future


def task(owner: object) -> object:
    async def wait(target: object) -> None:
        while target is not None:
            await suspension()

    return pending(owner, lambda loop: loop.create_task(wait(owner)))


def task_context(owner: object) -> object:
    return pending(
        owner, lambda loop: loop.create_task(wait_with(None), context=context_entry(owner))
    )


def task_waiter(owner: object) -> object:
    async def wait_for(future: asyncio.Future[object]) -> None:
        await future

    def begin(loop: asyncio.AbstractEventLoop) -> object:
        future = loop.create_future()
        future.add_done_callback(closure(owner))  # type: ignore[arg-type]
        return loop.create_task(wait_for(future))

    return pending(owner, begin)


KINDS = (
    Kind(
        "`self.x`, ordinary instance",
        attribute,
        "Plain.field",
        peers=("none", "edge lost", "none", "none", "`.x`", "`P.x`"),
    ),
    Kind("attribute, `__dict__` used before", dict_attribute, "Plain.field"),
    Kind("attribute of a `list` subclass", list_attribute, "Items.field"),
    Kind(
        "`__slots__` attribute",
        slot,
        "Slotted.field",
        peers=("none", "`?`", "`x`", "none", "none", "none"),
    ),
    Kind(
        "`SimpleNamespace`",
        lambda owner: types.SimpleNamespace(field=owner),
        "types.SimpleNamespace.field",
    ),
    Kind(
        "list index",
        lambda owner: [None, owner],
        "list[1]",
        peers=("`item[0]`", "`[0]`", "none", "none", "`[0]`", "`index=0`"),
    ),
    Kind(
        "tuple index",
        lambda owner: (None, owner),
        "tuple[1]",
        peers=("`item[0]`", "`[0]`", "none", "none", "`[0]`", "`index=0`"),
    ),
    Kind(
        "dict value, by the type of the key",
        lambda owner: {"k": owner},
        "dict[str]",
        peers=("`value['k']`", "`['k']`", "`k`", "`k`", "`['k']`", "`key=k`"),
    ),
    Kind("dict key", lambda owner: {owner: "value"}, "dict[key]"),
    Kind(
        "set element",
        lambda owner: {owner},
        "set{element}",
        peers=("`element`", "`element`", "none", "none", "set member", "set member"),
    ),
    Kind("frozenset element", lambda owner: frozenset([owner]), "frozenset{element}"),
    Kind(
        "deque",
        lambda owner: collections.deque([owner]),
        "collections.deque[0]",
        peers=("none", "`?`", "none", "none", "none", "`index=0`"),
    ),
    Kind(
        "`OrderedDict`",
        lambda owner: collections.OrderedDict(k=owner),
        "collections.OrderedDict[str]",
    ),
    Kind(
        "`defaultdict` value",
        lambda owner: collections.defaultdict(None, k=owner),
        "collections.defaultdict[str]",
    ),
    Kind(
        "`defaultdict` factory",
        lambda owner: collections.defaultdict(closure(owner)),
        "collections.defaultdict.default_factory",
    ),
    Kind(
        "`ChainMap`", lambda owner: collections.ChainMap({"k": owner}), "collections.ChainMap.maps"
    ),
    Kind(
        "mapping proxy",
        lambda owner: types.MappingProxyType({"k": owner}),
        "mappingproxy.<mapping>",
    ),
    Kind("dict view", lambda owner: {"k": owner}.values(), "dict_values.mapping"),
    Kind(
        "closure variable",
        closure,
        "function closure.<locals>.on_done().<closure owner>",
        peers=("`cell_contents`",) * 3 + ("none", '"closure variable"', "cell"),
    ),
    Kind("cell", types.CellType, "cell.cell_contents", verbose=True),
    Kind("default argument", default, "function default.<locals>.on_done().__defaults__[target]"),
    Kind(
        "keyword default",
        keyword_default,
        "function keyword_default.<locals>.on_done().__kwdefaults__[target]",
    ),
    Kind(
        "function attribute",
        function_attribute,
        "function function_attribute.<locals>.on_done().target",
    ),
    Kind("annotation", annotation, "function annotation.<locals>.on_done().__annotations__"),
    Kind("`__wrapped__`", wrapped, "function closure.<locals>.on_done().__wrapped__"),
    Kind("module global", module_global, "function on_done().<global target>", dropped=True),
    Kind("attribute of a module", module_attribute, "module app.target", dropped=True),
    Kind(
        "bound method",
        bound_method,
        "method.__self__",
        peers=("`__self__`", "`__self__`", "none", "`__self__`", "`.__self__`", '"cb method"'),
    ),
    Kind("function of a bound method", method_function, "method.__func__"),
    Kind("method of a C type", builtin_method, "builtin_function_or_method.__self__"),
    Kind("special method of a C type", slot_wrapper, "method-wrapper.__self__"),
    Kind(
        "`partial` function",
        lambda owner: functools.partial(closure(owner)),
        "functools.partial.func",
    ),
    Kind(
        "`partial` argument",
        lambda owner: functools.partial(print, None, owner),
        "functools.partial.args",
    ),
    Kind(
        "`partial` keyword",
        lambda owner: functools.partial(print, file=owner),
        "functools.partial.keywords[file]",
    ),
    Kind("class attribute", class_attribute, "class Made.target", dropped=True),
    Kind("base class", base_class, "class base_class.<locals>.Made.__base__", dropped=True),
    Kind("property", set_name(property), "property.fget"),
    Kind("static method", set_name(staticmethod), "staticmethod.__func__"),
    Kind("class method", set_name(classmethod), "classmethod.__func__"),
    Kind(
        "`cached_property`", set_name(functools.cached_property), "functools.cached_property.func"
    ),
    Kind(
        "generator local",
        generator,
        "generator generator.<locals>.steps().<local target>",
        peers=("none", "`?`", "none", "none", "none", "none"),
    ),
    Kind(
        "generator before its first step",
        unstarted_generator,
        "generator unstarted_generator.<locals>.<genexpr>().<local .0>",
    ),
    Kind(
        "value that a generator's loop waits with",
        waiting_value,
        "generator waiting_value.<locals>.steps().<stack 0>",
    ),
    Kind("`yield from`", delegated, "generator delegated.<locals>.outer().gi_yieldfrom"),
    Kind(
        "coroutine local",
        coroutine,
        "coroutine wait_with().<local target>",
        peers=("none", "`?`", "none", "none", "none", "none"),
    ),
    Kind("`await`", awaited, "coroutine awaited.<locals>.outer().cr_await"),
    Kind("`coroutine.__await__()`", coroutine_wrapper, "coroutine_wrapper.<coroutine>"),
    Kind(
        "asynchronous generator local",
        async_generator,
        "async_generator async_generator.<locals>.steps().<local target>",
    ),
    Kind(
        "`asyncio.Task` to coroutine",
        task,
        "_asyncio.Task._coro",
        peers=("none", "`?`", "none", "none", "none", "none"),
    ),
    Kind("task to the future that it waits for", task_waiter, "_asyncio.Task._fut_waiter"),
    Kind("context of a task", task_context, "_asyncio.Task.<context>"),
    Kind("callback of a future", future_callback, "_asyncio.Future.<callback 0>"),
    Kind("context of a callback", future_context, "_asyncio.Future.<context of callback 0>"),
    Kind("result of a future", future_result, "_asyncio.Future._result"),
    Kind("exception of a future", future_exception, "_asyncio.Future._exception"),
    Kind(
        "`await` of a future",
        lambda owner: future_callback(owner).__await__(),
        "_asyncio.FutureIter.<future>",
    ),
    Kind("`__traceback__`", raised, "ValueError.__traceback__"),
    Kind("`tb_next`", next_traceback, "traceback.tb_next"),
    Kind("`f_back`", lambda owner: raised(owner).__traceback__.tb_frame, "frame caught().f_back"),
    Kind("`tb_frame`", lambda owner: raised(owner).__traceback__.tb_next, "traceback.tb_frame"),
    Kind(
        "frame local (traceback)",
        lambda owner: raised(owner).__traceback__.tb_next.tb_frame,
        "frame caught.<locals>.fail().<local target>",
        peers=(
            "`local 'ex'` (3.13: none)",
            "`local ex` (3.13: `?`)",
            "none",
            "none",
            "`ex`",
            "(not comparable)",
        ),
    ),
    Kind("exception argument", KeyError, "KeyError.args[0]"),
    Kind("`__context__`", context, "KeyError.__context__"),
    Kind("`__cause__`", cause, "KeyError.__cause__"),
    Kind("`add_note`", noted, "KeyError.__notes__"),
    Kind(
        "exception group",
        lambda owner: ExceptionGroup("", [KeyError(owner)]),
        "ExceptionGroup.exceptions[0]",
    ),
    Kind("`StopIteration` value", StopIteration, "StopIteration.value"),
    Kind("context variable", context_entry, "_contextvars.Context[request]"),
    Kind("token: value before", token, "_contextvars.Token.old_value"),
    Kind("token: context", token_context, "_contextvars.Token.<context>"),
    Kind("weakref callback", weak_callback, "weakref.ReferenceType.__callback__"),
    Kind(
        "`lru_cache` arguments",
        cached_arguments,
        "functools._lru_cache_wrapper.<cached arguments>[0]",
    ),
    Kind("`lru_cache` result", cached_result, "functools._lru_cache_wrapper.<cached result>"),
    Kind("`lru_cache` function", cached_function, "functools._lru_cache_wrapper.__wrapped__"),
    Kind("list iterator", lambda owner: iter([owner]), "list_iterator.<iterated>"),
    Kind("dict iterator", lambda owner: iter({1: owner}.values()), "dict_valueiterator.<iterated>"),
    Kind("`map` function", lambda owner: map(closure(owner), []), "map.<function>"),
    Kind("`map` iterators", lambda owner: map(len, [owner]), "map.<iterators>[0]"),
    Kind("`filter`", lambda owner: filter(closure(owner), []), "filter.<function>"),
    Kind("`zip`", lambda owner: zip([owner], strict=False), "zip.<iterators>[0]"),
    Kind("`enumerate`", lambda owner: enumerate([owner]), "enumerate.<iterator>"),
    Kind(
        "`itertools.chain`",
        lambda owner: itertools.chain([owner], []),
        "itertools.chain.<iterator>",
    ),
    Kind("`operator.itemgetter`", operator.itemgetter, "operator.itemgetter.<item>"),
    Kind(
        "C extension: position and type",
        element,
        "xml.etree.ElementTree.Element.<reference 1 of xml.etree.ElementTree.Element>",
    ),
)
