"""Single calls under pytest-benchmark, to compare a change with what was before.

Usage: pytest benchmarks --benchmark-enable --benchmark-save=before
       pytest benchmarks --benchmark-enable --benchmark-compare=0001
"""

import gc
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.heaps import HEAPS
from benchmarks.measure import SCANS, require_release_build

OBJECT_COUNT = 100_000


@pytest.fixture(params=HEAPS)
def heap(request: pytest.FixtureRequest) -> Iterator[str]:
    require_release_build()
    held = HEAPS[request.param](OBJECT_COUNT)
    gc.collect()
    gc.disable()
    yield request.param
    gc.enable()
    del held


@pytest.mark.parametrize("call", SCANS)
def test_scan(benchmark: BenchmarkFixture, heap: str, call: str) -> None:
    """Each way to look at each heap; the group's "collect" is the yardstick."""
    benchmark.group = heap
    benchmark.pedantic(SCANS[call], rounds=11, warmup_rounds=1)
