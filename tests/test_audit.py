"""Every request and decision stands in the audit, and a change shows."""

import dataclasses
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from memguard import (
    ApprovalRequest,
    AuditLog,
    Decision,
    HumanOversightManager,
    OversightSettings,
    UnreadableAuditError,
)
from memguard.oversight.audit import read_entries, verify_file
from memguard.oversight.chain import AuditEntry, digest_of, verify
from memguard.oversight.requests import How

REQUEST = ApprovalRequest("abc12345", "deploy", "Deploy?", ("a", "b"), 5, 4, 10.0, 20.0, "key")


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def request_named(name):
    return ApprovalRequest(name, "deploy", "Deploy?", (), None, None, 10.0, 20.0, name)


def fill(audit, count):
    for number in range(count):
        request = request_named(f"request{number}")
        audit.requested(request)
        audit.decided(request, Decision.approve("alice", f"reason {number}"), How.ANSWERED)


def tamper(path, statement, *values):
    """Change the file as somebody with SQLite at hand would."""
    with closing(sqlite3.connect(path)) as connection:
        for trigger in ("entries_stay", "entries_are_kept"):
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        connection.execute(statement, values)
        connection.commit()


def test_what_was_asked_and_decided_is_read_again(tmp_path):
    """All of it, in its order, with who wrote it."""
    audit = AuditLog(tmp_path / "audit.db", wall_clock=lambda: 15.0)
    audit.requested(REQUEST)
    audit.decided(REQUEST, Decision.deny("bob", "too deep", remember_seconds=9), How.ANSWERED)
    asked, decided = audit.entries()
    assert (asked.number, asked.kind, asked.at) == (1, "requested", 15.0)
    assert asked.process.endswith(f":{os.getpid()}")
    assert asked.fields == REQUEST.to_dict()
    assert decided.request_id == "abc12345"
    assert decided.fields == {
        "operation": "deploy",
        "verdict": "deny",
        "by": "bob",
        "why": "too deep",
        "remember_seconds": 9,
        "how": "answered",
    }
    found = audit.verify()
    assert found.is_sound
    assert (found.entry_count, found.first_number, found.head) == (2, 1, decided.digest.hex())
    audit.close()


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_the_file_is_for_this_user_alone(tmp_path):
    """From the moment it is made."""
    old = os.umask(0)
    try:
        audit = AuditLog(tmp_path / "audit.db")
        audit.requested(REQUEST)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    audit.close()
    assert set(modes.values()) == {0o600}
    assert "audit.db" in modes


def test_entries_of_one_request_and_the_newest_ones(tmp_path):
    """Without reading all of them."""
    audit = AuditLog(tmp_path / "audit.db")
    fill(audit, 5)
    assert [entry.kind for entry in audit.entries(request_id="request3")] == [
        "requested",
        "decided",
    ]
    assert [entry.number for entry in audit.entries(last_count=3)] == [8, 9, 10]
    audit.close()


