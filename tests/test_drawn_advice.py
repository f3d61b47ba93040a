"""Pictures mark what the advice cuts, however the reference is kept."""

import memguard
from memguard.heap.render.drawing import drawing_of
from memguard.heap.saved import SavedReport


class Plain:
    pass


class WithDict(Plain):
    pass


def marked(function):
    with memguard.scan_created(function) as report:
        saved = SavedReport.from_dict(report.to_dict())
    (shape,) = saved.shapes
    return [label for link in drawing_of(shape.drawn).links if link.is_cut for label in link.labels]


def family(cls):
    parent, child = cls(), cls()
    parent.children = [child]
    child.parent = parent
    return child


def test_an_attribute_is_marked():
    """As the object keeps it without a dict."""
    assert marked(lambda: family(Plain) and None) == [".parent"]


def test_an_attribute_in_a_dict_is_marked():
    """It is the same line of source, though another object holds the reference."""
    assert marked(lambda: family(WithDict).__dict__ and None) == [".parent"]


def test_an_item_is_marked():
    """Wherever in the list it is."""

    def leak():
        plain = Plain()
        plain.callbacks = [None, len, plain]

    assert marked(leak) == [".callbacks[2]"]


def test_a_closure_variable_is_marked():
    """It is the cell that refers on."""

    def leak():
        def visit():
            return visit

    assert marked(leak) == [".<closure visit>"]
