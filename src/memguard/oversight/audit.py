"""The audit: every request and every decision, in a file that tells when it was changed.

Covers: SQLite, several processes, a kill at any moment, retention.
Does not cover: what is hashed (``chain``), what is asked (``approvals``).

See also: ``docs/oversight.md``.
"""

import dataclasses
import json
import os
import socket
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from memguard.errors import UnreadableAuditError
from memguard.oversight.chain import KINDS, START, AuditEntry, Kind, Verification, digest_of, verify
from memguard.oversight.requests import ApprovalRequest, Decision, How
from memguard.settings import OversightSettings

_BUSY_SECONDS = 30.0
"""How long a process waits while others write."""

_LEAVE_SECONDS = 1.0
"""How long `AuditLog.close` waits for who writes; then that one closes the file."""

_LOOK_EVERY = 500
"""After so many entries it is looked whether old ones are to go."""

_FORMAT = 1
_PAGE_BYTES = 4096

_SCHEMA = f"""
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA page_size = {_PAGE_BYTES};
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    process TEXT NOT NULL,
    kind TEXT NOT NULL,
    request_id TEXT NOT NULL,
    body TEXT NOT NULL,
    previous BLOB NOT NULL,
    digest BLOB NOT NULL
);
CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER IF NOT EXISTS entries_are_kept BEFORE DELETE ON entries
WHEN OLD.number > coalesce(
    (SELECT json_extract(body, '$.through_number') FROM entries
     WHERE kind = 'pruned' ORDER BY number DESC LIMIT 1), 0)
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
PRAGMA user_version = {_FORMAT};
COMMIT;
"""

_COLUMNS = "number, at, process, kind, request_id, body, previous, digest"


