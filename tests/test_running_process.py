"""A running process is asked from outside: ``listen``, ``memguard scan``, lines of ``top``."""

import asyncio
import gc
import json
import os
import signal
import socket
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import memguard
import processes
from memguard import EndpointError, Guard, GuardSettings, UnreachableProcessError
from memguard.endpoint import commands, remote, server
from memguard.endpoint.client import RefusedError, call, call_all, call_slow
from memguard.endpoint.commands import DEFAULT_MODE, Inquiries
from memguard.endpoint.place import sockets
from memguard.endpoint.server import Endpoint, Slow
from process import run_fresh
from processes import PROGRAMS, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")

WITHOUT_ASYNCIO = """\
import gc, sys, memguard
gc.disable()
class Node: pass
for _ in range(7):
    node = Node(); node.me = node
del node
listener = memguard.listen()
print("ready", flush=True)
sys.stdin.read()
"""

LONGEST_SECONDS = 60


@pytest.fixture(autouse=True)
def private_folder(tmp_path_factory, monkeypatch):
    """Each test has sockets of its own; a short path, for sockets have short names."""
    path = tmp_path_factory.mktemp("run", numbered=True)
    path.chmod(0o700)
    monkeypatch.setenv("MEMGUARD_RUNTIME_DIR", str(path))
    monkeypatch.setitem(processes.ENVIRONMENT, "MEMGUARD_RUNTIME_DIR", str(path))
    return path


@contextmanager
def service(*words):
    """Run a program until the block ends; it says "ready" when it is."""
    child = processes.start(sys.executable, *words)
    with child:
        assert child.stdout.readline() == "ready\n", child.stderr.read()
        try:
            yield child
        finally:
            child.stdin.close()


def cli(*words):
    done = run(sys.executable, "-m", "memguard", *words)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def until(is_so):
    """Wait for what another thread or process does."""
    end = time.monotonic() + LONGEST_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


# A service, from a shell.


def test_cycles_of_a_service_without_asyncio_are_counted_exactly():
    """As text and as JSON, and nothing in it is collected."""
    with service("-c", WITHOUT_ASYNCIO) as child:
        status, text, errors = cli("scan", child.pid, "--kind", "garbage")
        assert (status, errors) == (0, "")
        assert "7 garbage cycles in 1 shape" in text
        assert "__main__.Node.me" in text
        _, lines, _ = cli("scan", child.pid, "--format", "json")
        garbage, live = map(json.loads, lines.splitlines())
        assert (garbage["kind"], live["kind"]) == ("garbage", "live")
        assert garbage["cycle_count"] == 7
        assert garbage["pid"] == child.pid


def test_a_service_with_asyncio_goes_on_while_it_is_asked(tmp_path):
    """Its agents are in the numbers, and its cycles on a page."""
    page = tmp_path / "cycles.html"
    with service(PROGRAMS / "leaking_service.py") as child:
        begun = json.loads(cli("top", child.pid, "--json", "--once")[1])
        assert begun["pid"] == child.pid
        status, _, errors = cli(
            "scan", child.pid, "--kind", "live", "--format", "html", "--output", page
        )
        assert (status, errors) == (0, "")
        later = json.loads(cli("top", child.pid, "--json", "--once")[1])
        assert later["agents"]["begun_count"] > begun["agents"]["begun_count"]
        assert later["memory"]["rss_bytes"] > 0
        assert "Agents" in cli("top", child.pid, "--once")[1]
    assert "Session.parent" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["inline", "snapshot"])
def test_the_mode_is_passed_on_when_it_is_given(mode):
    """Where there are no snapshots the report says why."""
    with service("-c", WITHOUT_ASYNCIO) as child:
        _, line, _ = cli("scan", child.pid, "--kind", "live", "--mode", mode, "--format", "json")
    report = json.loads(line)
    assert mode == report["mode"] or report["fallback_reason"]


def test_without_a_mode_the_service_decides():
    """In one place, for a snapshot."""
    with memguard.listen() as listener:
        report = call_slow(listener.path, "scan", {"kind": "live"})
    assert DEFAULT_MODE == "snapshot"
    assert report["mode"] == DEFAULT_MODE or report["fallback_reason"]


