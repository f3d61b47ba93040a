"""Find garbage, and give it back: by release, by the end of a block, by dropping the report."""

import gc

from growth import print_growth

import memguard

# Loads the rest of memguard: later that could run the collector.
scan = memguard.scan


def plant():
    loop = [[], {}]
    loop.append(loop)
    cls = type("Leaked", (), {})
    cls.loop = loop
    cls.instance = cls()


def call():
    plant()
    report = scan("garbage")
    assert report.unreachable_count > 5
    report.release()
    report.release()
    gc.collect()
    plant()
    with scan("garbage", explain=False) as report:
        report.me = report
        assert len(report.shapes) == 2
    plant()
    loop = [scan("garbage")]
    loop.append(loop)
    del loop, report
    gc.collect()


print_growth(call, call_count=80)
