"""Leave garbage of two shapes behind, and keep a live cycle."""

import sys


class Context:
    """Refers to its parent, which lists it."""

    def __init__(self, parent=None):
        self.parent = parent
        self.subtasks = []
        if parent is not None:
            parent.subtasks.append(self)


class Special(Context):
    """One of the same."""


class Handler:
    """Keeps its own method."""

    def __init__(self):
        self.callback = self.on_done

    def on_done(self):
        """Do nothing."""


kept = Context()
Context(kept)
for _ in range(int(sys.argv[1])):
    Context(Special())
    Handler()
print("leaked", *sys.argv[1:])
