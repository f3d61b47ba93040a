"""How the lives of one manager's agents end.

Covers: children before their parent, hooks, what is raised, an agent that dies.
Does not cover: beginning, and who is to end a life (``_lives``), what users call
(``lifecycle``, ``block``).
"""

import warnings
from _thread import RLock
from typing import TYPE_CHECKING, Any

from memguard._lives import Life, LifeTable, Mourner
from memguard.agents.attempt import Failures, add_all, attempt, log_gathered
from memguard.agents.cleanup import clean_up
from memguard.agents.hooks import AsyncHook, Hook, Hooks

if TYPE_CHECKING:
    from memguard.agents.cycles import CycleChecks
    from memguard.agents.ended import EndedAgents

Claimed = list[tuple[Life, Any]]
"""Lives that the holder of this is to end, each with its context; None where it died."""


class Lives(LifeTable):
    """All lives of one manager, and what is done at their end.

    Nothing here refers to contexts but weakly, nor does what the table calls when an
    agent dies refer to this.

    Attributes:
        hooks: Whom to tell.
        cycles: What looks for cycles, or None.
        ended: What remembers agents that ended, or None.
        failure_count: Cleanups and hooks that raised [count].
    """

    def __init__(self, cycles: "CycleChecks | None", ended: "EndedAgents | None" = None) -> None:
        self.cycles = cycles
        self.ended = ended
        self.hooks = Hooks()
        self.failure_count = 0
        self.is_watched = cycles is not None or ended is not None
        self.on_death = Mourner(self)
        self._counting = RLock()

    def add_hook(self, hook: Hook | AsyncHook) -> None:
        """Call a hook with the id of each agent that ends from now on."""
        self.hooks.add(hook)
        self.is_watched = True

    def end_all(self, failures: Failures) -> None:
        """Begin no more lives and end all, the newest first; adds what is raised."""
        self.is_closed = True
        for agent_id in reversed(self.ids()):
            life = self.get_metadata(agent_id)
            if life is not None:
                self.end(life, failures)

    def end_claimed(self, life: Life, context: Any, failures: Failures) -> None:
        """End a life that was claimed, and all below it; adds what is raised."""
        interrupt: BaseException | None = None
        for each, its_context in [*self._claim_below(life), (life, context)]:
            try:
                self._clean(each, its_context, failures)
            except BaseException as raised:  # KeyboardInterrupt, when all had their turn
                interrupt = raised
        if interrupt is not None:
            self.log(failures)
            try:
                raise interrupt
            finally:
                del interrupt

    def mourn(self, life: Life) -> None:
        """Do what is left when an agent died: its children, hooks, a warning."""
        failures: Failures = []
        self.end_claimed(life, None, failures)
        self.log(failures)
        if life.opened_at is not None:
            warnings.warn_explicit(
                "an agent died that was not finished; leave its block, or finish() it",
                ResourceWarning,
                *life.opened_at,
            )

    def noted(self, life: Life, found: Failures, failures: Failures) -> None:
        """Take over what a context's cleanup raised."""
        add_all(failures, life.agent_id, found)
        self._count(len(found))

    def log(self, failures: Failures) -> None:
        """Write failures that nobody can be told."""
        log_gathered(failures)

    async def call_pending(self, failures: Failures) -> None:
        """Await the async hooks that wait; adds what is raised."""
        before = len(failures)
        try:
            await self.hooks.call_pending(failures)
        finally:
            self._count(len(failures) - before)

    async def await_hooks(self) -> None:
        """Await the async hooks that wait; what they raise is logged."""
        failures: Failures = []
        try:
            await self.call_pending(failures)
        finally:
            self.log(failures)

    def _claim_below(self, life: Life) -> Claimed:
        """Claim all lives below one that has ended; each comes before its parent."""
        claimed: Claimed = []
        parents = [life]
        for parent in parents:
            children: Claimed = []
            while found := parent.take_child_id():
                child = self.get_metadata(*found)
                if child is None or child.parent is not parent:
                    continue
                if (context := self.claim(child)) is not None:
                    children.append((child, context))
                    parents.append(child)
            # They came newest first, and all is turned round in the end.
            claimed += reversed(children)
        claimed.reverse()
        return claimed

    def _clean(self, life: Life, context: Any, failures: Failures) -> None:
        """Clean up after one claimed life; adds what is raised."""
        before = len(failures)
        try:
            if context is not None:
                clean_up(life.agent_id, context, failures, closes=life.closes)
        finally:
            if self.hooks:
                self.hooks.call(life.agent_id, failures)
            if self.cycles is not None and context is not None and self.cycles.is_due():
                attempt(failures, life.agent_id, self.cycles.check, life.agent_id, context)
            if self.ended is not None and context is not None:
                self.ended.add(life.agent_id, context)
            self._count(len(failures) - before)

    def _count(self, count: int) -> None:
        if count:
            with self._counting:
                self.failure_count += count
