"""Somebody's program, run in this process as ``python`` would.

Covers: ``sys.argv``, ``sys.path``, a fresh ``__main__``, tracebacks without
our frames. Exit codes and Ctrl-C are left to the interpreter, which sees every
exception of the program.
Does not cover: what is reported about it (``reporter``).
"""

import io
import os
import pkgutil
import runpy
import sys
import types
from collections.abc import Callable
from importlib import machinery
from pathlib import Path

from memguard.errors import MemguardError


class MissingProgramError(MemguardError):
    """No program was named."""

    def __str__(self) -> str:
        return (
            "run what? give a script and its arguments, as in memguard run app.py --port 80,"
            " or -m and a module"
        )


class UnreadableProgramError(MemguardError):
    """A script cannot be read.

    Attributes:
        path: What was given.
        reason: Why not.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return (
            f"cannot read {self.path!r}: {self.reason}; give the path of a script, of a folder or"
            " archive with __main__.py, or -m and the name of a module"
        )


def script(path: str, arguments: list[str]) -> Callable[[], None]:
    """Prepare a file, or a folder or archive with ``__main__.py``.

    Raises:
        UnreadableProgramError: There is no such file, or it may not be read.
    """
    location = _located(path)
    if pkgutil.get_importer(path) is not None:
        return lambda: _run_folder(path, location, arguments)
    try:
        with io.open_code(location) as file:
            content = file.read()
    except OSError as error:
        raise UnreadableProgramError(path, error.strerror or str(error)) from None
    return lambda: _run_file(path, location, content, arguments)


def module(name: str, arguments: list[str]) -> Callable[[], None]:
    """Prepare a module or package, as for ``python -m``."""

    def run() -> None:
        sys.argv[:] = ["-m", *arguments]
        if not sys.flags.safe_path:
            sys.path[0] = str(Path.cwd())
        _fresh_main()
        _hide_own_frames(lambda: _run_as_main(name, alter_argv=True))

    return run


def _located(path: str) -> str:
    # As the interpreter does it: absolute, but "..", links and all stay.
    return os.path.abspath(path) if os.name == "nt" else os.path.join(os.getcwd(), path)  # noqa: PTH100, PTH109, PTH118


def _run_folder(path: str, location: str, arguments: list[str]) -> None:
    sys.argv[:] = [path, *arguments]
    if sys.flags.safe_path:
        sys.path.insert(0, location)
    else:
        sys.path[0] = location
    _fresh_main()
    _hide_own_frames(lambda: _run_as_main("__main__", alter_argv=False))


def _run_file(path: str, location: str, content: bytes, arguments: list[str]) -> None:
    sys.argv[:] = [path, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(path).resolve().parent)
    main = _fresh_main()
    main.__file__ = location

    def execute() -> None:
        code = pkgutil.read_code(io.BytesIO(content))  # None unless it is a .pyc
        loader = machinery.SourceFileLoader if code is None else machinery.SourcelessFileLoader
        main.__loader__ = loader("__main__", location)
        exec(code or compile(content, location, "exec", dont_inherit=True), main.__dict__)

    _hide_own_frames(execute)


def _run_as_main(name: str, *, alter_argv: bool) -> None:
    # What the interpreter itself calls for -m and for archives; the public
    # functions of runpy put back sys.modules and sys.argv afterwards, while
    # threads and exit handlers of the program still need them.
    runpy._run_module_as_main(name, alter_argv=alter_argv)  # type: ignore[attr-defined]


def _fresh_main() -> types.ModuleType:
    main = types.ModuleType("__main__")
    main.__builtins__ = sys.modules["builtins"]  # type: ignore[attr-defined]
    main.__dict__.update(__spec__=None)
    if sys.version_info < (3, 15):
        main.__dict__.update(__cached__=None)
    if sys.version_info < (3, 14):
        main.__dict__.update(__annotations__={})
    sys.modules["__main__"] = main
    return main


def _hide_own_frames(execute: Callable[[], None]) -> None:
    """Run it; should it fail, let the interpreter show its frames only."""
    try:
        execute()
    except SystemExit:
        raise
    except BaseException as error:
        _show_from(_first_frame_of_program(error.__traceback__))
        raise


def _first_frame_of_program(trace: types.TracebackType | None) -> types.TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _show_from(trace: types.TracebackType | None) -> None:
    """Show the exception that is on its way, from this frame on, once."""
    hook = sys.excepthook

    def show(
        kind: type[BaseException], error: BaseException, _whole: types.TracebackType | None
    ) -> None:
        sys.excepthook = hook
        sys.last_traceback = trace
        hook(kind, error.with_traceback(trace), trace)

    sys.excepthook = show
