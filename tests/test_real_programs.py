"""Programs that others wrote, held against counts that share nothing with memguard.

Of the standard library, or with ``--real-libraries`` of the extra ``real``.
"""

import functools
import sys
from collections import Counter

from real_programs.catalogue import LIBRARIES, STANDARD_LIBRARY
from real_programs.comparison import compare_apart

compared = functools.cache(compare_apart)


def chosen(config):
    return LIBRARIES if config.getoption("--real-libraries") else STANDARD_LIBRARY


SUSPENDED = "concurrency.suspended_generators"
"""From 3.14 on suspended generators may look alive; never the other way round."""


def pytest_generate_tests(metafunc):
    if "program" in metafunc.fixturenames:
        programs = chosen(metafunc.config)
        if sys.version_info >= (3, 14):
            programs = [program for program in programs if program.name != SUSPENDED]
        metafunc.parametrize("program", programs, ids=[program.name for program in programs])


def test_unreachable_objects_equal_a_trial_deletion_by_type(program):
    """Plain Python, with reference counts and referents, finds as many of each type."""
    found = compared(program)
    assert found.types == found.types_of_trial_deletion
    assert found.suspect_count == 0


def test_unreachable_objects_equal_what_the_collector_names_by_type(program):
    """So does the collector, before it runs a finalizer."""
    found = compared(program)
    assert found.types == found.types_of_collector


def test_save_all_lacks_only_what_finalizers_took_apart(program):
    """What DEBUG_SAVEALL keeps is the same, or less where something has a finalizer."""
    found = compared(program)
    assert Counter(found.types_saved) <= Counter(found.types)
    assert not found.types_not_saved or found.types_with_finalizer


def test_garbage_cycles_equal_those_of_networkx(program):
    """Each garbage cycle has the members that networkx puts into one component."""
    found = compared(program)
    assert found.cycles == found.cycles_of_networkx
    assert found.cycles_have_same_members


def test_live_cycles_equal_those_of_networkx(program):
    """So does each live cycle of the process, after the same cuts."""
    found = compared(program)
    assert found.live_cycle_count == found.live_cycle_count_of_networkx
    assert found.live_cycles_have_same_members


def test_nothing_alive_is_called_garbage(pytestconfig):
    """Not even where suspended generators refer to one object twice."""
    for program in chosen(pytestconfig):
        found = compared(program)
        assert Counter(found.types) <= Counter(found.types_of_trial_deletion), program.name


def test_most_programs_leave_cycles(pytestconfig):
    """The comparisons are about something: most of the programs leave garbage cycles."""
    found = [compared(program) for program in chosen(pytestconfig)]
    assert sum(len(comparison.cycles) > 0 for comparison in found) > 10
