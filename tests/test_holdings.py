"""What only a cycle holds, named by type."""

from collections import Counter

import memguard
from memguard.heap.exemplar import exemplar_of
from memguard.heap.holdings import MOST_REACHED


class Context:
    def __init__(self, **held):
        self.me = self
        for name, value in held.items():
            setattr(self, name, value)


SHARED = ["shared", ["by", "all"]]


def held_by(make):
    """Give what only a cycle holds, when it is made and dropped, and how many the kernel counts."""

    def leak():
        Context(**make())

    with memguard.scan_created(leak) as report:
        exemplar = exemplar_of(report.shapes[0])
    return dict(exemplar.held_types), exemplar.retained_count - exemplar.size


def test_what_a_cycle_alone_holds_is_named():
    """Containers and what they hold, with what Python does not track."""
    held, count = held_by(lambda: {"data": [bytearray(1), bytearray(2)], "by": {1.5: (bytes(9),)}})
    assert held == {
        "builtins.bytearray": 2,
        "builtins.bytes": 1,
        "builtins.dict": 1,
        "builtins.list": 1,
        "builtins.tuple": 1,
    }
    assert sum(held.values()) == count


def test_what_others_hold_too_is_not():
    """Neither it nor what it holds; what only leads to it is."""
    held, _ = held_by(lambda: {"shared": SHARED, "way": [SHARED[1]]})
    assert held == {"builtins.list": 1}


def test_classes_and_modules_are_not_followed():
    """A context does not hold the class library."""
    held, _ = held_by(lambda: {"library": memguard, "cls": Counter, "own": [Counter]})
    assert held == {"builtins.list": 1}


def test_what_is_not_sure_is_not_told():
    """Where more is held than is looked at, nothing is named."""
    held, count = held_by(lambda: {"many": [bytearray(1) for _ in range(MOST_REACHED)]})
    assert (held, count) == ({}, MOST_REACHED + 1)


def test_naming_holds_nothing():
    """It leaves every object with as many references as before."""

    def leak():
        Context(data=[bytearray(1)])

    with memguard.scan_created(leak) as report:
        before = memguard.scan("garbage").unreachable_types
        for _ in range(3):
            exemplar_of(report.shapes[0])
        assert memguard.scan("garbage").unreachable_types == before
