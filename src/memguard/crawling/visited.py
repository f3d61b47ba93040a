"""The URLs that were visited, exactly, within a number of entries.

Covers: digests instead of URLs, and forgetting the oldest.
Does not cover: many more URLs than fit (``probable``), those that wait (``pending``).
"""

import hashlib
import sys
from collections import deque

DIGEST_BYTES = 16
"""Length of a digest: among 10^12 URLs the chance that two have the same one is 10^-15."""


def digest_of(url: str) -> bytes:
    """Give what is remembered of a URL.

    Lone surrogates, which hostile pages have in links, make a digest, too.
    """
    encoded = url.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=DIGEST_BYTES, usedforsecurity=False).digest()


# A bytes object of that length, as Python's allocator rounds it.
_ENTRY_BYTES = -(-sys.getsizeof(bytes(DIGEST_BYTES)) // 16) * 16


class VisitedUrls:
    """The URLs that were visited last, up to a number of them.

    A long URL costs no more than a short one. Nothing else is taken for visited.

    Thread-safety: one thread at a time; a `Crawl` sees to that.

    Args:
        max_count: How many are remembered [count].
    """

    __slots__ = ("_known", "_order", "forgotten_count", "max_count")

    def __init__(self, max_count: int) -> None:
        self.max_count = max_count
        self.forgotten_count = 0
        self._known: set[bytes] = set()
        # Not a dict, which keeps the order as well: to find its first entry, it walks
        # over all that were deleted before it.
        self._order: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, url: str) -> bool:
        return digest_of(url) in self._known

    def add(self, url: str) -> bool:
        """Remember *url*, and forget the oldest one if there are too many.

        Returns:
            Whether it was new; one that is known stays as old as it is.
        """
        digest = digest_of(url)
        if digest in self._known:
            return False
        if len(self._known) >= self.max_count:
            self._known.discard(self._order.popleft())
            self.forgotten_count += 1
        self._known.add(digest)
        self._order.append(digest)
        return True

    @property
    def held_bytes(self) -> int:
        """What all of it takes [bytes]."""
        containers = sys.getsizeof(self._known) + sys.getsizeof(self._order)
        return containers + len(self._known) * _ENTRY_BYTES

    def clear(self) -> None:
        """Forget all."""
        self._known = set()
        self._order = deque()