def test_it_goes_on_where_it_ended(tmp_path):
    """Opened again, the chain continues."""
    for _ in range(3):
        audit = AuditLog(tmp_path / "audit.db")
        fill(audit, 1)
        audit.close()
    found = verify_file(tmp_path / "audit.db")
    assert (found.is_sound, found.entry_count) == (True, 6)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = '{}' WHERE number = 3",
        "DELETE FROM entries WHERE number = 3",
        (
            "INSERT OR REPLACE INTO entries SELECT 3, at, process, kind, request_id, '{}',"
            " previous, digest FROM entries WHERE number = 3"
        ),
    ],
)
def test_it_is_append_only_for_who_opens_it_by_hand(tmp_path, statement):
    """SQLite itself refuses, as long as nobody takes its triggers away."""
    audit = AuditLog(tmp_path / "audit.db")
    fill(audit, 3)
    audit.close()
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("PRAGMA recursive_triggers = ON")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    assert verify_file(tmp_path / "audit.db").is_sound


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE entries SET body = replace(body, 'alice', 'malet') WHERE number = 4",
            "entry 4 was changed",
        ),
        ("UPDATE entries SET at = at + 1 WHERE number = 3", "entry 3 was changed"),
        ("UPDATE entries SET process = 'elsewhere:1' WHERE number = 3", "entry 3 was changed"),
        ("UPDATE entries SET kind = 'decided' WHERE number = 3", "entry 3 was changed"),
        ("UPDATE entries SET kind = 'else' WHERE number = 3", "unknown kind"),
        ("UPDATE entries SET request_id = 'request9' WHERE number = 3", "entry 3 was changed"),
        ("UPDATE entries SET digest = zeroblob(32) WHERE number = 6", "entry 6 was changed"),
        ("UPDATE entries SET previous = zeroblob(32) WHERE number = 3", "does not follow"),
        ("UPDATE entries SET body = CAST(body AS BLOB) WHERE number = 3", "another type"),
        ("DELETE FROM entries WHERE number = 3", "entries 3 to 3 are missing"),
        ("DELETE FROM entries WHERE number <= 2", "entries before 3 are missing"),
    ],
)
def test_a_change_shows_and_says_where(tmp_path, statement, problem):
    """Whatever field it is."""
    path = tmp_path / "audit.db"
    audit = AuditLog(path)
    fill(audit, 3)
    audit.close()
    tamper(path, statement)
    found = verify_file(path)
    assert not found.is_sound
    assert problem in found.problem


def test_what_was_taken_off_the_end_shows_by_an_earlier_digest(tmp_path):
    """Which is kept elsewhere: the file alone cannot know."""
    path = tmp_path / "audit.db"
    audit = AuditLog(path)
    fill(audit, 3)
    head = audit.verify().head
    fill(audit, 1)
    assert audit.verify(head=head).is_sound
    audit.close()
    tamper(path, "DELETE FROM entries WHERE number >= 5")
    assert verify_file(path).is_sound
    assert head in verify_file(path, head=head).problem


def test_a_flipped_byte_is_found(tmp_path):
    """Any byte of any entry, in the file itself."""
    path = tmp_path / "audit.db"
    audit = AuditLog(path)
    fill(audit, 20)
    audit.close()
    whole = path.read_bytes()
    entries = list(read_entries(path))
    found_count = 0
    chance = random.Random(5)
    for _ in range(200):
        entry = chance.choice(entries)
        field = chance.choice([entry.digest, entry.body.encode(), entry.request_id.encode()])
        places = [at for at in range(len(whole)) if whole.startswith(field, at)]
        at = chance.choice(places) + chance.randrange(len(field))
        changed = bytearray(whole)
        changed[at] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        found_count += not verify_file(path).is_sound
    assert found_count == 200


def test_bytes_flipped_anywhere_change_nothing_or_are_found(tmp_path):
    """Headers, free space, triggers: what is read is what was written, or it is said."""
    path = tmp_path / "audit.db"
    audit = AuditLog(path)
    fill(audit, 20)
    audit.close()
    whole = path.read_bytes()
    entries = list(read_entries(path))
    chance = random.Random(6)
    for _ in range(300):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        for name in ("audit.db-wal", "audit.db-shm", "audit.db-journal"):
            (tmp_path / name).unlink(missing_ok=True)
        try:
            audit = AuditLog(path)
            if not audit.verify().is_sound:
                continue
            assert list(audit.entries()) == entries
        except UnreadableAuditError:
            continue
        finally:
            audit.close()


# Retention.


def test_old_entries_go_and_the_chain_still_verifies(tmp_path):
    """That they went stands in it."""
    clock = Clock()
    settings = OversightSettings(audit_keep_seconds=100.0)
    audit = AuditLog(tmp_path / "audit.db", settings=settings, wall_clock=clock)
    fill(audit, 5)
    clock.now += 90
    fill(audit, 5)
    assert audit.prune() == 0
    clock.now += 20
    assert audit.prune() == 10
    kept = list(audit.entries())
    assert kept[0].number == 11
    assert kept[-1].kind == "pruned"
    assert kept[-1].fields["through_number"] == 10
    found = audit.verify()
    assert (found.is_sound, found.entry_count, found.first_number) == (True, 11, 11)
    clock.now += 200
    assert audit.prune() == 11
    fill(audit, 1)
    assert audit.verify().is_sound
    audit.close()
    tamper(tmp_path / "audit.db", "DELETE FROM entries WHERE number <= 22")
    assert "no pruning says so" in verify_file(tmp_path / "audit.db").problem


