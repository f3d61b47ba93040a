"""Run CPython's own test.test_gc, predicting each full collection before it happens.

Prints one JSON object: collections predicted, and per test those whose
prediction differs from what ``gc.collect()`` then returned.
"""

import gc
import json
import sys
import unittest

import memguard._core as core

real_collect = gc.collect
differences: dict[str, list[tuple[int, int]]] = {}
predicted_count = 0
current = "?"


def collect(generation=2, **options):
    """Predict, collect, compare."""
    global predicted_count
    if generation != 2:
        return real_collect(generation)
    graph = core.scan_heap("garbage", 0, None, 0, 0.0)
    predicted = graph.unreachable_count
    graph.release()
    del graph
    actual = real_collect(generation)
    predicted_count += 1
    if predicted != actual:
        differences.setdefault(current, []).append((predicted, actual))
    return actual


class Result(unittest.TextTestResult):
    def startTest(self, test):
        global current
        current = test._testMethodName
        super().startTest(test)


gc.collect = collect
from test import test_gc  # noqa: E402

suite = unittest.defaultTestLoader.loadTestsFromModule(test_gc)
result = unittest.TextTestRunner(stream=sys.stderr, resultclass=Result).run(suite)
gc.collect = real_collect
print(
    json.dumps(
        {
            "python": sys.version.split()[0],
            "test_count": result.testsRun,
            "failures": [test.id() for test, _ in result.failures + result.errors],
            "predicted_count": predicted_count,
            "differences": differences,
        }
    )
)
