"""Let scans fail: for want of memory at each allocation, and for wrong arguments."""

from growth import print_growth

import memguard
from memguard import _core

kept = [[], {}]
kept.append(kept)
WRONG = [
    {"kind": "dead"},
    {"max_objects": 0},
    {"budget_seconds": -1.0},
    {"cuts": ["everything"]},
    {"types": [1]},
    {"roots": 1},
]


def fail_at(number, call):
    _core._fail_allocation_at(number)
    try:
        call()
    except MemoryError:
        return True
    finally:
        _core._fail_allocation_at(0)
    return False


def call():
    number = 1
    while fail_at(number, lambda: memguard.scan("live", roots=[kept])):
        number += 1
    late = memguard.scan("live", roots=[kept], explain=False)
    number = 1
    while fail_at(number, lambda: late.shapes):
        number += 1
    for kind in ("garbage", "live"):
        for number in (1, 10, 100):
            fail_at(number, lambda kind=kind: memguard.scan(kind, explain=False))
    for wrong in WRONG:
        try:
            memguard.scan(**{"kind": "live", **wrong})
        except (ValueError, TypeError):
            continue
        raise AssertionError(wrong)


print_growth(call, call_count=200)
