"""What a crawl takes and gives back: the original report's two sets, and a `Crawl`.

Usage: python -m benchmarks.crawling

Each crawler walks over the same made-up site in a process of its own: each page
links to `LINK_COUNT` others. Prints one JSON object. A
meter looks every `LOOK_EVERY` pages, and small objects count 76 bytes each.
"""

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import memguard
from memguard.validation.baselines.crawling import Scraper

PAGE_COUNT = 300_000
LINK_COUNT = 5
LOOK_EVERY = 5_000
PROBABLE = memguard.CrawlingSettings(max_visited_count=PAGE_COUNT, false_positive_ratio=0.001)
_FOLDER = Path(__file__).parent.parent


def url_of(number: int) -> str:
    return f"https://docs.example.org/en/latest/reference/articles/section/{number}.html"


def walk(add: Callable[[str], object], take: Callable[[], str | None], look: Any) -> int:
    """Visit the site from its first page; give how many pages were taken."""
    add(url_of(0))
    taken = 0
    while (url := take()) is not None:
        if taken % LOOK_EVERY == 0:
            look()
        taken += 1
        number = int(url.rpartition("/")[2].partition(".")[0])
        for link in range(1, LINK_COUNT + 1):
            # Each page is linked from a few, all near to it: the line stays short.
            add(url_of(min(PAGE_COUNT - 1, number + link)))
    look()
    return taken


class Page:
    """The page that was fetched last; it and its scraper refer to each other."""

    def __init__(self, scraper: Scraper) -> None:
        self.scraper = scraper
        scraper.pages = [self]  # type: ignore[attr-defined]


def report_dropped(look: Any) -> int:
    """Drop the scraper, which its page and it keep alive."""
    scraper = Scraper()
    Page(scraper)
    return walk(scraper.add, scraper.take, look)


def report_cleared(look: Any) -> int:
    """Clear both sets before."""
    scraper = Scraper()
    Page(scraper)
    taken = walk(scraper.add, scraper.take, look)
    scraper.visited_urls.clear()
    scraper.pending_urls.clear()
    return taken


def exact(look: Any) -> int:
    with memguard.Crawl() as crawl:
        return walk(crawl.add, crawl.take, look)


def probable(look: Any) -> int:
    with memguard.Crawl(PROBABLE) as crawl:
        return walk(crawl.add, crawl.take, look)


CRAWLS: dict[str, Callable[[Any], int]] = {
    "report, dropped": report_dropped,
    "report, cleared": report_cleared,
    "Crawl": exact,
    "Crawl, false_positive_ratio=0.001": probable,
}


def measure(name: str) -> dict[str, Any]:
    """Run one crawl here; the collector does not run before the result is taken."""
    for settings in (None, PROBABLE):
        # What is loaded when it is first used is no part of a crawl.
        memguard.Crawl(settings).close()
    gc.collect()
    gc.disable()
    meter = memguard.CleanupMeter()
    taken = CRAWLS[name](meter.look)
    found = meter.finish()
    return {
        "crawl": name,
        "taken_count": taken,
        "peak_bytes": found.peak_bytes - found.before_bytes,
        "left_bytes": found.after_bytes - found.before_bytes,
        "percent": found.percent,
    }


def main() -> None:
    """Measure all, each in a process of its own."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    answers = []
    for name in CRAWLS:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.crawling", name],
            cwd=_FOLDER,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        answers.append(json.loads(done.stdout))
    print(json.dumps({"crawls": answers}))


if __name__ == "__main__":
    main()
