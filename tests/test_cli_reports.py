"""``memguard run``: what it reports, when, and where to."""

import json
import os
import re
import signal
import sys

import pytest

from processes import PROGRAMS, RUN, WITHOUT_RICH, on_terminal, reports, run, run_together, start

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")
LEAK = PROGRAMS / "leak.py"
CONTEXT = "__main__.Context.parent -> __main__.Special.subtasks -> list[0] -> __main__.Context"
HANDLER = "__main__.Handler.callback -> method.__self__ -> __main__.Handler"
KEPT = "__main__.Context.parent -> __main__.Context.subtasks -> list[0] -> __main__.Context"


def script(folder, source):
    path = folder / "program.py"
    path.write_text(source)
    return path


def found(report):
    return {shape["path"]: shape["cycle_count"] for shape in report["shapes"]}


def test_garbage_and_live_cycles_of_the_program_are_reported():
    """With --gc off all garbage is there at the end, apart from what is still in use."""
    garbage, live = reports("--gc", "off", LEAK, 50)
    assert (garbage["kind"], garbage["trigger"], garbage["complete"]) == ("garbage", "end", True)
    assert found(garbage) == {CONTEXT: 50, HANDLER: 50}
    assert garbage["unreachable_types"] == {
        "__main__.Context": 50,
        "__main__.Handler": 50,
        "__main__.Special": 50,
        "builtins.list": 100,
        "builtins.method": 50,
    }
    assert (live["kind"], found(live)) == ("live", {KEPT: 1})
    assert garbage["pid"] == live["pid"]
    assert 0 < garbage["elapsed_seconds"] < live["elapsed_seconds"]


@pytest.mark.parametrize("options", [[], ["--every", "3600"]])
def test_a_program_without_cycles_has_none_with_the_standard_library_either(tmp_path, options):
    """What the interpreter and memguard brought along is not the program's."""
    for report in reports("--include-stdlib", *options, script(tmp_path, "")):
        assert (report["shapes"], report["shapes_left_out_count"]) == ([], 0)
        assert report["unreachable_count"] == 0


def test_cycles_of_the_standard_library_are_left_out_unless_asked_for(tmp_path):
    """They are counted, and shown with --include-stdlib."""
    path = script(tmp_path, "import logging\nkept = logging.getLogger('a.b')\n")
    (hidden,) = reports("--kind", "live", path)
    (shown,) = reports("--kind", "live", "--include-stdlib", path)
    assert hidden["shapes"] == []
    assert hidden["shapes_left_out_count"] == len(shown["shapes"]) > 0
    assert any("logging.Logger" in shape["type_names"] for shape in shown["shapes"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--min-size", "3"], {CONTEXT: 7}),
        (["--min-size", "4"], {}),
        (["--type", "__main__.Handler"], {HANDLER: 7}),
        (["--type", "__main__.Context"], {CONTEXT: 7}),
        (["--type", "__main__.Special", "--type", "__main__.Handler"], {CONTEXT: 7, HANDLER: 7}),
        (["--type", "__main__.Missing"], {}),
    ],
)
def test_shapes_can_be_chosen_by_size_and_type(options, expected):
    """Instances of a subclass count, and what is left out is counted."""
    (report,) = reports("--gc", "off", "--kind", "garbage", *options, LEAK, 7)
    assert found(report) == expected
    assert report["shapes_left_out_count"] == 2 - len(expected)


def test_a_scan_can_be_limited():
    """A limit makes the report partial, and says so."""
    garbage, live = reports("--max-objects", "10", LEAK, 1)
    assert (garbage["complete"], garbage["stopped_by"]) == (False, "max_objects")
    assert live["object_count"] == 10


def test_frames_of_a_failed_program_do_not_keep_its_cycles(tmp_path):
    """What only the traceback of an uncaught exception holds has ended with the program."""
    path = script(
        tmp_path,
        "def fail():\n    loop = []\n    loop.append(loop)\n    raise ValueError(1)\nfail()\n",
    )
    done = run(*RUN, "--kind", "garbage", "--format", "json", "--include-stdlib", path)
    assert done.returncode == 1
    report = json.loads(done.stderr.splitlines()[-1])
    assert found(report) == {"list[0] -> list": 1}


def test_the_program_sees_the_same_heap_as_under_python(tmp_path):
    """What the reporter holds is seen through: counts from outside and of cycles agree."""
    path = script(
        tmp_path,
        "import gc, sys, memguard\n"
        "gc.collect()\n"
        "class Node: pass\n"
        "node = Node()\n"
        "node.own = node\n"
        "holder = [node, node]\n"
        "for kind in 'live', 'garbage':\n"
        "    with memguard.scan(kind, types=[Node]) as report:\n"
        "        print([(c.size, c.outside_reference_count, c.retained_bytes)\n"
        "               for c in report.cycles], report.unreachable_count)\n"
        "print(sys.getrefcount(node), gc.collect())\n",
    )
    plain, guarded = run_together((sys.executable, path), (*RUN, "--output", os.devnull, path))
    assert guarded.stdout == plain.stdout
    assert guarded.stdout.startswith(b"[(1, 3, ")


