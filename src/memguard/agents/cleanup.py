"""Cleaning up after one agent.

Covers: calling the cleanup of any context.
Does not cover: in which order agents end (``lives``), hooks (``hooks``).
"""

from typing import Any

from memguard._agents import AgentContext, clean, close_gathering
from memguard._lives import clean_up_plain
from memguard.agents.attempt import Failures, add_all


def clean_up(agent_id: Any, context: Any, failures: Failures, *, closes: bool) -> None:
    """Call a context's ``cleanup()``, if it has one.

    Args:
        agent_id: For the notes of failures.
        context: Any object.
        failures: Takes what is raised, by it or by the owners of its callbacks.
        closes: Close it, so that every further use is an error.
    """
    if issubclass(type(context), AgentContext):  # a mock only says so
        add_all(failures, agent_id, (close_gathering if closes else clean)(context))
    else:
        add_all(failures, agent_id, clean_up_plain(context))
