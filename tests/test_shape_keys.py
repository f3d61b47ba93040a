"""The key of a shape."""

import json
import subprocess
import sys
import xml.parsers.expat
from pathlib import Path

import memguard

FOLDER = Path(__file__).parent
KNOWN = json.loads((FOLDER / "shape_keys.json").read_text(encoding="utf-8"))


def keys_in_a_new_process(seed):
    run = subprocess.run(
        [sys.executable, str(FOLDER / "programs" / "keys.py"), str(seed)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONHASHSEED": str(seed)},
    )
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)


def test_the_same_leak_has_the_same_key_in_every_process_and_on_every_python():
    """Twenty processes hash, order, place and size things differently, and agree.

    The file is the same for all Pythons: what one writes as a baseline, another reads.
    """
    for seed in range(20):
        assert keys_in_a_new_process(seed) == KNOWN


def test_different_leaks_have_different_keys():
    """No two paths share one; a tree of two-way links reads like a chain of them."""
    paths = {}
    for shapes in KNOWN.values():
        for key, path in shapes:
            paths.setdefault(key, set()).add(path)
    assert len(paths) > 80
    assert [both for both in paths.values() if len(both) > 1] == []


class Node:
    pass


def chain_of(length):
    """Make a cycle of so many nodes in a row."""
    first = last = Node()
    for _ in range(length - 1):
        last.following = Node()
        last = last.following
    last.following = first


def nested_in(position):
    node = Node()
    node.items = [*range(position), node]


def keys_of(make, numbers):
    def leak():
        for number in numbers:
            make(number)

    with memguard.scan_created(leak) as report:
        return [shape.key for shape in report.shapes]


def test_the_length_of_a_chain_is_not_part_of_the_key():
    """Nor is it when the loop is too long to be named in full."""
    keys = keys_of(chain_of, (3, 10, 100))
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_the_position_in_a_list_is_not_part_of_the_key():
    """Where an object is in a list says nothing of why."""
    assert len({*keys_of(nested_in, [0]), *keys_of(nested_in, [5])}) == 1


def shape_of_a_parser_with(handler):
    def leak():
        node = Node()
        node.parser = xml.parsers.expat.ParserCreate()
        node.parser.StartElementHandler = node.parser.EndElementHandler = print
        setattr(node.parser, handler, node.__init__)

    with memguard.scan_created(leak) as report:
        (shape,) = report.shapes
        return shape


def test_the_position_among_the_references_of_a_c_type_is_not_part_of_the_key():
    """A parser that has several handlers leads on by this one in one run, by that in another."""
    one = shape_of_a_parser_with("StartElementHandler")
    other = shape_of_a_parser_with("EndElementHandler")
    assert one.path != other.path
    assert one.key == other.key


def test_another_attribute_is_another_key():
    """A baseline that allows one does not allow the other."""

    def tie(name):
        node = Node()
        setattr(node, name, node)

    assert len(set(keys_of(tie, ["parent", "owner"]))) == 2
