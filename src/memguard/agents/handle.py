"""One active agent's end as an object.

Covers: what the report's registry of cleanups holds.
Does not cover: what ending means (``lives``).
"""

from memguard._lives import Life
from memguard.agents.attempt import Failures, raise_gathered
from memguard.agents.lives import Lives


class CleanupHandle:
    """An active agent's end, to be called like a ``weakref.finalize``."""

    __slots__ = ("_life", "_lives")

    def __init__(self, lives: Lives, life: Life) -> None:
        self._lives = lives
        self._life = life

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'alive' if self.alive else 'dead'}>"

    @property
    def alive(self) -> bool:
        """Whether the agent has not ended."""
        return self._life.context() is not None

    def __call__(self) -> None:
        """End the agent, unless it has ended.

        Raises:
            ExceptionGroup: What its cleanup and hooks, and its children's, raised.
        """
        failures: Failures = []
        self._lives.end(self._life, failures)
        raise_gathered("finishing an agent", failures)
