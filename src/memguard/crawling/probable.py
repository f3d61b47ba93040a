"""The URLs that were visited, with a stated chance to be wrong.

Covers: two Bloom filters that take turns, so that neither fills up.
Does not cover: the filter itself, which is that of rbloom, the extra ``crawl``.

Source: B. Bloom, "Space/time trade-offs in hash coding with allowable errors", 1970;
taking turns: F. Chang, W. Feng, K. Li, "Approximate caches for packet
classification", 2004, as double buffering.
"""

from typing import Any

from memguard.errors import MissingExtraError


class ProbablyVisitedUrls:
    """Remembers URLs in about 20 bits each, and sometimes one that never came.

    Each URL that was added is remembered until at least *max_count* others came
    after it; a filter that has so many is kept, the one before it is dropped.

    Thread-safety: one thread at a time; a `Crawl` sees to that.

    Args:
        max_count: How many are remembered at least [count].
        false_positive_ratio: Share of new URLs that are taken for visited ones [ratio].

    Raises:
        MissingExtraError: rbloom is not installed.
    """

    __slots__ = (
        "_bloom",
        "_current",
        "_current_count",
        "_previous",
        "_previous_count",
        "_ratio",
        "forgotten_count",
        "max_count",
    )

    def __init__(self, max_count: int, false_positive_ratio: float) -> None:
        # Only who asks for it needs it.
        try:
            from rbloom import Bloom
        except ImportError as error:
            raise MissingExtraError("false_positive_ratio", "rbloom", "crawl") from error
        self._bloom: Any = Bloom
        self.max_count = max_count
        # Either filter can be wrong.
        self._ratio = false_positive_ratio / 2
        self.forgotten_count = 0
        self._current: Any
        self._previous: Any
        self._current_count: int
        self._previous_count: int
        self.clear()

    def __len__(self) -> int:
        return self._current_count + self._previous_count

    def __contains__(self, url: str) -> bool:
        return url in self._current or (self._previous is not None and url in self._previous)

    def add(self, url: str) -> bool:
        """Remember *url*.

        Returns:
            Whether it was new; rarely False for one that was.
        """
        if url in self:
            return False
        if self._current_count >= self.max_count:
            self.forgotten_count += self._previous_count
            self._previous, self._previous_count = self._current, self._current_count
            self._current, self._current_count = self._bloom(self.max_count, self._ratio), 0
        self._current.add(url)
        self._current_count += 1
        return True

    @property
    def held_bytes(self) -> int:
        """What both filters take [bytes]."""
        filters = [self._current, *([self._previous] if self._previous is not None else [])]
        return sum(int(each.size_in_bits) for each in filters) // 8

    def clear(self) -> None:
        """Forget all."""
        self._current = self._bloom(self.max_count, self._ratio)
        self._previous = None
        self._current_count = self._previous_count = 0
