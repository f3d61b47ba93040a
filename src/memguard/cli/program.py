"""Run somebody's program in this process as ``python`` would.

Covers: ``sys.argv``, ``sys.path``, a fresh ``__main__``, uncaught exceptions
without our frames, exit codes, Ctrl-C.
Does not cover: what is reported about it (``reporter``).
"""

import importlib.machinery
import io
import runpy
import sys
import types
from collections.abc import Callable
from pathlib import Path

_OWN_FOLDER = str(Path(__file__).parent)


def run_script(path: str, arguments: list[str]) -> None:
    """Run a file, or a folder or archive with a ``__main__``."""
    sys.argv[:] = [path, *arguments]
    main = _fresh_main()
    if Path(path).is_dir() or path.endswith((".zip", ".pyz")):
        sys.path[0] = path
        _call(lambda: _run_as_main("__main__", alter_argv=False))
        return
    sys.path[0] = str(Path(path).resolve().parent)
    main.__file__ = path
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)

    def execute() -> None:
        with io.open_code(str(Path(path).absolute())) as file:
            source = file.read()
        exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)

    _call(execute)


def run_module(name: str, arguments: list[str]) -> None:
    """Run a module or package, as ``python -m`` does."""
    sys.argv[:] = ["-m", *arguments]
    sys.path[0] = str(Path.cwd())
    _fresh_main()
    _call(lambda: _run_as_main(name, alter_argv=True))


def _run_as_main(name: str, *, alter_argv: bool) -> None:
    # What the interpreter itself calls for -m and for archives; the public
    # functions of runpy put back sys.modules and sys.argv afterwards, while
    # threads and exit handlers of the program still need them.
    runpy._run_module_as_main(name, alter_argv=alter_argv)  # type: ignore[attr-defined]


def _fresh_main() -> types.ModuleType:
    main = types.ModuleType("__main__")
    main.__builtins__ = sys.modules["builtins"]  # type: ignore[attr-defined]
    main.__dict__.update(__annotations__={}, __cached__=None, __spec__=None)
    sys.modules["__main__"] = main
    return main


def _call(execute: Callable[[], None]) -> None:
    """Run it; leave by SystemExit as the interpreter would."""
    try:
        execute()
    except SystemExit:
        raise
    except BaseException as error:
        # The frames of memguard itself are no part of the program's traceback.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
            trace = trace.tb_next
        if isinstance(error, SyntaxError) and trace is not None and trace.tb_next is None:
            trace = None
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        if isinstance(error, KeyboardInterrupt):
            _end_by_interrupt()
        # The traceback holds the program's frames; they are gone in a program
        # that ended, and must be gone when the report is made.
        del error, trace
        sys.exit(1)


def _end_by_interrupt() -> None:
    """End as Python does after Ctrl-C: tidy up, then die of the signal."""
    sys.excepthook = lambda *_: None
    raise KeyboardInterrupt
