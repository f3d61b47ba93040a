"""What all tests share: a collector that does not run by itself."""

import gc
import os
import signal
import sys
import sysconfig
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("default", max_examples=100, deadline=None)
hypothesis.settings.register_profile("brief", max_examples=20, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=20_000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# A shell that starts a job in the background lets it ignore Ctrl-C, and so would
# the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def _is_of_this_build(name):
    # Nothing can be scanned on a free-threaded build, and that is what two
    # modules check; one of them cannot on any other. Only Linux has snapshots.
    if FREE_THREADED:
        return name.startswith("test_free_threaded")
    if name in ("test_snapshots.py", "test_growth_snapshots.py") and sys.platform != "linux":
        return False
    return name != "test_free_threaded_build.py"


collect_ignore = [
    path.name
    for path in Path(__file__).parent.glob("test_*.py")
    if not _is_of_this_build(path.name)
]

if FREE_THREADED:

    def pytest_configure(config):
        """Let Python say that memguard turns the GIL on; a test looks at it."""
        config.addinivalue_line(
            "filterwarnings", "ignore:The global interpreter lock:RuntimeWarning"
        )


def pytest_addoption(parser):
    parser.addoption(
        "--real-libraries",
        action="store_true",
        help="compare programs of the libraries in the extra `real`, not of the standard one",
    )
    parser.addoption(
        "--browser",
        action="store_true",
        help="look at pages in Chromium, too, by playwright of the extra `browser`",
    )


def pytest_ignore_collect(collection_path, config):
    """Leave out what needs a browser, unless there is one."""
    if collection_path.name == "test_pages_in_browser.py" and not config.getoption("--browser"):
        return True
    return None


_least_frozen_count = 0


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """Put aside what the tests themselves are: a hundred times what most of them make."""
    global _least_frozen_count
    gc.collect()
    gc.freeze()
    _least_frozen_count = gc.get_freeze_count() // 2


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Start each test without garbage, and keep what it makes.

    Here and not in a fixture: pytest drops the traceback of a test that failed
    before only after the fixtures of the next one are set up.
    """
    was_enabled = gc.isenabled()
    is_whole = pyfuncitem.get_closest_marker("whole_heap") is not None
    if is_whole:
        gc.unfreeze()
    gc.collect()
    gc.disable()
    # Some tests thaw it.
    if not is_whole and gc.get_freeze_count() < _least_frozen_count:
        gc.freeze()
    try:
        return (yield)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        if was_enabled:
            gc.enable()
