"""Measure everything, print tables of ratios, and keep the numbers.

Usage: python -m benchmarks [--only scans|agents|admission|crawling|guard] [--largest N]
                            [--no-peers] [--results FILE] [--pages FOLDER]

Each part runs in a process of its own. The numbers go to a file with one entry
for each Python version, and the pages of the documentation are written from
that file.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import require_release_build
from benchmarks.page import write_pages
from benchmarks.peers import PEERS
from memguard import _core

FOLDER = Path(__file__).parent
SIZES = (10**4, 10**5, 10**6, 10**7)
LARGEST_HEAPS = ("flat, __dict__", "flat, __slots__", "dicts and lists", "cycles, __dict__")
"""Heaps that are also made in the largest size; the others would need too much memory."""


def _run(module: str, *arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    print(f"{time.strftime('%H:%M:%S')}  {module} {' '.join(arguments)}", file=sys.stderr)
    done = subprocess.run(
        command, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with exit code {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _processor_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _circumstances() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "compiler": _core.build_info()["compiler"],
        "machine": f"{platform.system()} {platform.machine()}",
        "processor_count": _processor_count(),
        "date": time.strftime("%Y-%m-%d"),
    }


def measure_scans(*, largest: int, with_peers: bool) -> dict[str, Any]:
    """Run what looks at the heap."""
    sizes = [size for size in SIZES if size <= largest]
    peers = PEERS if with_peers else ()
    scans = []
    for size in sizes:
        heaps = LARGEST_HEAPS if size == SIZES[-1] else ()
        scans += [{"size": size, **answer} for answer in _run("scans", str(size), *heaps)]
    peer_size = min(10**6, sizes[-1])
    return {
        **_circumstances(),
        "scans": scans,
        "peers": [answer for peer in peers for answer in _run("peers", peer, str(peer_size))],
        "roots": _run("roots")[0],
    }


def measure_agents() -> dict[str, Any]:
    """Run contexts, pools, registries and lifecycles."""
    return {"agents": {**_circumstances(), "operations": _run("agents")}}


def measure_admission() -> dict[str, Any]:
    """Go in and out of delegations, semaphores and breakers."""
    return {"admission": {**_circumstances(), **_run("admission")[0]}}


def measure_crawling() -> dict[str, Any]:
    """Crawl a site with two sets, and with limits."""
    return {"crawling": {**_circumstances(), **_run("crawling")[0]}}


def measure_guard() -> dict[str, Any]:
    """Run agents of libraries with and without a guard."""
    return {"guard": {**_circumstances(), **_run("guard")[0]}}


def main() -> None:
    """Measure, keep, write the page, print it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure scans against the collector and against other tools, and what agents"
        " live in against the standard library. Takes about a quarter of an hour, 6 GiB of memory,"
        " and an otherwise idle machine.",
    )
    parser.add_argument(
        "--only",
        choices=("scans", "agents", "admission", "crawling", "guard"),
        help="measure one part",
    )
    parser.add_argument(
        "--largest",
        type=lambda text: int(float(text)),
        default=SIZES[-1],
        metavar="N",
        help="objects in the largest heap, from 1e4; the default is 1e7, and 1e5 takes two minutes",
    )
    parser.add_argument("--no-peers", action="store_true", help="measure memguard alone")
    parser.add_argument("--results", type=Path, default=FOLDER / "results.json", metavar="FILE")
    parser.add_argument("--pages", type=Path, default=FOLDER.parent / "docs", metavar="FOLDER")
    options = parser.parse_args()
    require_release_build()
    measured: dict[str, Any] = {}
    if options.only in (None, "scans"):
        measured |= measure_scans(largest=options.largest, with_peers=not options.no_peers)
    if options.only in (None, "agents"):
        measured |= measure_agents()
    if options.only in (None, "admission"):
        measured |= measure_admission()
    if options.only in (None, "crawling"):
        measured |= measure_crawling()
    if options.only in (None, "guard"):
        measured |= measure_guard()
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    version = ".".join(platform.python_version_tuple()[:2])
    results[version] = results.get(version, {}) | measured
    options.results.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    for page in write_pages(results, options.pages):
        print(page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
