"""Programs of the standard library that make classes and wrappers at run time."""

import abc
import collections
import dataclasses
import enum
import functools
import typing
import unittest.mock


class Production:
    """What the mocks stand for."""

    def method(self):
        self.something(1, 2, 3)

    def something(self, a, b, c):
        return a + b + c


def mocks():
    """Mocks with autospec, a patch and a failing assertion."""
    real = Production()
    real.something = unittest.mock.create_autospec(real.something)
    real.method()
    real.something.assert_called_once_with(1, 2, 3)
    with unittest.mock.patch(f"{__name__}.Production", autospec=True) as fake:
        fake.return_value.method.return_value = "done"
        Production().method()
    loose = unittest.mock.MagicMock(spec=Production)
    loose.method()
    try:
        loose.method.assert_called_once_with("something else")
    except AssertionError as error:
        failure = error
    assert "something else" in str(failure)


def caches():
    """Methods with lru_cache, singledispatchmethod and partial."""

    class Report:
        @functools.lru_cache(maxsize=32)  # noqa: B019 - this is the cycle
        def lines(self, count):
            return [self] * count

        @functools.singledispatchmethod
        def show(self, value):
            return value

        @show.register
        def _(self, value: int):
            return functools.partial(self.show, value)

    for number in range(3):
        report = Report()
        report.lines(2)
        report.redraw = report.show(number)


def classes_made_at_run_time():
    """A namedtuple, dataclasses, an Enum, a Protocol and an ABC made in a function."""
    point = collections.namedtuple("point", "x y")
    record = dataclasses.make_dataclass("record", [("name", str), ("value", int, 0)], order=True)
    colour = enum.Enum("colour", "RED GREEN BLUE")

    @dataclasses.dataclass(slots=True)
    class Order:
        number: int
        tint: colour = colour.RED

    class Row(typing.NamedTuple):
        point: object
        order: Order

    class Shown(typing.Protocol):
        def show(self) -> str: ...

    class Base(abc.ABC):
        @abc.abstractmethod
        def show(self) -> str: ...

    Base.register(Order)
    row = Row(point(1, 2), Order(3, colour.BLUE))
    assert isinstance(row.order, Base)
    assert record("a") < record("b")
    assert typing.get_type_hints(Shown.show) == {"return": str}
