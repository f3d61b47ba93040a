"""Where attributes are assigned: real classes and their real source."""

import argparse
import xml.dom.minidom
from pathlib import Path

import pytest

import memguard
from memguard.heap.assignment import find_assignments


class Base:
    def __init__(self, partner):
        self.__partner = partner
        self.partner = partner


class Derived(Base):
    pass


def lines_of(source, label):
    return [found.text for found in find_assignments(memguard.Edge(source, label, "?"))]


def test_the_line_in_a_library_is_found():
    """With its file, which is that of the library."""
    edge = memguard.Edge("argparse.HelpFormatter._Section", ".formatter", "?")
    (found,) = find_assignments(edge)
    assert found.text == "self.formatter = formatter"
    assert found.path == argparse.__file__
    assert Path(found.path).read_text().splitlines()[found.line - 1].strip() == found.text
    assert str(found) == f"{found.path}:{found.line}"


def test_what_a_base_class_assigns_is_found():
    """Where the line stands, not where the object is made."""
    assert lines_of(f"{__name__}.Derived", ".partner") == ["self.partner = partner"]


def test_private_names_are_found_as_they_are_written():
    """Python renames them within a class."""
    assert lines_of(f"{__name__}.Derived", "._Base__partner") == ["self.__partner = partner"]


def test_lines_that_only_clear_are_left_out():
    """They are not what makes a cycle."""
    assert xml.dom.minidom.Document
    found = lines_of("xml.dom.minidom.Document", ".parentNode")
    assert "newChild.parentNode = self" in found
    assert "oldChild.parentNode = None" not in found


def test_what_others_assign_is_found_in_the_module():
    """A function outside the class may do it."""

    class Plain:
        pass

    plain = Plain()
    plain.other = plain
    assert lines_of(f"{__name__}.{Plain.__qualname__}", ".other") == ["plain.other = plain"]


def test_a_class_made_in_a_function_is_found():
    """By its qualified name."""

    class Local:
        def __init__(self):
            self.own = self

    assert lines_of(f"{__name__}.{Local.__qualname__}", ".own") == ["self.own = self"]


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("builtins.list", "[0]"),
        ("builtins.frame", ".<local x>"),
        ("_asyncio.Task", "._coro"),
        ("no.such.module.Class", ".name"),
        ("nothing", ".name"),
    ],
)
def test_what_has_no_line_gives_none(source, label):
    """Items, variables, C code, and what cannot be found."""
    assert lines_of(source, label) == []


def test_advice_leads_to_its_lines():
    """For each reference that it cuts."""

    def leak():
        one = Derived(None)
        one.partner = one

    with memguard.scan_created(leak) as report:
        (line,) = report.shapes[0].advice.assignments()
    assert line.text == "self.partner = partner"
