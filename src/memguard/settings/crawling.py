"""Settings of the room that remembers what a crawler saw."""

from dataclasses import dataclass
from typing import ClassVar

from memguard.settings.values import Number, Room, Size, setting

_MOST = 10**12
_COUNT = Number("URLs", 1, _MOST, whole=True)


@dataclass(frozen=True, slots=True)
class CrawlingSettings(Room):
    """Limits of a `Crawl`.

    Attributes:
        max_visited_count: Visited URLs that are remembered [count]; then the oldest
            is forgotten, and would be crawled again if a page still links to it.
        false_positive_ratio: Share of new URLs that may be taken for visited ones
            [ratio], for a hundredth of the memory; None takes none for that.
        max_pending_count: URLs that may wait [count].
        max_pending_bytes: ... and what they may take together [bytes].
    """

    name: ClassVar[str] = "crawling"

    max_visited_count: int = setting(100_000, _COUNT, "about 15 MB; benchmarks/crawling.py")
    false_positive_ratio: float | None = setting(
        None,
        Number("ratio", 0, 0.5, optional=True, above_minimum=True, none_means="exact"),
        "exact: a page taken for a visited one is lost, and nobody is told",
    )
    max_pending_count: int = setting(100_000, _COUNT, "as many as are remembered")
    max_pending_bytes: int = setting(
        64 * 2**20, Size(1), "100,000 URLs of 600 characters, which few have"
    )