def test_top_as_lines_ends_with_the_process():
    """A script follows it to its end."""
    with service("-c", WITHOUT_ASYNCIO) as child:
        watching = processes.start(
            sys.executable, "-m", "memguard", "top", child.pid, "--json", "--every", "0.01"
        )
        with watching:
            first, second = watching.stdout.readline(), watching.stdout.readline()
            child.stdin.close()
            child.wait(LONGEST_SECONDS)
            watching.communicate(timeout=LONGEST_SECONDS)
    assert json.loads(second)["at"] > json.loads(first)["at"]
    assert watching.returncode == 0


# Who cannot be asked is told why, and what to do.


def test_no_such_process():
    """Ids end below that."""
    status, _, errors = cli("scan", 2**30)
    assert status == 2
    assert "there is no such process" in errors
    assert "pgrep" in errors


def test_a_process_that_does_not_listen(monkeypatch):
    """How it could is said."""
    monkeypatch.delattr(sys, "remote_exec", raising=False)
    with pytest.raises(UnreachableProcessError, match=r"memguard\.listen\(\)"):
        remote.find_process(os.getpid())


def test_a_process_of_another_user(monkeypatch):
    """Told by whose it is, before anything is sent."""
    monkeypatch.setattr(remote, "_owner_of", lambda pid: os.getuid() + 1)
    with pytest.raises(UnreachableProcessError, match=r"belongs to user .*sudo -u"):
        remote.find_process(os.getpid())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be two")
def test_two_users_are_kept_apart():
    """A process of another user finds the folder shut, and is told whose the process is."""
    with service("-c", WITHOUT_ASYNCIO) as child:
        [(_, path)] = sockets(child.pid)
        path.parent.chmod(0o700)
        code = (
            "import os, socket, sys; os.setuid(65534); c = socket.socket(socket.AF_UNIX)\n"
            "try: c.connect(sys.argv[1])\n"
            "except PermissionError: print('shut')"
        )
        done = run(sys.executable, "-c", code, path)
        assert done.stdout == b"shut\n", done.stderr


def test_a_caller_whom_the_system_calls_another_gets_no_answer(monkeypatch):
    """Also one that is already in the folder."""
    with memguard.listen() as listener:
        monkeypatch.setattr(server, "uid_of", lambda connection: os.getuid() + 1)
        with pytest.raises(EndpointError, match="not answer"):
            call(listener.path, "stats")