def test_the_file_stays_within_its_size(tmp_path):
    """The oldest go, and their space comes back."""
    settings = OversightSettings(audit_keep_bytes=2**16)
    audit = AuditLog(tmp_path / "audit.db", settings=settings)
    fill(audit, 300)
    assert audit.prune() > 0
    assert audit.verify().is_sound
    newest = [entry.request_id for entry in audit.entries() if entry.kind == "decided"][-1]
    assert newest == "request299"
    audit.close()
    assert (tmp_path / "audit.db").stat().st_size <= 2**16


def test_it_is_pruned_while_it_grows(tmp_path):
    """Without anybody calling it."""
    settings = OversightSettings(audit_keep_bytes=2**16)
    audit = AuditLog(tmp_path / "audit.db", settings=settings)
    fill(audit, 700)
    assert next(audit.entries()).number > 1
    assert audit.verify().is_sound
    audit.close()


# Files that are none.


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look like one" * 30, b"SQLite format 3\0"]
)
def test_a_file_that_is_something_else_is_refused_and_left_alone(tmp_path, content):
    """The error names it."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(UnreadableAuditError, match=r"notes\.txt"):
        AuditLog(path).requested(REQUEST)
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    """And a file that is not there cannot be read."""
    with pytest.raises(UnreadableAuditError, match="No such file"):
        AuditLog(tmp_path / "missing" / "audit.db")
    audit = AuditLog(tmp_path / "audit.db")
    audit.close()
    (tmp_path / "audit.db").unlink()
    with pytest.raises(UnreadableAuditError, match="no such file"):
        list(audit.entries())


def test_another_format_is_refused(tmp_path):
    """Of a later version."""
    AuditLog(tmp_path / "audit.db").close()
    tamper(tmp_path / "audit.db", "PRAGMA user_version = 9")
    with pytest.raises(UnreadableAuditError, match="format is 9"):
        AuditLog(tmp_path / "audit.db")


# Threads, processes, kills.


def test_threads_write_one_chain(tmp_path):
    """None is lost, and none is torn."""
    audit = AuditLog(tmp_path / "audit.db")
    threads = [threading.Thread(target=fill, args=(audit, 20)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = audit.verify()
    assert (found.is_sound, found.entry_count) == (True, 320)
    audit.close()


WRITER = textwrap.dedent(
    """
    import sys
    from memguard import ApprovalRequest, AuditLog, Decision
    from memguard.oversight.requests import How

    path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    audit = AuditLog(path)
    for number in range(count):
        request = ApprovalRequest(
            f"{name}-{number}", "deploy", "?", (), None, None, 1.0, 2.0, f"{name}-{number}"
        )
        audit.requested(request)
        print("requested", request.id, flush=True)
        audit.decided(request, Decision.approve(name), How.ANSWERED)
        print("decided", request.id, flush=True)
    """
)


def start_writer(path, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, path, name, str(count)], stdout=subprocess.PIPE, text=True
    )


def said_until_killed(writer, line_count):
    """Let a writer say so many lines, kill it; gives all whole lines that it said."""
    said = [writer.stdout.readline() for _ in range(line_count)]
    writer.send_signal(signal.SIGKILL)
    said += writer.stdout
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    return [tuple(line.split()) for line in said if line.endswith("\n")]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_kills_at_any_moment_lose_nothing_and_invent_nothing(tmp_path):
    """Two processes write; each is killed again and again: 1,000 decisions and more."""
    path = tmp_path / "audit.db"
    chance = random.Random(8)
    said, started = [], 0
    with ThreadPoolExecutor(2) as pool:
        while sum(kind == "decided" for kind, _ in said) < 1000:
            writers = [start_writer(path, f"writer{started + n}", 100_000) for n in range(2)]
            started += 2
            line_counts = [chance.randrange(1, 300) for _ in writers]
            for lines in pool.map(said_until_killed, writers, line_counts):
                said += lines
    audit = AuditLog(path)
    found = audit.verify()
    assert found.is_sound, found.problem
    written = [(entry.kind, entry.request_id) for entry in audit.entries()]
    assert len(set(written)) == len(written)
    assert set(said) <= set(written)
    # A writer may be killed after it wrote and before it said so: one line each, at most.
    assert len(written) - len(said) <= started
    asked = set()
    for kind, request_id in written:
        if kind == "requested":
            asked.add(request_id)
        else:
            assert request_id in asked
    audit.close()


def test_processes_may_begin_a_file_at_once(tmp_path):
    """Whoever comes first makes it."""
    writers = [start_writer(tmp_path / "audit.db", f"w{number}", 3) for number in range(6)]
    for writer in writers:
        assert len(writer.communicate()[0].splitlines()) == 6
        assert writer.returncode == 0
    found = verify_file(tmp_path / "audit.db")
    assert (found.is_sound, found.entry_count) == (True, 36)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_writes_too(tmp_path):
    """With a connection of its own, and the parent goes on."""
    audit = AuditLog(tmp_path / "audit.db")
    fill(audit, 1)
    child = os.fork()
    if child == 0:
        try:
            fill(audit, 2)
            audit.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    fill(audit, 1)
    found = audit.verify()
    assert (found.is_sound, found.entry_count) == (True, 8)
    assert len({entry.process for entry in audit.entries()}) == 2
    audit.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_what_a_child_writes_stays_when_the_parent_closes(tmp_path):
    """No connection is shared across a fork, nor what SQLite knows of its locks."""
    audit = AuditLog(tmp_path / "audit.db")
    fill(audit, 1)
    closed_read, closed_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fill(audit, 1)
            os.read(closed_read, 1)
            fill(audit, 1)
        finally:
            os._exit(0)
    while len(list(read_entries(tmp_path / "audit.db"))) < 4:
        pass
    audit.close()
    os.write(closed_write, b".")
    os.waitpid(child, 0)
    os.close(closed_read)
    os.close(closed_write)
    found = verify_file(tmp_path / "audit.db")
    assert (found.is_sound, found.entry_count) == (True, 6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_who_reads_while_a_child_is_made_goes_on_in_both(tmp_path):
    """And neither has a connection of the other's."""
    path = tmp_path / "audit.db"
    audit = AuditLog(path)
    fill(audit, 150)
    entries = read_entries(path)
    numbers = [next(entries).number]
    open_files = Path("/proc/self/fd")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for descriptor in open_files.glob("*"):
                assert not os.path.realpath(descriptor).startswith(str(path))
            assert [entry.number for entry in entries] == list(range(2, 301))
            fill(audit, 1)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    numbers += [entry.number for entry in entries]
    assert numbers == list(range(1, 303))
    assert audit.verify().is_sound
    audit.close()