class AuditLog:
    """Write down what was asked and decided, and read it again.

    What was written is on the disk when the call returns, and the chain of digests
    shows whether any of it was changed or taken out later. Several processes may share
    a file. In a child of `os.fork` it opens the file anew. While the file is open it
    must stay where it is: if it is removed or replaced, writing raises.

    Args:
        path: The file; it is made where there is none, for this user alone.
        settings: How long entries are kept.
        wall_clock: Unix time [s].

    Raises:
        UnreadableAuditError: The file cannot be opened, or is something else.

    Cost:
        One transaction that waits for the disk an entry: milliseconds.

    Thread-safety:
        Any thread, any number of processes on one machine; not over a network.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        settings: OversightSettings | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path).absolute()
        self._settings = settings or OversightSettings()
        self._wall_clock = wall_clock
        self._lock = threading.RLock()
        self._process = ""
        self._connection: sqlite3.Connection | None = None
        self._until_look_count = 0
        self._is_let_go = False
        # Kept across forks, unlike the connection; None before the file is opened.
        self._identity: tuple[int, int] | None = None
        with self._lock:
            self._connected()
        _logs.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self.path)!r}>"

    # Writing.

    def requested(self, request: ApprovalRequest) -> None:
        """Write a request down.

        Raises:
            UnreadableAuditError: It could not be written; nothing was.
        """
        self._append("requested", request.id, request.to_dict())

    def decided(self, request: ApprovalRequest, decision: Decision, how: How) -> None:
        """Write a decision down; raises like `requested`."""
        body = {
            "operation": request.operation,
            "verdict": decision.verdict,
            "by": decision.by,
            "why": decision.why,
            "remember_seconds": decision.remember_seconds,
            "how": str(how),
        }
        self._append("decided", request.id, body)

    def _append(self, kind: Kind, request_id: str, body: dict[str, Any]) -> None:
        try:
            with self._lock, _Errors(self.path), self._transaction() as connection:
                self._insert(connection, kind, request_id, body)
                self._until_look_count -= 1
                if self._until_look_count <= 0:
                    self._until_look_count = _LOOK_EVERY
                    self._prune(connection)
        finally:
            if self._is_let_go:
                self.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connected()
        # Immediate: what is read in it must be the last entry of all processes.
        try:
            # Within, for an interrupt may come right after it has begun.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        # Again, for to wait for others takes its time.
        self._check_is_there()

    def _insert(
        self, connection: sqlite3.Connection, kind: Kind, request_id: str, body: dict[str, Any]
    ) -> None:
        last = connection.execute(
            "SELECT number, digest FROM entries ORDER BY number DESC LIMIT 1"
        ).fetchone()
        number, previous = (1, START) if last is None else (last[0] + 1, last[1])
        at = float(self._wall_clock())
        text = json.dumps(body, sort_keys=True, ensure_ascii=True)
        digest = digest_of(number, at, self._process, kind, request_id, text, previous)
        connection.execute(
            f"INSERT INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, at, self._process, kind, request_id, text, previous, digest),
        )

    # Retention.

    def prune(self) -> int:
        """Delete what is older, or more, than is to be kept.

        That it was done, and up to where, becomes an entry itself.

        Returns:
            How many entries were deleted [count].
        """
        with self._lock, _Errors(self.path):
            with self._transaction() as connection:
                count = self._prune(connection)
            # As a script, for 3.11 takes a single step of a statement without columns.
            connection.executescript("PRAGMA incremental_vacuum")
            return count

    def _prune(self, connection: sqlite3.Connection) -> int:
        through = max(self._last_old(connection), self._last_beyond_size(connection))
        row = connection.execute(
            "SELECT digest FROM entries WHERE number = ?", (through,)
        ).fetchone()
        if row is None:
            return 0
        body = {"through_number": through, "digest": row[0].hex()}
        self._insert(connection, "pruned", "", body)
        return connection.execute("DELETE FROM entries WHERE number <= ?", (through,)).rowcount

    def _last_old(self, connection: sqlite3.Connection) -> int:
        keep_seconds = self._settings.audit_keep_seconds
        if keep_seconds is None:
            return 0
        # By number and not by time: clocks are set back, and the chain is cut at one place.
        row = connection.execute(
            "SELECT coalesce(min(number) - 1, (SELECT max(number) FROM entries)) FROM entries"
            " WHERE at >= ?",
            (self._wall_clock() - keep_seconds,),
        ).fetchone()
        return row[0] or 0

    def _last_beyond_size(self, connection: sqlite3.Connection) -> int:
        keep_bytes = self._settings.audit_keep_bytes
        if keep_bytes is None:
            return 0
        (page_count,) = connection.execute("PRAGMA page_count").fetchone()
        (free_count,) = connection.execute("PRAGMA freelist_count").fetchone()
        used_bytes = (page_count - free_count) * _PAGE_BYTES
        if used_bytes <= keep_bytes:
            return 0
        first, last = connection.execute("SELECT min(number), max(number) FROM entries").fetchone()
        # A quarter below, so that it is not done again at the next look.
        keep_count = int((last - first + 1) * keep_bytes * 0.75 / used_bytes)
        return int(last - keep_count)

    # Reading.

    def entries(
        self, *, request_id: str | None = None, last_count: int | None = None
    ) -> Iterator[AuditEntry]:
        """Give entries, the oldest first; see `read_entries`."""
        return read_entries(self.path, request_id=request_id, last_count=last_count)

    def verify(self, *, head: str | None = None) -> Verification:
        """Look at the whole chain, and at the file; see `verify_file`."""
        return verify_file(self.path, head=head)

    def close(self) -> None:
        """Let go of the file; to write opens it again.

        Where another thread waits to write, for longer than a second, that one lets go.
        """
        self._is_let_go = True
        if not self._lock.acquire(timeout=_LEAVE_SECONDS):
            return
        try:
            self._is_let_go = False
            self._disconnect()
            self._identity = None
        finally:
            self._lock.release()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The file.

    def _connected(self) -> sqlite3.Connection:
        self._check_is_there()
        if self._connection is not None:
            return self._connection
        with _Errors(self.path):
            self._connection = _connect(self.path, read_only=False)
            if self._identity is None:
                self._identity = _identity_of(self.path)
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        return self._connection

    def _check_is_there(self) -> None:
        # What is written to a file that was removed is gone with it, without an error.
        if self._identity is not None and _identity_of(self.path) != self._identity:
            raise UnreadableAuditError(
                self.path,
                "it was removed or replaced while it was open, and nothing is written to"
                " another one; put it back, or close this audit and begin a new one",
            )


def read_entries(
    path: str | os.PathLike[str],
    *,
    request_id: str | None = None,
    last_count: int | None = None,
) -> Iterator[AuditEntry]:
    """Read entries of a file, the oldest first; nothing is changed.

    Args:
        path: The file.
        request_id: Only those of one request.
        last_count: Only the newest ones [count].

    Raises:
        UnreadableAuditError: It is none, or damaged.
    """
    path = Path(path)
    with _Errors(path), closing(_Reader(path, request_id, last_count)) as reader:
        yield from reader.entries()


def verify_file(path: str | os.PathLike[str], *, head: str | None = None) -> Verification:
    """Look at the whole chain of a file, and at the file itself.

    Args:
        path: The file.
        head: A digest that an earlier look gave, which must occur: it shows that
            nothing was taken off the end since.

    Raises:
        UnreadableAuditError: There is no such file.

    Cost:
        About 10 microseconds an entry.
    """
    path = Path(path)
    if not path.exists():
        raise UnreadableAuditError(path, "there is no such file")
    try:
        with _Errors(path), closing(_Reader(path)) as reader:
            found = verify(reader.entries(), head)
            if not found.is_sound:
                return found
            state = reader.state()
    except UnreadableAuditError as error:
        return Verification(0, 0, "", error.reason)
    if state != "ok":
        return dataclasses.replace(found, problem=f"the file is damaged: {state}")
    return found


_READ_COUNT = 100
"""So many entries are read at once; between them a child may be made."""


class _Reader:
    """Read entries of a file, the oldest first.

    By a connection of its own: who reads slowly holds up nobody who writes. It is closed
    while a child is made, and reading goes on behind the last entry that was read.
    """

    def __init__(
        self, path: Path, request_id: str | None = None, last_count: int | None = None
    ) -> None:
        self._path = path
        query = f"SELECT {_COLUMNS} FROM entries"
        self._values: list[object] = []
        if request_id is not None:
            query += " WHERE request_id = ?"
            self._values.append(request_id)
        if last_count is not None:
            query += " ORDER BY number DESC LIMIT ?"
            self._values.append(last_count)
        self._query = f"SELECT * FROM ({query}) WHERE number > ? ORDER BY number"
        self._last_number = -(2**63)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._rows: sqlite3.Cursor | None = None
        _readers.add(self)

    def entries(self) -> Iterator[AuditEntry]:
        """Give them."""
        while rows := self._next_rows():
            for row in rows:
                yield _entry_of(row)

    def _next_rows(self) -> list[tuple[Any, ...]]:
        with self._lock:
            if self._rows is None:
                self._rows = self._connected().execute(
                    self._query, (*self._values, self._last_number)
                )
            rows = self._rows.fetchmany(_READ_COUNT)
            if rows:
                self._last_number = rows[-1][0]
            return rows

    def state(self) -> str:
        """Say whether SQLite finds the file sound: "ok", or what is wrong."""
        with self._lock:
            (state,) = self._connected().execute("PRAGMA integrity_check(1)").fetchone()
            return str(state)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self._path, read_only=True)
        return self._connection

    def close(self) -> None:
        """Read no more."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        self._rows = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