def test_the_socket_is_private(private_folder):
    """Folder 700, socket 600."""
    with memguard.listen() as listener:
        assert stat.S_IMODE(private_folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(listener.path.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be stopped")
def test_a_process_that_is_stopped_is_said_not_to_answer(monkeypatch):
    """And is not waited for without end."""
    with service("-c", WITHOUT_ASYNCIO) as child:
        child.send_signal(signal.SIGSTOP)
        try:
            monkeypatch.setattr(
                remote, "call", lambda path, name: call_slow(path, name, {}, silence_seconds=0.05)
            )
            with pytest.raises(UnreachableProcessError, match="stopped, or busy"):
                remote.find_process(child.pid)
        finally:
            child.send_signal(signal.SIGCONT)


def test_a_socket_of_a_killed_process_is_taken_away(private_folder):
    """By whoever looks through the folder."""
    with service("-c", WITHOUT_ASYNCIO) as child:
        assert sockets(child.pid)
        child.kill()
        child.wait(LONGEST_SECONDS)
        assert sockets(child.pid)
        with memguard.listen():
            call_all("stats")
        assert not sockets(child.pid)


# One scan at a time.


@pytest.fixture
def held_scan(monkeypatch):
    """Let a scan wait until it is told to go on, or given up."""
    begun, go_on, seen = threading.Event(), threading.Event(), {}

    def scan(*arguments, is_cancelled, **options):
        seen["thread"] = threading.current_thread()
        begun.set()
        until(lambda: go_on.is_set() or is_cancelled())
        seen["cancelled"] = is_cancelled()
        return memguard.scan("live")

    monkeypatch.setattr(commands, "scan_beyond", scan)
    return begun, go_on, seen


def test_the_second_who_asks_is_told_that_a_scan_runs(held_scan):
    """Also through another socket of the process; statistics go on, and say so."""
    begun, go_on, _ = held_scan
    with memguard.listen() as listener, memguard.listen() as other, ThreadPoolExecutor(1) as pool:
        first = pool.submit(call_slow, listener.path, "scan", {})
        assert begun.wait(LONGEST_SECONDS)
        with pytest.raises(RefusedError, match="scans already") as refused:
            call_slow(other.path, "scan", {})
        assert refused.value.kind == "ScanUnderWayError"
        assert call(listener.path, "stats")["scanning_seconds"] >= 0
        go_on.set()
        assert first.result(LONGEST_SECONDS)["kind"] == "live"
        assert call_slow(other.path, "scan", {})["kind"] == "live"


def test_a_scan_shows_that_it_goes_on_and_can_be_given_up(held_scan, monkeypatch):
    """Whoever has waited long enough hangs up, and that ends it."""
    monkeypatch.setattr(server, "_SIGN_OF_LIFE_SECONDS", 0.01)
    begun, _, seen = held_scan
    signs = []
    with memguard.listen() as listener:
        with pytest.raises(EndpointError, match="more time"):
            call_slow(listener.path, "scan", {}, longest_seconds=0.3, on_sign=signs.append)
        assert begun.is_set()
        until(lambda: "cancelled" in seen)
        until(lambda: call(listener.path, "stats")["scanning_seconds"] is None)
    assert seen["cancelled"]
    assert signs == sorted(signs)
    assert signs


def test_a_scan_runs_neither_on_the_loop_nor_on_the_thread_of_its_call(held_scan):
    """The loop of the service goes on until it lets the scan end."""
    begun, go_on, seen = held_scan

    async def serve():
        with memguard.listen() as listener:
            asked = asyncio.to_thread(call_slow, listener.path, "scan", {})
            asking = asyncio.create_task(asked)
            while not begun.is_set():
                await asyncio.sleep(0.001)
            go_on.set()
            return await asking

    assert asyncio.run(serve())["kind"] == "live"
    assert seen["thread"].name == "memguard-command"


def test_closing_gives_a_scan_up(held_scan):
    """And leaves no thread and no turn behind."""
    begun, _, seen = held_scan
    listener = memguard.listen()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(call_slow, listener.path, "scan", {})
        assert begun.wait(LONGEST_SECONDS)
        listener.close()
        asked.exception(LONGEST_SECONDS)
    until(lambda: not commands._scanning)
    assert seen["cancelled"]


def test_wrong_arguments_are_refused_with_the_reason():
    """And take no turn."""
    with memguard.listen() as listener:
        with pytest.raises(RefusedError, match="kind"):
            call_slow(listener.path, "scan", {"kind": "dead"})
        assert call_slow(listener.path, "scan", {"kind": "live"})["complete"]


def test_a_caller_that_hangs_up_or_sends_half_a_line_does_no_harm():
    """Many others are answered meanwhile."""
    with memguard.listen() as listener:
        half = socket.socket(socket.AF_UNIX)
        half.connect(str(listener.path))
        half.sendall(b'{"command": "sta')
        gone = socket.socket(socket.AF_UNIX)
        gone.connect(str(listener.path))
        gone.sendall(b'{"command": "stats"}\n')
        gone.close()
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: call(listener.path, "stats"), range(64)))
        half.close()
        assert {answer["pid"] for answer in answers} == {os.getpid()}


def test_an_error_of_a_slow_command_is_told():
    """As for any other command; a timeout of its own is no reason to wait on."""

    def fail(arguments, caller, is_cancelled):
        raise TimeoutError("inside")

    endpoint = Endpoint({"fail": Slow(fail)})
    path = endpoint.open()
    try:
        with pytest.raises(RefusedError, match="TimeoutError: inside"):
            call_slow(path, "fail", {})
    finally:
        endpoint.close()


# What statistics cost and leave.


