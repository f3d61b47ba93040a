"""Who answers: a function, a person at the terminal, rules.

Covers: approvers, and what they may give back.
Does not cover: calling them without standing still (``messenger``), those who answer
from outside (``desk``, and the commands over it).
"""

import getpass
import os
import select
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TextIO

from memguard.errors import LimitOutOfRangeError, WrongTypeError
from memguard.oversight.requests import ApprovalRequest, Decision, Verdict

Answer = Decision | bool | None
"""None leaves the request to whoever else may answer."""

Approver = Callable[[ApprovalRequest], Answer | Awaitable[Answer]]

_LOOK_SECONDS = 0.1
"""How often the terminal looks whether its question was answered elsewhere."""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """What is approved or denied without a person.

    Attributes:
        verdict: "approve" or "deny".
        operation: Pattern of operations, as of file names.
        agent: Pattern of the agent that is to be started, the last one of the chain.
        below: Only where less than this was measured; None for any.
        why: What the decision says; by default the rule itself.
        remember_seconds: See `Decision`.

    Raises:
        UnknownOptionError: The verdict is another word.
        LimitOutOfRangeError: *below* is no number.
    """

    verdict: Verdict
    operation: str = "*"
    agent: str = "*"
    below: float | None = None
    why: str = ""
    remember_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.below is not None and not isinstance(self.below, int | float):
            raise LimitOutOfRangeError("below", self.below, "a number, or None for any")
        self.decision()

    def decision(self) -> Decision:
        """Give what it decides."""
        bound = "" if self.below is None else f" below {self.below:g}"
        why = self.why or f"the rule for {self.operation} of {self.agent}{bound}"
        return Decision(self.verdict, "policy", why, self.remember_seconds)

    def fits(self, request: ApprovalRequest) -> bool:
        """Whether it speaks of a request."""
        agent = request.chain[-1] if request.chain else ""
        if not (fnmatchcase(request.operation, self.operation) and fnmatchcase(agent, self.agent)):
            return False
        if self.below is None:
            return True
        measured = request.measured
        return isinstance(measured, int | float) and measured < self.below


class ApprovalPolicy:
    """Decide by rules, and leave the rest to somebody else.

    The first rule that fits decides, at once, on the thread that asks.

    Args:
        rules: Those.
        otherwise: Who is asked where none fits; None for whoever answers the queue.

    Thread-safety:
        Any thread.
    """

    def __init__(self, rules: Iterable[PolicyRule], *, otherwise: Approver | None = None) -> None:
        self.rules = tuple(rules)
        for rule in self.rules:
            if not isinstance(rule, PolicyRule):
                raise WrongTypeError("rules", type(rule).__name__, "PolicyRule objects")
        self.otherwise = otherwise

    def __call__(self, request: ApprovalRequest) -> Decision | None:
        """Give what the first rule that fits decides; None where none does."""
        for rule in self.rules:
            if rule.fits(request):
                return rule.decision()
        return None


class ConsoleApprover:
    """Ask the person at the terminal: one question after another.

    Args:
        source: Where answers are read; standard input by default.
        target: Where questions are written; standard error by default.
        by: Who answers; by default who is logged in.

    Thread-safety:
        Any thread; while one asks, the others wait for their turn. A child of `os.fork`
        waits for no thread of its parent.
    """

    def __init__(
        self, source: TextIO | None = None, target: TextIO | None = None, *, by: str | None = None
    ) -> None:
        self._source = source
        self._target = target
        self._by = by
        self._begin()
        _consoles.add(self)

    def _begin(self) -> None:
        self._asking = threading.Lock()
        self._open: set[str] = set()

    def __call__(self, request: ApprovalRequest) -> Decision | None:
        """Ask until "y" or "n" is answered, or somebody else was faster."""
        self._open.add(request.id)
        try:
            # Whose question is decided while it waits for its turn leaves the line.
            while request.id in self._open:
                if self._asking.acquire(timeout=_LOOK_SECONDS):
                    try:
                        return self._ask(request)
                    finally:
                        self._asking.release()
            return None
        finally:
            self._open.discard(request.id)

    def withdraw(self, request: ApprovalRequest) -> None:
        """Ask no more: it was decided."""
        self._open.discard(request.id)

    def _ask(self, request: ApprovalRequest) -> Decision | None:
        target = self._target or sys.stderr
        _forget_typed(self._source or sys.stdin)
        while request.id in self._open:
            via = f"\n  {' -> '.join(request.chain)}" if request.chain else ""
            left = max(0.0, request.expires_at - time.time())
            target.write(
                f"\nmemguard asks: {request.reason}{via}\n"
                f"  [y]es or [n]o, then a reason if you like ({left:.0f} s; {request.id}): "
            )
            target.flush()
            line = self._read(request)
            if line is None:
                target.write("decided elsewhere\n")
                target.flush()
                return None
            if line == "":  # the terminal is gone: others may answer
                return None
            word, _, why = line.strip().partition(" ")
            if word.lower() in ("y", "yes", "n", "no"):
                verdict: Verdict = "approve" if word.lower().startswith("y") else "deny"
                return Decision(verdict, self._by or getpass.getuser(), why.strip())
        return None

    def _read(self, request: ApprovalRequest) -> str | None:
        source = self._source or sys.stdin
        while request.id in self._open:
            try:
                ready, _, _ = select.select([source], [], [], _LOOK_SECONDS)
            except (OSError, ValueError):  # not a file to wait for: Windows, or a test's
                return source.readline()
            if ready:
                return source.readline()
        return None


_consoles: "weakref.WeakSet[ConsoleApprover]" = weakref.WeakSet()


def _begin_in_child() -> None:
    # Who was asking is a thread of the parent, and does so there.
    for console in list(_consoles):
        console._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


def _forget_typed(source: TextIO) -> None:
    """Drop what was typed before a question: it was an answer to another one."""
    if not source.isatty():
        return
    try:
        import termios

        termios.tcflush(source, termios.TCIFLUSH)
    except (ImportError, OSError):  # Windows has none
        return
