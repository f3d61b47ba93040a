"""Names of references."""

import asyncio

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


def test_the_object_of_a_method_written_in_c_is_named():
    """A kept ``list.append`` refers to its list as a Python method does to its object."""
    items = []
    assert name_reference(items.append, items) == ".__self__"


def test_the_result_of_a_future_is_named():
    """A future refers to what it was set to by the attribute of that name."""
    loop = asyncio.new_event_loop()
    result = []
    future = loop.create_future()
    future.set_result(result)
    assert name_reference(future, result) == "._result"
    loop.close()
