"""The caller's side: which processes answer, and asking them."""

import json
import math
import os
import socket
from collections.abc import Callable, Mapping
from io import BufferedRWPair
from pathlib import Path
from typing import Any

from memguard.endpoint.place import sockets
from memguard.endpoint.server import is_supported, uid_of
from memguard.errors import EndpointError

PATIENCE_SECONDS = 10.0
"""A process that is well says something within this time, unless it is all stopped."""


class RefusedError(EndpointError):
    """A process answered that it will not, or cannot.

    Attributes:
        kind: Name of the class of the error there; "" where it is none of memguard's.
    """

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Gone(Exception):  # noqa: N818 - no error: the process has ended
    """Nobody listens at a socket any more."""


def call(path: Path, command: str, **arguments: Any) -> Any:
    """Call a command of one process that answers at once.

    Raises:
        Gone: The process has ended.
        EndpointError: It refused, or does not answer.
    """
    return call_slow(path, command, arguments)


def call_slow(
    path: Path,
    command: str,
    arguments: Mapping[str, Any],
    *,
    silence_seconds: float = PATIENCE_SECONDS,
    longest_seconds: float = math.inf,
    on_sign: Callable[[float], object] = bool,
) -> Any:
    """Call a command of one process that may take its time.

    Args:
        path: The socket.
        command: Its name.
        arguments: What it is called with.
        silence_seconds: Who says nothing for so long does not answer [s].
        longest_seconds: Hang up after so long, which ends the command [s].
        on_sign: Called while it runs with the time it has run [s].

    Raises:
        Gone: The process has ended.
        EndpointError: It refused, or does not answer.
    """
    asked = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(silence_seconds)
        try:
            connection.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise Gone from error
        except BlockingIOError as error:
            raise EndpointError(
                f"{path} takes no more callers: too many wait for an answer; try again, and if"
                f" process {path.stem.partition('-')[0]} hangs, end it"
            ) from error
        except OSError as error:
            raise EndpointError(f"{path} cannot be called: {error}") from error
        try:
            if uid_of(connection) != os.getuid():
                raise EndpointError(f"{path} is served by another user")
            with connection.makefile("rwb") as stream:
                stream.write(asked)
                stream.flush()
                answer = _read_answer(stream, path, longest_seconds, on_sign)
        except OSError as error:
            raise EndpointError(
                f"{path.stem} does not answer: {error or 'it said nothing'}"
            ) from error
    if "error" in answer:
        raise RefusedError(str(answer["error"]), str(answer.get("kind", "")))
    return answer["answer"]


def _read_answer(
    stream: BufferedRWPair, path: Path, longest_seconds: float, on_sign: Callable[[float], object]
) -> Mapping[str, Any]:
    while True:
        line = stream.readline()
        if not line:
            raise EndpointError(f"{path.stem} did not answer")
        answer: Mapping[str, Any] = json.loads(line)
        worked_seconds = answer.get("working_seconds")
        if worked_seconds is None:
            return answer
        if worked_seconds >= longest_seconds:
            raise EndpointError(
                f"{path.stem} had not answered after {worked_seconds:g} s, and was told to stop;"
                " give it more time"
            )
        on_sign(worked_seconds)


def is_alive(pid: int) -> bool:
    """Whether a process of this id is there, whosever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def call_all(command: str, pid: int | None = None, **arguments: Any) -> list[tuple[int, Path, Any]]:
    """Call a command of all processes of this user, or of one.

    Sockets that are left over from processes that were killed are taken away.

    Returns:
        Process id, socket and answer of each that knows the command.

    Raises:
        EndpointError: None listens.
    """
    if not is_supported():
        raise EndpointError("there are no Unix sockets on this system")
    answers = []
    problem = ""
    for owner, path in sockets(pid):
        try:
            answers.append((owner, path, call(path, command, **arguments)))
        except Gone:
            # One that lives may be about to listen.
            if not is_alive(owner):
                path.unlink(missing_ok=True)
        except EndpointError as error:
            problem = str(error)
    if answers:
        return answers
    if problem:
        raise EndpointError(problem)
    whose = "no process of yours" if pid is None else f"process {pid} is not yours, or none, or"
    raise EndpointError(f"{whose} listens; one that runs memguard.Guard(approve=...) does")
