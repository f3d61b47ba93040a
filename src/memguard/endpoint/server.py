"""The process's side: commands that its own user may call.

Covers: one line of JSON in, one out, on a Unix socket; while a slow command runs, a
line a second that says so.
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
from concurrent.futures import Future
from dataclasses import dataclass
from io import BufferedRWPair
from pathlib import Path
from typing import Any

from memguard.endpoint.place import socket_path
from memguard.errors import EndpointError, MemguardError

Command = Callable[[Mapping[str, Any], str], Any]
"""Called with the arguments and the name of the user; gives what JSON can say."""


@dataclass(frozen=True, slots=True)
class Slow:
    """A command that may take long; it runs on a thread of its own.

    Its caller gets a line a second meanwhile, and so knows that the process is alive.

    Attributes:
        run: As a `Command`, and with a function that says whether to give up, since the
            caller has hung up or nobody listens any more.
    """

    run: Callable[[Mapping[str, Any], str, Callable[[], bool]], Any]


MOST_BYTES = 1 << 20
"""A question is no longer than this."""

PATIENCE_SECONDS = 5.0
"""Who does not say in this time what is wanted is left."""

_LOG = logging.getLogger("memguard.endpoint")
_LOOK_SECONDS = 0.05
_SIGN_OF_LIFE_SECONDS = 1.0
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
        on_look: Called about twenty times a second while it is open, on its thread.

    Raises:
        EndpointError: There are no such sockets on this system.

    Attributes:
        path: The socket; None while it is not open.

    Thread-safety:
        Any thread. Commands run on threads of their own.
    """

    def __init__(
        self, commands: Mapping[str, Command | Slow], on_look: Callable[[], object] | None = None
    ) -> None:
        if not is_supported():
            raise EndpointError("there are no Unix sockets on this system")
        self._commands = dict(commands)
        self._on_look = on_look
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
            self._server = _Server(str(path), self._commands, self._on_look)
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
            server.let_go()


# Windows has none, and must be able to import this.
_UnixServer: Any = getattr(socketserver, "UnixStreamServer", socketserver.TCPServer)


class _Server(socketserver.ThreadingMixIn, _UnixServer):  # type: ignore[misc]
    daemon_threads = True
    block_on_close = False
    # How many may call at the same moment; the 5 of socketserver turn some away.
    request_queue_size = 128

    def __init__(
        self,
        path: str,
        commands: Mapping[str, Command | Slow],
        on_look: Callable[[], object] | None,
    ) -> None:
        self.commands = commands
        self.is_ending = threading.Event()
        self._on_look = on_look
        self._calls: dict[threading.Thread, socket.socket] = {}
        super().__init__(path, _Handler)

    def service_actions(self) -> None:
        if self._on_look is not None:
            self._on_look()

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
        self.is_ending.set()
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

    def let_go(self) -> None:
        """Close a child's copies: who called the parent must see when that is gone."""
        self.socket.close()
        for connection in list(self._calls.values()):
            # close() would wait for the streams of threads that are not here.
            descriptor = connection.detach()
            if descriptor >= 0:
                os.close(descriptor)
        self._calls.clear()

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
            try:
                stream.write(
                    json.dumps(self._answer(line, name_of(caller), stream)).encode() + b"\n"
                )
            except _HungUp:
                return

    def _answer(self, line: bytes, caller: str, stream: BufferedRWPair) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            command = self.server.commands.get(asked["command"])
            if command is None:
                known = ", ".join(sorted(self.server.commands))
                return {"error": f"no command {asked['command']!r}; there are {known}"}
            arguments = asked.get("arguments", {})
            if isinstance(command, Slow):
                return {"answer": self._wait_for(command, arguments, caller, stream)}
            return {"answer": command(arguments, caller)}
        except _HungUp:
            raise
        except MemguardError as error:
            return {"error": str(error), "kind": type(error).__name__}
        except Exception as error:  # a caller's mistake must not end the service
            _LOG.exception("a command failed")
            return {"error": f"{type(error).__name__}: {error}"}

    def _wait_for(
        self, command: Slow, arguments: Mapping[str, Any], caller: str, stream: BufferedRWPair
    ) -> Any:
        hung_up = threading.Event()
        ending = self.server.is_ending
        running: Future[Any] = Future()

        def run() -> None:
            try:
                running.set_result(
                    command.run(arguments, caller, lambda: hung_up.is_set() or ending.is_set())
                )
            except BaseException as error:  # told to the caller, as for any other command
                running.set_exception(error)

        thread = threading.Thread(target=run, name="memguard-command", daemon=True)
        thread.start()
        begun = time.monotonic()
        while True:
            try:
                return running.result(_SIGN_OF_LIFE_SECONDS)
            except TimeoutError:
                if running.done():
                    raise
            sign = {"working_seconds": round(time.monotonic() - begun, 1)}
            try:
                stream.write(json.dumps(sign).encode() + b"\n")
                stream.flush()
            except OSError:
                # It gives up by itself; its turn is over when it has.
                hung_up.set()
                raise _HungUp from None


class _HungUp(Exception):  # noqa: N818 - no error: the caller does not want it any more
    """Nobody waits for the answer."""


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
