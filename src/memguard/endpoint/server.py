"""The process's side: commands that its own user may call.

Covers: one line of JSON in, one out, on a Unix socket.
Does not cover: what the commands do.
"""

import contextlib
import itertools
import json
import logging
import os
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from memguard.endpoint.place import socket_path
from memguard.errors import EndpointError, MemguardError

Command = Callable[[Mapping[str, Any], str], Any]
"""Called with the arguments and the name of the user; gives what JSON can say."""

MOST_BYTES = 1 << 20
"""A question is no longer than this."""

PATIENCE_SECONDS = 5.0
"""Who does not say in this time what is wanted is left."""

_LOG = logging.getLogger("memguard.endpoint")
_LOOK_SECONDS = 0.05
_LEAVE_SECONDS = 1.0
"""How long `Endpoint.close` waits for commands that run."""

_numbers = itertools.count(1)


def is_supported() -> bool:
    """Whether there are sockets here that know who calls."""
    return hasattr(socket, "AF_UNIX") and hasattr(os, "getuid")


class Endpoint:
    """Answer commands from other processes of the same user.

    Args:
        commands: What may be called, by name.

    Raises:
        EndpointError: There are no such sockets on this system.

    Attributes:
        path: The socket; None while it is not open.

    Thread-safety:
        Any thread. Commands run on threads of their own.
    """

    def __init__(self, commands: Mapping[str, Command]) -> None:
        if not is_supported():
            raise EndpointError("there are no Unix sockets on this system")
        self._commands = dict(commands)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.path: Path | None = None

    def open(self) -> Path:
        """Begin to listen.

        Raises:
            UnsafeFolderError: The folder of sockets is not private.
            EndpointError: The socket cannot be made.
        """
        path = socket_path(next(_numbers))
        try:
            path.unlink(missing_ok=True)
            self._server = _Server(str(path), self._commands)
            path.chmod(0o600)
        except OSError as error:
            raise EndpointError(f"{path} cannot be made: {error}") from error
        self.path = path
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(_LOOK_SECONDS,),
            name="memguard-endpoint",
            daemon=True,
        )
        self._thread.start()
        return path

    def close(self) -> None:
        """Listen no more, and take the socket away; again does nothing.

        Callers who have not said what they want are left; who waits for a command that
        runs gets its answer.
        """
        server, self._server = self._server, None
        thread, self._thread = self._thread, None
        path, self.path = self.path, None
        if server is not None and thread is not None:
            server.shutdown()
            thread.join()
            server.server_close()
            server.hang_up()
        if path is not None:
            # Its folder may be gone, or be somebody else's by now.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Let go in a child process, in which nobody listens: the socket is the parent's."""
        server, self._server = self._server, None
        self._thread = None
        self.path = None
        if server is not None:
            server.socket.close()


# Windows has none, and must be able to import this.
_UnixServer: Any = getattr(socketserver, "UnixStreamServer", socketserver.TCPServer)


class _Server(socketserver.ThreadingMixIn, _UnixServer):  # type: ignore[misc]
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, commands: Mapping[str, Command]) -> None:
        self.commands = commands
        self._calls: dict[threading.Thread, socket.socket] = {}
        super().__init__(path, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name="memguard-call", daemon=True
        )
        # Before it begins, so that none is missed at the end.
        self._calls[thread] = request
        try:
            thread.start()
        except RuntimeError:  # no thread is to be had; the caller is left
            del self._calls[thread]
            raise

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            del self._calls[threading.current_thread()]

    def hang_up(self) -> None:
        """Hear no more of those who called, and wait for their threads, a little."""
        calls = dict(self._calls)
        # A command may close what it belongs to.
        calls.pop(threading.current_thread(), None)
        for connection in calls.values():
            # Only what they say: an answer is still written.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        until = time.monotonic() + _LEAVE_SECONDS
        for thread in calls:
            thread.join(max(0.0, until - time.monotonic()))

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        # The default prints to the standard error of somebody else's program.
        _LOG.warning("a call ended early: %s", sys.exception())


class _Handler(socketserver.BaseRequestHandler):
    request: socket.socket
    server: _Server

    def handle(self) -> None:
        caller = uid_of(self.request)
        if caller != os.getuid():
            _LOG.warning("user %s was turned away", caller)
            return
        self.request.settimeout(PATIENCE_SECONDS)
        with self.request.makefile("rwb") as stream:
            line = stream.readline(MOST_BYTES)
            if not line.endswith(b"\n"):
                return
            stream.write(json.dumps(self._answer(line, name_of(caller))).encode() + b"\n")

    def _answer(self, line: bytes, caller: str) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            command = self.server.commands.get(asked["command"])
            if command is None:
                known = ", ".join(sorted(self.server.commands))
                return {"error": f"no command {asked['command']!r}; there are {known}"}
            return {"answer": command(asked.get("arguments", {}), caller)}
        except MemguardError as error:
            return {"error": str(error), "kind": type(error).__name__}
        except Exception as error:  # a caller's mistake must not end the service
            _LOG.exception("a command failed")
            return {"error": f"{type(error).__name__}: {error}"}


def uid_of(connection: socket.socket) -> int:
    """Say which user is at the other end, as the system knows it.

    Source:
        unix(7), SO_PEERCRED; getpeereid(3) of macOS by LOCAL_PEERCRED.
    """
    if hasattr(socket, "SO_PEERCRED"):
        size = struct.calcsize("3i")
        _, uid, _ = struct.unpack(
            "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        )
        return int(uid)
    # struct xucred: version, user, ...; SOL_LOCAL is 0, LOCAL_PEERCRED 1.
    _, uid = struct.unpack_from("2I", connection.getsockopt(0, 1, 76))
    return int(uid)


def name_of(uid: int) -> str:
    """Give the name of a user; the number where it has none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
