"""Pages in a real browser: headless Chromium, driven by playwright.

Any Chromium does: one of the system, or the one that ``playwright install``
fetches.
"""

import contextlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (400, 1400)
SCHEMES = ("light", "dark")


@dataclass
class Look:
    """A page as it is shown, and all that it did meanwhile."""

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextlib.contextmanager
def chromium():
    """Start a browser."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def look_at(browser, path: Path, *, width: int = 1400, scheme: str = "light", script: bool = True):
    """Open a file as a double click does, offline."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=script,
        offline=True,
    )
    try:
        look = Look(context.new_page())
        look.page.on("console", lambda message: look.messages.append(message.text))
        look.page.on("pageerror", lambda error: look.messages.append(str(error)))
        look.page.on("request", lambda request: look.requests.append(request.url))
        look.page.on("requestfailed", lambda request: look.failures.append(request.failure))
        look.page.goto(path.as_uri())
        yield look
    finally:
        context.close()
