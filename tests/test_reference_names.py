"""Names of references."""

from memguard.heap.explain import name_reference


def test_the_next_traceback_is_named():
    """A traceback refers to the next one by its attribute."""

    def fail():
        raise ValueError

    try:
        fail()
    except ValueError as error:
        outer = error.__traceback__
    assert name_reference(outer, outer.tb_next) == ".tb_next"


def test_the_resolution_order_of_a_class_is_named():
    """A class refers to its own resolution order, which is how it leaks, by its attribute."""
    cls = type("Leaked", (), {})
    assert name_reference(cls, cls.__mro__) == ".__mro__"
