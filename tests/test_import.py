"""Importing memguard costs little and changes nothing."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import memguard
from effort import part
from process import run_fresh

SCRIPTS = Path(__file__).parent / "scripts"

SEEN = """
import _thread, atexit, gc, json, signal, sys, warnings

def state():
    return {
        "threads": _thread._count(),
        "gc enabled": gc.isenabled(),
        "gc thresholds": gc.get_threshold(),
        "gc debug": gc.get_debug(),
        "gc callbacks": len(gc.callbacks),
        "gc frozen": gc.get_freeze_count(),
        "gc garbage": len(gc.garbage),
        "exit handlers": atexit._ncallbacks(),
        "signal handlers": [repr(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
        "hooks": [repr(h) for h in (sys.excepthook, sys.unraisablehook, sys.displayhook)],
        "importers": [repr(f) for f in (*sys.meta_path, *sys.path_hooks)],
        "traced": [repr(f) for f in (sys.gettrace(), sys.getprofile())],
        "warnings": [repr(f) for f in warnings.filters],
        "path": list(sys.path),
    }

# A run of the collector in between would count as a change.
gc.disable()
state()
before, modules = state(), set(sys.modules)
STATEMENT
after = state()
new = {name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - modules}
print(json.dumps({"before": before, "after": after, "modules": new}))
"""


def fresh(code):
    """Run code in a new process, with every warning an error; gives what it printed."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


# What watches writes to the log, and the standard library's logging, when it is
# imported, leaves an exit handler of its own.
STATEMENTS = {"import memguard": "", "from memguard import *": "import logging\n"}


@pytest.fixture(scope="module", params=STATEMENTS)
def seen(request):
    """Import memguard alone, and with all that its public names load."""
    code = STATEMENTS[request.param] + SEEN.replace("STATEMENT", request.param)
    return json.loads(fresh(code))


def test_pytest_loads_nothing_of_it_until_a_name_is_used():
    """The native core, which turns the GIL on where it can be off, is not loaded either."""
    code = """
import sys, pytest
before = set(sys.modules)
import memguard
print(*(name for name in set(sys.modules) - before if name.startswith("memguard")))
memguard.MemguardError
print("memguard._core" in sys.modules)
memguard.scan
print("memguard._core" in sys.modules)
"""
    assert fresh(code).splitlines() == ["memguard", "False", "True"]


def test_the_plugin_of_pytest_loads_nothing_native():
    """Every run of pytest imports it, whoever asks for memguard."""
    code = """
import sys, pytest
before = set(sys.modules)
import memguard.pytest_plugin
print(*sorted(set(sys.modules) - before))
"""
    assert fresh(code).split() == ["memguard", "memguard.pytest_plugin"]


def test_a_first_scan_finds_no_garbage_of_its_own():
    """What loading leaves behind is there before the program collects, not after."""
    code = """
import gc, memguard
gc.collect()
gc.disable()
report = memguard.scan("garbage")
print(report.cycle_count, report.unreachable_count)
"""
    assert fresh(code).split() == ["0", "0"]


def test_every_public_name_is_listed_before_it_is_loaded():
    """``dir`` and completion do not wait for a first use."""
    code = "import memguard; print(*set(memguard.__all__) - set(dir(memguard)))"
    assert fresh(code).split() == []


def test_a_name_is_looked_for_once():
    """After its first use it is an attribute like any other."""
    code = """
import pytest, memguard
print("scan" in vars(memguard), memguard.scan is vars(memguard)["scan"])
"""
    assert fresh(code).split() == ["False", "True"]


def test_a_name_that_is_not_there_is_the_usual_error():
    """It names the module and what was asked for; nothing private is looked for, either."""
    for name in "scam", "_HOME", "ScanKind":
        with pytest.raises(AttributeError, match=f"module 'memguard' has no attribute '{name}'"):
            getattr(memguard, name)
    with pytest.raises(ImportError, match="cannot import name 'scam' from 'memguard'"):
        exec("from memguard import scam")


def test_submodules_can_be_imported_from_the_package():
    """An attribute that is missing does not hide a module of that name."""
    assert fresh("from memguard import _core, errors; print(errors.__name__)").strip() == (
        "memguard.errors"
    )


def failing(statements):
    """Run each in a process of its own; gives those that failed, and how."""
    run = subprocess.run(
        [sys.executable, SCRIPTS / "run_in_forks.py"],
        input=json.dumps(statements),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)


def test_each_public_name_survives_pickling():
    """Classes, functions and settings are found again where they are defined."""
    names = sorted(set(memguard.__all__) - {"__version__"})
    assert len(names) > 100
    same = "assert pickle.loads(pickle.dumps(memguard.{0})) == memguard.{0}"
    assert (
        failing([f"import memguard, pickle; {same.format(name)}" for name in part(names, 5)]) == {}
    )


def test_importing_changes_nothing_in_the_process(seen):
    """No thread, hook, handler or setting of the collector is touched."""
    assert seen["after"] == seen["before"]


def test_importing_loads_no_package_of_others(seen):
    """Only the standard library and memguard, which at most needs psutil."""
    # Cython's extension makes modules of its own, which no file holds.
    loaded = {name.partition(".")[0] for name, file in seen["modules"].items() if file}
    assert "memguard" in loaded
    assert loaded - sys.stdlib_module_names <= {"memguard", "psutil"}


def test_importing_leaves_the_command_line_and_what_is_heavy_out():
    """What a scan does not need is not loaded."""
    modules = json.loads(fresh(SEEN.replace("STATEMENT", "import memguard")))["modules"]
    heavy = {
        "asyncio",
        "email",
        "importlib.metadata",
        "json.decoder",
        "memguard.cli",
        "memguard.heap.render",
        "memguard.pressure",
        "memguard.settings",
        "socket",
        "subprocess",
        "threading",
        "unittest",
    }
    assert heavy.isdisjoint(modules)


MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(memguard.__path__, "memguard.")
    if not name.endswith("__main__")
)


def test_each_module_can_be_imported_first():
    """No module needs that another was imported before."""
    assert failing([f"import {name}" for name in part(MODULES, 5)]) == {}


def test_what_fails_in_a_fork_is_told():
    """An error, a warning, and an exit; what goes well is not."""
    told = failing(["1 / 0", "import warnings; warnings.warn('late')", "raise SystemExit(3)", "1"])
    assert [said.splitlines()[-1].partition(":")[0] for said in told.values()] == [
        "ZeroDivisionError",
        "UserWarning",
        "SystemExit",
    ]


def test_the_modules_are_all_there():
    """The list of modules is not empty by mistake."""
    assert {"memguard._core", "memguard.cli.run", "memguard.heap.render.text"} <= set(MODULES)


def test_each_public_class_and_function_explains_itself():
    """``from memguard import *`` gives what ``__all__`` lists, with a docstring each."""
    names = {name: getattr(memguard, name) for name in memguard.__all__}
    undocumented = [name for name, value in names.items() if callable(value) and not value.__doc__]
    assert undocumented == []
    assert {name for name in vars(memguard) if name[0].isupper()} <= {*names, "TYPE_CHECKING"}


@pytest.mark.parametrize("before", ["", "import pytest"])
def test_a_first_scan_finds_the_garbage_that_was_there_before(before):
    """Nothing that is still to be loaded lets the collector take it away."""
    printed = run_fresh(
        f"""
        import gc
        {before}
        import memguard
        gc.collect()
        loop = []
        loop.append(loop)
        place = id(loop)
        del loop
        report = memguard.scan("garbage")
        print(any(place in cycle.object_ids for cycle in report.cycles), gc.isenabled())
        """
    )
    assert printed.split() == ["True", "True"]
