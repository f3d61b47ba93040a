"""Take the picture of ``memguard top`` that the documents show, on a process that runs.

Usage: python tests/take_screen.py docs/pictures
Takes about 40 seconds, in which the process leaks; what the picture shows was measured.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

from memguard.cli.asked import AskedProcess
from memguard.cli.screen import TopApp

SERVICE = Path(__file__).parent / "programs" / "leaking_service.py"
COLUMNS, ROWS = 138, 21
SCAN_COUNT = 4
BETWEEN_SECONDS = 9


async def take(pid: int) -> str:
    """Watch a process, scan it some times, and give the screen as SVG."""
    app = TopApp(AskedProcess.find(pid), every_seconds=0.5)
    async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
        for number in range(SCAN_COUNT):
            await pilot.pause(BETWEEN_SECONDS if number else 1)
            before = app.scans[-1] if app.scans else None
            await pilot.press("s")
            while not app.scans or app.scans[-1] is before:
                await pilot.pause(0.1)
        # A refresh with what the scan found.
        await pilot.pause(1)
        return app.export_screenshot(title="memguard top")


def main(folder: Path) -> None:
    """Run the service, and take its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, SERVICE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as service:
        assert service.stdout is not None
        service.stdout.readline()
        picture = asyncio.run(take(service.pid))
        service.communicate()
    (folder / "top.svg").write_text(picture + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