def test_pauses_are_counted_only_while_somebody_asks():
    """From the first question on, until a while after the last."""
    now = [0.0]
    before = list(gc.callbacks)
    inquiries = Inquiries(clock=lambda: now[0])
    stats = inquiries.commands()["stats"]
    assert gc.callbacks == before
    stats({}, "somebody")
    assert len(gc.callbacks) == len(before) + 1
    gc.collect()
    assert stats({}, "somebody")["pauses"]["collection_count"] == 1
    now[0] += commands.IDLE_SECONDS + 1
    inquiries.look()
    assert gc.callbacks == before
    stats({}, "somebody")
    inquiries.close()
    assert gc.callbacks == before
    stats({}, "who came too late")
    assert gc.callbacks == before


def test_statistics_make_no_list_of_all_objects(monkeypatch):
    """They look neither through the heap nor scan it."""

    def refuse(*arguments, **options):
        raise AssertionError("this costs as much as the heap is large")

    inquiries = Inquiries()
    monkeypatch.setattr(gc, "get_objects", refuse)
    monkeypatch.setattr(commands, "scan_beyond", refuse)
    told = inquiries.commands()["stats"]({}, "somebody")
    inquiries.close()
    assert json.loads(json.dumps(told)) == told
    assert told["collector"]["thresholds"] == list(gc.get_threshold())
    assert told["memory"]["limit"]["used_ratio"] > 0
    assert told["agents"] is None


def test_collecting_from_outside_frees_what_is_garbage():
    """And says how much, and how long it took."""

    class Node:
        pass

    for _ in range(5):
        node = Node()
        node.me = node
    del node
    with memguard.listen() as listener:
        told = call(listener.path, "gc")
    assert told["collected_count"] >= 5
    assert told["duration_seconds"] > 0


def test_a_guard_that_asks_people_answers_the_same_without_listen():
    """On the socket that it has, with its agents; after its end on none."""
    with Guard(settings=GuardSettings(), approve=lambda request: True) as guard:
        path = remote.find_process(os.getpid())
        with guard.agent("planner"):
            told = call(path, "stats")["agents"]
        assert (told["active_count"], told["begun_count"]) == (1, 1)
        assert call_slow(path, "scan", {"kind": "live"})["kind"] == "live"
        assert call(path, "approvals.list") == []
    assert not sockets()
    assert not commands._agents


def test_the_variable_that_names_the_folder_is_taken_for_no_setting(private_folder):
    """A guard that reads its settings starts where it is set."""
    with Guard(approve=lambda request: True):
        assert remote.find_process(os.getpid()).parent == private_folder


def test_agents_of_all_guards_are_told_together():
    """Of those that are started, and no longer."""
    with memguard.listen() as listener:
        with Guard(settings=GuardSettings()) as one, Guard(settings=GuardSettings()) as other:
            with one.agent("a"), other.agent("b"):
                assert call(listener.path, "stats")["agents"]["active_count"] == 2
        assert call(listener.path, "stats")["agents"] is None


# Closing, and forks.


