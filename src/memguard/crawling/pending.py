"""The URLs that wait to be visited.

Covers: first in, first out, each once, within a number of URLs and of bytes.
Does not cover: which were visited already (``visited``).
"""

import sys
from collections import deque

from memguard.errors import FrontierFullError

_STRING_BYTES = sys.getsizeof("") + 16
_WIDEST_BYTES = 4


def size_of(url: str) -> int:
    """Give what a URL takes at most [bytes].

    Not what ``sys.getsizeof`` says, which grows when somebody asks for the UTF-8.
    """
    return _STRING_BYTES + len(url) * (1 if url.isascii() else _WIDEST_BYTES)


class PendingUrls:
    """A line of URLs, in which each stands once.

    Thread-safety: one thread at a time; a `Crawl` sees to that.

    Args:
        max_count: How many may wait [count].
        max_bytes: What they may take together [bytes].
    """

    __slots__ = ("_known", "_line", "max_bytes", "max_count", "url_bytes")

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self.max_count = max_count
        self.max_bytes = max_bytes
        self.url_bytes = 0
        self._known: set[str] = set()
        self._line: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def __contains__(self, url: str) -> bool:
        return url in self._known

    def add(self, url: str) -> bool:
        """Put *url* at the end of the line.

        Returns:
            Whether it was not there yet.

        Raises:
            FrontierFullError: There are too many, or they are too large; nothing
                changed.
        """
        if url in self._known:
            return False
        if len(self._line) >= self.max_count:
            raise FrontierFullError("max_pending_count", len(self._line) + 1, self.max_count)
        url_bytes = self.url_bytes + size_of(url)
        if url_bytes > self.max_bytes:
            raise FrontierFullError("max_pending_bytes", url_bytes, self.max_bytes)
        self.url_bytes = url_bytes
        self._known.add(url)
        self._line.append(url)
        return True

    def take(self) -> str:
        """Take the first one; `IndexError` where there is none."""
        url = self._line.popleft()
        self._known.discard(url)
        self.url_bytes -= size_of(url)
        return url

    @property
    def held_bytes(self) -> int:
        """What all of it takes [bytes]."""
        return self.url_bytes + sys.getsizeof(self._known) + sys.getsizeof(self._line)

    def clear(self) -> None:
        """Let all go."""
        self._known = set()
        self._line = deque()
        self.url_bytes = 0
