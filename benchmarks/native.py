"""Compile `floor.pyx`, the way the native modules of memguard are compiled."""

import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).with_name("floor.pyx")
FLAGS = ["/O2"] if sys.platform == "win32" else ["-O3", "-fvisibility=hidden"]
"""Those of ``setup.py`` that change what is compiled."""


def load_floor() -> ModuleType:
    """Compile and import it; needs Cython, setuptools and a C compiler."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        extension = Extension("floor", [str(SOURCE)], extra_compile_args=FLAGS)
        modules = cythonize([extension], build_dir=folder, language_level=3, quiet=True)
        command = build_ext(Distribution({"name": "floor", "ext_modules": modules}))
        command.build_lib = command.build_temp = folder
        command.ensure_finalized()
        command.run()
        spec = importlib.util.spec_from_file_location("floor", command.get_ext_fullpath("floor"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module
