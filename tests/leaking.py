"""Source of a class and a function that leave cycles behind, for tests to run tests of."""

CONTEXT = """
class Context:
    def __init__(self, parent=None):
        self.parent = parent
        self.subtasks = []
        if parent is not None:
            parent.subtasks.append(self)


def leak():
    parent = Context()
    Context(parent)
"""
