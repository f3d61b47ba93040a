"""Advice on cycles of real libraries, followed in a copy of the program or the library.

Of the standard library, or with ``--real-libraries`` of the extra ``real``.
"""

import ast
import dataclasses
import functools
import sys

import pytest

from repairs import copies
from repairs.catalogue import REPAIRS
from repairs.measurement import measure_apart
from repairs.outcome import repair_apart
from repairs.repair import Change

repaired = functools.cache(repair_apart)


def is_of_standard_library(repair):
    return repair.libraries[0].partition(".")[0] in sys.stdlib_module_names


def chosen(config):
    wants_standard = not config.getoption("--real-libraries")
    return [one for one in REPAIRS if is_of_standard_library(one) == wants_standard]


def pytest_generate_tests(metafunc):
    if "repair" in metafunc.fixturenames:
        repairs = chosen(metafunc.config)
        metafunc.parametrize("repair", repairs, ids=[repair.name for repair in repairs])


def test_the_advice_names_the_reference_and_dissolves_every_cycle_tried(repair):
    """It is about what is changed, and proved on the graph before anything is."""
    assert repaired(repair).is_advised


def test_the_advice_on_every_shape_is_python(repair):
    """Also where names are those of variables and fields that no program can write."""
    advice = [shape["advice"] for shape in repaired(repair).before.shapes]
    for code in [given["code"] for given in advice]:
        assert len(code.splitlines()) == 2
        compile(code, "advice", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_a_second_scan_no_longer_finds_the_cycle(repair):
    """Unless it is known that this is not enough."""
    assert repaired(repair).is_gone == (not repair.note)


def test_without_the_change_the_second_scan_finds_the_cycle_again():
    """It is the change that removes it, not the second run."""
    repair = next(one for one in REPAIRS if one.function == "minidom")
    outcome = repaired(repair)
    again = dataclasses.replace(outcome, after=measure_apart(repair, changed=False))
    assert outcome.is_gone
    assert not again.is_gone


def test_a_copy_is_refused_when_its_line_is_not_there():
    """Another version of a library would otherwise be measured without the change."""
    finder = copies.CopyingFinder([Change("this", "no such line", "")])
    spec = finder.find_spec("this")
    with pytest.raises(ImportError, match="this has 0 of these lines"):
        spec.loader.get_code("this")


def test_a_module_that_is_there_already_is_not_changed():
    """Its copy would never be loaded."""
    with pytest.raises(ImportError, match=r"imported before .*\['functools'\]"):
        copies.CopyingFinder([Change("functools", "a", "b")])
