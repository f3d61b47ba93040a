"""What is critical, decided from what was measured.

Covers: the original report's operations, thresholds that may change at any time.
Does not cover: asking (``approvals``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memguard.errors import MissingMeasureError
from memguard.settings import OversightSettings

DEEP_DELEGATION = "deep_delegation"
MEMORY_PRESSURE = "memory_pressure"
CIRCULAR_REFERENCES = "circular_references"

_MEASURES = {
    DEEP_DELEGATION: "depth",
    MEMORY_PRESSURE: "memory_percent",
    CIRCULAR_REFERENCES: "circular_refs",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be asked.

    Attributes:
        operation: What is to happen.
        text: The question, in a sentence.
        measured: What was measured; None for nothing.
        limit: From where on it is critical; None for nowhere.
        chain: Names of the agents that lead to it.
        idempotency_key: Questions of the same key are one; None for one of its own.
    """

    operation: str
    text: str
    measured: float | str | None
    limit: float | str | None
    chain: tuple[str, ...]
    idempotency_key: str | None


def thresholds_of(settings: OversightSettings) -> dict[str, Any]:
    """Give the original report's ``critical_operations``."""
    percent = settings.memory_ratio * 100
    return {
        "memory_threshold": int(percent) if percent == int(percent) else percent,
        "delegation_depth": settings.delegation_depth,
        "circular_refs": True,
    }


def is_known(operation: str) -> bool:
    """Whether it is known when this operation is critical."""
    return operation in _MEASURES


def question_of(
    operation: str,
    context: Mapping[str, Any],
    thresholds: Mapping[str, Any],
    settings: OversightSettings,
) -> Question | None:
    """Say what is to be asked before an operation; None if it is not critical.

    Args:
        operation: What is to happen.
        context: What was measured: ``depth`` of a delegation, ``memory_percent``,
            ``circular_refs``; for any operation ``chain``, ``reason``, ``measured``,
            ``limit`` and ``idempotency_key``.
        thresholds: From where on it is critical, as `thresholds_of` gives them.
        settings: The count of circular references.

    Raises:
        MissingMeasureError: The context does not say what the operation is judged by.
    """
    key = _MEASURES.get(operation)
    if key is None:
        return _make(operation, f"{operation} is about to happen. Continue?", None, None, context)
    if key not in context:
        raise MissingMeasureError(operation, key)
    measured = context[key]
    if operation == DEEP_DELEGATION:
        limit = thresholds["delegation_depth"]
        text = f"Deep delegation detected (depth {measured}). Continue?"
    elif operation == MEMORY_PRESSURE:
        limit = thresholds["memory_threshold"]
        text = f"High memory usage ({measured:.1f}%). Continue?"
    else:
        if not thresholds["circular_refs"]:
            return None
        limit = settings.circular_reference_count
        text = f"{measured} circular references detected. Continue?"
        if measured is True:  # "there are many", as the report's setting has it
            return _make(operation, "Circular references detected. Continue?", None, limit, context)
    if measured < limit:
        return None
    return _make(operation, text, measured, limit, context)


def _make(
    operation: str,
    text: str,
    measured: float | str | None,
    limit: float | str | None,
    context: Mapping[str, Any],
) -> Question:
    chain = tuple(context.get("chain", ()))
    given_key = context.get("idempotency_key")
    usual_key = " -> ".join((operation, *chain))
    return Question(
        operation,
        str(context.get("reason", text)),
        context.get("measured", measured),
        context.get("limit", limit),
        chain,
        usual_key if given_key is None else str(given_key),
    )
