"""Names of references."""

import asyncio

from memguard.heap.explain import name_reference
from process import run_fresh


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


def test_what_lies_in_a_free_list_is_not_listed():
    """The module _asyncio of 3.12.1 shows it; to hold it and drop it frees it twice."""
    code = """
        import asyncio, _asyncio
        from memguard import _names

        async def main():
            waiting = [asyncio.sleep(0.001) for _ in range(50)]
            await asyncio.gather(*waiting)
            futures = [asyncio.ensure_future(asyncio.sleep(0)) for _ in range(50)]
            iterators = [iter(future) for future in futures]
            await asyncio.gather(*futures)

        asyncio.run(main())
        for _ in range(3):
            _names.referents_of(_asyncio)
    """
    assert run_fresh(code) == ""
