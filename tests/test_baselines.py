"""Baselines: which shapes are known, which are new, and what a program ends with."""

import os
import tomllib

import pytest

import memguard
from memguard.heap.baseline import Baseline, KnownShape, add_to_baseline
from processes import RUN, run

LEAKING = """\
class Context:
    def __init__(self, parent=None):
        self.parent, self.subtasks = parent, []
        if parent:
            parent.subtasks.append(self)

def serve():
    Context(Context())

serve()
"""

REFACTORED = """\
import collections


def handle(request, retries=3):
    for _ in range(retries):
        make(request)


class Unrelated(collections.OrderedDict):
    pass


class Context:
    \"\"\"Has moved, and does more than before.\"\"\"

    limit = 10

    def __init__(self, parent=None):
        self.created = "now"
        self.subtasks = []
        self.note = Unrelated()
        self.parent = parent
        if parent is not None:
            self.attach(parent)

    def attach(self, parent):
        parent.subtasks.append(self)


def make(request):
    parent = Context()
    Context(parent)


handle("anything")
"""

MORE = (
    LEAKING
    + """\
class Session:
    def __init__(self):
        self.on_close = self.close

    def close(self):
        pass

Session()
"""
)


@pytest.fixture
def folder(tmp_path):
    for name, source in {"app.py": LEAKING, "moved.py": REFACTORED, "more.py": MORE}.items():
        (tmp_path / name).write_text(source)
    return tmp_path


def guarded(folder, *words):
    done = run(*RUN, "--gc", "off", "--output", "report.txt", *words, cwd=folder)
    return done.returncode, done.stderr.decode()


def written(folder):
    code, shown = guarded(folder, "--write-baseline", "shapes.toml", "app.py")
    assert (code, shown.count("added to")) == (0, 1)
    return folder / "shapes.toml"


def test_a_program_that_did_not_change_passes(folder):
    """What was written down is known."""
    written(folder)
    code, shown = guarded(folder, "--fail-on", "shapes.toml", "app.py")
    assert code == 0
    assert shown == "memguard: no shape of cycles is missing from shapes.toml.\n"


def test_code_that_moved_passes(folder):
    """Other lines, methods, attributes, classes and counts around the same cycle are no news."""
    written(folder)
    assert guarded(folder, "--fail-on", "shapes.toml", "moved.py")[0] == 0


def test_a_new_shape_is_exit_code_3_and_is_shown(folder):
    """With how many cycles, the loop, and what to do; what is known is not repeated."""
    written(folder)
    code, shown = guarded(folder, "--fail-on", "shapes.toml", "more.py")
    assert code == 3
    assert "memguard: 1 new shape of cycles, not in shapes.toml:\n" in shown
    assert "1 garbage cycle: __main__.Session.on_close" in shown
    assert "weak" in shown
    assert "__main__.Context" not in shown


def test_the_exit_code_of_a_program_that_failed_is_its_own(folder):
    """The failure is what matters first; the new shape is told all the same."""
    written(folder)
    for end, expected in ("raise SystemExit(7)", 7), ("raise SystemExit('why')", 1), ("1 / 0", 1):
        (folder / "failing.py").write_text(MORE + end)
        code, shown = guarded(folder, "--fail-on", "shapes.toml", "failing.py")
        assert code == expected
        assert "1 garbage cycle: __main__.Session.on_close" in shown


def test_what_the_program_printed_last_arrives(folder):
    """Ending with 3 loses nothing of its output and skips none of its exit handlers."""
    written(folder)
    last = "import atexit\natexit.register(print, 'at exit')\nprint('last words', end='')\n"
    (folder / "ending.py").write_text(MORE + last)
    done = run(*RUN, "--gc", "off", "--fail-on", "shapes.toml", "ending.py", cwd=folder)
    assert (done.returncode, done.stdout) == (3, b"last wordsat exit\n")


def test_known_shapes_can_be_added_to_with_comments_kept(folder):
    """A second run adds what is new at the end and leaves the rest to the letter."""
    path = written(folder)
    before = path.read_text().replace(
        "[[shape]]", "# Waits for issue 12 of the library.\n[[shape]]"
    )
    path.write_text(before)
    assert guarded(folder, "--write-baseline", "shapes.toml", "more.py")[0] == 0
    after = path.read_text()
    assert after.startswith(before.rstrip("\n"))
    assert [shape["path"] for shape in tomllib.loads(after)["shape"]] == [
        "__main__.Context.parent -> __main__.Context.subtasks -> list[0] -> __main__.Context",
        "__main__.Session.on_close -> method.__self__ -> __main__.Session",
    ]
    assert guarded(folder, "--write-baseline", "shapes.toml", "more.py")[0] == 0
    assert path.read_text() == after
    assert guarded(folder, "--fail-on", "shapes.toml", "more.py")[0] == 0


