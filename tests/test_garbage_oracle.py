"""Garbage, held against the collector itself."""

import gc
from collections import Counter

import hypothesis
import pytest

import memguard
from graphs import Plain, Vertex, build, plans, self_loop
from oracles import collected_objects, components, names_of, uncounted_objects


def cycles_by_id(report):
    return {frozenset(cycle.object_ids) for cycle in report.cycles}


@hypothesis.given(plans())
def test_garbage_equals_what_the_collector_finds(plan):
    """Every unreachable object and every cycle among them is what the collector finds."""
    gc.collect()
    held = build(plan)
    with memguard.scan("garbage", explain=False) as report:
        found = cycles_by_id(report)
    expected = collected_objects()
    assert report.unreachable_types == dict(names_of(expected))
    assert report.unreachable_count == len(expected)
    assert found == components(expected)
    assert report.suspect_count == 0
    del held, expected


@hypothesis.given(plans())
def test_forcing_the_rule_for_borrowed_stacks_changes_nothing(plan):
    """Without generators the 3.14 rule gives the same answer."""
    from memguard import _core

    gc.collect()
    held = build(plan)
    plain = memguard.scan("garbage", explain=False).unreachable_count
    _core._force_stackref_dedupe(True)
    try:
        assert memguard.scan("garbage", explain=False).unreachable_count == plain
    finally:
        _core._force_stackref_dedupe(False)
    del held


def suspended(target):
    def generator(own):
        own.append(target)
        yield own

    box = []
    running = generator(box)
    next(running)
    box.append(running)
    return box


@pytest.mark.parametrize("dedupe", [False, True])
def test_suspended_generators_are_found_as_a_plain_trial_deletion_finds_them(dedupe):
    """A generator stored in its own variable is garbage, and what it holds with it."""
    from memguard import _core

    suspended(Plain())
    held = suspended(Plain())
    _core._force_stackref_dedupe(dedupe)
    try:
        report = memguard.scan("garbage", explain=False)
    finally:
        _core._force_stackref_dedupe(False)
    report.release()
    expected = uncounted_objects()
    assert report.unreachable_types == dict(names_of(expected))
    assert Counter(report.unreachable_types)["graphs.Plain"] == 1
    assert len(held) == 2


def test_an_empty_heap_has_no_garbage():
    """Right after a collection there is nothing to report."""
    report = memguard.scan("garbage")
    assert (report.unreachable_count, report.cycles, report.complete) == (0, (), True)


def test_what_a_cycle_holds_is_counted_apart():
    """Objects that only a cycle holds are unreachable, but no members of it."""
    owner = self_loop()
    owner.append([[], [], []])
    del owner
    report = memguard.scan("garbage")
    (cycle,) = report.cycles
    assert (report.unreachable_count, cycle.size, cycle.retained_count) == (5, 1, 5)


def test_a_class_leaked_through_its_own_resolution_order_is_found():
    """A class made at run time and dropped is a garbage cycle."""
    type("Leaked", (), {})
    report = memguard.scan("garbage")
    (cycle,) = report.cycles
    assert cycle.type_names["builtins.type"] == 1
    report.release()
    assert report.unreachable_count == len(collected_objects())


def test_two_scans_in_a_row_agree():
    """What the first report holds does not look alive to the second."""
    self_loop()
    first = memguard.scan("garbage")
    second = memguard.scan("garbage")
    assert first.unreachable_count == second.unreachable_count == 1
    assert cycles_by_id(first) == cycles_by_id(second)


def test_the_collector_frees_it_once_the_report_is_released():
    """A report keeps garbage until it is released."""
    self_loop()
    report = memguard.scan("garbage")
    assert gc.collect() == 0
    report.release()
    assert gc.collect() == 1


def test_a_report_stored_on_its_own_cycle_can_be_freed():
    """The collector sees through a report, so storing one leaks nothing."""
    import weakref

    owner = self_loop()
    owner.append(memguard.scan("live", types=[Vertex]))
    assert owner[1].cycle_count == 1
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
