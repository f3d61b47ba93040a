"""A bell that rings in the main thread, whoever holds the GIL."""

import sys
import threading
import time

import pytest

from memguard._bell import Bell
from memguard.pressure.allocator import malloc_addresses

MALLINFO2, MALLOC_TRIM = malloc_addresses()
LONG = 30.0


def wait_apart(bell, patience_seconds=LONG):
    """Have another thread wait; gives it and what came of it."""
    came = []
    thread = threading.Thread(target=lambda: came.append(bell.wait(patience_seconds)))
    thread.start()
    return thread, came


def be_busy_until(told):
    """Run Python code, for only between instructions can it ring."""
    end = time.monotonic() + LONG
    while not told() and time.monotonic() < end:
        pass


def test_it_rings_in_the_main_thread_after_the_time():
    """And again, if it is set again."""
    heard = []

    def look(is_due):
        heard.append((threading.current_thread(), is_due))
        bell.set(0.001)

    bell = Bell(look)
    bell.set(0.001)
    thread, came = wait_apart(bell)
    be_busy_until(lambda: len(heard) >= 3)
    bell.stop()
    thread.join()
    assert heard[:3] == [(threading.main_thread(), False)] * 3
    assert came == [False]


@pytest.mark.skipif(not MALLINFO2, reason="malloc cannot be asked here")
def test_it_rings_when_malloc_gave_out_so_much():
    """Long before the time, and says that this was why."""
    heard = []
    bell = Bell(heard.append, MALLINFO2)
    thread, _ = wait_apart(bell)
    held = bytearray(50_000_000)
    bell.set(LONG, 0.001, 10_000_000)
    be_busy_until(lambda: heard)
    bell.stop()
    thread.join()
    assert heard == [True]
    assert len(held) == 50_000_000


def test_a_main_thread_that_does_not_come_round_is_not_waited_for():
    """Nor rung for again, before it does; then it hears that once."""
    heard, came = [], []
    bell = Bell(heard.append)
    bell.set(0.05)  # by then the main thread waits below
    thread = threading.Thread(target=lambda: came.extend((bell.wait(0.01), bell.wait(LONG))))
    thread.start()
    thread.join()
    assert came == [True, True]
    be_busy_until(lambda: heard)
    bell.stop()
    assert heard == [False]


def test_a_stopped_bell_is_not_waited_for():
    """However often it is stopped."""
    bell = Bell(lambda is_due: None)
    bell.stop()
    bell.stop()
    assert bell.wait(LONG) is False


def test_what_the_look_raises_is_raised_in_the_main_thread():
    """An interrupt by the user, for one, must not get lost."""

    def look(is_due):
        raise KeyboardInterrupt

    def ring_soon():
        # Not before: it could ring at once.
        bell.set(0.001)
        be_busy_until(lambda: False)

    bell = Bell(look)
    thread, _ = wait_apart(bell)
    try:
        with pytest.raises(KeyboardInterrupt):
            ring_soon()
    finally:
        bell.stop()
        thread.join()


def test_who_waits_gives_memory_back():
    """And tells how often it did, once."""
    bell = Bell(lambda is_due: None, MALLINFO2, MALLOC_TRIM)
    bell.trim()
    thread, _ = wait_apart(bell)
    counts = []

    def told():
        count, seconds = bell.take_trims()
        if count:
            counts.append((count, seconds >= 0))
        return counts

    if MALLOC_TRIM:
        be_busy_until(told)
    bell.stop()
    thread.join()
    assert counts == ([(1, True)] if MALLOC_TRIM else [])
    assert bell.take_trims() == (0, 0.0)


def test_what_it_calls_is_freed_with_it():
    """Once it is stopped."""

    def look(is_due):
        return None

    before = sys.getrefcount(look)
    for _ in range(10):
        bell = Bell(look)
        bell.set(0.001)
        thread, _ = wait_apart(bell, 0.0001)
        thread.join()
        bell.stop()
        del bell
    del thread
    assert sys.getrefcount(look) == before
