"""``memguard run``: the program must not notice."""

import os
import py_compile
import re
import signal
import sys
import sysconfig
import zipfile

import pytest

from processes import PROGRAMS, RUN, run, run_together, start

ADDRESS = re.compile(rb"0x[0-9a-f]+")
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, forks and pipes of POSIX")


def assert_alike(folder, words, **options):
    """Run under python and under memguard run, and compare all that a caller sees."""
    output = folder / "report.txt"
    plain, guarded = run_together(
        (sys.executable, *words), (*RUN, "--output", output, *words), cwd=folder, **options
    )
    assert guarded.stdout == plain.stdout
    assert ADDRESS.sub(b"", guarded.stderr) == ADDRESS.sub(b"", plain.stderr)
    assert guarded.returncode == plain.returncode
    return guarded, output.read_text()


@pytest.fixture
def folder(tmp_path):
    """Give a folder with programs in all forms that Python runs."""
    source = (PROGRAMS / "identity.py").read_text()
    for package in ("package", "package/inner", "program", "elsewhere"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    for name in (
        "script.py",
        "package/__main__.py",
        "package/inner/part.py",
        "program/__main__.py",
    ):
        (tmp_path / name).write_text(source)
    for name, first_line in (("program.zip", b""), ("program.run", b"#!/usr/bin/env python3\n")):
        with (tmp_path / name).open("wb") as file:
            file.write(first_line)
            with zipfile.ZipFile(file, "w") as archive:
                archive.write(tmp_path / "script.py", "__main__.py")
    py_compile.compile(str(tmp_path / "script.py"), cfile=str(tmp_path / "compiled.pyc"))
    if os.name == "posix":
        (tmp_path / "elsewhere/link.py").symlink_to("../script.py")
        (tmp_path / "linked").symlink_to("program")
    return tmp_path


COMMAND_LINES = [
    "script.py",
    "script.py --help --kind -m -- --output a -- b",
    "./elsewhere/../script.py a",
    "-m script --help",
    "-mscript a",
    "-m package a -- --every 3",
    "-m package.inner.part",
    "-m package.missing",
    "-m missing",
    "program a --help",
    "./program",
    "package/inner",
    "elsewhere",
    "program.zip a",
    "program.run a",
    "compiled.pyc",
    pytest.param("elsewhere/link.py", marks=POSIX),
    pytest.param("linked", marks=POSIX),
]


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_program_in_any_form_finds_itself_as_under_python(folder, line):
    """Arguments, sys.path and every attribute of __main__ are those under python."""
    assert_alike(folder, line.split(), given=b"from stdin")


@pytest.mark.parametrize("line", ["script.py", "-m package", "program.zip"])
def test_the_safe_path_is_respected(folder, line):
    """With -P no folder of the program is added to sys.path."""
    words = line.split()
    plain, guarded = run_together(
        (sys.executable, "-P", *words),
        (sys.executable, "-P", *RUN[1:], "--output", os.devnull, *words),
        cwd=folder,
    )
    assert (guarded.stdout, guarded.returncode) == (plain.stdout, plain.returncode)


def test_two_dashes_end_the_options(folder):
    """A script whose name begins with a dash can be run."""
    (folder / "-m.py").write_text("import sys; print(sys.argv)")
    done = run(*RUN, "--output", os.devnull, "--kind", "live", "--", "-m.py", "--", cwd=folder)
    assert done.stdout.split() == b"['-m.py', '--']".split()


def test_every_option_may_stand_before_the_program(folder):
    """The program begins after the options, with and without values, in either spelling."""
    (folder / "say.py").write_text("import sys; print(sys.argv)")
    options = (
        "--include-stdlib --kind both --gc off --format json --output out.txt --every=60"
        " --min-size 2 --max-objects 1000000 --budget-seconds=60 --type a.B --type=c.D"
    )
    done = run(*RUN, *options.split(), "say.py", "--kind", "x", cwd=folder)
    assert done.stderr == b""
    assert done.stdout.split() == b"['say.py', '--kind', 'x']".split()


ENDINGS = {
    "by itself": "print('out')",
    "with a code": "import sys; print('out'); sys.exit(3)",
    "with a text": "import sys; sys.exit('why')",
    "with nothing": "import sys; sys.exit()",
    "with an object": "import sys; sys.exit([1, 2])",
    "at once": "import os; os._exit(7)",
    "with an error": "def f():\n    1 / 0\ndef g():\n    f()\ng()",
    "with an error in an error": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    [][1]",
    "with a group": "raise ExceptionGroup('all', [ValueError(1), KeyError('k')])",
    "with an own exit": "class Bye(SystemExit): pass\nraise Bye(4)",
    "with bad syntax": "x = (\ny = 2",
    "with bad indentation": "if 1:\nx = 2",
    "with bad syntax in exec": "exec('x = (')",
    "with an error of memguard": "import memguard\nmemguard.scan('nosuch')",
    "by an own hook": (
        "import sys, traceback\n"
        "def hook(kind, error, trace):\n"
        "    print('hook', kind, error, sys.last_value is error, sys.excepthook is hook)\n"
        "    print(*traceback.extract_tb(trace), *traceback.extract_tb(sys.last_traceback))\n"
        "sys.excepthook = hook\n"
        "1 / 0"
    ),
    "by a hook that exits": "import sys\nsys.excepthook = lambda *_: sys.exit(9)\n1 / 0",
    "with exit handlers": (
        "import atexit, sys\n"
        "atexit.register(lambda: print('first', repr(sys.last_value)))\n"
        "atexit.register(lambda: [][1])\n"
        "1 / 0"
    ),
    "in a thread": (
        "import sys, threading\n"
        "def end(): sys.exit(5)\n"
        "def fail(): 1 / 0\n"
        "for target in end, fail:\n"
        "    thread = threading.Thread(target=target)\n"
        "    thread.start()\n"
        "    thread.join()\n"
    ),
    "after a thread": (
        "import atexit, threading\n"
        "main = threading.main_thread()\n"
        "atexit.register(print, 'exit handler')\n"
        "threading.Thread(target=lambda: (main.join(), print('thread', __name__))).start()\n"
        "print('main')"
    ),
    "beside a daemon thread": (
        "import threading\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "print(threading.active_count())"
    ),
    "with a failing finalizer": (
        "class Bad:\n    def __del__(self): 1 / 0\nbad = Bad()\nbad = None\n"
    ),
    "with a warning": (
        "import warnings\n"
        "warnings.warn('one')\n"
        "warnings.warn('two', DeprecationWarning)\n"
        "warnings.simplefilter('error')\n"
        "warnings.warn('three')"
    ),
    "with output closed": "import sys\nprint('out')\nsys.stdout.close()\nsys.stderr.close()",
    "without streams": "import os\nos.close(1)\nos.close(2)",
    "under a tracer": (
        "import sys\n"
        "def tracer(frame, event, value):\n"
        "    if frame.f_code.co_filename == __file__: print(event, frame.f_lineno)\n"
        "    if frame.f_code.co_name == 'report': print('traced a report')\n"
        "    return tracer\n"
        "def f():\n    return 1\n"
        "sys.settrace(tracer)\n"
        "f()"
    ),
    "from another folder": "import os\nos.chdir('elsewhere')\nprint(__file__, os.listdir())",
    "with the collector as it was": (
        "import gc, threading, sys\n"
        "print(gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.garbage, gc.callbacks)\n"
        "print(threading.active_count(), sys.gettrace(), sys.excepthook is sys.__excepthook__)"
    ),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_program_ends_as_under_python(folder, how):
    """Output, traceback and exit status are those under python."""
    (folder / "ends.py").write_text(ENDINGS[how])
    assert_alike(folder, ["ends.py"])


@pytest.mark.parametrize("how", ["with an error in an error", "with a code"])
def test_a_module_ends_as_under_python(folder, how):
    """The same with -m, whose traceback begins in runpy."""
    (folder / "ends.py").write_text(ENDINGS[how])
    assert_alike(folder, ["-m", "ends"])


def test_the_encoding_of_a_script_is_its_own(folder):
    """A coding cookie is respected, and so is a byte order mark."""
    (folder / "latin.py").write_bytes("# coding: latin-1\nprint(ascii('ä'))".encode("latin-1"))
    (folder / "marked.py").write_bytes(b"\xef\xbb\xbfprint(ascii('\xc3\xa4'))")
    assert_alike(folder, ["latin.py"])
    assert_alike(folder, ["marked.py"])


def test_an_import_with_bad_syntax_is_shown_with_the_importing_line(folder):
    """The traceback of a SyntaxError elsewhere keeps the frames of the program."""
    (folder / "bad.py").write_text("x = (")
    (folder / "ends.py").write_text("import bad")
    done, _ = assert_alike(folder, ["ends.py"])
    assert b"import bad" in done.stderr


def test_the_installed_command_is_the_same(folder):
    """The console script runs a program like python -m memguard does."""
    (folder / "ends.py").write_text(ENDINGS["with an error"])
    command = os.path.join(sysconfig.get_path("scripts"), "memguard")
    plain, guarded = run_together(
        (sys.executable, "ends.py"),
        (command, "run", "--output", os.devnull, "ends.py"),
        cwd=folder,
    )
    assert (guarded.returncode, guarded.stderr) == (plain.returncode, plain.stderr)


@POSIX
def test_ctrl_c_in_asyncio_cancels_and_ends_as_under_python(folder):
    """The loop's own handling of Ctrl-C works, and the process dies of SIGINT after a report."""
    (folder / "dies.py").write_text(
        "import asyncio, signal\n"
        "async def main():\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        print('cancelled')\n"
        "asyncio.run(main())"
    )
    done, report = assert_alike(folder, ["dies.py"])
    assert (done.stdout, done.returncode) == (b"cancelled\n", -signal.SIGINT)
    assert "garbage cycles" in report


@POSIX
def test_other_signals_kill_at_once_as_under_python(folder):
    """SIGTERM keeps its default, which leaves no time for a report."""
    (folder / "dies.py").write_text("import signal\nsignal.raise_signal(signal.SIGTERM)")
    done, report = assert_alike(folder, ["dies.py"])
    assert (done.returncode, report) == (-signal.SIGTERM, "")


@POSIX
def test_ctrl_c_from_outside_ends_a_waiting_program(tmp_path):
    """A parent sees death by SIGINT, and the report is there."""
    output = tmp_path / "report.txt"
    with start(*RUN, "--output", output, PROGRAMS / "waits.py") as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert "garbage cycles" in output.read_text()


@POSIX
def test_closed_streams_stay_closed(folder):
    """Without streams from the start, a program's first file is not taken for one."""
    (folder / "opens.py").write_text(
        "import sys\n"
        "print('lost')\n"
        "with open(sys.argv[1], 'w') as file:\n"
        "    print(sys.stdout, sys.stderr, file.fileno(), file=file, flush=True)\n"
        "    1 / 0\n"
    )
    closed = ("sh", "-c", 'exec "$@" >&- 2>&-', "sh")
    plain, guarded = run_together(
        (*closed, sys.executable, "opens.py", "plain"),
        (*closed, *RUN, "opens.py", "guarded"),
        cwd=folder,
    )
    assert guarded.returncode == plain.returncode == 1
    assert (folder / "guarded").read_text() == (folder / "plain").read_text() == "None None 1\n"


@POSIX
def test_a_broken_pipe_is_handled_as_under_python(folder):
    """A program whose reader went away fails as it would."""
    (folder / "writes.py").write_text(
        "import sys\nsys.stdin.readline()\nfor n in range(100_000): print('line', n)"
    )
    seen = []
    for words in ((sys.executable,), (*RUN, "--output", os.devnull)):
        with start(*words, "writes.py", cwd=folder) as child:
            child.stdout.close()
            child.stdin.write("go\n")
            child.stdin.close()
            seen.append((child.stderr.read(), child.wait(timeout=60)))
    assert seen[0] == seen[1]
    assert "BrokenPipeError" in seen[0][0]


METHODS = [
    "spawn",
    pytest.param("fork", marks=POSIX),
    pytest.param("forkserver", marks=POSIX),
]


@pytest.mark.parametrize("method", METHODS)
def test_worker_processes_work_and_do_not_report(folder, method):
    """Workers find the classes of __main__, and only the process that was started reports."""
    done, report = assert_alike(folder, [PROGRAMS / "children.py", method])
    assert done.returncode == 0
    assert report.count("memguard: garbage cycles") == report.count("memguard: live cycles") == 1


@POSIX
def test_a_fork_that_ends_normally_does_not_report(folder):
    """Neither at its end nor on SIGUSR1 does a copy of the process report."""
    (folder / "forks.py").write_text(
        "import os, signal, sys\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.raise_signal(signal.SIGUSR1)\n"
        "    sys.exit(6)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    output = folder / "report.txt"
    done = run(*RUN, "--output", output, "forks.py", cwd=folder)
    assert (done.stdout, done.stderr, done.returncode) == (b"6\n", b"", 0)
    assert output.read_text().count("memguard: garbage cycles") == 1


WRONG_USE = {
    "": "run what? give a script",
    "--gc off": "run what? give a script",
    "-m": "run what? give a script",
    "nosuch.py": "cannot read 'nosuch.py': No such file or directory; give the path of a script",
    "--output nosuch/file script.py": "cannot be written: No such file or directory; name a file",
    "--every 0 script.py": "--every: '0' must be a number of seconds above 0",
    "--every nan script.py": "--every: 'nan' must be a number of seconds above 0",
    "--every inf script.py": "--every: 'inf' must be a number of seconds above 0",
    "--every script.py": "--every: 'script.py' must be a number of seconds above 0",
    "--budget-seconds -1 script.py": "--budget-seconds: '-1' must be a number of seconds above 0",
    "--min-size 0 script.py": "--min-size: '0' must be a whole number of at least 1",
    "--max-objects 1.5 script.py": "--max-objects: '1.5' must be a whole number of at least 1",
    "--type Job script.py": "--type: 'Job' must be module.Class, such as",
    "--kind all script.py": "--kind: invalid choice: 'all' (choose from",
    "--out file script.py": "unrecognized arguments: --out file",
}


@pytest.mark.parametrize("line", WRONG_USE)
def test_wrong_use_is_told_before_the_program_runs(folder, line):
    """The message names the value and the remedy; the exit code is 2 and nothing ran."""
    done = run(*RUN, *line.split(), cwd=folder)
    assert (done.stdout, done.returncode) == (b"", 2)
    assert WRONG_USE[line] in done.stderr.decode()


@POSIX
def test_a_script_that_may_not_be_read_is_told(folder):
    """A reason of the system is passed on."""
    (folder / "loop.py").symlink_to("loop.py")
    done = run(*RUN, "loop.py", cwd=folder)
    assert done.returncode == 2
    assert b"cannot read 'loop.py': Too many levels of symbolic links" in done.stderr


def test_help_is_our_own_before_the_program_only(folder):
    """Before the program --help explains; memguard alone lists the commands."""
    explained = run(*RUN, "--gc", "off", "--help", "script.py", cwd=folder)
    assert explained.returncode == 0
    assert b"A program that\nhandles SIGUSR1 itself keeps it" in explained.stdout
    alone = run(*RUN[:-1])
    assert alone.returncode == 0
    assert b"memguard demo" in alone.stdout
