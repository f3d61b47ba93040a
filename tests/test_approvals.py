"""People answer a guard: by a function, by a rule, by a command from another process."""

import asyncio
import errno
import json
import os
import socket
import stat
import sys
import threading
from contextlib import ExitStack, contextmanager

import pytest

import memguard
from memguard import (
    ApprovalDenied,
    ApprovalPolicy,
    AuditLog,
    Decision,
    Guard,
    GuardSettings,
    MemoryShort,
    PolicyRule,
    PressureSettings,
)
from memguard.admission.refusals import Reason
from memguard.endpoint.client import Gone, call, call_all
from memguard.endpoint.place import folder, sockets
from memguard.endpoint.server import Endpoint
from memguard.errors import EndpointError, UnsafeFolderError
from memguard.oversight.events import ApprovalRequested
from memguard.oversight.requests import How
from process import run_fresh
from processes import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")

FULL = GuardSettings(pressure=PressureSettings(limit_bytes=2**20))
"""More is in use than that."""


@pytest.fixture(autouse=True)
def private_folder(tmp_path_factory, monkeypatch):
    """Each test has sockets of its own; a short path, for sockets have short names."""
    path = tmp_path_factory.mktemp("run", numbered=True)
    path.chmod(0o700)
    monkeypatch.setenv("MEMGUARD_RUNTIME_DIR", str(path))
    return path


def cli(*words):
    done = run(sys.executable, "-m", "memguard", *words, cwd=None)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(autouse=True)
def same_folder_for_commands(private_folder, monkeypatch):
    import processes

    monkeypatch.setitem(processes.ENVIRONMENT, "MEMGUARD_RUNTIME_DIR", str(private_folder))


async def nest(guard, depth):
    """Delegate to a depth, one agent below the other."""
    if depth < 0:
        return
    async with guard.delegate(f"agent{depth}"):
        await nest(guard, depth - 1)


def nest_in_threads(guard, depth):
    if depth < 0:
        return
    with guard.delegate(f"agent{depth}"):
        nest_in_threads(guard, depth - 1)


# In a guard.


@pytest.mark.parametrize("form", ["tasks", "threads"])
def test_delegations_from_depth_4_on_are_asked(form):
    """And none before; the chain is in the request."""

    def approves(request):
        asked.append((len(request.chain) - 1, request.measured, request.chain[0]))
        return True

    asked = []
    with Guard(settings=GuardSettings(), approve=approves, max_depth=7) as guard:
        if form == "tasks":
            asyncio.run(nest(guard, 6))
        else:
            nest_in_threads(guard, 6)
        counted = guard.statistics()
    assert asked == [(4, 4, "agent6"), (5, 5, "agent6"), (6, 6, "agent6")]
    assert counted.oversight.coverage_ratio == 1.0
    assert counted.admission.admitted_count == 7


def test_what_is_denied_is_refused_with_who_and_why():
    """A sentence for the model; nothing of the agent stays."""

    async def run():
        with pytest.raises(ApprovalDenied, match="denied by dora: too deep") as refused:
            await nest(guard, 4)
        return refused.value

    policy = ApprovalPolicy([], otherwise=lambda request: Decision.deny("dora", "too deep"))
    with Guard(settings=GuardSettings(), approve=policy) as guard:
        refusal = asyncio.run(run())
        assert refusal.chain[-1] == "agent0"
        assert "dora" in refusal.to_tool_message()
        assert guard.statistics().admission.refused_counts == {Reason.APPROVAL: 1}
        assert guard.statistics().admission.live_count == 0
        assert guard.statistics().oversight.blocked_ratio == 1.0


def test_memory_that_is_short_is_put_to_a_person():
    """Who may let one more start; and without one it is refused."""
    asked = []

    def approves(request):
        asked.append(request)
        return len(asked) == 1

    # Some room, for what is resident changes; and from 95 % on nobody is asked.
    limit_bytes = round(memguard.read_memory().rss_bytes / 0.88)
    nearly_full = GuardSettings(pressure=PressureSettings(limit_bytes=limit_bytes))
    with Guard(settings=nearly_full, approve=approves) as guard:
        with guard.agent("planner") as planner:
            assert planner.depth == 0
        assert asked[0].operation == "memory_pressure"
        assert 80 < asked[0].measured < 95
        # It takes memory as any other one.
        assert guard.statistics().memory.granted_count == 1
        with pytest.raises(ApprovalDenied):
            guard.agent("planner").__enter__()
    for approver in (None, pytest.fail):
        with Guard(settings=FULL, approve=approver) as guard, pytest.raises(MemoryShort):
            guard.agent("planner").__enter__()