def test_the_text_says_what_was_found_left_out_and_is_next(tmp_path):
    """A report in text has a title, a verdict, the loops, what is missing, and advice."""
    path = script(tmp_path, LEAK.read_text() + "import gc, logging\ngc.collect()\nHandler()\n")
    done = run(*RUN, "--type", "__main__.Handler", path, 3)
    garbage, live = done.stderr.decode().split("memguard: ")[1:]
    assert garbage.startswith("garbage cycles of process ")
    assert "1 garbage cycle in 1 shape: 2 objects;" in garbage
    assert HANDLER in garbage
    assert "--gc off keeps them." in garbage
    assert live.startswith("live cycles of process ")
    assert "No live cycles found" in live
    assert "Left out: 1 shape without an instance of __main__.Handler (--type)." in live
    assert live.splitlines()[-1].startswith("Next: make the reference that points back weak")


def test_reports_are_appended_and_stay_where_they_were_named(tmp_path):
    """The program may change its folder; a second run adds to the file."""
    (tmp_path / "elsewhere").mkdir()
    path = script(tmp_path, "import os\nos.chdir('elsewhere')\n")
    words = (*RUN, "--format", "json", "--output", "out.jsonl", path)
    assert [run(*words, cwd=tmp_path).stderr for _ in range(2)] == [b"", b""]
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["garbage", "live"] * 2


def test_a_report_that_cannot_be_written_is_told_and_changes_nothing(tmp_path):
    """The program ends with its own exit code when its folder of reports is gone."""
    (tmp_path / "gone").mkdir()
    path = script(tmp_path, "import shutil, sys\nshutil.rmtree('gone')\nsys.exit(3)\n")
    done = run(*RUN, "--output", "gone/out.txt", path, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith(b"memguard: no report: FileNotFoundError: ")


@POSIX
def test_a_long_report_survives_an_error_stream_that_does_not_block(tmp_path):
    """An event loop may have made standard error non-blocking; nothing is lost."""
    path = script(tmp_path, LEAK.read_text() + "import os\nos.set_blocking(2, False)\n")
    garbage, _ = reports("--gc", "off", path, 2000)
    assert garbage["cycle_count"] == 4000
    assert len(garbage["cycles"]) == 1000


@POSIX
@pytest.mark.parametrize("how", ["blocked", "asyncio"])
def test_a_signal_reports_at_once_and_the_program_goes_on(how):
    """SIGUSR1 is answered while the program waits, in C code or in an event loop."""
    with start(*RUN, "--gc", "off", "--format", "json", PROGRAMS / "waits.py", how) as child:
        assert child.stdout.readline() == "ready\n"
        for _ in range(2):
            child.send_signal(signal.SIGUSR1)
            garbage, live = (json.loads(child.stderr.readline()) for _ in range(2))
            assert (garbage["trigger"], found(garbage)) == (
                "signal",
                {"__main__.Node.own -> __main__.Node": 1},
            )
            assert live["kind"] == "live"
        _, errors = child.communicate(timeout=60)
    assert child.returncode == 0
    assert [json.loads(line)["trigger"] for line in errors.splitlines()] == ["end", "end"]


@POSIX
def test_a_program_that_handles_the_signal_itself_keeps_it():
    """Once a program has its own handler for SIGUSR1, that one is called."""
    with start(*RUN, "--format", "json", PROGRAMS / "waits.py", "own-handler") as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGUSR1)
        assert child.stdout.readline() == "mine\n"
        _, errors = child.communicate(timeout=60)
    assert [json.loads(line)["trigger"] for line in errors.splitlines()] == ["end", "end"]


@POSIX
def test_a_signal_during_a_report_is_answered_by_another(tmp_path):
    """A signal that comes while a report is written is not lost and does not interrupt it."""
    path = script(
        tmp_path,
        "import json, signal\n"
        "dumps = json.dumps\n"
        "def interrupted(values):\n"
        "    json.dumps = dumps\n"
        "    signal.raise_signal(signal.SIGUSR1)\n"
        "    return dumps(values)\n"
        "json.dumps = interrupted\n"
        "signal.raise_signal(signal.SIGUSR1)\n",
    )
    triggers = [report["trigger"] for report in reports("--kind", "live", path)]
    assert triggers == ["signal", "signal", "end"]


