"""Where objects were made, if tracemalloc was told to remember it.

Covers: files and lines by object. Does not cover: whose they are (``owner``).
"""

import sys
from collections import Counter
from collections.abc import Iterable


def places_of(objects: Iterable[object]) -> dict[str, int]:
    """Count the places at which objects were made, "file:line", most first.

    Objects that were made before tracing began have none; without tracing there are
    none at all.
    """
    tracing = sys.modules.get("tracemalloc")
    if tracing is None or not tracing.is_tracing():
        return {}
    counts: Counter[str] = Counter()
    for each in objects:
        trace = tracing.get_object_traceback(each)
        if trace is not None and len(trace):
            # The last frame is the innermost.
            counts[f"{trace[-1].filename}:{trace[-1].lineno}"] += 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