def test_close_leaves_nothing(private_folder):
    """No socket, thread, callback or descriptor; to do it again does nothing."""
    before = (list(gc.callbacks), threading.enumerate())
    with memguard.listen() as listener:
        call(listener.path, "stats")
        call_slow(listener.path, "scan", {})
    listener.close()
    until(lambda: threading.enumerate() == before[1])
    assert listener.path is None
    assert (gc.callbacks, list(private_folder.iterdir())) == (before[0], [])


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be counted")
def test_descriptors_do_not_pile_up():
    """Fifty times opened, asked and closed."""

    def once():
        with memguard.listen() as listener:
            call(listener.path, "stats")

    once()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        once()
    until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_a_listener_that_nobody_holds_listens_until_the_process_ends(private_folder):
    """A service says it once; at its end the socket is taken away."""
    told = run_fresh(
        """
        import gc, os, memguard
        from memguard.endpoint.remote import find_process
        memguard.listen()
        gc.collect()
        print(find_process(os.getpid()).is_socket())
        """
    )
    assert told == "True\n"
    assert not list(private_folder.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_closes_nothing_of_the_parent(private_folder):
    """It does not listen itself, unless it says so."""
    told = run_fresh(
        """
        import gc, os, warnings, memguard
        warnings.simplefilter("ignore", DeprecationWarning)
        from memguard.endpoint.client import call
        from memguard.endpoint.place import sockets

        listener = memguard.listen()
        path = listener.path
        before = list(gc.callbacks)
        call(path, "stats")
        child = os.fork()
        if child == 0:
            assert listener.path is None
            assert gc.callbacks == before, gc.callbacks
            listener.close()
            assert path.exists()
            with memguard.listen() as own:
                assert call(own.path, "stats")["pid"] == os.getpid()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(status, call(path, "stats")["pid"] == os.getpid(), len(sockets()))
        listener.close()
        print(len(sockets()))
        """
    )
    assert told == "0 True 1\n0\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_scan_of_the_parent_is_not_one_of_its_child():
    """Whose turn it is, is known by process."""
    commands._scanning[os.getppid()] = 0.0
    try:
        with memguard.listen() as listener:
            assert call_slow(listener.path, "scan", {"kind": "live"})["complete"]
    finally:
        del commands._scanning[os.getppid()]


# Python 3.14, whose sys.remote_exec a stand-in plays.


def play_remote_exec(monkeypatch, run_script):
    monkeypatch.setattr(sys, "remote_exec", run_script, raising=False)


def test_a_door_is_opened_from_outside_and_closes_when_nobody_asks(monkeypatch):
    """The script runs, leaves no name where it ran, and opens what answers."""
    namespace = {"__name__": "__main__"}
    pids = []

    def run_script(pid, path):
        pids.append(pid)
        with open(path, encoding="utf-8") as script:
            exec(script.read(), namespace)

    monkeypatch.setattr(remote, "OPEN_SECONDS", 0.3)
    play_remote_exec(monkeypatch, run_script)
    path = remote.find_process(os.getpid())
    assert pids == [os.getpid()]
    assert call(path, "stats")["pid"] == os.getpid()
    assert set(namespace) == {"__name__", "__builtins__"}
    until(lambda: not sockets())
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("memguard")])


def test_a_process_that_refuses_to_be_entered_says_what_to_do(monkeypatch):
    """As the system does without the right to."""

    def refuse(pid, path):
        raise PermissionError(1, "Operation not permitted")

    play_remote_exec(monkeypatch, refuse)
    with pytest.raises(UnreachableProcessError, match=r"not permitted.*memguard\.listen\(\)"):
        remote.find_process(os.getpid())


def test_a_process_without_memguard_says_so(monkeypatch):
    """Its own streams get nothing of it."""

    def run_script(pid, path):
        with open(path, encoding="utf-8") as script:
            source = script.read().replace("memguard.endpoint.listening", "memguard_not_there")
        exec(source, {})

    play_remote_exec(monkeypatch, run_script)
    with pytest.raises(UnreachableProcessError, match=r"ModuleNotFoundError.*install memguard"):
        remote.find_process(os.getpid())


def test_a_process_that_runs_no_python_code_is_not_waited_for_without_end(monkeypatch):
    """Such as one that waits in a system call."""
    monkeypatch.setattr(remote, "_WAIT_SECONDS", 0.1)
    play_remote_exec(monkeypatch, lambda pid, path: None)
    with pytest.raises(UnreachableProcessError, match="ran no Python code"):
        remote.find_process(os.getpid())


def test_help_teaches():
    """What has to be done in the program stands in the help of both commands."""
    for command in ("scan", "top"):
        status, text, _ = cli(command, "--help")
        assert status == 0
        assert "memguard.listen()" in text
        assert "examples:" in text


def test_the_screen_needs_a_terminal():
    """Elsewhere it is said what does not."""
    status, _, errors = cli("top", os.getpid())
    assert status == 2
    assert "--once" in errors


def test_without_textual_the_extra_is_named():
    """On a terminal, before anything is asked."""
    code = "import sys; sys.modules['textual'] = None; from memguard.cli import main; main()"
    _, shown = processes.on_terminal(sys.executable, "-c", code, "top", os.getpid())
    assert 'pip install "pymemguard[cli]"' in shown
