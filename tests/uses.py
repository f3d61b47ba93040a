"""All that can be asked of memguard, as calls that take some objects to look from."""

import memguard
from graphs import Vertex


def use(report):
    """Do all that can be done with a report."""
    str(report)
    repr(report)
    report.to_text(width=40, most_shapes=1)
    report.to_dict()
    report.to_dot()
    report.to_html()
    report._repr_html_()
    assert report.diff(report).new == ()
    for cycle in report.cycles:
        report.objects(cycle)
        assert cycle.shape.exemplar.size > 0
    report.release()


CALLS = {
    "garbage": lambda box: use(memguard.scan("garbage")),
    "garbage_late": lambda box: use(memguard.scan("garbage", explain=False)),
    "garbage_from_roots": lambda box: use(memguard.scan("garbage", roots=[box])),
    "live": lambda box: use(memguard.scan("live")),
    "live_late": lambda box: use(memguard.scan("live", explain=False)),
    "live_uncut": lambda box: use(memguard.scan("live", cuts=())),
    "live_from_roots": lambda box: use(memguard.scan("live", roots=[box])),
    "typed": lambda box: use(memguard.scan("live", types=[Vertex, "builtins.function"])),
    "partial": lambda box: use(memguard.scan("live", max_objects=1000)),
    "hurried": lambda box: use(memguard.scan("garbage", budget_seconds=1e-9)),
    "created": lambda box: use(memguard.scan_created(int)),
    "growth": lambda box: str(memguard.growth(int, 7, warmup=1, collect=False)),
    "counted": lambda box: memguard.detect_circular_references(),
}