@POSIX
def test_a_report_interrupts_a_print_without_harm(tmp_path):
    """A signal inside a write to standard error finds its buffers busy, and reports."""
    path = script(
        tmp_path,
        "import io, signal, sys\n"
        "class Raw(io.RawIOBase):\n"
        "    def writable(self): return True\n"
        "    def fileno(self): return 2\n"
        "    def write(self, data):\n"
        "        signal.raise_signal(signal.SIGUSR1)\n"
        "        return len(data)\n"
        "sys.__stderr__ = io.TextIOWrapper(io.BufferedWriter(Raw()), 'utf-8')\n"
        "print('hello', file=sys.__stderr__, flush=True)\n",
    )
    triggers = [report["trigger"] for report in reports("--kind", "live", path)]
    assert triggers == ["signal", "end"]


def test_reports_come_at_intervals_and_do_not_keep_the_process_alive():
    """--every reports while the program waits; the process ends when the program does."""
    with start(*RUN, "--every", "0.01", "--format", "json", PROGRAMS / "waits.py") as child:
        assert child.stdout.readline() == "ready\n"
        seen = [json.loads(child.stderr.readline()) for _ in range(4)]
        _, errors = child.communicate(timeout=60)
    assert child.returncode == 0
    assert [report["trigger"] for report in seen] == ["timer"] * 4
    elapsed = [report["elapsed_seconds"] for report in seen]
    assert elapsed == sorted(elapsed)
    rest = [json.loads(line)["trigger"] for line in errors.splitlines()]
    assert rest == ["timer"] * (len(rest) - 2) + ["end", "end"]


def test_the_end_waits_for_a_report_of_the_timer(tmp_path):
    """A program that ends during a report is reported on all the same."""
    path = script(
        tmp_path,
        "import json, threading\n"
        "dumps, begun = json.dumps, threading.Event()\n"
        "def slow(values):\n"
        "    json.dumps = dumps\n"
        "    begun.set()\n"
        "    threading.main_thread().join()\n"
        "    return dumps(values)\n"
        "json.dumps = slow\n"
        "begun.wait()\n",
    )
    seen = [report["trigger"] for report in reports("--kind", "live", "--every", "0.01", path)]
    assert (seen[0], seen[-1], seen.count("end")) == ("timer", "end", 1)


@POSIX
def test_a_report_holds_nothing_once_it_is_written(tmp_path):
    """After a report the collector frees as many objects as there were."""
    path = script(
        tmp_path,
        LEAK.read_text() + "import gc, signal\n"
        "signal.raise_signal(signal.SIGUSR1)\n"
        "print(gc.collect())\n",
    )
    done = run(*RUN, "--gc", "off", "--output", os.devnull, path, 30)
    # Two contexts and their lists, a handler and its method, each 30 times.
    assert done.stdout.splitlines()[1] == b"180"


@POSIX
def test_two_reports_in_a_row_agree_on_a_terminal(tmp_path):
    """What it takes to show a table does not show up in the next report."""
    path = script(
        tmp_path,
        LEAK.read_text() + "import signal\n"
        "for _ in range(2): signal.raise_signal(signal.SIGUSR1)\n",
    )
    code, shown = on_terminal(*RUN, "--gc", "off", "--include-stdlib", path, 5)
    assert code == 0
    verdicts = re.findall(r"\d+ \w+ cycles? in .* objects(?=;)", shown)
    garbage, live = (
        "10 garbage cycles in 2 shapes: 25 objects",
        "1 live cycle in 1 shape: 3 objects",
    )
    assert verdicts == [garbage, live] * 3


@POSIX
def test_a_terminal_gets_a_table_and_colour_with_rich():
    """With the extra "cli" a report on a terminal is a table; before it, what goes on is shown."""
    code, shown = on_terminal(*RUN, "--gc", "off", LEAK, 5)
    assert code == 0
    assert "memguard: looking for garbage cycles ..." in shown
    assert "\x1b[1;33m10 garbage cycles in 2 shapes" in shown
    assert "─" * 40 in shown
    row, advice = (line for line in shown.splitlines() if "__main__.Handler.callback" in line)
    assert row.split()[:2] == ["5", "10"]
    assert "* Keep __main__.Handler.callback as a weak method" in advice


@POSIX
def test_a_terminal_gets_plain_text_without_rich():
    """Without the extra the same is told in plain text."""
    code, shown = on_terminal(
        sys.executable, "-c", WITHOUT_RICH, "run", "--gc", "off", LEAK, 5, columns=60
    )
    assert code == 0
    assert "10 garbage cycles in 2 shapes" in shown
    assert "\x1b[1" not in shown
    assert "─" not in shown
    assert "  1. 5 cycles, 15 objects" in shown


def test_every_step_is_shown_when_asked_for(tmp_path):
    """By default the tuple of one is folded into the step before."""
    path = script(tmp_path, "class Node: pass\nnode = Node()\nnode.only = (node,)\n")
    folded = run(*RUN, "--kind", "live", path).stderr.decode()
    verbose = run(*RUN, "--kind", "live", "--verbose", path).stderr.decode()
    assert "__main__.Node.only[0] -> __main__.Node" in folded
    assert "__main__.Node.only -> tuple[0] -> __main__.Node" in verbose
