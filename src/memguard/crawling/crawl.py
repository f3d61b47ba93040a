"""What a crawler has to remember, within limits, and let go of at its end.

Covers: one crawl: what waits, what was visited, and its end.
Does not cover: fetching, and which links to follow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from threading import RLock
from types import TracebackType

from memguard.crawling.pending import PendingUrls
from memguard.crawling.probable import ProbablyVisitedUrls
from memguard.crawling.visited import VisitedUrls
from memguard.errors import CrawlClosedError
from memguard.settings import CrawlingSettings


@dataclass(frozen=True, slots=True)
class CrawlStatistics:
    """What a crawl remembers, and what it forgot.

    Attributes:
        pending_count: URLs that wait.
        peak_pending_count: The largest number that waited at once.
        taken_count: URLs that were given out.
        visited_count: ... of which so many are remembered.
        forgotten_count: ... and so many are not any more, and could come again.
        repeated_count: URLs that were not added, as they wait or were visited.
        visited_bytes: What the visited ones take [bytes].
        pending_bytes: What those that wait take [bytes].
        false_positive_ratio: Share of new URLs that may count as repeated; 0 is exact.
    """

    pending_count: int
    peak_pending_count: int
    taken_count: int
    visited_count: int
    forgotten_count: int
    repeated_count: int
    visited_bytes: int
    pending_bytes: int
    false_positive_ratio: float


class Crawl:
    """The URLs of one crawl: first in, first out, each once.

    Use it as a context manager, or `close` it: then it holds nothing any more, also
    where something else keeps it alive. A URL counts as visited when it is taken.
    URLs are compared as they are given: normalize them before.

    Args:
        settings: Limits; `CrawlingSettings` says what holds without.

    Raises:
        MissingExtraError: *settings* has a ``false_positive_ratio``, and rbloom
            is not installed.

    Thread-safety:
        Any thread, and any task: each call is whole.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_lock",
        "_peak_pending_count",
        "_pending",
        "_repeated_count",
        "_settings",
        "_taken_count",
        "_visited",
    )

    def __init__(self, settings: CrawlingSettings | None = None) -> None:
        self._settings = settings = settings or CrawlingSettings()
        ratio = settings.false_positive_ratio
        self._visited: VisitedUrls | ProbablyVisitedUrls = (
            VisitedUrls(settings.max_visited_count)
            if ratio is None
            else ProbablyVisitedUrls(settings.max_visited_count, ratio)
        )
        self._pending = PendingUrls(settings.max_pending_count, settings.max_pending_bytes)
        self._peak_pending_count = self._taken_count = self._repeated_count = 0
        self._closed = False
        # A finalizer that adds to it may run while this thread has it.
        self._lock = RLock()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._pending)} pending"
        return f"<{type(self).__name__} {state}, {self._taken_count} taken>"

    def __enter__(self) -> "Crawl":
        self._require_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._pending)

    def __bool__(self) -> bool:
        # It is something also when nothing waits.
        return True

    def __contains__(self, url: str) -> bool:
        """Whether *url* waits, or was visited."""
        with self._lock:
            return url in self._pending or url in self._visited

    def __iter__(self) -> Iterator[str]:
        """Take URLs until none waits; more may be added meanwhile."""
        while (url := self.take()) is not None:
            yield url

    def add(self, url: str) -> bool:
        """Let *url* wait, unless it does or was visited.

        Returns:
            Whether it was new.

        Raises:
            FrontierFullError: Too many wait, or they are too large; take some first.
            CrawlClosedError: The crawl is over.
            TypeError: *url* is no string.
        """
        # Strings that parsers make of links may be of a class that keeps the page alive.
        url = str.__str__(url)
        with self._lock:
            self._require_open()
            if url in self._visited or not self._pending.add(url):
                self._repeated_count += 1
                return False
            self._peak_pending_count = max(self._peak_pending_count, len(self._pending))
            return True

    def take(self) -> str | None:
        """Take the URL that waited longest, as visited; None where none waits.

        Raises:
            CrawlClosedError: The crawl is over.
        """
        with self._lock:
            self._require_open()
            if not len(self._pending):
                return None
            url = self._pending.take()
            self._visited.add(url)
            self._taken_count += 1
            return url

    def statistics(self) -> CrawlStatistics:
        """Say what is remembered, and what was forgotten."""
        with self._lock:
            return CrawlStatistics(
                pending_count=len(self._pending),
                peak_pending_count=self._peak_pending_count,
                taken_count=self._taken_count,
                visited_count=len(self._visited),
                forgotten_count=self._visited.forgotten_count,
                repeated_count=self._repeated_count,
                visited_bytes=self._visited.held_bytes,
                pending_bytes=self._pending.held_bytes,
                false_positive_ratio=self._settings.false_positive_ratio or 0.0,
            )

    def cleanup(self) -> None:
        """Forget what waits and what was visited, and go on from nothing."""
        with self._lock:
            self._visited.clear()
            self._pending.clear()

    def close(self) -> None:
        """Forget all, for good; again, it does nothing."""
        with self._lock:
            self._closed = True
            self.cleanup()

    def _require_open(self) -> None:
        if self._closed:
            raise CrawlClosedError
