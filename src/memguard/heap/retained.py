"""What an object holds alone.

Covers: the question, for one object or for many, and its answer.
Does not cover: who holds the object (``retention``), what owners hold (``owners``).

See also: ``docs/owners.md``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from memguard import _owners
from memguard.errors import WrongTypeError
from memguard.heap.names import OWN_FOLDER


@dataclass(frozen=True, slots=True)
class RetainedSize:
    """What would be freed with an object.

    Attributes:
        retained_bytes: The object itself, and all that is held by nothing else [bytes].
        retained_count: The same [count].
    """

    retained_bytes: int
    retained_count: int

    def __str__(self) -> str:
        from memguard.heap.render.text import count, size

        return f"{size(self.retained_bytes)} in {count(self.retained_count, 'object')}"


def retained_size(obj: object) -> RetainedSize:
    """Say what would be freed if an object were gone, whoever holds it now.

    That is the object and all to which every way from a module, a running frame, a
    thread or from C code leads through it. What something else holds, too, is not
    counted.

    Args:
        obj: The object.

    Returns:
        Bytes and number of objects. Sizes are those of ``sys.getsizeof`` for the types
        of the interpreter and classes written in Python; of other types written in C
        only the fixed part is known.

    Raises:
        MemoryError: A native table could not be had; nothing was changed.

    Cost:
        O(references * log(objects)) of the process; for many objects use
        `retained_sizes`. See ``benchmarks/owners.py``.

    Source:
        See ``_kernel/dominators.c``.
    """
    return _weigh((obj,), None)[0]


def retained_sizes(objects: Iterable[object]) -> tuple[RetainedSize, ...]:
    """Say what each of many objects holds alone, at the price of one; see `retained_size`.

    What two of them hold together counts for neither. A variable of the frame
    that asks which holds the iterable itself does not count: it may be for the question.

    Raises:
        WrongTypeError: *objects* cannot be iterated over.
        MemoryError: A native table could not be had; nothing was changed.
    """
    if not isinstance(objects, Iterable):
        raise WrongTypeError("objects", type(objects).__name__, "an iterable of objects")
    return _weigh(tuple(objects), objects)


def _weigh(asked: tuple[object, ...], question: object) -> tuple[RetainedSize, ...]:
    # A tuple is given as it is, and may be held by the program, too.
    asked = (*asked, None)
    _, belongings, *_ = _owners.weigh_owners(asked, OWN_FOLDER, [], [], question=question)
    return tuple(
        RetainedSize(retained_bytes, retained_count)
        for retained_bytes, retained_count, _ in belongings[:-1]
    )
