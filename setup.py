"""Build of the native modules; everything else is in pyproject.toml.

MEMGUARD_BUILD chooses how: "release" (default), "debug" (assertions, no
optimisation) or "sanitize" (AddressSanitizer and UndefinedBehaviorSanitizer).
Flags are set here and never through CFLAGS, which would drop Python's own.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

KERNEL = Path("src/memguard/_kernel")
UNIX_FLAGS = {
    "release": [
        "-O3",
        "-g1",
        "-pthread",
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
        "-Wno-unused-parameter",
        "-Werror=incompatible-pointer-types",
    ],
    "debug": ["-O0", "-g", "-pthread", "-UNDEBUG"],
    "sanitize": [
        "-O1",
        "-g",
        "-pthread",
        "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined",
    ],
}
LINK_FLAGS = {
    "release": ["-pthread"],
    "debug": ["-pthread"],
    "sanitize": ["-pthread", "-fsanitize=address,undefined"],
}
WINDOWS_FLAGS = {"release": ["/O2"], "debug": ["/Od"], "sanitize": ["/fsanitize=address"]}

if sys.platform == "linux":
    # Calls of libpython go by address, without a stub that lies in yet another line of
    # the cache: a tenth of what a guarded agent costs among other work.
    UNIX_FLAGS["release"].append("-fno-plt")

build = os.environ.get("MEMGUARD_BUILD", "release")
if build not in UNIX_FLAGS:
    raise SystemExit(f"MEMGUARD_BUILD is {build!r}; use one of {', '.join(UNIX_FLAGS)}")
flags = (WINDOWS_FLAGS if sys.platform == "win32" else UNIX_FLAGS)[build]
macros = [("MG_BUILD_OPTIMISED", "1")] if build == "release" else []


def extension(name: str, kernel: Iterable[Path]) -> Extension:
    """Describe one native module and the files of the kernel that are linked into it."""
    return Extension(
        f"memguard.{name}",
        sources=[f"src/memguard/{name}.pyx", *sorted(str(path) for path in kernel)],
        depends=sorted(str(path) for path in KERNEL.glob("*.h")),
        include_dirs=["src/memguard"],
        define_macros=macros,
        extra_compile_args=flags,
        extra_link_args=[] if sys.platform == "win32" else LINK_FLAGS[build],
    )


extensions = [
    extension("_core", KERNEL.glob("*.c")),
    extension("_names", [KERNEL / name for name in ("labels.c", "names.c", "compat.c")]),
    extension("_retention", []),
    extension("_growth", []),
    extension("_owners", []),
    extension("_agents", []),
    extension("_registry", []),
    extension("_lives", []),
    extension("_admission", []),
    extension("_guard", []),
    extension("_bell", []),
]

setup(
    ext_modules=cythonize(extensions, build_dir="build/cython", language_level=3),
    exclude_package_data={"memguard": ["*.c", "*.h", "*.pxd", "*.pyx", "_kernel/*"]},
)
