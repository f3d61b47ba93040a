"""Take the pictures of pages that the documents show.

Usage: python tests/take_pictures.py docs/pictures
Needs the extra `browser`, a Chromium, and what ``examples/requirements.txt`` asks for; with
pngquant the pictures are small.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from browser import chromium, look_at

EXAMPLES = Path(__file__).parent.parent / "examples"
PICTURES = {
    "demo-light": ("demo", 1400, "light"),
    "demo-dark": ("demo", 1400, "dark"),
    "demo-narrow": ("demo", 400, "light"),
    "orchestrator": ("orchestrator.py", 1400, "light"),
    "failing-task-group": ("failing_task_group.py", 1400, "dark"),
    "langgraph-agent": ("langgraph_agent.py", 1400, "light"),
    "openai-agent": ("openai_agent.py", 1400, "dark"),
}
TALLEST_PX = 1600


def make_page(program: str, path: Path) -> None:
    """Run a program and let it be reported as a page."""
    words = (
        ["demo", "--html", path]
        if program == "demo"
        else ["run", "--gc", "off", "--format", "html", "--output", path, EXAMPLES / program]
    )
    subprocess.run(
        [sys.executable, "-m", "memguard", *words], check=True, stdout=subprocess.DEVNULL
    )


def main(folder: Path) -> None:
    """Take the pictures, of the examples that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        for picture, (program, width, scheme) in PICTURES.items():
            if program != "demo" and not (EXAMPLES / program).exists():
                continue
            page = Path(name) / f"{program}.html"
            if not page.exists():
                make_page(program, page)
            with look_at(browser, page, width=width, scheme=scheme) as look:
                height = look.page.evaluate("document.documentElement.scrollHeight")
                clip = {"x": 0, "y": 0, "width": width, "height": min(height, TALLEST_PX)}
                taken = folder / f"{picture}.png"
                look.page.screenshot(path=taken, full_page=True, clip=clip, animations="disabled")
                if shutil.which("pngquant"):  # a third of the size
                    subprocess.run(
                        ["pngquant", "--force", "--ext", ".png", "64", taken], check=True
                    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
