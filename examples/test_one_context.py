"""Tests that a finished context leaves nothing to the collector.

Run it with pytest, or by itself.
"""

import gc

import memguard


class Context:
    """Knows its parent and its callbacks until it is closed."""

    def __init__(self, parent=None):
        self.parent = parent
        self.subtasks = []
        self.callbacks = [self.close]
        if parent is not None:
            parent.subtasks.append(self)

    def close(self):
        for subtask in self.subtasks:
            subtask.close()
        self.subtasks.clear()
        self.callbacks.clear()
        self.parent = None


def test_an_open_context_is_in_a_cycle():
    """A question about one context costs what that context reaches, not the whole heap."""
    context = Context()
    Context(context)
    with memguard.scan("live", roots=[context]) as report:
        assert report.cycle_count == 1
        assert report.object_count < 100


def test_a_closed_context_is_in_none():
    """The report in the message says which reference is left, should this ever fail."""
    context = Context()
    Context(context)
    context.close()
    with memguard.scan("live", roots=[context]) as report:
        assert report.cycle_count == 0, str(report)


def test_requests_leave_no_contexts_to_the_collector():
    """Other garbage of the process does not matter here: only cycles with a context count."""
    gc.collect()
    for _ in range(10):
        context = Context()
        Context(context)
        context.close()
    with memguard.scan("garbage", types=[Context]) as report:
        assert report.cycle_count == 0, str(report)


if __name__ == "__main__":
    for test in (
        test_an_open_context_is_in_a_cycle,
        test_a_closed_context_is_in_none,
        test_requests_leave_no_contexts_to_the_collector,
    ):
        test()
        print(f"{test.__name__}: passed")
