"""What must change nothing: allocations that fail, objects that always raise, others who ask."""

import contextlib
import threading

import pytest

from effort import part
from memguard import _core
from memguard.heap.names import OWN_FOLDER


def failures(call):
    """Let each native allocation fail in turn until the call succeeds; gives each message.

    Before the call is made again nothing native may be left of it. Where all was tried
    elsewhere, the first thirty fail and then every fifth.
    """
    before_bytes = _core._native_bytes()
    for number in (*range(1, 30), *part(range(30, 10_000), 5)):
        _core._fail_allocation_at(number)
        try:
            call()
        except MemoryError as error:
            message = str(error)
        else:
            return
        finally:
            _core._fail_allocation_at(0)
        assert _core._native_bytes() == before_bytes
        # Without the error itself: its traceback holds what the call was about.
        yield message
    pytest.fail("it never succeeded")


@contextlib.contextmanager
def another_question(about):
    """Let another thread stand in a function of memguard that has something in a variable."""
    begun, done = threading.Lock(), threading.Lock()
    begun.acquire()
    done.acquire()
    source = "def ask(box, begin, wait): about = box.pop(); begin(); wait()"
    functions = {}
    exec(compile(source, f"{OWN_FOLDER}question.py", "exec"), functions)
    box = [about]
    del about  # from here on only that function has it
    thread = threading.Thread(target=functions["ask"], args=(box, begun.release, done.acquire))
    thread.start()
    begun.acquire()
    yield
    done.release()
    thread.join()


def hostile_object(**attributes):
    """Make an object of which, and of whose class, no method may be called."""

    class Meta(type):
        def __getattribute__(cls, name):
            raise AssertionError(name)

        def __instancecheck__(cls, instance):
            raise AssertionError

    class Hostile(metaclass=Meta):
        def __getattribute__(self, name):
            raise AssertionError(name)

        def __eq__(self, other):
            raise AssertionError

        __hash__ = None
        __repr__ = __sizeof__ = __eq__

    hostile = Hostile()
    for name, value in attributes.items():
        object.__setattr__(hostile, name, value)
    return hostile
