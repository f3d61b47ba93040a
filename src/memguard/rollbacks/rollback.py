"""Undoes what memguard changed once a trigger fires, and tells why.

Covers: firing once, undoing, the user's command, telling.
Does not cover: when a trigger fires (``triggers``), what is to be undone
(``memguard.journal``).
"""

import logging
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from memguard.errors import WrongTypeError
from memguard.events import EventBus
from memguard.journal import OF_PROCESS, Journal
from memguard.rollbacks.events import RolledBack, TriggerFired
from memguard.rollbacks.triggers import RollbackReading, TriggerState, decide
from memguard.settings import RollbackSettings

_LOG = logging.getLogger("memguard.rollbacks")
_SHOWN_CHARACTERS = 2_000


class Rollback:
    """Take readings, and undo once one of them fires a trigger.

    That happens once, until `reset`. What goes wrong with it is told in the event, and
    logged, and never raised.

    Args:
        settings: When a trigger fires.
        events: Where to tell.
        command: What to run after undoing: a program and its arguments, never by a
            shell. Empty for nothing.
        is_dry: Undo and run nothing, and tell what would be.
        journal: What is to be undone; by default what memguard changed in this process.

    Raises:
        WrongTypeError: The command is not a sequence of strings.

    Thread-safety:
        Any thread; the command is waited for on the thread whose reading fired.
    """

    def __init__(
        self,
        settings: RollbackSettings | None = None,
        *,
        events: EventBus | None = None,
        command: Sequence[str] = (),
        is_dry: bool = False,
        journal: Journal = OF_PROCESS,
    ) -> None:
        if isinstance(command, str | bytes) or not all(isinstance(word, str) for word in command):
            raise WrongTypeError(
                "command", type(command).__name__, "a list of a program and its arguments"
            )
        self.settings = settings or RollbackSettings()
        self.events = EventBus() if events is None else events
        self._command = tuple(command)
        self._is_dry = is_dry
        self._journal = journal
        self._lock = threading.Lock()
        self._state = TriggerState()
        self._done: RolledBack | None = None

    @property
    def done(self) -> RolledBack | None:
        """What was done; None as long as nothing fired."""
        return self._done

    def take(self, reading: RollbackReading) -> RolledBack | None:
        """Take a reading; gives what was done if it made a trigger fire."""
        with self._lock:
            self._state, fired = decide(reading, self.settings, self._state)
            if not fired or self._done is not None:
                return None
            # Taken under the lock: of two threads one undoes.
            self._done = RolledBack(fired[0].trigger, fired[0].reason, ())
        for each in fired:
            self._tell(each)
        return self._act(fired[0].trigger, fired[0].reason)

    def act(self, reason: str) -> RolledBack:
        """Undo now, because somebody asks for it."""
        return self._act("asked", reason)

    def reset(self) -> None:
        """Forget what was measured and done, and be ready again."""
        with self._lock:
            self._state = TriggerState()
            self._done = None

    def _act(self, trigger: str, reason: str) -> RolledBack:
        if self._is_dry:
            done = RolledBack(
                trigger, reason, self._journal.names(), command=self._command, is_dry=True
            )
        else:
            undone = self._journal.undo()
            exit_code, output = self._run()
            done = RolledBack(
                trigger, reason, undone.names, undone.failed, self._command, exit_code, output
            )
        with self._lock:
            self._done = done
        _LOG.warning("%s", describe(done))
        self.events.emit(done)
        return done

    def _run(self) -> tuple[int | None, str]:
        if not self._command:
            return None, ""
        with _file_for_output() as output:
            try:
                ended = subprocess.run(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=self.settings.command_timeout_seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                seconds = self.settings.command_timeout_seconds
                return None, f"it was ended after {seconds:g} s; {_end_of(output)}"
            except (OSError, ValueError) as error:
                return None, f"it could not be run: {error}"
            return ended.returncode, _end_of(output)

    def _tell(self, fired: TriggerFired) -> None:
        _LOG.error("rollback trigger %s: %s", fired.trigger, fired.reason)
        self.events.emit(fired)


def describe(done: RolledBack) -> str:
    """Say in a few sentences what was undone, and why."""
    would = "would be " if done.is_dry else ""
    what = ", ".join(done.undone) or "nothing"
    text = f"{done.trigger}: {done.reason}. {would}undone: {what}"
    if done.failed:
        text += f"; not undone: {'; '.join(done.failed)}"
    if done.command:
        how = f"exit code {done.exit_code}" if done.exit_code is not None else done.output
        text += f"; {would}run: {' '.join(done.command)}" + ("" if done.is_dry else f" ({how})")
    return text


def _file_for_output() -> IO[bytes]:
    # No pipe: a service that the command starts keeps its output open, and is not waited for.
    try:
        return tempfile.TemporaryFile()
    except OSError:  # nothing may be written here
        return Path(os.devnull).open("w+b")


def _end_of(output: IO[bytes]) -> str:
    length = output.seek(0, os.SEEK_END)
    # A character takes four bytes at most.
    output.seek(max(0, length - 4 * _SHOWN_CHARACTERS))
    return output.read().decode("utf-8", "replace").strip()[-_SHOWN_CHARACTERS:]
