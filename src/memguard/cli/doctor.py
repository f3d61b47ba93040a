"""``memguard doctor``: what this build and this Python can do."""

import argparse
import gc
import signal
import sys
from typing import Any

_REBUILD = "pip install --force-reinstall --no-deps --no-cache-dir pymemguard"


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "doctor",
        help="check this build, this Python and its collector",
        description="Say what build, Python, collector and features memguard sees, and plant a"
        " cycle to find. Exit code 1 when something is wrong, with what to do about it.",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="json: the same as one object (default: text)",
    )
    parser.set_defaults(command=doctor)


def doctor(options: argparse.Namespace) -> int:
    """Print what is seen; 1 when the self-test or the build is not right."""
    import json

    from memguard.cli.terminal import render_sections

    seen = examine()
    problems = find_problems(seen)
    if options.format == "json":
        print(json.dumps({**seen, "problems": problems}, indent=2), flush=True)
    else:
        print(render_sections(seen, problems, sys.stdout), flush=True)
    return 1 if problems else 0


def examine() -> dict[str, dict[str, Any]]:
    """Collect what matters for a scan."""
    import platform

    import psutil

    from memguard import __version__, _core

    build = _core.build_info()
    return {
        "build": {
            "memguard": __version__,
            "compiler": build["compiler"],
            "optimised": build["optimised"],
            "sanitized": build["sanitized"],
            "traced": build["traced"],
            "assertions": build["assertions"],
        },
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "free_threaded": build["free_threaded"],
            "platform": platform.platform(),
            "executable": sys.executable,
            "resident_bytes": psutil.Process().memory_info().rss,
        },
        "collector": {
            "enabled": gc.isenabled(),
            "thresholds": list(gc.get_threshold()),
            "counts": list(gc.get_count()),
            "debug_flags": gc.get_debug(),
            "frozen_object_count": gc.get_freeze_count(),
            "uncollectable_count": len(gc.garbage),
        },
        "features": {
            "enumeration": build["enumeration"],
            "suspended_frames": build["frame_roots"],
            "report_on_signal": hasattr(signal, "SIGUSR1"),
            "psutil": psutil.__version__,
            "rich": _version_of_rich(),
        },
        "self_test": self_test(),
    }


def find_problems(seen: dict[str, dict[str, Any]]) -> list[str]:
    """Say what is wrong, and what to do about it."""
    problems = []
    build = seen["build"]
    if seen["python"]["free_threaded"]:
        problems.append(
            "This is a free-threaded Python, which cannot be scanned:"
            " use the default build of the same version."
        )
    if not build["optimised"] or build["sanitized"] or build["traced"] or build["assertions"]:
        problems.append(
            "The native core is not an optimised release build, so its times mean nothing:"
            f" unset MEMGUARD_BUILD and run {_REBUILD}."
        )
    if not seen["self_test"]["passed"]:
        problems.append(
            f"The planted cycle was not found ({seen['self_test']['found']}): run {_REBUILD};"
            " should that not help, report it together with this output."
        )
    return problems


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
        return {"passed": False, "found": str(error)}
    finally:
        if was_enabled:
            gc.enable()


def _version_of_rich() -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rich")
    except PackageNotFoundError:
        return None
