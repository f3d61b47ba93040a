"""The original report's pattern: two sets that live as long as the scraper."""


class Scraper:
    """A crawler with ``visited_urls`` and ``pending_urls``, after the report's words.

    The report shows no code of it; whoever keeps the scraper keeps all of its URLs.
    """

    def __init__(self) -> None:
        self.visited_urls: set[str] = set()
        self.pending_urls: set[str] = set()

    def add(self, url: str) -> None:
        """Let a URL wait."""
        if url not in self.visited_urls:
            self.pending_urls.add(url)

    def take(self) -> str | None:
        """Visit a URL, any of those that wait."""
        if not self.pending_urls:
            return None
        url = self.pending_urls.pop()
        self.visited_urls.add(url)
        return url
