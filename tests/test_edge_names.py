"""The name of every kind of reference."""

import gc
from dataclasses import replace

import pytest

from edge_names.kinds import KINDS
from edge_names.look import look
from memguard import _names
from memguard.heap.explain import name_reference
from test_no_user_code import spies  # noqa: F401 - a fixture

BY_TITLE = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)


@pytest.mark.native
@BY_TITLE
def test_the_reference_is_named(kind):
    """On every supported Python alike."""
    assert look(kind) == kind.step


@BY_TITLE
def test_naming_runs_no_code_of_the_owner(kind, spies):  # noqa: F811
    """The class of the owner and its metaclass define every special method."""
    cls = spies.cls(object)

    def make_unseen(owner):
        held = kind.make(owner)
        spies.is_armed = True
        return held

    look(replace(kind, make=make_unseen), cls)
    spies.is_armed = False
    assert spies.called == []


class Inline:
    """Keeps its attributes without a dict."""


@BY_TITLE
def test_naming_makes_no_dict(kind):
    """Instances that keep their attributes without a dict still do afterwards."""
    assert look(kind, Inline) == kind.step
    owners = [item for item in gc.get_objects() if type(item) is Inline]
    assert [_names.instance_dict(owner) for owner in owners] == [None] * len(owners)
    assert owners or kind.dropped


def test_a_type_that_tells_nothing_is_said_to_do_so():
    """The position among what it reports, and the type."""
    import itertools

    source = itertools.product(["item"])
    (pool,) = (item for item in gc.get_referents(source) if type(item) is tuple)
    assert name_reference(source, pool[0]) == ".<reference of itertools.product>"
    assert name_reference(source, pool) == ".<reference 0 of itertools.product>"


def test_a_class_that_names_itself_like_another_is_not_read_like_it():
    """Its attributes are attributes; what it does not have is not looked for in it."""
    fake = type("Task", (), {"__module__": "_asyncio", "_callbacks": property(lambda _: 1 / 0)})
    assert name_reference(fake(), "nothing") == ".<reference of _asyncio.Task>"
