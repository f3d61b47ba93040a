"""How many objects outlive their use, and how many passes free the rest."""

import gc

import pytest

from memguard import LimitOutOfRangeError, Survival, WrongTypeError, measure_survival


class Node:
    """Refers to itself if it is to survive."""

    def __init__(self, survives=False):
        self.me = self if survives else None


class Phoenix(Node):
    """Comes back a few times."""

    kept = []

    def __init__(self, lives):
        super().__init__(survives=True)
        self.lives = lives

    def __del__(self):
        Phoenix.kept.append(self)


def test_what_counting_frees_does_not_survive():
    """Not even the last one, which was just looked at."""
    found = measure_survival(Node() for _ in range(100))
    assert found == Survival(100, (0,))
    assert (found.survived_count, found.survival_ratio, found.passes_needed) == (0, 0.0, 0)


def test_cycles_survive_until_a_pass():
    """Twenty of two hundred, as in the original report."""
    found = measure_survival(Node(survives=number % 10 == 0) for number in range(200))
    assert found == Survival(200, (20, 0))
    assert (found.survived_count, found.survival_ratio, found.passes_needed) == (20, 0.1, 1)


def test_what_somebody_holds_is_never_freed():
    """After all passes it is said to be there still."""
    held = [Node() for _ in range(3)]
    found = measure_survival(iter(held), max_passes=2)
    assert found == Survival(3, (3, 3, 3))
    assert found.passes_needed is None


def test_what_a_finalizer_brings_back_is_there_until_it_goes():
    """A weak reference to it is cleared all the same: it counts as freed."""
    found = measure_survival(Phoenix(1) for _ in range(2))
    assert found.alive_counts == (2, 0)
    Phoenix.kept.clear()
    gc.collect()


def test_no_pass_at_all_may_be_wanted():
    """Then only counting is measured."""
    found = measure_survival((Node(survives=True) for _ in range(4)), max_passes=0)
    assert found == Survival(4, (4,))
    assert found.passes_needed is None
    gc.collect()


def test_nothing_survives_of_nothing():
    """And needs no pass."""
    found = measure_survival([])
    assert (found.survival_ratio, found.passes_needed) == (0.0, 0)


@pytest.mark.parametrize("is_enabled", [True, False])
@pytest.mark.parametrize("fails", [False, True])
def test_the_collector_is_as_it_was(is_enabled, fails):
    """Also when making the objects fails; meanwhile it waits."""

    def make():
        seen.append(gc.isenabled())
        yield Node()
        if fails:
            raise RuntimeError("made wrongly")

    seen, was_enabled = [], gc.isenabled()
    (gc.enable if is_enabled else gc.disable)()
    try:
        if fails:
            with pytest.raises(RuntimeError, match="made wrongly"):
                measure_survival(make())
        else:
            measure_survival(make())
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
    assert seen == [False]


@pytest.mark.parametrize("objects", [[1], [Node(), (1, 2)], ["text"]])
def test_objects_that_cannot_be_referred_to_are_named(objects):
    """By their type, and the collector is as it was."""
    was_enabled = gc.isenabled()
    with pytest.raises(WrongTypeError, match=r"type (int|tuple|str)"):
        measure_survival(objects)
    assert gc.isenabled() is was_enabled


@pytest.mark.parametrize("passes", [-1, 1.5, True, None])
def test_passes_are_a_number(passes):
    """Of at least 0."""
    with pytest.raises(LimitOutOfRangeError, match="max_passes"):
        measure_survival([], max_passes=passes)