def test_a_guard_that_observes_asks_nobody():
    """It counts what would have been asked."""
    with Guard(
        settings=GuardSettings(), approve=pytest.fail, observe_only=True, max_depth=9
    ) as guard:
        nest_in_threads(guard, 5)
        assert guard.statistics().admission.let_pass_counts == {Reason.APPROVAL: 2}
        assert guard.statistics().oversight.critical_count == 0


def test_while_a_person_thinks_others_run():
    """The one who waits holds no slot, and the loop goes on."""

    async def run():
        asking = asyncio.create_task(nest(guard, 4))
        while not guard.oversight.pending():
            await asyncio.sleep(0)
        # The four above it hold one slot together, each lent to the one below.
        assert guard.statistics().admission.running_count == 1
        async with guard.agent("other"):
            assert guard.statistics().admission.running_count == 2
        (request,) = guard.oversight.pending()
        guard.oversight.decide(request.id, Decision.approve("alice"))
        await asking

    with Guard(settings=GuardSettings(), approve="queue", max_parallel=2) as guard:
        asyncio.run(run())


def test_closing_denies_those_who_wait():
    """So that they end."""

    async def run():
        asking = asyncio.create_task(nest(guard, 4))
        while not guard.oversight.pending():
            await asyncio.sleep(0)
        await guard.aclose()
        with pytest.raises(ApprovalDenied, match="closed"):
            await asking

    guard = Guard(settings=GuardSettings(), approve="queue")
    guard.start()
    asyncio.run(run())


def test_all_that_was_asked_stands_in_the_audit(tmp_path):
    """One request and one decision for each deep delegation."""
    path = tmp_path / "audit.db"
    policy = ApprovalPolicy([PolicyRule("approve", below=6)], otherwise=lambda request: False)
    with Guard(settings=GuardSettings(), approve=policy, audit=path, max_depth=9) as guard:
        with pytest.raises(ApprovalDenied):
            nest_in_threads(guard, 8)
    audit = AuditLog(path)
    verdicts = [e.fields["verdict"] for e in audit.entries() if e.kind == "decided"]
    audit.close()
    assert verdicts == ["approve", "approve", "deny"]
    status, shown, _ = cli("audit", str(path))
    assert status == 0
    assert "3 requests, 3 decided, 1 denied; somebody was asked for 100.0%" in shown
    assert "agent8 -> agent7 -> agent6 -> agent5 -> agent4" in shown


def test_an_audit_without_anybody_to_ask_is_a_mistake(tmp_path):
    """As is a word that names no approver."""
    with pytest.raises(memguard.UnknownOptionError, match="approve"):
        Guard(settings=GuardSettings(), audit=tmp_path / "audit.db")
    with pytest.raises(memguard.UnknownOptionError, match="'nobody'"):
        Guard(settings=GuardSettings(), approve="nobody")