WRONG = {
    "": "it does not say its version",
    "version = 2\n": "its version is 2, and this memguard reads 1",
    "version = 1\n[[shape\n": "it is not TOML: ",
    "version = 1\nshape = 3\n": "its shape is not a list of tables",
    "version = 1\n[[shape]]\nkind = 'live'\n": "shape 1 has no kind, or no key and no path",
    "version = 1\nshape = [{kind = 1, path = ''}]\n": "shape 1 has no kind, or no key and no path",
}


@pytest.mark.parametrize("option", ["--fail-on", "--write-baseline"])
@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_a_wrong_file_is_told_before_the_program_runs(folder, option, text):
    """Exit code 2, what is wrong and how to get a right one; the file stays as it was."""
    (folder / "shapes.toml").write_text(text)
    (folder / "app.py").write_text("print('ran')")
    done = run(*RUN, option, "shapes.toml", "app.py", cwd=folder)
    assert (done.returncode, done.stdout) == (2, b"")
    assert WRONG[text] in done.stderr.decode()
    assert "make one with memguard run --write-baseline FILE" in done.stderr.decode()
    assert (folder / "shapes.toml").read_text() == text


def test_a_missing_file_is_told_before_the_program_runs(folder):
    """Nothing known would mean that everything is new."""
    done = run(*RUN, "--fail-on", "shapes.toml", "app.py", cwd=folder)
    assert done.returncode == 2
    assert b"there is no such file; make one with" in done.stderr


def test_a_list_that_cannot_be_added_to_is_left_alone(tmp_path):
    """Shapes written inline have no end to put tables at."""
    path = tmp_path / "shapes.toml"
    path.write_text("version = 1\nshape = [{kind = 'live', path = 'a'}]\n")
    with pytest.raises(memguard.UnreadableBaselineError, match="it is not TOML"):
        add_to_baseline(path, [KnownShape("live", "", "b")])
    assert path.read_text() == "version = 1\nshape = [{kind = 'live', path = 'a'}]\n"


@pytest.mark.parametrize(
    "path", ['a"b\\', "tab\tand\nline", "\x00\x7f\ud800", "ü → 🌀", "'''", "[[x]]"]
)
def test_any_loop_can_be_written_and_is_known_again(tmp_path, path):
    """Names of classes may have anything in them."""
    file = tmp_path / "shapes.toml"
    shape = KnownShape.of("live", type("Shape", (), {"path": path, "key": ""}))
    assert add_to_baseline(file, [shape]) == 1
    assert Baseline.read(file).knows(shape)
    assert add_to_baseline(file, [shape]) == 0


def test_a_shape_is_known_by_its_key_or_by_its_loop():
    """One of both is enough; the kind has to be the same."""
    known = Baseline([KnownShape("garbage", "0123456789ab", "app.A.b -> list[3] -> app.A")])
    assert known.knows(KnownShape("garbage", "0123456789ab", "app.A.c -> app.A"))
    assert known.knows(KnownShape("garbage", "ffffffffffff", "app.A.b -> list[0] -> app.A"))
    assert not known.knows(KnownShape("garbage", "", "app.A.c -> app.A"))
    by_key = Baseline.parsed('version = 1\n[[shape]]\nkind = "live"\nkey = "012345"\n', "file")
    assert by_key.knows(KnownShape("live", "012345", "app.A.b -> app.A"))
    assert not by_key.knows(KnownShape("live", "", ""))
    assert not known.knows(KnownShape("live", "0123456789ab", "app.A.b -> list[3] -> app.A"))


def test_a_saved_report_is_judged_alike(folder):
    """``memguard report`` takes the same options, for a report of another machine."""
    written(folder)
    for name, expected in ("app.py", 0), ("more.py", 3):
        lines = f"{name}.jsonl"
        run(*RUN, "--gc", "off", "--format", "json", "--output", lines, name, cwd=folder)
        done = run(*RUN[:-1], "report", lines, "--fail-on", "shapes.toml", cwd=folder)
        assert done.returncode == expected
        assert (b"Session.on_close" in done.stderr) == (expected == 3)


def test_a_baseline_that_cannot_be_written_is_told(folder):
    """The program ran, and its exit code is its own."""
    (folder / "gone").mkdir()
    (folder / "app.py").write_text(LEAKING + "import os\nos.rmdir('gone')\n")
    code, shown = guarded(folder, "--write-baseline", "gone/shapes.toml", "app.py")
    assert code == 0
    assert "cannot be used as a baseline: No such file or directory" in shown


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_shapes_of_every_report_count(folder):
    """A shape that a report on a signal saw is known or new like one at the end."""
    (folder / "app.py").write_text(
        MORE + "import gc, signal\nsignal.raise_signal(signal.SIGUSR1)\ngc.collect()\n"
    )
    (folder / "shapes.toml").write_text("version = 1\n")
    code, shown = guarded(folder, "--fail-on", "shapes.toml", "app.py")
    assert code == 3
    assert "2 new shapes of cycles" in shown
