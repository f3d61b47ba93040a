"""Arguments of a scan: what is taken, and what a mistake is answered with."""

import enum
import math
import sys
import warnings

import pytest

import memguard


class Own:
    def __init__(self):
        self.own = self


class Kind(enum.StrEnum):
    LIVE = "live"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kind": "dead"}, ValueError, "kind is 'dead'; use one of 'garbage', 'live'"),
        ({"kind": None}, ValueError, "kind is None; use one of 'garbage', 'live'"),
        (
            {"cuts": ["module"]},
            ValueError,
            "cuts is 'module'; use one of 'modules', 'module_dicts', 'types', 'instance_types'",
        ),
        ({"cuts": 5}, TypeError, "cuts is of type int; give names of cuts, () for none"),
        (
            {"roots": 5},
            TypeError,
            "roots is of type int; give the objects in a list, such as [context]",
        ),
        (
            {"roots": {"context": 1}},
            TypeError,
            "roots is of type dict; give the dict in a list, or its values()",
        ),
        (
            {"roots": "context"},
            TypeError,
            "roots is of type str; give the objects in a list, such as [context]",
        ),
        (
            {"types": 5},
            TypeError,
            "types is of type int; give classes, or names 'module.QualName'",
        ),
        (
            {"types": [list[int]]},
            TypeError,
            "an item of types is of type types.GenericAlias; give classes, or names",
        ),
        (
            {"max_objects": 0},
            ValueError,
            "max_objects is 0; it must be a whole number of at least 1, or None for no limit",
        ),
        ({"max_objects": True}, ValueError, "max_objects is True; it must be"),
        ({"max_objects": 1.0}, ValueError, "max_objects is 1.0; it must be"),
        (
            {"budget_seconds": 0},
            ValueError,
            "budget_seconds is 0; it must be a number of seconds above 0, or None for no limit",
        ),
        ({"budget_seconds": math.nan}, ValueError, "budget_seconds is nan; it must be"),
        ({"budget_seconds": True}, ValueError, "budget_seconds is True; it must be"),
        ({"budget_seconds": "1"}, ValueError, "budget_seconds is '1'; it must be"),
    ],
    ids=str,
)
def test_a_mistake_is_named_with_its_value_and_the_remedy(arguments, error, message):
    """Each error is memguard's own and of the fitting builtin kind."""
    with pytest.raises(memguard.MemguardError) as caught:
        memguard.scan(**arguments)
    assert isinstance(caught.value, error)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "limit",
    [
        {"max_objects": sys.maxsize + 1},
        {"max_objects": 10**30},
        {"budget_seconds": 10**400},
        {"budget_seconds": math.inf},
    ],
    ids=["beyond ssize_t", "beyond 64 bits", "beyond float", "inf"],
)
def test_a_limit_that_is_never_reached_is_none(limit):
    """However large, and whatever C makes of it."""
    assert memguard.scan("live", **limit).complete


def test_a_number_of_another_library_is_a_limit():
    """What can stand for a whole number does, as in a slice."""

    class Number:
        def __index__(self):
            return 5

    assert memguard.scan("live", max_objects=Number()).object_count == 5


def test_a_kind_may_be_a_string_of_another_class():
    """Such as a member of a string enumeration that holds a program's options."""
    own = Own()
    assert memguard.scan(Kind.LIVE, roots=[own]).kind == "live"


@pytest.mark.parametrize("give", [list, tuple, set, iter], ids=["list", "tuple", "set", "iterator"])
def test_roots_may_come_in_any_iterable(give):
    """Each counts what its objects reach."""
    own = Own()
    assert memguard.scan("live", roots=give([own])).cycle_count == 1


def test_roots_without_references_reach_nothing():
    """Immortal and untracked objects, and no roots at all, are a question like any other."""
    for roots in [], [None, True, 1, "text", ()]:
        report = memguard.scan("live", roots=roots)
        assert (report.complete, report.object_count, report.cycles) == (True, 0, ())


def test_a_filter_runs_no_code_of_a_metaclass():
    """Asking for instances of a class does not ask the class."""
    asked = []

    class Meta(type):
        def __getattribute__(cls, name):
            asked.append(name)
            return super().__getattribute__(name)

        def __eq__(cls, other):
            asked.append("__eq__")
            return True

        __hash__ = None

    class Strange(Own, metaclass=Meta):
        pass

    strange = Strange()
    asked.clear()
    assert memguard.scan("live", roots=[strange], types=[Strange]).cycle_count == 1
    assert asked == []


def test_a_function_that_only_makes_a_coroutine_is_refused():
    """It would not run, and the report of nothing would read as "makes no cycles"."""

    async def never_runs():
        Own()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(memguard.MemguardError, match=r"lambda: asyncio\.run") as caught:
            memguard.scan_created(never_runs)
    assert isinstance(caught.value, TypeError)


def test_what_cannot_be_called_is_refused():
    """With the project's own error, before the first scan."""
    with pytest.raises(memguard.MemguardError, match="function is of type int") as caught:
        memguard.scan_created(5)
    assert isinstance(caught.value, TypeError)
