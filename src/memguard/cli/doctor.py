"""``memguard doctor``: what this build and this Python can do."""

import argparse
import gc
import json
import platform
import sys
from typing import Any


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "doctor",
        help="check this build, this Python and its collector",
        description="Say what build, Python, collector and features memguard sees, and plant a"
        " cycle to find. Exit code 1 when something is wrong.",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(command=doctor)


def doctor(options: argparse.Namespace) -> int:
    """Print what is seen; 1 when the self-test or the build is not right."""
    seen = examine()
    if options.format == "json":
        print(json.dumps(seen, indent=2))
    else:
        for section, values in seen.items():
            print(section)
            for name, value in values.items():
                print(f"  {name.replace('_', ' '):<24} {value}")
    return 0 if seen["self_test"]["passed"] else 1


def examine() -> dict[str, dict[str, Any]]:
    """Collect what matters for a scan."""
    import psutil

    from memguard import __version__, _core
    from memguard.cli.terminal import has_rich

    build = _core.build_info()
    return {
        "memguard": {"version": __version__, **build},
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "platform": platform.platform(),
            "executable": sys.executable,
        },
        "collector": {
            "enabled": gc.isenabled(),
            "thresholds": list(gc.get_threshold()),
            "counts": list(gc.get_count()),
            "debug_flags": gc.get_debug(),
            "frozen_object_count": gc.get_freeze_count(),
            "uncollectable_count": len(gc.garbage),
        },
        "extras": {
            "psutil": psutil.__version__,
            "rich": "installed" if has_rich() else 'not installed: pip install "pymemguard[cli]"',
        },
        "process": {"resident_bytes": psutil.Process().memory_info().rss},
        "self_test": self_test(),
    }


def self_test() -> dict[str, Any]:
    """Plant one cycle and find it, without collecting it."""
    from memguard.errors import MemguardError
    from memguard.heap.scan import scan

    class Planted:
        """One end of the cycle."""

        other: "Planted"

    def plant() -> tuple[int, int]:
        one, two = Planted(), Planted()
        one.other, two.other = two, one
        return id(one), id(two)

    was_enabled = gc.isenabled()
    gc.disable()
    try:
        planted = set(plant())
        with scan("garbage", types=[Planted]) as report:
            found = [set(cycle.object_ids) for cycle in report.cycles]
            return {
                "passed": found == [planted],
                "found": f"{len(found)} of 1 planted cycle",
                "object_count": report.object_count,
                "duration_seconds": report.duration_seconds,
            }
    except MemguardError as error:
        return {"passed": False, "error": str(error)}
    finally:
        if was_enabled:
            gc.enable()
