"""How much memory a call leaves behind, for the leak scripts beside this file.

Counts blocks of Python's allocator, bytes of the scan kernel, and, where glibc
tells, bytes of the C heap in use. The size of the process says little: it
neither grows with each leak nor shrinks with what is freed.
"""

import ctypes
import gc
import json
import sys
from collections.abc import Callable

from memguard import _core


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        ("arena", ctypes.c_size_t),
        ("ordblks", ctypes.c_size_t),
        ("smblks", ctypes.c_size_t),
        ("hblks", ctypes.c_size_t),
        ("hblkhd", ctypes.c_size_t),
        ("usmblks", ctypes.c_size_t),
        ("fsmblks", ctypes.c_size_t),
        ("uordblks", ctypes.c_size_t),
        ("fordblks", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    ]


def _heap_reader() -> Callable[[], int] | None:
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    mallinfo2.restype = _Mallinfo2

    def read() -> int:
        found = mallinfo2()
        return found.uordblks + found.hblkhd

    return read


_read_heap = _heap_reader()


def _read() -> tuple[int, int, int]:
    gc.collect()
    heap_bytes = 0 if _read_heap is None else _read_heap()
    return sys.getallocatedblocks(), _core._native_bytes(), heap_bytes


def print_growth(call: Callable[[], object], *, call_count: int) -> None:
    """Call so often, warmed up, and print as JSON what was not given back."""
    for _ in range(call_count // 4):
        call()
    _read()
    before = _read()
    for _ in range(call_count):
        call()
    blocks, native_bytes, heap_bytes = (
        after - first for after, first in zip(_read(), before, strict=True)
    )
    print(
        json.dumps(
            {
                "call_count": call_count,
                "blocks": blocks,
                "native_bytes": native_bytes,
                "heap_bytes": heap_bytes,
            }
        )
    )