def test_a_database_of_another_program_is_left_alone(tmp_path):
    """It is no audit, and becomes none."""
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(UnreadableAuditError, match="another program"):
        AuditLog(path)
    assert path.read_bytes() == before


def test_an_interrupt_in_the_wait_for_others_leaves_no_transaction(tmp_path, monkeypatch):
    """The next entry is written as if nothing had been."""
    audit = AuditLog(tmp_path / "audit.db")

    class Interrupting:
        def __init__(self, connection):
            self.connection = connection

        def execute(self, statement, *values):
            done = self.connection.execute(statement, *values)
            if statement == "BEGIN IMMEDIATE":
                raise KeyboardInterrupt
            return done

        def __getattr__(self, name):
            return getattr(self.connection, name)

    connection = audit._connection
    audit._connection = Interrupting(connection)
    with pytest.raises(KeyboardInterrupt):
        audit.requested(REQUEST)
    audit._connection = connection
    fill(audit, 1)
    assert audit.verify().entry_count == 2
    audit.close()


# With the manager.


def test_a_manager_writes_into_it(tmp_path):
    """What was asked, and what came of it."""
    audit = AuditLog(tmp_path / "audit.db")
    with HumanOversightManager(lambda request: True, audit=audit) as manager:
        assert manager.requires_oversight("deep_delegation", {"depth": 5, "chain": ("a", "b")})
        assert manager.requires_oversight("deep_delegation", {"depth": 1})
    kinds = [(entry.kind, entry.fields["operation"]) for entry in audit.entries()]
    assert kinds == [("requested", "deep_delegation"), ("decided", "deep_delegation")]
    audit.close()