def test_nothing_remains_after_closing(private_folder, tmp_path):
    """No thread, no socket, no descriptor."""

    async def run():
        async with Guard(
            settings=GuardSettings(), approve=approves, audit=tmp_path / "audit.db"
        ) as guard:
            assert len(list(private_folder.iterdir())) == 1
            await nest(guard, 4)
        return {t.name for t in threading.enumerate()}

    async def approves(request):
        return True

    asyncio.run(run())
    before = {t.name for t in threading.enumerate()}
    descriptors = sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    assert asyncio.run(run()) == before
    if descriptors is not None:
        assert sorted(os.listdir("/proc/self/fd")) == descriptors
    assert list(private_folder.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_asks_for_itself(tmp_path):
    """With a socket of its own, in the same audit; the parent's stays the parent's."""
    told = run_fresh(
        f"""
        import os, warnings
        from memguard import AuditLog, Guard, GuardSettings
        from memguard.endpoint.place import sockets

        warnings.simplefilter("ignore", DeprecationWarning)

        def nest(guard, depth):
            if depth >= 0:
                with guard.delegate("a"):
                    nest(guard, depth - 1)

        path = {str(tmp_path / "audit.db")!r}
        guard = Guard(settings=GuardSettings(), approve=lambda request: True, audit=path)
        with guard:
            nest(guard, 4)
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    nest(guard, 4)
                    assert [pid for pid, _ in sockets()].count(os.getpid()) == 1
                    assert guard.statistics().oversight.request_count == 1
                    guard.close()
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
            nest(guard, 4)
            assert [pid for pid, _ in sockets()] == [os.getpid()]
        audit = AuditLog(path)
        assert audit.verify().is_sound
        print(len(list(audit.entries())), len({{entry.process for entry in audit.entries()}}))
        audit.close()
        """
    )
    assert told.split() == ["6", "2"]


# From another process.


@contextmanager
def asking(**options):
    """A guard in which one delegation waits for a person, on a thread."""
    outcome = []

    def ask():
        try:
            nest_in_threads(guard, 4)
        except ApprovalDenied as refusal:
            outcome.append(str(refusal))
        else:
            outcome.append("approved")

    with Guard(settings=GuardSettings(), approve="queue", **options) as guard:
        requested = threading.Event()
        guard.events.subscribe(ApprovalRequested, lambda _: requested.set())
        thread = threading.Thread(target=ask)
        thread.start()
        assert requested.wait(10)
        yield guard, outcome, thread
        thread.join(10)
        assert not thread.is_alive()


def test_a_person_lists_and_approves():
    """With the user's name, which nobody can choose."""
    with asking() as (guard, outcome, thread):
        status, shown, _ = cli("approvals", "list")
        (request,) = guard.oversight.pending()
        assert status == 0
        assert request.id in shown
        assert "agent4 -> agent3 -> agent2 -> agent1 -> agent0" in shown
        assert str(os.getpid()) in shown
        status, shown, _ = cli("approvals", "list", "--format", "json")
        assert json.loads(shown)["id"] == request.id
        decided = []
        guard.events.subscribe(memguard.events.Event, decided.append)
        status, shown, _ = cli(
            "approvals", "approve", request.id, "--why", "known", "--remember", "60"
        )
        assert status == 0
        assert "is approved by" in shown
        thread.join(10)
        assert outcome == ["approved"]
        import getpass

        (decision,) = [event.decision for event in decided if hasattr(event, "decision")]
        assert decision == Decision.approve(getpass.getuser(), "known", remember_seconds=60.0)
        status, _, errors = cli("approvals", "deny", request.id)
        assert status == 1
        assert "was decided already: approved by" in errors
        assert cli("approvals", "list")[1] == "Nothing waits for an answer.\n"


def test_a_person_denies():
    """And an unknown request is none."""
    with asking() as (guard, outcome, thread):
        status, _, errors = cli("approvals", "deny", "00000000")
        assert status == 1
        assert "no process of yours asks '00000000'" in errors
        (request,) = guard.oversight.pending()
        assert cli("approvals", "deny", request.id, "--pid", str(os.getpid()))[0] == 0
        thread.join(10)
        assert "denied by" in outcome[0]


def test_without_a_process_that_listens_it_is_said():
    """What to do about it, too."""
    status, _, errors = cli("approvals", "list")
    assert status == 2
    assert "no process of yours listens" in errors
    assert "approve=" in errors
    status, _, errors = cli("approvals", "list", "--pid", "1")
    assert status == 2
    assert "process 1" in errors


def test_the_audit_command_says_what_is_not_sound(tmp_path):
    """With exit code 1; a file that is not there is wrong use."""
    import sqlite3
    from contextlib import closing

    path = tmp_path / "audit.db"
    with Guard(settings=GuardSettings(), approve=lambda request: True, audit=path) as guard:
        nest_in_threads(guard, 4)
    status, shown, _ = cli("audit", str(path), "--format", "json")
    *entries, summary = map(json.loads, shown.splitlines())
    assert status == 0
    assert summary["sound"]
    assert [entry["kind"] for entry in entries] == ["requested", "decided"]
    assert cli("audit", str(path), "--head", summary["head"])[0] == 0
    assert cli("audit", str(path), "--head", "00")[0] == 1
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER entries_stay")
        connection.execute("UPDATE entries SET body = replace(body, 'approve', 'deny')")
        connection.commit()
    status, shown, _ = cli("audit", str(path))
    assert status == 1
    assert "NOT SOUND: entry 2 was changed" in shown
    status, _, errors = cli("audit", str(tmp_path / "other.db"))
    assert status == 2
    assert "there is no such file" in errors


def test_the_audit_command_does_not_count_as_asked_what_failed(tmp_path):
    """And of several decisions of one request only the last, which took effect."""

    def approves(request):
        if len(request.chain) > 5:
            raise RuntimeError("nobody is there")
        return True

    path = tmp_path / "audit.db"
    with Guard(settings=GuardSettings(), approve=approves, audit=path, max_depth=9) as guard:
        with pytest.raises(ApprovalDenied):
            nest_in_threads(guard, 8)
    assert "2 requests, 2 decided, 1 denied; somebody was asked for 50.0%" in cli("audit", path)[1]
    with AuditLog(path) as audit:
        first = next(audit.entries())
        request = memguard.ApprovalRequest(**first.fields)
        audit.decided(request, Decision.deny("memguard", "too late"), How.FAILED)
    assert "2 requests, 2 decided, 2 denied; somebody was asked for 0.0%" in cli("audit", path)[1]


# The socket.


def test_the_socket_is_for_this_user_alone(private_folder):
    """Folder 700, socket 600; another user who gets there all the same is turned away."""
    endpoint = Endpoint({"who": lambda arguments, caller: caller})
    path = endpoint.open()
    try:
        assert stat.S_IMODE(private_folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        import getpass

        assert call(path, "who") == getpass.getuser()
    finally:
        endpoint.close()
    assert not path.exists()
    endpoint.close()


def test_another_user_gets_no_answer(monkeypatch):
    """The system says who calls; the caller cannot."""
    from memguard.endpoint import server

    endpoint = Endpoint({"who": lambda arguments, caller: caller})
    path = endpoint.open()
    monkeypatch.setattr(server, "uid_of", lambda connection: os.getuid() + 1)
    try:
        with pytest.raises(EndpointError, match="not answer"):
            call(path, "who")
    finally:
        endpoint.close()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
def test_a_folder_that_others_may_enter_is_refused(private_folder, mode):
    """And a guard goes on without, and says so."""
    private_folder.chmod(mode)
    with pytest.raises(UnsafeFolderError, match=f"{mode:o}"):
        folder()


def test_a_link_to_a_folder_is_refused(tmp_path, monkeypatch):
    """It could lead to where somebody else listens."""
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(target)
    monkeypatch.setenv("MEMGUARD_RUNTIME_DIR", str(tmp_path / "link"))
    with pytest.raises(UnsafeFolderError, match="link"):
        folder()


def test_a_guard_that_cannot_listen_goes_on_and_says_so(private_folder, caplog):
    """Functions can answer all the same."""
    private_folder.chmod(0o755)
    with Guard(settings=GuardSettings(), approve=lambda request: True) as guard:
        nest_in_threads(guard, 4)
    assert "memguard approvals does not see this process" in caplog.text


def test_what_a_killed_process_left_is_taken_away(private_folder):
    """Nobody listens there."""
    endpoint = Endpoint({"ping": lambda arguments, caller: "pong"})
    path = endpoint.open()
    (private_folder / "99999999-1.sock").touch()
    stale = private_folder / "99999998-1.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    with pytest.raises(Gone):
        call(stale, "ping")
    assert [answer for _, _, answer in call_all("ping")] == ["pong"]
    assert [found for _, found in sockets()] == [path]
    endpoint.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"no line end",
        b"[]\n",
        b"{}\n",
        b"\xff\n",
        b'{"command": "fail"}\n',
        b"x" * (1 << 21) + b"\n",
    ],
)
def test_a_caller_that_talks_nonsense_does_no_harm(said, caplog):
    """The next one is answered."""

    def fail(arguments, caller):
        raise RuntimeError("inside")

    endpoint = Endpoint({"ping": lambda arguments, caller: "pong", "fail": fail})
    path = endpoint.open()
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            try:
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.makefile("rb").read()
            except (BrokenPipeError, ConnectionResetError):
                answer = b""
        assert answer == b"" or "error" in json.loads(answer)
        assert call(path, "ping") == "pong"
    finally:
        endpoint.close()


