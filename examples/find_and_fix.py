"""Find the cycles that one function makes, and fix them with a weak reference."""

import weakref

import memguard


class Context:
    """Refers to its parent, which lists it: a cycle for each child."""

    def __init__(self, parent=None):
        self.parent = parent
        self.subtasks = []
        if parent is not None:
            parent.subtasks.append(self)


class FixedContext(Context):
    """The same, but a child no longer keeps its parent alive."""

    @property
    def parent(self):
        return self._parent()

    @parent.setter
    def parent(self, parent):
        self._parent = weakref.ref(parent) if parent is not None else lambda: None


def delegate(context_class):
    """Finish a task that needed two helpers."""
    task = context_class()
    helpers = [context_class(task), context_class(task)]
    assert all(helper.parent is task for helper in helpers)


for context_class in Context, FixedContext:
    report = memguard.scan_created(delegate, context_class)
    print(f"{context_class.__name__}: {report}\n")
    report.release()