def test_while_another_program_locks_the_file_requests_are_denied_in_time(tmp_path):
    """And not once the lock is gone."""
    path = tmp_path / "audit.db"
    audit = AuditLog(path)
    manager = HumanOversightManager(lambda request: True, audit=audit)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        decision = manager.ask("deploy", "?", timeout_seconds=0.05)
        other.execute("ROLLBACK")
    assert decision.why == "the audit did not write it down in time"
    manager.close()
    assert [entry.fields.get("verdict") for entry in audit.entries()] == [None, "deny"]
    assert audit.verify().is_sound
    audit.close()


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed there")
@pytest.mark.parametrize("what", ["removed", "replaced"])
def test_a_file_that_is_taken_away_while_it_is_open_is_not_written(tmp_path, what):
    """What would be written is lost, and so it is denied; until the file is back."""
    path = tmp_path / "audit.db"
    audit = AuditLog(path)
    with HumanOversightManager(lambda request: True, audit=audit) as manager:
        assert manager.ask("deploy", "?").is_approved
        aside = [(found, found.with_name(f"{found.name}.aside")) for found in tmp_path.iterdir()]
        for found, put in aside:
            found.rename(put)
        if what == "replaced":
            path.touch()
        decision = manager.ask("deploy", "?")
        assert not decision.is_approved
        assert "removed or replaced while it was open" in decision.why
        assert (path.exists(), path.exists() and path.read_bytes()) == (
            (True, b"") if what == "replaced" else (False, False)
        )
        for found, put in aside:
            put.rename(found)
        assert manager.ask("deploy", "?").is_approved
    assert audit.verify().is_sound
    assert [entry.number for entry in audit.entries()] == [1, 2, 3, 4]
    audit.close()


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed there")
def test_a_closed_audit_may_begin_a_new_file(tmp_path):
    """Nothing is missing from one that nobody had open."""
    path = tmp_path / "audit.db"
    audit = AuditLog(path)
    fill(audit, 1)
    audit.close()
    path.unlink()
    fill(audit, 1)
    assert [entry.number for entry in audit.entries()] == [1, 2]
    audit.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_does_not_hide_that_the_file_was_taken_away(tmp_path):
    """Though it is opened again after it, in the parent as in the child."""
    audit = AuditLog(tmp_path / "audit.db")
    fill(audit, 1)
    (tmp_path / "audit.db").rename(tmp_path / "aside.db")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with pytest.raises(UnreadableAuditError, match="removed or replaced"):
                fill(audit, 1)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(UnreadableAuditError, match="removed or replaced"):
        fill(audit, 1)
    assert not (tmp_path / "audit.db").exists()
    audit.close()


@pytest.mark.parametrize(
    "body",
    ["{}", "[]", "no JSON", '{"through_number": 1}', '{"through_number": [1], "digest": ""}'],
)
def test_a_pruning_that_does_not_say_what_is_found(body):
    """Its digest may fit, when who changed it knows how."""
    entry = AuditEntry(1, 1.0, "p", "pruned", "", body, bytes(32), b"")
    digest = digest_of(1, 1.0, "p", "pruned", "", body, bytes(32))
    found = verify([dataclasses.replace(entry, digest=digest)])
    assert found.problem == "entry 1 does not say what was pruned"
    assert entry.to_dict()["number"] == 1


def test_an_empty_chain_is_sound():
    """There is nothing wrong with nothing, unless something is to be in it."""
    assert verify([]).is_sound
    assert "no entry" in verify([], "00").problem
    entry = AuditEntry(1, 1.0, "p", "requested", "r", "{}", bytes(32), bytes(32))
    assert verify([entry]).problem == "entry 1 was changed"
