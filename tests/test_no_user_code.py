"""A scan runs no code of the program that it looks at."""

import asyncio
import collections
import functools
import gc
import types
import weakref

import pytest

from uses import CALLS

# What is planted is made by the tests, and all of it is looked at.

# What makes a class or an object, and what has to be data.
NO_METHODS = {"__new__", "__init__", "__init_subclass__", "__subclasshook__", "__prepare__"}
NO_METHODS |= {"__class__", "__call__"}
SPECIAL_NAMES = {
    name
    for base in (object, type, list, dict, set, int, str, range, collections.deque, Exception)
    for name, value in vars(base).items()
    if name.startswith("__") and (callable(value) or value is None) and name not in NO_METHODS
}
SPECIAL_NAMES |= {"__getattr__", "__get__", "__set__", "__delete__", "__del__", "__next__"}
SPECIAL_NAMES |= {"__missing__", "__length_hint__", "__await__", "__enter__", "__exit__"}
SPECIAL_NAMES |= {"__copy__", "__deepcopy__", "__fspath__", "__mro_entries__"}
TEXT_NAMES = [name for name in vars(str) if not name.startswith("__")]
ORDINARY = {"__bool__": lambda _: True, "__len__": lambda _: 1, "__hash__": id}


class Spies:
    """Methods that write down that they were called, once they are armed."""

    def __init__(self):
        self.is_armed = False
        self.called = []

    def method(self, name, base):
        ordinary = getattr(base, name, None) or ORDINARY.get(name, lambda *_: None)

        def spy(*arguments, **options):
            if self.is_armed:
                self.called.append(f"{base.__name__}.{name}")
            return ordinary(*arguments, **options)

        return spy

    def namespace(self, base):
        """Give every special method of a class, and properties where there should be data."""
        own = {name: self.method(name, base) for name in SPECIAL_NAMES}
        if base is not type:
            own["__call__"] = self.method("__call__", base)
            for name in ("__class__", "__dict__", "__doc__"):
                own[name] = property(self.method(name, base))
        return own

    def cls(self, base, **more):
        """Make a class, and a metaclass for it, in which every method is a spy."""
        meta = type("Meta", (type,), self.namespace(type))
        return meta("Spied", (base,), {**self.namespace(base), **more})


@pytest.fixture
def spies():
    made = Spies()
    yield made
    made.is_armed = False
    gc.collect()


def run_calls(spies, box, names=("garbage", "live_late", "live_from_roots", "typed", "created")):
    spies.is_armed = True
    for name in names:
        CALLS[name](box)
    spies.is_armed = False
    assert spies.called == []


PLANT = {
    object: lambda owner: object.__setattr__(owner, "me", owner),
    list: lambda owner: list.append(owner, owner),
    dict: lambda owner: dict.__setitem__(owner, owner, owner),
    set: lambda owner: set.add(owner, owner),
    collections.deque: lambda owner: collections.deque.append(owner, owner),
    Exception: lambda owner: BaseException.__dict__["args"].__set__(owner, (owner,)),
    types.ModuleType: lambda owner: object.__setattr__(owner, "me", owner),
    type: lambda owner: type.__setattr__(owner, "me", owner),
}


@pytest.mark.parametrize("base", PLANT, ids=lambda base: base.__name__)
@pytest.mark.parametrize("held", [True, False])
def test_no_method_of_an_object_or_its_class_is_called(spies, base, held):
    """Whatever a class and its metaclass define, none of it runs."""
    cls = spies.cls(base)
    owner = base.__new__(cls, *({type: ("Name", (), {})}.get(base, ())))
    PLANT[base](owner)
    box = [None]
    if held:
        box.append(owner)
    del owner, cls
    run_calls(spies, box)


def test_no_method_of_what_containers_hold_is_called(spies):
    """Keys, elements, arguments, variables and referents are not asked anything."""
    spied = spies.cls(object, __slots__=("field", "__weakref__"))
    box = []

    def generator(variable):
        yield variable

    default = spied()

    def function(argument=default, *, keyword=box):
        return spied, box

    for make in (
        lambda thing: {thing: box},
        lambda thing: {"key": thing, thing: box},
        lambda thing: {thing, function},
        lambda thing: frozenset([thing]),
        lambda thing: collections.OrderedDict([(thing, box)]),
        lambda thing: collections.defaultdict(lambda: thing, {1: box}),
        lambda thing: types.SimpleNamespace(thing=thing, box=box),
        lambda thing: types.MappingProxyType({"thing": thing, "box": box}),
        lambda thing: functools.partial(len, thing, box, key=thing),
        lambda thing: types.MethodType(len, [thing, box]),
        lambda thing: weakref.ref(thing, lambda _: box),
        lambda thing: property(lambda: (thing, box)),
        lambda thing: (thing, box),
        lambda thing: map(thing, [box]),
    ):
        box.append(make(spied()))
    box += [function, generator(spied())]
    next(box[-1])
    thing = spied()
    thing.field = box
    box.append(thing)
    run_calls(spies, box)
    box.clear()


FAKED = [
    ("_asyncio", "Task", ("_coro", "_fut_waiter", "_exception", "_loop")),
    ("_asyncio", "Future", ("_exception", "_loop")),
    ("builtins", "function", ("__defaults__", "__code__", "__closure__", "__globals__")),
    ("builtins", "frame", ("f_locals", "f_code", "f_back")),
    ("builtins", "generator", ("gi_frame", "gi_code", "gi_yieldfrom")),
    ("builtins", "type", ("__mro__", "__bases__", "__dict__")),
]


@pytest.mark.parametrize(("module", "name", "fields"), FAKED)
def test_a_class_with_the_name_of_another_is_not_read_like_it(spies, module, name, fields):
    """Names of classes can be anything, and properties wait behind names of fields."""
    properties = {field: property(spies.method(field, object)) for field in fields}
    # And once more as what really reads fields, of another class.
    descriptors = {"_coro": asyncio.Task._coro} if hasattr(asyncio.Task, "_coro") else {}
    for own in (properties, {**properties, **descriptors}):
        # The reference to be named is in a field of the base, which is asked last.
        made = {"__module__": module, "__qualname__": name, **own}
        owner = type(name, (functools.partial,), made)(len)
        owner.__setstate__((len, ([owner],), {}, None))
        run_calls(spies, [owner], ["live_from_roots"])


def test_no_method_of_a_name_is_called(spies):
    """Names may be of a subclass of str: they are copied, not asked to format themselves."""
    text = spies.cls(str, **{name: spies.method(name, str) for name in TEXT_NAMES})

    def function():
        return function

    function.__qualname__ = text("function")
    function.__name__ = text("function")
    function.__code__ = function.__code__.replace(co_filename=text("file"), co_name=text("name"))
    cls = type("Named", (list,), {"__module__": text("module"), "__doc__": text("doc")})
    cls.__qualname__ = text("Named")
    cls.__name__ = text("Named")
    cls.loop = cls
    owner = cls()
    owner.append(owner)
    owner.attribute = {text("key"): owner}
    box = [owner, function, cls]
    box.append(box)
    run_calls(spies, box)
    box.clear()
    del cls.loop
