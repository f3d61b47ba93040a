"""Run functions that make cycles, and one that fails."""

from growth import print_growth

import memguard


def make_cycle():
    loop = [[], {}]
    loop.append(loop)
    return loop


def fail():
    make_cycle()
    raise ZeroDivisionError


def call():
    assert memguard.scan_created(make_cycle).cycle_count == 1
    try:
        memguard.scan_created(fail)
    except ZeroDivisionError:
        pass
    else:
        raise AssertionError
    assert memguard.detect_circular_references() == before_count


before_count = memguard.detect_circular_references()
print_growth(call, call_count=60)