_logs: "weakref.WeakSet[AuditLog]" = weakref.WeakSet()
_readers: "weakref.WeakSet[_Reader]" = weakref.WeakSet()
_forking: "list[AuditLog | _Reader]" = []


def _close_before_fork() -> None:
    # SQLite shares what it knows of locks between connections of a process, and a
    # child would inherit it: so none is open while a child is made.
    users: list[AuditLog | _Reader] = [*_logs, *_readers]
    for user in users:
        user._lock.acquire()
        _forking.append(user)
        user._disconnect()


def _go_on_in_parent() -> None:
    while _forking:
        _forking.pop()._lock.release()


def _begin_in_child() -> None:
    for user in _forking:
        user._lock = threading.RLock()
    _forking.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_close_before_fork,
        after_in_parent=_go_on_in_parent,
        after_in_child=_begin_in_child,
    )


class _Errors:
    """Turns what SQLite and the system raise into one error that names the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        # ValueError and UnicodeDecodeError: text that is none, in a damaged file.
        if isinstance(error, sqlite3.Error | OSError | ValueError):
            raise UnreadableAuditError(self._path, str(error)) from error


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Say which file lies at a path; None for none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if read_only:
        if not path.exists():
            raise UnreadableAuditError(path, "there is no such file")
    elif not path.exists():
        # For nobody else from the first moment on.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        version = _format_of(connection, path)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            if version == 0:
                connection.executescript(_SCHEMA)
            # A decision outlives the machine, not only the process.
            connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _format_of(connection: sqlite3.Connection, path: Path) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, _FORMAT):
        raise UnreadableAuditError(path, f"its format is {version}, and {_FORMAT} is known")
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise UnreadableAuditError(path, "it is a database of another program")
    return int(version)


_TYPES = (int, float, str, str, str, str, bytes, bytes)


def _entry_of(row: tuple[Any, ...]) -> AuditEntry:
    # SQLite gives what is there: a changed byte may make a text a blob.
    if any(type(value) is not kind for value, kind in zip(row, _TYPES, strict=True)):
        raise ValueError(f"entry {row[0]} has a value of another type")
    if row[3] not in KINDS:
        raise ValueError(f"entry {row[0]} is of an unknown kind, {row[3]!r}")
    return AuditEntry(*row)
