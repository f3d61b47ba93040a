"""Which cycles are one kind."""

import pytest

import memguard

pytestmark = pytest.mark.native


class Pair:
    pass


class Slotted:
    __slots__ = ("__weakref__", "other", "same")


def suspends(first, second):
    yield first, second


def reported(make, ways):
    """Drop one cycle for each way, and give the lines of the shapes."""

    def leak():
        for way in ways:
            make(way)

    with memguard.scan_created(leak) as report:
        return sorted(shape.path for shape in report.shapes)


def by_attribute(way, *, materialised=False):
    owner, other = Pair(), Pair()
    if materialised:
        vars(owner)
    setattr(owner, way, other)
    other.back = owner


def by_dict(way):
    by_attribute(way, materialised=True)


def by_slot(way):
    owner = Slotted()
    owner.other = owner.same = None
    setattr(owner, way, owner)


def by_function_attribute(way):
    def on_done():
        pass

    setattr(on_done, way, on_done)


def by_key(way):
    pair = Pair()
    pair.held = {way: pair}


def by_variable(way):
    pair = Pair()
    pair.held = suspends(**{"first": None, "second": None, way: pair})
    next(pair.held)


@pytest.mark.parametrize(
    ("make", "ways"),
    [
        (by_attribute, ("other", "same")),
        (by_dict, ("other", "same")),
        (by_slot, ("other", "same")),
        (by_variable, ("first", "second")),
        (by_function_attribute, ("other", "same")),
    ],
)
def test_cycles_through_different_names_are_different_shapes(make, ways):
    """Two attributes of one class are two leaks, with two things to do about them."""
    paths = reported(make, ways)
    assert len(paths) == 2
    assert all(any(way in path for path in paths) for way in ways)


@pytest.mark.parametrize("make", [by_attribute, by_dict, by_slot])
def test_cycles_through_the_same_name_are_one_shape(make):
    """However many there are."""
    assert len(reported(make, ["other"] * 5)) == 1


def test_cycles_through_keys_of_different_types_are_different_shapes():
    """A key is shown by its type, and what is shown differs."""
    paths = reported(by_key, ["text", 1, "other text"])
    assert [path.split(" -> ")[1] for path in paths] == ["dict[int]", "dict[str]"]
