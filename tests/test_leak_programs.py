"""Registries and caches that never shrink are named, and programs that are well are left alone.

Those of the standard library, or with ``--real-libraries`` of the extra ``real``.
"""

import functools

from leaks.catalogue import HEALTHY, LEAKS
from leaks.measurement import is_of_standard_library, measure_apart

measured = functools.cache(measure_apart)


def pytest_generate_tests(metafunc):
    wants_standard = not metafunc.config.getoption("--real-libraries")
    for argument, names in (("leak", LEAKS), ("healthy", HEALTHY)):
        if argument in metafunc.fixturenames:
            chosen = [one for one in names if is_of_standard_library(one) == wants_standard]
            metafunc.parametrize(argument, chosen)


def test_the_container_that_leaks_is_named_first(leak):
    """By what holds it, at an entry or more per run."""
    found = measured(leak)
    assert found.is_named, found.report


def test_the_container_that_leaks_is_told_once(leak):
    """With the types of its entries, and not beside them."""
    assert len(measured(leak).findings) == 1, measured(leak).report


def test_nothing_is_said_of_a_program_that_is_well(healthy):
    """Caches that fill, bounded ones, buffers that are flushed, pools, servers."""
    assert measured(healthy).findings == (), measured(healthy).report


def test_who_holds_what_leaked_is_told(leak):
    """The way to an object that a run left behind leads through what holds it."""
    found = measured(leak)
    assert found.holder in found.held, found.held
