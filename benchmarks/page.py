"""The pages of the documentation, written from the results.

Usage: python -m benchmarks.page     from the kept numbers, without measuring
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.admission_page import write_admission_page
from benchmarks.agents_page import write_agents_page
from benchmarks.tables import by_version, ratio, table

FOLDER = Path(__file__).parent
LIMIT_BYTES_PER_OBJECT = 32
LIMIT_BYTES_PER_EDGE = 4

HEAD = """\
# Benchmarks

Written by `python -m benchmarks` (after `pip install -e ".[bench]"`); the numbers are kept in
`benchmarks/results.json`. Everything is a ratio to what ran beside it in the same process: to
`gc.collect()` on the same heap, or to another tool. Below 1 is faster than one collection that
finds nothing to free. Medians; an otherwise idle machine; automatic collection off.

A scan holds the interpreter for as long as it takes, like a collection does. As a rule of thumb a
full collection takes 60 to 250 ns for each object that the collector tracks, so half of that for a
million objects is 30 to 120 ms.

Contexts, pools, registries and lifecycles have [a page of their own](benchmarks-agents.md).
"""

WHAT = """\
- **garbage**: `scan("garbage", explain=False)`, all unreachable objects and the cycles among them.
- **live**: `scan("live", explain=False)`, all cycles that are in use.
- **explained**: `scan("live")`, which also groups cycles by shape and names the references of one
  of each. Sizes are worked out when they are first read, which is not part of it.
- **one thread**: live again, with one thread where there would be several.
"""


def write_pages(results: dict[str, Any], folder: Path) -> list[Path]:
    """Write each page for which there are numbers; gives the files."""
    scans = {version: measured for version, measured in results.items() if "scans" in measured}
    agents = {v: measured["agents"] for v, measured in results.items() if "agents" in measured}
    admission = {v: answer["admission"] for v, answer in results.items() if "admission" in answer}
    texts = {}
    if scans:
        texts["benchmarks.md"] = write_scans_page(scans)
    if agents:
        texts["benchmarks-agents.md"] = write_agents_page(agents)
    if admission:
        texts["benchmarks-delegation.md"] = write_admission_page(admission)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def write_scans_page(results: dict[str, Any]) -> str:
    """Write the page about scans."""
    parts = [HEAD, "## Against the collector\n", WHAT]
    for version, measured in sorted(results.items(), key=by_version):
        parts += [_scans(version, measured)]
    parts += ["## Cost per object, and memory\n", _growth(results)]
    parts += ["## Against other tools\n", _peers(results)]
    parts += ["## From one object outward\n", _roots(results)]
    return "\n".join(parts)


def _scans(version: str, measured: dict[str, Any]) -> str:
    sizes = sorted({scan["size"] for scan in measured["scans"] if scan["size"] <= 10**6})
    calls = ("garbage", "live", "explained")
    head = ["heap", *(f"{call}, 10^{len(str(size)) - 1}" for size in sizes for call in calls)]
    heaps = list(dict.fromkeys(scan["heap"] for scan in measured["scans"]))
    by_key = {(scan["heap"], scan["size"]): scan["seconds"] for scan in measured["scans"]}
    rows = []
    for heap in heaps:
        cells = [heap]
        for size in sizes:
            seconds = by_key[heap, size]
            cells += [ratio(seconds[call] / seconds["collect"]) for call in calls]
        cells.append(ratio(seconds["one_thread"] / seconds["collect"]))
        rows.append(cells)
    head.append(head[-1].replace("explained", "one thread"))
    title = (
        f"CPython {measured['python']}, {measured['machine']}, {measured['processor_count']}"
        f" processors, {measured['date']}\n"
    )
    return f"### {version}\n\n{title}\n{table(head, rows)}"


def _growth(results: dict[str, Any]) -> str:
    head = ["Python, heap", "ns per object at 10^6", "at 10^7", "ratio", "table bytes", "limit"]
    rows = []
    for version, measured in sorted(results.items(), key=by_version):
        by_key = {(scan["heap"], scan["size"]): scan for scan in measured["scans"]}
        for heap, size in by_key:
            if size != 10**7:
                continue
            per_object = {
                n: by_key[heap, n]["seconds"]["live"] / by_key[heap, n]["object_count"] * 1e9
                for n in (10**6, 10**7)
            }
            scan = by_key[heap, size]
            limit_bytes = (
                LIMIT_BYTES_PER_OBJECT
                + LIMIT_BYTES_PER_EDGE * scan["edge_count"] / scan["object_count"]
            )
            rows.append(
                [
                    f"{version}, {heap}",
                    f"{per_object[10**6]:.0f}",
                    f"{per_object[10**7]:.0f}",
                    ratio(per_object[10**7] / per_object[10**6]),
                    f"{scan['side_table_bytes'] / scan['object_count']:.1f}",
                    f"{limit_bytes:.1f}",
                ]
            )
    text = (
        "A live scan of ten million objects. Side tables are native memory, gone when the call"
        " returns; the limit is 32 bytes for each object and 4 for each reference.\n"
    )
    return f"{text}\n{table(head, rows)}"


def _peers(results: dict[str, Any]) -> str:
    versions = [version for version in results if results[version]["peers"]]
    head = ["tool, what it does", *sorted(versions, key=lambda v: by_version((v, None)))]
    rows: dict[str, list[str]] = {}
    size = 0
    for version in head[1:]:
        for answer in results[version]["peers"]:
            size = answer["object_count"]
            name = f"{answer['package']}: {answer['what']}"
            ratio = answer["peer_seconds"] / answer["memguard_seconds"]
            explained = answer["peer_seconds"] / answer["memguard_explained_seconds"]
            rows.setdefault(name, [name]).append(f"{ratio:,.0f}x ({explained:,.0f}x)")
    text = (
        f"{size:,} objects, a tenth of them in cycles of two. How many times longer than memguard"
        " each took on the same heap in the same process, and in brackets: than memguard with"
        " cycles grouped by shape and named.\n"
    )
    return f"{text}\n{table(head, list(rows.values()))}"


def _roots(results: dict[str, Any]) -> str:
    head = ["Python", "us in 10^4", "us in 10^6", "ratio", "refcycle", "explained: us", "refcycle"]
    rows = []
    for version, measured in sorted(results.items(), key=by_version):
        roots = measured["roots"]
        small, large = (roots["scan_seconds"][str(size)] for size in (10**4, 10**6))
        explained = roots["scan_explained_seconds"][str(10**6)]
        rows.append(
            [
                version,
                f"{small * 1e6:.1f}",
                f"{large * 1e6:.1f}",
                ratio(large / small),
                f"{roots['refcycle_seconds'] / large:.0f}x",
                f"{explained * 1e6:.0f}",
                f"{roots['refcycle_seconds'] / explained:.0f}x",
            ]
        )
    text = (
        '`scan("live", roots=[context])` on a context of 100 objects, in a heap of ten thousand'
        " and of a million. refcycle looks at a list of just those 100 objects.\n"
    )
    return f"{text}\n{table(head, rows)}"


if __name__ == "__main__":
    write_pages(json.loads((FOLDER / "results.json").read_text()), FOLDER.parent / "docs")
