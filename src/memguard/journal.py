"""What memguard changed in this process, and how each of it is undone.

Covers: noting a change, undoing changes in reverse order, moments to go back to.
Does not cover: when to do so (``memguard.rollbacks``).

Settings of the collector belong to the process, and so does their journal.
"""

import itertools
import logging
import os
from _thread import RLock
from collections.abc import Callable
from dataclasses import dataclass

_LOG = logging.getLogger("memguard.journal")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A moment to go back to.

    Attributes:
        number: Changes with a larger one came later.
    """

    number: int


@dataclass(frozen=True, slots=True)
class Undone:
    """What going back did.

    Attributes:
        names: Changes that were undone, the newest first.
        failed: Changes whose undoing raised, with what it raised; all others were
            undone nevertheless.
    """

    names: tuple[str, ...]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Change:
    number: int
    key: object
    name: str
    undo: Callable[[], object]


class Journal:
    """Notes changes, and undoes them.

    Thread-safety:
        Any thread; changes are undone under no lock, each once.
    """

    def __init__(self) -> None:
        # A breaker that dies forgets its change, and may die anywhere.
        self._lock = RLock()
        self._numbers = itertools.count(1)
        self._checked_number = 0
        self._changes: list[_Change] = []

    def note(self, key: object, name: str, undo: Callable[[], object]) -> Callable[[], None]:
        """Note a change.

        Args:
            key: What was changed; of several changes of the same since the last
                checkpoint the first one counts, for it knows how it was.
            name: What is changed, for people.
            undo: Sets it back; must not hold what it belongs to.

        Returns:
            A function that forgets it, for when it was set back otherwise.
        """
        with self._lock:
            change = _Change(next(self._numbers), key, name, undo)
            for known in tuple(self._changes):
                if known.key == key and known.number > self._checked_number:
                    change = known
                    break
            else:
                self._changes.append(change)

        def forget() -> None:
            with self._lock:
                if change in self._changes:
                    self._changes.remove(change)

        return forget

    def names(self) -> tuple[str, ...]:
        """Give what is changed now, the newest first."""
        with self._lock:
            return tuple(change.name for change in reversed(self._changes))

    def checkpoint(self) -> Checkpoint:
        """Give this moment."""
        with self._lock:
            self._checked_number = next(self._numbers)
            return Checkpoint(self._checked_number)

    def undo(self, to: Checkpoint | None = None) -> Undone:
        """Undo what was changed since a moment, the newest first; None undoes all."""
        least = 0 if to is None else to.number
        done, failed = [], []
        while (change := self._take_newest(least)) is not None:
            try:
                change.undo()
            except Exception as error:  # the others must be undone all the same
                _LOG.exception("%s could not be undone", change.name)
                failed.append(f"{change.name}: {type(error).__name__}: {error}")
            else:
                done.append(change.name)
        return Undone(tuple(done), tuple(failed))

    def _take_newest(self, least: int) -> _Change | None:
        with self._lock:
            if self._changes and self._changes[-1].number > least:
                return self._changes.pop()
            return None

    def renew(self) -> None:
        """Be usable in a child process, where whoever was writing is no more."""
        self._lock = RLock()


OF_PROCESS = Journal()
"""What is changed in this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=OF_PROCESS.renew)


def checkpoint() -> Checkpoint:
    """Give this moment, to go back to with `rollback`."""
    return OF_PROCESS.checkpoint()


def rollback(to: Checkpoint | None = None) -> Undone:
    """Undo what memguard changed in this process since a moment, the newest first.

    That is: the collector, as `configure_optimized_gc` set it up; limits of breakers
    that were set while they were in use; and a guard that refuses, which only observes
    from then on.

    Args:
        to: The moment; None undoes all.

    Returns:
        What was undone, and what could not be.
    """
    return OF_PROCESS.undo(to)
