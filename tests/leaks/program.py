"""A program that is run again and again."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """What one run does, and what leaks.

    Attributes:
        run: One run: a function without arguments, or a coroutine function.
        container: What the finding has to be called, or what has to hold the objects
            that it is about: the end of that name.
        holder: What the way to an object that was left behind has to name; "" for the
            same as *container*.
        leaked: Gives an object that a run left behind; None for healthy programs.
    """

    run: Callable[[], object]
    container: str = ""
    leaked: Callable[[], object] | None = None
    holder: str = ""