def test_closing_hangs_up_on_a_caller_who_says_nothing():
    """Its thread ends with the endpoint."""
    endpoint = Endpoint({})
    path = endpoint.open()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        while not [t for t in threading.enumerate() if t.name == "memguard-call"]:
            pass
        endpoint.close()
        assert not [t for t in threading.enumerate() if t.name == "memguard-call"]
        assert connection.recv(1) == b""


def test_a_command_that_runs_at_the_end_is_answered():
    """Also one that ends the endpoint itself."""

    def close(arguments, caller):
        endpoint.close()
        return "closed"

    endpoint = Endpoint({"close": close})
    assert call(endpoint.open(), "close") == "closed"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one more caller waits")
def test_a_process_that_takes_no_more_callers_is_named(private_folder):
    """With what to do about it."""
    path = private_folder / f"{os.getpid()}-1.sock"
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        status = 0
        while status != errno.EAGAIN:
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.setblocking(False)
            status = caller.connect_ex(str(path))
        with pytest.raises(EndpointError, match=f"{path} takes no more callers.*try again"):
            call(path, "ping")
        status, _, errors = cli("approvals", "list")
        assert status == 2
        assert "takes no more callers" in errors


def test_an_unknown_command_says_which_there_are():
    """To whoever calls it."""
    endpoint = Endpoint({"ping": lambda arguments, caller: "pong"})
    path = endpoint.open()
    try:
        with pytest.raises(EndpointError, match="there are ping"):
            call(path, "pong")
    finally:
        endpoint.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_prefork_workers_each_have_a_guard_of_their_own(tmp_path):
    """As under gunicorn: made before the fork, started by the first request, ended by SIGTERM."""
    told = run_fresh(
        f"""
        import asyncio, os, signal, sys, threading
        from memguard import AuditLog, Guard, GuardSettings
        from memguard.endpoint.place import sockets

        guard = Guard(settings=GuardSettings(), approve=lambda request: True, max_depth=9,
                      audit={str(tmp_path / "audit.db")!r})

        async def nest(depth):
            async with guard.delegate("agent"):
                if depth:
                    await nest(depth - 1)

        def work():
            # What gunicorn's worker does at SIGTERM: leave the loop, and exit.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            for _ in range(3):
                asyncio.run(nest(5))
            assert guard.statistics().admission.admitted_count == 18
            assert guard.statistics().oversight.request_count == 6
            try:
                os.write(ready_write, b".")
                while True:
                    signal.pause()
            finally:
                guard.close()
                assert threading.active_count() == 1, threading.enumerate()

        ready_read, ready_write = os.pipe()
        workers = []
        for _ in range(3):
            worker = os.fork()
            if worker == 0:
                status = 1
                try:
                    work()
                except SystemExit as end:
                    status = end.code
                finally:
                    os._exit(status)
            workers.append(worker)
        ready = 0
        while ready < 3:
            ready += len(os.read(ready_read, 3))
        assert sorted({{pid for pid, _ in sockets()}}) == sorted(workers)
        for worker in workers:
            os.kill(worker, signal.SIGTERM)
        statuses = [os.waitpid(worker, 0)[1] for worker in workers]
        assert sockets() == []
        assert guard.statistics().admission.admitted_count == 0
        with AuditLog({str(tmp_path / "audit.db")!r}) as audit:
            found = audit.verify()
            writers = len({{entry.process for entry in audit.entries()}})
        print(statuses, found.is_sound, found.entry_count, writers)
        guard.close()
        """
    )
    assert told.strip() == "[0, 0, 0] True 36 3"
