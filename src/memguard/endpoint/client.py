"""The caller's side: which processes answer, and asking them."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memguard.endpoint.place import sockets
from memguard.endpoint.server import is_supported, uid_of
from memguard.errors import EndpointError

_PATIENCE_SECONDS = 10.0


class Gone(Exception):  # noqa: N818 - no error: the process has ended
    """Nobody listens at a socket any more."""


def call(path: Path, command: str, **arguments: Any) -> Any:
    """Call a command of one process.

    Raises:
        Gone: The process has ended.
        EndpointError: It refused, or does not answer.
    """
    asked = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE_SECONDS)
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
                line = stream.readline()
        except OSError as error:
            raise EndpointError(f"{path.stem} does not answer: {error}") from error
    if not line:
        raise EndpointError(f"{path.stem} did not answer")
    answer: Mapping[str, Any] = json.loads(line)
    if "error" in answer:
        raise EndpointError(str(answer["error"]))
    return answer["answer"]


def _is_alive(pid: int) -> bool:
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
            if not _is_alive(owner):
                path.unlink(missing_ok=True)
        except EndpointError as error:
            problem = str(error)
    if answers:
        return answers
    if problem:
        raise EndpointError(problem)
    whose = "no process of yours" if pid is None else f"process {pid} is not yours, or none, or"
    raise EndpointError(f"{whose} listens; one that runs memguard.Guard(approve=...) does")
