"""A running process, asked from outside.

Covers: statistics, scans and collections of one process, as values.
Does not cover: finding out how it can be asked (``memguard.endpoint.remote``).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memguard.endpoint.client import Gone, RefusedError, call, call_slow
from memguard.endpoint.commands import GC, SCAN, STATS
from memguard.endpoint.remote import find_process
from memguard.errors import EndpointError

SCAN_SECONDS = 300.0
"""A scan from outside is given up after so long, if nothing else is said [s]."""


class ProcessEndedError(EndpointError):
    """The process ended, or stopped to listen, while it was asked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        super().__init__(f"process {pid} has ended, or listens no more")


@dataclass(frozen=True, slots=True)
class AskedProcess:
    """One process that answers.

    Attributes:
        pid: Its id.
        path: Its socket.

    Thread-safety: any thread.
    """

    pid: int
    path: Path

    @classmethod
    def find(cls, pid: int) -> "AskedProcess":
        """Find out how it can be asked.

        Raises:
            UnreachableProcessError: It cannot.
        """
        return cls(pid, find_process(pid))

    def _call(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Gone:
            raise ProcessEndedError(self.pid) from None
        except RefusedError:
            raise
        except EndpointError:
            # It may have ended amid its answer.
            if self._has_ended():
                raise ProcessEndedError(self.pid) from None
            raise

    def _has_ended(self) -> bool:
        try:
            call(self.path, STATS)
        except Gone:
            return True
        except EndpointError:
            return False
        return False

    def stats(self) -> dict[str, Any]:
        """Ask for statistics.

        Raises:
            EndpointError: It has ended, or does not answer; likewise below.
        """
        told: dict[str, Any] = self._call(lambda: call(self.path, STATS))
        return told

    def collect(self) -> dict[str, Any]:
        """Let it collect."""
        # It is all stopped meanwhile.
        told: dict[str, Any] = self._call(
            lambda: call_slow(self.path, GC, {}, silence_seconds=SCAN_SECONDS)
        )
        return told

    def scan(
        self,
        kind: str,
        *,
        longest_seconds: float = SCAN_SECONDS,
        on_sign: Callable[[float], object] = bool,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Let it scan, and give the report as it would be saved.

        Args:
            kind: Which cycles.
            longest_seconds: Give up after so long [s].
            on_sign: Called every second with how long it has run [s].
            **arguments: Of the command, None for what is not asked for.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        # Nothing is heard of an inline scan before it is done.
        told: dict[str, Any] = self._call(
            lambda: call_slow(
                self.path,
                SCAN,
                {"kind": kind, **given},
                silence_seconds=longest_seconds,
                longest_seconds=longest_seconds,
                on_sign=on_sign,
            )
        )
        return told

    def program(self) -> tuple[str, float]:
        """Say what it runs, and for how long [s]; "" and 0 where that is unknown."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            words = process.cmdline()
            age_seconds = time.time() - process.create_time()
        except psutil.Error:
            return "", 0.0
        return _program_of(words), age_seconds


def _program_of(words: list[str]) -> str:
    """Give the script or module that is run, without its arguments, which may be secret."""
    is_value = False
    for number, word in enumerate(words[1:], 1):
        if is_value:
            is_value = False
            continue
        is_value = word in ("-X", "-W")
        if word == "-m":
            return f"python -m {words[number + 1]}" if number + 1 < len(words) else ""
        if word == "-c":
            return "python -c ..."
        if not word.startswith("-"):
            return f"python {Path(word).name}"
    return Path(words[0]).name if words else ""
