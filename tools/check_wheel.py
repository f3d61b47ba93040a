"""Build the sdist, from it the wheel, and use the wheel where there is no source.

Usage: check_wheel.py [CHECKOUT]
Needs ``build`` and, on Linux, ``auditwheel``.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

SOURCES = {".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".typed", ".css", ".js"}
_NATIVE = Path(__file__).parent.parent / "src" / "memguard"
GENERATED = {f"src/memguard/{path.stem}.c" for path in _NATIVE.glob("*.pyx")}
# What an earlier build left would be taken into the sdist, listed or not.
LEFT_BEHIND = (".git", ".venv", "__pycache__", "build", "dist", "*.egg-info", "*.so", "*.pyd")
NOT_IN_WHEEL = (".pyx", ".pxd", ".c", ".h", ".cpp")
NEWEST_GLIBC = (2, 28)
USE = """
import pathlib, memguard
from memguard import _core
assert "site-packages" in pathlib.Path(memguard.__file__).parts, memguard.__file__
ring = []; ring.append(ring); del ring
report = memguard.scan("garbage")
assert report.cycle_count >= 1, report
assert "<svg" in report.to_html()
assert _core.build_info()["optimised"]
pool = memguard.AgentMemoryPool()
pool.return_context(pool.get_context("task"))
assert pool.statistics().pooled_count == 1
print("wheel works:", memguard.__version__)
"""


def run(*command: object, cwd: Path | None = None) -> str:
    """Run a command; its output, or the end."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd=cwd
    )
    if done.returncode:
        output = done.stdout[-4000:] + done.stderr[-4000:]
        raise SystemExit(f"{' '.join(map(str, command))}\n{output}")
    return done.stdout


def files_below(checkout: Path, *folders: str) -> set[str]:
    """Give the sources in some folders of the checkout, as paths from its top."""
    return {
        path.relative_to(checkout).as_posix()
        for folder in folders
        for path in (checkout / folder).rglob("*")
        if path.suffix in SOURCES
    } - GENERATED


def check_contents(checkout: Path, sdist: Path, wheel: Path) -> None:
    """Check that the sdist builds and tests by itself, and the wheel has no sources in C."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = files_below(checkout, "src", "tests")
    needed |= {"LICENSE", "README.md", "pyproject.toml", "setup.py"}
    if missing := needed - names:
        raise SystemExit(f"the sdist lacks {sorted(missing)}")
    if GENERATED & names:
        raise SystemExit("the sdist carries generated C")
    names = set(zipfile.ZipFile(wheel).namelist())
    if extra := [name for name in names if name.endswith(NOT_IN_WHEEL)]:
        raise SystemExit(f"the wheel carries sources: {extra}")
    if extra := [name for name in names if not name.startswith(("memguard/", "pymemguard-"))]:
        raise SystemExit(f"the wheel carries more than memguard: {extra}")
    python = {
        name.removeprefix("src/")
        for name in files_below(checkout, "src")
        if not name.endswith(NOT_IN_WHEEL)
    }
    if missing := python - names:
        raise SystemExit(f"the wheel lacks {sorted(missing)}")


def check_platform(wheel: Path) -> None:
    """The wheel runs on every Linux that manylinux_2_28 covers."""
    shown = run(sys.executable, "-m", "auditwheel", "show", wheel)
    found = re.search(r'platform\s+tag:\s*"manylinux_(\d+)_(\d+)', shown)
    if found is None:
        raise SystemExit(f"auditwheel does not name a manylinux tag:\n{shown}")
    if (int(found[1]), int(found[2])) > NEWEST_GLIBC:
        raise SystemExit(f"the wheel needs a newer glibc than manylinux_2_28:\n{shown}")
    print(f"auditwheel: manylinux_{found[1]}_{found[2]}")


def main(checkout: Path) -> None:
    """Build, look inside, install, use."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clean = folder / "checkout"
        shutil.copytree(checkout, clean, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        # Without --sdist or --wheel, `build` makes the wheel from the sdist.
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", clean)
        (sdist,) = (folder / "dist").glob("*.tar.gz")
        (wheel,) = (folder / "dist").glob("*.whl")
        check_contents(clean, sdist, wheel)
        if sys.platform == "linux":
            check_platform(wheel)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        run(python, "-m", "pip", "install", "-q", wheel)
        print(run(python, "-I", "-c", USE, cwd=folder).strip())
        run(python, "-m", "memguard", "doctor", cwd=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
